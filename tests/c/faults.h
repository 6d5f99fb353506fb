/* Makes system calls of the library fail: see faults.c. */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The calls that can be made to fail. */
enum fault_call { FAULT_POLL, FAULT_RECV, FAULT_SEND, FAULT_READ, FAULT_WRITE, FAULT_CALLS };

/* Instead of an errno: the call takes or gives one octet only. */
#define FAULT_SHORT (-1)

/* Puts itself before the system calls of the library, once and for all threads of the process. */
void faults_install(void);

/* The n-th call of this kind by this thread, from 1 and counted from now, fails with this errno or FAULT_SHORT; 0 is
 * every one of them. What the library sends from now on is kept. */
void fault_arm(enum fault_call call, long n, int fault);

/* No more faults in this thread. */
void fault_disarm(void);

/* Whether the fault came. */
bool fault_met(void);

/* How many calls of this kind there were since fault_arm(). */
long fault_calls(enum fault_call call);

/* How many system calls the library has made, in all threads, that are none of these kinds. */
long fault_other_calls(void);

/* What the library has sent in this thread since fault_arm(), as the kernel took it. */
const uint8_t *fault_sent(size_t *len);

#endif
