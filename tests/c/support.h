/* What the C tests share: CHECK, the configuration that they all use, and counts of what a process holds. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <dirent.h>
#include <smtptls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int failed;

#define CHECK(what)                                                            \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);         \
            failed = 1;                                                        \
        }                                                                      \
    } while (0)

/* For what has to hold before a test can begin. */
#define MUST(what)                                                             \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);         \
            exit(2);                                                           \
        }                                                                      \
    } while (0)

#define HOST "localhost"

static inline bool is(const char *text, const char *wanted)
{
    return text && strcmp(text, wanted) == 0;
}

/* From the arguments of a program: CA, chain, key. Frozen. */
static inline struct smtptls_config *config_from(int argc, char **argv)
{
    struct smtptls_config *config = smtptls_config_new();

    MUST(argc >= 4);
    MUST(smtptls_config_set_hostname(config, "host.example") == SMTPTLS_OK);
    MUST(smtptls_config_add_roots_file(config, argv[1]) == SMTPTLS_OK);
    MUST(smtptls_config_add_keypair_file(config, argv[2], argv[3]) == SMTPTLS_OK);
    MUST(smtptls_config_freeze(config) == SMTPTLS_OK);
    return config;
}

static inline void socket_pair(int fds[2])
{
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
}

/* How many descriptors are open; the one that counts them is always among them. */
static inline int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    MUST(dir != NULL);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* VmRSS (proc(5)) in KiB. */
static inline long resident_kib(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[200];
    long kib = -1;

    MUST(file != NULL);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    fclose(file);
    MUST(kib > 0);
    return kib;
}

/* Moves what one session wants to send to the other one, and says how much. */
static inline size_t carry(struct smtptls_session *from, struct smtptls_session *to)
{
    const uint8_t *data;
    size_t len = smtptls_session_output(from, &data);
    ptrdiff_t taken = len > 0 ? smtptls_session_feed(to, data, len) : 0;

    if (taken > 0)
        smtptls_session_sent(from, (size_t)taken);
    return taken > 0 ? (size_t)taken : 0;
}

/* Starts two sessions against each other in memory, from this entry, and says how the client's ended. */
static inline int meet(struct smtptls_session *client, struct smtptls_session *server, int entry)
{
    int ours = SMTPTLS_WANT_INPUT, theirs = SMTPTLS_WANT_INPUT, rounds;

    for (rounds = 0; rounds < 100; rounds++) {
        if (ours < 0 && ours >= SMTPTLS_WANT_OUTPUT)
            ours = smtptls_session_start(client, entry, 0);
        carry(client, server);
        if (theirs < 0 && theirs >= SMTPTLS_WANT_OUTPUT)
            theirs = smtptls_session_start(server, entry, 0);
        carry(server, client);
        if ((ours == SMTPTLS_OK && theirs == SMTPTLS_OK) || ours < SMTPTLS_WANT_RETRY)
            return ours;
    }
    return ours;
}

#endif
