/* A server that reads its files as root, gives root up, and forks for each connection: for programs as sendmail, and
 * Postfix's smtpd in its chroot. It owns the dialogue. SIGTERM ends it; connections go on in their own processes. */

#define _DEFAULT_SOURCE /* chroot() and setgroups() */
#include <smtptls.h>

#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static struct {
    int fd; /* each child has one connection */
    struct smtptls_session *session;
    bool tls;
    char in[1001];     /* the command that is being run, what came behind it, and a NUL */
    size_t have, used; /* how much came, and how much of that is the command */
} peer;

static bool say(const char *text)
{
    size_t length = strlen(text);
    ptrdiff_t count = peer.tls ? smtptls_session_write(peer.session, text, length, false)
                               : send(peer.fd, text, length, MSG_NOSIGNAL);
    return count == (ptrdiff_t)length;
}

/* Puts the next command at the start of `in`. False at the end, after a failure, and for a line that is too long. */
static bool read_command(void)
{
    char *end;
    peer.have -= peer.used;
    memmove(peer.in, peer.in + peer.used, peer.have + 1);
    for (peer.used = 0; !(end = strstr(peer.in, "\r\n")); peer.in[peer.have] = 0) {
        char *to = peer.in + peer.have;
        size_t room = sizeof peer.in - 1 - peer.have;
        ptrdiff_t count = peer.tls ? smtptls_session_read(peer.session, to, room) : recv(peer.fd, to, room, 0);
        if (count <= 0)
            return false;
        peer.have += (size_t)count;
    }
    *end = 0;
    peer.used = (size_t)(end + 2 - peer.in);
    return true;
}

/* What came behind the command is not to be run, in clear or inside TLS (RFC 3207 section 4.2). */
static bool starttls(void)
{
    if (smtptls_session_start(peer.session, SMTPTLS_FROM_COMMAND, peer.have - peer.used) == SMTPTLS_OK) {
        printf("tls: %s\n", smtptls_info_summary(smtptls_session_info(peer.session)));
        return peer.tls = true;
    }
    fprintf(stderr, "fork: %s\n", smtptls_error_message(smtptls_session_error(peer.session)));
    if (peer.have > peer.used)
        say("554 5.5.0 Input behind STARTTLS\r\n");
    return false;
}

static void converse(void)
{
    const struct timeval patience = {300, 0}; /* RFC 5321 section 4.5.3.2.7; inside TLS the library has the same */
    setsockopt(peer.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    smtptls_session_attach(peer.session, peer.fd, peer.fd, SMTPTLS_MODE_BLOCKING);
    bool going_on = say("220 localhost ESMTP\r\n");
    while (going_on && read_command()) {
        if (strncasecmp(peer.in, "EHLO ", 5) == 0) /* RFC 3207 section 4.2: STARTTLS is not offered inside TLS */
            going_on = say(peer.tls ? "250 localhost\r\n" : "250-localhost\r\n250 STARTTLS\r\n");
        else if (strcasecmp(peer.in, "STARTTLS") == 0 && !peer.tls)
            going_on = starttls();
        else if (strcasecmp(peer.in, "NOOP") == 0)
            going_on = say("250 2.0.0 OK\r\n");
        else if (strcasecmp(peer.in, "QUIT") == 0)
            going_on = say("221 2.0.0 Bye\r\n") && false;
        else
            going_on = say("502 5.5.1 Command not implemented\r\n");
    }
    if (peer.tls)
        smtptls_session_close(peer.session, SMTPTLS_CLOSE_SEND);
}

/* No file is opened after this one's first line. */
static bool give_up_root(const char *user, const char *directory)
{
    const struct passwd *who = getpwnam(user);
    return who && (!directory || (chroot(directory) == 0 && chdir("/") == 0)) && setgroups(0, NULL) == 0 &&
           setgid(who->pw_gid) == 0 && setuid(who->pw_uid) == 0;
}

static int listen_on(const char *port)
{
    static struct sockaddr_in address;
    socklen_t size = sizeof address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)atoi(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 128) != 0)
        return -1;
    getsockname(fd, (struct sockaddr *)&address, &size);
    printf("listening: 127.0.0.1:%d\n", ntohs(address.sin_port));
    return fd;
}

int main(int argc, char **argv)
{
    const char *user = "nobody", *directory = NULL;
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    struct smtptls_config *config = smtptls_config_new();
    int i = 4;
    for (; i + 1 < argc; i += 2)
        if (strcmp(argv[i], "--user") == 0)
            user = argv[i + 1];
        else if (strcmp(argv[i], "--chroot") == 0)
            directory = argv[i + 1];
        else
            break;
    if (argc < 4 || i < argc)
        return fprintf(stderr, "usage: fork CERT KEY PORT [--user NAME] [--chroot DIRECTORY]\n"), 2;
    smtptls_config_add_keypair_file(config, argv[1], argv[2]);
    int code = smtptls_config_freeze(config), listener = code < 0 ? -1 : listen_on(argv[3]);
    if (listener < 0 || ((directory || geteuid() == 0) && !give_up_root(user, directory))) {
        fprintf(stderr, "fork: %s\n", code < 0 ? smtptls_error_message(smtptls_config_error(config)) : strerror(errno));
        return 1;
    }
    signal(SIGCHLD, SIG_IGN); /* nobody waits for children, and they leave no zombies */
    for (;;) {
        if ((peer.fd = accept(listener, NULL, NULL)) < 0)
            continue; /* the client was gone again */
        peer.session = smtptls_session_server(config, NULL);
        if (fork() == 0) {
            close(listener);
            converse();
            _exit(0);
        }
        /* The child's copy is the one in use. To free this one says nothing to the client. */
        smtptls_session_free(peer.session);
        close(peer.fd);
    }
}
