/* What a policy comes to, before there is a connection: TLSA records, MTA-STS, the effective level. Ends with 0 if
 * all is as the header says. Run plainly and under valgrind. */
#include "support.h"

#define SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define MX "mx.example.com"

/* 1 is usable, 0 is kept as unusable: R6698-2.1-1, in all three forms. */
static void tlsa_records(void)
{
    static const uint8_t data[32] = {1};
    static const uint8_t rdata[35] = {3, 1, 1};
    struct smtptls_policy *policy = smtptls_policy_new(SMTPTLS_LEVEL_DANE);

    CHECK(smtptls_policy_add_tlsa(policy, 3, 1, 1, data, sizeof data) == 1);
    CHECK(smtptls_policy_add_tlsa(policy, 3, 1, 1, data, sizeof data - 1) == 0);
    CHECK(smtptls_policy_add_tlsa(policy, 1, 1, 1, data, sizeof data) == 0);
    CHECK(smtptls_policy_add_tlsa(policy, 3, 1, 0, NULL, 0) == 0);
    CHECK(smtptls_policy_add_tlsa_rdata(policy, rdata, sizeof rdata) == 1);
    CHECK(smtptls_policy_add_tlsa_rdata(policy, rdata, 3) == 0);
    CHECK(smtptls_policy_add_tlsa_text(policy, "2 0 1 " SHA256) == 1);
    CHECK(smtptls_policy_add_tlsa_text(policy, "0 0 1 " SHA256) == 0);
    CHECK(smtptls_policy_add_tlsa_text(policy, "3 1 9 00") == 0);
    CHECK(smtptls_policy_error(policy) == NULL);
    smtptls_policy_free(policy);
}

/* What the level comes to, by what the DNS said. */
static void effective_levels(void)
{
    static const struct {
        int level, mx, tlsa;
        const char *record;
        int comes_to;
    } cases[] = {
        {SMTPTLS_LEVEL_NONE, SMTPTLS_DNSSEC_NONE, SMTPTLS_DNSSEC_NONE, NULL, SMTPTLS_LEVEL_NONE},
        {SMTPTLS_LEVEL_MAY, SMTPTLS_DNSSEC_BOGUS, SMTPTLS_DNSSEC_BOGUS, NULL, SMTPTLS_LEVEL_MAY},
        {SMTPTLS_LEVEL_SECURE, SMTPTLS_DNSSEC_INSECURE, SMTPTLS_DNSSEC_NONE, NULL, SMTPTLS_LEVEL_SECURE},
        {SMTPTLS_LEVEL_FINGERPRINT, SMTPTLS_DNSSEC_NONE, SMTPTLS_DNSSEC_NONE, NULL, SMTPTLS_ERR_ARGUMENT},
        {SMTPTLS_LEVEL_DANE, SMTPTLS_DNSSEC_SECURE, SMTPTLS_DNSSEC_NONE, NULL, SMTPTLS_ERR_ARGUMENT},
        {SMTPTLS_LEVEL_DANE, SMTPTLS_DNSSEC_SECURE, SMTPTLS_DNSSEC_INSECURE, NULL, SMTPTLS_LEVEL_MAY},
        {SMTPTLS_LEVEL_DANE, SMTPTLS_DNSSEC_SECURE, SMTPTLS_DNSSEC_SECURE, "3 1 1 " SHA256, SMTPTLS_LEVEL_DANE},
        {SMTPTLS_LEVEL_DANE, SMTPTLS_DNSSEC_SECURE, SMTPTLS_DNSSEC_SECURE, "3 1 1 00", SMTPTLS_LEVEL_ENCRYPT},
        {SMTPTLS_LEVEL_DANE, SMTPTLS_DNSSEC_SECURE, SMTPTLS_DNSSEC_BOGUS, NULL, SMTPTLS_ERR_DNSSEC},
        {SMTPTLS_LEVEL_DANE, SMTPTLS_DNSSEC_ERROR, SMTPTLS_DNSSEC_SECURE, NULL, SMTPTLS_ERR_DNSSEC},
        {SMTPTLS_LEVEL_DANE_ONLY, SMTPTLS_DNSSEC_SECURE, SMTPTLS_DNSSEC_INSECURE, NULL, SMTPTLS_ERR_DANE_REQUIRED},
    };
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        struct smtptls_policy *policy = smtptls_policy_new(cases[n].level);
        CHECK(smtptls_policy_set_next_hop(policy, "example.com", NULL, cases[n].mx) == SMTPTLS_OK);
        CHECK(smtptls_policy_set_address_dnssec(policy, SMTPTLS_DNSSEC_SECURE) == SMTPTLS_OK);
        CHECK(smtptls_policy_set_tlsa(policy, NULL, cases[n].tlsa) == SMTPTLS_OK);
        if (cases[n].record)
            CHECK(smtptls_policy_add_tlsa_text(policy, cases[n].record) >= 0);
        int level = smtptls_policy_effective_level(policy, MX);
        if (level != cases[n].comes_to)
            fprintf(stderr, "case %d: %d\n", (int)n, level);
        CHECK(level == cases[n].comes_to);
        CHECK(smtptls_error_code(smtptls_policy_error(policy)) == (level < 0 ? level : SMTPTLS_OK));
        smtptls_policy_free(policy);
    }
}

/* What smtptls_policy_error() tells of a verdict before the connection. */
static void errors(void)
{
    struct smtptls_policy *policy = smtptls_policy_new(SMTPTLS_LEVEL_DANE);
    const struct smtptls_error *error;

    CHECK(smtptls_policy_set_tlsa(policy, "tlsa.example.com", SMTPTLS_DNSSEC_BOGUS) == SMTPTLS_OK);
    CHECK(smtptls_policy_effective_level(policy, MX) == SMTPTLS_ERR_DNSSEC);
    error = smtptls_policy_error(policy);
    CHECK(is(smtptls_error_enhanced_status(error), "4.7.5"));
    CHECK(smtptls_error_temporary(error));
    CHECK(smtptls_error_action(error) == SMTPTLS_ACTION_NEXT_HOST);
    CHECK(smtptls_error_tlsrpt(error) == SMTPTLS_TLSRPT_DNSSEC_INVALID);
    CHECK(is(smtptls_error_tlsrpt_name(error), "dnssec-invalid"));
    CHECK(is(smtptls_error_tlsrpt_reason(error), "dns-lookup-failed"));
    CHECK(smtptls_policy_set_tls_optional(policy, false) == SMTPTLS_OK);
    CHECK(smtptls_policy_effective_level(policy, MX) == SMTPTLS_LEVEL_MAY);
    CHECK(smtptls_policy_error(policy) == NULL);
    smtptls_policy_free(policy);

    policy = smtptls_policy_new(SMTPTLS_LEVEL_SECURE);
    CHECK(smtptls_policy_effective_level(policy, MX) == SMTPTLS_ERR_ARGUMENT);
    CHECK(smtptls_error_tlsrpt_reason(smtptls_policy_error(policy)) == NULL);
    CHECK(smtptls_policy_set_tls_optional(policy, true) == SMTPTLS_OK);
    CHECK(smtptls_policy_effective_level(policy, MX) == SMTPTLS_LEVEL_MAY);
    smtptls_policy_free(policy);
}

static void sts_policies(void)
{
    static const char text[] =
        "version: STSv1\r\nmode: enforce\r\nmx: MX.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n";
    struct smtptls_sts *sts = smtptls_sts_new();
    struct smtptls_policy *policy = smtptls_policy_new(SMTPTLS_LEVEL_MAY);

    CHECK(smtptls_sts_error(sts) == NULL);
    CHECK(smtptls_sts_mode(sts) == SMTPTLS_STS_NONE);
    CHECK(smtptls_sts_mx(sts, 0) == NULL);
    CHECK(!smtptls_sts_is_current(sts, 0, 0) && !smtptls_sts_needs_refresh(sts, 0, 0));
    CHECK(smtptls_sts_parse(sts, text, strlen(text)) == SMTPTLS_OK);
    CHECK(smtptls_sts_error(sts) == NULL);
    CHECK(smtptls_sts_mode(sts) == SMTPTLS_STS_ENFORCE);
    CHECK(smtptls_sts_max_age(sts) == 604800);
    CHECK(is(smtptls_sts_mx(sts, 0), "mx.example.com"));
    CHECK(is(smtptls_sts_mx(sts, 1), "*.example.net"));
    CHECK(smtptls_sts_mx(sts, 2) == NULL);
    CHECK(smtptls_sts_matches(sts, MX) && smtptls_sts_matches(sts, "a.example.net"));
    CHECK(!smtptls_sts_matches(sts, "a.b.example.net") && !smtptls_sts_matches(sts, "example.net"));
    CHECK(smtptls_sts_is_current(sts, 1000, 1000 + 604799) && !smtptls_sts_is_current(sts, 1000, 1000 + 604800));
    CHECK(smtptls_sts_needs_refresh(sts, 1000, 1000 + 86400) && !smtptls_sts_needs_refresh(sts, 1000, 1000 + 86399));

    /* What cannot be read leaves what was read before. */
    CHECK(smtptls_sts_parse(sts, "version: STSv2", 14) == SMTPTLS_ERR_STS_INVALID);
    CHECK(smtptls_error_tlsrpt(smtptls_sts_error(sts)) == SMTPTLS_TLSRPT_STS_POLICY_INVALID);
    CHECK(smtptls_sts_mode(sts) == SMTPTLS_STS_ENFORCE && is(smtptls_sts_mx(sts, 0), "mx.example.com"));

    CHECK(smtptls_policy_effective_level(policy, MX) == SMTPTLS_LEVEL_MAY);
    CHECK(smtptls_policy_set_sts(policy, sts) == SMTPTLS_OK);
    /* It was copied. */
    smtptls_sts_free(sts);
    CHECK(smtptls_policy_effective_level(policy, MX) == SMTPTLS_LEVEL_VERIFY);
    CHECK(smtptls_policy_effective_level(policy, "mx.example.org") == SMTPTLS_ERR_STS_MX);
    CHECK(is(smtptls_error_tlsrpt_reason(smtptls_policy_error(policy)), "sts-mx-mismatch"));
    CHECK(smtptls_policy_set_sts(policy, NULL) == SMTPTLS_OK);
    CHECK(smtptls_policy_effective_level(policy, "mx.example.org") == SMTPTLS_LEVEL_MAY);
    smtptls_policy_free(policy);
}

static void sts_records(void)
{
    static const char *const records[] = {"v=spf1 \xff", "v=STSv1; id=20160831085700Z;", "v=STSv1; id=2;"};
    struct smtptls_sts *sts = smtptls_sts_new();
    const char *id = "x";

    CHECK(smtptls_sts_record(sts, NULL, 0, &id) == 0 && id == NULL);
    CHECK(smtptls_sts_record(sts, records, 1, &id) == 0 && id == NULL);
    CHECK(smtptls_sts_record(sts, records, 2, &id) == 1 && is(id, "20160831085700Z"));
    CHECK(smtptls_sts_record(sts, records, 2, NULL) == 1);
    CHECK(smtptls_sts_error(sts) == NULL);
    CHECK(smtptls_sts_record(sts, records, 3, &id) == SMTPTLS_ERR_STS_INVALID && id == NULL);
    CHECK(smtptls_error_code(smtptls_sts_error(sts)) == SMTPTLS_ERR_STS_INVALID);
    /* It is no policy. */
    CHECK(smtptls_sts_mode(sts) == SMTPTLS_STS_NONE);
    smtptls_sts_free(sts);
}

static void names(void)
{
    CHECK(is(smtptls_auth_name(SMTPTLS_AUTH_DANE_TA), "dane-ta"));
    CHECK(is(smtptls_level_name(SMTPTLS_LEVEL_DANE_ONLY), "dane-only"));
    CHECK(smtptls_level_from_name("fingerprint") == SMTPTLS_LEVEL_FINGERPRINT);
    CHECK(smtptls_dnssec_from_name("insecure") == SMTPTLS_DNSSEC_INSECURE);
    CHECK(is(smtptls_code_name(SMTPTLS_ERR_REQUIRETLS), "SMTPTLS_ERR_REQUIRETLS"));
}

int main(void)
{
    tlsa_records();
    effective_levels();
    errors();
    sts_policies();
    sts_records();
    names();
    return failed;
}
