/* What the library does to its process: nothing. From the first call on, the kernel ends the program if anything opens a
 * file or makes a descriptor, a process, a thread, or a signal handler; with a configuration from memory, whole sessions
 * need none of it. Arguments: CA, chain, key. The status is the line of what failed. Not under valgrind, which knows no
 * seccomp. */
#define _GNU_SOURCE
#include "support.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static const int forbidden[] = {
    SYS_openat, SYS_openat2, SYS_readlinkat, SYS_faccessat, SYS_statx, SYS_getdents64, SYS_execve,
    SYS_socket, SYS_socketpair, SYS_connect, SYS_bind, SYS_pipe2, SYS_dup, SYS_dup3, SYS_fcntl, SYS_close,
    SYS_eventfd2, SYS_epoll_create1, SYS_inotify_init1, SYS_memfd_create, SYS_timerfd_create, SYS_signalfd4,
    SYS_clone, SYS_clone3, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_setitimer, SYS_kill, SYS_tgkill,
    SYS_write, SYS_writev, SYS_read, SYS_readv, SYS_ioctl,
#ifdef SYS_open
    SYS_open, SYS_creat, SYS_stat, SYS_access, SYS_readlink, SYS_pipe, SYS_dup2, SYS_fork, SYS_vfork, SYS_alarm,
#endif
};

/* Any of these ends the process with SIGSYS. */
static void forbid(void)
{
    enum { COUNT = sizeof forbidden / sizeof *forbidden };
    struct sock_filter filter[COUNT + 3];
    struct sock_fprog program = {COUNT + 3, filter};
    unsigned char n;

    filter[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (n = 0; n < COUNT; n++)
        filter[n + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)forbidden[n],
                                                     (unsigned char)(COUNT - n), 0);
    filter[COUNT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[COUNT + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

struct text {
    char at[20000];
    size_t len;
};

static void load(struct text *text, const char *file)
{
    FILE *stream = fopen(file, "r");

    MUST(stream != NULL);
    text->len = fread(text->at, 1, sizeof text->at, stream);
    fclose(stream);
}

/* The line of the first failure becomes the status: nothing can be printed here. */
#define SEE(what) (failed = failed ? failed : (what) ? 0 : __LINE__)

static void in_memory(struct smtptls_config *config, int entry, const char *host, int wanted)
{
    struct smtptls_session *client = smtptls_session_client(config, NULL, host);
    struct smtptls_session *server = smtptls_session_server(config, NULL);
    char buf[10];

    SEE(meet(client, server, entry) == wanted);
    SEE(smtptls_session_info(client) != NULL);
    if (wanted == SMTPTLS_OK && entry == SMTPTLS_FROM_HANDSHAKE) {
        SEE(smtptls_session_write(client, "QUIT\r\n", 6, false) == 6);
        carry(client, server);
        SEE(smtptls_session_read(server, buf, sizeof buf) == 6);
        SEE(smtptls_session_close(server, SMTPTLS_CLOSE_SEND) == SMTPTLS_WANT_OUTPUT);
    } else if (wanted != SMTPTLS_OK) {
        SEE(*smtptls_error_message(smtptls_session_error(client)) != 0);
        SEE(smtptls_session_refuse(client) <= 0);
    }
    smtptls_session_free(client);
    smtptls_session_free(server);
}

/* Over descriptors: two sessions that do not wait, in one thread. */
static void over(struct smtptls_config *config, const int fds[2])
{
    struct smtptls_session *client = smtptls_session_client(config, NULL, HOST);
    struct smtptls_session *server = smtptls_session_server(config, NULL);
    int ours = SMTPTLS_WANT_INPUT, theirs = SMTPTLS_WANT_INPUT, rounds;

    SEE(smtptls_session_attach(client, fds[0], fds[0], SMTPTLS_MODE_NONBLOCKING) == SMTPTLS_OK);
    SEE(smtptls_session_attach(server, fds[1], fds[1], SMTPTLS_MODE_NONBLOCKING) == SMTPTLS_OK);
    for (rounds = 0; rounds < 100 && (ours != SMTPTLS_OK || theirs != SMTPTLS_OK); rounds++) {
        if (ours != SMTPTLS_OK)
            ours = smtptls_session_start(client, SMTPTLS_FROM_HANDSHAKE, 0);
        if (theirs != SMTPTLS_OK)
            theirs = smtptls_session_start(server, SMTPTLS_FROM_HANDSHAKE, 0);
    }
    SEE(ours == SMTPTLS_OK && theirs == SMTPTLS_OK);
    SEE(smtptls_session_close(client, SMTPTLS_CLOSE_SEND) == SMTPTLS_OK);
    smtptls_session_free(client);
    smtptls_session_free(server);
}

int main(int argc, char **argv)
{
    static struct text roots, chain, key;
    struct smtptls_config *config;
    int fds[2];

    MUST(argc == 4);
    load(&roots, argv[1]);
    load(&chain, argv[2]);
    load(&key, argv[3]);
    socket_pair(fds);
    forbid();
    /* The host's own name is found out on the way; it comes from uname(2). */
    config = smtptls_config_new();
    SEE(smtptls_config_add_roots_pem(config, roots.at, roots.len) == SMTPTLS_OK);
    SEE(smtptls_config_add_keypair_pem(config, chain.at, chain.len, key.at, key.len) == SMTPTLS_OK);
    SEE(smtptls_config_freeze(config) == SMTPTLS_OK);
    in_memory(config, SMTPTLS_FROM_HANDSHAKE, HOST, SMTPTLS_OK);
    in_memory(config, SMTPTLS_FROM_HANDSHAKE, "other.example", SMTPTLS_ERR_CERT_NAME);
    over(config, fds);
    smtptls_config_free(config);
    _exit(failed);
}
