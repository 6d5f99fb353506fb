/* How much memory a session takes, of each role: made, in the handshake, established, and after a line each way.
 * Arguments: CA, chain, key, how many sessions. */
#include <malloc.h>
#include <smtptls.h>
#include <stdio.h>
#include <stdlib.h>

struct pair {
    struct smtptls_session *client, *server;
};

static size_t heap(void)
{
    const struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void must(int well, const char *what)
{
    if (!well) {
        fprintf(stderr, "memory: %s\n", what);
        exit(1);
    }
}

static void carry(struct smtptls_session *from, struct smtptls_session *to)
{
    const uint8_t *data;
    const size_t len = smtptls_session_output(from, &data);

    if (len > 0)
        must(smtptls_session_feed(to, data, len) == (ptrdiff_t)len, "feed");
    smtptls_session_sent(from, len);
}

static void handshake(struct pair *pair)
{
    int ours = -1, theirs = -1;

    while (ours != SMTPTLS_OK || theirs != SMTPTLS_OK) {
        if (ours != SMTPTLS_OK)
            ours = smtptls_session_start(pair->client, SMTPTLS_FROM_HANDSHAKE, 0);
        carry(pair->client, pair->server);
        if (theirs != SMTPTLS_OK)
            theirs = smtptls_session_start(pair->server, SMTPTLS_FROM_HANDSHAKE, 0);
        carry(pair->server, pair->client);
        must(ours >= SMTPTLS_WANT_OUTPUT && theirs >= SMTPTLS_WANT_OUTPUT, "the handshake failed");
    }
}

/* A line from one to the other; then the other waits for the next. */
static void line(struct smtptls_session *from, struct smtptls_session *to)
{
    char buf[100];

    must(smtptls_session_write(from, "NOOP\r\n", 6, false) == 6, "write");
    carry(from, to);
    must(smtptls_session_read(to, buf, sizeof buf) == 6, "read");
    must(smtptls_session_read(to, buf, sizeof buf) == SMTPTLS_WANT_INPUT, "read");
}

static size_t mark;

static void report(const char *what, size_t count)
{
    const size_t now = heap();
    const size_t change = now > mark ? now - mark : mark - now;

    printf("%-44s %6zu octets\n", what, change / count);
    mark = now;
}

int main(int argc, char **argv)
{
    struct smtptls_config *config = smtptls_config_new();
    size_t count = argc == 5 ? strtoul(argv[4], NULL, 10) : 0, n, whole;
    struct pair *pairs = calloc(count + 1, sizeof *pairs);

    must(count > 0 && pairs, "arguments: CA, chain, key, count");
    must(smtptls_config_add_roots_file(config, argv[1]) == SMTPTLS_OK, argv[1]);
    must(smtptls_config_add_keypair_file(config, argv[2], argv[3]) == SMTPTLS_OK, argv[2]);
    /* What is made once in a process is not a session's. */
    pairs[count].client = smtptls_session_client(config, NULL, "localhost");
    pairs[count].server = smtptls_session_server(config, NULL);
    handshake(&pairs[count]);
    line(pairs[count].client, pairs[count].server);

    mark = whole = heap();
    for (n = 0; n < count; n++)
        pairs[n].client = smtptls_session_client(config, NULL, "localhost");
    report("a client, made", count);
    for (n = 0; n < count; n++)
        pairs[n].server = smtptls_session_server(config, NULL);
    report("a server, made", count);
    for (n = 0; n < count; n++)
        must(smtptls_session_start(pairs[n].client, SMTPTLS_FROM_HANDSHAKE, 0) == SMTPTLS_WANT_OUTPUT, "start");
    report("a client, that has sent its hello: more by", count);
    for (n = 0; n < count; n++)
        handshake(&pairs[n]);
    report("a client and a server, established: more by", count);
    for (n = 0; n < count; n++) {
        line(pairs[n].client, pairs[n].server);
        line(pairs[n].server, pairs[n].client);
    }
    report("both, after a line each way: more by", count);
    for (n = 0; n < count; n++)
        must(smtptls_info_summary(smtptls_session_info(pairs[n].client)) != NULL, "info");
    report("a client whose facts were asked for: more by", count);
    for (n = 0; n < count; n++)
        smtptls_session_free(pairs[n].client);
    report("a client, established and idle, gives back", count);
    for (n = 0; n < count; n++)
        smtptls_session_free(pairs[n].server);
    report("a server, established and idle, gives back", count);
    mark = whole;
    report("what is left of each", count);
    smtptls_session_free(pairs[count].client);
    smtptls_session_free(pairs[count].server);
    smtptls_config_free(config);
    free(pairs);
    return 0;
}
