/* A client's half of SMTP (RFC 5321) and LMTP (RFC 2033); see client.h. */

#include "client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Moves a line to `out`, which has LINE_MAX_OCTETS, without its CRLF: its length. */
static int read_line(struct wire *wire, char *out)
{
    const char *end;
    while ((end = (const char *)memchr(wire->in, '\n', wire->have)) == NULL) {
        if (wire->have >= LINE_MAX_OCTETS)
            break;
        int count = wire_fill(wire);
        if (count < 0)
            return count;
        if (count == 0)
            return broken(wire, SMTPTLS_ERR_EOF, "the server closed the connection before it answered");
    }
    size_t length = end ? (size_t)(end - wire->in) + 1 : wire->have;
    if (length > LINE_MAX_OCTETS || !end)
        return broken(wire, SMTPTLS_ERR_TOO_LONG, "the server's line is longer than %d octets", LINE_MAX_OCTETS);
    memcpy(out, wire->in, length);
    wire_drop(wire, length);
    if (length < 2 || memchr(out, 0, length) || memchr(out, '\r', length) != out + length - 2)
        return broken(wire, SMTPTLS_ERR_SMTP_SYNTAX, "the server's line has a NUL, a bare CR or a bare LF in it");
    out[length - 2] = 0;
    return (int)length - 2;
}

int read_reply(struct wire *wire)
{
    char *at = wire->reply;
    for (int lines = 0; lines < REPLY_MAX_LINES; lines++) {
        int length = read_line(wire, at);
        if (length < 0)
            return length;
        /* The code is three digits; then the line ends, or a blank follows, or a hyphen if more lines do. */
        if (length < 3 || strspn(at, "0123456789") != 3 || *at < '2' || *at > '5' || (at[3] && !strchr(" -", at[3])))
            return broken(wire, SMTPTLS_ERR_SMTP_SYNTAX, "the server's line is no reply: \"%s\"", escape(at));
        if (strncmp(at, wire->reply, 3) != 0)
            return broken(wire, SMTPTLS_ERR_SMTP_SYNTAX, "the server's reply changes its code in the middle: \"%s\"",
                          escape(at));
        if (at[3] != '-')
            return (at[0] - '0') * 100 + (at[1] - '0') * 10 + (at[2] - '0');
        at[length] = '\n';
        at += length + 1;
    }
    return broken(wire, SMTPTLS_ERR_TOO_LONG, "the server's reply has more than %d lines", REPLY_MAX_LINES);
}

int command(struct wire *wire, const char *line)
{
    char text[LINE_MAX_OCTETS + 3];
    /* What came before the question is not its answer. */
    if (wire->have > 0)
        return broken(wire, SMTPTLS_ERR_UNSOLICITED, "the server sent a reply that nobody had asked for");
    int length = snprintf(text, sizeof text, "%s\r\n", line);
    int code = wire_write(wire, text, (size_t)length);
    return code < 0 ? code : read_reply(wire);
}

void leave(struct wire *wire)
{
    wire_leaving(wire);
    command(wire, "QUIT");
    wire_close(wire);
}

int wanted(struct wire *wire, int code, int reply, const char *what)
{
    if (reply < 0 || reply == code || (reply / 100 == 2 && code / 100 == 2))
        return reply < 0 ? reply : SMTPTLS_OK;
    if (reply < 400)
        return broken(wire, SMTPTLS_ERR_SMTP_SYNTAX, "the server's reply makes no sense behind %s: \"%s\"", what,
                      escape(wire->reply));
    broken(wire, SMTPTLS_ERR_REFUSED, "the server refused %s: \"%s\"", what, escape(wire->reply));
    if (reply != 421) /* that one is goodbye already */
        leave(wire);
    return SMTPTLS_ERR_REFUSED;
}

void refuse(struct wire *wire, struct smtptls_session *session, int code)
{
    /* TLS is up and the verdict is bad, whatever it is called; or TLS did not begin, and the server said so. */
    if (smtptls_session_is_tls(session) || code == SMTPTLS_ERR_NOT_OFFERED || code == SMTPTLS_ERR_REFUSED) {
        smtptls_session_refuse(session);
        wire_linger(wire);
    }
}

void show_tls(const struct smtptls_session *session)
{
    const struct smtptls_info *info = smtptls_session_info(session);
    printf("tls: %s\n", smtptls_info_summary(info));
    printf("peer: level=%s auth=%s secured=%s\n", smtptls_level_name(smtptls_info_level(info)),
           smtptls_auth_name(smtptls_info_auth(info)), smtptls_info_secured(info) ? "yes" : "no");
}

const char *offers(const char *hello, const char *keyword)
{
    size_t length = strlen(keyword);
    if (strncmp(hello, "250", 3) != 0)
        return NULL;
    /* The first line is the server's name. */
    for (const char *line = strchr(hello, '\n'); line; line = strchr(line + 1, '\n'))
        if (strlen(line) >= 5 + length && strncasecmp(line + 5, keyword, length) == 0 &&
            strchr(" \n", line[5 + length]))
            return line + 5 + length;
    return NULL;
}

/* RFC 4648 section 4. `out` has room for four octets for each three, and one. */
static void base64(const unsigned char *in, size_t length, char *out)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < length; i += 3) {
        size_t rest = length - i;
        unsigned bits = (unsigned)in[i] << 16;
        bits |= rest > 1 ? (unsigned)in[i + 1] << 8 : 0;
        bits |= rest > 2 ? in[i + 2] : 0;
        *out++ = alphabet[bits >> 18];
        *out++ = alphabet[bits >> 12 & 63];
        *out++ = rest > 1 ? alphabet[bits >> 6 & 63] : '=';
        *out++ = rest > 2 ? alphabet[bits & 63] : '=';
    }
    *out = 0;
}

/* Whether a line of an EHLO reply has this word. */
static bool lists(const char *line, const char *word)
{
    size_t length = strlen(word);
    for (; *line == ' '; line += strcspn(line + 1, " \n") + 1)
        if (strncasecmp(line + 1, word, length) == 0 && strchr(" \n", line[1 + length]))
            return true;
    return false;
}

/* RFC 4954 and RFC 4616: NUL, user, NUL, password. parse_options() made sure that the server is a proven one. */
static int authenticate(struct wire *wire, const char *user, const char *password)
{
    unsigned char secret[1024];
    char line[LINE_MAX_OCTETS] = "AUTH PLAIN ";
    size_t first = strlen(user), second = strlen(password);
    const char *mechanisms = offers(wire->reply, "AUTH");
    if (!wire->tls)
        return broken(wire, SMTPTLS_ERR_STATE, "a password does not go in clear");
    if (!mechanisms || !lists(mechanisms, "PLAIN")) {
        broken(wire, SMTPTLS_ERR_REFUSED, "the server does not offer AUTH PLAIN");
        leave(wire);
        return SMTPTLS_ERR_REFUSED;
    }
    if (first + second + 2 > sizeof secret)
        return broken(wire, SMTPTLS_ERR_ARGUMENT, "user and password are too long");
    secret[0] = 0;
    memcpy(secret + 1, user, first + 1);
    memcpy(secret + first + 2, password, second);
    base64(secret, first + second + 2, line + strlen(line));
    return wanted(wire, 235, command(wire, line), "AUTH PLAIN");
}

/* Sends the text behind DATA (RFC 5321 section 4.5.2): CRLF behind each line, dots doubled, and a final dot. */
static int send_text(struct wire *wire, const char *message, size_t length)
{
    char *text = (char *)malloc(2 * length + 8), *end = text;
    if (!text)
        return broken(wire, SMTPTLS_ERR_INTERNAL, "out of memory");
    for (const char *line = message, *stop = message + length; line < stop;) {
        const char *lf = (const char *)memchr(line, '\n', (size_t)(stop - line));
        size_t count = (size_t)((lf ? lf : stop) - line);
        if (count > 0 && *line == '.')
            *end++ = '.';
        size_t visible = count > 0 && line[count - 1] == '\r' ? count - 1 : count;
        memcpy(end, line, visible);
        end += visible;
        *end++ = '\r';
        *end++ = '\n';
        line += count + 1;
    }
    memcpy(end, ".\r\n", 3);
    int code = wire_write(wire, text, (size_t)(end - text) + 3);
    free(text);
    return code;
}

static bool is_ascii(const char *text, size_t length)
{
    while (length > 0 && (unsigned char)text[length - 1] < 128)
        length--;
    return length == 0;
}

int deliver(struct wire *wire, const struct options *options, const char *message, size_t length)
{
    bool eight_bit = !is_ascii(message, length) && offers(wire->reply, "8BITMIME");
    char line[LINE_MAX_OCTETS];
    int code;
    if (options->user && (code = authenticate(wire, options->user, options->password)) < 0)
        return code;
    snprintf(line, sizeof line, "MAIL FROM:<%s>%s", options->from, eight_bit ? " BODY=8BITMIME" : "");
    if ((code = wanted(wire, 250, command(wire, line), line)) < 0)
        return code;
    snprintf(line, sizeof line, "RCPT TO:<%s>", options->to);
    if ((code = wanted(wire, 250, command(wire, line), line)) < 0)
        return code;
    if ((code = wanted(wire, 354, command(wire, "DATA"), "DATA")) < 0)
        return code;
    if ((code = send_text(wire, message, length)) < 0)
        return code;
    /* LMTP gives a reply for each recipient, and there is one. */
    if ((code = wanted(wire, 250, read_reply(wire), "the message")) < 0)
        return code;
    printf("sent: %s\n", escape(wire->reply));
    leave(wire);
    return SMTPTLS_OK;
}
