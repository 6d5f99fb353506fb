/* Hands a message to a submission server, with STARTTLS or (--tls, port 465) TLS from the first byte: for programs as
 * msmtp, with a blocking socket. SUBMIT_USER and SUBMIT_PASSWORD are for a server that has proved who it is. */

#include <smtptls.h>

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static int fd = -1;
static struct smtptls_session *session; /* NULL: in clear */
static char in[8192];                   /* the last reply, what came behind it, and a NUL */
static size_t have, used;               /* how much came, and how much of that is the reply */

/* Leaves, and ends the program. A reason that is NULL is the connection's. */
static void fail(const char *what, const char *why)
{
    const struct smtptls_error *error = smtptls_session_error(session);
    fprintf(stderr, "submit: %s: %s\n", what, why ? why : error ? smtptls_error_message(error) : "no answer");
    if (!session)
        send(fd, "QUIT\r\n", 6, MSG_NOSIGNAL);
    smtptls_session_refuse(session); /* QUIT too, where the server can hear it (RFC 3207 section 4.1) */
    exit(1);
}

static void transmit(const char *text, size_t length, bool more)
{
    ptrdiff_t count = session ? smtptls_session_write(session, text, length, more)
                              : send(fd, text, length, MSG_NOSIGNAL);
    if (count != (ptrdiff_t)length)
        fail("sending", NULL);
}

/* Reads a reply, which must have this code. */
static void expect(const char *what, int wanted)
{
    char *end, *line;
    have -= used;
    memmove(in, in + used, have + 1);
    for (line = in; !(end = strstr(line, "\r\n")) || line[3] == '-'; line = end ? end + 2 : line) {
        char *to = in + have;
        size_t room = sizeof in - 1 - have;
        ptrdiff_t count = end ? 1 : session ? smtptls_session_read(session, to, room) : recv(fd, to, room, 0);
        if (count <= 0)
            fail(what, NULL);
        have += end ? 0 : (size_t)count;
        in[have] = 0;
    }
    used = (size_t)(end + 2 - in);
    if (atoi(in) == wanted)
        return;
    for (line = in; *line; line++)
        *line = *line < ' ' || *line > '~' ? '?' : *line; /* a terminal might make something else of it */
    fail(what, in);
}

static void ask(const char *what, const char *format, const char *argument, int wanted)
{
    char line[2048];
    int length = snprintf(line, sizeof line, format, argument);
    if (length >= (int)sizeof line || strcspn(line, "\r\n") != (size_t)length - 2)
        fail(what, "what is to be said is too long, or has the end of a line in it");
    transmit(line, (size_t)length, false);
    expect(what, wanted);
}

/* RFC 4616: NUL, user, NUL, password; in base64 (RFC 4648 section 4). */
static void authenticate(const char *user, const char *password)
{
    char secret[600] = "", out[801] = "";
    int length = snprintf(secret + 1, sizeof secret - 3, "%s%c%s", user, 0, password) + 1;
    if (length > (int)sizeof secret - 3)
        fail("AUTH", "user and password are too long");
    for (int at = 0; at < (length + 2) / 3 * 4; at++) {
        const unsigned char *three = (const unsigned char *)secret + at / 4 * 3;
        unsigned bits = (unsigned)three[0] << 16 | (unsigned)three[1] << 8 | three[2];
        out[at] = at % 4 > length - at / 4 * 3 ? '=' : ALPHABET[bits >> (18 - at % 4 * 6) & 63];
    }
    ask("AUTH", "AUTH PLAIN %s\r\n", out, 235);
}

/* RFC 5321 section 4.5.2: CRLF behind each line, dots doubled, and a final dot. */
static void send_message(void)
{
    char *line = NULL;
    size_t size = 0;
    for (ptrdiff_t count; (count = getline(&line, &size, stdin)) > 0;) {
        count -= line[count - 1] == '\n';
        count -= count > 0 && line[count - 1] == '\r';
        transmit(".", *line == '.', true);
        transmit(line, (size_t)count, true);
        transmit("\r\n", 2, true);
    }
    if (ferror(stdin))
        fail("message", "cannot be read");
    transmit(".\r\n", 3, false);
    expect("message", 250);
}

int main(int argc, char **argv)
{
    const char *ca = NULL, *digest = NULL, *user = getenv("SUBMIT_USER"), *password = getenv("SUBMIT_PASSWORD");
    const struct timeval patience = {300, 0}; /* in clear; the library has limits of its own, which are the same */
    static struct addrinfo hints, *address;
    bool implicit = argc > 5 && strcmp(argv[5], "--tls") == 0;
    int i = implicit ? 6 : 5;
    for (; i + 1 < argc && (strcmp(argv[i], "--ca") == 0 || strcmp(argv[i], "--fingerprint") == 0); i += 2)
        *(argv[i][2] == 'c' ? &ca : &digest) = argv[i + 1];
    if (argc < 5 || i < argc)
        return fprintf(stderr, "usage: submit HOST PORT FROM TO [--tls] [--ca FILE | --fingerprint DIGEST]\n"), 2;
    struct smtptls_config *config = smtptls_config_new();
    struct smtptls_policy *policy = smtptls_policy_new(digest ? SMTPTLS_LEVEL_FINGERPRINT : SMTPTLS_LEVEL_VERIFY);
    if (digest && smtptls_policy_add_fingerprint(policy, SMTPTLS_FINGERPRINT_CERT, digest) < 0)
        fail("--fingerprint", smtptls_error_message(smtptls_policy_error(policy)));
    if (!digest && (ca ? smtptls_config_add_roots_file(config, ca) : smtptls_config_add_system_roots(config)) < 0)
        fail("trust", smtptls_error_message(smtptls_config_error(config)));
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(argv[1], argv[2], &hints, &address) == 0)
        fd = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen) != 0)
        fail(argv[1], "cannot connect");
    if (!implicit) {
        expect("greeting", 220);
        ask("EHLO", "EHLO %s\r\n", "localhost", 250);
    }
    session = smtptls_session_client(config, policy, argv[1]);
    smtptls_session_attach(session, fd, fd, SMTPTLS_MODE_BLOCKING);
    if (smtptls_session_start(session, implicit ? SMTPTLS_FROM_HANDSHAKE : SMTPTLS_FROM_COMMAND, have - used) < 0)
        fail("TLS", NULL);
    printf("tls: %s\n", smtptls_info_summary(smtptls_session_info(session)));
    if (implicit)
        expect("greeting", 220);
    ask("EHLO", "EHLO %s\r\n", "localhost", 250);
    if (user && password)
        authenticate(user, password);
    ask("MAIL", "MAIL FROM:<%s>\r\n", argv[3], 250);
    ask("RCPT", "RCPT TO:<%s>\r\n", argv[4], 250);
    ask("DATA", "DATA%s\r\n", "", 354);
    send_message();
    ask("QUIT", "QUIT%s\r\n", "", 221);
    smtptls_session_close(session, SMTPTLS_CLOSE_SEND);
    return 0;
}
