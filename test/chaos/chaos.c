/* A whole election while nodes, broker and database are killed; then vd_check must find nothing.
 * What is done follows from the seed alone; when exactly it hits, from the machine. */
#include "../unit/test.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "../broker/election.h"
#include "open.h"
#include "schedule.h"

#define STOCK 200 /* voters that are sent again */
#define AIMS_MAX 20
#define OPEN_WAIT_MS 1500 /* a kill waits so long for a transaction */
#define OPEN_SHARE_MIN 30 /* per cent of the kills, else the test tests nothing */
#define KILLS_TELLING 20  /* fewer have no share to speak of */
#define NEVER INT64_MAX
#define COMMAND_BYTES 1024

static const char usage[] =
    "usage: chaos [OPTION...]\n"
    "\n"
    "  --seed N       what is done; else the time of day\n"
    "  --voters N     100000\n"
    "  --kills N      of nodes, 24; all other faults in proportion\n"
    "  --stops N      of nodes, for up to 15 s; else a twelfth of the kills\n"
    "  --seconds N    over which they are spread, 100\n"
    "  --patience N   seconds for all votes to be counted after the last fault, 120\n";

static struct {
    uint64_t seed;
    int voters, kills, stops, seconds, patience;
} options = {.stops = -1, .voters = 100000, .kills = 24, .seconds = 100, .patience = 120};

static struct election election;
static struct open_probe *probe;
static struct peer_log stock;
static uint64_t dice;
static int64_t begin_ms, resume_ms[NODES];
static int kills, kills_open, repeats, poison, ended;
static char voters_set[64], rate_set[64];

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)printf("%7.1f s  ", (double)(now_ms() - begin_ms) / 1000);
    (void)vprintf(format, args);
    (void)printf("\n");
    (void)fflush(stdout);
    va_end(args);
}

/* ---- nodes --------------------------------------------------------------------------------- */

static void start(int n)
{
    if (n == 0) {
        election_start(&election, n, "--set", voters_set, "--set", rate_set, NULL);
    } else {
        election_start(&election, n, "--set", voters_set, "--disable", "generator", NULL);
    }
    resume_ms[n] = NEVER;
}

static void resume(int n)
{
    if (resume_ms[n] != NEVER) {
        (void)kill(election.nodes[n].pid, SIGCONT);
        resume_ms[n] = NEVER;
        say("node %d goes on", n);
    }
}

/* Wake who has slept; no node may end by itself, whatever is done to the others. */
static void look_after_nodes(void)
{
    for (int n = 0; n < NODES; n++) {
        int status;

        if (resume_ms[n] <= now_ms()) {
            resume(n);
        }
        if (election.nodes[n].pid != 0 &&
            waitpid(election.nodes[n].pid, &status, WNOHANG) == election.nodes[n].pid) {
            say("node %d ENDED BY ITSELF, exit code %d, signal %d", n, WEXITSTATUS(status),
                WIFSIGNALED(status) ? WTERMSIG(status) : 0);
            ended++;
            start(n);
        }
    }
}

static void wait_ms(int64_t ms)
{
    const int64_t end_ms = now_ms() + ms;

    do {
        int64_t left = end_ms - now_ms();
        const struct timespec pause = {.tv_nsec = (left < 0 ? 0 : left > 50 ? 50 : left) * 1000000};

        look_after_nodes();
        (void)nanosleep(&pause, NULL);
    } while (now_ms() < end_ms);
}

/* Hold the node while it has a transaction open, so that the kill hits it there. */
static bool hold_in_transaction(int n)
{
    for (int i = 0; i < AIMS_MAX; i++) {
        if (!open_probe_wait(probe, OPEN_WAIT_MS)) {
            return false;
        }
        (void)kill(election.nodes[n].pid, SIGSTOP);
        if (open_probe_is_stuck(probe)) {
            return true;
        }
        (void)kill(election.nodes[n].pid, SIGCONT);
    }
    return false;
}

/* How a node is killed. */
enum aim {
    AIM_BLIND, /* at once, without a look: no broker could answer */
    AIM_TIME,  /* at once, then look whether a transaction is left open */
    AIM_OPEN,  /* while a transaction is open, if one comes soon */
};

static void kill_node(int n, enum aim aim)
{
    bool is_open = false;

    /* A stopped node's transaction would be taken for that of the one killed. */
    if (resume_ms[0] != NEVER || resume_ms[1] != NEVER) {
        aim = AIM_BLIND;
    }
    if (aim == AIM_OPEN) {
        is_open = hold_in_transaction(n);
    }
    (void)election_stop(&election, n, SIGKILL);
    resume_ms[n] = NEVER;
    kills++;
    is_open = is_open || (aim != AIM_BLIND && open_probe_is_stuck(probe));
    kills_open += is_open;
    start(n);
    say("node %d killed%s", n, is_open ? " in a transaction" : "");
}

/* ---- events -------------------------------------------------------------------------------- */

static void outage(const struct event *event, const char *server)
{
    char words[64];

    (void)snprintf(words, sizeof(words), "kill %s >/dev/null", server);
    election_server(words);
    say("%s killed", server);
    if (event->is_aimed) {
        wait_ms(event->ms / 2);
        kill_node(event->node, AIM_BLIND);
    }
    wait_ms(event->ms / 2);
    (void)snprintf(words, sizeof(words), "start %s >/dev/null", server);
    election_server(words);
    say("%s is back", server);
}

/* Voters once more, in their own partition and in another one, and what is no voter. */
static void send_foul(void)
{
    char *voters = election_topic(&election, "voters_topic");

    for (int i = 0; i < 8; i++) {
        const struct peer_record *again = &stock.records[schedule_next(&dice) % stock.count];

        peer_send(voters, (again->partition + (i >= 6)) % 4, again->key, again->value);
        repeats++;
    }
    for (int i = 0; i < 3; i++) {
        peer_send(voters, (int32_t)(schedule_next(&dice) % 4), "poison",
                  i == 0 ? NULL : "{\"voter_id\":");
        poison++;
    }
    peer_flush();
    free(voters);
    say("repeats and poison sent");
}

static void stop_node(int n, int ms)
{
    bool is_open = open_probe_wait(probe, OPEN_WAIT_MS);

    (void)kill(election.nodes[n].pid, SIGSTOP);
    if (resume_ms[n] == NEVER || resume_ms[n] < now_ms() + ms) {
        resume_ms[n] = now_ms() + ms; /* else it sleeps on */
    }
    say("node %d stopped for %d ms%s", n, ms, is_open ? ", perhaps in a transaction" : "");
}

static void leave_and_join(int n, int away_ms)
{
    say("node %d leaves", n);
    if (election_stop(&election, n, SIGTERM) != 0) {
        say("node %d DID NOT END IN GOOD ORDER", n);
        ended++;
    }
    wait_ms(away_ms);
    start(n);
    say("node %d joins", n);
}

static void run(const struct event *event)
{
    int n = event->node;

    /* A zombie shall wake up, so it is another node's turn. */
    n = resume_ms[n] == NEVER ? n : (n + 1) % NODES;
    switch (event->act) {
    case ACT_KILL:
        kill_node(n, event->is_aimed ? AIM_OPEN : AIM_TIME);
        break;
    case ACT_STOP:
        stop_node(n, event->ms);
        break;
    case ACT_LEAVE:
        resume(n);
        leave_and_join(n, event->ms);
        break;
    case ACT_BROKER:
        outage(event, "kafka");
        break;
    case ACT_DATABASE:
        outage(event, "postgres");
        break;
    case ACT_FOUL:
        send_foul();
        break;
    }
}

/* ---- the election -------------------------------------------------------------------------- */

static int check(bool is_quiet)
{
    char command[COMMAND_BYTES];
    int status;

    (void)snprintf(command, sizeof(command),
                   "%s --database '%s' --suffix=-%s --voters %d --rejected %d --dead %d%s",
                   getenv("VD_CHECK"), election.database, election.name, options.voters, repeats,
                   poison, is_quiet ? " >/dev/null" : "");
    (void)fflush(stdout);
    status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static void open_election(void)
{
    static char *topics[4];
    char *voters;

    election_open(&election, "chaos");
    (void)snprintf(voters_set, sizeof(voters_set), "stage:generator.voters=%d", options.voters);
    (void)snprintf(rate_set, sizeof(rate_set), "stage:generator.rate=%d",
                   12 * options.voters / options.seconds / 10 + 1);
    for (int n = 0; n < NODES; n++) {
        start(n);
    }
    while (election_count(&election, "SELECT count(*) FROM votes") < STOCK) {
        wait_ms(100);
    }
    voters = election_topic(&election, "voters_topic");
    stock = peer_read(voters, true);
    topics[0] = voters;
    topics[1] = election_topic(&election, "votes_topic");
    topics[2] = election_topic(&election, "agg_partials");
    topics[3] = election_topic(&election, "rejected_votes");
    probe = open_probe_new(peer_brokers(), topics, 4, 4);
    say("logs: %s, %s", election.nodes[0].log, election.nodes[1].log);
}

/* Wait until all is counted and published, while the nodes run. */
static bool wait_counted(void)
{
    int64_t deadline_ms = now_ms() + options.patience * 1000;
    int64_t votes = -1;

    while (now_ms() < deadline_ms) {
        int64_t before = votes;

        wait_ms(1000);
        votes = election_count(&election, "SELECT count(*) FROM votes");
        if (votes != before) {
            say("%" PRId64 " votes", votes);
        }
        if (votes >= options.voters &&
            election_sum(&election, "aggregated_votes_per_candidate", "total_votes") >=
                options.voters &&
            check(true) == 0) {
            return true;
        }
    }
    say("NOT COUNTED IN TIME");
    for (int n = 0; n < NODES; n++) {
        char *body;
        int status = election_get(&election, n, "/readyz", &body);

        say("node %d, /readyz: %d %s", n, status, body);
        free(body);
    }
    return false;
}

static bool run_election(void)
{
    static struct event events[EVENTS_MAX];
    size_t count =
        schedule_make(options.seed, options.kills, options.stops, options.seconds, events);
    bool is_good;

    for (size_t i = 0; i < count; i++) {
        wait_ms(events[i].pause_ms);
        run(&events[i]);
    }
    is_good = wait_counted();
    for (int n = 0; n < NODES; n++) {
        if (election_stop(&election, n, SIGTERM) != 0) {
            say("node %d DID NOT END IN GOOD ORDER", n);
            is_good = false;
        }
    }
    if (check(false) != 0 || ended > 0) {
        is_good = false;
    }
    if (kills >= KILLS_TELLING && kills_open * 100 < kills * OPEN_SHARE_MIN) {
        say("TOO FEW KILLS IN A TRANSACTION");
        is_good = false;
    }
    say("seed %" PRIu64 ": %d kills, %d of them in a transaction (%d %%), %s", options.seed, kills,
        kills_open, kills > 0 ? kills_open * 100 / kills : 0, is_good ? "good" : "BAD");
    return is_good;
}

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {{"seed", required_argument, NULL, 's'},
                                          {"voters", required_argument, NULL, 'v'},
                                          {"kills", required_argument, NULL, 'k'},
                                          {"stops", required_argument, NULL, 'z'},
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
        case 'k':
            options.kills = number;
            break;
        case 'z':
            options.stops = number;
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

int main(int argc, char **argv)
{
    bool is_good;

    read_options(argc, argv);
    options.stops = options.stops < 0 ? (options.kills + 11) / 12 : options.stops;
    if (!election_is_possible() || getenv("VD_CHECK") == NULL ||
        getenv("VOTINGD_TEST_LOCAL") == NULL) {
        print_message("VD_CHECK and VOTINGD_TEST_LOCAL are needed\n");
        return 77;
    }
    begin_ms = now_ms();
    dice = options.seed;
    say("seed %" PRIu64 ", %d voters, %d kills, %d s", options.seed, options.voters, options.kills,
        options.seconds);
    open_election();
    is_good = run_election();
    open_probe_free(probe);
    peer_log_free(&stock);
    if (is_good) {
        election_close(&election);
    } else {
        say("kept: database and topics \"%s\", logs %s, %s", election.name, election.nodes[0].log,
            election.nodes[1].log);
    }
    return is_good ? 0 : 1;
}
