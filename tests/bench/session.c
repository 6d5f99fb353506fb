/* One SMTP session with STARTTLS, one small message, one write a command: against smtptls, or with -DOPENSSL against
 * OpenSSL, with the same calls around it. Arguments: port, CA file. Ends with 0 if the message was taken. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAME "localhost"

#ifdef OPENSSL
#include <openssl/ssl.h>
static SSL *tls;

static int tls_start(int fd, const char *ca)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (SSL_CTX_load_verify_locations(context, ca, NULL) != 1)
        return -1;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    tls = SSL_new(context);
    SSL_set_tlsext_host_name(tls, NAME);
    SSL_set1_host(tls, NAME);
    SSL_set_fd(tls, fd);
    return SSL_connect(tls) == 1 ? 0 : -1;
}

static long tls_read(void *buf, size_t len) { return SSL_read(tls, buf, (int)len); }
static long tls_write(const void *buf, size_t len) { return SSL_write(tls, buf, (int)len); }
static void tls_close(void) { SSL_shutdown(tls); }
#else
#include <smtptls.h>
static struct smtptls_session *tls;

static int tls_start(int fd, const char *ca)
{
    struct smtptls_config *config = smtptls_config_new();

    if (smtptls_config_add_roots_file(config, ca) != SMTPTLS_OK)
        return -1;
    tls = smtptls_session_client(config, NULL, NAME);
    smtptls_session_attach(tls, fd, fd, SMTPTLS_MODE_BLOCKING);
    return smtptls_session_start(tls, SMTPTLS_FROM_HANDSHAKE, 0);
}

static long tls_read(void *buf, size_t len) { return smtptls_session_read(tls, buf, len); }
static long tls_write(const void *buf, size_t len) { return smtptls_session_write(tls, buf, len, false); }
static void tls_close(void) { smtptls_session_close(tls, SMTPTLS_CLOSE_SEND); }
#endif

static int fd, secure;

/* Reads a whole reply and returns its code. */
static int reply(void)
{
    static char buf[65536];
    size_t len = 0;

    for (;;) {
        long count = secure ? tls_read(buf + len, sizeof buf - 1 - len) : read(fd, buf + len, sizeof buf - 1 - len);
        const char *line, *end;
        if (count <= 0)
            return -1;
        len += (size_t)count;
        buf[len] = 0;
        for (line = buf; (end = strstr(line, "\r\n")) != NULL; line = end + 2)
            if (end - line >= 4 && line[3] == ' ' && end[2] == 0)
                return atoi(line);
    }
}

static int say(const char *text)
{
    size_t len = strlen(text);
    long count = secure ? tls_write(text, len) : write(fd, text, len);

    return count == (long)len ? reply() : -1;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {0};

    if (argc != 3)
        return 2;
    address.sin_family = AF_INET;
    address.sin_port = htons((unsigned short)atoi(argv[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || reply() != 220)
        return 1;
    if (say("EHLO client.test\r\n") != 250 || say("STARTTLS\r\n") != 220)
        return 1;
    if (tls_start(fd, argv[2]) != 0)
        return 1;
    secure = 1;
    if (say("EHLO client.test\r\n") != 250 || say("MAIL FROM:<a@client.test>\r\n") != 250 ||
        say("RCPT TO:<b@localhost>\r\n") != 250 || say("DATA\r\n") != 354 ||
        say("Subject: hello\r\n\r\nhello\r\n.\r\n") != 250 || say("QUIT\r\n") != 221)
        return 1;
    tls_close();
    close(fd);
    return 0;
}
