/* SIGTERM while servers are away, many times: every node must end within its deadline. README.md
 * explains. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "../broker/election.h"
#include "measure.h"

#define AT_WORK 500            /* votes of the round before the outage */
#define AWAY_MS_MAX 6000       /* a signal comes so long after the outage began, at most */
#define DEADLINE_MS 30000      /* drain_timeout_ms */
#define SLACK_MS 10000         /* it may be noted so late, on a busy machine */
#define PATIENCE_MS 60000      /* a node that has not ended by then hangs */
#define START_MS 150000        /* nodes that have not voted by then never will */
#define LOG_END 500            /* bytes of a log that are shown */
#define HANGING "find-hanging" /* what a node advises when Kafka has lost a transaction */
#define ENDED 0
#define LEFT 5 /* the drain could not be finished: see votingd --help */

static const char usage[] =
    "usage: drain [OPTION...]\n"
    "\n"
    "  --runs N      SIGTERMs in each kind of outage, 100\n"
    "  --kind WORDS  as \"kill kafka\", \"freeze postgres\", \"kill\" (both); else all of these\n"
    "  --seed N      of the moments, 1\n";

static struct {
    int runs;
    const char *kind;
    int seed;
} options = {.runs = 100, .seed = 1};

static const struct setting settings[] = {
    {.name = "runs", .number = &options.runs},
    {.name = "kind", .text = &options.kind},
    {.name = "seed", .number = &options.seed},
    {.name = NULL},
};

static const char *const kinds[] = {"kill kafka",   "kill postgres",   "kill",
                                    "freeze kafka", "freeze postgres", "freeze"};

static struct election election;

/* The nodes of one outage, each with its own moment. */
struct round {
    int64_t signal_ms[NODES_MAX], sent_ms[NODES_MAX];
};

struct tally {
    struct series seconds;
    int ended, left, bad;
    int lost; /* times that Kafka had lost a transaction, and a new election was needed */
};

static int64_t votes(void)
{
    return election_count(&election, "SELECT count(*) FROM votes");
}

static void open_election(void)
{
    election_open(&election, "drain");
    election_start(&election, 0, NULL); /* makes tables and topics */
    election_wait_counted(&election, 1000, 240);
    (void)election_stop(&election, 0, SIGTERM);
}

/* False if the nodes get no work done. */
static bool start_nodes(void)
{
    int64_t before = votes();
    int64_t deadline_ms = now_ms() + START_MS;

    for (int n = 0; n < NODES_MAX; n++) {
        election_start(&election, n, "--set", "stage:generator.voters=100000000", "--set",
                       "stage:generator.rate=2000", n > 0 ? "--disable" : NULL, "generator", NULL);
    }
    while (votes() < before + AT_WORK) {
        if (now_ms() > deadline_ms) {
            return false;
        }
        pause_ms(50);
    }
    pause_ms(rand() % 500);
    return true;
}

/* Kafka 3.9.2 that was frozen past its controller's session may come back without what it knew of
 * open transactions, and leave their offsets pending for ever: no fault of ours. Another group is
 * not touched by it. */
static void replace_election(const char *kind, struct tally *tally)
{
    bool is_lost = false;

    printf("    %s: no vote within %d s of a start\n", kind, START_MS / 1000);
    for (int n = 0; n < NODES_MAX; n++) {
        char *log = election_log(&election, n);
        size_t len = strlen(log);

        is_lost = is_lost || strstr(log, HANGING) != NULL;
        printf("    node %d: ... %s\n", n, log + (len > LOG_END ? len - LOG_END : 0));
        free(log);
    }
    printf("    %s\n", is_lost ? "Kafka has lost a transaction: going on with a new election"
                               : "NOT KEPT: no node says that Kafka has lost a transaction");
    tally->lost += is_lost;
    tally->bad += !is_lost;
    election_close(&election);
    open_election();
}

static void note_end(struct tally *tally, int n, int status, int64_t ms)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);

    series_add(&tally->seconds, (double)ms / 1000);
    if (code == ENDED && ms <= DEADLINE_MS) {
        tally->ended++;
    } else if (code == LEFT && ms <= DEADLINE_MS + SLACK_MS) {
        tally->left++;
    } else {
        tally->bad++;
        printf("    NOT KEPT: node %d ended with %d after %lld ms\n", n, code, (long long)ms);
    }
}

/* True when all have ended. */
static bool step(struct round *round, struct tally *tally)
{
    bool is_over = true;

    for (int n = 0; n < NODES_MAX; n++) {
        struct node *node = &election.nodes[n];
        int status;

        if (node->pid == 0) {
            continue;
        }
        if (round->sent_ms[n] == 0 && now_ms() >= round->signal_ms[n]) {
            (void)kill(node->pid, SIGTERM);
            round->sent_ms[n] = now_ms();
        }
        if (waitpid(node->pid, &status, WNOHANG) == node->pid) {
            note_end(tally, n, status, now_ms() - round->sent_ms[n]);
            node->pid = 0;
        } else if (round->sent_ms[n] != 0 && now_ms() > round->sent_ms[n] + PATIENCE_MS) {
            (void)election_stop(&election, n, SIGKILL);
            note_end(tally, n, SIGKILL, PATIENCE_MS);
        } else {
            is_over = false;
        }
    }
    return is_over;
}

static void run_round(const char *kind, struct tally *tally)
{
    const char *servers = strchr(kind, ' ') != NULL ? strchr(kind, ' ') + 1 : "";
    struct round round = {0};

    if (!start_nodes()) {
        replace_election(kind, tally);
        return;
    }
    serve(kind, "");
    for (int n = 0; n < NODES_MAX; n++) {
        round.signal_ms[n] = now_ms() + rand() % AWAY_MS_MAX;
    }
    while (!step(&round, tally)) {
        pause_ms(5);
    }
    serve(strncmp(kind, "freeze", 6) == 0 ? "thaw" : "start", servers);
}

static bool run(const char *kind)
{
    static struct tally tally;

    memset(&tally, 0, sizeof(tally));
    open_election();
    for (int runs = 0; runs < options.runs; runs += NODES_MAX) {
        run_round(kind, &tally);
    }
    printf("%-16s | %4zu | %4d %4d %4d | %5.2f %5.2f %5.2f s | %4d\n", kind, tally.seconds.count,
           tally.ended, tally.left, tally.bad, series_quantile(&tally.seconds, 50),
           series_quantile(&tally.seconds, 95), series_quantile(&tally.seconds, 100), tally.lost);
    (void)fflush(stdout);
    election_close(&election);
    return tally.bad == 0;
}

int main(int argc, char **argv)
{
    bool is_good = true;

    read_settings(argc, argv, settings, usage);
    if (!election_is_possible() || getenv("VOTINGD_TEST_LOCAL") == NULL) {
        (void)fputs("skipped: a broker, a database and VOTINGD_TEST_LOCAL are needed\n", stderr);
        return 77;
    }
    srand((unsigned)options.seed);
    printf("%-16s | %4s | %14s | %-19s | %s\n", "outage", "runs", "exit 0  5  bad",
           "median, 95 %, most", "lost by Kafka");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (options.kind == NULL || strcmp(options.kind, kinds[i]) == 0) {
            is_good = run(kinds[i]) && is_good;
        }
    }
    return is_good ? 0 : 1;
}
