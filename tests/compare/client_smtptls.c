/* The client's TLS on smtptls. */

#include "smtp.h"

#include <smtptls.h>
#include <stdio.h>

static struct smtptls_config *config;
static struct smtptls_session *session;

static bool complain(const struct smtptls_error *error)
{
    fprintf(stderr, "%s\n", smtptls_error_message(error));
    return false;
}

bool tls_setup(char **files)
{
    config = smtptls_config_new();
    return smtptls_config_add_roots_file(config, files[0]) == SMTPTLS_OK || complain(smtptls_config_error(config));
}

bool tls_start(struct smtp *smtp)
{
    session = smtptls_session_client(config, NULL, NAME);
    smtptls_session_attach(session, smtp->fd, smtp->fd, SMTPTLS_MODE_BLOCKING);
    if (smtptls_session_start(session, SMTPTLS_FROM_COMMAND, smtp->have) == SMTPTLS_OK)
        return true;
    complain(smtptls_session_error(session));
    smtptls_session_refuse(session); /* QUIT, as RFC 3207 section 4.1 asks */
    return false;
}

long tls_read(void *buf, size_t len)
{
    return smtptls_session_read(session, buf, len);
}

long tls_write(const void *buf, size_t len)
{
    return smtptls_session_write(session, buf, len, false);
}

void tls_close(void)
{
    smtptls_session_close(session, SMTPTLS_CLOSE_SEND);
    smtptls_session_free(session);
    smtptls_config_free(config);
}
