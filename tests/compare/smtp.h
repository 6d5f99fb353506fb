/* What the four programs share: SMTP, one connection, and what each TLS part has to give. */

#ifndef SMTP_H
#define SMTP_H

#include <stdbool.h>
#include <stddef.h>

#define NAME "mail.example.test"

struct smtp {
    int fd;
    bool secure;   /* inside TLS */
    char in[4096]; /* what came and is not used */
    size_t have;
};

/* Moves a line, without its CRLF, to `line`, which has room for all of `in`. */
bool smtp_get(struct smtp *smtp, char *line);
bool smtp_put(struct smtp *smtp, const char *line);
/* A command and its reply, or only the reply: the code, or -1. `text`, with as much room, gets the last line. */
int smtp_ask(struct smtp *smtp, const char *command, char *text);

/* -- the TLS part ---------------------------------------------------------------------------------------------- */

/* Once, with what the program was started with: CA, or chain and key. */
bool tls_setup(char **files);
/* A client's: STARTTLS is offered; says it. A server's: STARTTLS was read; answers it. Then TLS, and its checks. */
bool tls_start(struct smtp *smtp);
/* How many bytes; 0 at the end; else negative. */
long tls_read(void *buf, size_t len);
long tls_write(const void *buf, size_t len);
/* Says close_notify, and frees everything. */
void tls_close(void);

#endif
