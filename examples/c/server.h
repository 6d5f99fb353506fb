/* A server's half of SMTP and LMTP, the same in clear and inside TLS. */

#ifndef SERVER_H
#define SERVER_H

#include "wire.h"

/* What all connections share. */
struct server {
    char hostname[256];
    const char *store; /* a directory, or NULL: messages are taken and dropped */
    int protocol;
    uint32_t timeout;     /* milliseconds of silence */
    const char *greeting; /* the text behind the name, or NULL */
    bool required;        /* TLS is */
    bool exempt_more;     /* and HELO, HELP and XCLIENT go without */
    bool not_now;         /* TLS cannot be had for now */
    bool discard;         /* drop what a client sends behind STARTTLS, in place of 554 */
};

/* One connection's dialogue. */
struct dialogue {
    const struct server *server;
    struct wire wire;
    char line[LINE_MAX_OCTETS];  /* the last command */
    char hello[LINE_MAX_OCTETS]; /* the client's name; empty until it is said */
    bool extended;               /* said with EHLO or LHLO */
    bool mail;                   /* there was a MAIL */
    int recipients;              /* since then */
};

enum { DIALOGUE_QUIT, DIALOGUE_STARTTLS };

/* What EHLO lists besides PIPELINING, ENHANCEDSTATUSCODES and STARTTLS. */
extern const char *const dialogue_extensions[];

/* A dialogue in clear that knows nothing of what was before it. */
void dialogue_begin(struct dialogue *dialogue, const struct server *server, int fd);
/* Takes over in the middle: what the client said first, such as `EHLO client.example` or NULL, and what came. */
void dialogue_resume(struct dialogue *dialogue, const char *hello, const void *data, size_t length);
/* Answers commands until QUIT, or until STARTTLS, which stands in `line` and was not answered. Or a negative code. */
int dialogue_run(struct dialogue *dialogue);
/* Sends a reply. */
int dialogue_say(struct dialogue *dialogue, const char *format, ...);

#endif
