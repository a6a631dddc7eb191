/* Checks an election from raw data: PostgreSQL and every topic (exactly-once protocol, 7.2). Built
 * from none of votingd's code, so that both cannot be wrong in the same way. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"

static const char usage[] =
    "usage: vd_check [OPTION...]\n"
    "\n"
    "Reads PostgreSQL and all topics of an election at rest and prints every invariant with its\n"
    "two numbers.\n"
    "\n"
    "  --brokers LIST    Kafka; else KAFKA_BROKERS\n"
    "  --database URL    PostgreSQL; else DATABASE_URL\n"
    "  --suffix TEXT     behind every topic's name\n"
    "  --voters N        so many votes there must be\n"
    "  --rejected N      so many repeats there must be\n"
    "  --dead N          so many dead letters there must be\n"
    "  --picture FILE    what a dashboard's /api/v1/snapshot answered last; once for each of them\n"
    "  --lost            votes or offsets were lost on purpose: a reject may stand twice\n"
    "  -h, --help        this text\n"
    "\n"
    "exit codes: 0 all hold, 1 something differs, 2 could not be checked\n";

static const char *const all_topics[] = {
    "voters_topic",
    "candidates_topic",
    "generator_progress",
    "votes_topic",
    "rejected_votes",
    "voters_dead",
    "votes_dead",
    "agg_partials",
    "aggregated_votes_per_candidate",
    "aggregated_turnout_by_location",
    "aggregated_turnout_by_age",
    "aggregated_turnout_by_age_group",
    "aggregated_turnout_by_gender",
    "aggregated_party_wise_votes",
    "aggregated_votes_by_region",
    "aggregated_votes_by_state_and_candidate",
};

#define PICTURES_MAX 8

struct options {
    const char *database;
    const char *pictures[PICTURES_MAX];
    int picture_count;
    int64_t voters, rejected, dead; /* -1: not said */
};

static void add_picture(struct options *options, const char *path)
{
    if (options->picture_count == PICTURES_MAX) {
        (void)fprintf(stderr, "vd_check: at most %d pictures can be compared\n", PICTURES_MAX);
        exit(2);
    }
    options->pictures[options->picture_count++] = path;
}

static void read_options(int argc, char **argv, struct audit *audit, struct options *options)
{
    static const struct option names[] = {
        {"brokers", required_argument, NULL, 'b'},  {"database", required_argument, NULL, 'd'},
        {"suffix", required_argument, NULL, 's'},   {"voters", required_argument, NULL, 'v'},
        {"rejected", required_argument, NULL, 'r'}, {"dead", required_argument, NULL, 'x'},
        {"picture", required_argument, NULL, 'p'},  {"lost", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    int letter;

    while ((letter = getopt_long(argc, argv, "h", names, NULL)) != -1) {
        switch (letter) {
        case 'b':
            audit->brokers = optarg;
            break;
        case 'd':
            options->database = optarg;
            break;
        case 's':
            audit->suffix = optarg;
            break;
        case 'v':
            options->voters = strtoll(optarg, NULL, 10);
            break;
        case 'r':
            options->rejected = strtoll(optarg, NULL, 10);
            break;
        case 'x':
            options->dead = strtoll(optarg, NULL, 10);
            break;
        case 'p':
            add_picture(options, optarg);
            break;
        case 'l':
            audit->may_repeat = true;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            exit(0);
        default:
            (void)fputs(usage, stderr);
            exit(2);
        }
    }
}

static void check_open_transactions(struct audit *audit)
{
    static int64_t stable[PARTITIONS_MAX], written[PARTITIONS_MAX];

    for (size_t t = 0; t < sizeof(all_topics) / sizeof(all_topics[0]); t++) {
        const char *topic = audit_topic(audit, all_topics[t]);
        int count = records_ends(audit->brokers, topic, true, stable);
        int64_t stable_sum = 0;
        int64_t written_sum = 0;

        (void)records_ends(audit->brokers, topic, false, written);
        for (int p = 0; p < count; p++) {
            stable_sum += stable[p];
            written_sum += written[p];
        }
        audit_report(audit, stable_sum, written_sum, "4 %s: last stable offset, end",
                     all_topics[t]);
    }
}

int main(int argc, char **argv)
{
    static struct audit audit;
    struct options options = {
        .database = getenv("DATABASE_URL"), .voters = -1, .rejected = -1, .dead = -1};
    int64_t differences;

    audit.brokers = getenv("KAFKA_BROKERS");
    audit.suffix = "";
    read_options(argc, argv, &audit, &options);
    if (audit.brokers == NULL || options.database == NULL) {
        (void)fputs("vd_check: name --brokers and --database\n", stderr);
        return 2;
    }
    audit.sql = PQconnectdb(options.database);
    if (PQstatus(audit.sql) != CONNECTION_OK) {
        (void)fprintf(stderr, "vd_check: %s\n", PQerrorMessage(audit.sql));
        return 2;
    }
    audit_read(&audit);
    if (options.voters >= 0) {
        audit_report(&audit, audit.votes, options.voters, "0 votes, voters expected");
    }
    if (options.rejected >= 0) {
        audit_report(&audit, audit.rejected, options.rejected, "0 rejected, repeats made");
    }
    if (options.dead >= 0) {
        audit_report(&audit, audit.dead, options.dead, "0 dead letters, poison made");
    }
    audit_check_votes(&audit);
    audit_check_partials(&audit);
    audit_check_totals(&audit);
    for (int i = 0; i < options.picture_count; i++) {
        audit_check_picture(&audit, options.pictures[i], i + 1);
    }
    check_open_transactions(&audit);
    differences = audit.differences;
    (void)printf("%s\n", differences == 0 ? "all invariants hold" : "NOT ALL INVARIANTS HOLD");
    audit_fini(&audit);
    return differences == 0 ? 0 : 1;
}
