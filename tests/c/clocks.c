/* Clocks that are wrong: the wall clock before 1970, years ahead, years behind, and changing within a session and
 * between two; the monotonic clock standing still, and leaping. Certificates, revocation lists and tickets go by the wall
 * clock; limits of time by the monotonic one. Arguments: CA, chain, key, a revocation list. Prints how many sessions. */
#define _GNU_SOURCE
#include "support.h"

#include "conversation.h"

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

#define DAY 86400L
#define YEAR (365 * DAY)

/* What the library is told: so much is added to each clock, or the monotonic one stands. Threads set it before they
 * begin. */
static volatile long wall_off, monotonic_off;
static volatile bool standing;
static struct timespec stood_at;
static volatile long asked[2];

/* In place of libc's, for the library too. */
int clock_gettime(clockid_t clock, struct timespec *time)
{
    int code = (int)syscall(SYS_clock_gettime, clock, time);

    if (clock == CLOCK_REALTIME) {
        time->tv_sec += wall_off;
        asked[0]++;
    } else {
        if (standing)
            *time = stood_at;
        time->tv_sec += monotonic_off;
        asked[1]++;
    }
    return code;
}

static void stand(bool still)
{
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &stood_at);
    standing = still;
}

static long now(void)
{
    struct timespec time;

    syscall(SYS_clock_gettime, CLOCK_REALTIME, &time);
    return time.tv_sec;
}

static long sessions;

static struct smtptls_config *with(char **argv, int newest, const char *list)
{
    const unsigned char key[32] = {1};
    struct smtptls_config *config = smtptls_config_new();

    MUST(smtptls_config_set_hostname(config, "host.example") == SMTPTLS_OK);
    MUST(smtptls_config_add_roots_file(config, argv[1]) == SMTPTLS_OK);
    MUST(smtptls_config_add_keypair_file(config, argv[2], argv[3]) == SMTPTLS_OK);
    MUST(!list || smtptls_config_add_crl_file(config, list) == SMTPTLS_OK);
    MUST(smtptls_config_set_max_version(config, newest) == SMTPTLS_OK);
    MUST(smtptls_config_set_client_sessions(config, 10) == SMTPTLS_OK);
    MUST(smtptls_config_set_ticket_keys(config, key, 1) == SMTPTLS_OK);
    MUST(smtptls_config_freeze(config) == SMTPTLS_OK);
    return config;
}

struct outcome {
    int code;
    bool resumed, reached;
};

/* A session in memory at this level. The wall clock is that much off when the client's part begins, and this much from
 * when its hello is on its way. The reply to a line brings the tickets. */
static struct outcome session(struct smtptls_config *config, int level, long off, long then)
{
    struct smtptls_policy *policy = smtptls_policy_new(level);
    struct smtptls_session *client = smtptls_session_client(config, policy, HOST);
    struct smtptls_session *server = smtptls_session_server(config, NULL);
    struct outcome outcome;
    char buf[100];
    int rounds;

    wall_off = off;
    MUST(smtptls_session_start(client, SMTPTLS_FROM_HANDSHAKE, 0) == SMTPTLS_WANT_OUTPUT);
    wall_off = then;
    outcome.code = meet(client, server, SMTPTLS_FROM_HANDSHAKE);
    outcome.reached = smtptls_session_info(client) != NULL;
    outcome.resumed = outcome.reached && smtptls_info_resumed(smtptls_session_info(client));
    if (outcome.code == SMTPTLS_OK) {
        CHECK(smtptls_info_auth(smtptls_session_info(client)) ==
              (level == SMTPTLS_LEVEL_VERIFY ? SMTPTLS_AUTH_PKIX : smtptls_info_auth(smtptls_session_info(client))));
        CHECK(smtptls_session_write(server, "250 ok\r\n", 8, false) == 8);
        for (rounds = 0; rounds < 3; rounds++)
            carry(server, client);
        CHECK(smtptls_session_read(client, buf, sizeof buf) == 8);
    } else {
        /* Nothing of the program passes, and the session can leave politely. */
        CHECK(smtptls_session_write(client, "x", 1, false) == outcome.code);
        CHECK(smtptls_session_error(client) && smtptls_session_refuse(client) != SMTPTLS_ERR_INTERNAL);
    }
    sessions++;
    smtptls_session_free(client);
    smtptls_session_free(server);
    smtptls_policy_free(policy);
    wall_off = 0;
    return outcome;
}

#define EXPECT(found, wanted, again)                                           \
    do {                                                                       \
        struct outcome outcome_ = (found);                                     \
        if (outcome_.code != (wanted) || outcome_.resumed != (again) || !outcome_.reached) {           \
            fprintf(stderr, "%s:%d: %s: %s, %s%s\n", __FILE__, __LINE__, #found, smtptls_code_name(outcome_.code), \
                    outcome_.resumed ? "resumed" : "full", outcome_.reached ? "" : ", no handshake");              \
            failed = 1;                                                        \
        }                                                                      \
    } while (0)

/* Certificates have ended, or have not begun; at level may that is no reason for plaintext. */
static void certificates(char **argv, int newest)
{
    const long wrong[] = {-now() - 1, -now() - 100 * YEAR, -now(), -10 * YEAR, -2 * DAY, 31 * DAY, 10 * YEAR, 200 * YEAR};
    size_t n;

    for (n = 0; n < sizeof wrong / sizeof *wrong; n++) {
        struct smtptls_config *config = with(argv, newest, NULL);
        EXPECT(session(config, SMTPTLS_LEVEL_VERIFY, 0, 0), SMTPTLS_OK, false);
        /* The clock changes between the hello and the verdict, and is as it was again for the next. */
        EXPECT(session(config, SMTPTLS_LEVEL_VERIFY, 0, wrong[n]), SMTPTLS_ERR_CERT_TIME, false);
        EXPECT(session(config, SMTPTLS_LEVEL_VERIFY, wrong[n], wrong[n]), SMTPTLS_ERR_CERT_TIME, false);
        EXPECT(session(config, SMTPTLS_LEVEL_VERIFY, wrong[n], 0), SMTPTLS_OK, false);
        smtptls_config_free(config);
        config = with(argv, newest, NULL);
        EXPECT(session(config, SMTPTLS_LEVEL_MAY, wrong[n], wrong[n]), SMTPTLS_OK, false);
        EXPECT(session(config, SMTPTLS_LEVEL_MAY, wrong[n], 0), SMTPTLS_OK, false);
        smtptls_config_free(config);
    }
}

/* Tickets live for an hour of the wall clock, whichever way it goes. */
static void tickets(char **argv, int newest)
{
    static const struct {
        long made, used;
        bool good;
    } cases[] = {
        {0, 0, true},          {0, 1800, true},        {0, -1800, true},       {0, 3700, false},     {0, -3700, false},
        {10 * DAY, 0, false},  {-DAY / 2, 0, false},   {DAY, 5 * DAY, false},  {0, 20 * DAY, false}, {600, 0, true},
    };
    size_t n;

    for (n = 0; n < sizeof cases / sizeof *cases; n++) {
        struct smtptls_config *config = with(argv, newest, NULL);
        EXPECT(session(config, SMTPTLS_LEVEL_VERIFY, cases[n].made, cases[n].made), SMTPTLS_OK, false);
        EXPECT(session(config, SMTPTLS_LEVEL_VERIFY, cases[n].used, cases[n].used), SMTPTLS_OK, cases[n].good);
        smtptls_config_free(config);
    }
}

/* A list that has ended fails, and so it does when the clock alone says so; one from the future revokes all the same. */
static void lists(char **argv, int newest)
{
    struct smtptls_config *config = with(argv, newest, argv[4]);

    EXPECT(session(config, SMTPTLS_LEVEL_VERIFY, 0, 0), SMTPTLS_OK, false);
    EXPECT(session(config, SMTPTLS_LEVEL_VERIFY, -DAY / 2, -DAY / 2), SMTPTLS_OK, false);
    smtptls_config_free(config);
    config = with(argv, newest, argv[5]);
    EXPECT(session(config, SMTPTLS_LEVEL_VERIFY, 0, 0), SMTPTLS_ERR_CERT_REVOKED, false);
    EXPECT(session(config, SMTPTLS_LEVEL_VERIFY, -DAY / 2, -DAY / 2), SMTPTLS_ERR_CERT_REVOKED, false);
    smtptls_config_free(config);
    config = with(argv, newest, argv[6]);
    EXPECT(session(config, SMTPTLS_LEVEL_VERIFY, 0, 0), SMTPTLS_ERR_CRL_EXPIRED, false);
    smtptls_config_free(config);
}

static long elapsed(const struct timespec *since)
{
    struct timespec time;

    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time);
    return (time.tv_sec - since->tv_sec) * 1000 + (time.tv_nsec - since->tv_nsec) / 1000000;
}

/* A silent peer, and limits of 150 ms: by how the clock goes meanwhile. The wall clock is years off all the while. */
static void waiting(struct smtptls_config *config, int mode, bool still, long leap)
{
    struct conversation client;
    struct timespec since;
    int fds[2];
    long took;

    socket_pair(fds);
    client = conversation(config, true, fds[0], fds[0], mode);
    MUST(smtptls_session_set_timeout(client.session, SMTPTLS_TIMEOUT_START, 150) == SMTPTLS_OK);
    wall_off = -30 * YEAR;
    stand(still);
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &since);
    alarm(HANGS / 1000);
    if (leap != 0) {
        /* After the first call: the limit has begun. */
        MUST(smtptls_session_attach(client.session, fds[0], fds[0], SMTPTLS_MODE_NONBLOCKING) == SMTPTLS_OK);
        CHECK(smtptls_session_start(client.session, SMTPTLS_FROM_GREETING, 0) == SMTPTLS_WANT_INPUT);
        MUST(smtptls_session_attach(client.session, fds[0], fds[0], mode) == SMTPTLS_OK);
        monotonic_off = leap;
        wall_off = 30 * YEAR;
    }
    CHECK(smtptls_session_start(client.session, SMTPTLS_FROM_GREETING, 0) == SMTPTLS_ERR_TIMEOUT);
    took = elapsed(&since);
    alarm(0);
    stand(false);
    monotonic_off = wall_off = 0;
    /* A monotonic clock that has leapt ends the wait at once; else the kernel has waited for all of it. */
    CHECK(took >= (leap > 0 ? 0 : 149) && took < HANGS);
    sessions++;
    smtptls_session_free(client.session);
    close(fds[0]);
    close(fds[1]);
}

/* Whole sessions while the wall clock leaps and the monotonic one stands: none hangs, and none fails for it, as long as
 * the clock is right when the certificate is judged. */
static void talking(struct smtptls_config *config)
{
    struct conversation client, server;
    pthread_t thread;
    char start[5];
    int fds[2];

    socket_pair(fds);
    stand(true);
    client = conversation(config, true, fds[0], fds[0], SMTPTLS_MODE_BLOCKING);
    server = conversation(config, false, fds[1], fds[1], SMTPTLS_MODE_BLOCKING);
    MUST(pthread_create(&thread, NULL, converse_thread, &server) == 0);
    alarm(HANGS / 1000);
    CHECK(begin(&client));
    wall_off = 100 * YEAR;
    CHECK(say(&client, "NOOP\r\n", 6) && hear(&client, start));
    wall_off = -now() - 5;
    CHECK(client_talks(&client) && finish(&client, SMTPTLS_CLOSE_WAIT));
    alarm(0);
    pthread_join(thread, NULL);
    wall_off = 0;
    stand(false);
    CHECK(server.code == SMTPTLS_OK);
    sessions++;
    smtptls_session_free(client.session);
    smtptls_session_free(server.session);
    close(fds[0]);
    close(fds[1]);
}

int main(int argc, char **argv)
{
    static const int versions[] = {SMTPTLS_TLS1_2, SMTPTLS_TLS1_3};
    const int before = open_descriptors();
    struct smtptls_config *config;
    int mode;
    size_t n;

    MUST(argc == 7);
    for (n = 0; n < 2; n++) {
        certificates(argv, versions[n]);
        tickets(argv, versions[n]);
        lists(argv, versions[n]);
    }
    config = config_from(argc, argv);
    for (mode = SMTPTLS_MODE_BLOCKING; mode <= SMTPTLS_MODE_INTERRUPTIBLE; mode++) {
        waiting(config, mode, false, 0);
        waiting(config, mode, true, 0);
        waiting(config, mode, false, 10 * YEAR);
    }
    talking(config);
    smtptls_config_free(config);
    CHECK(asked[0] > 0 && asked[1] > 0);
    CHECK(open_descriptors() == before);
    printf("%ld sessions\n", sessions);
    return failed;
}
