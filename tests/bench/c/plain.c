/* Plaintext: STARTTLS and its answer. */
#include "plain.h"

#include <string.h>
#include <sys/socket.h>

bool plain_write(int fd, const void *buf, size_t len, bool more)
{
    return send(fd, buf, len, MSG_NOSIGNAL | (more ? MSG_MORE : 0)) == (ssize_t)len;
}

bool plain_starttls(int fd, bool server)
{
    static const char ready[] = "220 2.0.0 Ready to start TLS\r\n", command[] = "STARTTLS\r\n";
    char answer[200];
    ssize_t count;

    if (server)
        return plain_write(fd, ready, sizeof ready - 1, false);
    if (!plain_write(fd, command, sizeof command - 1, false))
        return false;
    count = recv(fd, answer, sizeof answer, 0);
    return count > 5 && memcmp(answer, "220", 3) == 0 && answer[count - 1] == '\n';
}
