/* One election, read from raw data: what every voter's record became, and what was counted. */
#ifndef VD_TEST_CHAOS_AUDIT_H
#define VD_TEST_CHAOS_AUDIT_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "names.h"
#include "records.h"

/* A record of voters_topic. */
struct source {
    int64_t offset;
    int64_t second; /* of its timestamp */
    size_t voter;   /* NO_NAME: undecodable */
    int accepted;
    bool is_rejected, is_dead; /* a reject may stand twice: positions count */
};

struct part {
    struct source *sources; /* by offset */
    size_t count, cap;
    int64_t last_vote; /* source offset of the vote read last, NO_OFFSET: none */
    int64_t votes;     /* in votes_topic */
    int64_t votes_end; /* behind the last of them */
    int64_t rows;      /* in PostgreSQL */
    uint64_t checksum; /* of votes_topic, as META has it */
};

/* A voter, by the number of its id. */
struct voter {
    size_t candidate; /* NO_NAME: has not voted */
    int64_t second;
    int32_t partition;
    int64_t offset; /* of the source */
    int votes;      /* records in votes_topic */
    bool is_known;  /* has a record in voters_topic ... */
    bool is_row;    /* ... and a row in voters */
};

#define GROUPS 8

/* An aggregate: its topic, the member with the count, and its key said in SQL. */
struct group {
    const char *topic, *count, *key_sql;
    const char *name;       /* in agg_partials, and of the picture's table */
    const char *members[2]; /* of the key, in its order; the second one may be NULL */
};
extern const struct group audit_groups[GROUPS];

/* The count under one key of an aggregate, from five sides. */
struct tally {
    int64_t votes, rows, shown; /* in votes_topic, in PostgreSQL, published */
    int64_t partials;           /* sum over agg_partials */
    int64_t page;               /* in the dashboard's picture */
    double sequence;            /* highest published */
    int32_t partition;          /* of the record published first, -1: none */
    bool is_stale;              /* the newest record is not the one that counts */
    bool is_torn;               /* published in several partitions */
};

/* Recount of one aggregate. */
struct recount {
    struct names keys;
    struct tally *tallies; /* by key */
    size_t cap;
};

struct audit {
    const char *brokers;
    const char *suffix; /* of every topic's name */
    PGconn *sql;
    bool may_repeat; /* rejects: votes or offsets were lost on purpose */
    struct part parts[PARTITIONS_MAX];
    int part_count;
    struct names ids, candidates;
    struct voter *voters;
    size_t voter_cap;
    struct recount recounts[GROUPS];
    int64_t votes;
    int64_t rejected, dead; /* positions */
    int64_t letters;        /* records of both */
    int64_t in_order;       /* votes in rising order with an unbroken chain */
    int64_t faithful;       /* votes that say what their voter's record says */
    int64_t rejected_rightly;
    int64_t votes_sum, rows_sum; /* checksums over content and position */
    int64_t differences;         /* reported */
};

/* The election's name of a topic. Valid until the fourth call after it. */
const char *audit_topic(const struct audit *audit, const char *base);

/* Print an invariant with its two numbers, and remember if they differ. */
void audit_report(struct audit *audit, int64_t a, int64_t b, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Say more about a difference; after the tenth one of a run silently not. */
void audit_explain(struct audit *audit, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Read voters, votes, rejects and dead letters. */
void audit_read(struct audit *audit);

/* Every record of voters_topic became exactly one thing; votes_topic and PostgreSQL agree. */
void audit_check_votes(struct audit *audit);

/* The tally of a key, made if it is new. Valid until the next call. */
struct tally *audit_tally(struct recount *recount, const char *key);
void audit_forget(struct recount *recount);

/* Count a vote (a JSON object) in all aggregates. */
struct cJSON;
void audit_count_vote(struct audit *audit, const struct cJSON *vote);

/* The sum of votes that agg_partials has under a key of a group-by. False: there is none such. */
bool audit_add_partial(struct audit *audit, const char *group, const char *key, int64_t count);

/* What agg_partials says of each partition is what votes_topic says; before audit_check_totals. */
void audit_check_partials(struct audit *audit);

/* The hash that META's checksum is a sum of. */
uint64_t audit_vote_hash(const char *voter, const char *candidate);

/* Published totals, partials, votes_topic and PostgreSQL agree. */
void audit_check_totals(struct audit *audit);

/* The answer of a dashboard's /api/v1/snapshot, in a file, agrees with PostgreSQL, votes_topic and
 * the published totals; after audit_check_totals. 'number' tells it from others in the report. */
void audit_check_picture(struct audit *audit, const char *path, int number);

void audit_fini(struct audit *audit);

#endif
