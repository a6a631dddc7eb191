/* Nodes in processes of their own, and the broker that can be killed. */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMIT_WAIT_MS 120000
#define NODE_WORD "node"

static volatile sig_atomic_t is_ending;

static void on_signal(int number)
{
    is_ending = 1;
}

static bool is_told_to_end(struct rig *rig)
{
    return is_ending != 0;
}

void rig_be_node(int argc, char **argv)
{
    struct rig rig;

    if (argc != 5 || strcmp(argv[1], NODE_WORD) != 0) {
        return;
    }
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGPIPE, SIG_IGN);
    vd_log_setup(getenv("VERBOSE") != NULL ? VD_LOG_DEBUG : VD_LOG_ERROR, VD_LOG_TEXT);
    probe.delay_ms = strtoll(argv[4], NULL, 10);
    probe.commit_pipe = STDOUT_FILENO;
    rig_open_copy(&rig, argv[2], argv[3]);
    rig_run(&rig, is_told_to_end);
    _exit(0);
}

void rig_node_start(struct rig_node *node, const char *application, const char *name,
                    int64_t delay_ms)
{
    VD_AUTO(mem) char *delay = vd_format("%lld", (long long)delay_ms);
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    *node = (struct rig_node){.commits = ends[0]};
    node->pid = fork();
    assert_true(node->pid >= 0);
    if (node->pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)execl("/proc/self/exe", "node", NODE_WORD, application, name, delay, NULL);
        _exit(127);
    }
    (void)close(ends[1]); /* the node's */
    assert_int_equal(fcntl(node->commits, F_SETFL, O_NONBLOCK), 0);
}

size_t rig_node_committed(struct rig_node *node)
{
    char bytes[256];
    ssize_t count;

    while ((count = read(node->commits, bytes, sizeof(bytes))) > 0) {
        node->committed += (size_t)count;
    }
    return node->committed;
}

void rig_node_wait_commit(struct rig_node *node)
{
    struct pollfd ready = {.fd = node->commits, .events = POLLIN};
    size_t before = node->committed;

    assert_int_equal(poll(&ready, 1, COMMIT_WAIT_MS), 1);
    assert_true(rig_node_committed(node) > before);
}

int rig_node_end(struct rig_node *node, int signal_number)
{
    int status = 0;

    assert_int_equal(kill(node->pid, signal_number), 0);
    assert_int_equal(waitpid(node->pid, &status, 0), node->pid);
    (void)close(node->commits);
    return status;
}

bool rig_has_local(void)
{
    return getenv("VOTINGD_TEST_LOCAL") != NULL;
}

pid_t rig_local_begin(const char *words)
{
    VD_AUTO(mem) char *command = vd_format("%s %s >/dev/null", getenv("VOTINGD_TEST_LOCAL"), words);
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    return pid;
}

void rig_local_wait(pid_t pid)
{
    int status = -1;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

void rig_local(const char *words)
{
    rig_local_wait(rig_local_begin(words));
}
