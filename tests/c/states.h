/* Objects of every kind in every state that they can be in. Part of every_function.c, whose tables it uses. */
#ifndef STATES_H
#define STATES_H

/* An object to call with, and what has to be freed with it. */
struct object {
    struct smtptls_config *config;
    struct smtptls_policy *policy;
    struct smtptls_sts *sts;
    struct smtptls_session *session, *peer;
    const struct smtptls_info *info;
    struct smtptls_info *own_info;
    const struct smtptls_error *error;
    int fd;
};

static const struct object nothing = {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, -1};
static char **files;

/* Which function is tried. */
static const char *current = "";

/* A bug of the library is the one thing that no abuse may come to. */
static void no_bug(ptrdiff_t result, const char *call)
{
    if (result == SMTPTLS_ERR_INTERNAL) {
        fprintf(stderr, "%s: %s afterwards: SMTPTLS_ERR_INTERNAL\n", current, call);
        failed = 1;
    }
}

#define NO_BUG(call) no_bug(call, #call)

/* What else a program may do with a session after it has abused it. */
static void abuse(struct smtptls_session *session)
{
    smtptls_session_set_timeout(session, SMTPTLS_TIMEOUT_START, 50);
    smtptls_session_set_timeout(session, SMTPTLS_TIMEOUT_IO, 50);
    NO_BUG(smtptls_session_start(session, SMTPTLS_FROM_GREETING, 0));
    NO_BUG(smtptls_session_write(session, "x", 1, true));
    NO_BUG(smtptls_session_read(session, room, sizeof room));
    NO_BUG(smtptls_session_refuse(session));
    NO_BUG(smtptls_session_close(session, SMTPTLS_CLOSE_WAIT));
    NO_BUG(smtptls_session_start(session, SMTPTLS_FROM_HANDSHAKE, 0));
    NO_BUG(smtptls_session_write(session, "x", 1, false));
}

enum { config_states = 5 };

static struct object make_config(size_t state)
{
    struct object made = nothing;

    if (state == 0)
        return made;
    made.config = smtptls_config_new();
    if (state == 2)
        MUST(smtptls_config_add_roots_file(made.config, "/nonexistent") == SMTPTLS_ERR_FILE);
    if (state >= 3) {
        MUST(smtptls_config_add_roots_file(made.config, files[1]) == SMTPTLS_OK);
        MUST(smtptls_config_add_keypair_file(made.config, files[2], files[3]) == SMTPTLS_OK);
    }
    if (state == 4)
        MUST(smtptls_config_freeze(made.config) == SMTPTLS_OK);
    return made;
}

static void free_config(struct object made)
{
    smtptls_config_free(made.config);
}

enum { policy_states = 5 };

static struct object make_policy(size_t state)
{
    static const int levels[] = {0, SMTPTLS_LEVEL_MAY, SMTPTLS_LEVEL_DANE, SMTPTLS_LEVEL_FINGERPRINT,
                                 SMTPTLS_LEVEL_SECURE};
    struct object made = nothing;

    if (state > 0)
        made.policy = smtptls_policy_new(levels[state]);
    /* Its last call has failed. */
    if (state == 1)
        MUST(smtptls_policy_add_name(made.policy, "no name") == SMTPTLS_ERR_ARGUMENT);
    return made;
}

static void free_policy(struct object made)
{
    CHECK(smtptls_policy_effective_level(made.policy, HOST) != SMTPTLS_ERR_INTERNAL);
    smtptls_policy_free(made.policy);
}

enum { sts_states = 4 };

static struct object make_sts(size_t state)
{
    struct object made = nothing;

    if (state > 0)
        made.sts = smtptls_sts_new();
    if (state == 2)
        MUST(smtptls_sts_parse(made.sts, "x", 1) == SMTPTLS_ERR_STS_INVALID);
    if (state == 3)
        MUST(smtptls_sts_parse(made.sts, sts_text, sizeof sts_text - 1) == SMTPTLS_OK);
    return made;
}

static void free_sts(struct object made)
{
    smtptls_sts_free(made.sts);
}

enum {
    NONE, CLIENT, SERVER, KEYLESS_SERVER, WAITING, FAILED, PLAIN, SHAKING, SIGNING, UP, SERVER_UP, UNMET, INSECURE, REFUSED,
    CLOSED, HALF_CLOSED, ENDED, TRUNCATED, BROKEN, ATTACHED, session_states
};

/* The configuration and the policy are freed before anything is done with the session. */
static struct smtptls_session *new_session(bool client, bool keys, int level)
{
    struct object config = make_config(keys ? 3 : 1);
    struct smtptls_policy *policy = level > 0 ? smtptls_policy_new(level) : NULL;
    struct smtptls_session *made;

    made = client ? smtptls_session_client(config.config, policy, level == SMTPTLS_LEVEL_VERIFY ? "other.example" : HOST)
                  : smtptls_session_server(config.config, policy);
    MUST(made != NULL);
    smtptls_config_free(config.config);
    smtptls_policy_free(policy);
    return made;
}

static void started(struct smtptls_session *session, int entry, const char *fed, int wanted)
{
    if (fed)
        MUST(smtptls_session_feed(session, fed, strlen(fed)) == (ptrdiff_t)strlen(fed));
    MUST(smtptls_session_start(session, entry, 0) == wanted);
}

static void sent(struct smtptls_session *session)
{
    smtptls_session_sent(session, SIZE_MAX);
}

static struct object make_session(size_t state)
{
    struct object made = nothing;
    int fds[2];
    bool unmet = state == UNMET || state == INSECURE || state == REFUSED;

    switch (state) {
    case NONE:
        return made;
    case SERVER:
    case KEYLESS_SERVER:
    case PLAIN:
    case ATTACHED:
        made.session = new_session(false, state != KEYLESS_SERVER, 0);
        break;
    default:
        made.session = new_session(true, true, unmet ? SMTPTLS_LEVEL_VERIFY : 0);
        break;
    }
    switch (state) {
    case CLIENT:
    case SERVER:
    case KEYLESS_SERVER:
        return made;
    case WAITING:
        started(made.session, SMTPTLS_FROM_GREETING, NULL, SMTPTLS_WANT_INPUT);
        return made;
    case FAILED:
        started(made.session, SMTPTLS_FROM_GREETING, "554 no\r\n", SMTPTLS_ERR_REFUSED);
        return made;
    case PLAIN:
        started(made.session, SMTPTLS_FROM_GREETING, "MAIL FROM:<>\r\n", SMTPTLS_ERR_NOT_REQUESTED);
        return made;
    case SHAKING:
        started(made.session, SMTPTLS_FROM_HANDSHAKE, NULL, SMTPTLS_WANT_OUTPUT);
        return made;
    case SIGNING: {
        struct smtptls_config *config = smtptls_config_new();
        MUST(smtptls_config_add_certificate_file(config, files[2]) == SMTPTLS_OK);
        made.peer = made.session;
        made.session = smtptls_session_server(config, NULL);
        smtptls_config_free(config);
        started(made.peer, SMTPTLS_FROM_HANDSHAKE, NULL, SMTPTLS_WANT_OUTPUT);
        carry(made.peer, made.session);
        started(made.session, SMTPTLS_FROM_HANDSHAKE, NULL, SMTPTLS_WANT_SIGNATURE);
        return made;
    }
    case ATTACHED:
        socket_pair(fds);
        close(fds[1]);
        made.fd = fds[0];
        MUST(smtptls_session_attach(made.session, fds[0], fds[0], SMTPTLS_MODE_BLOCKING) == SMTPTLS_OK);
        return made;
    }
    made.peer = new_session(false, true, 0);
    MUST(meet(made.session, made.peer, SMTPTLS_FROM_HANDSHAKE) == (unmet ? SMTPTLS_ERR_CERT_NAME : SMTPTLS_OK));
    switch (state) {
    case SERVER_UP: {
        struct smtptls_session *client = made.session;
        made.session = made.peer;
        made.peer = client;
        break;
    }
    case INSECURE:
        MUST(smtptls_session_insecure_continue(made.session) == SMTPTLS_OK);
        break;
    case REFUSED:
        MUST(smtptls_session_refuse(made.session) <= 0);
        break;
    case CLOSED:
    case HALF_CLOSED:
        sent(made.session);
        MUST(smtptls_session_close(made.session, state == CLOSED ? SMTPTLS_CLOSE_SEND : SMTPTLS_CLOSE_HALF) <= 0);
        sent(made.session);
        MUST(smtptls_session_close(made.session, state == CLOSED ? SMTPTLS_CLOSE_SEND : SMTPTLS_CLOSE_HALF) == 0);
        break;
    case ENDED:
        MUST(smtptls_session_close(made.peer, SMTPTLS_CLOSE_SEND) <= 0);
        carry(made.peer, made.session);
        MUST(smtptls_session_feed(made.session, "beyond", 6) == 6);
        MUST(smtptls_session_read(made.session, room, 1) == 0);
        break;
    case TRUNCATED:
        MUST(smtptls_session_feed(made.session, "", 0) == 0);
        MUST(smtptls_session_read(made.session, room, 1) == 0);
        MUST(smtptls_session_is_truncated(made.session));
        break;
    case BROKEN:
        MUST(smtptls_session_feed(made.session, "no TLS", 6) == 6);
        MUST(smtptls_session_read(made.session, room, 1) < SMTPTLS_WANT_RETRY);
        break;
    default:
        break;
    }
    return made;
}

static void free_rest(struct object made)
{
    smtptls_session_free(made.peer);
    if (made.fd >= 0)
        close(made.fd);
}

static void free_session(struct object made)
{
    if (made.session)
        abuse(made.session);
    smtptls_session_free(made.session);
    free_rest(made);
}

/* Facts and errors are those of sessions that live on, but for one that came as bytes. */
static struct object kept[session_states], kept_config, kept_policy, kept_sts, kept_info;
enum { info_states = session_states + 1, own_info_states = 2, error_states = session_states + 3 };

static struct object make_own_info(size_t state)
{
    struct object made = nothing;
    const void *bytes;
    size_t len;

    if (state == 0)
        return made;
    bytes = smtptls_info_to_bytes(smtptls_session_info(kept[UP].session), &len);
    made.own_info = smtptls_info_from_bytes(bytes, len);
    MUST(made.own_info != NULL);
    return made;
}

static void free_own_info(struct object made)
{
    smtptls_info_free(made.own_info);
}

static void keep(void)
{
    size_t n;

    for (n = 0; n < session_states; n++)
        kept[n] = make_session(n);
    kept_config = make_config(2);
    kept_policy = make_policy(1);
    kept_sts = make_sts(2);
    kept_info = make_own_info(1);
}

static struct object make_info(size_t state)
{
    struct object made = nothing;

    made.info = state < session_states ? smtptls_session_info(kept[state].session) : kept_info.own_info;
    return made;
}

static struct object make_error(size_t state)
{
    struct object made = nothing;

    if (state < session_states)
        made.error = smtptls_session_error(kept[state].session);
    else if (state == session_states)
        made.error = smtptls_config_error(kept_config.config);
    else if (state == session_states + 1)
        made.error = smtptls_policy_error(kept_policy.policy);
    else
        made.error = smtptls_sts_error(kept_sts.sts);
    return made;
}

static void free_info(struct object made)
{
    (void)made;
}

static void free_error(struct object made)
{
    (void)made;
}

#endif
