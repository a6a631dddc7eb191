/* Elections under faults. */
#include "trial.h"

#include "../unit/test.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "servers.h"

#define COMMAND_BYTES 2048
#define LOOK_MS 100
#define EXIT_OPEN_WORK 5 /* votingd --help */
#define NOT_HEARD (128 + SIGTERM)
#define ENDED_MAX 20
#define MORE_VOTERS 500 /* behind the last one that a fault can have hit */
#define TAIL_LINES 4    /* of a node's log, when something is wrong with it ... */
#define TAIL_BYTES 160  /* ... and of each of them */
#define REST_S 60       /* for the last markers, once all nodes have ended */
#define EXIT_MOVING 6   /* votingd --audit: not at rest ... */
#define EXIT_UNREAD 7   /* ... or not to be read now */
#define CHECK_UNREAD 2  /* vd_check: the same */

void trial_say(const struct trial *trial, const char *format, ...)
{
    static int64_t begin_ms;
    char text[COMMAND_BYTES];
    va_list args;

    begin_ms = begin_ms == 0 ? now_ms() : begin_ms;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)printf("%7.1f s  %s: %s\n", (double)(now_ms() - begin_ms) / 1000, trial->name, text);
    (void)fflush(stdout);
}

/* Where the last lines of a text begin. */
static const char *find_tail(const char *text, int lines)
{
    const char *at = text + strlen(text);

    at -= at > text && at[-1] == '\n';
    while (at > text && (at[-1] != '\n' || --lines > 0)) {
        at--;
    }
    return at;
}

void trial_tell_log(const struct trial *trial, int n)
{
    char *log = election_log(&trial->election, n);
    const char *line = find_tail(log, TAIL_LINES);

    while (*line != '\0') {
        int len = (int)strcspn(line, "\n");

        trial_say(trial, "node %d LOGGED: %.*s", n, len < TAIL_BYTES ? len : TAIL_BYTES, line);
        line += len + (line[len] == '\n');
    }
    free(log);
}

void trial_open(struct trial *trial)
{
    election_open(&trial->election, "chaos");
    trial->voters = ENDLESS;
    trial->node_database = servers_database(trial->election.database);
    trial->election.node_database = trial->node_database;
    trial->election.node_brokers = servers_brokers();
}

/* ---- clocks ---------------------------------------------------------------------------------- */

void trial_set_clock(struct trial *trial, int n, int64_t offset_s)
{
    int fd = open(trial->clocks[n], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_int_equal(pwrite(fd, &offset_s, sizeof(offset_s), 0), sizeof(offset_s));
    close(fd);
}

void trial_fake_clocks(struct trial *trial)
{
    const char *sanitizer = getenv("ASAN_OPTIONS");
    char options[COMMAND_BYTES];

    /* It insists on being the first library, but clock.c has nothing that it would have to see. */
    (void)snprintf(options, sizeof(options), "%s:verify_asan_link_order=0",
                   sanitizer != NULL ? sanitizer : "");
    setenv("ASAN_OPTIONS", options, 1);
    for (int n = 0; n < NODES_MAX; n++) {
        assert_true(asprintf(&trial->clocks[n], "/tmp/votingd-test-%s-n%d.clock",
                             trial->election.name, n) > 0);
        trial_set_clock(trial, n, 0);
    }
}

/* For the next child: the clock, in front of what is loaded into us, which may wait in other words
 * (tsan_threads.c). Returns: what that is, for drop_clock; NULL: nothing. */
static char *wear_clock(const struct trial *trial, int n)
{
    const char *ours = getenv("LD_PRELOAD");
    char *kept = ours != NULL ? strdup(ours) : NULL;
    char *both = NULL;

    if (trial->clocks[n] != NULL) {
        assert_true(asprintf(&both, "%s %s", getenv("VD_CLOCK_LIBRARY"), kept != NULL ? kept : "") >
                    0);
        setenv("LD_PRELOAD", both, 1);
        setenv("VD_CLOCK", trial->clocks[n], 1);
        free(both);
    }
    return kept;
}

static void drop_clock(char *kept)
{
    if (kept != NULL) {
        setenv("LD_PRELOAD", kept, 1);
    } else {
        unsetenv("LD_PRELOAD");
    }
    free(kept);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

void trial_start(struct trial *trial, int n)
{
    char voters[64], rate[64];
    char *kept;

    (void)snprintf(voters, sizeof(voters), "stage:generator.voters=%" PRId64, trial->voters);
    (void)snprintf(rate, sizeof(rate), "stage:generator.rate=%d", trial->rate);
    if (trial->failpoints != NULL) {
        setenv("VOTINGD_FAILPOINTS", trial->failpoints, 1);
    }
    kept = wear_clock(trial, n);
    if (n == GENERATOR_NODE) {
        election_start(&trial->election, n, "--set", voters, "--set", rate, NULL);
    } else {
        election_start(&trial->election, n, "--disable", "generator", NULL);
    }
    unsetenv("VOTINGD_FAILPOINTS");
    drop_clock(kept);
    trial->failpoints = NULL;
}

static bool end(struct trial *trial, int n, bool is_strict)
{
    int status = election_stop(&trial->election, n, SIGTERM);
    bool is_good = status == 0 || (!is_strict && (status == EXIT_OPEN_WORK || status == NOT_HEARD));

    if (!is_good) {
        trial_say(trial, "node %d DID NOT END IN GOOD ORDER: %d", n, status);
        trial_tell_log(trial, n);
    }
    return is_good;
}

bool trial_end(struct trial *trial, int n)
{
    return end(trial, n, true);
}

bool trial_leave(struct trial *trial, int n)
{
    return end(trial, n, false);
}

void trial_look_after(struct trial *trial)
{
    for (int n = 0; n < NODES_MAX; n++) {
        pid_t pid = trial->election.nodes[n].pid;
        int status;

        if (pid != 0 && waitpid(pid, &status, WNOHANG) == pid) {
            trial_say(trial, "node %d ENDED BY ITSELF, exit code %d, signal %d", n,
                      WIFEXITED(status) ? WEXITSTATUS(status) : -1,
                      WIFSIGNALED(status) ? WTERMSIG(status) : 0);
            trial_tell_log(trial, n);
            if (++trial->ended > ENDED_MAX) {
                trial_say(trial, "this goes on and on; see %s", trial->election.nodes[n].log);
                exit(1);
            }
            trial_start(trial, n);
        }
    }
}

int64_t trial_votes(struct trial *trial)
{
    return election_count(&trial->election, "SELECT count(*) FROM votes");
}

bool trial_wait_votes(struct trial *trial, int64_t votes, int seconds)
{
    int64_t deadline_ms = now_ms() + seconds * 1000;
    int64_t now = -1;

    while ((now = trial_votes(trial)) < votes) {
        if (now_ms() > deadline_ms) {
            trial_say(trial, "ONLY %" PRId64 " OF %" PRId64 " VOTES after %d s", now, votes,
                      seconds);
            return false;
        }
        trial_look_after(trial);
        pause_ms(LOOK_MS);
    }
    return true;
}

static bool is_any_running(const struct trial *trial)
{
    bool is_any = false;

    for (int n = 0; n < NODES_MAX; n++) {
        is_any = is_any || trial->election.nodes[n].pid != 0;
    }
    return is_any;
}

static void forget_picture(struct trial *trial, int n)
{
    if (trial->pictures[n] != NULL) {
        (void)unlink(trial->pictures[n]);
        free(trial->pictures[n]);
        trial->pictures[n] = NULL;
    }
}

/* What every dashboard shows now; of nodes that have all ended, what they showed last stays. */
static void take_pictures(struct trial *trial)
{
    for (int n = 0; n < NODES_MAX && is_any_running(trial); n++) {
        char *body = NULL;
        FILE *file;

        forget_picture(trial, n);
        if (trial->election.nodes[n].pid == 0) {
            continue;
        }
        assert_true(asprintf(&trial->pictures[n], "/tmp/votingd-test-%s-n%d.picture",
                             trial->election.name, n) > 0);
        (void)election_get(&trial->election, n, "/api/v1/snapshot", &body); /* vd_check judges it */
        file = fopen(trial->pictures[n], "we");
        assert_non_null(file);
        assert_true(fputs(body, file) >= 0 && fclose(file) == 0);
        free(body);
    }
}

static void format_check(const struct trial *trial, const char *output, char *command)
{
    (void)snprintf(command, COMMAND_BYTES,
                   "%s --database '%s' --suffix=-%s --voters %" PRId64 " --rejected %" PRId64
                   " --dead %" PRId64 " %s",
                   getenv("VD_CHECK"), trial->election.database, trial->election.name,
                   trial->voters, trial->rejected, trial->dead, output);
    for (int n = 0; n < NODES_MAX; n++) {
        size_t len = strlen(command);

        if (trial->pictures[n] != NULL) {
            (void)snprintf(command + len, COMMAND_BYTES - len, " --picture %s", trial->pictures[n]);
        }
    }
}

int trial_check(struct trial *trial, bool is_quiet)
{
    char command[COMMAND_BYTES];
    int status;

    take_pictures(trial);
    format_check(trial, is_quiet ? ">/dev/null 2>&1" : "", command);
    (void)fflush(stdout);
    status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

bool trial_finds(struct trial *trial, const char *words)
{
    char command[COMMAND_BYTES], line[COMMAND_BYTES];
    bool is_found = false;
    FILE *output;

    format_check(trial, "2>&1", command);
    output = popen(command, "re");
    while (output != NULL && fgets(line, sizeof(line), output) != NULL) {
        if (strncmp(line, words, strlen(words)) == 0) {
            trial_say(trial, "%.*s", (int)strcspn(line, "\n"), line);
            is_found = true;
        }
    }
    if (output != NULL) {
        (void)pclose(output); /* that something differs, the line has told */
    }
    return is_found;
}

void trial_tell_nodes(struct trial *trial)
{
    for (int n = 0; n < NODES_MAX; n++) {
        char *body = NULL;

        if (trial->election.nodes[n].pid != 0) {
            int status = election_get(&trial->election, n, "/readyz", &body);

            trial_say(trial, "node %d, /readyz ANSWERED: %d %s", n, status, body);
            trial_tell_log(trial, n);
            free(body);
        }
    }
}

static bool wait_counted(struct trial *trial)
{
    int64_t deadline_ms = now_ms() + trial->patience_s * 1000;

    if (!trial_wait_votes(trial, trial->voters, trial->patience_s)) {
        trial_tell_nodes(trial);
        return false;
    }
    while (trial_check(trial, true) != 0) {
        if (now_ms() > deadline_ms) {
            trial_say(trial, "NOT COUNTED IN TIME");
            trial_tell_nodes(trial);
            return false;
        }
        trial_look_after(trial);
        pause_ms(1000);
    }
    return true;
}

/* What the daemon itself finds in the raw data, all nodes ended. The coordinator writes the markers
 * of the last transactions after it has answered, so it may look before all is at rest. */
static bool is_audited(const struct trial *trial)
{
    static char page[65536];
    const int64_t deadline_ms = now_ms() + REST_S * 1000;
    int code;

    while ((code = election_audit(&trial->election, "", page, sizeof(page))) != 0) {
        if ((code != EXIT_MOVING && code != EXIT_UNREAD) || now_ms() > deadline_ms) {
            trial_say(trial, "THE AUDIT ENDED WITH EXIT CODE %d\n%s", code, page);
            return false;
        }
        pause_ms(1000);
    }
    return true;
}

/* What vd_check finds, all nodes ended; once more if it could not read. */
static bool is_checked(struct trial *trial)
{
    const int64_t deadline_ms = now_ms() + REST_S * 1000;
    int code;

    while ((code = trial_check(trial, false)) == CHECK_UNREAD && now_ms() < deadline_ms) {
        pause_ms(1000);
    }
    return code == 0;
}

bool trial_finish(struct trial *trial, int64_t least)
{
    bool is_good = true;
    int64_t there;

    if (trial->election.nodes[GENERATOR_NODE].pid != 0) {
        is_good = trial_leave(trial, GENERATOR_NODE);
    }
    /* The table is never behind the topic. */
    there = election_count(&trial->election, "SELECT count(*) FROM voters") + MORE_VOTERS;
    trial->voters = there > least ? there : least;
    trial->rate = 0;
    trial_start(trial, GENERATOR_NODE);
    trial_say(trial, "no more faults; %" PRId64 " voters in all", trial->voters);
    is_good = wait_counted(trial) && is_good;
    for (int n = 0; n < NODES_MAX; n++) {
        if (trial->election.nodes[n].pid != 0) {
            is_good = trial_end(trial, n) && is_good;
        }
    }
    is_good = is_audited(trial) && is_good;
    return is_checked(trial) && is_good && trial->ended == 0;
}

void trial_close(struct trial *trial, bool is_good)
{
    const struct election *election = &trial->election;

    if (is_good) {
        election_close(&trial->election);
    } else {
        trial_say(trial, "kept in %s: database and topics \"%s\"; logs %s ...", servers_folder(),
                  election->name, election->nodes[GENERATOR_NODE].log);
    }
    for (int n = 0; n < NODES_MAX; n++) {
        if (is_good) {
            forget_picture(trial, n);
        }
        if (trial->clocks[n] != NULL) {
            (void)unlink(trial->clocks[n]);
            free(trial->clocks[n]);
        }
    }
    free(trial->node_database);
}

struct turn {
    bool (*run)(int nth);
    int nth;
    bool is_good;
};

static void take_turn(void **state)
{
    struct turn *turn = *state;

    turn->is_good = turn->run(turn->nth);
}

/* As a test of its own: an assertion that fails outside of one ends the process without a word. */
static bool run_as_test(bool (*run)(int nth), int nth)
{
    struct turn turn = {.run = run, .nth = nth};
    const struct CMUnitTest tests[] = {
        {.name = "trial", .test_func = take_turn, .initial_state = &turn}};

    return cmocka_run_group_tests(tests, NULL, NULL) == 0 && turn.is_good;
}

int trial_run_all(int count, bool (*run)(int nth))
{
    int failed = 0;
    int status;

    for (int i = 0; i < count; i++) {
        pid_t child;

        (void)fflush(stdout);
        child = fork();
        if (child == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* and with it, its nodes */
            exit(run_as_test(run, i) ? 0 : 1);
        }
        failed += child < 0;
    }
    /* Other children, the proxy and the keeper, do not end before. */
    for (int i = failed; i < count; i++) {
        failed += wait(&status) < 0 || status != 0;
    }
    return failed;
}
