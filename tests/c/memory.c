/* Two sessions of the C library back to back in memory: the whole way, in pieces of 512 bytes. Arguments: CA, chain,
 * key. Prints what TLS came out as on both sides. */
#include <smtptls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int code, const char *what, const struct smtptls_error *error)
{
    if (code != SMTPTLS_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, smtptls_code_name(code), smtptls_error_message(error));
        exit(1);
    }
}

/* Moves up to 512 bytes from one session to the other. */
static void carry(struct smtptls_session *from, struct smtptls_session *to)
{
    const uint8_t *data;
    size_t len = smtptls_session_output(from, &data);
    ptrdiff_t taken;

    if (len > 512)
        len = 512;
    if (len == 0)
        return;
    taken = smtptls_session_feed(to, data, len);
    if (taken > 0)
        smtptls_session_sent(from, (size_t)taken);
}

static int start(struct smtptls_session *session)
{
    int code = smtptls_session_start(session, SMTPTLS_FROM_HANDSHAKE, 0);

    if (code < SMTPTLS_WANT_OUTPUT)
        must(code, "start", smtptls_session_error(session));
    return code;
}

int main(int argc, char **argv)
{
    static char message[100000], got[sizeof message];
    struct smtptls_config *config = smtptls_config_new();
    struct smtptls_session *client, *server;
    size_t written = 0, received = 0, len = 0;
    int client_state = 1, server_state = 1;

    if (argc != 4)
        return 2;
    must(smtptls_config_add_roots_file(config, argv[1]), argv[1], smtptls_config_error(config));
    must(smtptls_config_add_keypair_file(config, argv[2], argv[3]), argv[2], smtptls_config_error(config));
    client = smtptls_session_client(config, NULL, "localhost");
    server = smtptls_session_server(config, NULL);
    smtptls_config_free(config);
    while (client_state != SMTPTLS_OK || server_state != SMTPTLS_OK) {
        if (client_state != SMTPTLS_OK)
            client_state = start(client);
        carry(client, server);
        if (server_state != SMTPTLS_OK)
            server_state = start(server);
        carry(server, client);
    }
    printf("%s\n%s\n", smtptls_info_summary(smtptls_session_info(client)),
           smtptls_info_summary(smtptls_session_info(server)));
    if (smtptls_info_auth(smtptls_session_info(client)) != SMTPTLS_AUTH_PKIX)
        return 1;
    if (smtptls_info_peer_cert(smtptls_session_info(client), 0, &len) == NULL || len == 0)
        return 1;

    memset(message, 'm', sizeof message);
    while (received < sizeof message) {
        ptrdiff_t count;
        if (written < sizeof message) {
            count = smtptls_session_write(client, message + written, sizeof message - written, false);
            written += count > 0 ? (size_t)count : 0;
        }
        carry(client, server);
        count = smtptls_session_read(server, got + received, sizeof got - received);
        if (count < SMTPTLS_WANT_OUTPUT)
            must((int)count, "read", smtptls_session_error(server));
        received += count > 0 ? (size_t)count : 0;
    }
    if (memcmp(message, got, sizeof got) != 0)
        return 1;
    while (smtptls_session_close(client, SMTPTLS_CLOSE_SEND) == SMTPTLS_WANT_OUTPUT)
        carry(client, server);
    if (smtptls_session_read(server, got, sizeof got) != 0 || smtptls_session_is_truncated(server))
        return 1;
    smtptls_session_free(server);
    smtptls_session_free(client);
    return 0;
}
