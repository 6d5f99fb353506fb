/* The flags of serve, and what is made of them; see settings.h. */

#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* -- reading --------------------------------------------------------------------------------------------------- */

static int usage(const char *wrong, const char *what)
{
    fprintf(stderr,
            "serve: %s %s\n"
            "usage: serve (--cert FILE --key FILE | --chain FILE)... [--port N] [--store DIR] [--lmtp]\n"
            "       [--timeout S] [--require-tls [--exempt-more]] [--greeting TEXT] [--not-now] [--discard]\n"
            "       [--ocsp FILE] [--keypair-name NAME]... [--alpn NAME]...\n"
            "       [--client-auth none|ask|require] [--client-auth-names] [--client-ca FILE]\n"
            "       [--ticket-keys FILE] [--tickets 0|1|2] [--ticket-lifetime S] [--service NAME]\n"
            "SIGHUP: reads key pairs and ticket keys again\n",
            wrong, what);
    return 2;
}

/* Digits only, and no more than the largest: the number, or -1. */
static int64_t number(const char *text, int64_t largest)
{
    int64_t value = 0;
    if (!*text || strspn(text, "0123456789") != strlen(text))
        return -1;
    for (; *text && value <= largest; text++)
        value = 10 * value + (*text - '0');
    return value <= largest ? value : -1;
}

/* One of enum smtptls_client_auth, or -1. */
static int client_auth(const char *word)
{
    static const struct {
        const char *word;
        int mode;
    } modes[] = {
        {"none", SMTPTLS_CLIENT_AUTH_NONE},
        {"ask", SMTPTLS_CLIENT_AUTH_ASK},
        {"require", SMTPTLS_CLIENT_AUTH_REQUIRE},
    };
    for (size_t n = 0; n < sizeof modes / sizeof *modes; n++)
        if (strcmp(word, modes[n].word) == 0)
            return modes[n].mode;
    return -1;
}

/* How often a flag was given, of those that may be given several times. */
static size_t times(const struct settings *settings, const char *flag)
{
    size_t count = 0;
    for (char **given = settings->repeated; *given; given += 2)
        count += strcmp(given[0], flag) == 0;
    return count;
}

static int parse_flags(int argc, char **argv, struct settings *s)
{
    const char *timeout = "30", *auth = "none", *tickets = NULL, *lifetime = NULL;
    struct server *server = &s->server;
    bool lmtp = false;
    const struct {
        const char *flag, **value;
    } flags[] = {
        {"--cert", &s->cert},
        {"--key", &s->key},
        {"--port", &s->port},
        {"--store", &server->store},
        {"--timeout", &timeout},
        {"--greeting", &server->greeting},
        {"--ocsp", &s->ocsp},
        {"--client-auth", &auth},
        {"--client-ca", &s->client_ca},
        {"--ticket-keys", &s->ticket_keys},
        {"--tickets", &tickets},
        {"--ticket-lifetime", &lifetime},
        {"--service", &s->service},
    };
    const struct {
        const char *flag;
        bool *given;
    } switches[] = {
        {"--lmtp", &lmtp},
        {"--require-tls", &server->required},
        {"--exempt-more", &server->exempt_more},
        {"--not-now", &server->not_now},
        {"--discard", &server->discard},
        {"--client-auth-names", &s->client_auth_names},
    };
    static const char *const repeated[] = {"--chain", "--keypair-name", "--alpn"};
    const size_t flag_count = sizeof flags / sizeof *flags, switch_count = sizeof switches / sizeof *switches,
                 repeated_count = sizeof repeated / sizeof *repeated;
    size_t more = 0;
    for (int i = 1; i < argc; i++) {
        size_t f = 0, w = 0, r = 0;
        while (f < flag_count && strcmp(argv[i], flags[f].flag) != 0)
            f++;
        while (w < switch_count && strcmp(argv[i], switches[w].flag) != 0)
            w++;
        while (r < repeated_count && strcmp(argv[i], repeated[r]) != 0)
            r++;
        if (w < switch_count) {
            *switches[w].given = true;
        } else if (f == flag_count && r == repeated_count) {
            return usage("there is no flag", argv[i]);
        } else if (i + 1 == argc) {
            return usage("a value must follow", argv[i]);
        } else if (f < flag_count) {
            *flags[f].value = argv[++i];
        } else {
            s->repeated[more++] = argv[i];
            s->repeated[more++] = argv[++i];
        }
    }
    server->protocol = lmtp ? SMTPTLS_PROTOCOL_LMTP : SMTPTLS_PROTOCOL_SMTP;
    if (!s->cert != !s->key || (!s->cert && times(s, "--chain") == 0))
        return usage("missing:", s->cert ? "--key" : "--cert");
    if (!s->cert && (s->ocsp || times(s, "--keypair-name") > 0))
        return usage("--ocsp and --keypair-name are for", "the pair of --cert");
    if (server->exempt_more && !server->required)
        return usage("--exempt-more goes with", "--require-tls");
    if (number(s->port, 65535) < 0)
        return usage("no port:", s->port);
    if ((server->timeout = milliseconds(timeout)) == 0)
        return usage("no number of seconds:", timeout);
    if ((s->client_auth = client_auth(auth)) < 0)
        return usage("--client-auth is none, ask or require, and not", auth);
    if (tickets && (s->tickets = (int)number(tickets, 2)) < 0)
        return usage("--tickets is 0, 1 or 2, and not", tickets);
    if (lifetime && (s->lifetime = number(lifetime, UINT32_MAX)) < 0)
        return usage("no number of seconds:", lifetime);
    return 0;
}

int read_settings(int argc, char **argv, struct settings *settings)
{
    memset(settings, 0, sizeof *settings);
    settings->port = "0";
    settings->tickets = -1;
    settings->lifetime = -1;
    strcpy(settings->server.hostname, "localhost");
    gethostname(settings->server.hostname, sizeof settings->server.hostname - 1);
    if (!(settings->repeated = (char **)calloc((size_t)argc + 1, sizeof *settings->repeated)))
        return usage("out of", "memory");
    return parse_flags(argc, argv, settings);
}

/* -- what is made of them -------------------------------------------------------------------------------------- */

/* The pair of --cert comes first, so it serves clients that ask for no name or for an unknown one. */
static void add_keypairs(const struct settings *settings, struct smtptls_config *config)
{
    if (settings->cert) {
        smtptls_config_add_keypair_file(config, settings->cert, settings->key);
        for (char **given = settings->repeated; *given; given += 2)
            if (strcmp(given[0], "--keypair-name") == 0)
                smtptls_config_add_keypair_name(config, given[1]);
        if (settings->ocsp)
            smtptls_config_set_ocsp_file(config, settings->ocsp);
    }
    for (char **given = settings->repeated; *given; given += 2)
        if (strcmp(given[0], "--chain") == 0)
            smtptls_config_add_keypairs_file(config, given[1]);
}

static int set_alpn(const struct settings *settings, struct smtptls_config *config)
{
    size_t count = times(settings, "--alpn"), n = 0;
    const char **protocols = (const char **)calloc(count + 1, sizeof *protocols);
    if (!protocols)
        return complain(SMTPTLS_ERR_INTERNAL, SMTPTLS_ACTION_FAIL, NULL, "out of memory");
    for (char **given = settings->repeated; *given; given += 2)
        if (strcmp(given[0], "--alpn") == 0)
            protocols[n++] = given[1];
    smtptls_config_set_alpn(config, protocols, count);
    free(protocols);
    return SMTPTLS_OK;
}

/* A greeting is the session's, and a bad one is to be seen at start-up all the same. */
static int check_greeting(const struct settings *settings)
{
    struct smtptls_session *session = smtptls_session_server(settings->config, settings->policy);
    int code = smtptls_session_set_greeting(session, settings->server.greeting);
    if (code < 0)
        complain_about(smtptls_session_error(session));
    smtptls_session_free(session);
    return code;
}

int make_config(struct settings *settings)
{
    struct smtptls_config *config = settings->config = smtptls_config_new();
    settings->policy = smtptls_policy_new(settings->server.required ? SMTPTLS_LEVEL_ENCRYPT : SMTPTLS_LEVEL_MAY);
    smtptls_config_set_hostname(config, settings->server.hostname);
    add_keypairs(settings, config);
    if (settings->client_ca)
        smtptls_config_add_roots_file(config, settings->client_ca);
    smtptls_config_set_client_auth(config, settings->client_auth, settings->client_auth_names);
    int code = set_alpn(settings, config);
    if (code < 0)
        return code;
    if (settings->ticket_keys)
        smtptls_config_set_ticket_key_file(config, settings->ticket_keys);
    if (settings->tickets >= 0)
        smtptls_config_set_tickets(config, (size_t)settings->tickets);
    if (settings->lifetime >= 0)
        smtptls_config_set_ticket_lifetime(config, (uint32_t)settings->lifetime);
    if (settings->service)
        smtptls_config_set_service(config, settings->service);
    /* Fails with the code of the first call that failed. */
    if ((code = smtptls_config_freeze(config)) < 0)
        return complain_about(smtptls_config_error(config));
    return settings->server.greeting ? check_greeting(settings) : SMTPTLS_OK;
}

void free_settings(struct settings *settings)
{
    smtptls_policy_free(settings->policy);
    smtptls_config_free(settings->config);
    free(settings->repeated);
}
