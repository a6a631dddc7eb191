#include "profile.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAMPLES_MIN 100 /* fewer say nothing */

void profile_start(struct profile *profile, int seconds)
{
    char length[16];

    (void)snprintf(length, sizeof(length), "%d", seconds);
    (void)snprintf(profile->path, sizeof(profile->path), "/tmp/votingd-fanout-%d.perf",
                   (int)getpid());
    profile->perf = fork();
    if (profile->perf == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        (void)dup2(null, STDOUT_FILENO);
        (void)dup2(null, STDERR_FILENO);
        /* A thread that runs for microseconds at a time is seen by samples of cores only. */
        execlp("perf", "perf", "record", "-q", "-a", "-F", "997", "-g", "-o", profile->path, "--",
               "sleep", length, (char *)NULL);
        _exit(127);
    }
}

/* Of each sample a line of its own, one for each function, and an empty one. */
static void count(FILE *script, long *samples, long *receiving)
{
    bool is_receiving = false, is_ack = false;
    char line[512];

    while (fgets(line, sizeof(line), script) != NULL) {
        is_receiving |= strstr(line, " net_rx_action") != NULL;
        is_ack |= strstr(line, " tcp_ack") != NULL;
        if (line[0] == '\n') {
            *samples += 1;
            *receiving += is_receiving && !is_ack ? 1 : 0;
            is_receiving = is_ack = false;
        }
    }
}

double profile_end(struct profile *profile, pid_t pid)
{
    long samples = 0, receiving = 0;
    int status = -1;
    char command[160];
    FILE *script;

    if (profile->perf <= 0 || waitpid(profile->perf, &status, 0) != profile->perf || status != 0) {
        (void)unlink(profile->path); /* perf may have begun it */
        return -1;
    }
    (void)snprintf(command, sizeof(command), "perf script -i %s --pid %d -F tid,ip,sym 2>/dev/null",
                   profile->path, (int)pid);
    script = popen(command, "r");
    if (script != NULL) {
        count(script, &samples, &receiving);
        (void)pclose(script); /* what it has told counts */
    }
    (void)unlink(profile->path);
    return samples >= SAMPLES_MIN ? (double)receiving / (double)samples : -1;
}
