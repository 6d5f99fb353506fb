/* TLS by libsmtptls, as a mail server uses it. */
#include "tls.h"

#include <smtptls.h>
#include <stdio.h>

static struct smtptls_config *config;
static struct tls_settings settings;

static bool complain(const struct smtptls_error *error)
{
    fprintf(stderr, "smtptls: %s\n", smtptls_error_message(error));
    return false;
}

/* OpenSSL and GnuTLS make the keys of their tickets themselves. */
static bool set_ticket_key(void)
{
    char key[32];
    FILE *urandom = fopen("/dev/urandom", "rb");
    const bool good = urandom && fread(key, 1, sizeof key, urandom) == sizeof key &&
                      smtptls_config_set_ticket_keys(config, key, 1) == SMTPTLS_OK;

    return urandom && fclose(urandom) == 0 && good;
}

static bool set_identity(void)
{
    if (!settings.server)
        return smtptls_config_add_roots_file(config, settings.ca) == SMTPTLS_OK &&
               smtptls_config_set_client_sessions(config, settings.resume ? 8 : 0) == SMTPTLS_OK;
    if (!settings.key)
        return smtptls_config_add_keypairs_file(config, settings.chain) == SMTPTLS_OK && set_ticket_key();
    return smtptls_config_add_keypair_file(config, settings.chain, settings.key) == SMTPTLS_OK && set_ticket_key();
}

bool tls_setup(const struct tls_settings *wanted)
{
    settings = *wanted;
    config = smtptls_config_new();
    return (set_identity() &&
            (settings.version != 12 || smtptls_config_set_max_version(config, SMTPTLS_TLS1_2) == SMTPTLS_OK) &&
            (!settings.same || (smtptls_config_set_groups(config, "X25519") == 0 &&
                                smtptls_config_set_ciphers(config, "TLS_AES_128_GCM_SHA256") == 0)) &&
            smtptls_config_freeze(config) == SMTPTLS_OK) ||
           complain(smtptls_config_error(config));
}

struct tls *tls_start(int fd)
{
    struct smtptls_session *session = settings.server ? smtptls_session_server(config, NULL)
                                                      : smtptls_session_client(config, NULL, settings.name);

    /* The others have no limits of time; with them each wait takes a poll. */
    if (!settings.limits) {
        smtptls_session_set_timeout(session, SMTPTLS_TIMEOUT_START, 0);
        smtptls_session_set_timeout(session, SMTPTLS_TIMEOUT_IO, 0);
    }
    if (smtptls_session_attach(session, fd, fd, SMTPTLS_MODE_BLOCKING) == SMTPTLS_OK &&
        smtptls_session_start(session, SMTPTLS_FROM_COMMAND, 0) == SMTPTLS_OK)
        return (struct tls *)session;
    complain(smtptls_session_error(session));
    smtptls_session_refuse(session);
    smtptls_session_free(session);
    return NULL;
}

long tls_read(struct tls *tls, void *buf, size_t len)
{
    return smtptls_session_read((struct smtptls_session *)tls, buf, len);
}

bool tls_write(struct tls *tls, const void *buf, size_t len, bool more)
{
    return smtptls_session_write((struct smtptls_session *)tls, buf, len, more) == (ptrdiff_t)len;
}

bool tls_resumed(struct tls *tls)
{
    return smtptls_info_resumed(smtptls_session_info((struct smtptls_session *)tls));
}

void tls_end(struct tls *tls)
{
    smtptls_session_close((struct smtptls_session *)tls, SMTPTLS_CLOSE_SEND);
    smtptls_session_free((struct smtptls_session *)tls);
}

const char *tls_version(void)
{
    static char text[40];

    snprintf(text, sizeof text, "smtptls %s", smtptls_version());
    return text;
}
