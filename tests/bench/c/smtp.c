/* The dialogue of SMTP: a client's and a server's side, which answers what waits and then reads on. */
#include "smtp.h"

#include "plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define END ".\r\n"

static bool put(struct smtp *smtp, const void *text, size_t len, bool more)
{
    return smtp->tls ? tls_write(smtp->tls, text, len, more) : plain_write(smtp->fd, text, len, more);
}

static bool say(struct smtp *smtp, const char *text)
{
    return put(smtp, text, strlen(text), false);
}

/* Reads more, behind what is there. */
static bool fill(struct smtp *smtp)
{
    char *to = smtp->in + smtp->have;
    const size_t room = sizeof smtp->in - smtp->have;
    const long count = smtp->tls ? tls_read(smtp->tls, to, room) : recv(smtp->fd, to, room, 0);

    if (count > 0)
        smtp->have += (size_t)count;
    return count > 0;
}

static void drop(struct smtp *smtp, size_t len)
{
    smtp->have -= len;
    memmove(smtp->in, smtp->in + len, smtp->have);
}

/* The length of the line that has come, with its LF; else 0. */
static size_t line_length(const struct smtp *smtp)
{
    const char *end = memchr(smtp->in, '\n', smtp->have);

    return end ? (size_t)(end - smtp->in) + 1 : 0;
}

/* -- the client ------------------------------------------------------------------------------------------------ */

/* A whole reply, and whether it is this one. */
static bool expect(struct smtp *smtp, const char *code)
{
    for (;;) {
        const size_t length = line_length(smtp);
        if (length >= 4) {
            const bool last = smtp->in[3] == ' ', good = memcmp(smtp->in, code, 3) == 0;
            if (!good)
                fprintf(stderr, "not %s: %.*s", code, (int)length, smtp->in);
            drop(smtp, length);
            if (!good || last)
                return good;
        } else if (!fill(smtp)) {
            fprintf(stderr, "no %s\n", code);
            return false;
        }
    }
}

bool smtp_open(struct smtp *smtp)
{
    return expect(smtp, "220") && say(smtp, "EHLO client.example.test\r\n") && expect(smtp, "250") &&
           (smtp->tls = tls_start(smtp->fd)) && say(smtp, "EHLO client.example.test\r\n") && expect(smtp, "250");
}

/* The body and its end, in writes of a chunk; what is small leaves with the end. */
static bool send_body(struct smtp *smtp, const struct message *message, const char *end)
{
    static char lines[65536 + LINE];
    size_t left = message->size, at = 0, n;

    if (lines[0] == 0) {
        memset(lines, 'x', sizeof lines);
        for (n = LINE; n <= sizeof lines; n += LINE)
            memcpy(lines + n - 2, "\r\n", 2);
    }
    while (left >= message->chunk) {
        if (!put(smtp, lines + at, message->chunk, message->more))
            return false;
        left -= message->chunk;
        at = (at + message->chunk) % LINE;
    }
    {
        char last[65536 + 32];
        memcpy(last, lines + at, left);
        memcpy(last + left, end, strlen(end));
        return put(smtp, last, left + strlen(end), false);
    }
}

bool smtp_send(struct smtp *smtp, const struct message *message)
{
    static const char from[] = "MAIL FROM:<alice@client.example.test>\r\n", to[] = "RCPT TO:<bob@" NAME ">\r\n",
                      both[] = "MAIL FROM:<alice@client.example.test>\r\nRCPT TO:<bob@" NAME ">\r\nDATA\r\n";
    bool good;

    if (message->pipelining)
        good = say(smtp, both) && expect(smtp, "250") && expect(smtp, "250") && expect(smtp, "354") &&
               send_body(smtp, message, END "QUIT\r\n") && expect(smtp, "250") && expect(smtp, "221");
    else
        good = say(smtp, from) && expect(smtp, "250") && say(smtp, to) && expect(smtp, "250") &&
               say(smtp, "DATA\r\n") && expect(smtp, "354") && send_body(smtp, message, END) &&
               expect(smtp, "250") && say(smtp, "QUIT\r\n") && expect(smtp, "221");
    return good;
}

/* -- the server ------------------------------------------------------------------------------------------------ */

static bool answer(struct smtp *smtp, const char *text)
{
    const size_t len = strlen(text);

    memcpy(smtp->out + smtp->waiting, text, len);
    smtp->waiting += len;
    return true;
}

/* Sends the answers before it waits for what comes next. */
static bool turn(struct smtp *smtp)
{
    const size_t len = smtp->waiting;

    smtp->waiting = 0;
    return (len == 0 || put(smtp, smtp->out, len, false)) && fill(smtp);
}

/* The body up to its end, which is sought only where it can be: before the last octets that came. */
static bool take_body(struct smtp *smtp)
{
    static const char end[] = "\r\n" END;

    for (;;) {
        const size_t tail = smtp->have < 16 ? smtp->have : 16;
        const char *from = smtp->in + smtp->have - tail;
        const char *found = memmem(from, tail, end, sizeof end - 1);
        if (found) {
            drop(smtp, (size_t)(found - smtp->in) + sizeof end - 1);
            return answer(smtp, "250 2.0.0 OK\r\n");
        }
        memmove(smtp->in, from, tail);
        smtp->have = tail;
        if (!turn(smtp))
            return false;
    }
}

/* One command; the letter that it begins with, or 0. */
static char serve(struct smtp *smtp)
{
    size_t length;
    char letter;
    bool good;

    while ((length = line_length(smtp)) == 0)
        if (!turn(smtp))
            return 0;
    letter = smtp->in[0];
    drop(smtp, length);
    switch (letter) {
    case 'E':
        good = answer(smtp, smtp->tls ? "250-" NAME "\r\n250 PIPELINING\r\n" : "250-" NAME "\r\n250 STARTTLS\r\n");
        break;
    case 'S':
        good = smtp->waiting == 0 && smtp->have == 0 && (smtp->tls = tls_start(smtp->fd));
        break;
    case 'D':
        good = answer(smtp, "354 End with a dot\r\n") && turn(smtp) && take_body(smtp);
        break;
    case 'Q':
        good = answer(smtp, "221 2.0.0 Bye\r\n");
        break;
    default:
        good = answer(smtp, "250 2.1.0 OK\r\n");
    }
    return good ? letter : 0;
}

static bool flush(struct smtp *smtp)
{
    const size_t len = smtp->waiting;

    smtp->waiting = 0;
    return put(smtp, smtp->out, len, false);
}

bool smtp_serve_hello(struct smtp *smtp)
{
    answer(smtp, "220 " NAME " ESMTP\r\n");
    return serve(smtp) == 'E' && serve(smtp) == 'S' && serve(smtp) == 'E' && flush(smtp);
}

bool smtp_serve_rest(struct smtp *smtp)
{
    char letter;

    do
        letter = serve(smtp);
    while (letter != 0 && letter != 'Q');
    return letter == 'Q' && flush(smtp);
}
