/* The client's TLS on OpenSSL. */

#include "smtp.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>

static SSL_CTX *context;
static SSL *ssl;
static bool usable; /* after a failure SSL_shutdown() must not be called */

static bool complain(const char *what)
{
    long verdict = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    if (verdict != X509_V_OK)
        reason = X509_verify_cert_error_string(verdict);
    fprintf(stderr, "%s: %s\n", what, reason ? reason : "the connection failed");
    return false;
}

bool tls_setup(char **files)
{
    signal(SIGPIPE, SIG_IGN); /* raised by a write to a socket that the peer has closed */
    context = SSL_CTX_new(TLS_client_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) ||
        !SSL_CTX_load_verify_locations(context, files[0], NULL))
        return complain(files[0]);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    return true;
}

bool tls_start(struct smtp *smtp)
{
    char text[sizeof smtp->in];
    if (smtp_ask(smtp, "STARTTLS", text) != 220) {
        fprintf(stderr, "the server refused STARTTLS\n");
        return false;
    }
    /* What came behind the 220 would be taken for something said inside TLS. */
    if (smtp->have > 0) {
        fprintf(stderr, "the server sent plaintext behind its 220 to STARTTLS\n");
        return false;
    }
    ssl = SSL_new(context);
    if (!ssl || !SSL_set_fd(ssl, smtp->fd) || !SSL_set_tlsext_host_name(ssl, NAME) || !SSL_set1_host(ssl, NAME))
        return complain("SSL_new");
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    usable = SSL_connect(ssl) == 1;
    return usable || complain("SSL_connect");
}

/* 0 at a close_notify. An end without it is a failure. */
static long result(int count)
{
    if (count > 0 || SSL_get_error(ssl, count) == SSL_ERROR_ZERO_RETURN)
        return count;
    usable = false;
    complain("SSL_read or SSL_write");
    return -1;
}

long tls_read(void *buf, size_t len)
{
    return result(SSL_read(ssl, buf, (int)len));
}

long tls_write(const void *buf, size_t len)
{
    return result(SSL_write(ssl, buf, (int)len));
}

void tls_close(void)
{
    if (usable)
        SSL_shutdown(ssl);
    SSL_free(ssl);
    SSL_CTX_free(context);
}
