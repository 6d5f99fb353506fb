/* What the drivers share: options, sockets on loopback, and what a session has cost. */
#include "driver.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static const char usage[] =
    "  -p PORT  -a CA  -c CHAIN  -k KEY  -h NAME  who\n"
    "  -n COUNT  -w WARM  -t THREADS  -f parent|child  how many sessions, and in which processes\n"
    "  -m SIZE  -s CHUNK  -g  -P  the message: octets, octets a write, gathered; pipelining\n"
    "  -r  -v 12|13  -S  -l  -L  resume; version; the same suite and group for all; lean; limits of time\n"
    "  -i  count segments\n";

struct options options_read(int argc, char **argv, bool server)
{
    struct options options = {
        .tls = {.server = server, .version = 13, .name = NAME},
        .message = {.size = 160, .chunk = 16384},
        .count = 1,
        .threads = 1,
    };
    int letter;

    while ((letter = getopt(argc, argv, "p:a:c:k:h:n:w:t:f:m:s:gPrv:SlLi")) != -1)
        switch (letter) {
        case 'p': options.port = atoi(optarg); break;
        case 'a': options.tls.ca = optarg; break;
        case 'c': options.tls.chain = optarg; break;
        case 'k': options.tls.key = optarg; break;
        case 'h': options.tls.name = optarg; break;
        case 'n': options.count = atol(optarg); break;
        case 'w': options.warm = atol(optarg); break;
        case 't': options.threads = atol(optarg); break;
        case 'f': options.forking = strcmp(optarg, "child") == 0 ? FORK_CHILD : FORK_PARENT; break;
        case 'm': options.message.size = (size_t)atol(optarg); break;
        case 's': options.message.chunk = (size_t)atol(optarg); break;
        case 'g': options.message.more = true; break;
        case 'P': options.message.pipelining = true; break;
        case 'r': options.tls.resume = true; break;
        case 'v': options.tls.version = atoi(optarg); break;
        case 'S': options.tls.same = true; break;
        case 'l': options.tls.lean = true; break;
        case 'L': options.tls.limits = true; break;
        case 'i': options.segments = true; break;
        default: fprintf(stderr, "%s:\n%s", argv[0], usage); exit(2);
        }
    /* Whole lines: the end of the message begins one. */
    if (optind != argc || options.message.chunk == 0 || options.message.chunk > 65536 || options.message.size % LINE) {
        fprintf(stderr, "%s:\n%s", argv[0], usage);
        exit(2);
    }
    return options;
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* Without it what a library sends in two writes waits 40 ms for the peer to acknowledge the first. */
static void no_delay(int fd)
{
    const int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

int dial(int port)
{
    const struct sockaddr_in address = loopback(port);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        perror("connect");
        return -1;
    }
    no_delay(fd);
    return fd;
}

int listen_on_loopback(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    no_delay(fd); /* and so what is accepted */
    if (bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 1024) != 0) {
        perror("listen");
        exit(1);
    }
    getsockname(fd, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static double of(int who)
{
    struct rusage usage;

    getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

double microseconds(void)
{
    return of(RUSAGE_SELF) + of(RUSAGE_CHILDREN);
}

static atomic_long resumed, segments_in, segments_out, connections;

void count_segments(int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof info;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return;
    connections++;
    segments_in += info.tcpi_data_segs_in;
    segments_out += info.tcpi_data_segs_out;
}

void count_resumed(bool was)
{
    resumed += was;
}

void report(double spent, long sessions)
{
    const double all = connections > 0 ? (double)connections : 1;

    printf("us=%.3f resumed=%ld segments_in=%.2f segments_out=%.2f process_us=%.0f\n", spent / (double)sessions, resumed,
           (double)segments_in / all, (double)segments_out / all, microseconds());
}

static bool (*run_one)(bool counted);
static atomic_long left;

static void *work(void *unused)
{
    (void)unused;
    while (left-- > 0)
        if (!run_one(true))
            exit(1);
    return NULL;
}

int run_sessions(const struct options *options, bool (*one)(bool counted))
{
    pthread_t threads[64];
    double begun;
    long n;

    for (n = 0; n < options->warm; n++)
        if (!one(false))
            return 1;
    begun = microseconds();
    run_one = one;
    left = options->count;
    for (n = 1; n < options->threads; n++)
        pthread_create(&threads[n], NULL, work, NULL);
    work(NULL);
    for (n = 1; n < options->threads; n++)
        pthread_join(threads[n], NULL);
    report(microseconds() - begun, options->count);
    return 0;
}
