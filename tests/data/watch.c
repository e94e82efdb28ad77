/* A hostile process in a container: it waits for processes to appear and tries to get hold of what they have before they
 * have become what they are to be. What it found it writes to /shared/report, each thing once. Ends when /shared/stop is there. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char found[4096][160];
static int count;

static void note(const char *what, const char *text)
{
    char line[160];
    snprintf(line, sizeof line, "%s %.100s", what, text);
    for (int at = 0; at < count; at++)
        if (!strcmp(found[at], line))
            return;
    if (count < 4096)
        strcpy(found[count++], line);
}

static int link_of(char *text, const char *path)
{
    ssize_t length = readlink(path, text, 120);
    text[length > 0 ? length : 0] = 0;
    return length > 0;
}

/* Whether a program belongs to the container's own root. */
static int is_own(const char *program)
{
    return !strncmp(program, "/bin/", 5) || !strncmp(program, "/shared/", 8);
}

static void try_to_write(int file, const char *program)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    for (int round = 0; round < 200; round++) {
        int again = open(path, O_WRONLY);
        if (again < 0) {
            usleep(500); /* ETXTBSY while it is executed */
            continue;
        }
        if (write(again, "x", 1) == 1 || ftruncate(again, 0) == 0)
            note("WROTE", program);
        close(again);
        return;
    }
}

/* Looks at everything of a process once; 0 when it is gone. */
static int look(int pid)
{
    char path[400], text[128], line[256];
    struct stat own, its;
    int program = -1;
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    int foreign = link_of(text, path) && !is_own(text);
    if (text[0])
        note("exe", text);
    if (foreign) {
        program = open(path, O_RDONLY);
        /* It may have executed the workload meanwhile: what was opened says which it is. */
        snprintf(path, sizeof path, "/proc/self/fd/%d", program);
        if (program >= 0 && link_of(text, path) && is_own(text)) {
            close(program);
            program = -1;
        }
    }
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int memory = open(path, O_RDWR);
    snprintf(path, sizeof path, "/proc/%d/root/.", pid);
    if (!stat(path, &its) && !stat("/", &own) && (its.st_dev != own.st_dev || its.st_ino != own.st_ino))
        note("FOREIGN", "root");
    snprintf(path, sizeof path, "/proc/%d/cwd", pid);
    if (link_of(line, path))
        note("cwd", line);
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *files = opendir(path);
    for (struct dirent *entry; files && (entry = readdir(files));) {
        snprintf(path, sizeof path, "/proc/%d/fd/%.20s", pid, entry->d_name);
        if (link_of(line, path)) {
            /* Those of its own kind are numbered. */
            line[strcspn(line, "[")] = 0;
            note("fd", line);
        }
    }
    if (files)
        closedir(files);
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *status = fopen(path, "r");
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, "CapPrm:", 7) || !strncmp(line, "CapEff:", 7)) {
            line[strcspn(line, "\n")] = 0;
            note("cap", line + 8);
        }
    if (memory >= 0) {
        /* Still the same program: so it is that one's memory. */
        char now[128];
        snprintf(path, sizeof path, "/proc/%d/exe", pid);
        if (foreign && link_of(now, path) && !strcmp(now, text))
            note("mem", text);
        close(memory);
    }
    if (foreign && !ptrace(PTRACE_SEIZE, pid, 0, 0)) {
        note("traced", text);
        ptrace(PTRACE_INTERRUPT, pid, 0, 0);
        waitpid(pid, 0, __WALL);
        ptrace(PTRACE_DETACH, pid, 0, 0);
    }
    if (program >= 0) {
        note("opened", text);
        try_to_write(program, text);
        close(program);
    }
    int there = status != 0;
    if (status)
        fclose(status);
    return there;
}

int main(void)
{
    int last = 1;
    FILE *ready = fopen("/shared/ready", "w");
    if (!ready)
        return 1;
    fclose(ready);
    for (unsigned round = 0;; round++) {
        for (int pid = last + 1; pid < last + 6; pid++) {
            char path[32];
            snprintf(path, sizeof path, "/proc/%d/status", pid);
            if (access(path, F_OK))
                continue;
            for (int times = 0; times < 400 && look(pid); times++)
                ;
            last = pid;
        }
        while (waitpid(-1, 0, WNOHANG) > 0)
            ;
        if (round % 64 == 0 && !access("/shared/stop", F_OK))
            break;
    }
    FILE *report = fopen("/shared/report.new", "w");
    for (int at = 0; at < count; at++)
        fprintf(report, "%s\n", found[at]);
    fclose(report);
    rename("/shared/report.new", "/shared/report");
    for (;;)
        pause();
}
