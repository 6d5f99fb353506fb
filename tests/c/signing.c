/* A server whose private key is in another process, as OpenSMTPD has it: it gets what is to be signed through a
 * socket, and never sees the network. Arguments: CA, chain, key, then "1.2" or "1.3". */
#include "support.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sys/wait.h>

/* A question, in front of the message. */
struct question {
    char algorithm[16], digest[16];
    size_t len;
};

static void all(ptrdiff_t moved, size_t wanted)
{
    MUST(moved == (ptrdiff_t)wanted);
}

/* The process that has the key, until the other one closes the socket. */
static void have_the_key(int fd, const char *path)
{
    FILE *file = fopen(path, "r");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    struct question question;
    unsigned char message[512], signature[1024];

    MUST(key != NULL);
    fclose(file);
    while (read(fd, &question, sizeof question) == (ptrdiff_t)sizeof question) {
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        EVP_PKEY_CTX *how;
        size_t len = sizeof signature;

        MUST(question.len <= sizeof message);
        all(read(fd, message, question.len), question.len);
        MUST(EVP_DigestSignInit(context, &how, question.digest[0] ? EVP_get_digestbyname(question.digest) : NULL, NULL,
                                key) == 1);
        if (strcmp(question.algorithm, "RSA-PSS") == 0)
            MUST(EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) == 1 &&
                 EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST) == 1);
        MUST(EVP_DigestSign(context, signature, &len, message, question.len) == 1);
        EVP_MD_CTX_free(context);
        all(write(fd, &len, sizeof len), sizeof len);
        all(write(fd, signature, len), len);
    }
    EVP_PKEY_free(key);
}

/* The server's side of it. */
static void have_it_signed(struct smtptls_session *server, int fd)
{
    const char *digest = smtptls_session_signature_digest(server);
    struct question question = {"", "", 0};
    const uint8_t *message, *certificate;
    unsigned char signature[1024];
    size_t len;

    question.len = smtptls_session_signature_message(server, &message);
    snprintf(question.algorithm, sizeof question.algorithm, "%s", smtptls_session_signature_algorithm(server));
    snprintf(question.digest, sizeof question.digest, "%s", digest ? digest : "");
    CHECK(smtptls_session_signature_certificate(server, &certificate) > 0 && certificate[0] == 0x30);
    CHECK(smtptls_session_signature_scheme(server) > 0);
    all(write(fd, &question, sizeof question), sizeof question);
    all(write(fd, message, question.len), question.len);
    all(read(fd, &len, sizeof len), sizeof len);
    MUST(len <= sizeof signature);
    all(read(fd, signature, len), len);

    CHECK(smtptls_session_set_signature(server, "x", 1) == SMTPTLS_ERR_KEY_MISMATCH);
    CHECK(smtptls_session_set_signature(server, signature, len) == SMTPTLS_OK);
    CHECK(smtptls_session_signature_scheme(server) == 0);
    CHECK(smtptls_session_set_signature(server, signature, len) == SMTPTLS_ERR_STATE);
}

int main(int argc, char **argv)
{
    struct smtptls_config *own = smtptls_config_new(), *trusting = smtptls_config_new();
    struct smtptls_session *client, *server;
    int fds[2], ours = SMTPTLS_WANT_INPUT, theirs = SMTPTLS_WANT_INPUT, asked = 0, status, rounds;
    char line[6];
    pid_t child;

    MUST(argc == 5);
    socket_pair(fds);
    child = fork();
    if (child == 0) {
        close(fds[0]);
        have_the_key(fds[1], argv[3]);
        close(fds[1]);
        smtptls_config_free(own);
        smtptls_config_free(trusting);
        return 0;
    }
    close(fds[1]);
    MUST(smtptls_config_add_certificate_file(own, argv[2]) == SMTPTLS_OK);
    if (strcmp(argv[4], "1.2") == 0)
        MUST(smtptls_config_set_max_version(own, SMTPTLS_TLS1_2) == SMTPTLS_OK);
    MUST(smtptls_config_add_roots_file(trusting, argv[1]) == SMTPTLS_OK);
    client = smtptls_session_client(trusting, NULL, HOST);
    server = smtptls_session_server(own, NULL);
    for (rounds = 0; rounds < 100 && (ours != SMTPTLS_OK || theirs != SMTPTLS_OK); rounds++) {
        if (ours != SMTPTLS_OK)
            ours = smtptls_session_start(client, SMTPTLS_FROM_HANDSHAKE, 0);
        smtptls_session_flush(client);
        carry(client, server);
        if (theirs != SMTPTLS_OK)
            theirs = smtptls_session_start(server, SMTPTLS_FROM_HANDSHAKE, 0);
        if (theirs == SMTPTLS_WANT_SIGNATURE) {
            asked++;
            have_it_signed(server, fds[0]);
        }
        carry(server, client);
    }
    CHECK(ours == SMTPTLS_OK && theirs == SMTPTLS_OK && asked == 1);
    CHECK(smtptls_session_write(client, "QUIT\r\n", 6, false) == 6);
    carry(client, server);
    CHECK(smtptls_session_read(server, line, sizeof line) == 6);
    CHECK(memcmp(line, "QUIT\r\n", 6) == 0);
    printf("%s %s\n", smtptls_info_version(smtptls_session_info(client)),
           smtptls_info_server_signature(smtptls_session_info(client)));

    smtptls_session_free(client);
    smtptls_session_free(server);
    smtptls_config_free(own);
    smtptls_config_free(trusting);
    close(fds[0]);
    MUST(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return failed;
}
