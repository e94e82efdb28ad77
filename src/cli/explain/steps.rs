//! The steps by which a container is made: what each is for, what it takes, and what is so without it.
//!
//! A step goes by the words under which `--dry-run` and the ledger put its calls. What several steps of this table do under the
//! same words has these words in each of them.

use crate::base::phrase::Phrase;
use crate::base::text::Cut;

/// A step.
pub(super) struct Step {
    /// The words that head its calls; behind the last, empty ones.
    pub headings: [Phrase; MOST],
    /// Lines: its name, what it is for, since which Linux, what it takes, what is so without it, the source, and the calls.
    facts: Phrase,
}

/// The most headings that a step has.
const MOST: usize = 6;

impl Step {
    /// A line of what is known of it.
    #[inline(never)]
    pub fn line(&self, at: usize) -> &'static str {
        self.facts.kept().parts(b'\n').nth(at).unwrap_or_default()
    }
}

/// The headings, and empty ones.
const fn headings(some: &[Phrase]) -> [Phrase; MOST] {
    let mut all = [Phrase::EMPTY; MOST];
    let (known, _) = all.split_at_mut(some.len());
    known.copy_from_slice(some);
    all
}

macro_rules! steps {
    ($([$($heading:expr),*] $facts:expr;)*) => {
        /// In the order in which they are taken.
        pub(super) static STEPS: &[Step] = &[$(Step { headings: headings(&[$($heading),*]), facts: $facts },)*];
    };
}

steps! {
    [
        phrase!("keep this ledger"),
        phrase!("open the file that the ledger goes to"),
        phrase!("print this ledger"),
        phrase!("end")
    ] phrase!("ledger\ntell of each call (--explain)\n1.0\nnone\nnothing is told\nvial's ARCHITECTURE.md\nclock_gettime exit_group getpid mmap munmap openat write");
    [
        phrase!("Run a command in a new container"),
        phrase!("read signals as a file later, and give files exactly the modes that are asked for"),
        phrase!("open the directory that holds all of vial's state"),
        phrase!("see whether the kernel has overlays"),
        phrase!("unpack a part of vial that most commands never execute"),
        phrase!("go to the container's directory, where relative paths start")
    ] phrase!("prepare\nfind the image, and make the plan (--dry-run prints it)\n1.0\nnone\nthere is nothing to make a container of\nvial's ARCHITECTURE.md\nclock_gettime clone close fchdir flock fsopen fstatfs geteuid getpid madvise mkdirat mmap mprotect munmap openat read renameat2 rt_sigprocmask sendmsg setsockopt socket statx umask write");
    [
        phrase!("make the container's directory, under an ID and a name that no other has"),
        phrase!("write down what the container is: a bundle as the OCI runtime specification has it"),
        phrase!("write down that the container runs")
    ] phrase!("bundle\nwrite down what is going to be made, so that what a killed vial leaves can be removed\n1.0\nnone\nnobody would know what belongs to the container\nruntime-spec config.md\nclock_gettime close flock getpid getrandom mkdirat mmap openat read renameat2 symlinkat write");
    [
        phrase!("make the container's control group and set its limits, before anything of it runs"),
        phrase!("find the host's control groups"),
        phrase!("make the container's control group and set its limits"),
        phrase!("limit what the container may use")
    ] phrase!("cgroup\nhave one limit of memory, processors and processes for the whole container\n2.6.24, version 2 since 4.5\nCAP_DAC_OVERRIDE, or a group that the user owns\nonly --best-effort: no limit, no pause, no count of what is used\ncgroups(7)\nclose mkdirat openat read statfs write");
    [phrase!("limit what the container may use")] phrase!("device-rules\nlet the container use no other devices than it is given, though it may make their nodes\n2.6.26, for cgroup v2 since 4.15\nCAP_SYS_ADMIN\nonly --best-effort or --privileged: root inside could read the host's disks\ncgroups(7), bpf(2)\nbpf close openat write");
    [phrase!("make the container's first process, in namespaces of its own")] phrase!("namespaces\nsee mounts, names, processes, a network and message queues of one's own\n2.6.24, for users since 3.8, for control groups since 4.6\nCAP_SYS_ADMIN\nno container; without single ones only --pid host, --network host and so on\nnamespaces(7)\nclone clone3 close openat");
    [phrase!("end with vial, and keep its open files from the workload")] phrase!("descriptors\nleave no file of the host's open in the workload, and no workload that nobody watches\n2.2, close_range since 5.9\nnone\nan open directory would be a way out of the container\nclose_range(2), prctl(2)\nclose close_range prctl setsid umask");
    [phrase!("end with vial, and keep its open files from the workload")] phrase!("keyring\nhave a session keyring of one's own, since keys are in no namespace\n2.6.10\nnone\nthe workload could use the keys of whoever started it\nsession-keyring(7)\nkeyctl");
    [
        phrase!("enter the control group"),
        phrase!("join the container's control group, before anything of it runs")
    ] phrase!("enter-cgroup\nbe in the control group before anything is used that it limits, and see it as the root\n2.6.24, the namespace since 4.6\nCAP_SYS_ADMIN\nprocesses would be above their limits\ncgroup_namespaces(7)\nclose openat unshare write");
    [phrase!("share namespaces with another container or the host, as asked")] phrase!("share\nuse the namespace of another container: --network container:ID and its like\n3.0\nCAP_SYS_ADMIN, for mounts CAP_SYS_CHROOT too\nan error\nsetns(2)\nclose openat setns");
    [phrase!("take the host's files and directories that the container gets in hand, while they can be seen")] phrase!("host-trees\nhold what -v gives to the container, since no path leads there later\n5.2\nCAP_SYS_ADMIN\nmount(2) does it\nopen_tree(2)\nclose open_tree openat statx");
    [
        phrase!("make a user namespace, in which root is nobody to the host"),
        phrase!("go on as root of the user namespace, in namespaces that belong to it")
    ] phrase!("userns\nhave root inside be nobody outside (--userns)\n3.8\nnone; to map more than one's own IDs CAP_SETUID and CAP_SETGID\nneither --userns nor vial as a normal user\nuser_namespaces(7)\nclone close fcntl openat read sendmsg setfsgid setfsuid setns setresgid setresuid unshare wait4 write");
    [phrase!("cut the container's mounts off from the host's, so that neither sees what the other mounts")] phrase!("private\nhave what is mounted stay in the container; pivot_root asks for it, too\n2.6.15\nCAP_SYS_ADMIN\nthe host would see the container's mounts, since systemd shares all\nmount_namespaces(7)\nmount");
    [phrase!("put the container's root together: the image's layers below, the container's own changes on top")] phrase!("root\nhave a root that can be written to, while the image stays as it is\n3.18\nCAP_SYS_ADMIN, in a user namespace since 5.11\nonly --storage copy or btrfs\nmount(2), the kernel's overlayfs.rst\nclose fchown mkdirat mount openat statx");
    [phrase!("make it the root directory; from here on no path leads back to the host's files")] phrase!("switch-root\nhave no path lead to the host: chroot alone can be left by whoever is root\n2.4\nCAP_SYS_ADMIN\na root that can't be pivoted, the initial RAM file system, has the new one moved over it, and chroot\npivot_root(2)\nchdir chroot close fchdir mount openat pivot_root statx umount2");
    [phrase!("give the container its own name and a loopback interface")] phrase!("names\nhave a host name of one's own, and 127.0.0.1 work: a new network namespace has it down\n2.6.19, networks 2.6.24\nCAP_SYS_ADMIN and CAP_NET_ADMIN\nprograms that connect to themselves would fail\nuts_namespaces(7), network_namespaces(7)\nclose recvfrom sendto sethostname setdomainname setsockopt socket");
    [
        phrase!("give the container its own processes, devices and kernel files"),
        phrase!("make the container's own kernel files while the host's can be seen")
    ] phrase!("kernel-files\nmount /proc, /dev, /sys and what is below them, which show the container's own namespaces\n2.6.24, devpts of its own 2.6.29\nCAP_SYS_ADMIN\nps, terminals and shared memory would not work\nproc(5), sysfs(5)\nclose fsconfig fsmount fsopen fstatfs mkdirat mount openat openat2 statfs statx");
    [
        phrase!("make the few devices that every program may expect"),
        phrase!("take the host's devices in hand, since nobody can make any in a user namespace")
    ] phrase!("devices\nhave /dev/null, zero, full, random, urandom, tty and the standard files\n1.0\nCAP_MKNOD\nin a user namespace, where nobody can make devices, the host's are mounted in their places\nnull(4), mknod(2)\nclose mknodat open_tree openat statx symlinkat");
    [phrase!("make the container's own terminal")] phrase!("terminal\nhave a terminal of the container's own devpts (-t)\n2.6.29\nnone\nprograms could put input into the host's terminal\npty(7)\nclose fchown ioctl mount move_mount open_tree openat sendmsg");
    [phrase!("show the container's own control groups")] phrase!("cgroup-view\nhave programs see their limits in /sys/fs/cgroup, read-only\n4.6\nCAP_SYS_ADMIN\nprograms that read their limits would find none\ncgroup_namespaces(7)\nmkdirat mount statfs");
    [phrase!("put what was taken from the host in its place")] phrase!("volumes\nput volumes, resolv.conf, hosts and hostname in their places, which are opened first lest a link lead elsewhere\n5.2, options since 5.12\nCAP_SYS_ADMIN\nmount(2) does it\nmove_mount(2), mount_setattr(2)\nclose fstatfs mkdirat mount mount_setattr move_mount openat openat2 statfs statx");
    [phrase!("set the kernel parameters that were asked for, in the container's namespaces")] phrase!("sysctl\nset what --sysctl asks for\n2.6.24\nCAP_NET_ADMIN or CAP_SYS_ADMIN\nan error\nproc(5)\nclose openat openat2 write");
    [phrase!("keep the container from changing the kernel's settings")] phrase!("readonly\nhave /proc/sys and the like read-only, which hold for the whole machine\n2.6.26\nCAP_SYS_ADMIN\nroot inside could have the host execute a program of its choice (core_pattern)\nmount(2), proc(5)\nmount statfs");
    [phrase!("hide what tells about the host")] phrase!("masked\ncover memory, keys, timers, interrupts and firmware by the null device or an empty directory\n2.4\nCAP_SYS_ADMIN\nthe container could read what the host does\nruntime-spec config-linux.md, proc(5)\nclose fstatfs mount move_mount open_tree openat openat2 statfs statx");
    [phrase!("set the workload's limits")] phrase!("rlimits\nbound what a single process has (--ulimit)\n2.6.36\nCAP_SYS_RESOURCE to raise a hard limit\nthose of whoever started vial hold\nprlimit(2)\nprlimit64");
    [phrase!("set how readily the kernel kills the workload when memory is short")] phrase!("oom\nchoose whether the container goes first (--oom-score-adj)\n2.6.36\nCAP_SYS_RESOURCE to lower it\nthat of whoever started vial holds\nproc(5)\nclose openat write");
    [phrase!("become the workload's user, with no more rights than it needs")] phrase!("user\nchange groups and user, as the container's own files have them\n1.0\nCAP_SETUID, CAP_SETGID\nthe workload would be root\ncredentials(7)\nclose openat prctl read setgroups setresgid setresuid statx");
    [phrase!("become the workload's user, with no more rights than it needs")] phrase!("capabilities\nleave 14 of 41 capabilities to the workload and all that it may execute\n2.2, the bounding set since 2.6.25\nCAP_SETPCAP\nroot inside could load modules and set the clock\ncapabilities(7)\ncapset prctl");
    [phrase!("become the workload's user, with no more rights than it needs")] phrase!("no-new-privileges\nignore set-user-ID bits and capabilities of files (--security-opt no-new-privileges)\n3.5\nnone\nsudo and its like work inside\nprctl(2), the kernel's no_new_privs.rst\nprctl");
    [
        phrase!("go to the workload's directory"),
        phrase!("make the workload's directory, if the image lacks it")
    ] phrase!("workdir\nbegin where -w or the image says, inside the container\n1.0\nnone\nthe workload would begin at the root\nchdir(2)\nchdir close fchownat getcwd mkdirat openat statx");
    [phrase!("read back what rights the kernel has left to the workload")] phrase!("readback\ncompare user, groups and capabilities with what was asked for\n2.2\nnone\nwhat the kernel did not do would pass unseen\nproc(5), /proc/self/status\nread");
    [phrase!("let the workload use nothing but the system calls and files that it is to have")] phrase!("filter\nhave the kernel refuse calls that no container needs, by docker's profile (seccomp)\n3.17\nCAP_SYS_ADMIN, unless no_new_privs is set\nan error; --best-effort or --security-opt seccomp=unconfined does without\nseccomp(2)\nseccomp");
    [phrase!("let the workload use nothing but the system calls and files that it is to have")] phrase!("landlock\nhave the kernel refuse files that --landlock does not name\n5.13\nCAP_SYS_ADMIN, unless no_new_privs is set\n--landlock is refused\nlandlock(7)\nclose landlock_add_rule landlock_create_ruleset landlock_restrict_self openat");
    [phrase!("become the workload")] phrase!("execute\nbecome the program that was asked for; a socket that closes then tells that it worked\n1.0\nnone\nexit code 127 if there is no such program, 126 if it can't be executed\nexecve(2)\nclose dup3 execve openat prctl recvmsg rt_sigaction rt_sigprocmask sendmsg statx umask");
    [
        phrase!("open the directory of networks"),
        phrase!("make the network that containers are on unless told otherwise"),
        phrase!("list the networks"),
        phrase!("write down the network: beside its place first, then renamed"),
        phrase!("take turns with other vials that set up networks here")
    ] phrase!("network\nknow which addresses a network has\n1.0\nCAP_NET_ADMIN to see what the host has\nonly --network none or host\nnetlink(7)\nclock_gettime close flock fsync getdents64 getrandom mkdirat openat read recvfrom renameat2 sendto setsockopt socket write");
    [
        phrase!("take an address of the network"),
        phrase!("look who has which address of the network")
    ] phrase!("address\nchoose an address that no other container has, and note whose it is\n1.0\nnone\ntwo containers could have the same\nnone but vial's own\nclose faccessat flock getdents64 openat read renameat2 unlinkat write");
    [
        phrase!("set up the network's bridge, the way out, and what keeps others out"),
        phrase!("look whether the network's bridge is there")
    ] phrase!("bridge\nhave an interface at which all containers of a network are, and packet filters for the way out\n2.2, nf_tables since 3.13\nCAP_NET_ADMIN\nonly --network none or host\nnetlink(7), nft(8)\nclose getdents64 openat read recvfrom sendto setsockopt socket write");
    [
        phrase!("make the container's interface in its network namespace, and its other end at the bridge"),
        phrase!("give the container's interface its addresses and the way out"),
        phrase!("open the container's network namespace"),
        phrase!("name the container's network namespace, for ip netns")
    ] phrase!("veth\nhave a cable with one end in the container and one at the bridge\n2.6.24\nCAP_NET_ADMIN and CAP_SYS_ADMIN\nonly --network none or host\nveth(4)\nclose faccessat mkdirat openat recvfrom renameat2 sendto setns setsockopt socket symlinkat unlinkat write");
    [
        phrase!("have the kernel send what comes to the host's ports to the container"),
        phrase!("listen at a published port"),
        phrase!("make the process that passes on what comes to ports published on the loopback")
    ] phrase!("publish\nlead ports of the host's to the container (-p), and hold them\n3.13\nCAP_NET_ADMIN, for ports below 1024 CAP_NET_BIND_SERVICE\nonly the host and the network's containers reach it\nnft(8)\nbind clone close getpid listen openat read recvfrom sendto setsockopt socket write");
    [
        phrase!("have the names of the network's containers answered"),
        phrase!("let the network's other containers find this one by name"),
        phrase!("tell the container its address and its name servers")
    ] phrase!("resolver\nhave containers of a network find each other by name\n2.6.27\nCAP_NET_BIND_SERVICE\nthey would need addresses\nresolv.conf(5)\nbind clone close flock getpid inotify_add_watch inotify_init1 listen mkdirat mknodat openat setsockopt socket write");
    [
        phrase!("wait for the workload, and pass on what comes for it"),
        phrase!("wait until the container's first process has become the workload, or says why not"),
        phrase!("make the channel on which the container's first process reports")
    ] phrase!("wait\nlearn how it ended, and pass on signals and input\n2.6.27\nnone\nit would stay as a zombie\nwait4(2), signalfd(2)\nclose ppoll read recvmsg signalfd4 socketpair wait4");
    [phrase!("be the container's init: collect what has ended, pass signals on")] phrase!("init\nhave a process 1 that waits for orphans (--init)\n2.6.24\nnone\nzombies gather if the workload waits for none\npid_namespaces(7)\nclose exit_group kill ppoll read wait4");
    [
        phrase!("make the process that stays with the container, its monitor"),
        phrase!("watch the container: its output, its end, and who attaches")
    ] phrase!("monitor\nhave a process for each container in the background (-d), and no daemon\n2.6.27\nnone\nnobody would keep its output, or how it ended\nvial's ARCHITECTURE.md\naccept4 clone close openat ppoll read recvmsg sendmsg wait4 write");
    [
        phrase!("remove the control group"),
        phrase!("remove the container's control group, and whatever is left in it"),
        phrase!("see whether memory ran out")
    ] phrase!("remove-cgroup\nkill what is left of the container, and give its group back\n2.6.24\nnone\n`vial gc` does it later\ncgroups(7)\nclose getdents64 kill openat read unlinkat write");
    [
        phrase!("remove the container's directory and give its name back"),
        phrase!("take the container off its networks"),
        phrase!("give the address back"),
        phrase!("separate the container's interfaces from their bridges; they go with its network namespace"),
        phrase!("let the container be found by name no more"),
        phrase!("make the process that sees the container's interfaces go")
    ] phrase!("remove\nleave nothing behind (--rm)\n1.0\nnone\n`vial rm` or `vial gc` does it later\nunlink(2)\nclone close flock getdents64 getpid openat pidfd_open pidfd_send_signal read readlinkat recvfrom sendto setsockopt socket statx unlinkat wait4");
}
