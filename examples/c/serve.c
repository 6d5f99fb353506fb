/* A small SMTP and LMTP server with STARTTLS: a process for each connection. */

#include "server.h"

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

static struct smtptls_config *config; /* made before the first fork, read-only for all children */
static struct smtptls_policy *policy;
static struct server server;

/* -- one connection, in a child -------------------------------------------------------------------------------- */

static struct smtptls_session *new_session(int fd)
{
    struct smtptls_session *session = smtptls_session_server(config, policy);
    smtptls_session_set_protocol(session, server.protocol);
    smtptls_session_attach(session, fd, fd, SMTPTLS_MODE_BLOCKING);
    smtptls_session_set_timeout(session, SMTPTLS_TIMEOUT_START, server.timeout);
    smtptls_session_set_timeout(session, SMTPTLS_TIMEOUT_IO, server.timeout);
    return session;
}

static bool may_continue(const struct smtptls_session *session)
{
    return smtptls_error_action(smtptls_session_error(session)) == SMTPTLS_ACTION_CONTINUE;
}

/* TLS is up. RFC 3207 section 4.2: the state before it is forgotten. */
static void begin_tls(struct dialogue *dialogue, struct smtptls_session *session)
{
    dialogue_begin(dialogue, &server, dialogue->wire.fd);
    dialogue->wire.tls = session;
    printf("tls: %s\n", smtptls_info_summary(smtptls_session_info(session)));
    fflush(stdout);
}

/* From the greeting on. The library answers until TLS is up, or until the client goes on without. */
static bool greet(struct dialogue *dialogue)
{
    struct smtptls_session *session = new_session(dialogue->wire.fd);
    for (const char *const *line = dialogue_extensions; *line; line++)
        smtptls_session_add_extension(session, *line);
    if (smtptls_session_start(session, SMTPTLS_FROM_GREETING, 0) == SMTPTLS_OK) {
        begin_tls(dialogue, session);
        return true;
    }
    /* A public server lets the client go on (RFC 3207 section 4). Its command is in what is left over. */
    bool going_on = may_continue(session);
    if (going_on) {
        const uint8_t *data;
        size_t length = smtptls_session_leftover(session, &data);
        dialogue_resume(dialogue, smtptls_session_hello(session), data, length);
    } else {
        complain_about(smtptls_session_error(session));
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
    /* What was read and not used was injected; the library refuses to go on with it. */
    if (smtptls_session_start(session, SMTPTLS_FROM_COMMAND, dialogue->wire.have) == SMTPTLS_OK) {
        begin_tls(dialogue, session);
        return true;
    }
    /* If so, it was answered with a 4yz or 5yz. */
    bool going_on = may_continue(session);
    if (!going_on)
        complain_about(smtptls_session_error(session));
    if (dialogue->wire.have > 0)
        dialogue_say(dialogue, "554 5.5.0 Input behind STARTTLS: protocol synchronization error");
    smtptls_session_free(session);
    return going_on;
}

static void converse(int fd)
{
    static struct dialogue dialogue;
    dialogue_begin(&dialogue, &server, fd);
    bool going_on = greet(&dialogue);
    while (going_on)
        going_on = dialogue_run(&dialogue) == DIALOGUE_STARTTLS && starttls(&dialogue);
    smtptls_session_free(dialogue.wire.tls);
    dialogue.wire.by = INT64_MAX;
    wire_linger(&dialogue.wire);
    close(fd);
}

/* -- the parent ------------------------------------------------------------------------------------------------ */

static volatile sig_atomic_t stop;

static void on_stop(int number)
{
    (void)number;
    stop = 1;
}

/* It only has to end the wait of pselect(). */
static void on_child(int number)
{
    (void)number;
}

static int listen_on(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    const socklen_t size = sizeof address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 128) != 0)
        return complain(SMTPTLS_ERR_IO, SMTPTLS_ACTION_FAIL, NULL, "cannot listen: %s", strerror(errno));
    /* A client may be gone again before accept(), which must not wait for the next one then. */
    wire_prepare(fd);
    return fd;
}

/* Accepts until it is told to stop. Signals are delivered in pselect() and nowhere else. */
static void accept_all(int listener)
{
    static pid_t children[MOST_CONNECTIONS];
    sigset_t caught, before;
    static struct sigaction action;
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    int count = 0;

    sigemptyset(&caught);
    sigaddset(&caught, SIGTERM);
    sigaddset(&caught, SIGINT);
    sigaddset(&caught, SIGCHLD);
    sigprocmask(SIG_BLOCK, &caught, &before);
    action.sa_handler = on_child;
    sigemptyset(&action.sa_mask);
    sigaction(SIGCHLD, &action, NULL);
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
            sigprocmask(SIG_SETMASK, &before, NULL);
            close(listener);
            wire_prepare(fd);
            converse(fd);
            smtptls_policy_free(policy);
            smtptls_config_free(config);
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

static int usage(const char *wrong, const char *what)
{
    fprintf(stderr,
            "serve: %s %s\nusage: serve --cert FILE --key FILE [--port N] [--require-tls] [--store DIR] [--lmtp]"
            " [--timeout S]\n",
            wrong, what);
    return 2;
}

int main(int argc, char **argv)
{
    const char *cert = NULL, *key = NULL, *port = "0", *timeout = "30";
    struct {
        const char *flag, **value;
    } flags[] = {
        {"--cert", &cert}, {"--key", &key}, {"--port", &port}, {"--store", &server.store}, {"--timeout", &timeout},
    };
    const size_t count = sizeof flags / sizeof *flags;
    int level = SMTPTLS_LEVEL_MAY;
    for (int i = 1; i < argc; i++) {
        size_t n = 0;
        while (n < count && strcmp(argv[i], flags[n].flag) != 0)
            n++;
        if (strcmp(argv[i], "--lmtp") == 0)
            server.protocol = SMTPTLS_PROTOCOL_LMTP;
        else if (strcmp(argv[i], "--require-tls") == 0)
            level = SMTPTLS_LEVEL_ENCRYPT;
        else if (n == count)
            return usage("there is no flag", argv[i]);
        else if (i + 1 == argc)
            return usage("a value must follow", argv[i]);
        else
            *flags[n].value = argv[++i];
    }
    if (!cert || !key)
        return usage("missing:", cert ? "--key" : "--cert");
    if (!*port || strspn(port, "0123456789") != strlen(port) || atol(port) > 65535)
        return usage("no port:", port);
    if ((server.timeout = milliseconds(timeout)) == 0)
        return usage("no number of seconds:", timeout);
    strcpy(server.hostname, "localhost");
    gethostname(server.hostname, sizeof server.hostname - 1);

    config = smtptls_config_new();
    policy = smtptls_policy_new(level);
    smtptls_config_set_hostname(config, server.hostname);
    smtptls_config_add_keypair_file(config, cert, key);
    int code = smtptls_config_freeze(config), listener = -1;
    if (code < 0)
        complain_about(smtptls_config_error(config));
    else if ((listener = listen_on(port)) >= 0)
        accept_all(listener);
    if (listener >= 0)
        close(listener);
    smtptls_policy_free(policy);
    smtptls_config_free(config);
    return listener >= 0 ? 0 : 1;
}
