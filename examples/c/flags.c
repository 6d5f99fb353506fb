/* The flags of send and upgrade, and what is made of them; see flags.h. */

#include "flags.h"

#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* -- reading --------------------------------------------------------------------------------------------------- */

static int usage(const char *program, const char *wrong, const char *what)
{
    fprintf(stderr,
            "%s: %s %s\nusage: %s --host H --port N --from A --to B [--name NAME] [--match NAME]...\n"
            "       [--level none|may|encrypt|fingerprint|dane|dane-only|verify|secure]\n"
            "       [--ca FILE|DIRECTORY|system] [--crl FILE]... [--cert FILE --key FILE]\n"
            "       [--fingerprint DIGEST]... [--key-fingerprint DIGEST]... [--sts FILE]\n"
            "       [--sni NAME|none] [--common-names]\n"
            "       [--next-hop NAME] [--next-hop-expanded NAME] [--mx-dnssec STATUS] [--address-dnssec STATUS]\n"
            "       [--tlsa-dnssec STATUS] [--tlsa-base NAME] [--tlsa RECORD]...\n"
            "       [--timeout S] [--user U --password P] [--lmtp] < message\n"
            "STATUS is none, secure, insecure, bogus or error.\n",
            program, wrong, what, program);
    return 2;
}

/* An address becomes part of a command, so it must not be able to end the command. */
static bool is_address(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~' || text[i] == '<' || text[i] == '>')
            return false;
    return length <= 1000;
}

/* The flags that may be given several times: each value goes where its flag says, and what was wrong comes back. */
typedef const struct smtptls_error *give_function(struct smtptls_config *, struct smtptls_policy *, const char *value);

static const struct smtptls_error *give_name(struct smtptls_config *config, struct smtptls_policy *policy,
                                             const char *name)
{
    (void)config;
    smtptls_policy_add_name(policy, name);
    return smtptls_policy_error(policy);
}

static const struct smtptls_error *give_tlsa(struct smtptls_config *config, struct smtptls_policy *policy,
                                             const char *record)
{
    (void)config;
    /* An unusable record is no error: it says that the domain has TLS. */
    smtptls_policy_add_tlsa_text(policy, record);
    return smtptls_policy_error(policy);
}

static const struct smtptls_error *give_fingerprint(struct smtptls_config *config, struct smtptls_policy *policy,
                                                    const char *digest)
{
    (void)config;
    smtptls_policy_add_fingerprint(policy, SMTPTLS_FINGERPRINT_CERT, digest);
    return smtptls_policy_error(policy);
}

static const struct smtptls_error *give_key_fingerprint(struct smtptls_config *config, struct smtptls_policy *policy,
                                                        const char *digest)
{
    (void)config;
    smtptls_policy_add_fingerprint(policy, SMTPTLS_FINGERPRINT_PUBKEY, digest);
    return smtptls_policy_error(policy);
}

static const struct smtptls_error *give_crl(struct smtptls_config *config, struct smtptls_policy *policy,
                                            const char *file)
{
    (void)policy;
    smtptls_config_add_crl_file(config, file);
    return smtptls_config_error(config);
}

static const struct {
    const char *flag;
    give_function *give;
} REPEATED[] = {
    {"--match", give_name},
    {"--tlsa", give_tlsa},
    {"--fingerprint", give_fingerprint},
    {"--key-fingerprint", give_key_fingerprint},
    {"--crl", give_crl},
};

/* Which of them it is; NULL if it is none. */
static give_function *repeated(const char *flag)
{
    for (size_t n = 0; n < sizeof REPEATED / sizeof *REPEATED; n++)
        if (strcmp(flag, REPEATED[n].flag) == 0)
            return REPEATED[n].give;
    return NULL;
}

/* Whether whoever is let in at this level has proved who it is. `dane` is content without, where there is no DANE. */
static bool authenticates(int level)
{
    return level >= SMTPTLS_LEVEL_FINGERPRINT && level != SMTPTLS_LEVEL_DANE;
}

static int parse_options(int argc, char **argv, struct options *options)
{
    struct options *o = options;
    const char *level = "verify", *timeout = "30";
    struct {
        const char *flag, **value;
    } flags[] = {
        {"--host", &o->host},
        {"--port", &o->port},
        {"--from", &o->from},
        {"--to", &o->to},
        {"--name", &o->name},
        {"--ca", &o->ca},
        {"--sni", &o->sni},
        {"--user", &o->user},
        {"--password", &o->password},
        {"--cert", &o->cert},
        {"--key", &o->key},
        {"--level", &level},
        {"--timeout", &timeout},
        {"--next-hop", &o->next_hop},
        {"--next-hop-expanded", &o->expanded},
        {"--mx-dnssec", &o->mx},
        {"--address-dnssec", &o->address},
        {"--tlsa-dnssec", &o->tlsa},
        {"--tlsa-base", &o->base},
        {"--sts", &o->sts},
    };
    size_t count = sizeof flags / sizeof *flags, more = 0;
    memset(o, 0, sizeof *o);
    if (!(o->repeated = (char **)calloc((size_t)argc + 1, sizeof *o->repeated)))
        return usage(argv[0], "out of", "memory");
    for (int i = 1; i < argc; i++) {
        size_t n = 0;
        while (n < count && strcmp(argv[i], flags[n].flag) != 0)
            n++;
        if (strcmp(argv[i], "--lmtp") == 0)
            o->protocol = SMTPTLS_PROTOCOL_LMTP;
        else if (strcmp(argv[i], "--common-names") == 0)
            o->common_names = true;
        else if (n == count && !repeated(argv[i]))
            return usage(argv[0], "there is no flag", argv[i]);
        else if (i + 1 == argc)
            return usage(argv[0], "a value must follow", argv[i]);
        else if (n < count)
            *flags[n].value = argv[++i];
        else {
            o->repeated[more++] = argv[i];
            o->repeated[more++] = argv[++i];
        }
    }
    for (size_t n = 0; n < 4; n++)
        if (!*flags[n].value)
            return usage(argv[0], "missing:", flags[n].flag);
    if ((o->level = smtptls_level_from_name(level)) < 0)
        return usage(argv[0], "there is no level", level);
    if ((o->timeout = milliseconds(timeout)) == 0)
        return usage(argv[0], "no number of seconds:", timeout);
    if (strspn(o->port, "0123456789") != strlen(o->port) || atol(o->port) < 1 || atol(o->port) > 65535)
        return usage(argv[0], "no port:", o->port);
    if (!is_address(o->from) || !is_address(o->to))
        return usage(argv[0], "no address:", is_address(o->from) ? o->to : o->from);
    if (!o->user != !o->password)
        return usage(argv[0], "missing:", o->user ? "--password" : "--user");
    if (!o->cert != !o->key)
        return usage(argv[0], "missing:", o->cert ? "--key" : "--cert");
    /* A password is for a server that has proved who it is, and for no other. */
    if (o->user && !authenticates(o->level))
        return usage(argv[0], "--user needs", "a level that authenticates");
    if (!o->name)
        o->name = o->host;
    if (o->ca && strcmp(o->ca, "system") == 0)
        o->ca = NULL;
    return 0;
}

/* -- what is made of them -------------------------------------------------------------------------------------- */

/* All of a file; NULL after it has complained, with this code. */
static char *read_all(FILE *file, const char *name, int code, size_t *length)
{
    size_t size = 64 * 1024;
    char *text = (char *)malloc(size);
    *length = 0;
    while (text) {
        *length += fread(text + *length, 1, size - *length, file);
        if (*length < size)
            break;
        char *larger = (char *)realloc(text, size *= 2);
        if (!larger)
            free(text);
        text = larger;
    }
    if (text && !ferror(file))
        return text;
    free(text);
    complain(code, SMTPTLS_ACTION_FAIL, NULL, "%s cannot be read", escape(name));
    return NULL;
}

static void add_roots(const struct options *options, struct smtptls_config *config)
{
    struct stat found;
    if (options->ca && stat(options->ca, &found) == 0 && S_ISDIR(found.st_mode))
        smtptls_config_add_roots_dir(config, options->ca);
    else if (options->ca)
        smtptls_config_add_roots_file(config, options->ca);
    /* No other level goes by authorities, so a system without a trust store can have them too; but MTA-STS may
     * raise one of them to `verify`. */
    else if (options->level == SMTPTLS_LEVEL_VERIFY || options->level == SMTPTLS_LEVEL_SECURE || options->sts)
        smtptls_config_add_system_roots(config);
}

/* What the resolver said; nobody asked it if there is no word. */
static int status(const char *word)
{
    int status = word ? smtptls_dnssec_from_name(word) : SMTPTLS_DNSSEC_NONE;
    if (status < 0)
        complain(status, SMTPTLS_ACTION_FAIL, NULL,
                 "\"%s\" is no DNSSEC status: it is one of none, secure, insecure, bogus and error", escape(word));
    return status;
}

/* What the DNS says. */
static int add_answers(const struct options *options, struct smtptls_policy *policy)
{
    int mx = status(options->mx), address = mx < 0 ? mx : status(options->address);
    int tlsa = address < 0 ? address : status(options->tlsa);
    if (tlsa < 0)
        return tlsa;
    if (!options->next_hop && (options->expanded || mx != SMTPTLS_DNSSEC_NONE))
        return complain(SMTPTLS_ERR_ARGUMENT, SMTPTLS_ACTION_FAIL, NULL,
                        "--next-hop-expanded and --mx-dnssec are about a --next-hop, and there is none");
    if (options->next_hop &&
        smtptls_policy_set_next_hop(policy, options->next_hop, options->expanded, mx) < 0)
        return complain_about(smtptls_policy_error(policy));
    if (smtptls_policy_set_address_dnssec(policy, address) < 0)
        return complain_about(smtptls_policy_error(policy));
    if (smtptls_policy_set_tlsa(policy, options->base, tlsa) < 0)
        return complain_about(smtptls_policy_error(policy));
    return SMTPTLS_OK;
}

/* The MTA-STS policy that stands in a file, as it was fetched. */
static int add_sts(const char *name, struct smtptls_policy *policy)
{
    size_t length = 0;
    FILE *file = fopen(name, "rb");
    if (!file)
        return complain(SMTPTLS_ERR_FILE, SMTPTLS_ACTION_FAIL, NULL, "cannot read %s: %s", escape(name),
                        strerror(errno));
    char *text = read_all(file, name, SMTPTLS_ERR_FILE, &length);
    fclose(file);
    if (!text)
        return SMTPTLS_ERR_FILE;
    struct smtptls_sts *sts = smtptls_sts_new();
    int code = smtptls_sts_parse(sts, text, length);
    if (code < 0)
        complain_about(smtptls_sts_error(sts));
    else if ((code = smtptls_policy_set_sts(policy, sts)) < 0)
        complain_about(smtptls_policy_error(policy));
    smtptls_sts_free(sts);
    free(text);
    return code;
}

static int make_config(const struct options *options, struct smtptls_config *config, struct smtptls_policy *policy)
{
    const struct smtptls_error *error;
    int code;
    add_roots(options, config);
    if (options->cert)
        smtptls_config_add_keypair_file(config, options->cert, options->key);
    for (char **given = options->repeated; *given; given += 2)
        if ((error = repeated(given[0])(config, policy, given[1])) != NULL)
            return complain_about(error);
    /* Fails with the code of the first call that failed. */
    if (smtptls_config_freeze(config) < 0)
        return complain_about(smtptls_config_error(config));
    if (options->sni) {
        const char *name = strcmp(options->sni, "none") == 0 ? NULL : options->sni;
        if (smtptls_policy_set_sni(policy, name) < 0)
            return complain_about(smtptls_policy_error(policy));
    }
    smtptls_policy_allow_common_names(policy, options->common_names);
    if ((code = add_answers(options, policy)) < 0)
        return code;
    return options->sts ? add_sts(options->sts, policy) : SMTPTLS_OK;
}

int run(int argc, char **argv, send_function *send_message)
{
    struct options options;
    size_t length;
    int wrong = parse_options(argc, argv, &options);
    char *message = wrong ? NULL : read_all(stdin, "standard input", SMTPTLS_ERR_IO, &length);
    int code = SMTPTLS_ERR_ARGUMENT;
    if (message) {
        struct smtptls_config *config = smtptls_config_new();
        struct smtptls_policy *policy = smtptls_policy_new(options.level);
        code = make_config(&options, config, policy);
        if (code == SMTPTLS_OK)
            code = send_message(&options, config, policy, message, length);
        smtptls_policy_free(policy);
        smtptls_config_free(config);
    }
    free(message);
    free(options.repeated);
    return wrong ? wrong : code == SMTPTLS_OK ? 0 : 1;
}
