/* Lines and replies of SMTP, in clear and inside TLS. What is said inside TLS is printed: no other can see it. */

#include "smtp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

bool smtp_get(struct smtp *smtp, char *line)
{
    char *end;
    while (!(end = memchr(smtp->in, '\n', smtp->have))) {
        char *to = smtp->in + smtp->have;
        size_t room = sizeof smtp->in - smtp->have;
        long count = smtp->secure ? tls_read(to, room) : recv(smtp->fd, to, room, 0);
        if (count <= 0)
            return false;
        smtp->have += (size_t)count;
    }
    size_t length = (size_t)(end - smtp->in) + 1;
    if (length < 2 || end[-1] != '\r')
        return false;
    memcpy(line, smtp->in, length - 2);
    line[length - 2] = 0;
    smtp->have -= length;
    memmove(smtp->in, end + 1, smtp->have);
    if (smtp->secure)
        printf("got: %s\n", line);
    return true;
}

bool smtp_put(struct smtp *smtp, const char *line)
{
    char text[1024];
    int length = snprintf(text, sizeof text, "%s\r\n", line);
    if (smtp->secure)
        printf("put: %s\n", line);
    return (smtp->secure ? tls_write(text, (size_t)length)
                         : send(smtp->fd, text, (size_t)length, MSG_NOSIGNAL)) == length;
}

int smtp_ask(struct smtp *smtp, const char *command, char *text)
{
    if (command && !smtp_put(smtp, command))
        return -1;
    do
        if (!smtp_get(smtp, text) || strlen(text) < 3)
            return -1;
    while (text[3] == '-');
    return atoi(text);
}
