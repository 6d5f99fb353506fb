/* The server's TLS on OpenSSL. */

#include "smtp.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>

static SSL_CTX *context;
static SSL *ssl;
static bool usable; /* after a failure SSL_shutdown() must not be called */

static bool complain(const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    fprintf(stderr, "%s: %s\n", what, reason ? reason : "the connection failed");
    return false;
}

bool tls_setup(char **files)
{
    signal(SIGPIPE, SIG_IGN); /* raised by a write to a socket that the peer has closed */
    context = SSL_CTX_new(TLS_server_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION))
        return complain("SSL_CTX_new");
    if (SSL_CTX_use_certificate_chain_file(context, files[0]) != 1)
        return complain(files[0]);
    if (SSL_CTX_use_PrivateKey_file(context, files[1], SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1)
        return complain(files[1]);
    return true;
}

bool tls_start(struct smtp *smtp)
{
    /* What came behind STARTTLS would be taken for something said inside TLS. */
    if (smtp->have > 0) {
        fprintf(stderr, "the client sent plaintext behind STARTTLS\n");
        return false;
    }
    if (!smtp_put(smtp, "220 2.0.0 Ready to start TLS"))
        return false;
    ssl = SSL_new(context);
    if (!ssl || !SSL_set_fd(ssl, smtp->fd))
        return complain("SSL_new");
    usable = SSL_accept(ssl) == 1;
    return usable || complain("SSL_accept");
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
