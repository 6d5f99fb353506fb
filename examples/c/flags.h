/* The flags of send and upgrade, and what is made of them: configuration, policy, exit status. */

#ifndef FLAGS_H
#define FLAGS_H

#include <smtptls.h>

#include <stddef.h>
#include <stdint.h>

struct options {
    const char *host, *port, *from, *to;
    const char *name;     /* of the server, which the policy is about; the host unless it is given */
    const char *ca, *sni; /* NULL: the system's store; the name */
    const char *user, *password;
    const char *cert, *key; /* our own, for servers that ask for a certificate */
    const char *next_hop, *expanded, *mx; /* the domain that mail is for, and how its MX records were found */
    const char *address, *tlsa, *base;    /* how addresses and TLSA records were found, and for which name */
    const char *sts;                      /* a file */
    int level, protocol;
    bool common_names;
    uint32_t timeout; /* milliseconds */
    char **repeated;  /* the flags that may be given several times, each with its value, and NULL */
};

typedef int send_function(const struct options *options, struct smtptls_config *config,
                          struct smtptls_policy *policy, const char *message, size_t length);
/* What main does: reads the flags and the message, makes configuration and policy, and gives the exit status. */
int run(int argc, char **argv, send_function *send_message);

#endif
