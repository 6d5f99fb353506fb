/* The text behind DATA, and where it is stored; see message.h. */

#include "message.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void push(struct text *text, char byte)
{
    text->size += byte == '\n' ? 2 : 1;
    if (text->bare || text->failed || text->size > MESSAGE_SIZE)
        return; /* it will not be stored, so it need not be kept */
    if (text->used == text->room) {
        text->room = text->room ? 2 * text->room : 4096;
        char *larger = (char *)realloc(text->bytes, text->room);
        if (!larger) {
            text->failed = true;
            return;
        }
        text->bytes = larger;
    }
    text->bytes[text->used++] = byte;
}

/* Only CRLF, dot, CRLF is the end (RFC 5321 section 4.1.1.4). */
bool text_take(struct text *text, char byte)
{
    if (text->at == DOT_CR && byte == '\n')
        return true;
    if (text->at == CR && byte == '\n') {
        push(text, byte);
        text->at = LINE_START;
    } else if (text->at == LINE_START && byte == '.') {
        text->at = DOT;
    } else if (text->at == DOT && byte == '\r') {
        text->at = DOT_CR;
    } else {
        /* An LF without CR before it, or a CR without LF behind it. Other software might see an end there, and a
         * second message behind it (SMTP smuggling); RFC 5321 section 2.3.8 forbids both. */
        text->bare |= byte == '\n' || text->at == CR || text->at == DOT_CR;
        if (byte != '\r')
            push(text, byte);
        text->at = byte == '\r' ? CR : MIDDLE;
    }
    return false;
}

/* RFC 5321 section 4.4, the keywords of RFC 3848, and the `tls` clause of RFC 8314 section 4.3. */
static void print_received(const struct dialogue *dialogue, FILE *file)
{
    const struct smtptls_info *info = smtptls_session_info(dialogue->wire.tls);
    const char *with = dialogue->server->protocol == SMTPTLS_PROTOCOL_LMTP ? (info ? "LMTPS" : "LMTP")
                       : !dialogue->extended                               ? "SMTP" /* inside TLS too */
                       : info                                              ? "ESMTPS"
                                                                           : "ESMTP";
    char address[INET_ADDRSTRLEN] = "unknown", date[64];
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    time_t seconds = time(NULL);
    struct tm civil;
    if (getpeername(dialogue->wire.fd, (struct sockaddr *)&peer, &size) == 0)
        inet_ntop(AF_INET, &peer.sin_addr, address, sizeof address);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", gmtime_r(&seconds, &civil));
    fprintf(file, "Received: from %s ([%s]) by %s with %s%s%s; %s\n", dialogue->hello, address,
            dialogue->server->hostname, with, info ? " " : "", info ? smtptls_info_received_clause(info) : "", date);
}

static bool write_file(const struct dialogue *dialogue, const char *name, const struct text *text)
{
    FILE *file = fopen(name, "wx");
    if (!file)
        return false;
    print_received(dialogue, file);
    if (text->used > 0)
        fwrite(text->bytes, 1, text->used, file);
    bool good = fflush(file) == 0 && !ferror(file) && fsync(fileno(file)) == 0;
    return fclose(file) == 0 && good;
}

bool text_store(const struct dialogue *dialogue, const struct text *text)
{
    static unsigned count;
    char draft[4096], message[4096];
    struct timespec time;
    sigset_t ending, before;
    const char *directory = dialogue->server->store;
    if (!directory)
        return true;
    clock_gettime(CLOCK_REALTIME, &time);
    int length = snprintf(draft, sizeof draft, "%s/%lld%09ld.%ld.%u.tmp", directory, (long long)time.tv_sec,
                          time.tv_nsec, (long)getpid(), count++);
    if (length < 0 || (size_t)length >= sizeof draft)
        return false;
    strcpy(message, draft);
    strcpy(message + length - 3, "eml");
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigprocmask(SIG_BLOCK, &ending, &before);
    bool stored = write_file(dialogue, draft, text) && rename(draft, message) == 0;
    if (!stored)
        remove(draft);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return stored;
}
