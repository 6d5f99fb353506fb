/* TLS by OpenSSL, as a mail server uses it. */
#include "plain.h"
#include "tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>

static SSL_CTX *context;
static struct tls_settings settings;
static SSL_SESSION *kept;

static bool complain(const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    fprintf(stderr, "OpenSSL: %s: %s\n", what, reason ? reason : "the connection failed");
    return false;
}

/* The newest session is for the next one. */
static int keep(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(kept);
    kept = session;
    return 1;
}

static bool set_client(void)
{
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (settings.resume) {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, keep);
    }
    return SSL_CTX_load_verify_locations(context, settings.ca, NULL) == 1;
}

static bool set_server(void)
{
    /* One ticket, as Postfix has it, and no table of sessions, which tickets make needless. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return SSL_CTX_set_num_tickets(context, 1) == 1 &&
           SSL_CTX_use_certificate_chain_file(context, settings.chain) == 1 &&
           SSL_CTX_use_PrivateKey_file(context, settings.key, SSL_FILETYPE_PEM) == 1;
}

bool tls_setup(const struct tls_settings *wanted)
{
    settings = *wanted;
    signal(SIGPIPE, SIG_IGN);
    context = SSL_CTX_new(settings.server ? TLS_server_method() : TLS_client_method());
    if (settings.lean)
        SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
            (settings.version != 12 || SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION) == 1) &&
            (!settings.same || (SSL_CTX_set1_groups_list(context, "X25519") == 1 &&
                                SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") == 1)) &&
            (settings.server ? set_server() : set_client())) ||
           complain("setup");
}

struct tls *tls_start(int fd)
{
    SSL *ssl;

    if (!plain_starttls(fd, settings.server))
        return NULL;
    ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (!settings.server) {
        SSL_set_tlsext_host_name(ssl, settings.name);
        SSL_set1_host(ssl, settings.name);
        if (kept)
            SSL_set_session(ssl, kept);
    }
    if ((settings.server ? SSL_accept(ssl) : SSL_connect(ssl)) == 1)
        return (struct tls *)ssl;
    complain("handshake");
    SSL_free(ssl);
    return NULL;
}

long tls_read(struct tls *tls, void *buf, size_t len)
{
    return SSL_read((SSL *)tls, buf, (int)len);
}

bool tls_write(struct tls *tls, const void *buf, size_t len, bool more)
{
    (void)more; /* there is no such thing */
    return SSL_write((SSL *)tls, buf, (int)len) == (int)len;
}

bool tls_resumed(struct tls *tls)
{
    return SSL_session_reused((SSL *)tls) == 1;
}

void tls_end(struct tls *tls)
{
    SSL_shutdown((SSL *)tls);
    SSL_free((SSL *)tls);
}

const char *tls_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}
