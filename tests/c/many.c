/* Many sessions: hundreds in one loop that does not wait, and thousands one after another, with nothing left behind.
 * Arguments: CA, chain, key, how many at once, how many in a row. */
#include "support.h"

#include "conversation.h"

/* What the resident set may grow by between a tenth and the end, in KiB: less than an octet for each session. */
#define GROWTH 512

static struct smtptls_config *config;

/* One end of a connection: how far it has come. */
struct end {
    struct conversation talk;
    enum { STARTING, TALKING, CLOSING, DONE } stage;
    size_t written, heard;
};

/* As far as it goes without waiting. Says what it waits for. */
static ptrdiff_t step(struct end *end)
{
    static const char text[] = "QUIT\r\n";
    struct smtptls_session *session = end->talk.session;
    char buf[64];
    ptrdiff_t code = 0;

    while (code >= 0 && end->stage != DONE) {
        switch (end->stage) {
        case STARTING:
            code = smtptls_session_start(session, SMTPTLS_FROM_HANDSHAKE, 0);
            end->stage += code == SMTPTLS_OK;
            break;
        case TALKING:
            /* Both say the same: it is about the loop and not about SMTP. */
            if (end->written < 6) {
                code = smtptls_session_write(session, text + end->written, 6 - end->written, false);
                end->written += code > 0 ? (size_t)code : 0;
            } else if (end->heard < 6) {
                code = smtptls_session_read(session, buf, sizeof buf);
                end->heard += code > 0 ? (size_t)code : 0;
                if (code == 0)
                    return SMTPTLS_ERR_EOF;
            } else {
                end->stage++;
            }
            break;
        default:
            code = smtptls_session_close(session, SMTPTLS_CLOSE_WAIT);
            end->stage += code == SMTPTLS_OK;
            break;
        }
    }
    return code;
}

static void at_once(size_t pairs)
{
    const size_t count = pairs * 2;
    struct end *ends = calloc(count, sizeof *ends);
    struct pollfd *polled = calloc(count, sizeof *polled);
    size_t left = count, n;

    MUST(ends && polled);
    for (n = 0; n < count; n += 2) {
        int fds[2];
        socket_pair(fds);
        ends[n].talk = conversation(config, true, fds[0], fds[0], SMTPTLS_MODE_NONBLOCKING);
        ends[n + 1].talk = conversation(config, false, fds[1], fds[1], SMTPTLS_MODE_NONBLOCKING);
        polled[n] = (struct pollfd){fds[0], POLLIN | POLLOUT, 0};
        polled[n + 1] = (struct pollfd){fds[1], POLLIN | POLLOUT, 0};
    }
    while (left > 0 && !failed) {
        MUST(poll(polled, (nfds_t)count, HANGS) > 0);
        for (n = 0; n < count; n++) {
            ptrdiff_t code;
            if (polled[n].fd < 0 || polled[n].revents == 0)
                continue;
            code = step(&ends[n]);
            CHECK(code >= SMTPTLS_WANT_OUTPUT);
            polled[n].events = code == SMTPTLS_WANT_OUTPUT ? POLLOUT : POLLIN;
            if (ends[n].stage == DONE) {
                polled[n].fd = -1;
                left--;
            }
        }
    }
    for (n = 0; n < count; n++) {
        smtptls_session_free(ends[n].talk.session);
        close(ends[n].talk.read_fd);
    }
    free(ends);
    free(polled);
}

static void in_a_row(long count)
{
    const int before = open_descriptors();
    long n, early = 0;

    for (n = 0; n < count; n++) {
        at_once(1);
        if (n == count / 10)
            early = resident_kib();
    }
    CHECK(open_descriptors() == before);
    printf("%ld KiB after %ld sessions, %ld KiB after %ld\n", early, count / 10, resident_kib(), count);
    /* It takes some hundreds to come to rest. */
    CHECK(count < 1000 || resident_kib() - early <= GROWTH);
}

int main(int argc, char **argv)
{
    const int before = open_descriptors();

    MUST(argc == 6);
    config = config_from(argc, argv);
    at_once(strtoul(argv[4], NULL, 10));
    in_a_row(strtol(argv[5], NULL, 10));
    smtptls_config_free(config);
    CHECK(open_descriptors() == before);
    return failed;
}
