/* A child with a pipe for its words. */
#include "command.h"

#include "../unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 16
#define OUTPUT_BYTES_MAX ((size_t)4 * 1024 * 1024)

struct command command_start(const struct election *election, const char *topology,
                             const char *what, va_list words)
{
    char application[192];
    const char *arguments[WORDS_MAX + 8] = {getenv("VOTINGD"), "--topology", topology,
                                            "--set",           application,  what};
    int count = 6;
    int pipes[2];
    struct command command;

    (void)snprintf(application, sizeof(application), "votingd.application=%s", election->name);
    while (count < WORDS_MAX + 7 && (arguments[count] = va_arg(words, const char *)) != NULL) {
        count++;
    }
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    command = (struct command){.pid = fork(), .out = pipes[0]};
    assert_true(command.pid >= 0);
    if (command.pid == 0) {
        setenv("DATABASE_URL", election->database, 1);
        dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
        dup2(pipes[1], STDOUT_FILENO);
        dup2(pipes[1], STDERR_FILENO);
        execv(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    close(pipes[1]);
    return command;
}

int command_end(struct command *command, char **out)
{
    char *text = calloc(1, OUTPUT_BYTES_MAX);
    size_t len = 0;
    ssize_t got;
    int status;

    assert_non_null(text);
    while (len < OUTPUT_BYTES_MAX - 1 &&
           (got = read(command->out, text + len, OUTPUT_BYTES_MAX - 1 - len)) > 0) {
        len += (size_t)got;
    }
    close(command->out);
    assert_int_equal(waitpid(command->pid, &status, 0), command->pid);
    *out = text;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
