/* The server without its TLS: one connection, with STARTTLS. Arguments: chain, key. 0 if it ended with QUIT. */

#include "smtp.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

/* The connection of the first client. */
static int serve(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    struct timeval patience = {20, 0};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0)
        return -1;
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("port: %d\n", ntohs(address.sin_port));
    fflush(stdout);
    int fd = accept(listener, NULL, NULL);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

/* Answers a command. Whether there is to be another one. */
static bool answer(struct smtp *smtp, const char *line)
{
    if (strncmp(line, "EHLO ", 5) == 0 && smtp->secure) /* RFC 3207 section 4.2: not offered inside TLS */
        return smtp_put(smtp, "250 " NAME);
    if (strncmp(line, "EHLO ", 5) == 0)
        return smtp_put(smtp, "250-" NAME) && smtp_put(smtp, "250 STARTTLS");
    if (strcmp(line, "NOOP") == 0)
        return smtp_put(smtp, "250 2.0.0 OK");
    if (strcmp(line, "STARTTLS") != 0 || smtp->secure)
        return smtp_put(smtp, "502 5.5.1 Command not implemented");
    if (tls_start(smtp))
        return smtp->secure = true;
    /* Was it because of what came behind STARTTLS? It is not to be run, in clear or inside TLS. */
    if (smtp->have > 0)
        smtp_put(smtp, "554 5.5.0 Input behind STARTTLS");
    return false;
}

int main(int argc, char **argv)
{
    static struct smtp smtp;
    static char line[sizeof smtp.in];
    bool quit = false, going_on = argc == 3 && tls_setup(argv + 1) && (smtp.fd = serve()) >= 0 &&
                                  smtp_put(&smtp, "220 " NAME " ESMTP");
    while (going_on && !quit && smtp_get(&smtp, line)) {
        quit = strcmp(line, "QUIT") == 0;
        going_on = quit ? smtp_put(&smtp, "221 2.0.0 Bye") : answer(&smtp, line);
    }
    tls_close();
    return quit && smtp.secure ? 0 : 1;
}
