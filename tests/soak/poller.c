/* A server of one process that never waits: STARTTLS is required, and each message becomes a file of its own. It is for
 * the soak test, so it is strict: whatever is not in order ends the connection, and nothing is kept of it. */
#include <smtptls.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST = 1000,          /* connections at once; the next ones wait in the queue of the socket */
    LINE = 1024,          /* the longest command here, CRLF and all */
    TEXT = 4 * 1024 * 1024, /* the longest message */
    TURNS = 64            /* steps of one connection before it is another one's turn */
};

struct peer {
    enum { STARTING, TALKING, REFUSING } stage;
    struct smtptls_session *session;
    char in[LINE * 4], out[LINE * 4]; /* what came and is not used; what was said and did not leave */
    size_t have, waiting;
    bool hello, mail, to, leaving;
    bool data; /* between DATA and its end */
    char *text;
    size_t size, room;
    time_t moved; /* when it last came any further inside TLS: where no call waits, this clock is ours to watch */
};

static struct peer *peers[MOST];
static struct pollfd polled[MOST + 1]; /* the last is the listener */
static const char *store;
static int limit; /* seconds of silence */
static volatile sig_atomic_t stopped;

static void on_stop(int number)
{
    (void)number;
    stopped = 1;
}

static void say(struct peer *peer, const char *text)
{
    const size_t length = strlen(text);

    memcpy(peer->out + peer->waiting, text, length);
    peer->waiting += length;
}

/* In a file that has its name when it is whole. What stands behind a dot that begins a line was stuffed. */
static bool keep(const struct peer *peer)
{
    static unsigned long count;
    char draft[4096], message[4096];
    size_t at = 0;
    FILE *file;
    bool good = true;

    snprintf(draft, sizeof draft, "%s/%lu.tmp", store, count);
    snprintf(message, sizeof message, "%s/%lu.eml", store, count++);
    file = fopen(draft, "wb");
    if (!file)
        return false;
    while (good && at < peer->size) {
        const char *line = peer->text + at, *end = (const char *)memchr(line, '\n', peer->size - at);
        const size_t length = (size_t)(end - line) + 1, skip = line[0] == '.';
        good = fwrite(line + skip, 1, length - skip, file) == length - skip;
        at += length;
    }
    return fclose(file) == 0 && good && rename(draft, message) == 0;
}

/* Takes an octet of the message; true if it was the last one of CRLF, dot, CRLF. */
static bool take(struct peer *peer, char octet)
{
    static const char end[] = "\r\n.\r\n";

    if (peer->size == peer->room) {
        const size_t room = peer->room ? peer->room * 2 : 4096;
        char *text = room > TEXT ? NULL : (char *)realloc(peer->text, room);
        if (!text) {
            peer->leaving = true;
            return false;
        }
        peer->text = text;
        peer->room = room;
    }
    peer->text[peer->size++] = octet;
    if (peer->size < 5 || memcmp(peer->text + peer->size - 5, end, 5) != 0)
        return false;
    peer->size -= 3;
    return true;
}

static void run(struct peer *peer, const char *line)
{
    if (strncasecmp(line, "EHLO ", 5) == 0) {
        peer->hello = true;
        peer->mail = peer->to = false;
        say(peer, "250-localhost\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n");
    } else if (strncasecmp(line, "MAIL FROM:", 10) == 0 && peer->hello && !peer->mail) {
        peer->mail = true;
        say(peer, "250 2.1.0 OK\r\n");
    } else if (strncasecmp(line, "RCPT TO:", 8) == 0 && peer->mail) {
        peer->to = true;
        say(peer, "250 2.1.5 OK\r\n");
    } else if (strcasecmp(line, "DATA") == 0 && peer->to) {
        peer->data = true;
        peer->size = 0;
        say(peer, "354 Go on\r\n");
    } else if (strcasecmp(line, "NOOP") == 0) {
        say(peer, "250 2.0.0 OK\r\n");
    } else if (strcasecmp(line, "QUIT") == 0) {
        say(peer, "221 2.0.0 Bye\r\n");
        peer->leaving = true;
    } else {
        say(peer, "503 5.5.1 Bad sequence of commands\r\n");
    }
}

/* Uses what came, as long as there is room for the answers. */
static void use(struct peer *peer)
{
    size_t used = 0;

    while (!peer->leaving && used < peer->have && peer->waiting + LINE < sizeof peer->out) {
        if (peer->data) {
            if (take(peer, peer->in[used++])) {
                say(peer, keep(peer) ? "250 2.0.0 OK: stored\r\n" : "451 4.3.0 Cannot store it\r\n");
                peer->data = peer->mail = peer->to = false;
            }
        } else {
            char *line = peer->in + used, *end = (char *)memchr(line, '\n', peer->have - used);
            if (!end && peer->have - used < LINE)
                break;
            if (!end || end - line >= LINE || end == line || end[-1] != '\r' || memchr(line, 0, (size_t)(end - line))) {
                say(peer, "500 5.5.2 Line too long or malformed\r\n");
                peer->leaving = true;
                break;
            }
            end[-1] = 0;
            run(peer, line);
            used += (size_t)(end + 1 - line);
        }
    }
    peer->have -= used;
    memmove(peer->in, peer->in + used, peer->have);
}

/* One step: SMTPTLS_OK if there may be more, a wish, or an error; SMTPTLS_ERR_EOF at the end. */
static int step(struct peer *peer)
{
    ptrdiff_t count;
    int code;

    switch (peer->stage) {
    case STARTING:
        code = smtptls_session_start(peer->session, SMTPTLS_FROM_GREETING, 0);
        if (code == SMTPTLS_OK)
            peer->stage = TALKING;
        else if (code <= SMTPTLS_ERR_ARGUMENT)
            peer->stage = REFUSING;
        return code <= SMTPTLS_ERR_ARGUMENT ? SMTPTLS_OK : code;
    case REFUSING:
        code = smtptls_session_refuse(peer->session);
        return code == SMTPTLS_OK ? SMTPTLS_ERR_EOF : code;
    default:
        break;
    }
    if (peer->waiting > 0) {
        count = smtptls_session_write(peer->session, peer->out, peer->waiting, false);
        if (count < 0)
            return (int)count;
        peer->waiting -= (size_t)count;
        memmove(peer->out, peer->out + count, peer->waiting);
        return SMTPTLS_OK;
    }
    if (peer->leaving) {
        code = smtptls_session_close(peer->session, SMTPTLS_CLOSE_SEND);
        return code == SMTPTLS_OK ? SMTPTLS_ERR_EOF : code;
    }
    count = smtptls_session_read(peer->session, peer->in + peer->have, sizeof peer->in - peer->have);
    if (count <= 0)
        return count == 0 ? SMTPTLS_ERR_EOF : (int)count;
    peer->have += (size_t)count;
    use(peer);
    return SMTPTLS_OK;
}

/* Whether it has more to do at once. */
static bool go_on(int n)
{
    struct peer *peer = peers[n];
    int turns = TURNS, code = SMTPTLS_OK;

    while (code == SMTPTLS_OK && turns-- > 0) {
        if (peer->stage == TALKING && peer->have > 0 && peer->waiting == 0 && !peer->leaving)
            use(peer);
        code = step(peer);
        if (code == SMTPTLS_OK || peer->stage == STARTING)
            peer->moved = time(NULL);
    }
    if (time(NULL) - peer->moved > limit)
        code = SMTPTLS_ERR_TIMEOUT;
    if (code == SMTPTLS_WANT_INPUT || code == SMTPTLS_WANT_OUTPUT)
        polled[n].events = code == SMTPTLS_WANT_OUTPUT ? POLLOUT : POLLIN;
    if (code > SMTPTLS_ERR_ARGUMENT)
        return code == SMTPTLS_OK;
    smtptls_session_free(peer->session);
    free(peer->text);
    free(peer);
    peers[n] = NULL;
    close(polled[n].fd);
    polled[n].fd = -1;
    return false;
}

static void greet(int listener, struct smtptls_config *config, struct smtptls_policy *policy)
{
    int n = 0, fd;
    struct peer *peer;

    while (n < MOST && peers[n])
        n++;
    fd = n < MOST ? accept(listener, NULL, NULL) : -1;
    if (fd < 0)
        return;
    peer = (struct peer *)calloc(1, sizeof *peer);
    if (!peer)
        abort();
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    peer->session = smtptls_session_server(config, policy);
    smtptls_session_attach(peer->session, fd, fd, SMTPTLS_MODE_NONBLOCKING);
    smtptls_session_set_timeout(peer->session, SMTPTLS_TIMEOUT_START, (uint32_t)limit * 1000);
    peer->moved = time(NULL);
    peers[n] = peer;
    polled[n].fd = fd;
    go_on(n);
}

static void serve(int listener, struct smtptls_config *config, struct smtptls_policy *policy)
{
    bool again = false;
    time_t looked = 0;

    while (!stopped) {
        const int ready = poll(polled, MOST + 1, again ? 0 : 500);
        const bool look = time(NULL) != looked; /* for the limits, which only a call sees */
        int n;
        again = false;
        looked = time(NULL);
        for (n = 0; n < MOST; n++)
            if (peers[n] && ((ready > 0 && polled[n].revents) || look || smtptls_session_pending(peers[n]->session) > 0))
                again |= go_on(n);
        if (ready > 0 && polled[MOST].revents)
            greet(listener, config, policy);
    }
}

/* Arguments: chain, key, CA of clients, file of ticket keys, directory for messages, limit in seconds. */
int main(int argc, char **argv)
{
    struct smtptls_config *config = smtptls_config_new();
    struct smtptls_policy *policy = smtptls_policy_new(SMTPTLS_LEVEL_ENCRYPT);
    struct sockaddr_in address;
    struct sigaction action;
    socklen_t size = sizeof address;
    int n, listener = socket(AF_INET, SOCK_STREAM, 0);

    if (argc != 7 || smtptls_config_add_keypair_file(config, argv[1], argv[2]) != SMTPTLS_OK ||
        smtptls_config_add_roots_file(config, argv[3]) != SMTPTLS_OK ||
        smtptls_config_set_client_auth(config, SMTPTLS_CLIENT_AUTH_ASK, false) != SMTPTLS_OK ||
        smtptls_config_set_ticket_key_file(config, argv[4]) != SMTPTLS_OK ||
        smtptls_config_freeze(config) != SMTPTLS_OK) {
        fprintf(stderr, "poller: %s\n", smtptls_error_message(smtptls_config_error(config)));
        return 2;
    }
    store = argv[5];
    limit = atoi(argv[6]);
    memset(&action, 0, sizeof action);
    action.sa_handler = on_stop;
    sigaction(SIGTERM, &action, NULL);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 512) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return 1;
    fcntl(listener, F_SETFL, O_NONBLOCK);
    for (n = 0; n < MOST; n++)
        polled[n].fd = -1;
    polled[MOST].fd = listener;
    polled[MOST].events = POLLIN;
    printf("listening: 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    serve(listener, config, policy);
    for (n = 0; n < MOST; n++)
        if (peers[n]) {
            smtptls_session_free(peers[n]->session);
            free(peers[n]->text);
            free(peers[n]);
            close(polled[n].fd);
        }
    close(listener);
    smtptls_policy_free(policy);
    smtptls_config_free(config);
    return 0;
}
