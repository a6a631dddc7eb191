/* kill -9 under load: how soon totals are published again, and how soon nothing is behind. Of a
 * node that is started again at once, and of one whose partitions a second node takes. README.md
 * explains. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../broker/election.h"
#include "measure.h"
#include "onlooker.h"

#define STEADY_MS 3000    /* of watching how far behind totals are when nothing happens */
#define CALM_MS_MAX 60000 /* until a round may begin */
#define PATIENCE_MS 60000 /* for a recovery */
#define SLACK 20          /* milliseconds of voters by which "nothing is behind" may be missed */
#define VICTIM 0
#define STANDBY 1
#define SOURCE 2 /* the node that generates; nothing happens to it */

static const char usage[] =
    "usage: recovery [OPTION...]\n"
    "\n"
    "  --rounds N    of each case, 20\n"
    "  --rate N      voters a second, 1000\n"
    "  --case WORD   restart or takeover; else both\n"
    "  --graceful    SIGTERM instead of SIGKILL\n"
    "  --log FILE    append the log of the node that is killed; print each round\n"
    "  --level WORD  of that log, info\n";

static struct {
    int rounds, rate;
    const char *only, *log, *level;
    bool is_graceful;
} options = {.rounds = 20, .rate = 1000, .level = "info"};

static const struct setting settings[] = {
    {.name = "rounds", .number = &options.rounds},
    {.name = "rate", .number = &options.rate},
    {.name = "case", .text = &options.only},
    {.name = "graceful", .flag = &options.is_graceful},
    {.name = "log", .text = &options.log},
    {.name = "level", .text = &options.level},
    {.name = NULL},
};

static struct election election;
static struct onlooker *onlooker;
static char rate_set[64], level_set[64];

static void start_worker(int n)
{
    election_start(&election, n, "--disable", "generator", "--set", level_set, NULL);
}

static bool is_ready(int n)
{
    return election_get(&election, n, "/readyz", NULL) == 200;
}

/* How far behind the totals are at most while all is well. */
static int64_t watch_calm(void)
{
    int64_t end_ms = now_ms() + STEADY_MS;
    int64_t most = 0;

    while (now_ms() < end_ms) {
        int64_t behind;

        onlooker_look(onlooker, 5);
        behind = onlooker_behind(onlooker);
        most = behind > most ? behind : most;
    }
    return most;
}

/* Nobody is behind by more than half a second of voters, for a second. */
static void wait_calm(void)
{
    int64_t end_ms = now_ms() + CALM_MS_MAX;
    int64_t since_ms = now_ms();

    while (now_ms() < end_ms && now_ms() < since_ms + 1000) {
        onlooker_look(onlooker, 20);
        if (onlooker_behind(onlooker) > options.rate / 2) {
            since_ms = now_ms();
        }
    }
}

struct result {
    struct series first, all; /* seconds */
};

static bool run_round(bool is_restart, struct result *result)
{
    int64_t calm = watch_calm() + options.rate * SLACK / 1000;
    int64_t begin_ms = now_ms();
    int64_t first_ms = 0;
    int64_t all_ms = 0;

    (void)election_stop(&election, VICTIM, options.is_graceful ? SIGTERM : SIGKILL);
    if (is_restart) {
        start_worker(VICTIM);
    }
    onlooker_mark(onlooker); /* a node that starts takes longer to write */
    while ((first_ms == 0 || all_ms == 0) && now_ms() < begin_ms + PATIENCE_MS) {
        onlooker_look(onlooker, 2);
        if (first_ms == 0 && onlooker_moving(onlooker) == ONLOOKER_PARTITIONS) {
            first_ms = now_ms();
        }
        if (first_ms != 0 && onlooker_behind(onlooker) <= calm) {
            all_ms = now_ms();
        }
    }
    if (all_ms == 0) {
        printf("    NOT RECOVERED in %d s\n", PATIENCE_MS / 1000);
        return false;
    }
    series_add(&result->first, (double)(first_ms - begin_ms) / 1000);
    series_add(&result->all, (double)(all_ms - begin_ms) / 1000);
    if (options.log != NULL) {
        printf("    %.3f %.3f\n", (double)(first_ms - begin_ms) / 1000,
               (double)(all_ms - begin_ms) / 1000);
    }
    return true;
}

static void print_series(const char *name, const char *what, struct series *series)
{
    printf("%-8s | %-22s | %3zu | %6.2f %6.2f %6.2f s\n", name, what, series->count,
           series_quantile(series, 50), series_quantile(series, 95), series_quantile(series, 100));
}

/* Append the killed node's log to the file: there are two cases. */
static void keep_log(void)
{
    char bytes[4096];
    FILE *from = fopen(election.nodes[VICTIM].log, "re");
    FILE *to = fopen(options.log, "ae");
    size_t got = 0;

    while (from != NULL && to != NULL && (got = fread(bytes, 1, sizeof(bytes), from)) > 0) {
        (void)fwrite(bytes, 1, got, to);
    }
    if (from == NULL || to == NULL || fclose(to) != 0) {
        (void)fprintf(stderr, "--log: cannot write \"%s\"\n", options.log);
        exit(2);
    }
    (void)fclose(from);
    printf("log: %s\n", options.log);
}

static bool run(const char *name, bool is_restart)
{
    static struct result result;
    bool is_good = true;

    memset(&result, 0, sizeof(result));
    election_open(&election, "recovery");
    election_start(&election, SOURCE, "--disable", "voting", "--disable", "aggregation",
                   "--disable", "dashboard", "--set", "stage:generator.voters=100000000", "--set",
                   rate_set, NULL);
    start_worker(VICTIM);
    while (!is_ready(VICTIM)) {
        pause_ms(50);
    }
    onlooker = onlooker_new(&election);
    for (int round = 0; round < options.rounds && is_good; round++) {
        if (!is_restart) {
            if (election.nodes[VICTIM].pid == 0) {
                start_worker(VICTIM);
            }
            if (election.nodes[STANDBY].pid == 0) {
                start_worker(STANDBY);
            }
            while (!is_ready(VICTIM) || !is_ready(STANDBY)) {
                onlooker_look(onlooker, 50);
            }
        }
        wait_calm();
        is_good = run_round(is_restart, &result);
    }
    print_series(name, "first totals, all parts", &result.first);
    print_series(name, "nothing behind", &result.all);
    (void)fflush(stdout);
    onlooker_free(onlooker);
    if (options.log != NULL) {
        keep_log();
    }
    election_close(&election);
    return is_good;
}

int main(int argc, char **argv)
{
    bool is_good = true;

    read_settings(argc, argv, settings, usage);
    if (!election_is_possible()) {
        (void)fputs("skipped: a broker and a database are needed\n", stderr);
        return 77;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    (void)snprintf(rate_set, sizeof(rate_set), "stage:generator.rate=%d", options.rate);
    (void)snprintf(level_set, sizeof(level_set), "votingd.log_level=%s", options.level);
    printf("%-8s | %-22s | %3s | %s\n", "case", "until", "n", "median  95 %   most");
    if (options.only == NULL || strcmp(options.only, "restart") == 0) {
        is_good = run("restart", true);
    }
    if (options.only == NULL || strcmp(options.only, "takeover") == 0) {
        is_good = run("takeover", false) && is_good;
    }
    return is_good ? 0 : 1;
}
