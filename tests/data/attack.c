/* What a hostile program in a container tries, one thing for each word; it prints what came of it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int count, char **words)
{
    int done = -1;
    if (count < 2)
        return 2;
    if (!strcmp(words[1], "type")) {
        /* Words into the input of the terminal that it was started on. */
        for (const char *at = "evil\n"; *at; at++)
            if ((done = ioctl(0, TIOCSTI, at)) < 0)
                break;
    } else if (!strcmp(words[1], "alg")) {
        done = socket(AF_ALG, SOCK_SEQPACKET, 0);
    } else if (!strcmp(words[1], "vsock")) {
        done = socket(AF_VSOCK, SOCK_STREAM, 0);
    } else if (!strcmp(words[1], "read")) {
        done = open(words[2], O_RDONLY);
    } else if (!strcmp(words[1], "root")) {
        done = geteuid() ? -1 : 0;
        errno = EPERM;
    } else if (!strcmp(words[1], "abstract")) {
        /* The socket of another network namespace's would not be found. */
        struct sockaddr_un name = { .sun_family = AF_UNIX };
        strncpy(name.sun_path + 1, words[2], sizeof name.sun_path - 2);
        done = connect(socket(AF_UNIX, SOCK_SEQPACKET, 0), (struct sockaddr *)&name, sizeof name);
    }
    printf("%s\n", done < 0 ? strerrorname_np(errno) : "done");
    return done < 0;
}
