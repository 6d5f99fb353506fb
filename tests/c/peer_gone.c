/* The peer goes away behind each octet of a whole session over a socket: it says no more and still reads, it closes, or
 * it resets the connection. Never a success with less than the whole, the right code for how far it was, nothing in
 * plaintext behind STARTTLS, no descriptor lost. Arguments: CA, chain, key. Prints how many sessions were cut. */
#define _GNU_SOURCE
#include "support.h"

#include "conversation.h"
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/wait.h>

enum ending { HALF, CLOSED, RESET, ENDINGS };

static const char *const endings[] = {"half", "closed", "reset"};

static struct smtptls_config *config;
static int listener;
static struct sockaddr_in address;

/* Over TCP: only there is a reset. */
static void connection(int fds[2])
{
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    MUST(fds[0] >= 0 && connect(fds[0], (struct sockaddr *)&address, sizeof address) == 0);
    fds[1] = accept(listener, NULL, NULL);
    MUST(fds[1] >= 0);
}

static void listen_on_loopback(void)
{
    socklen_t len = sizeof address;

    listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 8) == 0);
    MUST(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
}

/* Between the session and its peer. Passes on all that the session says, and so many octets of what the peer does. */
struct relay {
    int near, far;
    size_t most, passed;
    enum ending ending;
    bool cut;
    size_t len;
    uint8_t said[16384];
};

static void go_away(struct relay *relay)
{
    const struct linger now = {1, 0};

    relay->cut = true;
    if (relay->ending == HALF) {
        shutdown(relay->near, SHUT_WR);
        return;
    }
    if (relay->ending == RESET)
        setsockopt(relay->near, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(relay->near);
    relay->near = -1;
}

/* What the session says, as far as it goes. */
static bool from_near(struct relay *relay)
{
    uint8_t buf[4096];
    ssize_t count = recv(relay->near, buf, sizeof buf, 0);
    size_t room = sizeof relay->said - relay->len;

    if (count <= 0) {
        shutdown(relay->far, SHUT_WR);
        return false;
    }
    memcpy(relay->said + relay->len, buf, (size_t)count < room ? (size_t)count : room);
    relay->len += (size_t)count < room ? (size_t)count : room;
    send(relay->far, buf, (size_t)count, MSG_NOSIGNAL);
    return true;
}

static bool from_far(struct relay *relay)
{
    uint8_t buf[4096];
    ssize_t count = recv(relay->far, buf, sizeof buf, 0);
    size_t left = relay->most - relay->passed;

    if (count <= 0) {
        if (!relay->cut && relay->near >= 0)
            shutdown(relay->near, SHUT_WR);
        return false;
    }
    if (relay->cut)
        return true;
    if ((size_t)count > left && left > 0)
        send(relay->near, buf, left, MSG_NOSIGNAL);
    if ((size_t)count > left)
        go_away(relay);
    else
        send(relay->near, buf, (size_t)count, MSG_NOSIGNAL);
    relay->passed += (size_t)count < left ? (size_t)count : left;
    return true;
}

static void *pass_on(void *argument)
{
    struct relay *relay = argument;
    bool near_open = true, far_open = true;

    while (near_open || far_open) {
        struct pollfd polled[2] = {{near_open ? relay->near : -1, POLLIN, 0}, {far_open ? relay->far : -1, POLLIN, 0}};
        if (poll(polled, 2, HANGS) <= 0)
            break;
        /* What the session has said first: it may end with what comes now. */
        if (polled[0].revents)
            near_open = from_near(relay);
        else if (polled[1].revents)
            far_open = from_far(relay);
        if (relay->near < 0 && near_open) {
            near_open = false;
            shutdown(relay->far, SHUT_RDWR);
        }
    }
    if (relay->near >= 0)
        close(relay->near);
    close(relay->far);
    return NULL;
}

/* The peer, who knows of nothing and hangs up when it has done. */
static void *other_side(void *argument)
{
    struct conversation *peer = argument;

    (void)converse(peer);
    shutdown(peer->read_fd, SHUT_RDWR);
    return NULL;
}

static long cuts, count_of[4];

#define SAY(what)                                                              \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "%s:%d: %s: %s, %s behind octet %lu, mode %d: %s: %s\n", __FILE__, __LINE__, #what,      \
                    client ? "client" : "server", endings[ending], (unsigned long)most, mode,                       \
                    smtptls_code_name(talk.code), smtptls_error_message(smtptls_session_error(talk.session)));      \
            failed = 1;                                                        \
        }                                                                      \
    } while (0)

/* Says whether the peer was cut off. */
static bool once(bool client, enum ending ending, size_t most, int mode)
{
    const int before = open_descriptors();
    struct relay *relay = calloc(1, sizeof *relay);
    struct conversation talk, peer;
    pthread_t passing, talking;
    int near[2], far[2], os;
    bool well, started, cut;
    char octet;

    MUST(relay != NULL);
    connection(near);
    socket_pair(far);
    relay->near = near[1];
    relay->far = far[0];
    relay->most = most;
    relay->ending = ending;
    talk = conversation(config, client, near[0], near[0], mode);
    peer = conversation(config, !client, far[1], far[1], SMTPTLS_MODE_BLOCKING);
    talk.bulk = peer.bulk = 50;
    alarm(HANGS / 1000 + 5);
    MUST(pthread_create(&passing, NULL, pass_on, relay) == 0);
    MUST(pthread_create(&talking, NULL, other_side, &peer) == 0);
    well = converse(&talk);
    started = smtptls_session_is_tls(talk.session) || well;
    os = smtptls_error_os(smtptls_session_error(talk.session));

    if (!well) {
        const bool shaken = smtptls_session_info(talk.session) != NULL;
        /* Where nobody reads any more, writing may fail first. */
        const bool io = ending != HALF && talk.code == SMTPTLS_ERR_IO && (os == EPIPE || os == ECONNRESET);
        /* conversation.h says SMTPTLS_ERR_EOF where a read gives 0; then the session knows whether that was honest. */
        const bool eof = talk.code == SMTPTLS_ERR_EOF &&
                         (shaken ? started && smtptls_session_is_truncated(talk.session) : true);
        const bool truncated = talk.code == SMTPTLS_ERR_TRUNCATED && shaken;
        SAY(io || eof || truncated);
        count_of[io ? 0 : eof ? 1 : 2]++;
        SAY(smtptls_session_read(talk.session, &octet, 1) <= 0);
        (void)smtptls_session_refuse(talk.session);
    } else {
        count_of[3]++;
    }
    smtptls_session_free(talk.session);
    close(near[0]);
    pthread_join(passing, NULL);
    pthread_join(talking, NULL);
    smtptls_session_free(peer.session);
    close(far[1]);
    alarm(0);
    cut = relay->cut;
    /* All was there when it said so; a server may have done with the client before it has the last word. */
    if (well ? cut : !cut) {
        fprintf(stderr, "%s, %s behind octet %lu: %s\n", client ? "client" : "server", endings[ending],
                (unsigned long)most, well ? "a success with less than the whole" : "a failure with all of it");
        failed = 1;
    }
    if (!only_tls_behind_starttls(relay->said, relay->len, client)) {
        fprintf(stderr, "plaintext behind STARTTLS, octet %lu\n", (unsigned long)most);
        failed = 1;
    }
    free(relay);
    CHECK(open_descriptors() == before);
    cuts += cut;
    return cut;
}

static int sweep(int argc, char **argv, bool client, int newest)
{
    size_t most;
    int ending;

    config = smtptls_config_new();
    MUST(argc == 4 && smtptls_config_add_roots_file(config, argv[1]) == SMTPTLS_OK);
    MUST(smtptls_config_add_keypair_file(config, argv[2], argv[3]) == SMTPTLS_OK);
    MUST(smtptls_config_set_max_version(config, newest) == SMTPTLS_OK);
    MUST(smtptls_config_freeze(config) == SMTPTLS_OK);
    listen_on_loopback();
    for (ending = 0; ending < ENDINGS; ending++)
        for (most = 0; once(client, (enum ending)ending, most, (int)(most % 3)) && most < 100000 && !failed; most++)
            ;
    smtptls_config_free(config);
    close(listener);
    printf("%ld cut: %ld by an error of the socket, %ld at the end, %ld truncated\n", cuts, count_of[0], count_of[1],
           count_of[2]);
    fflush(stdout);
    return failed;
}

/* Roles and versions beside each other, each in a process of its own. */
int main(int argc, char **argv)
{
    int n, status;

    for (n = 0; n < 4; n++) {
        pid_t pid = fork();
        MUST(pid >= 0);
        if (pid == 0)
            return sweep(argc, argv, n % 2 == 0, n / 2 == 0 ? SMTPTLS_TLS1_2 : SMTPTLS_TLS1_3);
    }
    for (n = 0; n < 4; n++)
        if (wait(&status) < 0 || status != 0)
            failed = 1;
    return failed;
}
