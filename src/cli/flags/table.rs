//! The rows: every flag, by group.

use super::{Flag, Group, Takes};
use crate::base::phrase::Phrase;

/// Turns the rows into the groups and into [`Id`], which has one name for each row.
macro_rules! flags {
    ($($(#[$attribute:meta])* $group:ident $title:literal {
        $($id:ident $short:literal $long:literal $takes:ident $value:literal $help:literal;)*
    })*) => {
        /// Which flag it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Id { $($(#[doc = $help] $id,)*)* }

        /// The names of all flags, in the order of [`Id`].
        const NAMES: &str = concat!($($($long,)*)*);
        /// Where each of them ends.
        static ENDS: &[u16] = &ends([$($($long.len(),)*)*]);

        /// All of them, in the order of [`Id`].
        static FLAGS: &[Flag] = &[$($(Flag {
            id: Id::$id,
            short: $short,
            takes: Takes::$takes,
            value: phrase!($value),
            help: phrase!($help),
        },)*)*];

        $($(#[$attribute])* pub const $group: Group = group(phrase!($title), &[$(Id::$id),*]);)*
    };
}

/// The group of these flags, which stand one behind the other.
const fn group(title: Phrase, flags: &[Id]) -> Group {
    Group { title, first: flags[0] as u8, count: flags.len() as u8 }
}

impl Group {
    /// The rows, the common ones first.
    #[must_use]
    pub fn flags(&self) -> &'static [Flag] {
        let first = usize::from(self.first);
        FLAGS.get(first..first + usize::from(self.count)).unwrap_or_default()
    }
}

/// Where names of these lengths end that stand one behind the other.
const fn ends<const COUNT: usize>(lengths: [usize; COUNT]) -> [u16; COUNT] {
    let (mut ends, mut end, mut at) = ([0; COUNT], 0, 0);
    while at < COUNT {
        end += lengths[at];
        ends[at] = end as u16;
        at += 1;
    }
    ends
}

/// The name of a flag.
#[inline(never)]
pub(in crate::cli) fn name(id: Id) -> &'static str {
    let end = |place: usize| ENDS.get(place).copied().map_or(0, usize::from);
    NAMES.get(end((id as usize).wrapping_sub(1))..end(id as usize)).unwrap_or_default()
}

flags! {
    /// What every command takes, before or after its name.
    GLOBAL "Global options" {
        Root              b' ' "root"               One      "DIR"            "Keep all state below this directory";
        Ram               b' ' "ram"                Switch   ""               "Keep all state in memory, if not told where below /run";
        Storage           b' ' "storage"            One      "DRIVER"         "What roots are made with: overlay, btrfs or copy";
        Explain           b' ' "explain"            Optional "text|json"      "Say every system call and why it was made";
        ExplainTo         b' ' "explain-to"         One      "FILE"           "Write what --explain says to this file";
        BestEffort        b' ' "best-effort"        Switch   ""               "Warn instead of fail where the kernel lacks a feature";
        Help              b'h' "help"               Switch   ""               "Show this help";
    }
    /// What only `vial` itself takes, before any command.
    TOP "Options" {
        TopVersion        b'v' "version"            Switch   ""               "Print the version";
    }
    /// What most processes in a container need.
    WORKLOAD "Common options" {
        Detach            b'd' "detach"             Switch   ""               "Leave it running in the background";
        Interactive       b'i' "interactive"        Switch   ""               "Keep standard input open";
        Tty               b't' "tty"                Switch   ""               "Give the container a terminal";
        Env               b'e' "env"                Many     "NAME[=VALUE]"   "Set a variable, or pass on the caller's";
        Workdir           b'w' "workdir"            One      "DIR"            "Start in this directory";
        User              b'u' "user"               One      "USER[:GROUP]"   "Run as this user, by name or number";
        EnvFile           b' ' "env-file"           Many     "FILE"           "Read variables from a file";
    }
    /// `audit`.
    AUDIT "What is recorded" {
        AuditProfile      b'o' "output"             One      "FILE"           "Write a seccomp profile of the calls that were made";
        AuditArgs         b' ' "args"               Switch   ""               "Tell what calls were made with too";
        AuditOnlyCalls    b' ' "only-calls"         Switch   ""               "Tell of calls alone, not of files, addresses and rights";
        AuditWith         b' ' "with"               One      "WAY"            "How calls are seen: ebpf or notify";
        AuditReport       b' ' "report"             One      "FILE"           "Write the report to this file, not to standard error";
        AuditJson         b' ' "json"               Switch   ""               "Write the report as JSON";
        AuditFollow       b' ' "follow"             One      "CONTAINER"      "Watch one that runs, with what is executed in it";
        AuditReplay       b' ' "replay"             Switch   ""               "Run it again with what it used alone, and compare";
        AuditMerge        b' ' "merge"              Switch   ""               "Unite the profiles that are named, and run nothing";
    }
    /// `why`.
    WHY "What is told" {
        WhyAgain          b' ' "again"              Switch   ""               "Start a container again, and follow its calls";
        WhyReport         b' ' "report"             One      "FILE"           "Write the answer to this file, not to standard error";
        WhyJson           b' ' "json"               Switch   ""               "Write the answer as JSON";
    }
    /// What most containers need.
    RUN "Container" {
        Remove            b' ' "rm"                 Switch   ""               "Remove the container when it ends";
        Name              b' ' "name"               One      "NAME"           "Name the container";
        Volume            b'v' "volume"             Many     "[SRC:]DST[:OPTS]" "Mount a host path or a volume";
        Network           b' ' "network"            Many     "NETWORK"        "A network, none, host, container:ID or ns:PATH";
        Publish           b'p' "publish"            Many     "[[IP:]PORT:]PORT" "Let a port of the host's lead to one inside";
        PublishAll        b'P' "publish-all"        Switch   ""               "Publish all ports that it is said to listen on";
        DryRun            b' ' "dry-run"            Switch   ""               "Print the plan and do nothing";
    }
    /// The process and its record.
    PROCESS "Process" {
        Entrypoint        b' ' "entrypoint"         One      "COMMAND"        "Replace the image's entrypoint; empty for none";
        GroupAdd          b' ' "group-add"          Many     "GROUP"          "Add a supplementary group";
        Init              b' ' "init"               Switch   ""               "Run an init that reaps and forwards signals";
        Restart           b' ' "restart"            One      "POLICY"         "no, on-failure[:COUNT], always or unless-stopped";
        StopTimeout       b' ' "stop-timeout"       One      "SECONDS"        "How long to wait before what is stopped is killed (10)";
        StopSignal        b' ' "stop-signal"        One      "SIGNAL"         "What asks the process to stop (SIGTERM)";
        Ulimit            b' ' "ulimit"             Many     "NAME=SOFT[:HARD]" "Set a resource limit of the process";
        OomScoreAdj       b' ' "oom-score-adj"      One      "NUMBER"         "Sooner or later killed when memory is out";
        Label             b'l' "label"              Many     "NAME[=VALUE]"   "Note something about the container";
        LabelFile         b' ' "label-file"         Many     "FILE"           "Read labels from a file";
        CidFile           b' ' "cidfile"            One      "FILE"           "Write the container's ID to a new file";
        LogDriver         b' ' "log-driver"         One      "NAME"           "k8s-file, json-file or local (all the same), or none";
        LogOpt            b' ' "log-opt"            Many     "NAME=VALUE"     "max-size=SIZE or max-file=NUMBER (10m, 3)";
    }
    /// What the container sees of files and devices.
    FILES "Files and devices" {
        Mount             b' ' "mount"              Many     "KEY=VALUE,..."  "Mount: type=bind|volume|tmpfs,src=,dst=,readonly";
        Tmpfs             b' ' "tmpfs"              Many     "DST[:OPTS]"     "Mount an empty file system in memory";
        ReadOnly          b' ' "read-only"          Switch   ""               "Make the root file system read-only";
        ShmSize           b' ' "shm-size"           One      "SIZE"           "Size of /dev/shm (64m)";
        Device            b' ' "device"             Many     "HOST[:DST[:rwm]]" "Give a device of the host";
    }
    /// What a container is on a network.
    PRESENCE "On the network" {
        NetworkAlias      b' ' "network-alias"      Many     "NAME"           "Be found under this name too on the network";
        Ip                b' ' "ip"                 One      "IP"             "An IPv4 address of its network, such as 10.0.0.5";
        Ip6               b' ' "ip6"                One      "IP"             "An IPv6 address of its network";
        MacAddress        b' ' "mac-address"        One      "MAC"            "Its MAC address, such as 02:42:0a:00:00:05";
    }
    /// Names, addresses and namespaces.
    NAMESPACES "Names and namespaces" {
        Hostname          b'h' "hostname"           One      "NAME"           "Host name in the container";
        Domainname        b' ' "domainname"         One      "NAME"           "NIS domain name in the container";
        Expose            b' ' "expose"             Many     "PORT[/udp]"     "A port that it listens on, such as 80 or 53/udp";
        AddHost           b' ' "add-host"           Many     "NAME:IP"        "Add a line to /etc/hosts";
        Dns               b' ' "dns"                Many     "IP"             "Ask this name server";
        DnsSearch         b' ' "dns-search"         Many     "DOMAIN"         "Look up short names in this domain";
        DnsOption         b' ' "dns-option"         Many     "OPTION"         "Add an option of resolv.conf";
        Pid               b' ' "pid"                One      "MODE"           "private, host or container:ID";
        Ipc               b' ' "ipc"                One      "MODE"           "private, shareable, none, host or container:ID";
        Uts               b' ' "uts"                One      "MODE"           "private, host or container:ID";
        CgroupNs          b' ' "cgroupns"           One      "MODE"           "private or host";
        UserNs            b' ' "userns"             One      "MODE"           "auto (IDs of its own), keep-id or host";
        UidMap            b' ' "uidmap"             Many     "IN:OUT:COUNT"   "User IDs inside and what they are outside";
        GidMap            b' ' "gidmap"             Many     "IN:OUT:COUNT"   "The same for groups";
        Sysctl            b' ' "sysctl"             Many     "NAME=VALUE"     "Set a kernel parameter of a namespace";
    }
    /// What cgroups enforce, and what can be changed while a container runs.
    LIMITS "Limits" {
        Memory            b'm' "memory"             One      "SIZE"           "Limit memory";
        Cpus              b' ' "cpus"               One      "NUMBER"         "Limit CPU time, in CPUs: 1.5";
        MemoryReservation b' ' "memory-reservation" One      "SIZE"           "Keep this much when memory is short";
        MemoryHigh        b' ' "memory-high"        One      "SIZE"           "Slow the container down above this (cgroup v2)";
        MemorySwap        b' ' "memory-swap"        One      "SIZE"           "Memory and swap together; -1 for no limit";
        MemorySwappiness  b' ' "memory-swappiness"  One      "0..100"         "How readily memory is swapped (cgroup v1)";
        CpuQuota          b' ' "cpu-quota"          One      "USEC"           "CPU time in each period; -1 for no limit";
        CpuPeriod         b' ' "cpu-period"         One      "USEC"           "Length of a period (100000)";
        CpuShares         b'c' "cpu-shares"         One      "NUMBER"         "Weight against other containers (1024)";
        CpusetCpus        b' ' "cpuset-cpus"        One      "LIST"           "Run on these CPUs only: 0-2,4";
        CpusetMems        b' ' "cpuset-mems"        One      "LIST"           "Use memory of these nodes only";
        PidsLimit         b' ' "pids-limit"         One      "NUMBER"         "Limit processes and threads; -1 for no limit";
        BlkioWeight       b' ' "blkio-weight"       One      "10..1000"       "Weight of block I/O";
        DeviceReadBps     b' ' "device-read-bps"    Many     "PATH:SIZE"      "Limit bytes read per second";
        DeviceWriteBps    b' ' "device-write-bps"   Many     "PATH:SIZE"      "Limit bytes written per second";
        DeviceReadIops    b' ' "device-read-iops"   Many     "PATH:NUMBER"    "Limit reads per second";
        DeviceWriteIops   b' ' "device-write-iops"  Many     "PATH:NUMBER"    "Limit writes per second";
    }
    /// What cgroups enforce from the beginning on.
    FIXED_LIMITS "Limits" {
        OomKillDisable    b' ' "oom-kill-disable"   Switch   ""               "Pause instead of kill when out of memory (cgroup v1)";
        DeviceCgroupRule  b' ' "device-cgroup-rule" Many     "'c 1:3 rwm'"    "Allow devices by number";
        CgroupParent      b' ' "cgroup-parent"      One      "PATH"           "Put the container's cgroup below this one";
    }
    /// What the process may do.
    SECURITY "Security" {
        CapAdd            b' ' "cap-add"            Many     "NAME"           "Grant a capability, or ALL";
        CapDrop           b' ' "cap-drop"           Many     "NAME"           "Take a capability away, or ALL";
        SecurityOpt       b' ' "security-opt"       Many     "OPTION"         "seccomp=, apparmor=, mask=, unmask= or no-new-privileges";
        Landlock          b' ' "landlock"           Many     "ro:PATH,rw:PATH" "Let only files below these paths be used";
        RunPrivileged     b' ' "privileged"         Switch   ""               "Grant all capabilities and devices, hide nothing";
    }
    /// How lists of names print.
    QUIET "Output" {
        Quiet             b'q' "quiet"              Switch   ""               "Print IDs or names only";
    }
    /// How lists print.
    LISTING "Output" {
        NoTrunc           b' ' "no-trunc"           Switch   ""               "Print whole IDs";
        Format            b' ' "format"             One      "FORMAT"         "table, json or a template such as '{{.ID}}'";
        Json              b' ' "json"               Switch   ""               "Print one JSON array";
    }
    /// Where a list has no IDs to cut short.
    VOLUME_LISTING "Output" {
        VolumeQuiet       b'q' "quiet"              Switch   ""               "Print names only";
        VolumeFormat      b' ' "format"             One      "FORMAT"         "table, json or a template such as '{{.Name}}'";
        VolumeJson        b' ' "json"               Switch   ""               "Print one JSON array";
    }
    /// Where there is one result.
    JSON "Options" {
        ReportJson        b' ' "json"               Switch   ""               "Print JSON";
    }
    /// `syscalls`.
    SYSCALLS "As a profile" {
        SyscallsSeccomp   b' ' "seccomp"            Switch   ""               "Print a seccomp profile under which vial runs";
    }
    /// `seccomp`.
    SECCOMP "As a program" {
        SeccompProgram    b' ' "program"            Switch   ""               "Print the program that the kernel gets";
    }
    /// `explain`.
    EXPLAIN "Ledgers" {
        ExplainDiff       b' ' "diff"               Switch   ""               "Say what two ledgers, written as JSON, differ in";
    }
    /// `import`.
    IMPORT "Options" {
        Message           b'm' "message"            One      "TEXT"           "Note where the image comes from";
    }
    /// `load`.
    LOAD "Options" {
        Input             b'i' "input"              One      "FILE|DIR"       "Read this, not standard input";
        LoadQuiet         b'q' "quiet"              Switch   ""               "Do not say how far it is";
    }
    /// Where an image is unpacked.
    UNPACK "Options" {
        MaxSize           b' ' "max-size"           One      "SIZE"           "Refuse what unpacks to more than this";
    }
    /// Where an image may be for several machines.
    PLATFORM "Options" {
        Platform          b' ' "platform"           One      "OS/ARCH"        "Take the image for this machine, not for this one's kind";
    }
    /// `run` and `create`.
    PROVIDE "Options" {
        Pull              b' ' "pull"               One      "WHEN"           "Pull the image: missing (default), always or never";
    }
    /// `pull`.
    PULL "Options" {
        Credentials       b' ' "creds"              One      "USER:PASSWORD"  "Log in with these; else as the file `registries` says";
        PlainHttp         b' ' "plain-http"         Switch   ""               "Speak HTTP without TLS";
        PullQuiet         b'q' "quiet"              Switch   ""               "Print the image's whole name only";
    }
    /// `cp`.
    CP "Options" {
        Archive           b'a' "archive"            Switch   ""               "Keep owners; else root's inside, and yours outside";
        FollowLink        b'L' "follow-link"        Switch   ""               "Copy what a link as SRC leads to";
        CpQuiet           b'q' "quiet"              Switch   ""               "Do not say how much was copied";
    }
    /// `save`.
    SAVE "Options" {
        SaveFormat        b' ' "format"             One      "FORMAT"         "docker-archive (the default) or oci-archive";
    }
    /// `export` and `save`.
    EXPORT "Options" {
        Output            b'o' "output"             One      "FILE"           "Write to this file, not to standard output";
    }
    /// `pack`.
    PACK "Options" {
        Include           b' ' "include"            Many     "PATH"           "Take this file or directory too, and its libraries";
        SelfContained     b' ' "self-contained"     One      "FILE"           "Write one program: vial with the image behind it";
    }
    /// `commit`.
    COMMIT "Options" {
        Author            b'a' "author"             One      "NAME"           "Note who made the image";
        CommitMessage     b'm' "message"            One      "TEXT"           "Note why it was made";
        CommitPause       b'p' "pause"              Switch   ""               "Freeze the container meanwhile (default); =false not to";
    }
    /// Where an image's configuration is made.
    CHANGE "Options" {
        Change            b'c' "change"             Many     "INSTRUCTION"    "Change its configuration: 'CMD [\"sh\"]', 'ENV A=1'";
    }
    /// `images`.
    IMAGES "Options" {
        AllImages         b'a' "all"                Switch   ""               "Show images without a name too (they always are)";
        Digests           b' ' "digests"            Switch   ""               "Show the digests of their manifests";
        ImageFilter       b'f' "filter"             Many     "KEY=VALUE"      "Only dangling=, reference=, label=, before= or since=";
    }
    /// `history`.
    HISTORY "Options" {
        Human             b'H' "human"              Switch   ""               "Sizes and ages for people (default); =false for scripts";
    }
    /// `ps`.
    PS "Options" {
        AllContainers     b'a' "all"                Switch   ""               "Show containers that have ended too";
        Last              b'n' "last"               One      "NUMBER"         "Show the newest ones, in any state";
        Latest            b'l' "latest"             Switch   ""               "Show the newest one, in any state";
        Size              b's' "size"               Switch   ""               "Show how much each container has written";
        Filter            b'f' "filter"             Many     "KEY=VALUE"      "Show only id=, name=, label=, status= or ancestor=";
    }
    /// `stats`.
    STATS "Options" {
        AllStats          b'a' "all"                Switch   ""               "Show containers that do not run too";
        NoStream          b' ' "no-stream"          Switch   ""               "Look once, for a second, instead of each second";
    }
    /// `logs`.
    LOGS "Options" {
        Follow            b'f' "follow"             Switch   ""               "Go on with what comes, until the container has ended";
        Tail              b'n' "tail"               One      "NUMBER|all"     "Show only so many lines from the end";
        Since             b' ' "since"              One      "TIME"           "Show only what came since: RFC 3339, seconds, or 10m";
        Until             b' ' "until"              One      "TIME"           "Show only what came until then";
        Timestamps        b't' "timestamps"         Switch   ""               "Show each line's time";
    }
    /// `inspect`.
    INSPECT "Options" {
        InspectType       b' ' "type"               One      "TYPE"           "container, image, volume or network";
        InspectFormat     b'f' "format"             One      "FORMAT"         "json or a template such as '{{.Id}}'";
        InspectSize       b's' "size"               Switch   ""               "Add how much the container has written";
    }
    /// `volume inspect`.
    VOLUME_INSPECT "Options" {
        VolumeTemplate    b'f' "format"             One      "FORMAT"         "json or a template such as '{{.Name}}'";
    }
    /// `network create`.
    NETWORK "Options" {
        Subnet            b' ' "subnet"             Many     "IP/BITS"        "The addresses: one subnet of IPv4 and one of IPv6";
        Gateway           b' ' "gateway"            Many     "IP"             "The host's address there; else the subnet's first";
        Ipv6              b' ' "ipv6"               Switch   ""               "Have IPv6 addresses too (default); =false for none";
        Internal          b' ' "internal"           Switch   ""               "Let nothing in or out";
        NetworkOpt        b'o' "opt"                Many     "KEY=VALUE"      "mtu=, name= of the bridge, or parent= for macvlan";
        Driver            b'd' "driver"             One      "NAME"           "bridge (the default) or macvlan";
        NetworkLabel      b' ' "label"              Many     "NAME[=VALUE]"   "Note something about the network";
    }
    /// Commands that remove images.
    RMI "Options" {
        ForceImage        b'f' "force"              Switch   ""               "Also untag; do not fail on what is missing";
    }
    /// `rm`.
    RM "Options" {
        ForceRemove       b'f' "force"              Switch   ""               "Kill what runs; do not fail on what is missing";
        RemoveVolumes     b'v' "volumes"            Switch   ""               "Remove the container's unnamed volumes too";
    }
    /// Where one is attached.
    ATTACHED "Options" {
        DetachKeys        b' ' "detach-keys"        One      "KEYS"           "Typed on a terminal, these detach (ctrl-p,ctrl-q)";
        SigProxy          b' ' "sig-proxy"          Switch   ""               "Pass signals on to the workload (true)";
    }
    /// `exec`.
    EXEC "Options" {
        Privileged        b' ' "privileged"         Switch   ""               "Grant all capabilities";
    }
    /// `attach`.
    ATTACH "Options" {
        NoStdin           b' ' "no-stdin"           Switch   ""               "Do not pass standard input on";
    }
    /// `start`.
    START "Options" {
        StartAttach       b'a' "attach"             Switch   ""               "Show what it writes, until it ends";
        StartInteractive  b'i' "interactive"        Switch   ""               "Pass standard input on";
    }
    /// `kill`, `stop` and `restart`.
    SIGNAL "Options" {
        Signal            b's' "signal"             One      "SIGNAL"         "Send this one";
    }
    /// `stop` and `restart`.
    STOP "Options" {
        StopTime          b't' "time"               One      "SECONDS"        "How long to wait before it is killed (10); -1: for ever";
    }
    /// `boot`.
    BOOT "Options" {
        BootContainers    b' ' "containers"         Switch   ""               "Start the containers whose restart policy says so";
    }
    /// `volume rm`.
    VOLUME_RM "Options" {
        ForceVolume       b'f' "force"              Switch   ""               "Do not fail on what is missing";
    }
    /// `network prune`.
    PRUNE "Options" {
        ForcePrune        b'f' "force"              Switch   ""               "Do not ask first";
    }
    /// `gc`.
    GC "Options" {
        GcDryRun          b' ' "dry-run"            Switch   ""               "Print what would be removed";
        GcImages          b' ' "images"             Switch   ""               "Remove images too that have no name and no container";
        GcAll             b'a' "all"                Switch   ""               "With --images: those with names, if no container has them";
    }
    /// `oci` and whatever is behind it.
    OCI "Runtime options" {
        OciLog            b' ' "log"                One      "FILE"           "Write errors to this file too";
        OciLogFormat      b' ' "log-format"         One      "text|json"      "How they are written there (text)";
        OciDebug          b' ' "debug"              Switch   ""               "Accepted for others' sake; --explain tells everything";
        SystemdCgroup     b' ' "systemd-cgroup"     Switch   ""               "Have systemd make the control group";
        CgroupManager     b' ' "cgroup-manager"     One      "cgroupfs|systemd|disabled" "Who makes control groups (cgroupfs)";
    }
    /// The same, but for `oci spec`, whose switch of that name means something else.
    OCI_ROOTLESS "Runtime options" {
        OciRootless       b' ' "rootless"           One      "true|false|auto" "Accepted for others' sake";
    }
    /// `oci create` and `oci run`.
    OCI_CREATE "Options" {
        Bundle            b'b' "bundle"             One      "DIR"            "The bundle: the directory of config.json (.)";
        ConsoleSocket     b' ' "console-socket"     One      "PATH"           "The socket that gets the terminal's other side";
        PidFile           b' ' "pid-file"           One      "FILE"           "Write the first process's number to this file";
        PreserveFds       b' ' "preserve-fds"       One      "N"              "Pass so many open files on, from number 3 on";
        NoPivot           b' ' "no-pivot"           Switch   ""               "Accepted for others' sake: vial finds out itself";
        NoNewKeyring      b' ' "no-new-keyring"     Switch   ""               "Keep the caller's session keyring";
    }
    /// `oci run`.
    OCI_RUN "Options" {
        OciDetach         b'd' "detach"             Switch   ""               "End when the container has been started";
        Keep              b' ' "keep"               Switch   ""               "Do not delete the container when it has ended";
        NoSubreaper       b' ' "no-subreaper"       Switch   ""               "Accepted for others' sake: vial is none";
    }
    /// `oci exec`.
    OCI_EXEC "Options" {
        OciProcess        b'p' "process"            One      "FILE"           "The process, as config.json has it";
        ExecTty           b't' "tty"                Switch   ""               "Give it a terminal";
        ExecDetach        b'd' "detach"             Switch   ""               "End when it has been executed";
        ExecConsole       b' ' "console-socket"     One      "PATH"           "The socket that gets the terminal's other side";
        ExecPidFile       b' ' "pid-file"           One      "FILE"           "Write its number to this file";
        ExecPreserveFds   b' ' "preserve-fds"       One      "N"              "Pass so many open files on, from number 3 on";
        ExecCwd           b' ' "cwd"                One      "DIR"            "Its working directory";
        ExecEnv           b'e' "env"                Many     "NAME=VALUE"     "Set a variable of its environment";
        ExecUser          b'u' "user"               One      "UID[:GID]"      "Who it runs as";
        ExecGroups        b'g' "additional-gids"    Many     "GID"            "A further group";
        ExecCap           b'c' "cap"                Many     "CAPABILITY"     "Grant a capability";
        ExecNoNewPrivs    b' ' "no-new-privs"       Switch   ""               "Ignore set-user-ID and file capabilities";
        ExecAppArmor      b' ' "apparmor"           One      "PROFILE"        "The security module's profile for it";
        ExecLabel         b' ' "process-label"      One      "LABEL"          "The security module's label for it";
        IgnorePaused      b' ' "ignore-paused"      Switch   ""               "Also in a paused container, where it waits";
    }
    /// `oci kill`.
    OCI_KILL "Options" {
        KillAll           b'a' "all"                Switch   ""               "Send it to all processes of the container";
    }
    /// `oci delete`.
    OCI_DELETE "Options" {
        OciForce          b'f' "force"              Switch   ""               "Kill what runs; do not fail on what is missing";
    }
    /// `oci list`.
    OCI_LIST "Options" {
        OciListFormat     b'f' "format"             One      "table|json"     "How to print them (table)";
        OciListQuiet      b'q' "quiet"              Switch   ""               "Print IDs only";
    }
    /// `oci ps`.
    OCI_PS "Options" {
        OciPsFormat       b'f' "format"             One      "table|json"     "How to print them (table)";
    }
    /// `oci update`.
    OCI_UPDATE "Options" {
        Resources         b'r' "resources"          One      "FILE"           "Limits as linux.resources has them; - for standard input";
        UpdateBlkioWeight b' ' "blkio-weight"       One      "N"              "Share of block devices: 10 to 1000";
        UpdateCpuPeriod   b' ' "cpu-period"         One      "MICROSECONDS"   "The period that the quota is for";
        UpdateCpuQuota    b' ' "cpu-quota"          One      "MICROSECONDS"   "Processor time in a period";
        UpdateCpuBurst    b' ' "cpu-burst"          One      "MICROSECONDS"   "What may be saved for later periods";
        UpdateCpuShare    b' ' "cpu-share"          One      "N"              "Share of the processors";
        UpdateCpuIdle     b' ' "cpu-idle"           One      "0|1"            "Run only while nothing else wants to";
        UpdateRtPeriod    b' ' "cpu-rt-period"      One      "MICROSECONDS"   "The same for real-time processes";
        UpdateRtRuntime   b' ' "cpu-rt-runtime"     One      "MICROSECONDS"   "The same for real-time processes";
        UpdateCpus        b' ' "cpuset-cpus"        One      "LIST"           "The processors: 0-3,7";
        UpdateMems        b' ' "cpuset-mems"        One      "LIST"           "The memory nodes";
        UpdateMemory      b' ' "memory"             One      "BYTES"          "Most memory; -1 for no limit";
        UpdateReservation b' ' "memory-reservation" One      "BYTES"          "What is left to it when memory is short";
        UpdateMemorySwap  b' ' "memory-swap"        One      "BYTES"          "Most memory and swap together; -1 for no limit";
        UpdatePids        b' ' "pids-limit"         One      "N"              "Most processes; -1 for no limit";
        UpdateL3          b' ' "l3-cache-schema"    One      "SCHEMA"         "Intel RDT: the L3 cache";
        UpdateMemBw       b' ' "mem-bw-schema"      One      "SCHEMA"         "Intel RDT: memory bandwidth";
    }
    /// `oci events`.
    OCI_EVENTS "Options" {
        EventsStats       b' ' "stats"              Switch   ""               "Print what it uses now, once";
        EventsInterval    b' ' "interval"           One      "DURATION"       "How often to print it (5s)";
    }
    /// `oci spec`.
    OCI_SPEC "Options" {
        SpecBundle        b'b' "bundle"             One      "DIR"            "Where to write config.json (.)";
        SpecRootless      b' ' "rootless"           Switch   ""               "For a container of a normal user";
    }
}
