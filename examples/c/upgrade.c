/* Sends one message the way an existing mail program would: its own socket, its own greeting and EHLO, and the
 * library from STARTTLS until TLS is up. */

#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* EHLO, and HELO where the server knows nothing else (RFC 5321 section 3.2). */
static int say_hello(struct wire *wire, const struct options *options)
{
    const char *verb = options->protocol == SMTPTLS_PROTOCOL_LMTP ? "LHLO" : "EHLO";
    char name[256] = "localhost", line[300];
    gethostname(name, sizeof name - 1);
    snprintf(line, sizeof line, "%s %s", verb, name);
    int code = command(wire, line);
    /* RFC 3207 section 4.2: never HELO inside TLS, since EHLO has worked before. */
    if (code / 100 == 5 && !wire->tls && options->protocol == SMTPTLS_PROTOCOL_SMTP) {
        snprintf(line, sizeof line, "HELO %s", name);
        code = wanted(wire, 250, command(wire, line), "HELO");
        /* It lists nothing. */
        wire->reply[0] = 0;
        return code;
    }
    return wanted(wire, 250, code, verb);
}

/* Whether a start failed before a byte was sent: the policy, or what the DNS says, forbids it. */
static bool is_unsent(int code)
{
    return code == SMTPTLS_ERR_ARGUMENT || code == SMTPTLS_ERR_NO_ROOTS || code == SMTPTLS_ERR_DNSSEC ||
           code == SMTPTLS_ERR_DANE_REQUIRED || code == SMTPTLS_ERR_STS_MX;
}

/* STARTTLS on a connection where EHLO is done. Afterwards the wire has TLS, or the policy is content without. */
static int starttls(struct wire *wire, const struct options *options, struct smtptls_config *config,
                    const struct smtptls_policy *policy)
{
    struct smtptls_session *session = smtptls_session_client(config, policy, options->name);
    smtptls_session_set_protocol(session, options->protocol);
    smtptls_session_attach(session, wire->fd, wire->fd, SMTPTLS_MODE_BLOCKING);
    smtptls_session_set_deadline(session, wire_left(wire));
    int code = smtptls_session_start(session, SMTPTLS_FROM_COMMAND, wire->have);
    const struct smtptls_error *error = smtptls_session_error(session);
    if (code == SMTPTLS_OK) {
        wire->tls = session;
        return code;
    }
    if (smtptls_error_action(error) == SMTPTLS_ACTION_CONTINUE) {
        /* The server refused, and the connection is as good as it was. */
        code = SMTPTLS_OK;
    } else {
        complain_about(error);
        if (is_unsent(code))
            leave(wire);
        else
            refuse(wire, session, code);
    }
    smtptls_session_free(session);
    return code;
}

/* From the greeting to the EHLO that counts. */
static int begin(struct wire *wire, const struct options *options, struct smtptls_config *config,
                 struct smtptls_policy *policy)
{
    int code = wanted(wire, 220, read_reply(wire), "the greeting");
    if (code < 0 || (code = say_hello(wire, options)) < 0)
        return code;
    /* Not the level that was asked for: DANE and MTA-STS may make another of it, or there is to be no session. */
    int level = smtptls_policy_effective_level(policy, options->name);
    if (level < 0) {
        complain_about(smtptls_policy_error(policy));
        leave(wire);
        return level;
    }
    bool offered = offers(wire->reply, "STARTTLS") != NULL;
    if (!offered && level > SMTPTLS_LEVEL_MAY) {
        complain(SMTPTLS_ERR_NOT_OFFERED, SMTPTLS_ACTION_NEXT_HOST, "starttls-not-supported",
                 "the server does not offer STARTTLS");
        leave(wire);
        return SMTPTLS_ERR_NOT_OFFERED;
    }
    if (offered && level != SMTPTLS_LEVEL_NONE && (code = starttls(wire, options, config, policy)) < 0)
        return code;
    if (!wire->tls) {
        printf("tls: none\n");
        return SMTPTLS_OK;
    }
    show_tls(wire->tls);
    /* RFC 3207 section 4.2: what was learnt before TLS is forgotten. */
    return say_hello(wire, options);
}

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
    int code = begin(&wire, options, config, policy);
    if (code == SMTPTLS_OK)
        code = deliver(&wire, options, message, length);
    smtptls_session_free(wire.tls);
    close(wire.fd);
    return code;
}

int main(int argc, char **argv)
{
    return run(argc, argv, send_message);
}
