/* Whole sessions as a client, one after the other or on threads, in this process or in a child for each. */
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct options options;

static bool session(bool counted)
{
    struct smtp smtp = {.fd = dial(options.port)};
    bool good = smtp.fd >= 0 && smtp_open(&smtp) && smtp_send(&smtp, &options.message);

    if (good && counted)
        count_resumed(tls_resumed(smtp.tls));
    if (smtp.tls)
        tls_end(smtp.tls);
    if (good && counted && options.segments)
        count_segments(smtp.fd);
    close(smtp.fd);
    return good;
}

/* As a mail server that has a process for each delivery. */
static bool in_child(void)
{
    const pid_t child = fork();
    int status;

    if (child == 0)
        _exit((options.forking == FORK_PARENT || tls_setup(&options.tls)) && session(true) ? 0 : 1);
    return waitpid(child, &status, 0) == child && status == 0;
}

static bool one(bool counted)
{
    return options.forking == FORK_NOT ? session(counted) : in_child();
}

int main(int argc, char **argv)
{
    options = options_read(argc, argv, false);
    if (options.forking != FORK_CHILD && !tls_setup(&options.tls))
        return 1;
    return run_sessions(&options, one);
}
