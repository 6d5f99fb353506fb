/* Every system call of a whole session fails once, in every way: the session goes on or ends with the right code, and
 * loses nothing, hangs nowhere, and sends no plaintext behind STARTTLS. Arguments: CA, chain, key. Prints how many
 * faults there were. Not under valgrind, which knows no seccomp. */
#include "support.h"

#include "conversation.h"
#include "faults.h"
#include "wire.h"

#include <errno.h>
#include <signal.h>

static const struct {
    const char *name;
    int fault;
    bool hard;
} faults[] = {
    {"EINTR", EINTR, false},   {"EAGAIN", EAGAIN, false},       {"short", FAULT_SHORT, false},
    {"EPIPE", EPIPE, true},    {"ECONNRESET", ECONNRESET, true}, {"ENOSPC", ENOSPC, true},
    {"EIO", EIO, true},        {"ETIMEDOUT", ETIMEDOUT, true},
};

static const char *const calls[] = {"poll", "recv", "send", "read", "write"};
static const char *const modes[] = {"blocking", "interruptible", "non-blocking"};

static struct smtptls_config *config;
static long injected, sessions, retried, longest;

/* Two ends, each with what it reads from and what it writes to; a socketpair, or two pipes. */
static void connect_ends(bool pipes, int ends[2][2])
{
    int there[2], back[2];

    if (!pipes) {
        socket_pair(there);
        ends[0][0] = ends[0][1] = there[0];
        ends[1][0] = ends[1][1] = there[1];
        return;
    }
    MUST(pipe(there) == 0 && pipe(back) == 0);
    ends[0][0] = back[0];
    ends[0][1] = there[1];
    ends[1][0] = there[0];
    ends[1][1] = back[1];
}

static void close_end(const int end[2])
{
    close(end[0]);
    if (end[1] != end[0])
        close(end[1]);
}

#define SAY(what)                                                              \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "%s:%d: %s: %s, call %ld of %s, %s, %s, %s: %s, errno %d\n", __FILE__, __LINE__, #what, \
                    faults[kind].name, n, calls[call], modes[mode], client ? "client" : "server",                  \
                    pipes ? "pipes" : "socket", smtptls_code_name(talk.code), os);                                  \
            failed = 1;                                                        \
        }                                                                      \
    } while (0)

/* One session with one fault. Says whether the session came so far as to meet it. */
static bool once(size_t kind, enum fault_call call, long n, int mode, bool client, bool pipes)
{
    const int before = open_descriptors();
    struct conversation talk, peer;
    const uint8_t *sent;
    pthread_t thread;
    int ends[2][2], os;
    bool well, met;
    size_t len;

    connect_ends(pipes, ends);
    talk = conversation(config, client, ends[0][0], ends[0][1], mode);
    peer = conversation(config, !client, ends[1][0], ends[1][1], SMTPTLS_MODE_BLOCKING);
    alarm(HANGS / 1000 + 5);
    MUST(pthread_create(&thread, NULL, converse_thread, &peer) == 0);
    fault_arm(call, n, faults[kind].fault);
    well = converse(&talk);
    fault_disarm();
    met = fault_met();
    os = smtptls_error_os(smtptls_session_error(talk.session));

    SAY(mode == SMTPTLS_MODE_NONBLOCKING || talk.waits == 0);
    if (met && faults[kind].hard) {
        SAY(!well && talk.code == SMTPTLS_ERR_IO && os == faults[kind].fault);
        /* Good manners after a failure: nothing may come of them on a connection that is gone. */
        SAY(smtptls_session_refuse(talk.session) == SMTPTLS_OK);
        SAY(smtptls_session_read(talk.session, &os, 1) < 0);
    } else {
        SAY(well && talk.code == SMTPTLS_OK && smtptls_session_error(talk.session) == NULL);
        /* A write that has taken something says how much, and not SMTPTLS_WANT_RETRY. */
        const bool may = met && mode == SMTPTLS_MODE_INTERRUPTIBLE && faults[kind].fault == EINTR;
        const bool has_to = may && n > 0 && (call == FAULT_RECV || call == FAULT_READ);
        SAY(talk.retries <= (may ? 1 : 0) && talk.retries >= (has_to ? 1 : 0));
    }
    sent = fault_sent(&len);
    SAY(only_tls_behind_starttls(sent, len, client));
    smtptls_session_free(talk.session);
    close_end(ends[0]);
    pthread_join(thread, NULL);
    SAY(!well || peer.code == SMTPTLS_OK);
    smtptls_session_free(peer.session);
    close_end(ends[1]);
    alarm(0);
    SAY(open_descriptors() == before);

    injected += met;
    retried += talk.retries;
    sessions++;
    return met;
}

/* Every call of this kind in turn, until a session has no more of them. */
static void sweep(size_t kind, enum fault_call call, int mode, bool client, bool pipes)
{
    long n = 1;

    if (call == FAULT_POLL && faults[kind].fault == FAULT_SHORT)
        return;
    while (once(kind, call, n, mode, client, pipes) && !failed)
        n++;
    if (n > longest)
        longest = n;
}

int main(int argc, char **argv)
{
    size_t kind;
    int call, mode, role, pipes;

    config = config_from(argc, argv);
    signal(SIGPIPE, SIG_IGN); /* On a pipe it is raised, as by any write(2). */
    faults_install();
    /* One combination that fails does not hide the others. */
    for (kind = 0; kind < sizeof faults / sizeof *faults; kind++)
        for (call = 0; call < FAULT_CALLS; call++)
            for (mode = SMTPTLS_MODE_BLOCKING; mode <= SMTPTLS_MODE_NONBLOCKING; mode++)
                for (role = 0; role < 2; role++)
                    for (pipes = 0; pipes < 2; pipes++) {
                        int before = failed;
                        failed = 0;
                        sweep(kind, (enum fault_call)call, mode, role == 0, pipes == 1);
                        failed |= before;
                    }
    /* All reads and all writes give and take one octet. */
    for (call = FAULT_RECV; call <= FAULT_WRITE; call++)
        for (mode = SMTPTLS_MODE_BLOCKING; mode <= SMTPTLS_MODE_NONBLOCKING; mode++)
            for (role = 0; role < 2; role++)
                once(2, (enum fault_call)call, 0, mode, role == 0, call >= FAULT_READ);
    CHECK(fault_other_calls() == 0);
    CHECK(retried > 0);
    smtptls_config_free(config);
    printf("%ld faults in %ld sessions, at most %ld of one kind, %ld retries\n", injected, sessions, longest, retried);
    return failed;
}
