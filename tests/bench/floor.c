/*
 * What a container costs the kernel: the calls that isolate a program as `vial run --rm --network none` does, and nothing else.
 * It takes no options apart from the arguments below, writes nothing down, checks nothing, and can make only this container.
 *
 *     floor none|host DIRECTORY PROGRAM [ARGUMENT...]
 *
 * DIRECTORY has `rootfs`; `host` leaves the network as it is. It is measured where the controllers are in cgroup v1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/mount.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))
/* Each call is necessary: one that fails ends the program. */
#define MUST(call) must((long)(call), #call)
#define GROUP "/vial-floor"

static const char *const hierarchies[] = {"devices", "freezer"};
/* Capabilities that stay, as docker's containers have them. */
static const unsigned kept = 0xa80425fb;

static long must(long result, const char *call)
{
	if (result < 0) {
		fprintf(stderr, "floor: %s: %s\n", call, strerror(errno));
		_exit(125);
	}
	return result;
}

static void put(const char *path, const char *const *lines, size_t count)
{
	int file = MUST(open(path, O_WRONLY | O_CLOEXEC));
	for (size_t line = 0; line < count; line++)
		MUST(write(file, lines[line], strlen(lines[line])));
	close(file);
}

static void make_groups(void)
{
	static const char *const all[] = {"a"};
	static const char *const allowed[] = {"c *:* m",   "b *:* m",   "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm",
					      "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm", "c 136:* rwm"};
	MUST(mkdir("/sys/fs/cgroup/devices" GROUP, 0755));
	MUST(mkdir("/sys/fs/cgroup/freezer" GROUP, 0755));
	put("/sys/fs/cgroup/devices" GROUP "/devices.deny", all, 1);
	put("/sys/fs/cgroup/devices" GROUP "/devices.allow", allowed, COUNT(allowed));
}

static void enter_groups(void)
{
	static const char *const self[] = {"0"};
	put("/sys/fs/cgroup/devices" GROUP "/tasks", self, 1);
	put("/sys/fs/cgroup/freezer" GROUP "/tasks", self, 1);
	MUST(unshare(CLONE_NEWCGROUP));
}

static void loopback_up(void)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg link;
	} message = {{sizeof message, RTM_NEWLINK, NLM_F_REQUEST, 0, 0}, {.ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP}};
	int file = MUST(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
	MUST(send(file, &message, sizeof message, 0));
	close(file);
}

static void make_devices(void)
{
	static const struct {
		const char *path;
		int major, minor;
	} nodes[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
		     {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};
	static const char *const links[][2] = {{"/proc/self/fd", "/dev/fd"},
					       {"/proc/self/fd/0", "/dev/stdin"},
					       {"/proc/self/fd/1", "/dev/stdout"},
					       {"/proc/self/fd/2", "/dev/stderr"},
					       {"pts/ptmx", "/dev/ptmx"}};
	const unsigned long strict = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	MUST(mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"));
	for (size_t node = 0; node < COUNT(nodes); node++)
		MUST(mknod(nodes[node].path, S_IFCHR | 0666, makedev(nodes[node].major, nodes[node].minor)));
	for (size_t link = 0; link < COUNT(links); link++)
		MUST(symlink(links[link][0], links[link][1]));
	MUST(mkdir("/dev/pts", 0755));
	MUST(mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"));
	MUST(mkdir("/dev/shm", 0755));
	MUST(mount("shm", "/dev/shm", "tmpfs", strict, "mode=1777,size=67108864"));
	MUST(mkdir("/dev/mqueue", 0755));
	MUST(mount("mqueue", "/dev/mqueue", "mqueue", strict, NULL));
}

static void make_root(const char *directory)
{
	static const char *const files[] = {"resolv.conf", "hostname", "hosts"};
	char options[3 * 4096], path[4096];
	int trees[COUNT(files)];
	for (size_t file = 0; file < COUNT(files); file++)
		trees[file] = MUST(syscall(SYS_open_tree, AT_FDCWD, files[file], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
	snprintf(options, sizeof options, "lowerdir=%s/rootfs,upperdir=upper,workdir=work,volatile", directory);
	MUST(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	MUST(mount("overlay", "root", "overlay", 0, options));
	MUST(chdir("root"));
	MUST(syscall(SYS_pivot_root, ".", "."));
	MUST(umount2(".", MNT_DETACH));
	const unsigned long strict = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	MUST(mount("proc", "/proc", "proc", strict, NULL));
	make_devices();
	MUST(mount("sysfs", "/sys", "sysfs", MS_RDONLY | strict, NULL));
	MUST(mount("tmpfs", "/sys/fs/cgroup", "tmpfs", strict, "mode=755,size=64k"));
	for (size_t each = 0; each < COUNT(hierarchies); each++) {
		snprintf(path, sizeof path, "/sys/fs/cgroup/%s", hierarchies[each]);
		MUST(mkdir(path, 0755));
		MUST(mount("cgroup", path, "cgroup", MS_RDONLY | strict, hierarchies[each]));
	}
	for (size_t file = 0; file < COUNT(files); file++) {
		snprintf(path, sizeof path, "/etc/%s", files[file]);
		MUST(mknod(path, S_IFREG | 0644, 0));
		MUST(syscall(SYS_move_mount, trees[file], "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH));
		close(trees[file]);
	}
	MUST(mount(NULL, "/sys/fs/cgroup", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | strict, NULL));
}

/* Paths that the kernel does not have are none that it could hide. */
static void hide(void)
{
	static const char *const readonly[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
	static const char *const directories[] = {"/proc/acpi",	 "/proc/asound",		   "/proc/scsi",
						  "/sys/firmware", "/sys/devices/virtual/powercap"};
	static const char *const files[] = {"/proc/interrupts",	 "/proc/kcore",	     "/proc/keys",	 "/proc/latency_stats",
					    "/proc/sched_debug", "/proc/timer_list", "/proc/timer_stats"};
	for (size_t each = 0; each < COUNT(readonly); each++)
		if (mount(readonly[each], readonly[each], NULL, MS_BIND | MS_REC, NULL) == 0)
			MUST(mount(NULL, readonly[each], NULL,
				   MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
	for (size_t each = 0; each < COUNT(directories); each++)
		mount("tmpfs", directories[each], "tmpfs", MS_RDONLY, "nr_inodes=1,size=0");
	for (size_t each = 0; each < COUNT(files); each++)
		mount("/dev/null", files[each], NULL, MS_BIND, NULL);
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{kept, kept, 0}, {0, 0, 0}};
	for (int each = 0; each < 64; each++)
		if ((each > 31 || !(kept >> each & 1)) && prctl(PR_CAPBSET_DROP, each) != 0)
			break;
	MUST(syscall(SYS_capset, &head, data));
}

/*
 * As many instructions as vial's default filter has, which the kernel translates. It goes through none of them, for it tries out
 * which calls are allowed in any case (SECCOMP_CACHE): vial's takes eight steps for each.
 */
static void filter_calls(void)
{
	static struct sock_filter program[231];
	const size_t last = COUNT(program) - 1;
	program[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	program[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 100000, 0, last - 2);
	for (size_t each = 2; each < last; each++)
		program[each] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 100000 + each, 0, 0);
	program[last] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog all = {COUNT(program), program};
	MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &all));
}

int main(int count, char **words)
{
	static const char *const own[] = {"resolv.conf", "hostname", "hosts"};
	static const char *const made[] = {"upper/etc/resolv.conf", "upper/etc/hostname", "upper/etc/hosts"};
	static char *const environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	if (count < 4)
		return 125;
	const char *directory = words[2];
	unsigned long flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID;
	if (strcmp(words[1], "none") == 0)
		flags |= CLONE_NEWNET;
	MUST(chdir(directory));
	MUST(mkdir("container", 0700));
	MUST(chdir("container"));
	MUST(mkdir("root", 0755));
	MUST(mkdir("upper", 0755));
	MUST(mkdir("work", 0700));
	for (size_t file = 0; file < COUNT(own); file++)
		close(MUST(open(own[file], O_WRONLY | O_CREAT | O_CLOEXEC, 0644)));
	make_groups();
	pid_t child = MUST(syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0));
	if (child == 0) {
		umask(0);
		MUST(setsid());
		MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
		MUST(syscall(SYS_keyctl, 1, NULL));
		MUST(syscall(SYS_close_range, 3, ~0U, 0));
		enter_groups();
		make_root(directory);
		MUST(sethostname("floor", 5));
		if (flags & CLONE_NEWNET)
			loopback_up();
		hide();
		umask(022);
		filter_calls();
		drop_capabilities();
		MUST(execve(words[3], words + 3, environment));
	}
	int status;
	MUST(waitpid(child, &status, 0));
	MUST(rmdir("/sys/fs/cgroup/devices" GROUP));
	MUST(rmdir("/sys/fs/cgroup/freezer" GROUP));
	for (size_t file = 0; file < COUNT(own); file++) {
		MUST(unlink(own[file]));
		MUST(unlink(made[file]));
	}
	MUST(rmdir("upper/etc"));
	MUST(rmdir("upper"));
	/* The kernel's own, which say how this was mounted. */
	MUST(unlink("work/work/incompat/volatile/dirty"));
	MUST(rmdir("work/work/incompat/volatile"));
	MUST(rmdir("work/work/incompat"));
	MUST(rmdir("work/work"));
	MUST(rmdir("work"));
	MUST(rmdir("root"));
	MUST(chdir(".."));
	MUST(rmdir("container"));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
