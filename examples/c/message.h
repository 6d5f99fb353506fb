/* The text behind DATA, taken as it comes, and its way into a file. */

#ifndef MESSAGE_H
#define MESSAGE_H

#include "server.h"

/* The largest message, as RFC 1870 counts it. */
#define MESSAGE_SIZE (32u << 20)

enum text_at { LINE_START, DOT, DOT_CR, MIDDLE, CR };

struct text {
    enum text_at at;
    bool bare;   /* a CR or LF stood alone in it */
    bool failed; /* out of memory */
    size_t size; /* as RFC 1870 counts it: with CRLF */
    char *bytes; /* with LF at the end of lines */
    size_t used, room;
};

/* Takes one byte: whether the end is behind it. */
bool text_take(struct text *text, char byte);
/* Stores a message: whole as soon as it is there, and nothing is left half done when a signal comes. */
bool text_store(const struct dialogue *dialogue, const struct text *text);

#endif
