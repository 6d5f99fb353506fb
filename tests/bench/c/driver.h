/* What the drivers share: their options, sockets on loopback, and what a session has cost. */
#ifndef DRIVER_H
#define DRIVER_H

#include "smtp.h"
#include "tls.h"

enum forking { FORK_NOT, FORK_PARENT, FORK_CHILD }; /* and where the Config is made */

struct options {
    struct tls_settings tls;
    struct message message;
    enum forking forking;
    long warm;    /* sessions before the count: what a process does once is not a session's */
    long count;   /* sessions that count */
    long threads; /* that share them */
    bool segments; /* look at what TCP says of each connection */
    int port;     /* a client's */
};

/* Exits with 2, and says why, where they are wrong. */
struct options options_read(int argc, char **argv, bool server);

int dial(int port);

/* Prints the port. */
int listen_on_loopback(void);

/* CPU of this process and of children that have ended, the kernel's share included. */
double microseconds(void);

/* Adds the segments with data of a connection, in and out, to what `report` prints. */
void count_segments(int fd);

/* Whether the connection was resumed; for `report` too. */
void count_resumed(bool resumed);

/* A line of key=value words: the microseconds for each session, what was counted, and the microseconds since the process
 * was started. */
void report(double spent, long sessions);

/* The warm sessions and then those that count, on as many threads as were asked for, and their report. What `main`
 * returns. */
int run_sessions(const struct options *options, bool (*one)(bool counted));

#endif
