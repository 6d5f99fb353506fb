/* One connection of SMTP with STARTTLS, and the two sides of its dialogue. */
#ifndef SMTP_H
#define SMTP_H

#include "tls.h"

#include <stdbool.h>
#include <stddef.h>

struct smtp {
    int fd;
    struct tls *tls; /* NULL: still in plaintext */
    size_t have;     /* octets of `in` that are not used yet */
    size_t waiting;  /* octets of `out` that are not sent yet */
    char in[16384 + 16];
    char out[1024];
};

#define LINE 80 /* octets of a line of the body, with its CRLF */

struct message {
    size_t size;     /* octets of the body */
    size_t chunk;    /* octets of each write of it */
    bool more;       /* the library is told when more is coming */
    bool pipelining; /* RFC 2920: MAIL, RCPT and DATA at once, and QUIT with the end of the message */
};

/* Greeting, EHLO, STARTTLS, TLS, EHLO. */
bool smtp_open(struct smtp *smtp);

/* One message, QUIT, close_notify. */
bool smtp_send(struct smtp *smtp, const struct message *message);

/* A server's: from the greeting on, up to the answer to the EHLO inside TLS, or up to that to QUIT. */
bool smtp_serve_hello(struct smtp *smtp);
bool smtp_serve_rest(struct smtp *smtp);

#endif
