/* A client that keeps time by alarm(2), on descriptors that block: for programs that do so, as Exim. It owns the
 * dialogue. A signal ends a wait: at SIGALRM it gives up, at another, as SIGUSR1 from Exim's exiwhat, it waits on. */

#include <smtptls.h>

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile sig_atomic_t alarmed;
static unsigned seconds; /* for each wait */
static const char *doing = "waiting for the greeting";
static int fd;
static struct smtptls_session *session;
static bool tls;
static char in[8192];     /* the last reply, what came behind it, and a NUL */
static size_t have, used; /* how much came, and how much of that is the reply */

static void on_signal(int number)
{
    if (number == SIGALRM) {
        alarmed = 1;
        alarm(1); /* again, in case this one came just before the wait began */
    }
}

/* Calls that wait. Each is SMTPTLS_WANT_RETRY when a signal came, as the library's own are. */

static ptrdiff_t receive(void)
{
    size_t room = sizeof in - 1 - have;
    ptrdiff_t count = tls ? smtptls_session_read(session, in + have, room) : recv(fd, in + have, room, 0);
    if (!tls && count < 0)
        return errno == EINTR ? SMTPTLS_WANT_RETRY : SMTPTLS_ERR_IO;
    return count;
}

static ptrdiff_t starttls(void)
{
    return smtptls_session_start(session, SMTPTLS_FROM_COMMAND, have - used);
}

/* Makes such a call under the alarm. What it returns in the end is SMTPTLS_WANT_RETRY if the time was up. */
static int timed(ptrdiff_t (*call)(void))
{
    ptrdiff_t result;
    alarmed = 0;
    alarm(seconds);
    while ((result = call()) == SMTPTLS_WANT_RETRY && !alarmed)
        fprintf(stderr, "alarm: a signal came; still %s\n", doing);
    alarm(0);
    return (int)result;
}

/* Reads a reply. 0 if it has this code. */
static int expect(int wanted)
{
    char *end, *line;
    have -= used;
    memmove(in, in + used, have + 1);
    for (line = in; !(end = strstr(line, "\r\n")) || line[3] == '-'; line = end ? end + 2 : line) {
        int count = end ? 1 : timed(receive);
        if (count <= 0)
            return count < 0 ? count : SMTPTLS_ERR_EOF;
        have += end ? 0 : (size_t)count;
        in[have] = 0;
    }
    used = (size_t)(end + 2 - in);
    return atoi(in) == wanted ? 0 : SMTPTLS_ERR_REFUSED;
}

static int ask(const char *what, const char *line, int wanted)
{
    ptrdiff_t length = (ptrdiff_t)strlen(line), count;
    doing = what;
    count = tls ? smtptls_session_write(session, line, (size_t)length, false)
                : send(fd, line, (size_t)length, MSG_NOSIGNAL);
    return count == length ? expect(wanted) : SMTPTLS_ERR_IO;
}

static int converse(void)
{
    int code = expect(220);
    if (code < 0 || (code = ask("waiting for the reply to EHLO", "EHLO localhost\r\n", 250)) < 0)
        return code;
    if (!strstr(in, "STARTTLS\r\n")) {
        ask("waiting for the reply to QUIT", "QUIT\r\n", 221);
        return SMTPTLS_ERR_NOT_OFFERED;
    }
    doing = "starting TLS";
    smtptls_session_attach(session, fd, fd, SMTPTLS_MODE_INTERRUPTIBLE);
    if ((code = timed(starttls)) < 0)
        return code;
    tls = true;
    printf("tls: %s\n", smtptls_info_summary(smtptls_session_info(session)));
    if ((code = ask("waiting for the reply to EHLO inside TLS", "EHLO localhost\r\n", 250)) < 0 ||
        (code = ask("waiting for the reply to QUIT", "QUIT\r\n", 221)) < 0)
        return code;
    return smtptls_session_close(session, SMTPTLS_CLOSE_SEND);
}

/* Everything before SMTP. The descriptor, or -1. */
static int dial(const char *host, const char *port)
{
    static struct addrinfo hints, *found;
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return errno = EHOSTUNREACH, -1;
    fd = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
    alarm(seconds);
    return connect(fd, found->ai_addr, found->ai_addrlen);
}

int main(int argc, char **argv)
{
    struct smtptls_config *config = smtptls_config_new();
    static struct sigaction action; /* without SA_RESTART */
    if (argc < 4 || argc > 6 || (seconds = (unsigned)atoi(argv[3])) == 0) {
        fprintf(stderr, "usage: alarm HOST PORT SECONDS [CA [NAME]]\n");
        return 2;
    }
    action.sa_handler = on_signal;
    sigaction(SIGALRM, &action, NULL);
    int code = argc > 4 ? smtptls_config_add_roots_file(config, argv[4]) : smtptls_config_add_system_roots(config);
    if (code < 0 || dial(argv[1], argv[2]) != 0) {
        const char *message = smtptls_error_message(smtptls_config_error(config));
        fprintf(stderr, "alarm: %s\n", code < 0 ? message : alarmed ? "the time is up" : strerror(errno));
        return 1;
    }
    sigaction(SIGUSR1, &action, NULL);
    session = smtptls_session_client(config, NULL, argc > 5 ? argv[5] : argv[1]);
    code = converse();
    if (code == SMTPTLS_WANT_RETRY)
        fprintf(stderr, "alarm: gave up after %u seconds %s\n", seconds, doing);
    else if (code < 0)
        fprintf(stderr, "alarm: %s %s: %s\n", smtptls_code_name(code), doing,
                smtptls_error_message(smtptls_session_error(session)));
    if (code < 0 && smtptls_session_is_tls(session))
        smtptls_session_refuse(session); /* RFC 3207 section 4.1: QUIT at once */
    smtptls_session_free(session);
    smtptls_config_free(config);
    close(fd);
    return code < 0 ? 1 : 0;
}
