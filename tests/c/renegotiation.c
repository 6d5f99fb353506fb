/* R9325-3.5-1, R9266-4.2-1: OpenSSL on the other side, either one, asks for a renegotiation of TLS 1.2. There is none: no
 * second handshake, the facts stay what they were, and only no_renegotiation goes back. At a version that has such a thing
 * there is no channel binding either. Arguments: CA, chain, key. */
#include "support.h"

#include <openssl/ssl.h>

enum { NO_RENEGOTIATION = 100 };

static int alert;

static void on_info(const SSL *ssl, int where, int value)
{
    (void)ssl;
    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT)
        alert = value & 255;
}

/* Moves what there is in both directions. */
static void move(SSL *theirs, struct smtptls_session *ours)
{
    char buf[20000];
    const uint8_t *data;
    size_t len = smtptls_session_output(ours, &data);
    int count = BIO_read(SSL_get_wbio(theirs), buf, sizeof buf);

    if (len > 0)
        MUST(BIO_write(SSL_get_rbio(theirs), data, (int)len) == (int)len);
    smtptls_session_sent(ours, len);
    if (count > 0)
        MUST(smtptls_session_feed(ours, buf, (size_t)count) == count);
}

static void asked_by(SSL_CTX *context, struct smtptls_session *ours, bool is_client)
{
    SSL *theirs = SSL_new(context);
    const struct smtptls_info *info;
    char buf[100];
    size_t len = 0;
    int code = SMTPTLS_WANT_INPUT, rounds;
    ptrdiff_t count = 0;

    SSL_set_bio(theirs, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    is_client ? SSL_set_connect_state(theirs) : SSL_set_accept_state(theirs);
    for (rounds = 0; rounds < 10 && !(code == SMTPTLS_OK && SSL_is_init_finished(theirs)); rounds++) {
        (void)SSL_do_handshake(theirs);
        move(theirs, ours);
        if (code != SMTPTLS_OK)
            code = smtptls_session_start(ours, SMTPTLS_FROM_HANDSHAKE, 0);
        move(theirs, ours);
    }
    info = smtptls_session_info(ours);
    MUST(code == SMTPTLS_OK && SSL_is_init_finished(theirs) && is(smtptls_info_version(info), "TLSv1.2"));

    alert = 0;
    MUST(SSL_renegotiate(theirs) == 1);
    for (rounds = 0; rounds < 10; rounds++) {
        (void)SSL_do_handshake(theirs);
        move(theirs, ours);
        count = smtptls_session_read(ours, buf, sizeof buf);
        CHECK(count == SMTPTLS_WANT_INPUT || count == SMTPTLS_WANT_OUTPUT || count < SMTPTLS_WANT_SIGNATURE);
        move(theirs, ours);
        (void)SSL_read(theirs, buf, sizeof buf);
    }
    CHECK(alert == NO_RENEGOTIATION && SSL_num_renegotiations(theirs) <= 1);
    CHECK(smtptls_session_info(ours) == info);
    CHECK(smtptls_info_channel_binding(info, &len) == NULL && len == 0);
    /* To OpenSSL that answer is fatal, on both sides. */
    CHECK(smtptls_session_error(ours) != NULL && smtptls_session_write(ours, "QUIT\r\n", 6, false) < 0);
    SSL_free(theirs);
    smtptls_session_free(ours);
}

static SSL_CTX *context(const SSL_METHOD *method, char **argv)
{
    SSL_CTX *made = SSL_CTX_new(method);

    MUST(made && SSL_CTX_set_max_proto_version(made, TLS1_2_VERSION) == 1);
    MUST(SSL_CTX_use_certificate_chain_file(made, argv[2]) == 1);
    MUST(SSL_CTX_use_PrivateKey_file(made, argv[3], SSL_FILETYPE_PEM) == 1);
    SSL_CTX_set_info_callback(made, on_info);
    return made;
}

int main(int argc, char **argv)
{
    struct smtptls_config *config = config_from(argc, argv);
    SSL_CTX *client = context(TLS_client_method(), argv), *server = context(TLS_server_method(), argv);

    asked_by(client, smtptls_session_server(config, NULL), true);
    asked_by(server, smtptls_session_client(config, NULL, HOST), false);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    smtptls_config_free(config);
    return failed;
}
