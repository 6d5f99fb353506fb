/* Memory runs out: each allocation that the library makes in a whole session fails once, and all from each on. By design
 * of Rust that ends the process with SIGABRT, unless it was aws-lc that asked. What must hold: nothing else ends it, start
 * says SMTPTLS_OK only when it is true, and no plaintext stands where TLS has to be. Arguments: CA, chain, key. */
#define _GNU_SOURCE
#include "support.h"

#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* -- allocation ------------------------------------------------------------------------------------------------ */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static uintptr_t code_start, code_end;
static long counted, fails_at;
static bool armed, fails_on;

/* Whether this call of the library has to fail. What libc and this program ask for never does. */
static bool fails(const void *caller)
{
    const uintptr_t at = (uintptr_t)caller;

    if (!armed || at < code_start || at >= code_end)
        return false;
    counted++;
    return fails_on ? counted >= fails_at : counted == fails_at;
}

#define FAILS fails(__builtin_return_address(0))

/* In place of libc's, for the library too. */
void *malloc(size_t size)
{
    return FAILS ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return FAILS ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return FAILS ? NULL : __libc_realloc(old, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *made = FAILS ? NULL : __libc_memalign(alignment, size);

    if (made)
        *out = made;
    return made ? 0 : ENOMEM;
}

/* The code of the object that has smtptls_version() in it. */
static int find_code(struct dl_phdr_info *info, size_t size, void *argument)
{
    const uintptr_t known = (uintptr_t)smtptls_version;
    int n;

    (void)size;
    (void)argument;
    for (n = 0; n < info->dlpi_phnum; n++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[n];
        uintptr_t start = info->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) && known >= start && known - start < part->p_memsz) {
            code_start = start;
            code_end = start + part->p_memsz;
        }
    }
    return 0;
}

/* -- one session ----------------------------------------------------------------------------------------------- */

#define SECRET "the message that nobody but the server may read"

/* What a child tells its parent, who outlives it. */
static struct report {
    long counted;
    /* How the client's start ended; 1 before that. */
    int code;
    char wrong[100];
    size_t sent[2];
    uint8_t wire[2][65536];
} *report;

#define SURE(what)                                                             \
    do {                                                                       \
        if (!(what) && !report->wrong[0])                                      \
            snprintf(report->wrong, sizeof report->wrong, "line %d: %s", __LINE__, #what); \
    } while (0)

/* As carry(), and keeps what was on the wire. */
static size_t move(struct smtptls_session *from, struct smtptls_session *to, int which)
{
    const uint8_t *data;
    size_t len = smtptls_session_output(from, &data), room = sizeof report->wire[which] - report->sent[which];

    memcpy(report->wire[which] + report->sent[which], data, len < room ? len : room);
    report->sent[which] += len < room ? len : room;
    return carry(from, to);
}

static bool goes_on(int code)
{
    return code >= SMTPTLS_WANT_RETRY && code < 0;
}

/* From the greeting to close_notify; a configuration and two sessions of it. */
static void whole_way(char **argv, int newest)
{
    struct smtptls_config *config = smtptls_config_new();
    struct smtptls_policy *policy = smtptls_policy_new(SMTPTLS_LEVEL_VERIFY);
    struct smtptls_session *client, *server;
    int ours = SMTPTLS_WANT_INPUT, theirs = SMTPTLS_WANT_INPUT, rounds;
    char got[sizeof SECRET];
    size_t len = 0;

    if (smtptls_config_add_roots_file(config, argv[1]) != SMTPTLS_OK ||
        smtptls_config_add_keypair_file(config, argv[2], argv[3]) != SMTPTLS_OK ||
        smtptls_config_set_max_version(config, newest) != SMTPTLS_OK || smtptls_config_freeze(config) != SMTPTLS_OK) {
        /* Less than all of it is of no use to anybody. */
        client = smtptls_session_client(config, policy, HOST);
        SURE(smtptls_session_start(client, SMTPTLS_FROM_HANDSHAKE, 0) < SMTPTLS_WANT_SIGNATURE);
        report->code = SMTPTLS_ERR_STATE;
        return;
    }
    client = smtptls_session_client(config, policy, HOST);
    server = smtptls_session_server(config, NULL);
    for (rounds = 0; rounds < 50 && (goes_on(ours) || goes_on(theirs)); rounds++) {
        if (goes_on(ours))
            ours = smtptls_session_start(client, SMTPTLS_FROM_GREETING, 0);
        move(client, server, 0);
        if (goes_on(theirs))
            theirs = smtptls_session_start(server, SMTPTLS_FROM_GREETING, 0);
        if (theirs == SMTPTLS_OK) {
            /* The EHLO inside TLS. */
            char line[100];
            if (smtptls_session_read(server, line, sizeof line) > 0)
                SURE(smtptls_session_write(server, "250 ok\r\n", 8, false) != 0);
        }
        move(server, client, 1);
    }
    report->code = ours;
    if (ours == SMTPTLS_OK) {
        SURE(smtptls_session_is_tls(client));
        SURE(smtptls_info_auth(smtptls_session_info(client)) == SMTPTLS_AUTH_PKIX);
        if (smtptls_session_write(client, SECRET, sizeof SECRET, false) == sizeof SECRET) {
            move(client, server, 0);
            while (len < sizeof got) {
                ptrdiff_t count = smtptls_session_read(server, got + len, sizeof got - len);
                if (count <= 0)
                    break;
                len += (size_t)count;
            }
            SURE(memcmp(got, SECRET, len) == 0);
        }
        (void)smtptls_session_close(client, SMTPTLS_CLOSE_SEND);
        move(client, server, 0);
    } else {
        SURE(smtptls_session_write(client, SECRET, sizeof SECRET, false) < 0);
        SURE(smtptls_session_error(client) != NULL || goes_on(ours));
        (void)smtptls_session_refuse(client);
        move(client, server, 0);
    }
    smtptls_session_free(client);
    smtptls_session_free(server);
    smtptls_policy_free(policy);
    smtptls_config_free(config);
}

/* -- the sweep ------------------------------------------------------------------------------------------------- */

static long faults, aborted, errors, well;

/* Says whether the session made so many allocations. */
static bool once(char **argv, int newest, long n, bool on)
{
    int status;
    pid_t pid;

    memset(report, 0, offsetof(struct report, wire));
    report->code = 1;
    pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        /* Rust says that memory ran out. */
        dup2(open("/dev/null", O_WRONLY), 2);
        alarm(20);
        fails_at = n;
        fails_on = on;
        armed = true;
        whole_way(argv, newest);
        armed = false;
        report->counted = counted;
        _exit(0);
    }
    MUST(waitpid(pid, &status, 0) == pid);
    if (WIFSIGNALED(status) ? WTERMSIG(status) != SIGABRT : WEXITSTATUS(status) != 0)
        snprintf(report->wrong, sizeof report->wrong, "it ended with status %#x", (unsigned)status);
    else if (!only_tls_behind_starttls(report->wire[0], report->sent[0], true) ||
             !only_tls_behind_starttls(report->wire[1], report->sent[1], false))
        snprintf(report->wrong, sizeof report->wrong, "plaintext behind STARTTLS");
    else if (memmem(report->wire[0], report->sent[0], SECRET, strlen(SECRET)))
        snprintf(report->wrong, sizeof report->wrong, "the message in plaintext");
    if (report->wrong[0]) {
        fprintf(stderr, "allocation %ld%s, version %x: %s\n", n, on ? " and all behind it" : "", (unsigned)newest,
                report->wrong);
        failed = 1;
    }
    if (WIFEXITED(status) && report->counted < n)
        return false;
    faults++;
    aborted += WIFSIGNALED(status);
    errors += WIFEXITED(status) && report->code != SMTPTLS_OK;
    well += WIFEXITED(status) && report->code == SMTPTLS_OK;
    return true;
}

int main(int argc, char **argv)
{
    static const int versions[] = {SMTPTLS_TLS1_2, SMTPTLS_TLS1_3};
    size_t version;
    long n;
    int on;

    MUST(argc == 4);
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(report != MAP_FAILED);
    /* Dying is quick without a core and without names for each frame. */
    unsetenv("RUST_BACKTRACE");
    MUST(setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) == 0);
    dl_iterate_phdr(find_code, NULL);
    MUST(code_end > code_start);
    for (version = 0; version < 2; version++)
        for (on = 0; on < 2; on++)
            for (n = 1; once(argv, versions[version], n, on == 1) && n < 100000; n++)
                ;
    /* The last one of each met no fault: there all went well. */
    CHECK(report->code == SMTPTLS_OK);
    printf("%ld allocations failed: %ld aborted, %ld errors, %ld went on\n", faults, aborted, errors, well);
    return failed;
}
