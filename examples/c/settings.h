/* The flags of serve, and what is made of them: configuration, policy, and what all connections share. */

#ifndef SETTINGS_H
#define SETTINGS_H

#include "server.h"

struct settings {
    struct server server;
    struct smtptls_config *config;
    struct smtptls_policy *policy;
    const char *port;
    const char *cert, *key, *ocsp; /* a pair of our own, or NULL */
    const char *client_ca, *ticket_keys, *service;
    int client_auth;
    bool client_auth_names;
    int tickets;      /* -1: what the library has */
    int64_t lifetime; /* of a ticket in seconds; -1: what the library has */
    char **repeated;  /* the flags that may be given several times, each with its value, and NULL */
};

/* Reads the flags. 0, or what the program is to exit with after it has complained. */
int read_settings(int argc, char **argv, struct settings *settings);
/* Makes configuration and policy. A negative code after it has complained. */
int make_config(struct settings *settings);
void free_settings(struct settings *settings);

#endif
