/* The client without its TLS: EHLO, STARTTLS, EHLO, NOOP, QUIT. Arguments: port, CA. 0 if all went well. */

#include "smtp.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

static int dial(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    struct timeval patience = {20, 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? fd : -1;
}

int main(int argc, char **argv)
{
    static struct smtp smtp;
    static char text[sizeof smtp.in];
    bool good = argc == 3 && tls_setup(argv + 2) && (smtp.fd = dial(argv[1])) >= 0 &&
                smtp_ask(&smtp, NULL, text) == 220 && smtp_ask(&smtp, "EHLO client.example.test", text) == 250 &&
                strcmp(text, "250 STARTTLS") == 0 && tls_start(&smtp);
    if (good) {
        /* RFC 3207 section 4.2: what was learnt before TLS is forgotten. */
        smtp.secure = true;
        good = smtp_ask(&smtp, "EHLO client.example.test", text) == 250 && smtp_ask(&smtp, "NOOP", text) == 250 &&
               smtp_ask(&smtp, "QUIT", text) == 221;
    }
    tls_close();
    return good ? 0 : 1;
}
