/* A connection with deadlines, in clear or inside TLS, and error lines; see wire.h. */

#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* -- errors ---------------------------------------------------------------------------------------------------- */

static void complain_line(int code, int action, const char *tlsrpt, const char *message)
{
    fprintf(stderr, "error: %s: %s (action %s, tlsrpt %s)\n", smtptls_code_name(code), message,
            smtptls_action_name(action), tlsrpt ? tlsrpt : "none");
}

int complain(int code, int action, const char *tlsrpt, const char *format, ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    complain_line(code, action, tlsrpt, message);
    return code;
}

int complain_about(const struct smtptls_error *error)
{
    int code = smtptls_error_code(error);
    complain_line(code, smtptls_error_action(error), smtptls_error_tlsrpt_name(error),
                  smtptls_error_message(error));
    return code;
}

int broken(const struct wire *wire, int code, const char *format, ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (!wire->leaving)
        complain_line(code, wire->action, NULL, message);
    return code;
}

const char *escape(const char *text)
{
    static char out[4 * 200 + 4];
    char *end = out;
    int count = 0;
    for (; *text && count < 200; text++, count++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '\n') /* between the lines of a reply */
            *end++ = ' ';
        else if (byte == '\\')
            end += sprintf(end, "\\\\");
        else if (byte >= ' ' && byte <= '~')
            *end++ = (char)byte;
        else
            end += sprintf(end, "\\x%02x", byte);
    }
    strcpy(end, *text ? "..." : "");
    return out;
}

/* -- the connection -------------------------------------------------------------------------------------------- */

int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

uint32_t milliseconds(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end || !isfinite(seconds) || seconds <= 0)
        return 0;
    return seconds < 0.001 ? 1 : seconds > 4e6 ? 4000000000u : (uint32_t)(seconds * 1000);
}

uint32_t wire_left(const struct wire *wire)
{
    int64_t rest = wire->by - now();
    return rest < 1 ? 1 : rest > UINT32_MAX ? UINT32_MAX : (uint32_t)rest;
}

/* Whether the descriptor got ready in time. */
static bool ready(int fd, short events, int64_t by)
{
    struct pollfd polled = {fd, events, 0};
    for (;;) {
        int64_t rest = by - now();
        int result = poll(&polled, 1, rest < 0 ? 0 : rest > 1000000 ? 1000000 : (int)rest);
        if (result > 0 || (result < 0 && errno != EINTR))
            return true; /* the call that follows says what is wrong */
        if (result == 0 && now() >= by)
            return false;
    }
}

void wire_prepare(int fd)
{
    int one = 1;
    /* Commands are small and wait for replies; they should not wait for company too. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static int try_address(const struct addrinfo *address, int64_t by)
{
    int fd = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
    if (fd < 0)
        return -1;
    int error = 0;
    socklen_t size = sizeof error;
    wire_prepare(fd);
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        if (errno != EINPROGRESS)
            error = errno;
        else if (!ready(fd, POLLOUT, by))
            error = EAGAIN; /* our own limit; ETIMEDOUT is the network's */
        else
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error) {
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

int wire_connect(const char *host, const char *port, int64_t by)
{
    struct addrinfo hints, *found;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    int result = getaddrinfo(host, port, &hints, &found), fd = -1, error = 0;
    if (result != 0)
        return complain(SMTPTLS_ERR_IO, SMTPTLS_ACTION_NEXT_HOST, NULL, "cannot look up %s: %s", host,
                        gai_strerror(result));
    for (const struct addrinfo *address = found; address && fd < 0 && error != EAGAIN;
         address = address->ai_next) {
        fd = try_address(address, by);
        error = errno;
    }
    freeaddrinfo(found);
    if (fd >= 0)
        return fd;
    if (error == EAGAIN)
        return complain(SMTPTLS_ERR_TIMEOUT, SMTPTLS_ACTION_NEXT_HOST, NULL,
                        "the time allowed ran out connecting");
    return complain(SMTPTLS_ERR_IO, SMTPTLS_ACTION_NEXT_HOST, NULL, "cannot connect to %s port %s: %s", host, port,
                    strerror(error));
}

/* A call on the session has failed. */
static int session_broken(const struct wire *wire)
{
    const struct smtptls_error *error = smtptls_session_error(wire->tls);
    return wire->leaving ? smtptls_error_code(error) : complain_about(error);
}

int wire_fill(struct wire *wire)
{
    char *end = wire->in + wire->have;
    size_t room = sizeof wire->in - wire->have;
    if (room > 16 * 1024) /* a record of TLS */
        room = 16 * 1024;
    ptrdiff_t count;
    /* A read that runs out of time ends a TLS session, and a server could not say 421 any more: so wait here. */
    bool waits = !wire->tls || smtptls_session_pending(wire->tls) == 0;
    if (waits && !ready(wire->fd, POLLIN, wire->by))
        return broken(wire, SMTPTLS_ERR_TIMEOUT, "the time allowed ran out waiting for the peer");
    if (wire->tls) {
        smtptls_session_set_deadline(wire->tls, wire_left(wire));
        count = smtptls_session_read(wire->tls, end, room);
        if (count < 0)
            return session_broken(wire);
        /* SMTP says itself where a message ends; all the same the cut is worth a name of its own. */
        if (count == 0 && smtptls_session_is_truncated(wire->tls))
            return broken(wire, SMTPTLS_ERR_TRUNCATED, "the peer closed the connection without a TLS close_notify");
    } else {
        while ((count = recv(wire->fd, end, room, 0)) < 0) {
            if (errno != EINTR && errno != EAGAIN)
                return broken(wire, SMTPTLS_ERR_IO, "the connection failed: %s", strerror(errno));
            if (!ready(wire->fd, POLLIN, wire->by))
                return broken(wire, SMTPTLS_ERR_TIMEOUT, "the time allowed ran out waiting for the peer");
        }
    }
    wire->have += (size_t)count;
    return (int)count;
}

int wire_write(struct wire *wire, const void *data, size_t length)
{
    if (wire->tls) {
        smtptls_session_set_deadline(wire->tls, wire_left(wire));
        return smtptls_session_write(wire->tls, data, length, false) < 0 ? session_broken(wire) : SMTPTLS_OK;
    }
    for (const char *rest = (const char *)data; length > 0;) {
        ssize_t count = send(wire->fd, rest, length, MSG_NOSIGNAL);
        if (count >= 0) {
            rest += count;
            length -= (size_t)count;
        } else if (errno == EAGAIN && !ready(wire->fd, POLLOUT, wire->by)) {
            return broken(wire, SMTPTLS_ERR_TIMEOUT, "the time allowed ran out sending");
        } else if (errno != EAGAIN && errno != EINTR) {
            return broken(wire, SMTPTLS_ERR_IO, "the connection failed: %s", strerror(errno));
        }
    }
    return SMTPTLS_OK;
}

void wire_drop(struct wire *wire, size_t count)
{
    wire->have -= count;
    memmove(wire->in, wire->in + count, wire->have);
}

void wire_close(struct wire *wire)
{
    if (wire->tls) {
        smtptls_session_set_deadline(wire->tls, wire_left(wire));
        smtptls_session_close(wire->tls, SMTPTLS_CLOSE_SEND);
    }
}

void wire_leaving(struct wire *wire)
{
    int64_t soon = now() + 2000;
    wire->leaving = true;
    wire->by = wire->by < soon ? wire->by : soon;
}

void wire_linger(struct wire *wire)
{
    wire_leaving(wire);
    wire->tls = NULL;
    shutdown(wire->fd, SHUT_WR);
    do
        wire->have = 0;
    while (wire_fill(wire) > 0 && now() < wire->by);
}
