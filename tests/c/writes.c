/* What smtptls_session_write() promises: how much it took, that the rest may move, and what leaves in one TLS record.
 * Arguments: CA, chain, key. */
#include "support.h"

#include "conversation.h"

#include <signal.h>
#include <sys/time.h>

static struct smtptls_config *config;

/* How many TLS records wait to be sent (RFC 8446 section 5.1); they are dropped. */
static int records(struct smtptls_session *session)
{
    const uint8_t *data;
    size_t len = smtptls_session_output(session, &data), at = 0;
    int count = 0;

    while (at + 5 <= len) {
        CHECK(data[at] == 23);
        at += 5 + (size_t)(data[at + 3] << 8 | data[at + 4]);
        count++;
    }
    CHECK(at == len);
    smtptls_session_sent(session, len);
    return count;
}

static void more(void)
{
    struct smtptls_session *client = smtptls_session_client(config, NULL, HOST);
    struct smtptls_session *server = smtptls_session_server(config, NULL);
    static char big[40000];
    char octet;
    int n;

    MUST(meet(client, server, SMTPTLS_FROM_HANDSHAKE) == SMTPTLS_OK);
    smtptls_session_sent(client, SIZE_MAX);
    /* Nothing leaves, and then all of it in one record. */
    for (n = 0; n < 100; n++)
        CHECK(smtptls_session_write(client, "line\r\n", 6, true) == 6);
    CHECK(records(client) == 0);
    CHECK(smtptls_session_write(client, "last\r\n", 6, false) == 6);
    CHECK(records(client) == 1);
    /* Each of these lets it go. */
    CHECK(smtptls_session_write(client, "line\r\n", 6, true) == 6);
    /* A write of nothing has nothing to take: it is a flush. */
    CHECK(smtptls_session_write(client, "", 0, false) == SMTPTLS_WANT_OUTPUT);
    CHECK(records(client) == 1);
    CHECK(smtptls_session_write(client, "line\r\n", 6, true) == 6);
    CHECK(smtptls_session_flush(client) == SMTPTLS_WANT_OUTPUT);
    CHECK(records(client) == 1);
    CHECK(smtptls_session_flush(client) == SMTPTLS_OK);
    CHECK(smtptls_session_write(client, "line\r\n", 6, true) == 6);
    CHECK(smtptls_session_read(client, &octet, 1) == SMTPTLS_WANT_OUTPUT);
    CHECK(records(client) == 1);
    CHECK(smtptls_session_read(client, &octet, 1) == SMTPTLS_WANT_INPUT);
    /* Lines of their own are records of their own, and nothing is none. */
    for (n = 0; n < 3; n++)
        CHECK(smtptls_session_write(client, "line\r\n", 6, false) == 6);
    CHECK(records(client) == 3);
    CHECK(smtptls_session_write(client, NULL, 0, false) == 0 && records(client) == 0);
    /* Full ones do not wait: two of 16 KiB, and the rest with the next. */
    CHECK(smtptls_session_write(client, big, sizeof big, true) == (ptrdiff_t)sizeof big);
    CHECK(records(client) == 2);
    /* close_notify is an alert; in TLS 1.3 it looks like data from outside. */
    CHECK(smtptls_session_close(client, SMTPTLS_CLOSE_SEND) == SMTPTLS_WANT_OUTPUT);
    CHECK(records(client) == 2);
    CHECK(smtptls_session_write(client, "late\r\n", 6, false) == SMTPTLS_ERR_STATE);
    smtptls_session_free(client);
    smtptls_session_free(server);
}

struct reader {
    struct conversation *server;
    uint8_t *got;
    size_t len, wanted;
};

static void *read_all(void *argument)
{
    struct reader *reader = argument;

    while (reader->len < reader->wanted) {
        ptrdiff_t count =
            smtptls_session_read(reader->server->session, reader->got + reader->len, reader->wanted - reader->len);
        if (count <= 0)
            break;
        reader->len += (size_t)count;
    }
    return NULL;
}

/* Nobody reads, so that a write that does not wait takes a part. Then the rest comes from another place, and what it
 * took is not looked at any more. */
static void the_rest_may_move(void)
{
    enum { LEN = 1000000 };
    uint8_t *message = malloc(LEN), *moved = malloc(LEN), *got = malloc(LEN);
    struct conversation client, server;
    struct reader reader = {&server, got, 0, LEN};
    size_t taken = 0, n;
    ptrdiff_t count;
    pthread_t thread;
    int fds[2], partly = 0;

    MUST(message && moved && got);
    for (n = 0; n < LEN; n++)
        message[n] = (uint8_t)(n % 251);
    socket_pair(fds);
    connected(config, fds, SMTPTLS_MODE_NONBLOCKING, &client, &server);
    do {
        memcpy(moved, message + taken, LEN - taken);
        count = smtptls_session_write(client.session, moved, LEN - taken, false);
        memset(moved, 0xff, LEN - taken);
        taken += count > 0 ? (size_t)count : 0;
        partly += count > 0;
    } while (count > 0 && taken < LEN);
    CHECK(count == SMTPTLS_WANT_OUTPUT && partly > 0 && taken < LEN);
    CHECK(smtptls_session_error(client.session) == NULL);
    /* Asked again at once it takes nothing, and nothing is lost. */
    CHECK(smtptls_session_write(client.session, message + taken, LEN - taken, false) == SMTPTLS_WANT_OUTPUT);
    CHECK(smtptls_session_flush(client.session) == SMTPTLS_WANT_OUTPUT);

    MUST(pthread_create(&thread, NULL, read_all, &reader) == 0);
    CHECK(say(&client, (const char *)message + taken, LEN - taken));
    pthread_join(thread, NULL);
    CHECK(reader.len == LEN && memcmp(got, message, LEN) == 0);
    smtptls_session_free(client.session);
    smtptls_session_free(server.session);
    close(fds[0]);
    close(fds[1]);
    free(message);
    free(moved);
    free(got);
}

/* With descriptors that block, all of it is taken and has been sent. */
static void all_of_it(void)
{
    enum { LEN = 1000000 };
    char *message = malloc(LEN);
    uint8_t *got = malloc(LEN);
    struct conversation client, server;
    struct reader reader = {&server, got, 0, LEN};
    pthread_t thread;
    int fds[2];

    MUST(message && got);
    memset(message, 'm', LEN);
    socket_pair(fds);
    connected(config, fds, SMTPTLS_MODE_BLOCKING, &client, &server);
    MUST(pthread_create(&thread, NULL, read_all, &reader) == 0);
    CHECK(smtptls_session_write(client.session, message, LEN, false) == LEN);
    /* Nothing is left to send: the session may go at once. */
    CHECK(smtptls_session_output(client.session, NULL) == 0);
    smtptls_session_free(client.session);
    pthread_join(thread, NULL);
    CHECK(reader.len == LEN && memcmp(got, message, LEN) == 0);
    smtptls_session_free(server.session);
    close(fds[0]);
    close(fds[1]);
    free(message);
    free(got);
}

static void on_alarm(int number)
{
    (void)number;
}

/* A signal ends the wait of a write too. What was taken is said as a number, and is neither lost nor sent twice. */
static void under_a_storm_of_signals(void)
{
    enum { LEN = 2000000 };
    const struct itimerval every = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    char *message = malloc(LEN);
    uint8_t *got = malloc(LEN);
    struct conversation client, server;
    struct reader reader = {&server, got, 0, LEN};
    struct sigaction action;
    sigset_t blocked;
    pthread_t thread;
    int fds[2], least = 1;
    size_t n;

    MUST(message && got);
    for (n = 0; n < LEN; n++)
        message[n] = (char)(n % 251);
    socket_pair(fds);
    MUST(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof least) == 0);
    connected(config, fds, SMTPTLS_MODE_INTERRUPTIBLE, &client, &server);
    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, NULL);
    /* The signals are for the thread that writes. */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    pthread_sigmask(SIG_UNBLOCK, &blocked, NULL);
    /* Nobody reads: without a signal, this would wait. */
    CHECK(smtptls_session_write(client.session, message, 100000, false) > 0);
    CHECK(smtptls_session_flush(client.session) == SMTPTLS_WANT_RETRY);
    CHECK(smtptls_session_write(client.session, message, 100000, false) != SMTPTLS_OK);
    setitimer(ITIMER_REAL, &never, NULL);
    smtptls_session_free(client.session);
    smtptls_session_free(server.session);
    close(fds[0]);
    close(fds[1]);

    socket_pair(fds);
    MUST(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof least) == 0);
    connected(config, fds, SMTPTLS_MODE_INTERRUPTIBLE, &client, &server);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    MUST(pthread_create(&thread, NULL, read_all, &reader) == 0);
    setitimer(ITIMER_REAL, &every, NULL);
    pthread_sigmask(SIG_UNBLOCK, &blocked, NULL);
    CHECK(say(&client, message, LEN));
    setitimer(ITIMER_REAL, &never, NULL);
    pthread_join(thread, NULL);
    CHECK(client.waits == 0);
    CHECK(reader.len == LEN && memcmp(got, message, LEN) == 0);
    smtptls_session_free(client.session);
    smtptls_session_free(server.session);
    close(fds[0]);
    close(fds[1]);
    free(message);
    free(got);
}

int main(int argc, char **argv)
{
    config = config_from(argc, argv);
    more();
    the_rest_may_move();
    all_of_it();
    under_a_storm_of_signals();
    smtptls_config_free(config);
    return failed;
}
