/* An election whose broker, database or both go away for a time and come back: how much memory,
 * CPU, log and knocking at the door that costs, and how soon it goes on. README.md explains. */
#include <assert.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../broker/election.h"
#include "measure.h"
#include "stub.h"

#define START_WAIT_MS 240000 /* a broker that was killed looks at all its topics */
#define READY_WAIT_MS 60000  /* after that, for what should take 5 s */
#define COUNT_WAIT_S 300
#define UNTIL_FULL_MS \
    5000 /* into the outage: what fills is full, and memory is compared from here */

/* What the policy promises. */
#define GROWTH_KB_MAX 16384
#define KNOCKS_MAX 40 /* connections a second, to one server, of one node */
#define LINES_MAX 6   /* of log a minute, after the first */

static const char usage[] =
    "usage: outage [OPTION...]\n"
    "\n"
    "  --seconds N   of each outage, 600\n"
    "  --kind WORD   broker, database or both; else one after the other\n"
    "  --back N      seconds until all must go on after the servers answered, 5\n"
    "  --freeze      the server hangs instead of being killed\n"
    "  --voters N    300000\n"
    "  --rate N      of them a second; else as fast as it goes\n"
    "  --log         print what the node logged during the outage\n";

static struct {
    int seconds, voters, back, rate;
    const char *kind;
    bool is_frozen, has_log;
} options = {.seconds = 600, .voters = 300000, .back = 5};

static const struct setting settings[] = {
    {.name = "seconds", .number = &options.seconds}, {.name = "voters", .number = &options.voters},
    {.name = "rate", .number = &options.rate},       {.name = "kind", .text = &options.kind},
    {.name = "back", .number = &options.back},       {.name = "freeze", .flag = &options.is_frozen},
    {.name = "log", .flag = &options.has_log},       {.name = NULL},
};

/* An outage: which servers, and what was seen. */
struct outage {
    const char *name;
    const char *servers; /* words for deploy/local */
    bool has_broker, has_database;
    struct {
        long rss_kb, files, lines;
        double cpu_ms;
    } begin, full, end;
    long first_lines; /* of log, in the first minute */
    long max_kb;
    struct {
        double mean;
        int max;
    } broker, database;
    bool is_ready, has_total; /* again, in the end */
    double ready_s, total_s;  /* after the servers answered; negative: before their start said so */
};

static struct election election;

/* ---- what is seen of the node ---------------------------------------------------------------- */

static long resident_kb(void)
{
    char path[64];
    long pages = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)election.nodes[0].pid);
    file = fopen(path, "re");
    if (file != NULL) {
        if (fscanf(file, "%*s %ld", &pages) != 1) {
            pages = 0;
        }
        fclose(file);
    }
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static long log_lines(void)
{
    char *log = election_log(&election, 0);
    long count = 0;

    for (const char *at = log; (at = strchr(at, '\n')) != NULL; at++) {
        count++;
    }
    free(log);
    return count;
}

#define LOOK(outage, when)                                                           \
    do {                                                                             \
        (outage)->when.rss_kb = resident_kb();                                       \
        (outage)->when.files = open_files(election.nodes[0].pid);                    \
        (outage)->when.lines = log_lines();                                          \
        (outage)->when.cpu_ms =                                                      \
            election_metric(&election, 0, "votingd_process_cpu_milliseconds_total"); \
    } while (0)

/* Lines of the log from 'from' on. */
static void print_log(long from)
{
    char *log = election_log(&election, 0);
    char *at = log;

    for (long line = 0; line < from && at != NULL; line++) {
        at = strchr(at, '\n');
        at = at != NULL ? at + 1 : NULL;
    }
    printf("%s", at != NULL ? at : "");
    free(log);
}

/* ---- the servers ----------------------------------------------------------------------------- */

static int broker_port(void)
{
    const char *colon = strrchr(peer_brokers(), ':');

    return colon != NULL ? atoi(colon + 1) : 9092;
}

static int database_port(void)
{
    PQconninfoOption *all = PQconninfoParse(getenv("DATABASE_URL"), NULL);
    int port = 5432;

    for (const PQconninfoOption *one = all; one != NULL && one->keyword != NULL; one++) {
        if (strcmp(one->keyword, "port") == 0 && one->val != NULL) {
            port = atoi(one->val);
        }
    }
    PQconninfoFree(all);
    return port;
}

/* Wait until 'end_ms', looking at the memory. */
static void sit_out(struct outage *outage, int64_t end_ms)
{
    while (now_ms() < end_ms) {
        long kb = resident_kb();

        outage->max_kb = kb > outage->max_kb ? kb : outage->max_kb;
        pause_ms(200);
    }
}

/* Away: connections are refused for the first half and closed at once in the second. */
static void go_without(struct outage *outage)
{
    int64_t begin_ms = now_ms();
    int64_t length_ms = options.seconds * 1000;
    struct stub *broker = NULL;
    struct stub *database = NULL;

    sit_out(outage, begin_ms + (UNTIL_FULL_MS < length_ms / 3 ? UNTIL_FULL_MS : length_ms / 3));
    LOOK(outage, full);
    sit_out(outage, begin_ms + (length_ms / 2 < 60000 ? length_ms / 2 : 60000));
    outage->first_lines = log_lines() - outage->begin.lines;
    sit_out(outage, begin_ms + length_ms / 2);
    if (!options.is_frozen) {
        broker = outage->has_broker ? stub_new(broker_port()) : NULL;
        database = outage->has_database ? stub_new(database_port()) : NULL;
    }
    sit_out(outage, begin_ms + length_ms);
    LOOK(outage, end);
    stub_free(broker, &outage->broker.mean, &outage->broker.max);
    stub_free(database, &outage->database.mean, &outage->database.max);
}

/* Start the servers, and measure from their answer on. */
static void come_back(struct outage *outage)
{
    double published = election_metric(&election, 0, "votingd_published_total");
    pid_t pid;
    int64_t answer_ms = 0;
    int64_t ready_ms = 0;
    int64_t total_ms = 0;
    int64_t end_ms = now_ms() + START_WAIT_MS;
    int status = 0;

    (void)fflush(stdout); /* or the child's end may print it once more */
    pid = fork();
    if (pid == 0) {
        serve(options.is_frozen ? "thaw" : "start", outage->servers);
        _exit(0);
    }
    while ((answer_ms == 0 || ready_ms == 0 || total_ms == 0) && now_ms() < end_ms) {
        if (answer_ms == 0 && waitpid(pid, &status, WNOHANG) == pid) {
            assert(status == 0);
            answer_ms = now_ms();
            end_ms = answer_ms + READY_WAIT_MS;
        }
        if (ready_ms == 0 && election_get(&election, 0, "/readyz", NULL) == 200) {
            ready_ms = now_ms();
        }
        if (total_ms == 0 && election_metric(&election, 0, "votingd_published_total") > published) {
            total_ms = now_ms();
        }
        pause_ms(20);
    }
    assert(answer_ms != 0);
    outage->is_ready = ready_ms != 0;
    outage->has_total = total_ms != 0;
    outage->ready_s = (double)(ready_ms - answer_ms) / 1000;
    outage->total_s = (double)(total_ms - answer_ms) / 1000;
}

static void print_readiness(const char *when)
{
    char *body;
    int status = election_get(&election, 0, "/readyz", &body);

    printf("%s: /readyz %d %s", when, status, body);
    free(body);
}

static bool judge(const struct outage *outage)
{
    double minutes = options.seconds / 60.0 > 1 ? options.seconds / 60.0 - 1 : 1;
    long later = outage->end.lines - outage->begin.lines - outage->first_lines;
    bool is_good = true;

    printf("%-18s | %5d s | %6ld %6ld %6ld KiB | %3ld %3ld | %5.1f %3d | %5.1f %3d | %3ld %5.1f | "
           "%4.1f %% | %5.1f %5.1f s\n",
           outage->name, options.seconds, outage->full.rss_kb, outage->max_kb, outage->end.rss_kb,
           outage->begin.files, outage->end.files, outage->broker.mean, outage->broker.max,
           outage->database.mean, outage->database.max, outage->first_lines,
           (double)later / minutes,
           (outage->end.cpu_ms - outage->begin.cpu_ms) / options.seconds / 10, outage->ready_s,
           outage->total_s);
#define DEMAND(that)                             \
    do {                                         \
        if (!(that)) {                           \
            printf("    NOT KEPT: %s\n", #that); \
            is_good = false;                     \
        }                                        \
    } while (0)
    DEMAND(outage->end.rss_kb - outage->full.rss_kb <= GROWTH_KB_MAX);
    DEMAND(outage->broker.max <= KNOCKS_MAX && outage->database.max <= KNOCKS_MAX);
    DEMAND((double)later / minutes <= LINES_MAX);
    DEMAND(outage->is_ready && outage->ready_s <= options.back);
    DEMAND(outage->has_total && outage->total_s <= options.back);
#undef DEMAND
    return is_good;
}

static bool run(struct outage *outage)
{
    char voters[64], rate[64];
    bool is_good;

    (void)snprintf(voters, sizeof(voters), "stage:generator.voters=%d", options.voters);
    (void)snprintf(rate, sizeof(rate), "stage:generator.rate=%d", options.rate);
    election_open(&election, "outage");
    election_start(&election, 0, "--set", voters, "--set", rate, NULL);
    ELECTION_AWAIT(&election,
                   election_count(&election, "SELECT count(*) FROM votes") >= options.voters / 20);
    LOOK(outage, begin);
    serve(options.is_frozen ? "freeze" : "kill", outage->servers);
    go_without(outage);
    print_readiness("at its end");
    come_back(outage);
    if (options.has_log) {
        print_log(outage->begin.lines);
    }
    is_good = judge(outage);
    election_wait_counted(&election, options.voters, COUNT_WAIT_S);
    if (election_stop(&election, 0, SIGTERM) != 0) {
        printf("    NOT KEPT: a drain afterwards ends in good order\n");
        is_good = false;
    }
    election_close(&election);
    (void)fflush(stdout);
    return is_good;
}

int main(int argc, char **argv)
{
    static struct outage outages[] = {
        {.name = "broker", .servers = "kafka", .has_broker = true},
        {.name = "database", .servers = "postgres", .has_database = true},
        {.name = "both", .servers = "", .has_broker = true, .has_database = true},
    };
    bool is_good = true;

    read_settings(argc, argv, settings, usage);
    if (!election_is_possible() || getenv("VOTINGD_TEST_LOCAL") == NULL) {
        (void)fputs("skipped: a broker, a database and VOTINGD_TEST_LOCAL are needed\n", stderr);
        return 77;
    }
    printf("%-18s | %7s | %24s | %7s | %9s | %9s | %9s | %6s | %s\n", "without", "length",
           "memory: full, most, end", "files", "to Kafka", "to PG", "log/min", "CPU",
           "ready, total after");
    for (size_t i = 0; i < sizeof(outages) / sizeof(outages[0]); i++) {
        if (options.kind == NULL || strcmp(options.kind, outages[i].name) == 0) {
            is_good = run(&outages[i]) && is_good;
        }
    }
    return is_good ? 0 : 1;
}
