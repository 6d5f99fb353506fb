/* Three ways to close, and how the other side's end is seen. Arguments: CA, chain, key. */
#include "support.h"

#include "conversation.h"

static struct smtptls_config *config;
static struct conversation client, server;
static int fds[2];
static char buf[100];

static void open_both(int mode)
{
    socket_pair(fds);
    connected(config, fds, mode, &client, &server);
}

static void end(void)
{
    smtptls_session_free(client.session);
    smtptls_session_free(server.session);
    close(fds[0]);
    close(fds[1]);
}

static bool says(struct conversation *talk, const char *text)
{
    return say(talk, text, strlen(text));
}

/* What one read brings, when it has come. */
static ptrdiff_t hears(struct conversation *talk)
{
    ptrdiff_t count;

    do
        count = smtptls_session_read(talk->session, buf, sizeof buf);
    while (again(talk, count));
    return count;
}

static void send_only(int mode)
{
    open_both(mode);
    CHECK(says(&client, "QUIT\r\n"));
    CHECK(finish(&client, SMTPTLS_CLOSE_SEND));
    CHECK(!smtptls_session_is_tls(client.session));
    CHECK(smtptls_session_read(client.session, buf, 1) == SMTPTLS_ERR_STATE);
    CHECK(smtptls_session_write(client.session, "x", 1, false) == SMTPTLS_ERR_STATE);
    CHECK(finish(&client, SMTPTLS_CLOSE_SEND) && finish(&client, SMTPTLS_CLOSE_WAIT));
    CHECK(hears(&server) == 6 && hears(&server) == 0 && hears(&server) == 0);
    CHECK(!smtptls_session_is_truncated(server.session));
    /* The peer said only that it sends nothing more. */
    CHECK(says(&server, "221 bye\r\n"));
    CHECK(finish(&server, SMTPTLS_CLOSE_WAIT));
    end();
}

static void half(int mode)
{
    open_both(mode);
    CHECK(finish(&client, SMTPTLS_CLOSE_HALF));
    CHECK(smtptls_session_write(client.session, "x", 1, false) == SMTPTLS_ERR_STATE);
    CHECK(hears(&server) == 0);
    CHECK(says(&server, "221 bye\r\n"));
    CHECK(hears(&client) == 9 && memcmp(buf, "221 bye\r\n", 9) == 0);
    CHECK(finish(&server, SMTPTLS_CLOSE_SEND));
    CHECK(hears(&client) == 0 && !smtptls_session_is_truncated(client.session));
    CHECK(finish(&client, SMTPTLS_CLOSE_SEND));
    end();
}

static void wait_for_the_peer(void)
{
    open_both(SMTPTLS_MODE_NONBLOCKING);
    CHECK(smtptls_session_close(client.session, SMTPTLS_CLOSE_WAIT) == SMTPTLS_WANT_INPUT);
    /* What comes meanwhile is dropped. */
    CHECK(says(&server, "421 too late\r\n"));
    CHECK(smtptls_session_close(client.session, SMTPTLS_CLOSE_WAIT) == SMTPTLS_WANT_INPUT);
    CHECK(hears(&server) == 0);
    CHECK(finish(&server, SMTPTLS_CLOSE_SEND));
    CHECK(smtptls_session_close(client.session, SMTPTLS_CLOSE_WAIT) == SMTPTLS_OK);
    end();

    /* A peer that never does: the time limit ends it, and close_notify has been sent. */
    open_both(SMTPTLS_MODE_BLOCKING);
    CHECK(smtptls_session_set_timeout(client.session, SMTPTLS_TIMEOUT_IO, 100) == SMTPTLS_OK);
    CHECK(smtptls_session_close(client.session, SMTPTLS_CLOSE_WAIT) == SMTPTLS_ERR_TIMEOUT);
    CHECK(hears(&server) == 0 && !smtptls_session_is_truncated(server.session));
    end();
}

static void bytes_behind_close_notify(int mode)
{
    const uint8_t *data;

    open_both(mode);
    CHECK(says(&server, "221 bye\r\n"));
    CHECK(finish(&server, SMTPTLS_CLOSE_SEND));
    CHECK(write(fds[1], "plaintext\r\n", 11) == 11);
    CHECK(hears(&client) == 9 && hears(&client) == 0);
    CHECK(smtptls_session_leftover(client.session, &data) == 11 && memcmp(data, "plaintext\r\n", 11) == 0);
    CHECK(!smtptls_session_is_truncated(client.session));
    CHECK(smtptls_session_pending(client.session) == 0);
    CHECK(finish(&client, SMTPTLS_CLOSE_SEND));
    CHECK(smtptls_session_leftover(client.session, NULL) == 11);
    end();
}

/* A fact that close tells, and no error of a read: SMTP frames itself. */
static void no_close_notify(int mode)
{
    open_both(mode);
    CHECK(says(&server, "221 bye\r\n"));
    shutdown(fds[1], SHUT_WR);
    CHECK(hears(&client) == 9 && hears(&client) == 0);
    CHECK(smtptls_session_is_truncated(client.session));
    CHECK(smtptls_session_error(client.session) == NULL);
    CHECK(!finish(&client, SMTPTLS_CLOSE_SEND) && client.code == SMTPTLS_ERR_TRUNCATED);
    CHECK(smtptls_error_code(smtptls_session_error(client.session)) == SMTPTLS_ERR_TRUNCATED);
    /* The peer got our close_notify all the same: it can still read. */
    CHECK(hears(&server) == 0 && !smtptls_session_is_truncated(server.session));
    end();

    /* With the end still to come, waiting for it finds it. */
    open_both(mode);
    shutdown(fds[1], SHUT_WR);
    CHECK(!finish(&client, SMTPTLS_CLOSE_WAIT) && client.code == SMTPTLS_ERR_TRUNCATED);
    end();
}

/* close_notify is the last message on this side (RFC 8446 section 6.1), whatever comes from the other. */
static void nothing_behind_close_notify(int mode)
{
    open_both(mode);
    CHECK(finish(&client, SMTPTLS_CLOSE_HALF));
    CHECK(hears(&server) == 0);
    CHECK(write(fds[1], "no TLS at all\r\n", 15) == 15);
    CHECK(hears(&client) == SMTPTLS_ERR_TLS);
    CHECK(recv(fds[1], buf, sizeof buf, MSG_DONTWAIT) == -1);
    end();
}

/* Before TLS there is nothing to close, and nothing to send. */
static void before_tls(void)
{
    struct smtptls_session *session = smtptls_session_client(config, NULL, HOST);

    CHECK(smtptls_session_close(session, SMTPTLS_CLOSE_WAIT) == SMTPTLS_OK);
    CHECK(smtptls_session_output(session, NULL) == 0);
    CHECK(smtptls_session_start(session, SMTPTLS_FROM_HANDSHAKE, 0) == SMTPTLS_ERR_STATE);
    CHECK(smtptls_session_output(session, NULL) == 0);
    smtptls_session_free(session);
}

/* smtptls_session_free() says nothing to the peer, and leaves the descriptor open. */
static void freeing(void)
{
    open_both(SMTPTLS_MODE_BLOCKING);
    CHECK(smtptls_session_write(client.session, "gathered", 8, true) == 8);
    smtptls_session_free(client.session);
    client.session = NULL;
    CHECK(recv(fds[1], buf, sizeof buf, MSG_DONTWAIT) == -1);
    CHECK(send(fds[0], "x", 1, MSG_NOSIGNAL) == 1);
    end();
}

int main(int argc, char **argv)
{
    int mode;

    config = config_from(argc, argv);
    for (mode = SMTPTLS_MODE_BLOCKING; mode <= SMTPTLS_MODE_NONBLOCKING; mode++) {
        send_only(mode);
        half(mode);
        bytes_behind_close_notify(mode);
        no_close_notify(mode);
        nothing_behind_close_notify(mode);
    }
    wait_for_the_peer();
    before_tls();
    freeing();
    smtptls_config_free(config);
    return failed;
}
