/* Makes system calls of the library fail.
 *
 * The library makes its system calls itself and not through libc, so there is nothing to preload. A seccomp filter
 * (seccomp(2)) goes by the place of the call instead: those made from the library's own code raise SIGSYS, and the
 * handler makes the call in its stead, or does what the test asked for. */
#define _GNU_SOURCE
#include "faults.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <link.h>
#include <signal.h>
#include <smtptls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

struct state {
    enum fault_call call;
    long n;
    int fault;
    bool armed, met;
    long calls[FAULT_CALLS];
    size_t sent_len;
    uint8_t sent[256 * 1024];
};

static __thread struct state state;
static long other_calls;

static void check(bool well, const char *what)
{
    if (!well) {
        perror(what);
        exit(2);
    }
}

static enum fault_call call_of(long number)
{
    switch (number) {
#ifdef SYS_poll
    case SYS_poll:
#endif
    case SYS_ppoll:
        return FAULT_POLL;
    case SYS_recvfrom:
    case SYS_recvmsg:
        return FAULT_RECV;
    case SYS_sendto:
    case SYS_sendmsg:
        return FAULT_SEND;
    case SYS_read:
    case SYS_readv:
        return FAULT_READ;
    case SYS_write:
    case SYS_writev:
        return FAULT_WRITE;
    default:
        return FAULT_CALLS;
    }
}

/* Does the call, with the fault if it is its turn, and says what the kernel would: a result or a negative errno. */
static long perform(long number, long *arguments)
{
    enum fault_call call = call_of(number);
    long result;

    if (call == FAULT_CALLS) {
        __atomic_add_fetch(&other_calls, 1, __ATOMIC_RELAXED);
    } else {
        state.calls[call]++;
        if (state.armed && call == state.call && (state.n == 0 || state.calls[call] == state.n)) {
            state.met = true;
            if (state.fault != FAULT_SHORT)
                return -state.fault;
            /* The third argument of each of these calls is the length. */
            if (arguments[2] > 1)
                arguments[2] = 1;
        }
    }
    result = syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
    if (result < 0)
        return -errno;
    if (number == SYS_sendto || number == SYS_write) {
        size_t room = sizeof state.sent - state.sent_len, taken = (size_t)result < room ? (size_t)result : room;
        memcpy(state.sent + state.sent_len, (const void *)arguments[1], taken);
        state.sent_len += taken;
    }
    return result;
}

static void on_system_call(int signal, siginfo_t *info, void *context)
{
    mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
    int saved = errno;

    (void)signal;
#if defined(__x86_64__)
    greg_t *registers = machine->gregs;
    long arguments[] = {registers[REG_RDI], registers[REG_RSI], registers[REG_RDX],
                        registers[REG_R10], registers[REG_R8],  registers[REG_R9]};
    registers[REG_RAX] = perform(info->si_syscall, arguments);
#elif defined(__aarch64__)
    long arguments[6], n;
    for (n = 0; n < 6; n++)
        arguments[n] = (long)machine->regs[n];
    machine->regs[0] = (unsigned long long)perform(info->si_syscall, arguments);
#else
#error "the registers of a system call are not known here"
#endif
    errno = saved;
}

struct range {
    uintptr_t start, end;
};

/* The code of the object that has smtptls_version() in it. */
static int find_code(struct dl_phdr_info *info, size_t size, void *argument)
{
    const uintptr_t known = (uintptr_t)smtptls_version;
    struct range *range = argument;
    int n;

    (void)size;
    for (n = 0; n < info->dlpi_phnum; n++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[n];
        uintptr_t start = info->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) && known >= start && known - start < part->p_memsz) {
            range->start = start;
            range->end = start + part->p_memsz;
            return 1;
        }
    }
    return 0;
}

/* Traps calls from a range whose ends have the same upper half. */
static size_t trap(struct sock_filter *filter, struct range range)
{
    const uint32_t high = offsetof(struct seccomp_data, instruction_pointer) + 4;
    const struct sock_filter part[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, high),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(range.start >> 32), 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, high - 4),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)range.start, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)(range.end - 1), 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };

    memcpy(filter, part, sizeof part);
    return sizeof part / sizeof *part;
}

void faults_install(void)
{
    struct sock_filter filter[16];
    struct sock_fprog program = {0, filter};
    struct sigaction action;
    struct range code = {0, 0};
    uintptr_t border;
    size_t len = 0;

    dl_iterate_phdr(find_code, &code);
    check(code.end > code.start, "the library's code");
    border = (code.end - 1) >> 32 << 32;
    if (code.start < border) {
        len += trap(filter + len, (struct range){code.start, border});
        code.start = border;
    }
    len += trap(filter + len, code);
    filter[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program.len = (unsigned short)len;

    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_system_call;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    check(sigaction(SIGSYS, &action, NULL) == 0, "sigaction");
    check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS");
    check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "PR_SET_SECCOMP");
}

void fault_arm(enum fault_call call, long n, int fault)
{
    state.call = call;
    state.n = n;
    state.fault = fault;
    state.armed = true;
    state.met = false;
    state.sent_len = 0;
    memset(state.calls, 0, sizeof state.calls);
}

void fault_disarm(void)
{
    state.armed = false;
}

bool fault_met(void)
{
    return state.met;
}

long fault_calls(enum fault_call call)
{
    return state.calls[call];
}

long fault_other_calls(void)
{
    return __atomic_load_n(&other_calls, __ATOMIC_RELAXED);
}

const uint8_t *fault_sent(size_t *len)
{
    *len = state.sent_len;
    return state.sent;
}
