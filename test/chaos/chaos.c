/* A whole election while nodes, servers, links and clocks fail; then vd_check must find nothing.
 * What is done follows from the seed alone; when exactly it hits, from the machine. */
#include "../unit/test.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "open.h"
#include "schedule.h"
#include "servers.h"
#include "trial.h"

#define STOCK 200 /* voters that are sent again */
#define AIMS_MAX 20
#define OPEN_WAIT_MS 1500 /* a kill waits so long for a transaction */
#define OPEN_SHARE_MIN 30 /* per cent of the kills, else the test tests nothing */
#define KILLS_TELLING 20  /* fewer have no share to speak of */
#define NEVER INT64_MAX
#define LINKS 2

static const char usage[] =
    "usage: chaos [OPTION...]\n"
    "\n"
    "  --seed N       what is done; else the time of day\n"
    "  --voters N     at least so many, 200000; more are made while faults last\n"
    "  --rate N       voters a second while faults last, 800\n"
    "  --kills N      of nodes, 60; all other faults in proportion\n"
    "  --seconds N    of pauses between them, 100\n"
    "  --patience N   seconds for all votes to be counted after the last fault, 300\n";

static struct {
    uint64_t seed;
    int64_t voters;
    int kills, rate, seconds, patience;
} options = {.voters = 200000, .rate = 800, .kills = 60, .seconds = 100, .patience = 300};

static const char *const links[LINKS] = {"kafka", "postgres"};
static const char *const act_names[ACTS] = {
    "kills",      "stops", "leaves", "spare", "broker kills", "database outages",
    "full disks", "links", "clocks", "fouls"};

static struct trial trial = {.name = "chaos"};
static struct open_probe *probe;
static struct peer_log stock;
static uint64_t dice;
static int64_t resume_ms[NODES], heal_ms[LINKS];
static int kills, kills_open, done[ACTS];
static bool is_good = true;

/* ---- nodes ----------------------------------------------------------------------------------- */

static bool is_running(int n)
{
    return trial.election.nodes[n].pid != 0;
}

static bool is_asleep(int n)
{
    return resume_ms[n] != NEVER;
}

static void resume(int n)
{
    if (is_asleep(n)) {
        (void)kill(trial.election.nodes[n].pid, SIGCONT);
        resume_ms[n] = NEVER;
        trial_say(&trial, "node %d goes on", n);
    }
}

static void heal(int link)
{
    if (heal_ms[link] != NEVER) {
        servers_link("heal %s", links[link]);
        heal_ms[link] = NEVER;
        trial_say(&trial, "link %s is whole", links[link]);
    }
}

/* Wake who has slept, mend what was broken; no node may end by itself, whatever is done to it. */
static void look_after(void)
{
    for (int n = 0; n < NODES; n++) {
        if (resume_ms[n] <= now_ms()) {
            resume(n);
        }
    }
    for (int link = 0; link < LINKS; link++) {
        if (heal_ms[link] <= now_ms()) {
            heal(link);
        }
    }
    trial_look_after(&trial);
}

static void wait_ms(int64_t ms)
{
    const int64_t end_ms = now_ms() + ms;

    do {
        int64_t left = end_ms - now_ms();

        look_after();
        pause_ms((int)(left < 0 ? 0 : left > 50 ? 50 : left));
    } while (now_ms() < end_ms);
}

/* Hold the node while it has a transaction open, so that the kill hits it there. */
static bool hold_in_transaction(int n)
{
    for (int i = 0; i < AIMS_MAX; i++) {
        if (!open_probe_wait(probe, OPEN_WAIT_MS)) {
            return false;
        }
        (void)kill(trial.election.nodes[n].pid, SIGSTOP);
        if (open_probe_is_stuck(probe)) {
            return true;
        }
        (void)kill(trial.election.nodes[n].pid, SIGCONT);
    }
    return false;
}

/* The transaction of a node that sleeps, or cannot reach the broker, would be taken for that of the
 * one that is killed. */
static bool can_see_transactions(void)
{
    for (int n = 0; n < NODES; n++) {
        if (is_asleep(n)) {
            return false;
        }
    }
    return heal_ms[0] == NEVER;
}

/* kill -9. 'is_aimed': while a transaction is open, if one comes soon; else at once. Then look
 * whether one was left open, if the broker is there to be asked. */
static void kill_node(int n, bool is_aimed, bool has_broker)
{
    bool can_see = has_broker && can_see_transactions();
    bool is_open = can_see && is_aimed && hold_in_transaction(n);

    (void)election_stop(&trial.election, n, SIGKILL);
    resume_ms[n] = NEVER;
    is_open = is_open || (can_see && open_probe_is_stuck(probe));
    kills++;
    kills_open += is_open;
    trial_say(&trial, "node %d killed%s", n, is_open ? " in a transaction" : "");
}

static void end_node(int n)
{
    resume(n);
    heal(0);
    heal(1);
    is_good = trial_leave(&trial, n) && is_good;
    trial_say(&trial, "node %d has left", n);
}

/* The node that an event means: one that is there and awake, so that a zombie can wake up. */
static int node_of(const struct event *event)
{
    for (int i = 0; i < NODES; i++) {
        int n = (event->node + i) % NODES;

        if (is_running(n) && !is_asleep(n)) {
            return n;
        }
    }
    resume(0);
    return 0;
}

/* ---- events ---------------------------------------------------------------------------------- */

/* The server is gone; bring it back, after killing a node in its absence, perhaps. */
static void sit_out(const struct event *event, const char *server)
{
    char words[64];
    int n = node_of(event);

    if (event->is_aimed) {
        wait_ms(event->ms / 2);
        kill_node(n, false, strcmp(server, "kafka") != 0);
        trial_start(&trial, n);
    }
    wait_ms(event->ms / 2);
    (void)snprintf(words, sizeof(words), "start %s >/dev/null", server);
    election_server(words);
    trial_say(&trial, "%s is back", server);
}

static void kill_broker(const struct event *event)
{
    election_server("kill kafka >/dev/null");
    trial_say(&trial, "kafka killed");
    sit_out(event, "kafka");
}

static void end_database(const struct event *event)
{
    if (done[ACT_DATABASE] % 2 == 0) {
        election_server("kill postgres >/dev/null");
        trial_say(&trial, "postgres killed");
    } else {
        servers_abort_postgres();
        trial_say(&trial, "postgres stopped at once");
    }
    sit_out(event, "postgres");
}

static void fill_disk(const struct event *event)
{
    servers_fill_disk();
    trial_say(&trial, "kafka ended over its full disk");
    sit_out(event, "kafka");
}

static void break_link(const struct event *event)
{
    static const struct {
        const char *verb, *how;
    } orders[FAILURES] = {
        {"cut", ""}, {"reset", ""}, {"delay", "500"}, {"hold", "up"}, {"hold", "down"}};
    int link = event->is_aimed ? 0 : 1;
    const char *verb = orders[event->failure].verb;
    const char *how = orders[event->failure].how;

    servers_link("%s %s %s", verb, links[link], how);
    if (event->failure != FAILURE_RESET) {
        heal_ms[link] = now_ms() + event->ms;
    }
    trial_say(&trial, "link %s: %s %s for %d ms", links[link], verb, how, event->ms);
}

/* Voters once more, in their own partition and in another one, and what is no voter. */
static void send_foul(void)
{
    char *voters = election_topic(&trial.election, "voters_topic");

    for (int i = 0; i < 8; i++) {
        const struct peer_record *again = &stock.records[schedule_next(&dice) % stock.count];

        peer_send(voters, (again->partition + (i >= 6)) % 4, again->key, again->value);
        trial.rejected++;
    }
    for (int i = 0; i < 3; i++) {
        peer_send(voters, (int32_t)(schedule_next(&dice) % 4), "poison",
                  i == 0 ? NULL : "{\"voter_id\":");
        trial.dead++;
    }
    peer_flush();
    free(voters);
    trial_say(&trial, "repeats and poison sent");
}

static void stop_node(int n, int ms)
{
    bool is_open = open_probe_wait(probe, OPEN_WAIT_MS);

    (void)kill(trial.election.nodes[n].pid, SIGSTOP);
    resume_ms[n] = now_ms() + ms;
    trial_say(&trial, "node %d stopped for %d ms%s", n, ms,
              is_open ? ", perhaps in a transaction" : "");
}

static void move_spare(const struct event *event)
{
    if (!is_running(SPARE)) {
        trial_start(&trial, SPARE);
        trial_say(&trial, "node %d joins", SPARE);
    } else if (event->is_aimed && !is_asleep(SPARE)) {
        kill_node(SPARE, true, true);
    } else {
        end_node(SPARE);
    }
}

static void set_clock(int n, bool is_forward)
{
    trial_set_clock(&trial, n, is_forward ? 3600 : -3600);
    trial_say(&trial, "node %d: the clock is an hour %s", n, is_forward ? "fast" : "slow");
}

static void run(const struct event *event)
{
    int n = node_of(event);

    switch (event->act) {
    case ACT_KILL:
        kill_node(n, event->is_aimed, true);
        trial_start(&trial, n);
        break;
    case ACT_STOP:
        stop_node(n, event->ms);
        break;
    case ACT_LEAVE:
        end_node(n);
        wait_ms(event->ms);
        trial_start(&trial, n);
        trial_say(&trial, "node %d joins", n);
        break;
    case ACT_SPARE:
        move_spare(event);
        break;
    case ACT_BROKER:
        kill_broker(event);
        break;
    case ACT_DATABASE:
        end_database(event);
        break;
    case ACT_DISK:
        fill_disk(event);
        break;
    case ACT_LINK:
        break_link(event);
        break;
    case ACT_CLOCK:
        set_clock(n, event->is_aimed);
        break;
    case ACT_FOUL:
        send_foul();
        break;
    case ACTS:
        break;
    }
    done[event->act]++;
}

/* ---- the election ---------------------------------------------------------------------------- */

static void open_election(void)
{
    static char *topics[4];
    char *voters;

    trial.rate = options.rate;
    trial.patience_s = options.patience;
    trial_open(&trial);
    trial_fake_clocks(&trial);
    for (int n = 0; n < NODES; n++) {
        resume_ms[n] = NEVER;
    }
    heal_ms[0] = heal_ms[1] = NEVER;
    for (int n = 0; n < STEADY_NODES; n++) {
        trial_start(&trial, n);
    }
    is_good = trial_wait_votes(&trial, STOCK, options.patience);
    voters = election_topic(&trial.election, "voters_topic");
    stock = peer_read(voters, true);
    topics[0] = voters;
    topics[1] = election_topic(&trial.election, "votes_topic");
    topics[2] = election_topic(&trial.election, "agg_partials");
    topics[3] = election_topic(&trial.election, "rejected_votes");
    probe = open_probe_new(peer_brokers(), topics, 4, 4);
}

static void calm_down(void)
{
    for (int n = 0; n < NODES; n++) {
        resume(n);
    }
    for (int link = 0; link < LINKS; link++) {
        heal(link);
    }
}

static void tell(void)
{
    int share = kills > 0 ? kills_open * 100 / kills : 0;

    if (kills >= KILLS_TELLING && share < OPEN_SHARE_MIN) {
        trial_say(&trial, "TOO FEW KILLS IN A TRANSACTION");
        is_good = false;
    }
    for (int act = 0; act < ACTS; act++) {
        trial_say(&trial, "%-17s %d", act_names[act], act == ACT_KILL ? kills : done[act]);
    }
    trial_say(&trial, "seed %" PRIu64 ": %d kills, %d of them in a transaction (%d %%), %s",
              options.seed, kills, kills_open, share, is_good ? "good" : "BAD");
}

static void run_election(void)
{
    static struct event events[EVENTS_MAX];
    size_t count = schedule_make(options.seed, options.kills, options.seconds, events);

    for (size_t i = 0; i < count; i++) {
        wait_ms(events[i].pause_ms);
        run(&events[i]);
    }
    calm_down();
    is_good = trial_finish(&trial, options.voters) && is_good;
}

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {{"seed", required_argument, NULL, 's'},
                                          {"voters", required_argument, NULL, 'v'},
                                          {"rate", required_argument, NULL, 'r'},
                                          {"kills", required_argument, NULL, 'k'},
                                          {"seconds", required_argument, NULL, 't'},
                                          {"patience", required_argument, NULL, 'p'},
                                          {NULL, 0, NULL, 0}};
    int letter;

    options.seed = (uint64_t)time(NULL);
    while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1) {
        int number = optarg != NULL ? atoi(optarg) : 0;

        switch (letter) {
        case 's':
            options.seed = strtoull(optarg, NULL, 10);
            break;
        case 'v':
            options.voters = number;
            break;
        case 'r':
            options.rate = number;
            break;
        case 'k':
            options.kills = number;
            break;
        case 't':
            options.seconds = number;
            break;
        case 'p':
            options.patience = number;
            break;
        default:
            (void)fputs(usage, stderr);
            exit(2);
        }
    }
}

/* In a process of its own, as all trials: there is one. */
static bool run_all(int nth)
{
    (void)nth;
    open_election();
    if (is_good) {
        run_election();
    }
    tell();
    open_probe_free(probe);
    peer_log_free(&stock);
    trial_close(&trial, is_good);
    return is_good;
}

int main(int argc, char **argv)
{
    int failed;

    read_options(argc, argv);
    dice = options.seed;
    trial_say(&trial, "seed %" PRIu64 ", %d kills", options.seed, options.kills);
    servers_start();
    failed = trial_run_all(1, run_all);
    servers_stop(failed > 0);
    return failed == 0 ? 0 : 1;
}
