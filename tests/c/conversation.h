/* One whole SMTP session over descriptors, in either role and any mode: STARTTLS from the greeting, a few lines, QUIT,
 * close. Include it after support.h. */
#ifndef CONVERSATION_H
#define CONVERSATION_H

#include <poll.h>
#include <pthread.h>

struct conversation {
    struct smtptls_session *session;
    int read_fd, write_fd;
    /* A client sends one line of so many octets among the others. */
    size_t bulk;
    bool client;
    /* How often a call came back with SMTPTLS_WANT_INPUT or SMTPTLS_WANT_OUTPUT, and with SMTPTLS_WANT_RETRY. */
    int waits, retries;
    /* The first call that failed came back with this; SMTPTLS_OK if none did. */
    int code;
};

/* How long anything may take before it counts as hanging, in milliseconds. */
#define HANGS 10000

static inline struct conversation conversation(struct smtptls_config *config, bool client, int read_fd, int write_fd,
                                               int mode)
{
    struct conversation talk = {NULL, read_fd, write_fd, 3000, client, 0, 0, SMTPTLS_OK};

    talk.session =
        client ? smtptls_session_client(config, NULL, HOST) : smtptls_session_server(config, NULL);
    MUST(talk.session != NULL);
    MUST(smtptls_session_attach(talk.session, read_fd, write_fd, mode) == SMTPTLS_OK);
    MUST(smtptls_session_set_timeout(talk.session, SMTPTLS_TIMEOUT_START, HANGS) == SMTPTLS_OK);
    MUST(smtptls_session_set_timeout(talk.session, SMTPTLS_TIMEOUT_IO, HANGS) == SMTPTLS_OK);
    return talk;
}

/* Whether to call again: waits as the code says, and notes a failure. */
static inline bool again(struct conversation *talk, ptrdiff_t code)
{
    struct pollfd polled = {talk->read_fd, POLLIN, 0};

    switch (code) {
    case SMTPTLS_WANT_RETRY:
        talk->retries++;
        return true;
    case SMTPTLS_WANT_OUTPUT:
        polled.fd = talk->write_fd;
        polled.events = POLLOUT;
        /* fall through */
    case SMTPTLS_WANT_INPUT:
        talk->waits++;
        if (poll(&polled, 1, HANGS) == 1)
            return true;
        talk->code = SMTPTLS_ERR_TIMEOUT;
        return false;
    default:
        if (code < 0)
            talk->code = (int)code;
        return false;
    }
}

static inline bool begin(struct conversation *talk)
{
    int code;

    do
        code = smtptls_session_start(talk->session, SMTPTLS_FROM_GREETING, 0);
    while (again(talk, code));
    return code == SMTPTLS_OK;
}

static inline bool say(struct conversation *talk, const char *text, size_t len)
{
    int code;

    while (len > 0) {
        ptrdiff_t count = smtptls_session_write(talk->session, text, len, false);
        if (count < 0 && !again(talk, count))
            return false;
        text += count > 0 ? count : 0;
        len -= count > 0 ? (size_t)count : 0;
    }
    do
        code = smtptls_session_flush(talk->session);
    while (again(talk, code));
    return code == SMTPTLS_OK;
}

/* Reads to the end of a line, and keeps its first four octets. */
static inline bool hear(struct conversation *talk, char start[5])
{
    size_t len = 0;
    char last = 0;

    memset(start, 0, 5);
    while (last != '\n') {
        ptrdiff_t count = smtptls_session_read(talk->session, &last, 1);
        if (count == 0)
            talk->code = SMTPTLS_ERR_EOF;
        if (count == 0 || (count < 0 && !again(talk, count)))
            return false;
        if (count > 0 && len < 4)
            start[len++] = last;
        if (count < 0)
            last = 0;
    }
    return true;
}

static inline bool finish(struct conversation *talk, int how)
{
    int code;

    do
        code = smtptls_session_close(talk->session, how);
    while (again(talk, code));
    return code == SMTPTLS_OK;
}

static inline bool client_talks(struct conversation *talk)
{
    static const char *const lines[] = {"NOOP one\r\n", "NOOP two\r\n", NULL, "QUIT\r\n"};
    char *line = malloc(talk->bulk + 2), start[5];
    bool well = line != NULL;
    size_t n;

    for (n = 0; well && n < sizeof lines / sizeof *lines; n++) {
        memset(line, 'x', talk->bulk);
        memcpy(line + talk->bulk, "\r\n", 2);
        well = lines[n] ? say(talk, lines[n], strlen(lines[n])) : say(talk, line, talk->bulk + 2);
        well = well && hear(talk, start);
        if (well)
            CHECK(strcmp(start, n == 3 ? "221 " : "250 ") == 0);
    }
    free(line);
    return well;
}

static inline bool server_talks(struct conversation *talk)
{
    char start[5] = "";

    while (strcmp(start, "QUIT") != 0) {
        if (!hear(talk, start))
            return false;
        if (strcmp(start, "QUIT") == 0 ? !say(talk, "221 bye\r\n", 9) : !say(talk, "250 ok\r\n", 8))
            return false;
    }
    return true;
}

/* The whole way. Says whether all of it went well; talk->code has the reason if not. */
static inline bool converse(struct conversation *talk)
{
    return begin(talk) && (talk->client ? client_talks(talk) : server_talks(talk)) &&
           finish(talk, SMTPTLS_CLOSE_WAIT);
}

/* The same as a thread. The connection is shut down behind it if it fails, so that the other side ends too. */
static inline void *converse_thread(void *argument)
{
    struct conversation *talk = argument;

    if (!converse(talk)) {
        shutdown(talk->read_fd, SHUT_RDWR);
        shutdown(talk->write_fd, SHUT_RDWR);
    }
    return NULL;
}

/* A session up to the end of its handshake, as a thread. */
static inline void *start_thread(void *argument)
{
    struct conversation *talk = argument;
    int code;

    do
        code = smtptls_session_start(talk->session, SMTPTLS_FROM_HANDSHAKE, 0);
    while (again(talk, code));
    return NULL;
}

/* Two sessions that have their handshake behind them, a client in this mode and a blocking server. */
static inline void connected(struct smtptls_config *config, const int fds[2], int mode, struct conversation *client,
                             struct conversation *server)
{
    pthread_t thread;

    *client = conversation(config, true, fds[0], fds[0], mode);
    *server = conversation(config, false, fds[1], fds[1], SMTPTLS_MODE_BLOCKING);
    MUST(pthread_create(&thread, NULL, start_thread, server) == 0);
    start_thread(client);
    pthread_join(thread, NULL);
    MUST(client->code == SMTPTLS_OK && server->code == SMTPTLS_OK);
}

#endif
