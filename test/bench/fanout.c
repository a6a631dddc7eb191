/* The dashboard's fan-out under load: an election in the real daemon, thousands of websockets of
 * which some misbehave, and what both cost each other. README.md explains. */
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../broker/election.h"
#include "crowd.h"
#include "path.h"
#include "profile.h"

#define WARM_UP_VOTES 500
#define WARM_UP_S 120
#define DRAIN_S 30 /* for the last clients to be gone */

/* What is promised. */
#define DELAY_P99_MS_MAX 500
#define ANSWER_MS_MAX 1000
#define CPU_PERCENT_MAX 10       /* of a core for 20,000 frames a second, which is */
#define CPU_FRAMES_PER_S 20000.0 /* 1,000 clients at 20 pictures */
#define MEMORY_MIB_MAX 192       /* all stages and 1,000 clients */
#define VOTE_RATIO_MAX 1.25      /* of the median of a vote's way, with and without clients */
#define VOTE_SLACK_MS 10

static const char usage[] = "usage: fanout [OPTION...]\n"
                            "\n"
                            "  --clients N   websockets, 1000\n"
                            "  --hz N        pictures a second at most, 20\n"
                            "  --bad N       clients that misbehave, in per cent, 5\n"
                            "  --rate N      voters a second, 500\n"
                            "  --writers N   threads that write, 4\n"
                            "  --seconds N   of each of the three spans that are compared, 20\n";

static struct {
    int clients, hz, bad, rate, writers, seconds;
} options = {.clients = 1000, .hz = 20, .bad = 5, .rate = 500, .writers = 4, .seconds = 20};

/* A time in which nothing changes. */
struct span {
    const char *name;
    int64_t begin_ms, end_ms;
    double cpu_percent, own_percent; /* of a core: the daemon, this program */
    double received;                 /* part of the daemon's that is receiving; -1: not known */
    double resident_mib, frames;
    struct delays votes;
};

static struct election election;
static struct path *path;
static struct crowd_seen seen;
static char *counters; /* /metrics, while all clients were there */
static struct span before = {.name = "no clients"}, during, after = {.name = "none again"};

static double metric(const char *name)
{
    return election_metric(&election, 0, name);
}

static double own_cpu_ms(void)
{
    struct rusage used;

    (void)getrusage(RUSAGE_SELF, &used); /* cannot fail */
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3;
}

/* ---- the spans ------------------------------------------------------------------------------- */

/* Watch for a while; return how long the slowest answer to a request took. */
static int64_t pass(struct span *span)
{
    double cpu_ms = metric("votingd_process_cpu_milliseconds_total");
    double own_ms = own_cpu_ms();
    double frames = metric("votingd_websocket_frames_total");
    int64_t slowest_ms = 0;
    double length_ms;

    span->begin_ms = wall_ms();
    for (int second = 0; second < options.seconds; second++) {
        int64_t asked_ms = wall_ms();
        int status = election_get(&election, 0, second % 2 == 0 ? "/healthz" : "/metrics", NULL);
        int64_t took_ms = status == 200 ? wall_ms() - asked_ms : DELAYS_MS_MAX;

        slowest_ms = took_ms > slowest_ms ? took_ms : slowest_ms;
        path_look(path, 1000 - (took_ms < 900 ? (int)took_ms : 900));
    }
    span->end_ms = wall_ms();
    length_ms = (double)(span->end_ms - span->begin_ms);
    span->cpu_percent =
        (metric("votingd_process_cpu_milliseconds_total") - cpu_ms) / length_ms * 100;
    span->own_percent = (own_cpu_ms() - own_ms) / length_ms * 100;
    span->frames = (metric("votingd_websocket_frames_total") - frames) * 1000 / length_ms;
    span->resident_mib = metric("process_resident_memory_bytes") / 1048576;
    path_look(path, 500);
    path_delays(path, span->begin_ms, span->end_ms, &span->votes);
    return slowest_ms;
}

static bool open_all(struct crowd *crowd)
{
    int64_t begin_ms = wall_ms();

    for (int i = 0; i < options.clients; i++) {
        int status = crowd_open(crowd);

        if (status != 101) {
            printf("    NOT KEPT: client %d is let in, but got %d\n", i + 1, status);
            return false;
        }
        if (i % 16 == 0) {
            path_look(path, 1);
        }
    }
    printf("%d clients opened in %.1f s\n", options.clients, (double)(wall_ms() - begin_ms) / 1000);
    return true;
}

static void start_node(void)
{
    char texts[7][96];

    (void)snprintf(texts[0], sizeof(texts[0]), "stage:generator.rate=%d", options.rate);
    /* Totals come faster than pictures, so that each tick of the dashboard finds news. */
    (void)snprintf(texts[1], sizeof(texts[1]), "stage:aggregation.batch.wait_ms=%d",
                   200 / options.hz);
    (void)snprintf(texts[2], sizeof(texts[2]), "stage:dashboard.tick_ms=%d", 1000 / options.hz);
    (void)snprintf(texts[3], sizeof(texts[3]), "http.threads=%d", options.clients + 8);
    (void)snprintf(texts[4], sizeof(texts[4]), "http.sockets_per_address=%d", options.clients + 8);
    (void)snprintf(texts[5], sizeof(texts[5]), "http.writers=%d", options.writers);
    (void)snprintf(texts[6], sizeof(texts[6]), "stage:aggregation.publish_ms=%d",
                   options.hz < 25 ? 500 / options.hz : 20);
    election_start(&election, 0, "--set", "stage:generator.voters=100000000", "--set", texts[0],
                   "--set", texts[1], "--set", texts[2], "--set", texts[3], "--set", texts[4],
                   "--set", texts[5], "--set", texts[6], "--set", "http.sockets_per_second=10000",
                   NULL);
}

static bool warm_up(void)
{
    int64_t end_ms = wall_ms() + WARM_UP_S * 1000;

    while (election_get(&election, 0, "/readyz", NULL) != 200 && wall_ms() < end_ms) {
        (void)usleep(100 * 1000);
    }
    path = path_new(&election);
    while (path_votes(path) < WARM_UP_VOTES && wall_ms() < end_ms) {
        path_look(path, 100);
    }
    path_look(path, 3000);
    return path_votes(path) >= WARM_UP_VOTES;
}

/* ---- what comes out -------------------------------------------------------------------------- */

static void print_load(const char *when)
{
    double load[3] = {0};

    (void)getloadavg(load, 3); /* then it is 0 */
    printf("%s: load of this machine %.1f %.1f %.1f, %ld cores\n", when, load[0], load[1], load[2],
           sysconf(_SC_NPROCESSORS_ONLN));
}

static void print_delays(const char *what, const struct delays *delays)
{
    printf("%-34s %8lld %8lld %8lld %8lld ms\n", what, (long long)delays_quantile(delays, 500),
           (long long)delays_quantile(delays, 990), (long long)delays_quantile(delays, 999),
           (long long)delays->max_ms);
}

static void print_spans(void)
{
    const struct span *const spans[] = {&before, &during, &after};

    printf("\n%-16s %9s %9s %9s %9s   %s\n", "", "daemon", "this", "daemon", "frames",
           "a vote's way: p50, p99, max");
    for (int i = 0; i < 3; i++) {
        const struct span *span = spans[i];

        printf("%-16s %7.1f %% %7.1f %% %5.0f MiB %7.0f/s   %lld, %lld, %lld ms\n", span->name,
               span->cpu_percent, span->own_percent, span->resident_mib, span->frames,
               (long long)delays_quantile(&span->votes, 500),
               (long long)delays_quantile(&span->votes, 990), (long long)span->votes.max_ms);
    }
}

/* What the clients cost the daemon, of a core. */
static double cost_percent(void)
{
    return during.cpu_percent - (before.cpu_percent + after.cpu_percent) / 2;
}

/* How much of that is the receivers' half, which on a network is not the daemon's. */
static double received_percent(void)
{
    if (before.received < 0 || during.received < 0) {
        return 0;
    }
    return during.cpu_percent * during.received - before.cpu_percent * before.received;
}

static double frame_us(double percent)
{
    return percent * 1e4 / (during.frames > 0 ? during.frames : 1);
}

/* Counters of the daemon that are not 0, without their common name. */
static void print_counters(void)
{
    static const char common[] = "votingd_websocket_";

    printf("counted by the daemon:");
    for (char *line = strtok(counters, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        const char *name = line + sizeof(common) - 1;

        if (strncmp(line, common, sizeof(common) - 1) == 0 && strstr(name, "_total") != NULL &&
            strcmp(line + strlen(line) - 2, " 0") != 0) {
            printf(" %s;", name);
        }
    }
    printf("\n");
}

static void print_crowd(int64_t slowest_ms)
{
    double seconds = (double)(during.end_ms - during.begin_ms) / 1000;

    printf("\nhealthy clients %38s %8s %8s %8s\n", "p50", "p99", "p99.9", "max");
    print_delays("a picture, from made to read", &seen.delay);
    print_delays("its data, from arrived to read", &seen.age);
    printf("pictures: %.1f a second, %lld read, %lld skipped; %.1f MB/s\n",
           (double)(seen.last_seq - seen.first_seq) / seconds, (long long)seen.pictures,
           (long long)seen.skipped, (double)seen.bytes / 1e6 / seconds);
    printf("closed by the server: %d of %d healthy, %d of %d slow%s%s\n",
           seen.closed[CROWD_HEALTHY], seen.clients[CROWD_HEALTHY], seen.closed[CROWD_SLOW],
           seen.clients[CROWD_SLOW], seen.farewell[0] != '\0' ? ": " : "", seen.farewell);
    print_counters();
    printf("slowest answer to /healthz and /metrics, all sockets taken: %lld ms\n",
           (long long)slowest_ms);
    printf("a client: %.0f kB of resident memory\n",
           (during.resident_mib - before.resident_mib) * 1048.576 / options.clients);
    printf("a frame: %.1f us of CPU; without the receiver's half%s: %.1f us\n\n",
           frame_us(cost_percent()), received_percent() == 0 ? " (not known, perf is missing)" : "",
           frame_us(cost_percent() - received_percent()));
}

/* What the daemon warned of, if anything. */
static void print_warnings(void)
{
    char *log = election_log(&election, 0);

    for (const char *line = strtok(log, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strstr(line, " warn ") != NULL || strstr(line, " error ") != NULL) {
            printf("log: %s\n", line);
        }
    }
    free(log);
}

static bool demand(bool is_kept, const char *what)
{
    if (!is_kept) {
        printf("    NOT KEPT: %s\n", what);
    }
    return is_kept;
}

static bool judge(int64_t slowest_ms, int refused)
{
    int64_t calm_ms = delays_quantile(&before.votes, 500);
    int64_t later_ms = delays_quantile(&after.votes, 500);
    bool is_good = true;

    calm_ms = later_ms > calm_ms ? later_ms : calm_ms;
    is_good &= demand(seen.closed[CROWD_HEALTHY] == 0, "no healthy client is closed");
    is_good &= demand(seen.pictures > 0 && delays_quantile(&seen.delay, 990) <= DELAY_P99_MS_MAX,
                      "99 of 100 pictures reach healthy clients in 500 ms");
    is_good &=
        demand(options.clients > 1000 || cost_percent() - received_percent() <=
                                             CPU_PERCENT_MAX * (during.frames / CPU_FRAMES_PER_S),
               "1,000 clients at 20 pictures a second cost 10 % of a core");
    is_good &= demand(options.clients > 1000 || during.resident_mib <= MEMORY_MIB_MAX,
                      "all stages and 1,000 clients take 192 MiB");
    is_good &= demand((double)delays_quantile(&during.votes, 500) <=
                          (double)calm_ms * VOTE_RATIO_MAX + VOTE_SLACK_MS,
                      "a vote's way is as long with clients as without");
    is_good &= demand(slowest_ms <= ANSWER_MS_MAX,
                      "/healthz and /metrics answer in 1 s with all sockets taken");
    is_good &= demand(refused == 503, "one client more is refused with 503");
    return is_good;
}

static bool run(void)
{
    pid_t daemon = election.nodes[0].pid;
    struct profile profile;
    struct crowd *crowd;
    char name[32];
    int64_t slowest_ms;
    int refused;
    bool is_good;

    (void)snprintf(name, sizeof(name), "%d clients", options.clients);
    during.name = name;
    profile_start(&profile, options.seconds - 1);
    (void)pass(&before);
    before.received = profile_end(&profile, daemon);
    crowd =
        crowd_new(election.nodes[0].port, options.clients + 1, options.clients * options.bad / 100);
    is_good = open_all(crowd);
    if (is_good) {
        path_look(path, 3000); /* the crowd settles */
        refused = crowd_open(crowd);
        crowd_begin(crowd);
        crowd_spoil(crowd);
        profile_start(&profile, options.seconds - 1);
        slowest_ms = pass(&during);
        crowd_look(crowd, &seen);
        (void)election_get(&election, 0, "/metrics", &counters);
        during.received = profile_end(&profile, daemon);
    }
    crowd_free(crowd);
    if (!is_good) {
        return false;
    }
    for (int s = 0; s < DRAIN_S && metric("votingd_websocket_clients") > 0; s++) {
        path_look(path, 1000);
    }
    (void)pass(&after);
    print_spans();
    print_crowd(slowest_ms);
    return judge(slowest_ms, refused);
}

static void read_options(int argc, char **argv)
{
    static const struct {
        const char *name;
        int *value;
        int min, max;
    } numbers[] = {{"clients", &options.clients, 1, 16000}, {"hz", &options.hz, 1, 60},
                   {"bad", &options.bad, 0, 100},           {"rate", &options.rate, 1, 100000},
                   {"writers", &options.writers, 1, 64},    {"seconds", &options.seconds, 5, 60}};
    struct option names[7] = {0};
    int at = 0;

    for (int i = 0; i < 6; i++) {
        names[i] = (struct option){numbers[i].name, required_argument, NULL, 'n'};
    }
    while (getopt_long(argc, argv, "", names, &at) == 'n') {
        *numbers[at].value = atoi(optarg);
        if (*numbers[at].value < numbers[at].min || *numbers[at].value > numbers[at].max) {
            (void)fprintf(stderr, "--%s: %d to %d\n", numbers[at].name, numbers[at].min,
                          numbers[at].max);
            exit(2);
        }
    }
    if (optind != argc || optopt != 0) {
        (void)fputs(usage, stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct rlimit files;
    bool is_good;

    read_options(argc, argv);
    if (!election_is_possible()) {
        (void)fputs("skipped: a broker and a database are needed\n", stderr);
        return 77;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files); /* a client that lacks one says so */
    }
    print_load("begin");
    printf("%d clients, %d %% of them bad, %d Hz, %d voters a second\n", options.clients,
           options.bad, options.hz, options.rate);
    election_open(&election, "fanout");
    start_node();
    is_good = demand(warm_up(), "the election runs") && run();
    print_load("end");
    if (path != NULL) {
        path_free(path);
    }
    free(counters);
    is_good &= demand(election_stop(&election, 0, SIGTERM) == 0, "a drain ends in good order");
    print_warnings();
    election_close(&election);
    printf("%s\n", is_good ? "kept" : "NOT KEPT");
    return is_good ? 0 : 1;
}
