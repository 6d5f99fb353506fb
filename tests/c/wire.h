/* What may stand on the wire: judged of the octets of one direction. */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* After STARTTLS of a client, and after the second 220 of a server, there is nothing but TLS records (RFC 8446 section
 * 5.1); the last one may be cut off. */
static inline bool only_tls_behind_starttls(const uint8_t *sent, size_t len, bool client)
{
    size_t at = 0;
    int greetings = 0;

    for (;;) {
        const uint8_t *end = memchr(sent + at, '\n', len - at);
        const char *start = (const char *)sent + at;
        if (!end)
            return true; /* It did not come so far. */
        at = (size_t)(end - sent) + 1;
        greetings += strncmp(start, "220", 3) == 0;
        if (client ? strncmp(start, "STARTTLS\r\n", 10) == 0 : greetings == 2)
            break;
    }
    while (at + 5 <= len) {
        if (sent[at] < 20 || sent[at] > 23 || sent[at + 1] != 3)
            return false;
        at += 5 + (size_t)(sent[at + 3] << 8 | sent[at + 4]);
    }
    return at >= len || (sent[at] >= 20 && sent[at] <= 23);
}

#endif
