/* A workload of the sweep's: writes down what it sees of itself, in one process and a few milliseconds.
 *
 *     look -              to standard output
 *     look FILE stay      to a file, which appears when it is complete; then it stays until SIGTERM, and ends with 3
 *     look ready stay     says no more than "ready", and stays
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static FILE *out;
static char text[1 << 20];

/* The content of a file, or why there is none. */
static char *content(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t length = 0;
    ssize_t count = 0;
    while (file >= 0 && length < sizeof text - 1 && (count = read(file, text + length, sizeof text - 1 - length)) > 0)
        length += count;
    text[length] = 0;
    if (file < 0 || count < 0)
        snprintf(text + length, sizeof text - length, "%s: %s\n", path, strerrorname_np(errno));
    if (file >= 0)
        close(file);
    return text;
}

static void section(const char *name) { fprintf(out, "= %s\n", name); }
static void show(const char *path) { fputs(content(path), out); }

/* The same as one line, with the path before it. */
static void show_line(const char *path) {
    char *line = content(path);
    for (char *at = line; *at; at++)
        if (*at == '\n')
            *at = ' ';
    fprintf(out, "%s %s\n", path, line);
}

/* Calls this for each name in a directory that does not begin with a dot, in order. */
static void each(const char *directory, void (*what)(const char *)) {
    struct dirent **names;
    int count = scandir(directory, &names, NULL, alphasort);
    if (count < 0)
        fprintf(out, "%s: %s\n", directory, strerrorname_np(errno));
    for (int at = 0; at < count; at++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", strcmp(directory, "/") ? directory : "", names[at]->d_name);
        if (names[at]->d_name[0] != '.')
            what(path);
        free(names[at]);
    }
    if (count >= 0)
        free(names);
}

static void link_of(const char *path) {
    char target[4096];
    ssize_t length = readlink(path, target, sizeof target - 1);
    /* The descriptor by which the list was read is closed. */
    if (length >= 0)
        fprintf(out, "%s %.*s\n", path, (int)length, target);
    else if (errno != ENOENT && errno != EINVAL)
        fprintf(out, "%s %s\n", path, strerrorname_np(errno));
}

static void data_of(const char *path) {
    struct stat data;
    if (lstat(path, &data))
        fprintf(out, "%s %s\n", path, strerrorname_np(errno));
    else
        fprintf(out, "%s %o %u:%u %u:%u\n", path, data.st_mode, data.st_uid, data.st_gid, major(data.st_rdev),
                minor(data.st_rdev));
}

static void name_of(const char *path) { fprintf(out, "%s\n", path); }

/* Whether this process is in the group that is shown there. */
static void member_of(const char *path) {
    char tasks[4200], own[32];
    struct stat data;
    if (lstat(path, &data) || !S_ISDIR(data.st_mode))
        return;
    snprintf(tasks, sizeof tasks, "%s/tasks", path);
    snprintf(own, sizeof own, "%d\n", getpid());
    fprintf(out, "%s %d\n", path, !strncmp(content(tasks), own, strlen(own)) || strstr(text, own) != NULL);
}

static int by_text(const void *left, const void *right) { return strcmp(*(char **)left, *(char **)right); }

static void environment(void) {
    extern char **environ;
    size_t count = 0;
    char place[4096];
    while (environ[count])
        count++;
    qsort(environ, count, sizeof *environ, by_text);
    for (size_t at = 0; at < count; at++)
        fprintf(out, "%s\n", environ[at]);
    mode_t mask = umask(0);
    umask(mask);
    fprintf(out, "%s\n%04o\n", getcwd(place, sizeof place) ? place : strerrorname_np(errno), mask);
}

static void status(void) {
    static const char *const words[] = {"Umask", "NoNewPrivs", "Seccomp", "Cap", "Uid", "Gid", "Groups", "SigPnd", "SigBlk",
                                        "SigIgn", "SigCgt", "ShdPnd", "Cpus_allowed_list", "CoreDumping"};
    for (char *line = strtok(content("/proc/self/status"), "\n"); line; line = strtok(NULL, "\n"))
        for (size_t at = 0; at < sizeof words / sizeof *words; at++)
            if (!strncmp(line, words[at], strlen(words[at])))
                fprintf(out, "%s\n", line);
}

/* Process, group, session, terminal and the terminal's group: fields 1 and 5 to 8 of stat. */
static void session(void) {
    char *rest = strrchr(content("/proc/self/stat"), ')');
    int group, id, terminal, foreground;
    if (rest && sscanf(rest, ") %*c %*d %d %d %d %d", &group, &id, &terminal, &foreground) == 4)
        fprintf(out, "%d %d %d %d %d\n", getpid(), group, id, terminal, foreground);
    show("/proc/self/personality");
    char own[32];
    snprintf(own, sizeof own, "/proc/%d", getpid());
    struct stat data;
    if (!lstat(own, &data))
        fprintf(out, "%u:%u\n", data.st_uid, data.st_gid);
}

static void refused(const char *path) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0 || write(file, "x\n", 2) < 0)
        fprintf(out, "%s %s\n", path, strerrorname_np(errno));
    if (file >= 0) {
        close(file);
        unlink(path);
    }
}

static void node(mode_t kind, unsigned major, unsigned minor) {
    char byte;
    const char *what = "made and read";
    if (mknod("/tmp/node", kind | 0600, makedev(major, minor)))
        what = strerrorname_np(errno);
    int file = open("/tmp/node", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const char *read_as = file < 0 || read(file, &byte, 1) < 0 ? strerrorname_np(errno) : "read";
    fprintf(out, "%u:%u %s %s\n", major, minor, what, read_as);
    if (file >= 0)
        close(file);
    unlink("/tmp/node");
}

static void hidden(const char *path) {
    struct stat data;
    if (!stat(path, &data)) {
        char *seen = content(path);
        size_t length = strlen(seen);
        fprintf(out, "%s %zu\n", path, length > 8 ? 8 : length);
    }
}

static void interfaces(void) {
    struct ifaddrs *all = NULL;
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (getifaddrs(&all))
        fprintf(out, "getifaddrs %s\n", strerrorname_np(errno));
    for (struct ifaddrs *at = all; at; at = at->ifa_next) {
        char name[INET6_ADDRSTRLEN] = "?";
        int bits = 0;
        if (!at->ifa_addr)
            continue;
        int family = at->ifa_addr->sa_family;
        if (family == AF_PACKET) {
            struct ifreq ask = {0};
            strncpy(ask.ifr_name, at->ifa_name, IFNAMSIZ - 1);
            int given = ioctl(control, SIOCGIFMTU, &ask);
            /* Whether the cable is in may be told a moment later. */
            fprintf(out, "interface %s mtu %d up %d\n", at->ifa_name, given ? -1 : ask.ifr_mtu, !!(at->ifa_flags & IFF_UP));
            continue;
        }
        void *address = &((struct sockaddr_in *)at->ifa_addr)->sin_addr;
        unsigned char *mask = (void *)&((struct sockaddr_in *)at->ifa_netmask)->sin_addr;
        size_t length = 4;
        if (family == AF_INET6) {
            struct in6_addr *six = &((struct sockaddr_in6 *)at->ifa_addr)->sin6_addr;
            if (IN6_IS_ADDR_LINKLOCAL(six))
                continue;
            address = six;
            mask = (void *)&((struct sockaddr_in6 *)at->ifa_netmask)->sin6_addr;
            length = 16;
        }
        inet_ntop(family, address, name, sizeof name);
        for (size_t byte = 0; byte < length; byte++)
            bits += __builtin_popcount(mask[byte]);
        fprintf(out, "address %s %s /%d\n", at->ifa_name, name, bits);
    }
    freeifaddrs(all);
    close(control);
    for (char *line = strtok(content("/proc/net/route"), "\n"); line; line = strtok(NULL, "\n")) {
        char name[32], to[16], by[16], mask[16];
        if (sscanf(line, "%31s %15s %15s %*s %*s %*s %*s %15s", name, to, by, mask) == 4)
            fprintf(out, "route %s %s %s %s\n", name, to, by, mask);
    }
}

static void look(void) {
    static const char *const groups[] = {"memory/memory.limit_in_bytes", "memory/memory.memsw.limit_in_bytes", "pids/pids.max",
                                         "cpu/cpu.cfs_quota_us", "cpu/cpu.shares", "devices/devices.list",
                                         "freezer/freezer.state", "cpuset/cpuset.cpus", "memory.max", "pids.max", "cpu.max",
                                         "cpu.weight"};
    static const char *const secrets[] = {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/interrupts",
                                          "/proc/sched_debug", "/proc/latency_stats"};
    static const char *const places[] = {"/x", "/proc/sys/x", "/proc/sys/kernel/domainname", "/proc/sysrq-trigger", "/sys/x",
                                         "/sys/fs/cgroup/x", "/read/x", "/data/x", "/tmp/x"};
    char own[64];
    fprintf(out, "= %d\n", getpid());
    section("status"), status();
    section("session"), session();
    snprintf(own, sizeof own, "/proc/%d/ns", getpid());
    section("namespaces"), each(own, link_of);
    section("limits"), show("/proc/self/limits"), show_line("/proc/self/oom_score_adj");
    section("mounts"), show("/proc/self/mountinfo");
    section("names"), show("/proc/sys/kernel/hostname"), show("/proc/sys/kernel/domainname");
    section("environment"), environment();
    snprintf(own, sizeof own, "/proc/%d/fd", getpid());
    section("files"), each(own, link_of);
    section("groups"), show("/proc/self/cgroup");
    for (size_t at = 0; at < sizeof groups / sizeof *groups; at++) {
        snprintf(own, sizeof own, "/sys/fs/cgroup/%s", groups[at]);
        show_line(own);
    }
    each("/sys/fs/cgroup", member_of);
    section("devices"), each("/dev", data_of), each("/dev/pts", data_of), each("/dev/shm", data_of), each("/dev", link_of);
    section("tree"), each("/", data_of), each("/data", data_of), each("/etc", data_of);
    section("contents"), show("/etc/hostname"), show("/etc/hosts"), show("/etc/resolv.conf");
    section("hidden");
    for (size_t at = 0; at < sizeof secrets / sizeof *secrets; at++)
        hidden(secrets[at]);
    each("/proc/acpi", name_of), each("/proc/scsi", name_of), each("/sys/firmware", name_of);
    each("/sys/devices/virtual/powercap", name_of);
    section("refused");
    for (size_t at = 0; at < sizeof places / sizeof *places; at++)
        refused(places[at]);
    node(S_IFBLK, 254, 0), node(S_IFCHR, 1, 2), node(S_IFCHR, 5, 1);
    section("parameters"), show("/proc/sys/kernel/shmmax"), show("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    show("/proc/sys/net/ipv4/ping_group_range");
    section("interfaces"), interfaces();
    section("end");
}

int main(int count, char **words) {
    const char *where = count > 1 ? words[1] : "-";
    int stays = count > 2, is_file = strcmp(where, "-") && strcmp(where, "ready");
    char fresh[4096];
    sigset_t term;
    /* All of it is written at once, from a descriptor that is not on the list of its own. */
    char *written = NULL;
    size_t length = 0;
    out = open_memstream(&written, &length);
    if (!strcmp(where, "ready"))
        fputs("ready\n", out);
    else
        look();
    fclose(out);
    sigemptyset(&term), sigaddset(&term, SIGTERM);
    if (stays)
        sigprocmask(SIG_BLOCK, &term, NULL);
    int file = 1;
    if (is_file) {
        snprintf(fresh, sizeof fresh, "%s.new", where);
        file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    }
    for (size_t done = 0; done < length;) {
        ssize_t now = write(file, written + done, length - done);
        if (now <= 0)
            return 1;
        done += now;
    }
    if (is_file && (close(file) || rename(fresh, where)))
        return 1;
    int signal = 0;
    while (stays && signal != SIGTERM)
        sigwait(&term, &signal);
    return stays ? 3 : 0;
}
