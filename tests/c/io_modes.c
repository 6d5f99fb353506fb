/* Whole sessions over descriptors of every kind and in every mode: narrow ones, slow ones, with O_NONBLOCK or not, with
 * a time limit of their own. Descriptors are as they were afterwards. Arguments: CA, chain, key. */
#define _GNU_SOURCE /* F_SETPIPE_SZ */
#include "support.h"

#include "conversation.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/time.h>

static struct smtptls_config *config;

/* A session of ours in this mode, and one of the peer that blocks. */
static void talk(const int ours[2], const int theirs[2], int mode, bool client, size_t bulk)
{
    struct conversation here = conversation(config, client, ours[0], ours[1], mode);
    struct conversation there = conversation(config, !client, theirs[0], theirs[1], SMTPTLS_MODE_BLOCKING);
    const int flags[] = {fcntl(ours[0], F_GETFL), fcntl(ours[1], F_GETFL)};
    pthread_t thread;

    here.bulk = there.bulk = bulk;
    MUST(pthread_create(&thread, NULL, converse_thread, &there) == 0);
    CHECK(converse(&here));
    pthread_join(thread, NULL);
    CHECK(here.code == SMTPTLS_OK && there.code == SMTPTLS_OK);
    CHECK(mode == SMTPTLS_MODE_NONBLOCKING || here.waits == 0);
    CHECK(here.retries == 0 && there.waits == 0);
    CHECK(fcntl(ours[0], F_GETFL) == flags[0] && fcntl(ours[1], F_GETFL) == flags[1]);
    smtptls_session_free(here.session);
    smtptls_session_free(there.session);
}

static void set_nonblocking(int fd)
{
    MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
}

/* The mode rules, whatever the flag says; the library does not touch it. */
static void sockets(int mode, bool client, bool flag, bool narrow)
{
    int fds[2], least = 1;

    socket_pair(fds);
    if (flag)
        set_nonblocking(fds[0]);
    if (narrow) /* The kernel makes it the least it knows (socket(7)). */
        MUST(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof least) == 0 &&
             setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &least, sizeof least) == 0);
    talk((const int[]){fds[0], fds[0]}, (const int[]){fds[1], fds[1]}, mode, client, narrow ? 200000 : 3000);
    close(fds[0]);
    close(fds[1]);
}

/* One descriptor to read from and another to write to, as inetd and filters have them; each holds a page. */
static void pipes(int mode, bool client, bool flag)
{
    int there[2], back[2];

    MUST(pipe(there) == 0 && pipe(back) == 0);
    MUST(fcntl(there[1], F_SETPIPE_SZ, 4096) >= 4096 && fcntl(back[1], F_SETPIPE_SZ, 4096) >= 4096);
    if (flag) {
        set_nonblocking(back[0]);
        set_nonblocking(there[1]);
    }
    talk((const int[]){back[0], there[1]}, (const int[]){there[0], back[1]}, mode, client, 100000);
    close(there[0]);
    close(there[1]);
    close(back[0]);
    close(back[1]);
}

/* Passes on one octet at a time, until one side closes. */
static void *trickle(void *argument)
{
    const int *fds = argument;
    struct pollfd polled[2] = {{fds[0], POLLIN, 0}, {fds[1], POLLIN, 0}};

    while (poll(polled, 2, -1) > 0) {
        int n;
        for (n = 0; n < 2; n++) {
            char octet;
            if (polled[n].revents == 0)
                continue;
            if (read(polled[n].fd, &octet, 1) != 1 || send(polled[1 - n].fd, &octet, 1, MSG_NOSIGNAL) != 1)
                return NULL;
        }
    }
    return NULL;
}

static void octet_by_octet(int mode, bool client)
{
    int ours[2], theirs[2], between[2];
    pthread_t thread;

    socket_pair(ours);
    socket_pair(theirs);
    between[0] = ours[1];
    between[1] = theirs[1];
    MUST(pthread_create(&thread, NULL, trickle, between) == 0);
    talk((const int[]){ours[0], ours[0]}, (const int[]){theirs[0], theirs[0]}, mode, client, 3000);
    close(ours[0]);
    close(theirs[0]);
    pthread_join(thread, NULL);
    close(ours[1]);
    close(theirs[1]);
}

/* An alarm of the socket's own, SO_RCVTIMEO, is not the session's: EAGAIN is no timeout, and the wait goes on. */
static void *late(void *argument)
{
    struct conversation *server = argument;
    struct timespec pause = {0, 150 * 1000 * 1000};

    nanosleep(&pause, NULL);
    CHECK(say(server, "250 late\r\n", 10));
    return NULL;
}

static void timeout_of_the_socket(bool limited, int flags)
{
    const struct timeval soon = {0, 20 * 1000};
    struct conversation client, server;
    pthread_t thread;
    char start[5];
    int fds[2];

    socket_pair(fds);
    MUST(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon) == 0);
    MUST(setsockopt(fds[0], SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon) == 0);
    MUST(fcntl(fds[0], F_SETFL, flags) == 0);
    connected(config, fds, SMTPTLS_MODE_BLOCKING, &client, &server);
    /* Without a limit the library does not poll before it reads. */
    if (!limited)
        CHECK(smtptls_session_set_timeout(client.session, SMTPTLS_TIMEOUT_IO, 0) == SMTPTLS_OK);
    MUST(pthread_create(&thread, NULL, late, &server) == 0);
    CHECK(hear(&client, start) && strcmp(start, "250 ") == 0 && client.waits == 0);
    pthread_join(thread, NULL);
    CHECK(smtptls_session_set_timeout(client.session, SMTPTLS_TIMEOUT_IO, 100) == SMTPTLS_OK);
    CHECK(smtptls_session_read(client.session, start, 1) == SMTPTLS_ERR_TIMEOUT);
    CHECK(smtptls_error_os(smtptls_session_error(client.session)) == 0);
    smtptls_session_free(client.session);
    smtptls_session_free(server.session);
    close(fds[0]);
    close(fds[1]);
}

/* The peer is gone. SIGPIPE has its default here, and would end the program. */
static void the_peer_is_gone(int mode)
{
    struct conversation client, server;
    char octet;
    int fds[2];

    socket_pair(fds);
    connected(config, fds, mode, &client, &server);
    close(fds[1]);
    CHECK(!say(&client, "NOOP\r\n", 6) && client.code == SMTPTLS_ERR_IO);
    CHECK(smtptls_error_os(smtptls_session_error(client.session)) == EPIPE);
    CHECK(smtptls_session_read(client.session, &octet, 1) == SMTPTLS_ERR_IO);
    CHECK(smtptls_session_close(client.session, SMTPTLS_CLOSE_WAIT) <= 0);
    smtptls_session_free(client.session);
    smtptls_session_free(server.session);
    close(fds[0]);

    /* It left with something unread: a reset. */
    socket_pair(fds);
    connected(config, fds, mode, &client, &server);
    CHECK(say(&client, "NOOP\r\n", 6));
    close(fds[1]);
    do
        client.code = (int)smtptls_session_read(client.session, &octet, 1);
    while (client.code == SMTPTLS_WANT_INPUT);
    CHECK(client.code == SMTPTLS_ERR_IO);
    CHECK(smtptls_error_os(smtptls_session_error(client.session)) == ECONNRESET);
    CHECK(fcntl(fds[0], F_GETFD) >= 0);
    smtptls_session_free(client.session);
    smtptls_session_free(server.session);
    close(fds[0]);
}

int main(int argc, char **argv)
{
    const int before = open_descriptors();
    int mode, n;

    config = config_from(argc, argv);
    for (mode = SMTPTLS_MODE_BLOCKING; mode <= SMTPTLS_MODE_NONBLOCKING; mode++) {
        for (n = 0; n < 8; n++)
            sockets(mode, n & 1, n & 2, n & 4);
        for (n = 0; n < 4; n++)
            pipes(mode, n & 1, n & 2);
        octet_by_octet(mode, true);
        octet_by_octet(mode, false);
        the_peer_is_gone(mode);
    }
    timeout_of_the_socket(true, 0);
    timeout_of_the_socket(true, O_NONBLOCK);
    timeout_of_the_socket(false, 0);
    timeout_of_the_socket(false, O_NONBLOCK);
    smtptls_config_free(config);
    CHECK(open_descriptors() == before);
    return failed;
}
