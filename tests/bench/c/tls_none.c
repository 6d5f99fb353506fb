/* No TLS at all: the same dialogue in plaintext, and so what no TLS library can save. */
#include "plain.h"
#include "tls.h"

#include <stdint.h>
#include <sys/socket.h>

static bool server;

bool tls_setup(const struct tls_settings *settings)
{
    server = settings->server;
    return true;
}

/* The descriptor stands in the pointer; 0 is never one of a session. */
static int descriptor(struct tls *tls)
{
    return (int)(intptr_t)tls;
}

struct tls *tls_start(int fd)
{
    return plain_starttls(fd, server) ? (struct tls *)(intptr_t)fd : NULL;
}

long tls_read(struct tls *tls, void *buf, size_t len)
{
    return recv(descriptor(tls), buf, len, 0);
}

bool tls_write(struct tls *tls, const void *buf, size_t len, bool more)
{
    return plain_write(descriptor(tls), buf, len, more);
}

bool tls_resumed(struct tls *tls)
{
    (void)tls;
    return false;
}

void tls_end(struct tls *tls)
{
    (void)tls;
}

const char *tls_version(void)
{
    return "no TLS";
}
