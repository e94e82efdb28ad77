// Makes system calls by number, and prints what the kernel says: a value or an error's number with a minus.
// Each argument is one call: MODE,NUMBER[,ARGUMENT]..., with a mode of n (native), c (32-bit) or x (x32).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <errno.h>
#include <sys/syscall.h>

static long native(long number, unsigned long *a) {
    long result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    return result == -1 ? -errno : result;
}

#ifdef __x86_64__
static long compat(long number, unsigned long *a) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4])
                     : "memory", "r8", "r9", "r10", "r11");
    return (int)result;
}
#endif

int main(int count, char **words) {
    for (int at = 1; at < count; at++) {
        unsigned long a[6] = {0};
        char mode = words[at][0], *rest = words[at] + 1;
        long number = strtol(rest + 1, &rest, 0);
        for (int place = 0; *rest == ',' && place < 6; place++)
            a[place] = strtoull(rest + 1, &rest, 0);
        long result = -9999;
        if (mode == 'n') result = native(number, a);
#ifdef __x86_64__
        if (mode == 'c') result = compat(number, a);
        if (mode == 'x') result = native(number | 0x40000000, a);
#endif
        printf("%s%ld", at > 1 ? " " : "", result);
        fflush(stdout);
    }
    puts("");
    return 0;
}
