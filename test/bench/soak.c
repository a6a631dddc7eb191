/* A node that nothing happens to, for a while: steady votes, readers of its page that come and go,
 * and whether its memory, descriptors and threads stay what they are. README.md explains. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../broker/election.h"
#include "../outage/measure.h"
#include "crowd.h"

#define WARM_UP_S 120
#define QUARTERS 4
#define FLAT_PERCENT 5 /* by which the last quarter may differ from the second one */
#define SAMPLES 600    /* of a quarter, but not more than one a second */
#define SHIFT_MS 20000 /* then the next clients come */
#define BAD_SHARE 10   /* one of so many clients misbehaves */
#define STOP_WAIT_S 30

static const char usage[] = "usage: soak [OPTION...]\n"
                            "\n"
                            "  --minutes N   20\n"
                            "  --rate N      voters a second, 300\n"
                            "  --clients N   websockets at the same time, 40\n";

static struct {
    int minutes, rate, clients;
} options = {.minutes = 20, .rate = 300, .clients = 40};

static const struct setting settings[] = {
    {.name = "minutes", .number = &options.minutes},
    {.name = "rate", .number = &options.rate},
    {.name = "clients", .number = &options.clients},
    {.name = NULL},
};

enum measure { MEMORY, DESCRIPTORS, THREADS, MEASURES };

static const struct {
    const char *name, *unit;
} measures[MEASURES] = {
    [MEMORY] = {"memory", "KiB"}, [DESCRIPTORS] = {"descriptors", ""}, [THREADS] = {"threads", ""}};

static struct election election;
static struct series seen[MEASURES][QUARTERS];
static int64_t opened, refused, closed, failed; /* clients; the last one: requests */

/* ---- what is seen of the node ---------------------------------------------------------------- */

/* A number of /proc/PID/status; 0 if the node is gone. */
static double status_of(const char *name)
{
    char path[64], line[256];
    double value = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)election.nodes[0].pid);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            value = atof(line + strlen(name));
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return value;
}

static void look(int quarter)
{
    series_add(&seen[MEMORY][quarter], status_of("VmRSS:"));
    series_add(&seen[DESCRIPTORS][quarter], open_files(election.nodes[0].pid));
    series_add(&seen[THREADS][quarter], status_of("Threads:"));
}

/* ---- those who read -------------------------------------------------------------------------- */

static struct crowd *come(void)
{
    struct crowd *crowd =
        crowd_new(election.nodes[0].port, options.clients, options.clients / BAD_SHARE);

    for (int i = 0; i < options.clients; i++) {
        refused += crowd_open(crowd) != 101;
        opened++;
    }
    crowd_spoil(crowd);
    return crowd;
}

static void go(struct crowd *crowd)
{
    static struct crowd_seen read; /* large */

    crowd_look(crowd, &read);
    closed += read.closed[CROWD_HEALTHY];
    crowd_free(crowd);
}

/* A visitor without a websocket, and whoever watches the node. Not its readiness: that is also the
 * servers', which may be busy. */
static void visit(void)
{
    static const char *const paths[] = {"/",
                                        "/api/v1/snapshot",
                                        "/metrics",
                                        "/api/v1/history?table=candidate",
                                        "/api/v1/pipeline",
                                        "/healthz",
                                        "/js/main.js",
                                        "/api/v1/preload",
                                        "/nothing"};
    static size_t next;
    const char *path = paths[next++ % (sizeof(paths) / sizeof(paths[0]))];
    int status = election_get(&election, 0, path, NULL);

    if (status != (strcmp(path, "/nothing") == 0 ? 404 : 200)) {
        printf("%s: answered with %d\n", path, status);
        failed++;
    }
}

/* ---- the soak -------------------------------------------------------------------------------- */

static void start_node(void)
{
    char rate[64], address[64];

    (void)snprintf(rate, sizeof(rate), "stage:generator.rate=%d", options.rate);
    /* Those who are unplugged are there for a while after the others of their shift. */
    (void)snprintf(address, sizeof(address), "http.sockets_per_address=%d", 2 * options.clients);
    election_start(&election, 0, "--set", "stage:generator.voters=100000000", "--set", rate,
                   "--set", address, "--set", "http.sockets_per_second=10000", NULL);
}

static bool warm_up(void)
{
    int64_t end_ms = now_ms() + WARM_UP_S * 1000;

    while (election_get(&election, 0, "/readyz", NULL) != 200 && now_ms() < end_ms) {
        pause_ms(200);
    }
    return now_ms() < end_ms;
}

static void print_quarter(int quarter, double votes)
{
    printf("%-7d", quarter + 1);
    for (enum measure m = 0; m < MEASURES; m++) {
        struct series *series = &seen[m][quarter];

        printf(" | %7.0f (%.0f to %.0f)", series_quantile(series, 50), series_quantile(series, 0),
               series_quantile(series, 100));
    }
    printf(" | %.0f\n", votes);
    (void)fflush(stdout);
}

static double counted(void)
{
    return election_metric(&election, 0, "votingd_votes_counted_total{stage=\"aggregation\"}");
}

static void soak(void)
{
    int64_t quarter_ms = options.minutes * INT64_C(60000) / QUARTERS;
    int64_t sample_ms = quarter_ms / SAMPLES > 1000 ? quarter_ms / SAMPLES : 1000;
    int64_t begin_ms = now_ms();
    int64_t shift_ms = begin_ms + SHIFT_MS;
    struct crowd *crowd = come();

    for (int quarter = 0; quarter < QUARTERS; quarter++) {
        double votes = counted();

        while (now_ms() < begin_ms + (quarter + 1) * quarter_ms) {
            if (now_ms() >= shift_ms) {
                shift_ms += SHIFT_MS;
                go(crowd);
                crowd = come();
            }
            visit();
            look(quarter);
            pause_ms(sample_ms);
        }
        print_quarter(quarter, counted() - votes);
    }
    go(crowd);
}

static bool demand(bool is_kept, const char *what)
{
    if (!is_kept) {
        printf("    NOT KEPT: %s\n", what);
    }
    return is_kept;
}

static bool judge(void)
{
    bool is_good = true;

    for (enum measure m = 0; m < MEASURES; m++) {
        double before = series_quantile(&seen[m][1], 50);
        double after = series_quantile(&seen[m][QUARTERS - 1], 50);
        double percent = (after - before) / before * 100;

        printf("%s: %.0f, then %.0f %s: %+.1f %%\n", measures[m].name, before, after,
               measures[m].unit, percent);
        is_good &= demand(percent <= FLAT_PERCENT && percent >= -FLAT_PERCENT,
                          "the last quarter's median differs by 5 % at most from the second's");
    }
    printf("clients: %lld came, %lld refused, %lld of the healthy ones closed; %lld requests "
           "failed\n",
           (long long)opened, (long long)refused, (long long)closed, (long long)failed);
    is_good &= demand(refused == 0 && closed == 0 && failed == 0, "all are served");
    return is_good;
}

int main(int argc, char **argv)
{
    bool is_good;

    read_settings(argc, argv, settings, usage);
    if (!election_is_possible()) {
        (void)fputs("skipped: a broker and a database are needed\n", stderr);
        return 77;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("%d minutes, %d voters a second, %d clients of which all leave and others come each "
           "%d s\n",
           options.minutes, options.rate, options.clients, SHIFT_MS / 1000);
    printf("%-7s | %s\n", "quarter",
           "median (least to most) of memory in KiB | descriptors | threads | votes");
    election_open(&election, "soak");
    start_node();
    is_good = demand(warm_up(), "the election runs");
    if (is_good) {
        soak();
        is_good = judge();
    }
    is_good &= demand(election_stop(&election, 0, SIGTERM) == 0, "a drain ends in good order");
    election_close(&election);
    printf("%s\n", is_good ? "kept" : "NOT KEPT");
    return is_good ? 0 : 1;
}
