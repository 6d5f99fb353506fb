/* One configuration and many threads: clients that open connections, a pool of threads that serve them, and, when asked,
 * one that reads the key pairs again and rotates the ticket keys all the while. Arguments: CA, chain, key, how many
 * threads on each side, how many sessions for each client, then "reload", or "alone" for a session before the others
 * and none that rotates: helgrind does not know what pthread_once(3) orders, nor the atomic operations (C11 7.17) by
 * which a new list of keys is handed over. */
#include "support.h"

#include "conversation.h"

#include <time.h>

static struct smtptls_config *config;
static int queue[2];
static long sessions;
static long well, served;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void add(long *number)
{
    pthread_mutex_lock(&lock);
    ++*number;
    pthread_mutex_unlock(&lock);
}

/* Connections come through a pipe; its end is the end of the work. */
static void *serve(void *argument)
{
    int fd;

    (void)argument;
    while (read(queue[0], &fd, sizeof fd) == (ssize_t)sizeof fd) {
        struct conversation talk = conversation(config, false, fd, fd, SMTPTLS_MODE_BLOCKING);
        if (converse(&talk))
            add(&served);
        smtptls_session_free(talk.session);
        close(fd);
    }
    return NULL;
}

static void *call(void *argument)
{
    long n;

    (void)argument;
    for (n = 0; n < sessions; n++) {
        struct conversation talk;
        int fds[2];
        socket_pair(fds);
        MUST(write(queue[1], &fds[1], sizeof fds[1]) == (ssize_t)sizeof fds[1]);
        talk = conversation(config, true, fds[0], fds[0], n % 3);
        if (converse(&talk) && smtptls_info_auth(smtptls_session_info(talk.session)) == SMTPTLS_AUTH_PKIX)
            add(&well);
        smtptls_session_free(talk.session);
        close(fds[0]);
    }
    return NULL;
}

static bool done;
static long rotated;

static void *rotate(void *argument)
{
    const struct timespec pause = {0, 1000000};
    unsigned char keys[64];
    bool over = false;

    (void)argument;
    memset(keys, 1, sizeof keys);
    for (; !over; rotated++) {
        memmove(keys + 32, keys, 32);
        memset(keys, (int)(rotated % 251), 32);
        MUST(smtptls_config_set_ticket_keys(config, keys, 2) == SMTPTLS_OK);
        MUST(smtptls_config_reload_keypairs(config) == SMTPTLS_OK);
        nanosleep(&pause, NULL);
        pthread_mutex_lock(&lock);
        over = done;
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

/* What is made once in a process is made by this. */
static void alone(void)
{
    struct smtptls_session *client = smtptls_session_client(config, NULL, HOST);
    struct smtptls_session *server = smtptls_session_server(config, NULL);

    MUST(meet(client, server, SMTPTLS_FROM_HANDSHAKE) == SMTPTLS_OK);
    smtptls_session_free(client);
    smtptls_session_free(server);
}

int main(int argc, char **argv)
{
    const int before = open_descriptors();
    pthread_t callers[64], servers[64], rotator;
    long threads, n;
    bool reload;

    MUST(argc == 7);
    threads = strtol(argv[4], NULL, 10);
    sessions = strtol(argv[5], NULL, 10);
    MUST(threads > 0 && threads <= 64 && pipe(queue) == 0);
    config = config_from(argc, argv);
    reload = strcmp(argv[6], "reload") == 0;
    if (!reload)
        alone();
    MUST(!reload || pthread_create(&rotator, NULL, rotate, NULL) == 0);
    for (n = 0; n < threads; n++)
        MUST(pthread_create(&servers[n], NULL, serve, NULL) == 0 &&
             pthread_create(&callers[n], NULL, call, NULL) == 0);
    for (n = 0; n < threads; n++)
        pthread_join(callers[n], NULL);
    close(queue[1]);
    for (n = 0; n < threads; n++)
        pthread_join(servers[n], NULL);
    close(queue[0]);
    pthread_mutex_lock(&lock);
    done = true;
    pthread_mutex_unlock(&lock);
    if (reload)
        pthread_join(rotator, NULL);
    CHECK(!reload || rotated > 1);
    smtptls_config_free(config);
    CHECK(well == threads * sessions && served == well);
    CHECK(open_descriptors() == before);
    return failed;
}
