/* Limits of time: for start as a whole, for each call, and a point in time for many calls; against peers that are
 * silent, that dribble, and that do not read, and under a storm of signals. Arguments: CA, chain, key. */
#include "support.h"

#include "conversation.h"

#include <signal.h>
#include <sys/time.h>
#include <time.h>

/* No call may take so much longer than its limit, in milliseconds; machines under load are slow. */
#define SLACK 3000

static struct smtptls_config *config;

static long now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* The clock of the limit may have begun a moment before ours. */
static bool took(long since, long limit)
{
    const long passed = now() - since;

    return passed >= limit - 1 && passed <= limit + SLACK;
}

static void end(struct conversation *client, struct conversation *server, const int fds[2])
{
    smtptls_session_free(client->session);
    smtptls_session_free(server->session);
    close(fds[0]);
    close(fds[1]);
}

static void silence(void)
{
    struct conversation client, server;
    char start[5];
    int fds[2];
    long since;

    socket_pair(fds);
    client = conversation(config, true, fds[0], fds[0], SMTPTLS_MODE_BLOCKING);
    CHECK(smtptls_session_set_timeout(client.session, SMTPTLS_TIMEOUT_START, 150) == SMTPTLS_OK);
    since = now();
    CHECK(smtptls_session_start(client.session, SMTPTLS_FROM_GREETING, 0) == SMTPTLS_ERR_TIMEOUT);
    CHECK(took(since, 150));
    CHECK(smtptls_error_os(smtptls_session_error(client.session)) == 0);
    CHECK(smtptls_error_temporary(smtptls_session_error(client.session)));
    smtptls_session_free(client.session);
    close(fds[0]);
    close(fds[1]);

    /* After start a timeout leaves the session as it was. */
    socket_pair(fds);
    connected(config, fds, SMTPTLS_MODE_BLOCKING, &client, &server);
    CHECK(smtptls_session_set_timeout(client.session, SMTPTLS_TIMEOUT_IO, 100) == SMTPTLS_OK);
    since = now();
    CHECK(smtptls_session_read(client.session, start, 1) == SMTPTLS_ERR_TIMEOUT);
    CHECK(took(since, 100));
    CHECK(say(&server, "250 ok\r\n", 8) && hear(&client, start) && strcmp(start, "250 ") == 0);
    CHECK(say(&client, "QUIT\r\n", 6) && hear(&server, start) && strcmp(start, "QUIT") == 0);
    end(&client, &server, fds);
}

/* Sends one octet of a greeting every ten milliseconds, for ever, until the other side has closed. */
static void *dribble(void *argument)
{
    const struct timespec pause = {0, 10 * 1000 * 1000};

    send(*(int *)argument, "220-", 4, MSG_NOSIGNAL);
    while (send(*(int *)argument, "x", 1, MSG_NOSIGNAL) == 1)
        nanosleep(&pause, NULL);
    return NULL;
}

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
    (void)number;
    alarms++;
}

/* The limit of start is for all of it, whatever comes meanwhile: octets, or signals and so more calls. */
static void start_as_a_whole(int mode, bool storm)
{
    const struct itimerval every = {{0, 5000}, {0, 5000}}, never = {{0, 0}, {0, 0}};
    struct conversation client;
    pthread_t thread;
    sigset_t blocked;
    int fds[2];
    long since;

    socket_pair(fds);
    client = conversation(config, true, fds[0], fds[0], mode);
    CHECK(smtptls_session_set_timeout(client.session, SMTPTLS_TIMEOUT_START, 200) == SMTPTLS_OK);
    /* The signals are for this thread. */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    if (!storm)
        MUST(pthread_create(&thread, NULL, dribble, &fds[1]) == 0);
    pthread_sigmask(SIG_UNBLOCK, &blocked, NULL);
    alarms = 0;
    if (storm)
        setitimer(ITIMER_REAL, &every, NULL);
    since = now();
    CHECK(!begin(&client) && client.code == SMTPTLS_ERR_TIMEOUT);
    CHECK(took(since, 200));
    setitimer(ITIMER_REAL, &never, NULL);
    if (storm)
        CHECK(alarms > 2 && (mode == SMTPTLS_MODE_INTERRUPTIBLE ? client.retries > 2 : client.retries == 0));
    smtptls_session_free(client.session);
    close(fds[0]);
    if (!storm)
        pthread_join(thread, NULL);
    close(fds[1]);
}

/* The limit of start can change while it goes on, and counts from its first call on descriptors. */
static void start_that_goes_on(void)
{
    struct conversation client;
    int fds[2];
    long since;

    socket_pair(fds);
    client = conversation(config, true, fds[0], fds[0], SMTPTLS_MODE_NONBLOCKING);
    since = now();
    CHECK(smtptls_session_start(client.session, SMTPTLS_FROM_GREETING, 0) == SMTPTLS_WANT_INPUT);
    CHECK(smtptls_session_attach(client.session, fds[0], fds[0], SMTPTLS_MODE_BLOCKING) == SMTPTLS_OK);
    CHECK(smtptls_session_set_timeout(client.session, SMTPTLS_TIMEOUT_START, 150) == SMTPTLS_OK);
    CHECK(smtptls_session_start(client.session, SMTPTLS_FROM_GREETING, 0) == SMTPTLS_ERR_TIMEOUT);
    CHECK(took(since, 150));
    smtptls_session_free(client.session);

    /* In memory the time is the program's. */
    client.session = smtptls_session_client(config, NULL, HOST);
    MUST(client.session != NULL);
    CHECK(smtptls_session_set_timeout(client.session, SMTPTLS_TIMEOUT_START, 150) == SMTPTLS_OK);
    CHECK(smtptls_session_start(client.session, SMTPTLS_FROM_GREETING, 0) == SMTPTLS_WANT_INPUT);
    nanosleep(&(struct timespec){0, 200 * 1000 * 1000}, NULL);
    CHECK(smtptls_session_start(client.session, SMTPTLS_FROM_GREETING, 0) == SMTPTLS_WANT_INPUT);
    CHECK(smtptls_session_attach(client.session, fds[0], fds[0], SMTPTLS_MODE_BLOCKING) == SMTPTLS_OK);
    since = now();
    CHECK(smtptls_session_start(client.session, SMTPTLS_FROM_GREETING, 0) == SMTPTLS_ERR_TIMEOUT);
    CHECK(took(since, 150));
    smtptls_session_free(client.session);
    close(fds[0]);
    close(fds[1]);
}

static void *keep_talking(void *argument)
{
    const struct timespec pause = {0, 20 * 1000 * 1000};
    struct conversation *server = argument;

    while (say(server, "250-on and on\r\n", 15))
        nanosleep(&pause, NULL);
    return NULL;
}

/* Every call is done well within its own limit; the deadline is for all of them. */
static void deadline_over_many_calls(void)
{
    struct conversation client, server;
    pthread_t thread;
    int fds[2], lines = 0;
    char start[5];
    long since;

    socket_pair(fds);
    connected(config, fds, SMTPTLS_MODE_BLOCKING, &client, &server);
    MUST(pthread_create(&thread, NULL, keep_talking, &server) == 0);
    since = now();
    CHECK(smtptls_session_set_deadline(client.session, 500) == SMTPTLS_OK);
    while (hear(&client, start))
        lines++;
    CHECK(client.code == SMTPTLS_ERR_TIMEOUT && lines > 1);
    CHECK(took(since, 500));
    /* It stays past, until it is taken away. */
    CHECK(smtptls_session_read(client.session, start, 1) == SMTPTLS_ERR_TIMEOUT || hear(&client, start));
    CHECK(smtptls_session_set_deadline(client.session, 0) == SMTPTLS_OK);
    CHECK(hear(&client, start));
    shutdown(fds[0], SHUT_RDWR);
    pthread_join(thread, NULL);
    end(&client, &server, fds);

    /* A call that does not wait has its deadline too. */
    socket_pair(fds);
    connected(config, fds, SMTPTLS_MODE_NONBLOCKING, &client, &server);
    CHECK(smtptls_session_read(client.session, start, 1) == SMTPTLS_WANT_INPUT);
    CHECK(smtptls_session_set_deadline(client.session, 1) == SMTPTLS_OK);
    nanosleep(&(struct timespec){0, 5 * 1000 * 1000}, NULL);
    CHECK(smtptls_session_read(client.session, start, 1) == SMTPTLS_ERR_TIMEOUT);
    end(&client, &server, fds);
}

/* The peer does not read: a write that waits has a limit. What it took is not lost, and arrives when there is room. */
static void nobody_reads(void)
{
    enum { LEN = 4000000 };
    struct conversation client, server;
    char *message = calloc(1, LEN), buf[4096];
    ptrdiff_t count;
    size_t got = 0;
    int fds[2];
    long since;

    MUST(message != NULL);
    socket_pair(fds);
    connected(config, fds, SMTPTLS_MODE_BLOCKING, &client, &server);
    CHECK(smtptls_session_set_timeout(client.session, SMTPTLS_TIMEOUT_IO, 150) == SMTPTLS_OK);
    since = now();
    CHECK(smtptls_session_write(client.session, message, LEN, false) == SMTPTLS_ERR_TIMEOUT);
    CHECK(took(since, 150));
    since = now();
    CHECK(smtptls_session_flush(client.session) == SMTPTLS_ERR_TIMEOUT);
    CHECK(took(since, 150));
    /* TLS is whole: what comes can be decrypted. */
    CHECK(smtptls_session_set_timeout(server.session, SMTPTLS_TIMEOUT_IO, 150) == SMTPTLS_OK);
    while ((count = smtptls_session_read(server.session, buf, sizeof buf)) > 0)
        got += (size_t)count;
    CHECK(count == SMTPTLS_ERR_TIMEOUT && got > 0 && got < LEN);
    CHECK(smtptls_session_flush(client.session) == SMTPTLS_OK);
    CHECK(smtptls_session_read(server.session, buf, sizeof buf) > 0);
    end(&client, &server, fds);
    free(message);
}

int main(int argc, char **argv)
{
    const int before = open_descriptors();
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, NULL);
    config = config_from(argc, argv);
    silence();
    start_as_a_whole(SMTPTLS_MODE_BLOCKING, false);
    start_as_a_whole(SMTPTLS_MODE_NONBLOCKING, false);
    start_as_a_whole(SMTPTLS_MODE_BLOCKING, true);
    start_as_a_whole(SMTPTLS_MODE_INTERRUPTIBLE, true);
    start_that_goes_on();
    deadline_over_many_calls();
    nobody_reads();
    smtptls_config_free(config);
    CHECK(open_descriptors() == before);
    return failed;
}
