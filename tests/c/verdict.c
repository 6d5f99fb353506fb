/* Handshakes in memory under every kind of policy, and what info, error and reports say of them. Arguments: CA,
 * chain, key. Ends with 0 if all is as the header says. Run plainly and under valgrind. */
#include "support.h"

static struct smtptls_config *config;
/* Of the server's certificate: found out by the first handshake. */
static char fingerprint[200], key_fingerprint[200];

/* A client's session with our server: what its start came to. The policy is freed. */
static int judged(struct smtptls_policy *policy, struct smtptls_session **client)
{
    struct smtptls_session *server = smtptls_session_server(config, NULL);
    int code;

    *client = smtptls_session_client(config, policy, HOST);
    smtptls_policy_free(policy);
    code = meet(*client, server, SMTPTLS_FROM_HANDSHAKE);
    CHECK(smtptls_session_error(server) == NULL);
    smtptls_session_free(server);
    return code;
}

/* A policy of DANE whose MX, address and TLSA records are secure. */
static struct smtptls_policy *dane(const char *record)
{
    struct smtptls_policy *policy = smtptls_policy_new(SMTPTLS_LEVEL_DANE);
    CHECK(smtptls_policy_set_next_hop(policy, "example.com", NULL, SMTPTLS_DNSSEC_SECURE) == SMTPTLS_OK);
    CHECK(smtptls_policy_set_address_dnssec(policy, SMTPTLS_DNSSEC_SECURE) == SMTPTLS_OK);
    CHECK(smtptls_policy_set_tlsa(policy, HOST, SMTPTLS_DNSSEC_SECURE) == SMTPTLS_OK);
    CHECK(smtptls_policy_add_tlsa_text(policy, record) >= 0);
    return policy;
}

static void pkix(void)
{
    struct smtptls_session *client;
    const struct smtptls_info *info;
    const struct smtptls_error *error;

    CHECK(judged(NULL, &client) == SMTPTLS_OK);
    info = smtptls_session_info(client);
    CHECK(smtptls_info_level(info) == SMTPTLS_LEVEL_VERIFY);
    CHECK(smtptls_info_auth(info) == SMTPTLS_AUTH_PKIX && smtptls_info_secured(info));
    CHECK(smtptls_info_doubt(info) == NULL && smtptls_info_doubt_depth(info) == -1);
    CHECK(smtptls_info_matched_tlsa(info) == NULL && smtptls_info_tlsa_depth(info) == -1);
    CHECK(smtptls_info_matched_fingerprint(info) == NULL);
    CHECK(smtptls_session_report(client, 0, NULL) == SMTPTLS_TLSRPT_NONE);

    /* The host is its own word only, so REQUIRETLS cannot be kept; the session goes on. */
    CHECK(smtptls_session_check_requiretls(client, true) == SMTPTLS_ERR_REQUIRETLS);
    error = smtptls_session_error(client);
    CHECK(smtptls_error_code(error) == SMTPTLS_ERR_REQUIRETLS);
    CHECK(is(smtptls_error_enhanced_status(error), "5.7.10") && !smtptls_error_temporary(error));
    CHECK(smtptls_session_is_tls(client));
    CHECK(smtptls_session_write(client, "EHLO client\r\n", 13, false) == 13);
    smtptls_session_free(client);
}

/* Each pair of enum smtptls_fingerprint_of and enum smtptls_digest. */
static void digests(void)
{
    static const struct {
        int digest;
        const char *name;
        size_t length;
    } digests[] = {
        {SMTPTLS_DIGEST_SHA1, "sha1:", 40},
        {SMTPTLS_DIGEST_SHA256, "sha256:", 64},
        {SMTPTLS_DIGEST_SHA384, "sha384:", 96},
        {SMTPTLS_DIGEST_SHA512, "sha512:", 128},
    };
    static const int none[] = {-1, 0, 1, 3, 7, 99};
    struct smtptls_session *client;
    const struct smtptls_info *info;

    CHECK(judged(NULL, &client) == SMTPTLS_OK);
    info = smtptls_session_info(client);
    for (size_t n = 0; n < sizeof digests / sizeof *digests; n++) {
        const int digest = digests[n].digest;
        const char *whole = smtptls_info_peer_fingerprint(info, SMTPTLS_FINGERPRINT_CERT, digest);
        const char *key = smtptls_info_peer_fingerprint(info, SMTPTLS_FINGERPRINT_PUBKEY, digest);
        const size_t prefix = strlen(digests[n].name);
        CHECK(whole && strncmp(whole, digests[n].name, prefix) == 0 && strlen(whole) == prefix + digests[n].length);
        CHECK(key && strncmp(key, digests[n].name, prefix) == 0 && strlen(key) == prefix + digests[n].length);
        CHECK(whole && key && strcmp(whole, key) != 0);
        /* It is kept. */
        CHECK(smtptls_info_peer_fingerprint(info, SMTPTLS_FINGERPRINT_CERT, digest) == whole);
        CHECK(smtptls_info_peer_fingerprint(info, -1, digest) == NULL);
        CHECK(smtptls_info_peer_fingerprint(info, 2, digest) == NULL);
        if (digest == SMTPTLS_DIGEST_SHA256 && whole && key) {
            snprintf(fingerprint, sizeof fingerprint, "%s", whole);
            snprintf(key_fingerprint, sizeof key_fingerprint, "%s", key);
        }
    }
    for (size_t n = 0; n < sizeof none / sizeof *none; n++)
        CHECK(smtptls_info_peer_fingerprint(info, SMTPTLS_FINGERPRINT_CERT, none[n]) == NULL);
    smtptls_session_free(client);
}

static void fingerprints(void)
{
    struct smtptls_policy *policy = smtptls_policy_new(SMTPTLS_LEVEL_FINGERPRINT);
    struct smtptls_session *client;
    const struct smtptls_info *info;

    CHECK(smtptls_policy_add_fingerprint(policy, SMTPTLS_FINGERPRINT_CERT, fingerprint) == SMTPTLS_OK);
    CHECK(judged(policy, &client) == SMTPTLS_OK);
    info = smtptls_session_info(client);
    CHECK(smtptls_info_auth(info) == SMTPTLS_AUTH_FINGERPRINT && smtptls_info_secured(info));
    CHECK(is(smtptls_info_matched_fingerprint(info), fingerprint));
    smtptls_session_free(client);

    /* The digest of one thing is not the digest of the other. */
    policy = smtptls_policy_new(SMTPTLS_LEVEL_FINGERPRINT);
    CHECK(smtptls_policy_add_fingerprint(policy, SMTPTLS_FINGERPRINT_PUBKEY, fingerprint) == SMTPTLS_OK);
    CHECK(judged(policy, &client) == SMTPTLS_ERR_FINGERPRINT);
    CHECK(is(smtptls_error_tlsrpt_reason(smtptls_session_error(client)), "fingerprint-no-match"));
    CHECK(!smtptls_info_secured(smtptls_session_info(client)));
    CHECK(smtptls_session_refuse(client) < 0 || smtptls_session_refuse(client) == SMTPTLS_OK);
    smtptls_session_free(client);
}

static void tlsa(void)
{
    struct smtptls_session *client;
    const struct smtptls_info *info;
    const char *reason;
    char record[300];

    snprintf(record, sizeof record, "3 1 1 %s", strchr(key_fingerprint, ':') + 1);
    CHECK(judged(dane(record), &client) == SMTPTLS_OK);
    info = smtptls_session_info(client);
    CHECK(smtptls_info_level(info) == SMTPTLS_LEVEL_DANE);
    CHECK(smtptls_info_auth(info) == SMTPTLS_AUTH_DANE_EE && smtptls_info_secured(info));
    CHECK(is(smtptls_info_matched_tlsa(info), record) && smtptls_info_tlsa_depth(info) == 0);
    /* REQUIRETLS: all is well but for the server's offer. */
    CHECK(smtptls_session_check_requiretls(client, true) == SMTPTLS_OK);
    CHECK(smtptls_session_check_requiretls(client, false) == SMTPTLS_ERR_REQUIRETLS);
    CHECK(is(smtptls_error_enhanced_status(smtptls_session_error(client)), "5.7.30"));
    smtptls_session_free(client);

    /* The digest of the whole certificate is not the key's. */
    snprintf(record, sizeof record, "3 1 1 %s", strchr(fingerprint, ':') + 1);
    CHECK(judged(dane(record), &client) == SMTPTLS_ERR_DANE_MISMATCH);
    CHECK(smtptls_error_tlsrpt(smtptls_session_error(client)) == SMTPTLS_TLSRPT_CERTIFICATE_NOT_TRUSTED);
    CHECK(smtptls_session_report(client, 0, &reason) == SMTPTLS_TLSRPT_CERTIFICATE_NOT_TRUSTED);
    CHECK(is(reason, "dane-no-match"));
    CHECK(smtptls_session_report(client, 1, &reason) == SMTPTLS_TLSRPT_NONE && reason == NULL);
    CHECK(smtptls_info_doubt(smtptls_session_info(client)) != NULL);
    CHECK(smtptls_session_insecure_continue(client) == SMTPTLS_OK);
    smtptls_session_free(client);

    /* No usable record: any TLS will do, and the domain hears of it. */
    CHECK(judged(dane("3 1 1 00"), &client) == SMTPTLS_OK);
    info = smtptls_session_info(client);
    CHECK(smtptls_info_level(info) == SMTPTLS_LEVEL_ENCRYPT && !smtptls_info_secured(info));
    CHECK(smtptls_session_report(client, 0, &reason) == SMTPTLS_TLSRPT_TLSA_INVALID);
    smtptls_session_free(client);
    /* Static: it outlives the session. */
    CHECK(is(reason, "all-TLSA-records-unusable"));
}

static void testing(void)
{
    static const char text[] = "version: STSv1\nmode: testing\nmx: mx.example.com\nmax_age: 86400\n";
    struct smtptls_policy *policy = smtptls_policy_new(SMTPTLS_LEVEL_MAY);
    struct smtptls_sts *sts = smtptls_sts_new();
    struct smtptls_session *client;
    const char *reason;

    CHECK(smtptls_sts_parse(sts, text, strlen(text)) == SMTPTLS_OK);
    CHECK(smtptls_policy_set_sts(policy, sts) == SMTPTLS_OK);
    smtptls_sts_free(sts);
    CHECK(judged(policy, &client) == SMTPTLS_OK);
    CHECK(smtptls_info_level(smtptls_session_info(client)) == SMTPTLS_LEVEL_MAY);
    CHECK(smtptls_session_report(client, 0, &reason) == SMTPTLS_TLSRPT_VALIDATION_FAILURE);
    CHECK(is(reason, "sts-mx-mismatch"));
    smtptls_session_free(client);
}

/* Nothing is sent where the policy forbids the session before it begins. */
static void before_it_begins(void)
{
    struct smtptls_policy *policy = smtptls_policy_new(SMTPTLS_LEVEL_DANE);
    struct smtptls_session *client;

    CHECK(smtptls_policy_set_tlsa(policy, NULL, SMTPTLS_DNSSEC_BOGUS) == SMTPTLS_OK);
    CHECK(judged(policy, &client) == SMTPTLS_ERR_DNSSEC);
    CHECK(smtptls_session_output(client, NULL) == 0);
    CHECK(smtptls_session_info(client) == NULL);
    smtptls_session_free(client);
    CHECK(judged(smtptls_policy_new(SMTPTLS_LEVEL_NONE), &client) == SMTPTLS_ERR_ARGUMENT);
    CHECK(smtptls_session_output(client, NULL) == 0);
    smtptls_session_free(client);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    config = smtptls_config_new();
    if (smtptls_config_add_roots_file(config, argv[1]) < 0 ||
        smtptls_config_add_keypair_file(config, argv[2], argv[3]) < 0)
        return 2;
    pkix();
    digests();
    if (!failed) {
        fingerprints();
        tlsa();
        testing();
        before_it_begins();
    }
    smtptls_config_free(config);
    return failed;
}
