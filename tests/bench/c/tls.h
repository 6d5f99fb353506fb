/* What a TLS library has to give the drivers: tls_smtptls.c, tls_openssl.c and tls_gnutls.c, each as a mail server uses
 * that library; tls_none.c for no TLS at all; the crates in ../rust for rustls and for the engine without the C library. */
#ifndef TLS_H
#define TLS_H

#include <stdbool.h>
#include <stddef.h>

#define NAME "mail.example.test"

struct tls_settings {
    bool server;
    bool resume;         /* a client: each session goes on with the one before */
    bool same;           /* X25519 and AES-128-GCM whatever the library prefers: the same sums for all */
    bool lean;           /* a library that can gives back the buffers of an idle session */
    bool limits;         /* a library that has limits of time keeps to them; the others wait for ever */
    int version;         /* 12 or 13 */
    const char *ca;      /* a client's: a PEM file */
    const char *chain;   /* a server's, in PEM */
    const char *key;     /* a server's, in PEM; NULL: chain has many pairs, and SNI chooses */
    const char *name;    /* a client's: SNI, and the name to verify */
};

struct tls;

/* Makes what lives as long as the process. Says on stderr what is wrong. */
bool tls_setup(const struct tls_settings *settings);

/* A client's: says STARTTLS, and TLS with its checks. A server's: answers the STARTTLS that was read. NULL if it failed. */
struct tls *tls_start(int fd);

/* How many bytes; 0 at the end; else negative. */
long tls_read(struct tls *tls, void *buf, size_t len);

/* All of buf, or it has failed. With more, they may wait for those of the next write. */
bool tls_write(struct tls *tls, const void *buf, size_t len, bool more);

bool tls_resumed(struct tls *tls);

/* Says close_notify, and frees the session. */
void tls_end(struct tls *tls);

/* Name and version of the library. */
const char *tls_version(void);

#endif
