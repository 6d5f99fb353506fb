/* A configuration and sessions across fork(). Arguments: CA, chain, key. */
#include "support.h"

#include "conversation.h"

#include <sys/wait.h>

enum { CHILDREN = 50, BINDING = 32 };

static struct smtptls_config *config;

/* A whole session in memory, and what is random about it. */
static int child(int out)
{
    struct smtptls_session *client = smtptls_session_client(config, NULL, HOST);
    struct smtptls_session *server = smtptls_session_server(config, NULL);
    const uint8_t *binding;
    char buf[6];
    size_t len = 0;

    CHECK(meet(client, server, SMTPTLS_FROM_HANDSHAKE) == SMTPTLS_OK);
    CHECK(smtptls_session_write(client, "QUIT\r\n", 6, false) == 6);
    carry(client, server);
    CHECK(smtptls_session_read(server, buf, sizeof buf) == 6);
    binding = smtptls_info_channel_binding(smtptls_session_info(client), &len);
    CHECK(binding != NULL && len == BINDING && write(out, binding, len) == BINDING);
    smtptls_session_free(client);
    smtptls_session_free(server);
    smtptls_config_free(config);
    return failed;
}

/* All at once, each with the same configuration, and no two with the same random numbers. */
static void many_children(void)
{
    uint8_t bindings[CHILDREN][BINDING];
    struct smtptls_session *client = smtptls_session_client(config, NULL, HOST);
    struct smtptls_session *server = smtptls_session_server(config, NULL);
    int out[2], gate[2], n, m, status;
    char octet;

    /* The parent has used its random numbers before, so that a copied state would show. */
    CHECK(meet(client, server, SMTPTLS_FROM_HANDSHAKE) == SMTPTLS_OK);
    smtptls_session_free(client);
    smtptls_session_free(server);
    MUST(pipe(out) == 0 && pipe(gate) == 0);
    for (n = 0; n < CHILDREN; n++) {
        pid_t pid = fork();
        MUST(pid >= 0);
        if (pid == 0) {
            close(gate[1]);
            MUST(read(gate[0], &octet, 1) == 0);
            _exit(child(out[1]));
        }
    }
    close(gate[0]);
    close(gate[1]);
    close(out[1]);
    for (n = 0; n < CHILDREN; n++)
        CHECK(read(out[0], bindings[n], BINDING) == BINDING);
    close(out[0]);
    for (n = 0; n < CHILDREN; n++) {
        CHECK(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
        for (m = 0; m < n; m++)
            CHECK(memcmp(bindings[n], bindings[m], BINDING) != 0);
    }
}

/* The child goes on with a session whose copy the parent frees: without an octet, and with the connection left open. */
static void handed_to_a_child(void)
{
    struct conversation client, server;
    int fds[2], gate[2], status;
    char start[5], octet;
    pid_t pid;

    socket_pair(fds);
    MUST(pipe(gate) == 0);
    connected(config, fds, SMTPTLS_MODE_BLOCKING, &client, &server);
    CHECK(say(&client, "NOOP\r\n", 6) && hear(&server, start));
    pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        smtptls_session_free(server.session);
        close(fds[1]);
        close(gate[1]);
        MUST(read(gate[0], &octet, 1) == 0);
        CHECK(say(&client, "QUIT\r\n", 6) && hear(&client, start) && strcmp(start, "221 ") == 0);
        CHECK(finish(&client, SMTPTLS_CLOSE_WAIT));
        smtptls_session_free(client.session);
        smtptls_config_free(config);
        _exit(failed);
    }
    smtptls_session_free(client.session);
    smtptls_config_free(config);
    close(fds[0]);
    CHECK(recv(fds[1], &octet, 1, MSG_DONTWAIT) == -1);
    close(gate[0]);
    close(gate[1]);
    CHECK(hear(&server, start) && strcmp(start, "QUIT") == 0);
    CHECK(say(&server, "221 bye\r\n", 9) && finish(&server, SMTPTLS_CLOSE_WAIT));
    smtptls_session_free(server.session);
    close(fds[1]);
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int argc, char **argv)
{
    const int before = open_descriptors();

    config = config_from(argc, argv);
    many_children();
    handed_to_a_child();
    CHECK(open_descriptors() == before);
    return failed;
}
