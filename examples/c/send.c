/* Sends one message. The library does everything up to EHLO inside TLS; from there on it is plain SMTP. */

#include "client.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int send_message(const struct options *options, struct smtptls_config *config,
                        struct smtptls_policy *policy, const char *message, size_t length)
{
    struct wire wire;
    memset(&wire, 0, sizeof wire);
    wire.by = now() + options->timeout;
    wire.action = SMTPTLS_ACTION_NEXT_HOST;
    wire.fd = wire_connect(options->host, options->port, wire.by);
    if (wire.fd < 0)
        return wire.fd;

    struct smtptls_session *session = smtptls_session_client(config, policy, options->name);
    smtptls_session_set_protocol(session, options->protocol);
    smtptls_session_attach(session, wire.fd, wire.fd, SMTPTLS_MODE_BLOCKING);
    smtptls_session_set_deadline(session, wire_left(&wire));
    int code = smtptls_session_start(session, SMTPTLS_FROM_GREETING, 0);
    const struct smtptls_error *error = smtptls_session_error(session);
    if (code == SMTPTLS_OK) {
        show_tls(session);
        wire.tls = session;
    } else if (smtptls_error_action(error) == SMTPTLS_ACTION_CONTINUE) {
        /* Plaintext, which only the levels `none` and `may` allow; the connection is as good as it was. */
        printf("tls: none\n");
        code = SMTPTLS_OK;
    } else {
        complain_about(error);
        refuse(&wire, session, code);
    }
    if (code == SMTPTLS_OK) {
        const char *hello = smtptls_session_reply(session);
        snprintf(wire.reply, sizeof wire.reply, "%s", hello ? hello : "");
        code = deliver(&wire, options, message, length);
    }
    smtptls_session_free(session);
    close(wire.fd);
    return code;
}

int main(int argc, char **argv)
{
    return run(argc, argv, send_message);
}
