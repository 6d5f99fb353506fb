/* A client's half of SMTP and LMTP: what send and upgrade share. */

#ifndef CLIENT_H
#define CLIENT_H

#include "flags.h"
#include "wire.h"

/* After a failed start: QUIT at once, where the server can still hear it (RFC 3207 section 4.1). */
void refuse(struct wire *wire, struct smtptls_session *session, int code);
/* Prints the lines `tls: ` and `peer: ` of a session that has TLS. */
void show_tls(const struct smtptls_session *session);

/* All below but offers() and leave() return a negative code after they have complained. */

/* Reads a reply: its code, 200 to 599. */
int read_reply(struct wire *wire);
/* Sends a command, of less than LINE_MAX_OCTETS, and reads its reply. */
int command(struct wire *wire, const char *line);
/* 0 if the reply to `what` has this code, or also another 2yz. If the server refused, leaves. */
int wanted(struct wire *wire, int code, int reply, const char *what);
/* What follows this keyword on its line of the text of an EHLO reply; NULL if it is not there. */
const char *offers(const char *hello, const char *keyword);
/* Says QUIT and closes TLS. How the server takes it changes nothing. */
void leave(struct wire *wire);
/* Sends the message, prints `sent: ` and leaves. `reply` of the wire still is what EHLO was answered. */
int deliver(struct wire *wire, const struct options *options, const char *message, size_t length);

#endif
