/* Many sessions at once in one process, none of which ever waits: for programs that have an event loop, as OpenSMTPD's
 * smtpd and Postfix's tlsproxy. Each does STARTTLS from the greeting on, says QUIT and ends. */

#include <smtptls.h>

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT = 60 }; /* seconds for all of it: where no call waits, the clock is ours to watch */

struct peer {
    int stage;
    struct smtptls_session *session;
    int column;   /* how far a line of the reply to QUIT has come */
    char code[4]; /* its first octets: three digits, and a hyphen if more lines follow */
};

static int running, good;

/* The stages of a session: SMTPTLS_OK leads to the next one; a call that wants something is made again. */

/* A connection that is still being made wants input too, and one that is refused fails here. */
static int start(struct peer *peer)
{
    return smtptls_session_start(peer->session, SMTPTLS_FROM_GREETING, 0);
}

/* What the socket has no room for leaves with the next call. */
static int quit(struct peer *peer)
{
    ptrdiff_t count = smtptls_session_write(peer->session, "QUIT\r\n", 6, false);
    return count < 0 ? (int)count : SMTPTLS_OK;
}

/* Reads one piece; then it is another session's turn, even if there is more. */
static int read_reply(struct peer *peer)
{
    char piece[64];
    ptrdiff_t count = smtptls_session_read(peer->session, piece, sizeof piece);
    for (ptrdiff_t i = 0; i < count; i++) {
        if (peer->column < 4)
            peer->code[peer->column++] = piece[i];
        if (piece[i] == '\n' && peer->code[3] != '-')
            return SMTPTLS_OK;
        if (piece[i] == '\n')
            peer->column = 0;
    }
    return count > 0 ? SMTPTLS_WANT_INPUT : count == 0 ? SMTPTLS_ERR_EOF : (int)count;
}

static int (*const STAGES[])(struct peer *) = {start, quit, read_reply};
enum { DONE = sizeof STAGES / sizeof *STAGES };

static void finish(struct peer *peer, struct pollfd *polled, int number, int code)
{
    const struct smtptls_error *error = smtptls_session_error(peer->session);
    /* The last words, close_notify or QUIT, are a courtesy: if the socket has no room for them they are not said. */
    if (code == SMTPTLS_OK) {
        printf("session %d: %s\n", number, smtptls_info_summary(smtptls_session_info(peer->session)));
        smtptls_session_close(peer->session, SMTPTLS_CLOSE_SEND);
        good++;
    } else {
        int action = error ? smtptls_error_action(error) : SMTPTLS_ACTION_NEXT_HOST;
        printf("session %d: %s: %s (action %s)\n", number, smtptls_code_name(code),
               error ? smtptls_error_message(error) : "no answer", smtptls_action_name(action));
        smtptls_session_refuse(peer->session);
    }
    smtptls_session_free(peer->session);
    peer->session = NULL;
    close(polled->fd);
    polled->fd = -1; /* which poll() passes over */
    running--;
}

static void go_on(struct peer *peer, struct pollfd *polled, int number)
{
    int code = SMTPTLS_OK;
    while (peer->stage < DONE && (code = STAGES[peer->stage](peer)) == SMTPTLS_OK)
        peer->stage++;
    polled->events = code == SMTPTLS_WANT_OUTPUT ? POLLOUT : POLLIN;
    if (code != SMTPTLS_WANT_OUTPUT && code != SMTPTLS_WANT_INPUT)
        finish(peer, polled, number, code);
}

static void run(struct peer *peers, struct pollfd *polled, int count)
{
    for (time_t end = time(NULL) + LIMIT; running > 0;) {
        int wait = 1000;
        /* What has been decrypted already shows on no descriptor. */
        for (int i = 0; i < count; i++)
            if (smtptls_session_pending(peers[i].session) > 0)
                wait = 0;
        poll(polled, (nfds_t)count, wait);
        for (int i = 0; i < count; i++)
            if (polled[i].revents || smtptls_session_pending(peers[i].session) > 0)
                go_on(&peers[i], &polled[i], i + 1);
            else if (peers[i].session && time(NULL) > end)
                finish(&peers[i], &polled[i], i + 1, SMTPTLS_ERR_TIMEOUT);
    }
}

int main(int argc, char **argv)
{
    const char *ca = NULL, *name = argv[1], *level = "verify", *wrong = NULL;
    struct smtptls_config *config = smtptls_config_new();
    static struct addrinfo hints, *at;
    int count = argc > 3 ? atoi(argv[3]) : 0, i = 4;
    for (; i + 1 < argc; i += 2)
        *(strcmp(argv[i], "--ca") == 0 ? &ca : strcmp(argv[i], "--name") == 0 ? &name :
          strcmp(argv[i], "--level") == 0 ? &level : &wrong) = argv[i + 1];
    struct smtptls_policy *policy = smtptls_policy_new(smtptls_level_from_name(level));
    int code = ca ? smtptls_config_add_roots_file(config, ca) : smtptls_config_add_system_roots(config);
    hints.ai_socktype = SOCK_STREAM;
    if (count < 1 || i < argc || wrong || !policy) {
        fprintf(stderr, "usage: poll HOST PORT COUNT [--ca FILE] [--name NAME] [--level LEVEL]\n");
        return 2;
    }
    if (code < 0 || getaddrinfo(argv[1], argv[2], &hints, &at) != 0) {
        fprintf(stderr, "poll: %s\n", code < 0 ? smtptls_error_message(smtptls_config_error(config)) : "no such host");
        return 1;
    }
    struct peer *peers = (struct peer *)calloc((size_t)count, sizeof *peers);
    struct pollfd *polled = (struct pollfd *)calloc((size_t)count, sizeof *polled);
    for (int fd; peers && polled && running < count; running++) {
        if ((fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol)) < 0)
            break; /* as many as the process may have */
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        connect(fd, at->ai_addr, at->ai_addrlen); /* whatever it says, the session's first call says it again */
        polled[running].fd = fd;
        polled[running].events = POLLIN;
        peers[running].session = smtptls_session_client(config, policy, name);
        smtptls_session_attach(peers[running].session, fd, fd, SMTPTLS_MODE_NONBLOCKING);
    }
    run(peers, polled, running);
    printf("%d sessions: %d good, %d failed\n", count, good, count - good);
    smtptls_policy_free(policy);
    smtptls_config_free(config);
    free(peers);
    free(polled);
    freeaddrinfo(at);
    return good == count ? 0 : 1;
}
