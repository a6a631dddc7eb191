/* Every crash point of the exactly-once protocol (4.4, 5, 6.6), once with a kill and once with a
 * stop of 15 s, on real servers. Five elections of two nodes run side by side: node 0, which also
 * makes the voters, is the victim, node 1 takes over. Then vd_check must find nothing. That a point
 * was reached is seen by how the process ended or stopped. */
#include "../unit/test.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "schedule.h"
#include "servers.h"
#include "trial.h"

#define LANES 5
#define VICTIM GENERATOR_NODE
#define SURVIVOR 1
#define RATE 150 /* voters a second, of each election */
#define FIRST_VOTES 300
#define STOP_MS 15000 /* beyond session and transaction, of 10 s each */
#define HIT_S 200     /* to reach a point */
#define GO_ON_S 200   /* to count something afterwards */
#define GO_ON_VOTES 100
#define PATIENCE_S 240
#define OTHERS_S 300 /* for the other elections */

/* What is done to the servers around a point: it is brought about in the moment before EndTxn. */
enum twist {
    TWIST_NONE,
    TWIST_HOLD_END,     /* EndTxn arrives late, or when its sender is long replaced */
    TWIST_HOLD_MARKERS, /* the coordinator decides, but cannot write markers for a while */
    TWIST_KILL_BROKER,  /* it decides, and is killed before it has written any */
    TWIST_LOSE_ANSWER,  /* the node lives, but the answer never comes */
};

static const struct point {
    const char *name, *stage, *step;
    enum twist twist;
    bool is_alive; /* neither killed nor stopped: 'step' is what is armed, whole */
} points[] = {
    {"voting 11, decided, broker killed", "voting", "txn_end_sent", TWIST_KILL_BROKER, false},
    {"voting 10, decided, no marker", "voting", "txn_end_sent", TWIST_HOLD_MARKERS, false},
    {"aggregation 4, decided, no marker", "aggregation", "txn_end_sent", TWIST_HOLD_MARKERS, false},
    {"voting 9, EndTxn sent, undecided", "voting", "txn_end_sent", TWIST_HOLD_END, false},
    {"voting 12, answer lost, alive", "voting", "txn_end", TWIST_LOSE_ANSWER, true},
    {"voting 12, answer taken for lost", "voting", "txn_answered=skip@4", TWIST_NONE, true},
    {"voting 9, EndTxn never sent", "voting", "txn_end=skip@4", TWIST_NONE, true},
    {"aggregation 5, answer taken for lost", "aggregation", "txn_answered=skip@4", TWIST_NONE,
     true},
    {"generator 4, answer taken for lost", "generator", "txn_answered=skip@4", TWIST_NONE, true},
    {"voting 1, read", "voting", "polled", TWIST_NONE, false},
    {"voting 2, inside the PostgreSQL transaction", "voting", "pg_sync", TWIST_NONE, false},
    {"voting 3, COMMIT sent", "voting", "pg_sent", TWIST_NONE, false},
    {"voting 4, COMMIT answered", "voting", "pg_answered", TWIST_NONE, false},
    {"voting 5, begun", "voting", "txn_begun", TWIST_NONE, false},
    {"voting 6, some records", "voting", "txn_some", TWIST_NONE, false},
    {"voting 7, all records", "voting", "txn_offsets", TWIST_NONE, false},
    {"voting 8, offsets sent", "voting", "txn_end", TWIST_NONE, false},
    {"voting 12, answer lost with the node", "voting", "txn_end_sent", TWIST_NONE, false},
    {"voting 13, before the bookkeeping", "voting", "committed", TWIST_NONE, false},
    {"aggregation 1, read", "aggregation", "polled", TWIST_NONE, false},
    {"aggregation 2, some partials", "aggregation", "txn_some", TWIST_NONE, false},
    {"aggregation 3, offsets sent", "aggregation", "txn_end", TWIST_NONE, false},
    {"aggregation 5, before folding", "aggregation", "committed", TWIST_NONE, false},
    {"aggregation 6, before publishing", "aggregation", "publish", TWIST_NONE, false},
    {"generator 1, before COMMIT", "generator", "pg_sync", TWIST_NONE, false},
    {"generator 2, after COMMIT", "generator", "pg_answered", TWIST_NONE, false},
    {"generator 3, inside the transaction", "generator", "txn_some", TWIST_NONE, false},
    {"generator 4, in doubt", "generator", "txn_end_sent", TWIST_NONE, false},
};
#define POINTS ((int)(sizeof(points) / sizeof(points[0])))

static uint64_t seed;
static const char *only = "";

/* What troubles the servers troubles all elections: lane 0 does it, once all others have begun, and
 * they end when it is over. */
#define TROUBLED_LANE 0

static struct {
    atomic_int begun; /* elections */
    atomic_bool is_calm;
} * all_lanes; /* in memory that their processes share */

/* ---- the victim ------------------------------------------------------------------------------ */

/* Wait until the victim is stopped, killed or otherwise over. Returns: wait's status, or -1. */
static int wait_change(struct trial *trial)
{
    struct node *node = &trial->election.nodes[VICTIM];
    int64_t deadline_ms = now_ms() + HIT_S * 1000;
    int status;

    while (waitpid(node->pid, &status, WUNTRACED | WNOHANG) == 0) {
        if (now_ms() > deadline_ms) {
            return -1;
        }
        pause_ms(5);
    }
    if (!WIFSTOPPED(status)) {
        node->pid = 0;
    }
    return status;
}

static const char *say_status(int status)
{
    static char text[64];

    if (status == -1) {
        (void)snprintf(text, sizeof(text), "it still runs after %d s", HIT_S);
    } else if (WIFEXITED(status)) {
        (void)snprintf(text, sizeof(text), "it ended with exit code %d", WEXITSTATUS(status));
    } else if (WIFSTOPPED(status)) {
        (void)snprintf(text, sizeof(text), "it was stopped");
    } else {
        (void)snprintf(text, sizeof(text), "it was ended by signal %d", WTERMSIG(status));
    }
    return text;
}

static void go_on(struct trial *trial)
{
    (void)kill(trial->election.nodes[VICTIM].pid, SIGCONT);
}

/* Let through what is held of the victim's; others may just hold theirs. */
static void heal_own(struct trial *trial)
{
    servers_link("heal kafka %s.n0.", trial->election.name);
}

/* The victim has stopped itself just before EndTxn: prepare what shall become of that. */
static bool bring_about(struct trial *trial, const struct point *point)
{
    int status = wait_change(trial);

    if (status == -1 || !WIFSTOPPED(status)) {
        trial_say(trial, "%s: EndTxn WAS NOT REACHED: %s", point->name, say_status(status));
        trial_tell_log(trial, VICTIM);
        return false;
    }
    switch (point->twist) {
    case TWIST_HOLD_END:
        servers_link("hold kafka up %s.n0.", trial->election.name);
        break;
    case TWIST_LOSE_ANSWER:
        servers_link("hold kafka down %s.n0.", trial->election.name);
        break;
    case TWIST_HOLD_MARKERS:
    case TWIST_KILL_BROKER:
        servers_link("hold inner up");
        break;
    case TWIST_NONE:
        break;
    }
    go_on(trial);
    return true;
}

/* After the point was reached; 'is_killed': else the victim is stopped, and longer than this. */
static void undo(struct trial *trial, const struct point *point, bool is_killed)
{
    if (point->twist == TWIST_KILL_BROKER) {
        pause_ms(200); /* EndTxn arrives, and is decided */
        election_server("kill kafka >/dev/null");
        servers_link("heal inner");
        election_server("start kafka >/dev/null");
    } else if (point->twist == TWIST_HOLD_MARKERS) {
        if (is_killed) {
            trial_start(trial, VICTIM); /* must wait for the markers */
        }
        pause_ms(3000);
        servers_link("heal inner");
    } else if (point->twist == TWIST_HOLD_END && is_killed) {
        int64_t votes = trial_votes(trial);

        trial_start(trial, VICTIM);
        (void)trial_wait_votes(trial, votes + GO_ON_VOTES, GO_ON_S); /* seen by the caller, too */
        heal_own(trial); /* the late EndTxn finds a newer epoch */
    }
}

/* ---- a point --------------------------------------------------------------------------------- */

/* Does work go on? The victim is ended in good order, if it still runs. */
static bool goes_on(struct trial *trial, const struct point *point)
{
    bool is_good = trial_wait_votes(trial, trial_votes(trial) + GO_ON_VOTES, GO_ON_S);

    if (!is_good) {
        trial_say(trial, "%s: NOTHING GOES ON", point->name);
        trial_tell_nodes(trial);
    }
    if (trial->election.nodes[VICTIM].pid != 0) {
        is_good = trial_leave(trial, VICTIM) && is_good;
    }
    return is_good;
}

static bool kill_at(struct trial *trial, const struct point *point)
{
    int status = wait_change(trial);

    if (status == -1 || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        trial_say(trial, "%s: NOT KILLED THERE: %s", point->name, say_status(status));
        trial_tell_log(trial, VICTIM);
        return false;
    }
    undo(trial, point, true);
    if (trial->election.nodes[VICTIM].pid == 0) {
        trial_start(trial, VICTIM);
    }
    return goes_on(trial, point);
}

static bool stop_at(struct trial *trial, const struct point *point)
{
    int status = wait_change(trial);
    int64_t wake_ms = now_ms() + STOP_MS;
    int64_t left_ms;

    if (status == -1 || !WIFSTOPPED(status)) {
        trial_say(trial, "%s: NOT STOPPED THERE: %s", point->name, say_status(status));
        trial_tell_log(trial, VICTIM);
        return false;
    }
    undo(trial, point, false);
    left_ms = wake_ms - now_ms();
    pause_ms(left_ms > 0 ? (int)left_ms : 0);
    if (point->twist == TWIST_HOLD_END) {
        heal_own(trial); /* the late EndTxn finds its transaction timed out */
    }
    go_on(trial);
    return goes_on(trial, point);
}

/* Has the victim logged that a point was reached, since its log was 'from' bytes long? */
static bool has_told(struct trial *trial, size_t from)
{
    char *log = election_log(&trial->election, VICTIM);
    bool is_there = strlen(log) > from && strstr(log + from, "fail point") != NULL;

    free(log);
    return is_there;
}

static bool live_through(struct trial *trial, const struct point *point, size_t log_from)
{
    bool is_there = false;
    int64_t deadline_ms = now_ms() + HIT_S * 1000;

    if (point->twist == TWIST_LOSE_ANSWER) {
        pause_ms(2000);
        servers_link("reset kafka %s.n0.", trial->election.name);
        heal_own(trial);
    }
    while (!is_there && now_ms() < deadline_ms) {
        is_there = has_told(trial, log_from);
        pause_ms(50);
    }
    if (!is_there) {
        trial_say(trial, "%s: NOT REACHED", point->name);
        trial_tell_log(trial, VICTIM);
    }
    return goes_on(trial, point) && is_there;
}

static void arm(const struct point *point, const char *action, int nth, char *text, size_t bytes)
{
    if (point->is_alive && point->twist == TWIST_NONE) {
        (void)snprintf(text, bytes, "%s.%s", point->stage, point->step);
    } else if (point->is_alive) {
        (void)snprintf(text, bytes, "%s.%s=stop@%d", point->stage, point->step, nth);
    } else if (point->twist != TWIST_NONE) {
        (void)snprintf(text, bytes, "%s.txn_end=stop@%d>%s.%s=%s", point->stage, nth, point->stage,
                       point->step, action);
    } else {
        (void)snprintf(text, bytes, "%s.%s=%s@%d", point->stage, point->step, action, nth);
    }
}

static bool pass(struct trial *trial, const struct point *point, const char *action, int nth)
{
    char armed[128];
    char *log = election_log(&trial->election, VICTIM);
    bool is_good;

    arm(point, action, nth, armed, sizeof(armed));
    trial_say(trial, "%s: %s", point->name, armed);
    trial->failpoints = armed;
    trial_start(trial, VICTIM);
    if (point->twist != TWIST_NONE && !bring_about(trial, point)) {
        is_good = false;
    } else if (point->is_alive) {
        is_good = live_through(trial, point, strlen(log));
    } else if (strcmp(action, "kill") == 0) {
        is_good = kill_at(trial, point);
    } else {
        is_good = stop_at(trial, point);
    }
    free(log);
    return is_good;
}

/* ---- an election ----------------------------------------------------------------------------- */

static bool is_wanted(const struct point *point)
{
    return strstr(point->name, only) != NULL;
}

/* What troubles all elections is done by one of them, so that it is done once at a time. */
static int lane_of(const struct point *point, int *turn)
{
    return point->twist == TWIST_HOLD_MARKERS || point->twist == TWIST_KILL_BROKER
               ? TROUBLED_LANE
               : 1 + (*turn)++ % (LANES - 1);
}

static void await_beginnings(const struct trial *trial)
{
    int64_t deadline_ms = now_ms() + OTHERS_S * 1000;

    while (atomic_load(&all_lanes->begun) < LANES && now_ms() < deadline_ms) {
        pause_ms(50);
    }
    if (atomic_load(&all_lanes->begun) < LANES) {
        trial_say(trial, "NOT all elections have begun; going on without them");
    }
}

static void await_calm(const struct trial *trial)
{
    int64_t deadline_ms = now_ms() + OTHERS_S * 1000;

    while (!atomic_load(&all_lanes->is_calm) && now_ms() < deadline_ms) {
        pause_ms(50);
    }
    if (!atomic_load(&all_lanes->is_calm)) {
        trial_say(trial, "the servers are NOT left alone yet; going on");
    }
}

static bool run_points(struct trial *trial, int lane)
{
    static const char *const actions[] = {"kill", "stop"};
    uint64_t dice = seed + (uint64_t)lane;
    bool is_good = true;

    for (int i = 0, turn = 0; i < POINTS && is_good; i++) {
        if (!is_wanted(&points[i]) || lane_of(&points[i], &turn) != lane) {
            continue;
        }
        for (int a = 0; a < (points[i].is_alive ? 1 : 2) && is_good; a++) {
            is_good = pass(trial, &points[i], actions[a], 3 + (int)(schedule_next(&dice) % 6));
        }
    }
    return is_good;
}

static bool run_lane(int lane)
{
    char name[16];
    struct trial trial = {.name = name, .rate = RATE, .patience_s = PATIENCE_S};
    bool is_good;

    (void)snprintf(name, sizeof(name), "lane %d", lane);
    trial_open(&trial);
    trial_start(&trial, SURVIVOR);
    trial_start(&trial, VICTIM);
    is_good = trial_wait_votes(&trial, FIRST_VOTES, HIT_S) && trial_end(&trial, VICTIM);
    atomic_fetch_add(&all_lanes->begun, 1);
    if (lane == TROUBLED_LANE) {
        await_beginnings(&trial);
        is_good = is_good && run_points(&trial, lane);
        servers_link("heal inner"); /* also after a point that went wrong */
        atomic_store(&all_lanes->is_calm, true);
    } else {
        is_good = is_good && run_points(&trial, lane);
        await_calm(&trial);
    }
    is_good = is_good && trial_finish(&trial, 0);
    trial_say(&trial, "%s", is_good ? "good" : "BAD");
    trial_close(&trial, is_good);
    return is_good;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"seed", required_argument, NULL, 's'},
                                          {"only", required_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
    struct trial all = {.name = "points"};
    int letter, failed, passes = 0;

    seed = (uint64_t)time(NULL);
    while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (letter == 's') {
            seed = strtoull(optarg, NULL, 10);
        } else if (letter == 'o') {
            only = optarg;
        } else {
            (void)fputs("usage: points [--seed N] [--only WORDS]\n", stderr);
            return 2;
        }
    }
    for (int i = 0; i < POINTS; i++) {
        passes += is_wanted(&points[i]) ? (points[i].is_alive ? 1 : 2) : 0;
    }
    trial_say(&all, "seed %" PRIu64, seed);
    all_lanes =
        mmap(NULL, sizeof(*all_lanes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (all_lanes == MAP_FAILED) {
        perror("memory for all elections");
        return 1;
    }
    servers_start();
    failed = trial_run_all(LANES, run_lane);
    servers_stop(failed > 0);
    trial_say(&all, "seed %" PRIu64 ": %d passes of %d points, %d of %d elections good", seed,
              passes, POINTS, LANES - failed, LANES);
    return failed == 0 ? 0 : 1;
}
