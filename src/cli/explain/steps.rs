//! The steps by which a container is made: what each is for, what it takes, and what is so without it.
//!
//! A step goes by the words under which `--dry-run` and the ledger put its calls. What several steps of this table do under the
//! same words has these words in each of them.

use crate::base::phrase::Phrase;

/// A step.
pub(super) struct Step {
    /// Its short name.
    pub name: &'static str,
    /// The words that head its calls.
    pub headings: &'static [Phrase],
    /// Lines: what it is for, since which Linux, what it takes, what is so without it, the source, and the calls.
    pub facts: Phrase,
}

macro_rules! steps {
    ($($name:literal [$($heading:expr),*] $facts:expr;)*) => {
        /// In the order in which they are taken.
        pub(super) static STEPS: &[Step] = &[$(Step { name: $name, headings: &[$($heading),*], facts: $facts },)*];
    };
}

steps! {
    "ledger" [
        phrase!("keep this ledger"),
        phrase!("open the file that the ledger goes to"),
        phrase!("print this ledger"),
        phrase!("end")
    ] phrase!("tell of each call, in memory that all of vial's processes share (--explain)\n1.0\nnone\nnothing is told\nvial's ARCHITECTURE.md\nclock_gettime exit_group getpid mmap munmap openat write");
    "prepare" [
        phrase!("Run a command in a new container"),
        phrase!("read signals as a file later, and give files exactly the modes that are asked for"),
        phrase!("open the directory that holds all of vial's state"),
        phrase!("see whether the kernel has overlays"),
        phrase!("go to the container's directory, where relative paths start")
    ] phrase!("find the image, and make a plan of what the container is to be (--dry-run prints it)\n1.0\nnone\nthere is nothing to make a container of\nvial's ARCHITECTURE.md\nclock_gettime clone close fchdir flock fsopen fstatfs geteuid getpid mkdirat mmap munmap openat read renameat2 rt_sigprocmask sendmsg setsockopt socket statx umask write");
    "bundle" [
        phrase!("make the container's directory, under an ID and a name that no other has"),
        phrase!("write down what the container is: a bundle as the OCI runtime specification has it"),
        phrase!("write down that the container runs")
    ] phrase!("say what is going to be made before it is, so that what is left of a killed vial can be removed\n1.0\nnone\nnobody would know what belongs to the container\nruntime-spec config.md\nclock_gettime close flock getpid getrandom mkdirat mmap openat read renameat2 symlinkat write");
    "cgroup" [
        phrase!("make the container's control group and set its limits, before anything of it runs"),
        phrase!("find the host's control groups"),
        phrase!("make the container's control group and set its limits"),
        phrase!("limit what the container may use")
    ] phrase!("have all processes of the container in one group, with one limit of memory, of processors and of processes\n2.6.24, version 2 since 4.5\nCAP_DAC_OVERRIDE, or a group that the user owns\n--best-effort runs it without: no limit, no pause, no count of what is used\ncgroups(7)\nclose mkdirat openat read statfs write");
    "device-rules" [phrase!("limit what the container may use")] phrase!("let the container use those devices alone that it is given, though it may make a node of any other\n2.6.26, for cgroup v2 since 4.15\nCAP_SYS_ADMIN\nroot in the container could read the host's disks; so it is an error, unless --best-effort or --privileged is given\ncgroups(7), bpf(2)\nbpf close openat write");
    "namespaces" [phrase!("make the container's first process, in namespaces of its own")] phrase!("have a process that sees mounts, names, processes, network and message queues of its own\n2.6.24, for users since 3.8, for control groups since 4.6\nCAP_SYS_ADMIN\nthere is no container; single ones can be the host's: --pid host, --network host and so on\nnamespaces(7)\nclone clone3 close openat");
    "descriptors" [phrase!("end with vial, and keep its open files from the workload")] phrase!("have no file of the host's open in the workload, and no workload that nobody watches\n2.2, close_range since 5.9\nnone\nan open directory of the host's would be a way out of the container\nclose_range(2), prctl(2)\nclose close_range prctl setsid umask");
    "keyring" [phrase!("end with vial, and keep its open files from the workload")] phrase!("give the container a session keyring of its own, since keys belong to no namespace\n2.6.10\nnone\nthe workload could use the keys of whoever started it; a kernel without keys has none\nsession-keyring(7)\nkeyctl");
    "enter-cgroup" [
        phrase!("enter the control group"),
        phrase!("join the container's control group, before anything of it runs")
    ] phrase!("be in the control group before anything is used that it limits, and see it as the root of all groups\n2.6.24, the namespace since 4.6\nCAP_SYS_ADMIN\nprocesses would be above their limits\ncgroup_namespaces(7)\nclose openat unshare write");
    "share" [phrase!("share namespaces with another container or the host, as asked")] phrase!("use the namespace of another container: --network container:ID and its like\n3.0\nCAP_SYS_ADMIN, for mounts CAP_SYS_CHROOT too\nan error\nsetns(2)\nclose openat setns");
    "host-trees" [phrase!("take the host's files and directories that the container gets in hand, while they can be seen")] phrase!("hold what -v and the like give to the container, since no path leads there once the root has changed\n5.2\nCAP_SYS_ADMIN\nthe place itself is held, and mounted with mount(2)\nopen_tree(2)\nclose open_tree openat statx");
    "userns" [
        phrase!("make a user namespace, in which root is nobody to the host"),
        phrase!("go on as root of the user namespace, in namespaces that belong to it")
    ] phrase!("have root in the container be an ordinary user outside (--userns)\n3.8\nnone; to map more than one's own IDs CAP_SETUID and CAP_SETGID\n--userns is an error, and so is vial for a normal user\nuser_namespaces(7)\nclone close fcntl openat read sendmsg setfsgid setfsuid setns setresgid setresuid unshare wait4 write");
    "private" [phrase!("cut the container's mounts off from the host's, so that neither sees what the other mounts")] phrase!("have what is mounted from here on stay in the container's mount namespace; pivot_root asks for it as well\n2.6.15\nCAP_SYS_ADMIN\nthe host would see the container's mounts, and systemd has all of its own shared\nmount_namespaces(7)\nmount");
    "root" [phrase!("put the container's root together: the image's layers below, the container's own changes on top")] phrase!("have a root that is the image's and can be written to, while the image stays as it is\n3.18\nCAP_SYS_ADMIN, in a user namespace since 5.11\n--storage copy or btrfs makes a tree for each container\nmount(2), the kernel's overlayfs.rst\nclose fchown mkdirat mount openat statx");
    "switch-root" [phrase!("make it the root directory; from here on no path leads back to the host's files")] phrase!("have every path begin at the container's root, with the host's taken off: chroot alone can be left by whoever is root\n2.4\nCAP_SYS_ADMIN\non the initial RAM file system the new root is moved over the old one, and chroot goes there\npivot_root(2)\nchdir chroot close fchdir mount openat pivot_root statx umount2");
    "names" [phrase!("give the container its own name and a loopback interface")] phrase!("have the host name be the container's own, and have 127.0.0.1 work inside: a new network namespace has its loopback down\n2.6.19, networks 2.6.24\nCAP_SYS_ADMIN and CAP_NET_ADMIN\nprograms that speak to themselves would fail\nuts_namespaces(7), network_namespaces(7)\nclose recvfrom sendto sethostname setdomainname setsockopt socket");
    "kernel-files" [phrase!("give the container its own processes, devices and kernel files")] phrase!("mount /proc, /dev, /dev/pts, /dev/shm, /dev/mqueue and /sys: each shows what the container's namespaces have\n2.6.24, devpts of its own 2.6.29\nCAP_SYS_ADMIN\nps, terminals and shared memory would not work, or be the host's\nproc(5), sysfs(5)\nclose fstatfs mkdirat mount openat openat2 statx");
    "devices" [
        phrase!("make the few devices that every program may expect"),
        phrase!("take the host's devices in hand, since nobody can make any in a user namespace")
    ] phrase!("make /dev/null, zero, full, random, urandom and tty, and links to the standard files\n1.0\nCAP_MKNOD\nin a user namespace the host's are mounted in their places\nnull(4), mknod(2)\nclose mknodat open_tree openat statx symlinkat");
    "terminal" [phrase!("make the container's own terminal")] phrase!("have a pseudo-terminal of the container's own devpts as its console (-t)\n2.6.29\nnone\nprograms would get the host's terminal, into which they could put input\npty(7)\nclose fchown ioctl mount move_mount open_tree openat sendmsg");
    "cgroup-view" [phrase!("show the container's own control groups")] phrase!("have programs see their limits below /sys/fs/cgroup, read-only\n4.6\nCAP_SYS_ADMIN\nprograms that read their limits would find none\ncgroup_namespaces(7)\nclose fstatfs mkdirat mount openat");
    "volumes" [phrase!("put what was taken from the host in its place")] phrase!("attach volumes, resolv.conf, hosts and hostname at places that were opened first, so that no link leads elsewhere\n5.2, options since 5.12\nCAP_SYS_ADMIN\nmount(2) does it, and then each mount below is changed one by one\nmove_mount(2), mount_setattr(2)\nclose fstatfs mkdirat mount mount_setattr move_mount openat openat2 statx");
    "sysctl" [phrase!("set the kernel parameters that were asked for, in the container's namespaces")] phrase!("set what --sysctl asks for: of the network, of message queues and of shared memory\n2.6.24\nCAP_NET_ADMIN or CAP_SYS_ADMIN\nan error\nproc(5)\nclose openat openat2 write");
    "readonly" [phrase!("keep the container from changing the kernel's settings")] phrase!("mount parts of /proc read-only, above all /proc/sys and sysrq-trigger, which hold for the whole machine\n2.6.26\nCAP_SYS_ADMIN\nroot in the container could have the kernel execute a program of its choice on the host (core_pattern)\nmount(2), proc(5)\nclose fstatfs mount openat");
    "masked" [phrase!("hide what tells about the host")] phrase!("cover files by the null device and directories by an empty file system: memory, keys, timers, interrupts, firmware\n2.4\nCAP_SYS_ADMIN\nthe container could read what the host does (--security-opt systempaths=unconfined)\nruntime-spec config-linux.md, proc(5)\nclose fstatfs mount move_mount open_tree openat openat2 statx");
    "rlimits" [phrase!("set the workload's limits")] phrase!("bound what a single process has: open files, processes of its user, its memory (--ulimit)\n2.6.36\nCAP_SYS_RESOURCE to raise a hard limit\nthose of whoever started vial hold\nprlimit(2)\nprlimit64");
    "oom" [phrase!("set how readily the kernel kills the workload when memory is short")] phrase!("choose whether the container or something else goes first (--oom-score-adj)\n2.6.36\nCAP_SYS_RESOURCE to lower it\nthat of whoever started vial holds\nproc(5)\nclose openat write");
    "user" [phrase!("become the workload's user, with no more rights than it needs")] phrase!("look the user up in the container's own files, then change groups and user, so that no right of vial's is left\n1.0\nCAP_SETUID, CAP_SETGID\nthe workload would be root\ncredentials(7)\nclose openat prctl read setgroups setresgid setresuid statx");
    "capabilities" [phrase!("become the workload's user, with no more rights than it needs")] phrase!("leave 14 of some 40 capabilities to the workload, and take the others from all that it may ever execute\n2.2, the bounding set since 2.6.25\nCAP_SETPCAP\nroot in the container could load modules, set the clock and change the host's network (--cap-drop, --cap-add)\ncapabilities(7)\ncapset prctl");
    "no-new-privileges" [phrase!("become the workload's user, with no more rights than it needs")] phrase!("ignore set-user-ID bits and capabilities of files from here on (--security-opt no-new-privileges)\n3.5\nnone\nsudo and its like work in the container, as in docker's\nprctl(2), the kernel's no_new_privs.rst\nprctl");
    "workdir" [
        phrase!("go to the workload's directory"),
        phrase!("make the workload's directory, if the image lacks it")
    ] phrase!("begin where -w or the image says, and see that this is inside the container\n1.0\nnone\nthe workload would begin at the root\nchdir(2)\nchdir close fchownat getcwd mkdirat openat statx");
    "readback" [phrase!("read back what rights the kernel has left to the workload")] phrase!("compare user, groups and capabilities with what was asked for, in the kernel's own words\n2.2\nnone\nwhat the kernel did not do would pass unseen; a difference is an error\nproc(5), /proc/self/status\nread");
    "filter" [phrase!("let the workload use nothing but the system calls and files that it is to have")] phrase!("have the kernel refuse the calls that no container needs, by a BPF program of docker's default profile (seccomp)\n3.17\nCAP_SYS_ADMIN, unless no_new_privs is set\nan error; --best-effort or --security-opt seccomp=unconfined does without\nseccomp(2)\nseccomp");
    "landlock" [phrase!("let the workload use nothing but the system calls and files that it is to have")] phrase!("have the kernel refuse files that --landlock does not name, whatever their modes are\n5.13\nCAP_SYS_ADMIN, unless no_new_privs is set\n--landlock is an error, or with --best-effort a warning\nlandlock(7)\nclose landlock_add_rule landlock_create_ruleset landlock_restrict_self openat");
    "execute" [phrase!("become the workload")] phrase!("say that all is done, and become the program that was asked for; a socket that closes then tells that it worked\n1.0\nnone\nexit code 127 if there is no such program, 126 if it can't be executed\nexecve(2)\nclose dup3 execve openat prctl recvmsg rt_sigaction rt_sigprocmask sendmsg statx umask");
    "network" [
        phrase!("open the directory of networks"),
        phrase!("make the network that containers are on unless told otherwise"),
        phrase!("list the networks"),
        phrase!("write down the network: beside its place first, then renamed"),
        phrase!("take turns with other vials that set up networks here")
    ] phrase!("know which addresses a network has, so that no two have the same\n1.0\nCAP_NET_ADMIN to see what the host has\n--network none or host does without\nnetlink(7)\nclock_gettime close flock fsync getdents64 getrandom mkdirat openat read recvfrom renameat2 sendto setsockopt socket write");
    "address" [
        phrase!("take an address of the network"),
        phrase!("look who has which address of the network")
    ] phrase!("choose an address that no other container of the network has, and note whose it is\n1.0\nnone\ntwo containers could have the same\nnone but vial's own\nclose faccessat flock getdents64 openat read renameat2 unlinkat write");
    "bridge" [
        phrase!("set up the network's bridge, the way out, and what keeps others out"),
        phrase!("look whether the network's bridge is there")
    ] phrase!("have an interface of the host's that all containers of a network are at, with packet filters that change addresses\n2.2, nf_tables since 3.13\nCAP_NET_ADMIN\n--network none or host does without\nnetlink(7), nft(8)\nclose getdents64 openat read recvfrom sendto setsockopt socket write");
    "veth" [
        phrase!("make the container's interface in its network namespace, and its other end at the bridge"),
        phrase!("give the container's interface its addresses and the way out"),
        phrase!("open the container's network namespace"),
        phrase!("name the container's network namespace, for ip netns")
    ] phrase!("have a cable with one end in the container and one at the bridge\n2.6.24\nCAP_NET_ADMIN and CAP_SYS_ADMIN\n--network none or host does without\nveth(4)\nclose faccessat mkdirat openat recvfrom renameat2 sendto setns setsockopt socket symlinkat unlinkat write");
    "publish" [
        phrase!("have the kernel send what comes to the host's ports to the container"),
        phrase!("listen at a published port"),
        phrase!("make the process that passes on what comes to ports published on the loopback")
    ] phrase!("lead ports of the host's to the container (-p), and hold them so that nobody else takes them\n3.13\nCAP_NET_ADMIN, for ports below 1024 CAP_NET_BIND_SERVICE\nthe host and other containers of the network alone reach it\nnft(8)\nbind clone close getpid listen openat read recvfrom sendto setsockopt socket write");
    "resolver" [
        phrase!("have the names of the network's containers answered"),
        phrase!("let the network's other containers find this one by name"),
        phrase!("tell the container its address and its name servers")
    ] phrase!("have containers of a network find each other by name\n2.6.27\nCAP_NET_BIND_SERVICE\nthey would need addresses\nresolv.conf(5)\nbind clone close flock getpid inotify_add_watch inotify_init1 listen mkdirat mknodat openat setsockopt socket write");
    "wait" [
        phrase!("wait for the workload, and pass on what comes for it"),
        phrase!("wait until the container's first process has become the workload, or says why not"),
        phrase!("make the channel on which the container's first process reports")
    ] phrase!("learn how it ended, and pass on signals and what is typed meanwhile\n2.6.27\nnone\na process that nobody waits for stays as a zombie\nwait4(2), signalfd(2)\nclose ppoll read recvmsg signalfd4 socketpair wait4");
    "init" [phrase!("be the container's init: collect what has ended, pass signals on")] phrase!("have a process 1 that waits for orphans (--init), since the kernel gives it all that lose their parents\n2.6.24\nnone\na workload that waits for none gathers zombies\npid_namespaces(7)\nclose exit_group kill ppoll read wait4");
    "monitor" [
        phrase!("make the process that stays with the container, its monitor"),
        phrase!("watch the container: its output, its end, and who attaches")
    ] phrase!("have a process for each container in the background (-d), in place of a daemon for all\n2.6.27\nnone\nnobody would keep its output, or how it ended\nvial's ARCHITECTURE.md\naccept4 clone close openat ppoll read recvmsg sendmsg wait4 write");
    "remove-cgroup" [
        phrase!("remove the control group"),
        phrase!("remove the container's control group, and whatever is left in it"),
        phrase!("see whether memory ran out")
    ] phrase!("kill what is left of the container, and give its group back\n2.6.24\nnone\ngroups would gather; `vial gc` removes them\ncgroups(7)\nclose getdents64 kill openat read unlinkat write");
    "remove" [
        phrase!("remove the container's directory and give its name back"),
        phrase!("take the container off its networks"),
        phrase!("give the address back"),
        phrase!("separate the container's interfaces from their bridges; they go with its network namespace"),
        phrase!("let the container be found by name no more"),
        phrase!("make the process that sees the container's interfaces go")
    ] phrase!("leave nothing behind (--rm)\n1.0\nnone\n`vial rm` or `vial gc` does it later\nunlink(2)\nclone close flock getdents64 getpid openat pidfd_open pidfd_send_signal read readlinkat recvfrom sendto setsockopt socket statx unlinkat wait4");
}
