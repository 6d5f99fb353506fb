/* A small SMTP and LMTP server with STARTTLS: a process for each connection. */

#include "settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_CONNECTIONS 1000

/* Made before the first fork. A child has the keys of its time: only the parent reads them again. */
static struct settings settings;

/* -- one connection, in a child -------------------------------------------------------------------------------- */

static struct smtptls_session *new_session(int fd)
{
    const struct server *server = &settings.server;
    struct smtptls_session *session = smtptls_session_server(settings.config, settings.policy);
    smtptls_session_set_protocol(session, server->protocol);
    smtptls_session_attach(session, fd, fd, SMTPTLS_MODE_BLOCKING);
    smtptls_session_set_timeout(session, SMTPTLS_TIMEOUT_START, server->timeout);
    smtptls_session_set_timeout(session, SMTPTLS_TIMEOUT_IO, server->timeout);
    if (server->not_now)
        smtptls_session_set_not_now(session);
    smtptls_session_set_discard(session, server->discard);
    smtptls_session_set_exempt_more(session, server->exempt_more);
    return session;
}

static bool may_continue(const struct smtptls_session *session)
{
    return smtptls_error_action(smtptls_session_error(session)) == SMTPTLS_ACTION_CONTINUE;
}

/* What TLS came out as, and who the client is, if it was asked. */
static void show_tls(const struct smtptls_session *session)
{
    const struct smtptls_info *info = smtptls_session_info(session);
    const char *subject = smtptls_info_peer_subject(info);
    printf("tls: %s%s\n", smtptls_info_summary(info), smtptls_info_resumed(info) ? " resumed" : "");
    if (settings.client_auth != SMTPTLS_CLIENT_AUTH_NONE)
        printf("client: auth=%s subject=%s\n", smtptls_auth_name(smtptls_info_auth(info)), subject ? subject : "-");
    fflush(stdout);
}

/* TLS is up. RFC 3207 section 4.2: the state before it is forgotten. */
static void begin_tls(struct dialogue *dialogue, struct smtptls_session *session)
{
    dialogue_begin(dialogue, &settings.server, dialogue->wire.fd);
    dialogue->wire.tls = session;
    show_tls(session);
}

/* No TLS that is good enough. Where it is up all the same, and only the client's certificate is not good, that is
 * said inside it: 554 to all but QUIT (RFC 3207 section 4.1). */
static void refuse(struct smtptls_session *session)
{
    if (smtptls_session_is_tls(session))
        show_tls(session);
    complain_about(smtptls_session_error(session));
    if (smtptls_session_is_tls(session))
        smtptls_session_refuse(session);
}

/* From the greeting on. The library answers until TLS is up, or until the client goes on without. */
static bool greet(struct dialogue *dialogue)
{
    struct smtptls_session *session = new_session(dialogue->wire.fd);
    for (const char *const *line = dialogue_extensions; *line; line++)
        smtptls_session_add_extension(session, *line);
    if (settings.server.greeting)
        smtptls_session_set_greeting(session, settings.server.greeting);
    if (smtptls_session_start(session, SMTPTLS_FROM_GREETING, 0) == SMTPTLS_OK) {
        begin_tls(dialogue, session);
        return true;
    }
    /* A public server lets the client go on (RFC 3207 section 4); or it said XCLIENT, which --exempt-more leaves to
     * us. Its command is in what is left over. */
    int code = smtptls_error_code(smtptls_session_error(session));
    bool going_on = may_continue(session) || code == SMTPTLS_ERR_NOT_REQUESTED;
    if (going_on) {
        const uint8_t *data;
        size_t length = smtptls_session_leftover(session, &data);
        dialogue_resume(dialogue, smtptls_session_hello(session), data, length);
    } else {
        refuse(session);
    }
    smtptls_session_free(session);
    return going_on;
}

/* The client said STARTTLS. Whether the dialogue goes on, inside TLS or not. */
static bool starttls(struct dialogue *dialogue)
{
    if (dialogue->wire.tls) {
        /* Always an error, since TLS is active; the library answers 503. */
        int code = smtptls_session_start(dialogue->wire.tls, SMTPTLS_FROM_COMMAND, 0);
        return code == SMTPTLS_ERR_STATE;
    }
    struct smtptls_session *session = new_session(dialogue->wire.fd);
    smtptls_session_set_command(session, dialogue->line);
    /* What was read and not used was injected. The library refuses to go on with it; or it is dropped here. */
    if (smtptls_session_start(session, SMTPTLS_FROM_COMMAND, dialogue->wire.have) == SMTPTLS_OK) {
        begin_tls(dialogue, session);
        return true;
    }
    /* If so, it was answered with a 4yz or 5yz. */
    bool going_on = may_continue(session);
    if (!going_on)
        refuse(session);
    if (dialogue->wire.have > 0 && !settings.server.discard)
        dialogue_say(dialogue, "554 5.5.0 Input behind STARTTLS: protocol synchronization error");
    smtptls_session_free(session);
    return going_on;
}

static void converse(int fd)
{
    static struct dialogue dialogue;
    dialogue_begin(&dialogue, &settings.server, fd);
    bool going_on = greet(&dialogue);
    while (going_on)
        going_on = dialogue_run(&dialogue) == DIALOGUE_STARTTLS && starttls(&dialogue);
    smtptls_session_free(dialogue.wire.tls);
    dialogue.wire.by = INT64_MAX;
    wire_linger(&dialogue.wire);
    close(fd);
}

/* -- the parent ------------------------------------------------------------------------------------------------ */

static volatile sig_atomic_t stop, reload;

static void on_stop(int number)
{
    (void)number;
    stop = 1;
}

static void on_reload(int number)
{
    (void)number;
    reload = 1;
}

/* It only has to end the wait of pselect(). */
static void on_child(int number)
{
    (void)number;
}

static int listen_on(const char *port)
{
    struct sockaddr_in address;
    const socklen_t size = sizeof address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)atoi(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 128) != 0)
        return complain(SMTPTLS_ERR_IO, SMTPTLS_ACTION_FAIL, NULL, "cannot listen: %s", strerror(errno));
    /* A client may be gone again before accept(), which must not wait for the next one then. */
    wire_prepare(fd);
    return fd;
}

/* Reads key pairs and ticket keys again, for connections that begin from now on. What is bad leaves the old. */
static void read_again(void)
{
    bool good = true;
    reload = 0;
    if (smtptls_config_reload_keypairs(settings.config) < 0) {
        complain_about(smtptls_config_error(settings.config));
        good = false;
    }
    /* The one may be good where the other is not. */
    if (settings.ticket_keys && smtptls_config_reload_ticket_keys(settings.config) < 0) {
        complain_about(smtptls_config_error(settings.config));
        good = false;
    }
    if (good)
        printf("reloaded\n");
    fflush(stdout);
}

/* Accepts until it is told to stop. Signals are delivered in pselect() and nowhere else. */
static void accept_all(int listener)
{
    static pid_t children[MOST_CONNECTIONS];
    sigset_t caught, before;
    static struct sigaction action;
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int count = 0;

    sigemptyset(&caught);
    sigaddset(&caught, SIGTERM);
    sigaddset(&caught, SIGINT);
    sigaddset(&caught, SIGHUP);
    sigaddset(&caught, SIGCHLD);
    sigprocmask(SIG_BLOCK, &caught, &before);
    action.sa_handler = on_child;
    sigemptyset(&action.sa_mask);
    sigaction(SIGCHLD, &action, NULL);
    action.sa_handler = on_reload;
    sigaction(SIGHUP, &action, NULL);
    action.sa_handler = on_stop;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);

    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("listening: 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    while (!stop) {
        fd_set ready;
        FD_ZERO(&ready);
        /* With as many children as there may be, the next client waits in the queue of the socket. */
        if (count < MOST_CONNECTIONS)
            FD_SET(listener, &ready);
        int result = pselect(listener + 1, &ready, NULL, NULL, NULL, &before);
        if (reload)
            read_again();
        for (pid_t ended; (ended = waitpid(-1, NULL, WNOHANG)) > 0;)
            for (int i = 0; i < count; i++)
                if (children[i] == ended)
                    children[i] = children[--count];
        int fd = result > 0 && count < MOST_CONNECTIONS ? accept(listener, NULL, NULL) : -1;
        if (fd < 0)
            continue;
        pid_t child = fork();
        if (child == 0) {
            /* SIGTERM and SIGINT end a child where it stands, but for dialogue_store(). */
            action.sa_handler = SIG_DFL;
            sigaction(SIGTERM, &action, NULL);
            sigaction(SIGINT, &action, NULL);
            action.sa_handler = SIG_IGN; /* what a child has read it keeps */
            sigaction(SIGHUP, &action, NULL);
            sigprocmask(SIG_SETMASK, &before, NULL);
            close(listener);
            wire_prepare(fd);
            converse(fd);
            free_settings(&settings);
            _exit(0);
        }
        if (child > 0)
            children[count++] = child;
        close(fd);
    }
    for (int i = 0; i < count; i++)
        kill(children[i], SIGTERM);
    for (int i = 0; i < count; i++)
        waitpid(children[i], NULL, 0);
}

int main(int argc, char **argv)
{
    int wrong = read_settings(argc, argv, &settings), listener = -1;
    if (wrong == 0 && make_config(&settings) == SMTPTLS_OK && (listener = listen_on(settings.port)) >= 0) {
        accept_all(listener);
        close(listener);
    }
    free_settings(&settings);
    return wrong ? wrong : listener >= 0 ? 0 : 1;
}
