/* A signal ends a wait in mode interruptible, and the call goes on when called again; in mode blocking it does not, and
 * the time limit holds all the same. */
#include <signal.h>
#include <smtptls.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
    (void)number;
    alarms++;
}

#define CHECK(what)                                                            \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);         \
            return 1;                                                          \
        }                                                                      \
    } while (0)

static struct smtptls_session *session(struct smtptls_config *config, int fd, int mode)
{
    struct smtptls_session *made = smtptls_session_server(config, NULL);

    smtptls_session_attach(made, fd, fd, mode);
    return made;
}

int main(void)
{
    struct smtptls_config *config = smtptls_config_new();
    struct smtptls_session *tried;
    struct sigaction action;
    int fds[2];

    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm; /* Without SA_RESTART, as programs with alarm clocks do it. */
    sigaction(SIGALRM, &action, NULL);

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    tried = session(config, fds[0], SMTPTLS_MODE_INTERRUPTIBLE);
    alarm(1);
    CHECK(smtptls_session_start(tried, SMTPTLS_FROM_GREETING, 0) == SMTPTLS_WANT_RETRY);
    CHECK(alarms == 1 && smtptls_session_error(tried) == NULL);
    CHECK(write(fds[1], "QUIT\r\n", 6) == 6);
    CHECK(smtptls_session_start(tried, SMTPTLS_FROM_GREETING, 0) == SMTPTLS_ERR_EOF);
    smtptls_session_free(tried);

    tried = session(config, fds[0], SMTPTLS_MODE_BLOCKING);
    CHECK(smtptls_session_set_timeout(tried, SMTPTLS_TIMEOUT_START, 1500) == SMTPTLS_OK);
    alarm(1);
    CHECK(smtptls_session_start(tried, SMTPTLS_FROM_GREETING, 0) == SMTPTLS_ERR_TIMEOUT);
    CHECK(alarms == 2);
    smtptls_session_free(tried);
    smtptls_config_free(config);
    return 0;
}
