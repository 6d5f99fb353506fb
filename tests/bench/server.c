/* A TLS server that says what a session costs it: on smtptls, or with -DOPENSSL on OpenSSL, with the same calls around
 * it. One connection after another; of each the handshake, a greeting, QUIT, and the close. Arguments: chain, key, how
 * many sessions before the count and how many in it. Prints its port, then microseconds of CPU for each session, the
 * kernel's share included, and how many were resumed. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define GREETING "220 localhost ESMTP\r\n"

#ifdef OPENSSL
#include <openssl/ssl.h>
#include <signal.h>
static SSL_CTX *context;

static int setup(const char *chain, const char *key)
{
    signal(SIGPIPE, SIG_IGN);
    context = SSL_CTX_new(TLS_server_method());
    /* As smtptls by default: one ticket, and no table of sessions, which the tickets make needless. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return SSL_CTX_set_num_tickets(context, 1) == 1 && SSL_CTX_set1_groups_list(context, "X25519") == 1 &&
           SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_use_certificate_chain_file(context, chain) == 1 &&
           SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1;
}

/* Adds to *resumed if the session was. */
static int serve(int fd, long *resumed)
{
    char line[100];
    SSL *tls = SSL_new(context);
    int well = tls && SSL_set_fd(tls, fd) == 1 && SSL_accept(tls) == 1 &&
               SSL_write(tls, GREETING, sizeof GREETING - 1) > 0 && SSL_read(tls, line, sizeof line) > 0 &&
               SSL_shutdown(tls) >= 0;

    *resumed += well && SSL_session_reused(tls);
    SSL_free(tls);
    return well;
}
#else
#include <smtptls.h>
static struct smtptls_config *config;

/* OpenSSL makes the keys of its tickets itself. */
static int set_ticket_keys(void)
{
    char key[32];
    FILE *urandom = fopen("/dev/urandom", "rb");
    int well = urandom && fread(key, 1, sizeof key, urandom) == sizeof key &&
               smtptls_config_set_ticket_keys(config, key, 1) == SMTPTLS_OK;

    return urandom && fclose(urandom) == 0 && well;
}

static int setup(const char *chain, const char *key)
{
    config = smtptls_config_new();
    return set_ticket_keys() && smtptls_config_set_groups(config, "X25519") == 0 &&
           smtptls_config_set_min_version(config, SMTPTLS_TLS1_3) == SMTPTLS_OK &&
           smtptls_config_add_keypair_file(config, chain, key) == SMTPTLS_OK &&
           smtptls_config_freeze(config) == SMTPTLS_OK;
}

static int serve(int fd, long *resumed)
{
    char line[100];
    struct smtptls_session *tls = smtptls_session_server(config, NULL);
    int well = smtptls_session_attach(tls, fd, fd, SMTPTLS_MODE_BLOCKING) == SMTPTLS_OK &&
               smtptls_session_start(tls, SMTPTLS_FROM_HANDSHAKE, 0) == SMTPTLS_OK &&
               smtptls_session_write(tls, GREETING, sizeof GREETING - 1, false) > 0 &&
               smtptls_session_read(tls, line, sizeof line) > 0 &&
               smtptls_session_close(tls, SMTPTLS_CLOSE_SEND) == SMTPTLS_OK;

    *resumed += well && smtptls_info_resumed(smtptls_session_info(tls));
    smtptls_session_free(tls);
    return well;
}
#endif

static int listen_on_loopback(void)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 16) != 0)
        return -1;
    getsockname(fd, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static double microseconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
    const long before = argc == 5 ? atol(argv[3]) : 0, counted = argc == 5 ? atol(argv[4]) : 0;
    int listener = counted > 0 && setup(argv[1], argv[2]) ? listen_on_loopback() : -1;
    double start = 0;
    long n, resumed = 0;
    int one = 1;

    if (listener < 0)
        return 2;
    for (n = 0; n < before + counted; n++) {
        int fd, well;
        if (n == before) {
            start = microseconds();
            resumed = 0;
        }
        fd = accept(listener, NULL, NULL);
        /* Without it OpenSSL's greeting waits for the client to acknowledge the ticket: 40 ms, and cold caches. */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        well = fd >= 0 && serve(fd, &resumed);
        close(fd);
        if (!well)
            return 1;
    }
    printf("%.2f %ld\n", (microseconds() - start) / (double)counted, resumed);
    return 0;
}
