/* A server of many processes that live long: one configuration, children that share a listener, and clients that resume
 * at any child what another one began, while every child reads key pairs and ticket keys again, over and over.
 * Arguments: CA, two PEM files with a key pair each, an empty directory, how many children, how many sessions. */
#include "support.h"

#include "conversation.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/wait.h>

enum {
    MOST = 128,
    KEY = 32,
    KEYS = 3,
    /* Before the first count of memory each child serves so many sessions, with a change of all keys after each second:
     * the ticket from before a full handshake is still good behind it. */
    WARM = 16,
    /* Later all keys change each time that so many sessions are done: it depends on no clock. */
    CHANGE = 500,
    /* What the resident set of a child may grow by after it is warm, in KiB. */
    GROWTH = 512,
    /* One session in so many is of a client that keeps none, and is a full handshake. */
    FULL = 5
};

/* What children tell the parent, each in one write that nothing divides. */
struct record {
    enum { UP, DONE, CHANGED, WARMED, LEFT, KINDS } kind;
    /* DONE: of a client's session. */
    int code;
    bool newer, kept, resumed; /* kept: it had an earlier session to resume */
    char signature;            /* the first letter of ECDSA or RSA, 0 of a resumed session */
    /* WARMED and LEFT: of the server's child, in all and now. */
    int child, faults, descriptors;
    long served, changes, kib;
};

static struct smtptls_config *server, *keeping[2], *forgetting;
static int listener, results[2], life[2], gate_up[2], gate_done[2];
static struct sockaddr_in address;
static char pair[300], text_keys[300], raw_keys[300], draft[300];
static long counts[KINDS];
static int children;

static void tell(struct record record)
{
    MUST(write(results[1], &record, sizeof record) == (ssize_t)sizeof record);
}

/* Nobody ever sees half a file. */
static void put(const char *path, const void *data, size_t len)
{
    FILE *file = fopen(draft, "wb");

    MUST(file != NULL && fwrite(data, 1, len, file) == len && fclose(file) == 0);
    MUST(rename(draft, path) == 0);
}

static size_t get(const char *path, void *data, size_t room)
{
    FILE *file = fopen(path, "rb");
    size_t len;

    MUST(file != NULL);
    len = fread(data, 1, room, file);
    fclose(file);
    return len;
}

/* The other key pair, and a new ticket key. It is next before it is current: a child that is late opens the tickets of
 * one that is not. In two files, for two ways to give them to the library. */
static void change_files(char *const *pairs)
{
    static const char *const roles[KEYS] = {"current", "next", "previous"};
    static unsigned char keys[KEYS][KEY];
    static long changes;
    char buf[10000], text[300] = "";
    FILE *urandom;
    int n, octet;

    memcpy(keys[2], keys[0], KEY);
    memcpy(keys[0], keys[1], KEY);
    urandom = fopen("/dev/urandom", "rb");
    MUST(urandom != NULL);
    for (n = changes == 0 ? 0 : 1; n < 2; n++)
        MUST(fread(keys[n], 1, KEY, urandom) == KEY);
    fclose(urandom);
    for (n = 0; n < KEYS; n++) {
        sprintf(text + strlen(text), "%s ", roles[n]);
        for (octet = 0; octet < KEY; octet++)
            sprintf(text + strlen(text), "%02x", keys[n][octet]);
        strcat(text, "\n");
    }
    put(text_keys, text, strlen(text));
    put(raw_keys, keys, sizeof keys);
    put(pair, buf, get(pairs[changes++ % 2], buf, sizeof buf));
}

static volatile sig_atomic_t change_asked, count_asked;

static void asked(int number)
{
    *(number == SIGHUP ? &change_asked : &count_asked) = 1;
}

/* Half of the children have the library read the file of ticket keys, half give it the keys. */
static void change_keys(int child)
{
    unsigned char keys[KEYS * KEY];

    CHECK(smtptls_config_reload_keypairs(server) == SMTPTLS_OK);
    if (child % 2 == 0) {
        CHECK(smtptls_config_reload_ticket_keys(server) == SMTPTLS_OK);
    } else {
        MUST(get(raw_keys, keys, sizeof keys) == sizeof keys);
        CHECK(smtptls_config_set_ticket_keys(server, keys, KEYS) == SMTPTLS_OK);
    }
}

/* Until the parent's end of the pipe is gone, be it that the parent died. Signals come at any moment of a session, and
 * what they ask for is done after it. */
static void serve(int child)
{
    struct record record = {.kind = WARMED};
    struct sigaction action;
    sigset_t signals, none;

    record.child = child;
    memset(&action, 0, sizeof action);
    action.sa_handler = asked;
    sigemptyset(&none);
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR1);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    for (;;) {
        fd_set readable;
        struct conversation talk;
        int fd, ready;

        sigprocmask(SIG_BLOCK, &signals, NULL);
        if (change_asked) {
            change_asked = 0;
            change_keys(child);
            record.changes++;
            record.kind = CHANGED;
            tell(record);
        }
        if (count_asked) {
            count_asked = 0;
            record.kind = WARMED;
            record.descriptors = open_descriptors();
            record.kib = resident_kib();
            tell(record);
        }
        FD_ZERO(&readable);
        FD_SET(listener, &readable);
        FD_SET(life[0], &readable);
        ready = pselect(listener > life[0] ? listener + 1 : life[0] + 1, &readable, NULL, NULL, NULL, &none);
        sigprocmask(SIG_UNBLOCK, &signals, NULL);
        if (ready < 0)
            continue;
        if (FD_ISSET(life[0], &readable))
            break;
        fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            MUST(errno == EAGAIN || errno == EINTR); /* another child was faster */
            continue;
        }
        talk = conversation(server, false, fd, fd, SMTPTLS_MODE_BLOCKING);
        if (converse(&talk)) {
            record.served++;
        } else {
            record.faults++;
            fprintf(stderr, "server: %s\n", smtptls_error_message(smtptls_session_error(talk.session)));
        }
        smtptls_session_free(talk.session);
        close(fd);
    }
    record.kind = LEFT;
    record.descriptors = open_descriptors();
    record.kib = resident_kib();
    tell(record);
    smtptls_config_free(server);
}

/* False if the parent is gone. */
static bool wait_at(int gate)
{
    char octet;

    return read(gate, &octet, 1) == 1;
}

/* One session from the greeting to the close. With `held` it waits between for those of all other clients. */
static bool call(struct smtptls_config *config, bool kept, bool held)
{
    struct record record = {.kind = DONE};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct conversation talk = conversation(config, true, fd, fd, SMTPTLS_MODE_BLOCKING);
    bool well = true;

    record.newer = config != keeping[0];
    record.kept = kept;
    talk.bulk = 100;
    MUST(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    if (held) {
        struct record up = {.kind = UP};
        begin(&talk);
        tell(up);
        well = wait_at(gate_up[0]);
    } else {
        begin(&talk);
    }
    if (talk.code == SMTPTLS_OK) {
        const struct smtptls_info *info = smtptls_session_info(talk.session);
        const char *signature = smtptls_info_server_signature(info);
        CHECK(smtptls_info_auth(info) == SMTPTLS_AUTH_PKIX);
        record.resumed = smtptls_info_resumed(info);
        record.signature = signature ? signature[0] : 0;
        if (client_talks(&talk))
            finish(&talk, SMTPTLS_CLOSE_WAIT);
    }
    if (talk.code != SMTPTLS_OK)
        fprintf(stderr, "client: %s\n", smtptls_error_message(smtptls_session_error(talk.session)));
    record.code = talk.code != SMTPTLS_OK ? talk.code : failed ? SMTPTLS_ERR_INTERNAL : SMTPTLS_OK;
    smtptls_session_free(talk.session);
    close(fd);
    tell(record);
    return well;
}

/* One client in four has TLS 1.2. There a session is bound to a suite, and a suite to ECDSA or RSA (RFC 5246 sections
 * 7.4.1.3 and A.5): once the server's key is of the other kind, it begins anew. */
static void be_client(int number, long sessions)
{
    struct smtptls_config *mine = keeping[number % 4 != 0];
    long n;

    for (n = 0; n < WARM; n++)
        if (!call(n % FULL == FULL - 1 ? forgetting : mine, n > 0 && n % FULL != FULL - 1, true) ||
            !wait_at(gate_done[0]))
            return;
    for (; n < sessions; n++)
        call(n % FULL == FULL - 1 ? forgetting : mine, n % FULL != FULL - 1, false);
}

static struct record warm[MOST], left[MOST];
static long faults, kept[2], resumed[2], ecdsa, rsa;

/* Takes what the children tell, until there are `count` of one kind. */
static void take_until(int kind, long count)
{
    struct record record;

    while (counts[kind] < count) {
        MUST(read(results[0], &record, sizeof record) == (ssize_t)sizeof record);
        counts[record.kind]++;
        switch (record.kind) {
        case DONE:
            faults += record.code != SMTPTLS_OK;
            kept[record.newer] += record.kept;
            resumed[record.newer] += record.resumed;
            ecdsa += record.signature == 'E';
            rsa += record.signature == 'R';
            break;
        case WARMED:
            warm[record.child] = record;
            break;
        case LEFT:
            left[record.child] = record;
            break;
        default:
            break;
        }
    }
}

static void open_gate(const int gate[2])
{
    int n;

    for (n = 0; n < children; n++)
        MUST(write(gate[1], "", 1) == 1);
}

static void signal_all(const pid_t *pids, int number)
{
    int n;

    for (n = 0; n < children; n++)
        MUST(kill(pids[n], number) == 0);
}

static void listen_on_loopback(void)
{
    socklen_t size = sizeof address;

    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    MUST(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, MOST) == 0);
    MUST(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    /* All children wait for it, and one of them has the connection. */
    MUST(fcntl(listener, F_SETFL, O_NONBLOCK) == 0);
}

static struct smtptls_config *client(const char *ca, size_t keep, int version)
{
    struct smtptls_config *config = smtptls_config_new();

    MUST(smtptls_config_add_roots_file(config, ca) == SMTPTLS_OK);
    MUST(smtptls_config_set_client_sessions(config, keep) == SMTPTLS_OK);
    MUST(smtptls_config_set_max_version(config, version) == SMTPTLS_OK);
    MUST(smtptls_config_freeze(config) == SMTPTLS_OK);
    return config;
}

static void configure(char **argv)
{
    snprintf(pair, sizeof pair, "%s/pair.pem", argv[4]);
    snprintf(text_keys, sizeof text_keys, "%s/ticket.keys", argv[4]);
    snprintf(raw_keys, sizeof raw_keys, "%s/ticket.raw", argv[4]);
    snprintf(draft, sizeof draft, "%s/draft", argv[4]);
    change_files(argv + 2);
    server = smtptls_config_new();
    MUST(smtptls_config_set_hostname(server, "host.example") == SMTPTLS_OK);
    MUST(smtptls_config_add_keypair_file(server, pair, pair) == SMTPTLS_OK);
    MUST(smtptls_config_set_ticket_key_file(server, text_keys) == SMTPTLS_OK);
    MUST(smtptls_config_freeze(server) == SMTPTLS_OK);
    keeping[0] = client(argv[1], 1, SMTPTLS_TLS1_2);
    keeping[1] = client(argv[1], 1, SMTPTLS_TLS1_3);
    forgetting = client(argv[1], 0, SMTPTLS_TLS1_3);
}

static double share(long part, long whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

static void report(long sessions)
{
    long served = 0, fewest = sessions, changes = sessions, before = 0, after = 0, growth = -1000000;
    const long again = resumed[0] + resumed[1];
    int n;

    for (n = 0; n < children; n++) {
        const long grown = left[n].kib - warm[n].kib;
        served += left[n].served;
        faults += left[n].faults;
        fewest = left[n].served < fewest ? left[n].served : fewest;
        changes = left[n].changes < changes ? left[n].changes : changes;
        before += warm[n].kib;
        after += left[n].kib;
        growth = grown > growth ? grown : growth;
        CHECK(left[n].descriptors == warm[n].descriptors);
        CHECK(warm[n].served == WARM && warm[n].changes == WARM / 2);
    }
    printf("%d children: sessions %ld, failed %ld, share resumed %.3f (of those with a ticket: TLS 1.2 %.3f, TLS 1.3 "
           "%.3f), full with ECDSA %ld, with RSA %ld\n",
           children, sessions, faults, share(again, sessions), share(resumed[0], kept[0]), share(resumed[1], kept[1]),
           ecdsa, rsa);
    printf("each child: at least %ld sessions and %ld changes of keys; RSS %ld KiB warm, %ld KiB at the end, "
           "growth at most %ld KiB\n",
           fewest, changes, before / children, after / children, growth);
    CHECK(faults == 0 && served == sessions);
    CHECK(again * 5 > sessions * 3);
    CHECK(ecdsa > 0 && rsa > 0 && ecdsa + rsa == sessions - again);
    CHECK(changes > WARM / 2);
    CHECK(growth <= GROWTH);
}

int main(int argc, char **argv)
{
    const int before = open_descriptors();
    pid_t servers[MOST], clients[MOST];
    long sessions;
    int n, status;

    MUST(argc == 7);
    children = atoi(argv[5]);
    sessions = strtol(argv[6], NULL, 10);
    MUST(children > 0 && children <= MOST && sessions >= (WARM + 1L) * children);
    configure(argv);
    listen_on_loopback();
    MUST(pipe(results) == 0 && pipe(life) == 0 && pipe(gate_up) == 0 && pipe(gate_done) == 0);
    /* A signal that comes before its handler waits. */
    {
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGHUP);
        sigaddset(&signals, SIGUSR1);
        sigprocmask(SIG_BLOCK, &signals, NULL);
    }
    for (n = 0; n < 2 * children; n++) {
        const bool serves = n < children;
        const pid_t pid = fork();
        MUST(pid >= 0);
        if (pid == 0) {
            close(results[0]);
            close(life[1]);
            close(gate_up[1]);
            close(gate_done[1]);
            if (serves) {
                serve(n);
            } else {
                const int me = n - children;
                close(listener);
                be_client(me, sessions * (me + 1) / children - sessions * me / children);
            }
            fflush(NULL);
            _exit(failed);
        }
        (serves ? servers : clients)[n % children] = pid;
    }
    close(listener);
    close(life[0]);
    close(results[1]);
    close(gate_up[0]);
    close(gate_done[0]);

    /* Every child has one of these sessions, and all at once. */
    for (n = 1; n <= WARM; n++) {
        take_until(UP, (long)n * children);
        open_gate(gate_up);
        take_until(DONE, (long)n * children);
        if (n % 2 == 0) {
            change_files(argv + 2);
            signal_all(servers, SIGHUP);
            take_until(CHANGED, n / 2L * children);
        }
        if (n == WARM) {
            signal_all(servers, SIGUSR1);
            take_until(WARMED, children);
        }
        open_gate(gate_done);
    }
    while (counts[DONE] < sessions) {
        take_until(DONE, counts[DONE] + CHANGE < sessions ? counts[DONE] + CHANGE : sessions);
        change_files(argv + 2);
        signal_all(servers, SIGHUP);
    }
    for (n = 0; n < children; n++)
        CHECK(waitpid(clients[n], &status, 0) == clients[n] && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(life[1]);
    take_until(LEFT, children);
    for (n = 0; n < children; n++)
        CHECK(waitpid(servers[n], &status, 0) == servers[n] && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    report(sessions);
    close(results[0]);
    close(gate_up[1]);
    close(gate_done[1]);
    smtptls_config_free(server);
    smtptls_config_free(keeping[0]);
    smtptls_config_free(keeping[1]);
    smtptls_config_free(forgetting);
    CHECK(open_descriptors() == before);
    return failed;
}
