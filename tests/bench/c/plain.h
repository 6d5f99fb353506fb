/* Plaintext: what a library that knows no STARTTLS needs its program for. */
#ifndef PLAIN_H
#define PLAIN_H

#include <stdbool.h>
#include <stddef.h>

bool plain_write(int fd, const void *buf, size_t len, bool more);

/* A client says STARTTLS and reads 220; a server says 220. */
bool plain_starttls(int fd, bool server);

#endif
