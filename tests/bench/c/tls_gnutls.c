/* TLS by GnuTLS, as a mail server uses it. */
#include "plain.h"
#include "tls.h"

#include <gnutls/gnutls.h>
#include <signal.h>
#include <stdio.h>

static gnutls_certificate_credentials_t credentials;
static gnutls_priority_t priority;
static gnutls_datum_t ticket_key, kept;
static struct tls_settings settings;

static bool good(int code, const char *what)
{
    if (code < 0)
        fprintf(stderr, "GnuTLS: %s: %s\n", what, gnutls_strerror(code));
    return code >= 0;
}

bool tls_setup(const struct tls_settings *wanted)
{
    const char *choice = "NORMAL";

    settings = *wanted;
    signal(SIGPIPE, SIG_IGN);
    if (settings.version == 12)
        choice = "NORMAL:-VERS-ALL:+VERS-TLS1.2";
    else if (settings.same)
        choice = "NORMAL:-CIPHER-ALL:+AES-128-GCM:-GROUP-ALL:+GROUP-X25519";
    if (!good(gnutls_certificate_allocate_credentials(&credentials), "credentials") ||
        !good(gnutls_priority_init(&priority, choice, NULL), choice))
        return false;
    if (!settings.server)
        return good(gnutls_certificate_set_x509_trust_file(credentials, settings.ca, GNUTLS_X509_FMT_PEM), settings.ca);
    return good(gnutls_session_ticket_key_generate(&ticket_key), "ticket key") &&
           good(gnutls_certificate_set_x509_key_file(credentials, settings.chain, settings.key, GNUTLS_X509_FMT_PEM),
                settings.chain);
}

struct tls *tls_start(int fd)
{
    gnutls_session_t session;
    int code;

    if (!plain_starttls(fd, settings.server) ||
        !good(gnutls_init(&session, settings.server ? GNUTLS_SERVER : GNUTLS_CLIENT), "init"))
        return NULL;
    gnutls_priority_set(session, priority);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_transport_set_int(session, fd);
    if (settings.server) {
        gnutls_session_ticket_enable_server(session, &ticket_key);
    } else {
        gnutls_server_name_set(session, GNUTLS_NAME_DNS, settings.name, __builtin_strlen(settings.name));
        gnutls_session_set_verify_cert(session, settings.name, 0);
        if (settings.resume && kept.data)
            gnutls_session_set_data(session, kept.data, kept.size);
    }
    do
        code = gnutls_handshake(session);
    while (code < 0 && !gnutls_error_is_fatal(code));
    if (good(code, "handshake"))
        return (struct tls *)session;
    gnutls_deinit(session);
    return NULL;
}

long tls_read(struct tls *tls, void *buf, size_t len)
{
    long count;

    do
        count = gnutls_record_recv((gnutls_session_t)tls, buf, len);
    while (count == GNUTLS_E_AGAIN || count == GNUTLS_E_INTERRUPTED);
    return count;
}

bool tls_write(struct tls *tls, const void *buf, size_t len, bool more)
{
    const char *from = buf;

    (void)more;
    while (len > 0) {
        const long count = gnutls_record_send((gnutls_session_t)tls, from, len);
        if (count <= 0)
            return false;
        from += count;
        len -= (size_t)count;
    }
    return true;
}

bool tls_resumed(struct tls *tls)
{
    return gnutls_session_is_resumed((gnutls_session_t)tls) != 0;
}

void tls_end(struct tls *tls)
{
    if (settings.resume) {
        gnutls_free(kept.data);
        kept.data = NULL;
        gnutls_session_get_data2((gnutls_session_t)tls, &kept);
    }
    gnutls_bye((gnutls_session_t)tls, GNUTLS_SHUT_WR);
    gnutls_deinit((gnutls_session_t)tls);
}

const char *tls_version(void)
{
    static char text[40];

    snprintf(text, sizeof text, "GnuTLS %s", gnutls_check_version(NULL));
    return text;
}
