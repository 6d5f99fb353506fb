/* R9325-3.10-1: a client of OpenSSL that sends early data, though no ticket of ours ever allowed it. The handshake is made
 * all the same, and what came early is read by nobody: it could be somebody's replay. Arguments: CA, chain, key. */
#include "support.h"

#include <openssl/ssl.h>

#define EARLY "MAIL FROM:<replayed@evil.test>\r\n"

static struct smtptls_config *config;
static SSL_CTX *context;

/* Moves what there is in both directions. */
static void move(SSL *client, struct smtptls_session *server)
{
    char buf[20000];
    const uint8_t *data;
    size_t len = smtptls_session_output(server, &data);
    int count = BIO_read(SSL_get_wbio(client), buf, sizeof buf);

    if (len > 0)
        MUST(BIO_write(SSL_get_rbio(client), data, (int)len) == (int)len);
    smtptls_session_sent(server, len);
    if (count > 0)
        MUST(smtptls_session_feed(server, buf, (size_t)count) == count);
}

/* One session, with early data if there is a ticket. Says what the server reads first, and gives the next ticket. */
static void meet_openssl(SSL_SESSION **ticket, char heard[100])
{
    struct smtptls_session *server = smtptls_session_server(config, NULL);
    SSL *client = SSL_new(context);
    const bool early = *ticket != NULL;
    int code = SMTPTLS_WANT_INPUT, rounds;
    ptrdiff_t count = SMTPTLS_WANT_INPUT;
    char reply[100];
    bool said = false;
    size_t written = 0;

    SSL_set_bio(client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client);
    if (early) {
        /* What the ticket says, and what a hostile client makes of it. */
        CHECK(SSL_SESSION_get_max_early_data(*ticket) == 0);
        MUST(SSL_SESSION_set_max_early_data(*ticket, 16384) == 1 && SSL_set_session(client, *ticket) == 1);
        MUST(SSL_write_early_data(client, EARLY, strlen(EARLY), &written) == 1 && written == strlen(EARLY));
        SSL_SESSION_free(*ticket);
    }
    for (rounds = 0; rounds < 20 && count <= 0; rounds++) {
        const bool shaken = SSL_do_handshake(client) == 1;
        if (shaken && !said)
            said = SSL_write(client, "NOOP\r\n", 6) == 6;
        move(client, server);
        if (code != SMTPTLS_OK)
            code = smtptls_session_start(server, SMTPTLS_FROM_HANDSHAKE, 0);
        else
            count = smtptls_session_read(server, heard, 99);
    }
    heard[count > 0 ? count : 0] = 0;
    CHECK(code == SMTPTLS_OK && said);
    CHECK(!early || SSL_get_early_data_status(client) == SSL_EARLY_DATA_REJECTED);
    CHECK((SSL_session_reused(client) == 1) == early);
    CHECK(smtptls_info_resumed(smtptls_session_info(server)) == early);
    /* The answer brings the ticket. */
    CHECK(smtptls_session_write(server, "250 ok\r\n", 8, false) == 8);
    move(client, server);
    CHECK(SSL_read(client, reply, sizeof reply) == 8);
    *ticket = SSL_get1_session(client);
    /* A session that was broken off is of no more use to OpenSSL. */
    SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(client);
    smtptls_session_free(server);
}

int main(int argc, char **argv)
{
    const unsigned char key[32] = {7};
    SSL_SESSION *ticket = NULL;
    char heard[100];

    MUST(argc == 4);
    config = smtptls_config_new();
    MUST(smtptls_config_add_keypair_file(config, argv[2], argv[3]) == SMTPTLS_OK);
    MUST(smtptls_config_set_ticket_keys(config, key, 1) == SMTPTLS_OK && smtptls_config_freeze(config) == SMTPTLS_OK);
    context = SSL_CTX_new(TLS_client_method());
    MUST(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1);
    meet_openssl(&ticket, heard);
    CHECK(is(heard, "NOOP\r\n"));
    meet_openssl(&ticket, heard);
    CHECK(is(heard, "NOOP\r\n"));
    SSL_SESSION_free(ticket);
    SSL_CTX_free(context);
    smtptls_config_free(config);
    return failed;
}
