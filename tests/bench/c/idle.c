/* Many connections that stay open, idle after the EHLO inside TLS, in one process: what each takes of memory and of CPU.
 * The first argument is the role, "client" or "server"; a client waits until its server has seen enough. */
#include "driver.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t heap(void)
{
    const struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

/* Resident octets that are this process' own. */
static size_t resident(void)
{
    char line[200];
    size_t total = 0, size;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");

    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Private_Dirty: %zu kB", &size) == 1)
            total = size * 1024;
    if (file)
        fclose(file);
    return total;
}

int main(int argc, char **argv)
{
    const bool server = argc > 1 && strcmp(argv[1], "server") == 0;
    const struct options options = options_read(argc - 1, argv + 1, server);
    const long all = options.warm + options.count;
    struct tls **kept = calloc((size_t)all, sizeof *kept);
    int *fds = calloc((size_t)all, sizeof *fds);
    struct smtp smtp;
    struct rlimit descriptors;
    size_t heap_before = 0, resident_before = 0;
    double begun = 0;
    int listener;
    long n;
    char line[64];

    /* As many descriptors as are allowed: the usual limit is far below a server's. */
    getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
    if (!kept || !fds || !tls_setup(&options.tls))
        return 1;
    memset(&smtp, 0, sizeof smtp);
    listener = server ? listen_on_loopback() : -1;
    /* Touched before they count. */
    memset(kept, 1, (size_t)all * sizeof *kept);
    memset(fds, 1, (size_t)all * sizeof *fds);
    for (n = 0; n < all; n++) {
        if (n == options.warm) {
            heap_before = heap();
            resident_before = resident();
            begun = microseconds();
        }
        smtp.have = smtp.waiting = 0;
        smtp.tls = NULL;
        smtp.fd = server ? accept(listener, NULL, NULL) : dial(options.port);
        if (smtp.fd < 0 || !(server ? smtp_serve_hello(&smtp) : smtp_open(&smtp)))
            return 1;
        kept[n] = smtp.tls;
        fds[n] = smtp.fd;
    }
    printf("us=%.3f heap=%.0f resident=%.0f\n", (microseconds() - begun) / (double)options.count,
           (double)(heap() - heap_before) / (double)options.count,
           (double)(resident() - resident_before) / (double)options.count);
    fflush(stdout);
    /* The other one may still want to look; both end when their standard input does. */
    while (fgets(line, sizeof line, stdin))
        ;
    for (n = 0; n < all; n++)
        close(fds[n]);
    return 0;
}
