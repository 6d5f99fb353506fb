/* The client that tests/bench/server.c is measured with, on OpenSSL whatever the server is on: sessions one after
 * another, with TLS 1.3 and X25519. Arguments: port, CA file, how many sessions, "full" or "resumed". Ends with 0 if
 * each was what it should be; where they are to be resumed, all but the first. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static SSL_SESSION *ticket;

/* The newest ticket is for the next session. */
static int keep(SSL *tls, SSL_SESSION *session)
{
    (void)tls;
    SSL_SESSION_free(ticket);
    ticket = session;
    return 1;
}

static int session(SSL_CTX *context, const struct sockaddr_in *address, int resume, int *resumed)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1, well;
    char line[100];
    SSL *tls = SSL_new(context);

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    SSL_set_tlsext_host_name(tls, "localhost");
    SSL_set1_host(tls, "localhost");
    SSL_set_fd(tls, fd);
    if (resume && ticket)
        SSL_set_session(tls, ticket);
    well = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 && SSL_connect(tls) == 1 &&
           SSL_read(tls, line, sizeof line) > 0 && SSL_write(tls, "QUIT\r\n", 6) == 6 &&
           SSL_read(tls, line, sizeof line) == 0 && SSL_get_error(tls, 0) == SSL_ERROR_ZERO_RETURN;
    if (well)
        SSL_shutdown(tls);
    *resumed = SSL_session_reused(tls);
    SSL_free(tls);
    close(fd);
    return well;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {0};
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    long n, count;
    int resume, resumed;

    if (argc != 5)
        return 2;
    count = atol(argv[3]);
    resume = strcmp(argv[4], "resumed") == 0;
    address.sin_family = AF_INET;
    address.sin_port = htons((unsigned short)atoi(argv[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    /* One of each, so that both servers do the same sums. */
    if (SSL_CTX_load_verify_locations(context, argv[2], NULL) != 1 ||
        SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set1_groups_list(context, "X25519") != 1 ||
        SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_set1_sigalgs_list(context, "ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256") != 1)
        return 2;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep);
    for (n = 0; n < count; n++)
        if (!session(context, &address, resume, &resumed) || resumed != (resume && n > 0)) {
            fprintf(stderr, "client: session %ld failed, or was not %s\n", n, argv[4]);
            return 1;
        }
    SSL_SESSION_free(ticket);
    SSL_CTX_free(context);
    return 0;
}
