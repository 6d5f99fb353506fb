/* A server's half of SMTP (RFC 5321) and LMTP (RFC 2033); see server.h. */

#include "message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MOST_RECIPIENTS 1000

#define SYNTAX "501 5.5.4 Syntax error in parameters"
#define SEQUENCE "503 5.5.1 Bad sequence of commands"
#define PARAMETER "555 5.5.4 Parameter not recognized"

const char *const dialogue_extensions[] = {"8BITMIME", "SIZE 33554432", NULL};

void dialogue_begin(struct dialogue *dialogue, const struct server *server, int fd)
{
    memset(dialogue, 0, sizeof *dialogue);
    dialogue->server = server;
    dialogue->wire.fd = fd;
    dialogue->wire.action = SMTPTLS_ACTION_FAIL;
}

/* Takes a line such as `EHLO client.example`. The name will stand in a header, so it must be fit for that. */
static bool take_hello(struct dialogue *dialogue, const char *line)
{
    const char *name = strchr(line, ' ');
    name = name ? name + strspn(name, " ") : "";
    size_t length = 0;
    while (name[length] > ' ' && name[length] <= '~')
        length++;
    if (length == 0 || name[length + strspn(name + length, " ")])
        return false;
    snprintf(dialogue->hello, sizeof dialogue->hello, "%.*s", (int)length, name);
    dialogue->extended = strncasecmp(line, "HELO", 4) != 0;
    return true;
}

void dialogue_resume(struct dialogue *dialogue, const char *hello, const void *data, size_t length)
{
    struct wire *wire = &dialogue->wire;
    if (hello)
        take_hello(dialogue, hello);
    /* The library holds less than there is room for. */
    wire->have = length < sizeof wire->in ? length : sizeof wire->in;
    memcpy(wire->in, data, wire->have);
}

int dialogue_say(struct dialogue *dialogue, const char *format, ...)
{
    char reply[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(reply, sizeof reply - 2, format, arguments);
    va_end(arguments);
    strcpy(reply + length, "\r\n");
    dialogue->wire.by = now() + dialogue->server->timeout;
    return wire_write(&dialogue->wire, reply, (size_t)length + 2);
}

/* Reads what there is. A client that stays silent for too long is told so (RFC 5321 section 3.8). */
static int receive(struct dialogue *dialogue)
{
    int count = wire_fill(&dialogue->wire);
    if (count == SMTPTLS_ERR_TIMEOUT) {
        dialogue->wire.leaving = true;
        dialogue_say(dialogue, "421 4.4.2 Timeout, closing the connection");
        wire_close(&dialogue->wire);
    }
    return count ? count : broken(&dialogue->wire, SMTPTLS_ERR_EOF, "the client closed the connection without QUIT");
}

/* DATA and the text behind it. In LMTP each recipient has a reply (RFC 2033 section 4.2). */
static int data(struct dialogue *dialogue)
{
    struct wire *wire = &dialogue->wire;
    struct text text;
    memset(&text, 0, sizeof text); /* at LINE_START */
    int code = dialogue_say(dialogue, "354 End data with <CR><LF>.<CR><LF>");
    for (bool end = false; code >= 0 && !end;) {
        size_t used = 0;
        while (used < wire->have && !end)
            end = text_take(&text, wire->in[used++]);
        wire_drop(wire, used);
        wire->by = now() + dialogue->server->timeout;
        if (!end)
            code = receive(dialogue);
    }
    const char *reply = text.bare                      ? "550 5.6.11 CR and LF must come together"
                        : text.size > MESSAGE_SIZE     ? "552 5.3.4 Message too large"
                        : text.failed                  ? "452 4.3.1 Out of memory"
                        : code < 0                     ? ""
                        : text_store(dialogue, &text)  ? "250 2.0.0 OK: stored"
                                                       : "451 4.3.0 Cannot store the message";
    free(text.bytes);
    int replies = dialogue->server->protocol == SMTPTLS_PROTOCOL_LMTP ? dialogue->recipients : 1;
    while (code >= 0 && replies-- > 0)
        code = dialogue_say(dialogue, "%s", reply);
    dialogue->mail = false;
    dialogue->recipients = 0;
    return code;
}

/* -- commands -------------------------------------------------------------------------------------------------- */

/* The longest command (RFC 5321 section 4.5.3.1.4), and what it may grow to by the parameters of extensions. */
static size_t longest(const char *line)
{
    bool extended = strncasecmp(line, "MAIL ", 5) == 0 || strncasecmp(line, "RCPT ", 5) == 0;
    return extended ? LINE_MAX_OCTETS : 512;
}

/* Reads a command into `line`. Only CRLF ends it. 1, or 0 if it is too long or has a NUL, a bare CR or a bare LF. */
static int read_command(struct dialogue *dialogue)
{
    struct wire *wire = &dialogue->wire;
    bool too_long = false;
    wire->by = now() + dialogue->server->timeout;
    for (size_t at = 0;;) {
        while (at + 1 < wire->have && !(wire->in[at] == '\r' && wire->in[at + 1] == '\n'))
            at++;
        if (at + 1 < wire->have) {
            bool good = !too_long && at + 2 <= longest(wire->in) && !memchr(wire->in, '\r', at) &&
                        !memchr(wire->in, '\n', at) && !memchr(wire->in, 0, at);
            if (good)
                memcpy(dialogue->line, wire->in, at);
            dialogue->line[good ? at : 0] = 0;
            wire_drop(wire, at + 2);
            return good;
        }
        if (wire->have > LINE_MAX_OCTETS) {
            /* Of what is too long only its end is of interest, and that may begin with this octet. */
            too_long = true;
            wire_drop(wire, wire->have - 1);
            at = 0;
        }
        int count = receive(dialogue);
        if (count < 0)
            return count;
    }
}

/* The address in `FROM:<address> parameters`: its length, or -1. What follows it is put in `rest`. */
static int path(const char *keyword, char *text, char **rest)
{
    size_t length = strlen(keyword);
    if (strncasecmp(text, keyword, length) != 0)
        return -1;
    text += length + strspn(text + length, " "); /* a blank behind the colon is wrong, and common */
    if (*text++ != '<')
        return -1;
    bool quoted = false, has_quotes = false, has_blanks = false;
    char *end = text;
    for (; *end && (quoted || *end != '>'); end++) {
        if (*end == '\\' && quoted && end[1])
            end++;
        else if (*end == '"')
            quoted = !quoted, has_quotes = true;
        has_blanks = has_blanks || *end == ' ';
        if (*end < ' ' || *end > '~')
            return -1;
    }
    if (!*end || (has_blanks && !has_quotes) || (end[1] && end[1] != ' '))
        return -1;
    *rest = end + 1;
    return (int)(end - text);
}

static const char *mail(struct dialogue *dialogue, char *text)
{
    char *rest, *state = NULL;
    if (!dialogue->hello[0] || dialogue->mail)
        return SEQUENCE;
    if (path("FROM:", text, &rest) < 0)
        return SYNTAX;
    for (char *word = strtok_r(rest, " ", &state); word; word = strtok_r(NULL, " ", &state)) {
        if (strncasecmp(word, "SIZE=", 5) == 0) {
            if (!word[5] || strspn(word + 5, "0123456789") != strlen(word + 5))
                return SYNTAX;
            errno = 0;
            if (strtoul(word + 5, NULL, 10) > MESSAGE_SIZE || errno)
                return "552 5.3.4 Message too large";
        } else if (strncasecmp(word, "BODY=", 5) == 0) {
            if (strcasecmp(word + 5, "7BIT") != 0 && strcasecmp(word + 5, "8BITMIME") != 0)
                return SYNTAX;
        } else {
            return PARAMETER;
        }
    }
    dialogue->mail = true;
    return "250 2.1.0 OK";
}

static const char *recipient(struct dialogue *dialogue, char *text)
{
    char *rest;
    if (!dialogue->mail)
        return SEQUENCE;
    if (path("TO:", text, &rest) <= 0)
        return SYNTAX;
    if (rest[strspn(rest, " ")])
        return PARAMETER;
    if (dialogue->recipients >= MOST_RECIPIENTS)
        return "452 4.5.3 Too many recipients";
    dialogue->recipients++;
    return "250 2.1.5 OK";
}

static const char *hello(struct dialogue *dialogue)
{
    const struct server *server = dialogue->server;
    static char reply[1024];
    if (!take_hello(dialogue, dialogue->line))
        return "501 5.5.4 A host name is needed";
    dialogue->mail = false;
    dialogue->recipients = 0;
    if (!dialogue->extended) {
        snprintf(reply, sizeof reply, "250 %s", server->hostname);
        return reply;
    }
    int length = snprintf(reply, sizeof reply, "250-%s\r\n250-PIPELINING\r\n", server->hostname);
    for (const char *const *line = dialogue_extensions; *line; line++)
        length += snprintf(reply + length, sizeof reply - (size_t)length, "250-%s\r\n", *line);
    /* RFC 3207 section 4.2: STARTTLS is not offered inside TLS; nor where it cannot be had. */
    snprintf(reply + length, sizeof reply - (size_t)length, "%s250 ENHANCEDSTATUSCODES",
             dialogue->wire.tls || server->not_now ? "" : "250-STARTTLS\r\n");
    return reply;
}

/* Whether a command has to wait for TLS: all but these, where it is required (RFC 3207 section 4). The last three are
 * exempt by --exempt-more, without which there is no dialogue in clear on such a server. */
static bool wants_tls(const struct dialogue *dialogue, const char *verb, size_t length)
{
    static const char *const exempt[] = {"NOOP", "EHLO", "LHLO", "STARTTLS", "QUIT", "HELO", "HELP", "XCLIENT"};
    if (!dialogue->server->required || dialogue->wire.tls)
        return false;
    for (size_t n = 0; n < sizeof exempt / sizeof *exempt; n++)
        if (length == strlen(exempt[n]) && strncasecmp(verb, exempt[n], length) == 0)
            return false;
    return true;
}

int dialogue_run(struct dialogue *dialogue)
{
    bool lmtp = dialogue->server->protocol == SMTPTLS_PROTOCOL_LMTP;
    for (;;) {
        const char *reply = "500 5.5.2 Command unrecognized";
        int code = read_command(dialogue);
        if (code < 0)
            return code;
        char *verb = dialogue->line, *text = verb + strcspn(verb, " ");
        size_t length = (size_t)(text - verb);
        text += strspn(text, " ");
#define IS(name) (length == strlen(name) && strncasecmp(verb, name, length) == 0)
        if (code == 0)
            reply = "500 5.5.2 Line too long or malformed";
        else if (wants_tls(dialogue, verb, length))
            reply = "530 5.7.0 Must issue a STARTTLS command first";
        else if (lmtp ? IS("LHLO") : IS("EHLO") || IS("HELO"))
            reply = hello(dialogue);
        else if (IS("MAIL"))
            reply = mail(dialogue, text);
        else if (IS("RCPT"))
            reply = recipient(dialogue, text);
        else if (IS("DATA") && dialogue->recipients > 0 && !*text)
            reply = NULL;
        else if (IS("DATA"))
            reply = *text ? SYNTAX : SEQUENCE;
        else if (IS("STARTTLS"))
            return DIALOGUE_STARTTLS;
        else if ((IS("RSET") || IS("QUIT")) && *text)
            reply = SYNTAX;
        else if (IS("RSET"))
            dialogue->mail = false, dialogue->recipients = 0, reply = "250 2.0.0 OK";
        else if (IS("NOOP"))
            reply = "250 2.0.0 OK";
        else if (IS("HELP"))
            reply = "214 2.0.0 See RFC 5321";
        else if (IS("VRFY")) /* RFC 5321 section 7.3: neither yes nor no */
            reply = *text ? "252 2.1.5 Send some mail, I will try my best" : SYNTAX;
        else if (IS("EXPN") || IS("AUTH") || IS("XCLIENT"))
            reply = "502 5.5.1 Command not implemented";
        else if (IS("QUIT")) {
            code = dialogue_say(dialogue, "221 2.0.0 Bye");
            wire_close(&dialogue->wire);
            return code < 0 ? code : DIALOGUE_QUIT;
        }
#undef IS
        code = reply ? dialogue_say(dialogue, "%s", reply) : data(dialogue);
        if (code < 0)
            return code;
    }
}
