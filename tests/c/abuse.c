/* What a careless program does to the C library: NULL, bad numbers, wrong order. Ends with 0 if all of it is an
 * error and nothing crashes. Run plainly and under valgrind. */
#include "support.h"

/* SEC-14: every function takes NULL for every pointer. */
static void null_for_everything(void)
{
    const int bad = SMTPTLS_ERR_ARGUMENT;
    size_t len = 7;
    const uint8_t *data = (const uint8_t *)"x";
    const char *text = "x";

    CHECK(smtptls_level_from_name(NULL) == bad);
    CHECK(smtptls_dnssec_from_name(NULL) == bad);
    smtptls_config_free(NULL);
    CHECK(smtptls_config_freeze(NULL) == bad);
    CHECK(smtptls_config_error(NULL) == NULL);
    CHECK(smtptls_config_set_hostname(NULL, NULL) == bad);
    CHECK(smtptls_config_set_min_version(NULL, SMTPTLS_TLS1_2) == bad);
    CHECK(smtptls_config_add_system_roots(NULL) == bad);
    CHECK(smtptls_config_add_roots_file(NULL, NULL) == bad);
    CHECK(smtptls_config_add_roots_dir(NULL, NULL) == bad);
    CHECK(smtptls_config_add_roots_pem(NULL, NULL, 0) == bad);
    CHECK(smtptls_config_add_crl_file(NULL, NULL) == bad);
    CHECK(smtptls_config_add_crl_pem(NULL, NULL, 0) == bad);
    CHECK(smtptls_config_set_client_sessions(NULL, 1) == bad);
    CHECK(smtptls_config_add_keypair_file(NULL, NULL, NULL) == bad);
    CHECK(smtptls_config_add_keypair_pem(NULL, NULL, 0, NULL, 0) == bad);
    smtptls_policy_free(NULL);
    CHECK(smtptls_policy_error(NULL) == NULL);
    CHECK(smtptls_policy_add_name(NULL, NULL) == bad);
    CHECK(smtptls_policy_set_insecure_any_name(NULL, true) == bad);
    CHECK(smtptls_policy_set_sni(NULL, NULL) == bad);
    CHECK(smtptls_policy_add_fingerprint(NULL, SMTPTLS_FINGERPRINT_CERT, NULL) == bad);
    CHECK(smtptls_policy_set_next_hop(NULL, NULL, NULL, SMTPTLS_DNSSEC_SECURE) == bad);
    CHECK(smtptls_policy_set_address_dnssec(NULL, SMTPTLS_DNSSEC_SECURE) == bad);
    CHECK(smtptls_policy_set_tlsa(NULL, NULL, SMTPTLS_DNSSEC_SECURE) == bad);
    CHECK(smtptls_policy_add_tlsa(NULL, 3, 1, 1, NULL, 0) == bad);
    CHECK(smtptls_policy_add_tlsa_rdata(NULL, NULL, 0) == bad);
    CHECK(smtptls_policy_add_tlsa_text(NULL, NULL) == bad);
    CHECK(smtptls_policy_allow_common_names(NULL, true) == bad);
    CHECK(smtptls_policy_set_sts(NULL, NULL) == bad);
    CHECK(smtptls_policy_set_tls_optional(NULL, true) == bad);
    CHECK(smtptls_policy_effective_level(NULL, NULL) == bad);
    smtptls_sts_free(NULL);
    CHECK(smtptls_sts_error(NULL) == NULL);
    CHECK(smtptls_sts_parse(NULL, NULL, 0) == bad);
    CHECK(smtptls_sts_mode(NULL) == SMTPTLS_STS_NONE);
    CHECK(smtptls_sts_max_age(NULL) == 0);
    CHECK(smtptls_sts_mx(NULL, 0) == NULL);
    CHECK(!smtptls_sts_matches(NULL, NULL));
    CHECK(!smtptls_sts_is_current(NULL, 0, 0));
    CHECK(!smtptls_sts_needs_refresh(NULL, 0, 0));
    CHECK(smtptls_sts_record(NULL, NULL, 0, NULL) == bad);
    CHECK(smtptls_sts_record(NULL, NULL, 0, &text) == bad && text == NULL);
    CHECK(smtptls_session_client(NULL, NULL, NULL) == NULL);
    CHECK(smtptls_session_server(NULL, NULL) == NULL);
    smtptls_session_free(NULL);
    CHECK(smtptls_session_attach(NULL, 0, 0, SMTPTLS_MODE_BLOCKING) == bad);
    CHECK(smtptls_session_set_protocol(NULL, SMTPTLS_PROTOCOL_SMTP) == bad);
    CHECK(smtptls_session_add_extension(NULL, NULL) == bad);
    CHECK(smtptls_session_set_command(NULL, NULL) == bad);
    CHECK(smtptls_session_set_timeout(NULL, SMTPTLS_TIMEOUT_IO, 1) == bad);
    CHECK(smtptls_session_set_deadline(NULL, 1) == bad);
    CHECK(smtptls_session_start(NULL, SMTPTLS_FROM_GREETING, 0) == bad);
    CHECK(smtptls_session_read(NULL, NULL, 0) == bad);
    CHECK(smtptls_session_write(NULL, NULL, 0, false) == bad);
    CHECK(smtptls_session_flush(NULL) == bad);
    CHECK(smtptls_session_expire(NULL) == bad);
    CHECK(smtptls_session_pending(NULL) == 0);
    CHECK(smtptls_session_refuse(NULL) == bad);
    CHECK(smtptls_session_insecure_continue(NULL) == bad);
    CHECK(smtptls_session_close(NULL, SMTPTLS_CLOSE_SEND) == bad);
    CHECK(smtptls_session_feed(NULL, NULL, 0) == bad);
    CHECK(smtptls_session_output(NULL, NULL) == 0);
    CHECK(smtptls_session_output(NULL, &data) == 0 && data == NULL);
    smtptls_session_sent(NULL, 1);
    CHECK(smtptls_session_leftover(NULL, NULL) == 0);
    CHECK(smtptls_session_reply(NULL) == NULL);
    CHECK(smtptls_session_hello(NULL) == NULL);
    CHECK(!smtptls_session_is_tls(NULL));
    CHECK(!smtptls_session_is_truncated(NULL));
    CHECK(smtptls_session_info(NULL) == NULL);
    CHECK(smtptls_session_error(NULL) == NULL);
    CHECK(smtptls_session_report(NULL, 0, NULL) == SMTPTLS_TLSRPT_NONE);
    text = "x";
    CHECK(smtptls_session_report(NULL, 0, &text) == SMTPTLS_TLSRPT_NONE && text == NULL);
    CHECK(smtptls_session_check_requiretls(NULL, true) == bad);
    CHECK(smtptls_info_summary(NULL) == NULL);
    CHECK(smtptls_info_version(NULL) == NULL);
    CHECK(smtptls_info_cipher(NULL) == NULL);
    CHECK(smtptls_info_cipher_bits(NULL) == 0);
    CHECK(smtptls_info_group(NULL) == NULL);
    CHECK(smtptls_info_server_name(NULL) == NULL);
    CHECK(!smtptls_info_resumed(NULL));
    CHECK(smtptls_info_level(NULL) == 0);
    CHECK(smtptls_info_auth(NULL) == SMTPTLS_AUTH_NONE);
    CHECK(!smtptls_info_secured(NULL));
    CHECK(!smtptls_info_certificate_present(NULL));
    CHECK(!smtptls_info_trusted(NULL));
    CHECK(!smtptls_info_name_matched(NULL));
    CHECK(smtptls_info_matched_name(NULL) == NULL);
    CHECK(smtptls_info_doubt(NULL) == NULL);
    CHECK(smtptls_info_doubt_depth(NULL) == -1);
    CHECK(smtptls_info_matched_tlsa(NULL) == NULL);
    CHECK(smtptls_info_tlsa_depth(NULL) == -1);
    CHECK(smtptls_info_matched_fingerprint(NULL) == NULL);
    CHECK(smtptls_info_peer_cert(NULL, 0, NULL) == NULL);
    CHECK(smtptls_info_peer_cert(NULL, 0, &len) == NULL);
    CHECK(smtptls_info_peer_fingerprint(NULL, SMTPTLS_FINGERPRINT_CERT, SMTPTLS_DIGEST_SHA256) == NULL);
    CHECK(smtptls_info_peer_subject(NULL) == NULL);
    CHECK(smtptls_info_peer_issuer(NULL) == NULL);
    CHECK(smtptls_info_channel_binding(NULL, NULL) == NULL);
    CHECK(smtptls_info_received_clause(NULL) == NULL);
    CHECK(smtptls_error_code(NULL) == SMTPTLS_OK);
    CHECK(smtptls_error_message(NULL) != NULL);
    CHECK(smtptls_error_os(NULL) == 0);
    CHECK(smtptls_error_alert(NULL) == -1);
    CHECK(smtptls_error_action(NULL) == SMTPTLS_ACTION_FAIL);
    CHECK(smtptls_error_tlsrpt(NULL) == SMTPTLS_TLSRPT_NONE);
    CHECK(smtptls_error_tlsrpt_name(NULL) == NULL);
    CHECK(smtptls_error_tlsrpt_reason(NULL) == NULL);
    CHECK(smtptls_error_enhanced_status(NULL) == NULL);
    CHECK(!smtptls_error_temporary(NULL));
}

/* Numbers that are none. */
static void bad_numbers(void)
{
    static const int numbers[] = {-1, 99, 0x7fffffff, -0x7fffffff - 1};
    const int bad = SMTPTLS_ERR_ARGUMENT;
    struct smtptls_config *config = smtptls_config_new();
    struct smtptls_policy *policy = smtptls_policy_new(SMTPTLS_LEVEL_DANE);
    struct smtptls_session *session;
    size_t n;

    for (n = 0; n < sizeof numbers / sizeof *numbers; n++) {
        const int number = numbers[n];
        CHECK(smtptls_policy_new(number) == NULL);
        CHECK(smtptls_level_name(number) == NULL);
        CHECK(smtptls_action_name(number) == NULL);
        CHECK(smtptls_auth_name(number) == NULL);
        CHECK(smtptls_policy_add_fingerprint(policy, number, "00112233445566778899aabbccddeeff00112233") == bad);
        CHECK(smtptls_policy_set_next_hop(policy, "example.com", NULL, number) == bad);
        CHECK(smtptls_policy_set_address_dnssec(policy, number) == bad);
        CHECK(smtptls_policy_set_tlsa(policy, NULL, number) == bad);
        CHECK(strstr(smtptls_error_message(smtptls_policy_error(policy)), "is no smtptls_dnssec") != NULL);
        CHECK(smtptls_code_name(number) != NULL);
        CHECK(!smtptls_version_check(number, 0));
        session = smtptls_session_server(config, NULL);
        CHECK(smtptls_session_attach(session, 0, 1, number) == bad);
        CHECK(smtptls_session_attach(session, number < 0 ? number : -1, 1, SMTPTLS_MODE_BLOCKING) == bad);
        CHECK(smtptls_session_set_protocol(session, number) == bad);
        CHECK(smtptls_session_set_timeout(session, number, 1) == bad);
        CHECK(smtptls_session_start(session, number, 0) == bad);
        CHECK(smtptls_session_close(session, number) == bad);
        CHECK(strstr(smtptls_error_message(smtptls_session_error(session)), "is no smtptls_") != NULL);
        smtptls_session_free(session);
    }
    CHECK(smtptls_version_check(SMTPTLS_VERSION_MAJOR, SMTPTLS_VERSION_MINOR));
    CHECK(!smtptls_version_check(SMTPTLS_VERSION_MAJOR + 1, 0));
    CHECK(!smtptls_version_check(SMTPTLS_VERSION_MAJOR, SMTPTLS_VERSION_MINOR + 1));
    CHECK(smtptls_policy_new(4) == NULL);
    CHECK(smtptls_dnssec_from_name("trusted") == bad);
    smtptls_policy_free(policy);
    smtptls_config_free(config);
}

/* Pointers that are NULL where there should be something, and text that is none. */
static void bad_arguments(void)
{
    static const char *const records[] = {"v=spf1 -all", NULL};
    const int bad = SMTPTLS_ERR_ARGUMENT;
    struct smtptls_policy *policy = smtptls_policy_new(SMTPTLS_LEVEL_DANE);
    struct smtptls_sts *sts = smtptls_sts_new();
    const char *id = "x";

    CHECK(smtptls_policy_add_fingerprint(policy, SMTPTLS_FINGERPRINT_CERT, NULL) == bad);
    CHECK(smtptls_policy_add_fingerprint(policy, SMTPTLS_FINGERPRINT_CERT, "sha256:00") == bad);
    CHECK(strstr(smtptls_error_message(smtptls_policy_error(policy)), "sha256:00") != NULL);
    CHECK(smtptls_policy_set_next_hop(policy, NULL, NULL, SMTPTLS_DNSSEC_SECURE) == bad);
    CHECK(smtptls_policy_set_next_hop(policy, "example.com", "no name", SMTPTLS_DNSSEC_SECURE) == bad);
    CHECK(smtptls_policy_set_tlsa(policy, "no name", SMTPTLS_DNSSEC_SECURE) == bad);
    CHECK(smtptls_policy_add_tlsa(policy, 3, 1, 1, NULL, 32) == bad);
    CHECK(smtptls_policy_add_tlsa_rdata(policy, NULL, 35) == bad);
    CHECK(smtptls_policy_add_tlsa_rdata(policy, "\3\1", 2) == bad);
    CHECK(smtptls_policy_add_tlsa_text(policy, NULL) == bad);
    CHECK(smtptls_policy_add_tlsa_text(policy, "3 1") == bad);
    CHECK(smtptls_policy_add_tlsa_text(policy, "3 1 1 0f1") == bad);
    CHECK(smtptls_policy_effective_level(policy, NULL) == bad);
    CHECK(smtptls_policy_set_sts(policy, sts) == SMTPTLS_ERR_STATE);
    CHECK(smtptls_policy_set_sts(policy, NULL) == SMTPTLS_OK);
    CHECK(smtptls_policy_error(policy) == NULL);
    smtptls_policy_free(policy);

    CHECK(smtptls_sts_parse(sts, NULL, 5) == bad);
    CHECK(smtptls_sts_record(sts, NULL, 2, &id) == bad && id == NULL);
    CHECK(smtptls_sts_record(sts, records, 2, &id) == bad && id == NULL);
    CHECK(smtptls_error_code(smtptls_sts_error(sts)) == bad);
    CHECK(!smtptls_sts_matches(sts, NULL));
    smtptls_sts_free(sts);
}

/* Calls in the wrong order, and after the configuration and the policy were freed. */
static void wrong_order(void)
{
    struct smtptls_config *config = smtptls_config_new();
    struct smtptls_policy *policy = smtptls_policy_new(SMTPTLS_LEVEL_MAY);
    struct smtptls_session *session = smtptls_session_client(config, policy, "mx.example");
    char buf[10];
    int fds[2];

    CHECK(smtptls_config_set_hostname(config, "late.example") == SMTPTLS_ERR_FROZEN);
    CHECK(smtptls_error_code(smtptls_config_error(config)) == SMTPTLS_ERR_FROZEN);
    CHECK(smtptls_config_freeze(config) == SMTPTLS_OK);
    CHECK(smtptls_config_error(config) == NULL);
    CHECK(smtptls_policy_add_name(policy, "no name") == SMTPTLS_ERR_ARGUMENT);
    CHECK(strstr(smtptls_error_message(smtptls_policy_error(policy)), "no name") != NULL);
    smtptls_config_free(config);
    smtptls_policy_free(policy);

    CHECK(smtptls_session_read(session, buf, sizeof buf) == SMTPTLS_ERR_STATE);
    CHECK(smtptls_session_write(session, buf, sizeof buf, false) == SMTPTLS_ERR_STATE);
    CHECK(smtptls_session_refuse(session) == SMTPTLS_ERR_STATE);
    CHECK(smtptls_session_insecure_continue(session) == SMTPTLS_ERR_STATE);
    CHECK(smtptls_session_check_requiretls(session, true) == SMTPTLS_ERR_REQUIRETLS);
    CHECK(smtptls_session_read(session, NULL, sizeof buf) == SMTPTLS_ERR_ARGUMENT);
    CHECK(smtptls_session_feed(session, NULL, 5) == SMTPTLS_ERR_ARGUMENT);
    CHECK(smtptls_session_start(session, SMTPTLS_FROM_GREETING, 0) == SMTPTLS_WANT_INPUT);
    CHECK(smtptls_session_start(session, SMTPTLS_FROM_HANDSHAKE, 0) == SMTPTLS_ERR_STATE);
    CHECK(smtptls_session_set_protocol(session, SMTPTLS_PROTOCOL_LMTP) == SMTPTLS_ERR_STATE);
    CHECK(smtptls_session_feed(session, "554 no\r\n", 8) == 8);
    CHECK(smtptls_session_start(session, SMTPTLS_FROM_GREETING, 0) == SMTPTLS_ERR_REFUSED);
    CHECK(smtptls_session_start(session, SMTPTLS_FROM_GREETING, 0) == SMTPTLS_ERR_REFUSED);
    CHECK(smtptls_error_action(smtptls_session_error(session)) == SMTPTLS_ACTION_NEXT_HOST);
    CHECK(smtptls_session_info(session) == NULL);
    CHECK(smtptls_session_close(session, SMTPTLS_CLOSE_SEND) == SMTPTLS_OK);
    CHECK(smtptls_session_close(session, SMTPTLS_CLOSE_SEND) == SMTPTLS_OK);
    CHECK(smtptls_session_read(session, buf, sizeof buf) == SMTPTLS_ERR_REFUSED);
    smtptls_session_free(session);

    /* A configuration whose trust could not be loaded. */
    config = smtptls_config_new();
    CHECK(smtptls_config_add_roots_file(config, "/nonexistent/roots.pem") == SMTPTLS_ERR_FILE);
    CHECK(smtptls_error_os(smtptls_config_error(config)) == 2);
    CHECK(smtptls_config_freeze(config) == SMTPTLS_ERR_FILE);
    CHECK(smtptls_session_client(config, NULL, "mx.example") == NULL);
    smtptls_config_free(config);

    config = smtptls_config_new();
    CHECK(smtptls_config_add_roots_dir(config, "/nonexistent") == SMTPTLS_ERR_FILE);
    CHECK(smtptls_config_freeze(config) == SMTPTLS_ERR_FILE);
    smtptls_config_free(config);
    config = smtptls_config_new();
    CHECK(smtptls_config_add_crl_file(config, "/nonexistent/crl.pem") == SMTPTLS_ERR_FILE);
    smtptls_config_free(config);
    config = smtptls_config_new();
    CHECK(smtptls_config_add_crl_pem(config, "no list", 7) == SMTPTLS_ERR_CRL_PARSE);
    CHECK(smtptls_config_set_client_sessions(config, 10) == SMTPTLS_OK);
    CHECK(smtptls_config_freeze(config) == SMTPTLS_ERR_CRL_PARSE);
    smtptls_config_free(config);

    /* No SIGPIPE, and no descriptor is closed. */
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    close(fds[1]);
    config = smtptls_config_new();
    session = smtptls_session_server(config, NULL);
    CHECK(smtptls_session_attach(session, fds[0], fds[0], SMTPTLS_MODE_BLOCKING) == SMTPTLS_OK);
    CHECK(smtptls_session_start(session, SMTPTLS_FROM_GREETING, 0) == SMTPTLS_ERR_IO);
    CHECK(smtptls_error_os(smtptls_session_error(session)) == 32);
    smtptls_session_free(session);
    smtptls_config_free(config);
    CHECK(close(fds[0]) == 0);
}

int main(void)
{
    null_for_everything();
    bad_numbers();
    bad_arguments();
    wrong_order();
    return failed;
}
