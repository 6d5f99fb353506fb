/* Whole sessions as a server, one after the other or on threads, in this process or in a child for each. */
#include "driver.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct options options;
static int listener;

static bool session(int fd, bool counted)
{
    struct smtp smtp = {.fd = fd};
    bool good = fd >= 0 && smtp_serve_hello(&smtp) && smtp_serve_rest(&smtp);

    if (good && counted)
        count_resumed(tls_resumed(smtp.tls));
    if (smtp.tls)
        tls_end(smtp.tls);
    if (good && counted && options.segments)
        count_segments(fd);
    close(fd);
    return good;
}

/* As a mail server that has a process for each connection. */
static bool in_child(int fd)
{
    const pid_t child = fork();
    int status;

    if (child == 0)
        _exit((options.forking == FORK_PARENT || tls_setup(&options.tls)) && session(fd, true) ? 0 : 1);
    close(fd);
    return waitpid(child, &status, 0) == child && status == 0;
}

static bool one(bool counted)
{
    const int fd = accept(listener, NULL, NULL);

    return options.forking == FORK_NOT ? session(fd, counted) : in_child(fd);
}

int main(int argc, char **argv)
{
    options = options_read(argc, argv, true);
    if (options.forking != FORK_CHILD && !tls_setup(&options.tls))
        return 1;
    listener = listen_on_loopback();
    return run_sessions(&options, one);
}
