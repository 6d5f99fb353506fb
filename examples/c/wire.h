/* A connection with deadlines, in clear or inside TLS, and error lines: what all three programs share. */

#ifndef WIRE_H
#define WIRE_H

#include <smtptls.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_MAX_OCTETS 2048
#define REPLY_MAX_LINES 100

/* A connection, in clear or inside TLS. */
struct wire {
    int fd;
    struct smtptls_session *tls; /* NULL: in clear */
    int64_t by;                  /* reads and writes have to be done by then, see now() */
    int action;                  /* what follows from a failure, one of enum smtptls_action */
    bool leaving;                /* nothing that fails matters any more */
    size_t have;                 /* how many bytes came and are not used */
    char in[64 * 1024];
    char reply[REPLY_MAX_LINES * LINE_MAX_OCTETS]; /* a client's last, its lines joined by '\n' */
};

/* Prints a line `error: ` and returns the code. */
int complain(int code, int action, const char *tlsrpt, const char *format, ...);
/* The same for an error of the library. */
int complain_about(const struct smtptls_error *error);
/* The same for a failure of the connection, unless nothing matters any more. */
int broken(const struct wire *wire, int code, const char *format, ...);
/* Text from the peer, fit for a log and a terminal, and cut where it gets long. Static. */
const char *escape(const char *text);

/* What is left until then, for the library, which takes 0 for no limit. */
uint32_t wire_left(const struct wire *wire);
/* Milliseconds on a clock that nobody sets. */
int64_t now(void);
/* Seconds, with or without a fraction, as milliseconds; 0 if the text is none. */
uint32_t milliseconds(const char *text);

/* What returns an int below returns a negative code after it has complained. */

/* Makes a socket fit for a wire: without delays, and without waiting. */
void wire_prepare(int fd);
/* Connects. Nothing but the name lookup can take longer than until `by`. */
int wire_connect(const char *host, const char *port, int64_t by);
/* Reads what there is behind what `in` has: how many bytes, 0 at the end. There must be room. */
int wire_fill(struct wire *wire);
int wire_write(struct wire *wire, const void *data, size_t length);
/* Drops the first bytes of `in`. */
void wire_drop(struct wire *wire, size_t count);
/* Says close_notify if there is TLS. */
void wire_close(struct wire *wire);
/* From now on nothing that fails matters, and the peer has little time left. */
void wire_leaving(struct wire *wire);
/* Lets the peer read our last words: to close a socket with input unread would tear them up. TLS is over. */
void wire_linger(struct wire *wire);

#endif
