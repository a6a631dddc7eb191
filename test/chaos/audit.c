/* What became of every voter's record: reading the topics, and comparing with the table votes. */
#include "audit.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPLAINED_MAX 10

const char *audit_topic(const struct audit *audit, const char *base)
{
    static char names[4][256];
    static int next;
    char *name = names[next++ % 4];

    (void)snprintf(name, sizeof(names[0]), "%s%s", base, audit->suffix);
    return name;
}

void audit_report(struct audit *audit, int64_t a, int64_t b, const char *format, ...)
{
    va_list args;

    (void)printf("%-7s ", a == b ? "ok" : "DIFFERS");
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)printf(": %" PRId64 " = %" PRId64 "\n", a, b);
    audit->differences += a == b ? 0 : 1;
}

void audit_explain(struct audit *audit, const char *format, ...)
{
    static int explained;
    va_list args;

    (void)audit;
    if (explained++ < EXPLAINED_MAX) {
        va_start(args, format);
        (void)printf("        ");
        (void)vprintf(format, args);
        (void)printf("\n");
        va_end(args);
    }
}

/* ---- reading ------------------------------------------------------------------------------- */

static struct voter *voter_at(struct audit *audit, size_t number)
{
    while (number >= audit->voter_cap) {
        size_t cap = audit->voter_cap == 0 ? 1024 : 2 * audit->voter_cap;

        audit->voters = realloc(audit->voters, cap * sizeof(*audit->voters));
        memset(audit->voters + audit->voter_cap, 0,
               (cap - audit->voter_cap) * sizeof(*audit->voters));
        for (size_t i = audit->voter_cap; i < cap; i++) {
            audit->voters[i].candidate = NO_NAME;
        }
        audit->voter_cap = cap;
    }
    return &audit->voters[number];
}

static const char *text_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static void on_voter(void *arg, const struct record *record)
{
    struct audit *audit = arg;
    struct part *part = &audit->parts[record->partition];
    cJSON *json = cJSON_ParseWithLength(record->value, record->value_len);
    const char *id = text_of(json, "voter_id");
    struct source *source;

    if (part->count == part->cap) {
        part->cap = part->cap == 0 ? 1024 : 2 * part->cap;
        part->sources = realloc(part->sources, part->cap * sizeof(*part->sources));
    }
    source = &part->sources[part->count++];
    *source = (struct source){
        .offset = record->offset, .second = record->timestamp_ms / 1000, .voter = NO_NAME};
    if (id != NULL) {
        source->voter = names_add(&audit->ids, id);
        voter_at(audit, source->voter)->is_known = true;
    }
    cJSON_Delete(json);
}

static int compare_sources(const void *a, const void *b)
{
    const struct source *x = a;
    const struct source *y = b;

    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* The voter's record that a record says it comes from, or NULL. */
static struct source *source_of(struct audit *audit, const struct record *record)
{
    const struct source wanted = {.offset = record->source_offset};
    const struct part *part;

    if (!record->has_source || record->source_partition < 0 ||
        record->source_partition >= audit->part_count) {
        audit_explain(audit, "a record at [%d] %" PRId64 " says not where it comes from",
                      record->partition, record->offset);
        return NULL;
    }
    part = &audit->parts[record->source_partition];
    return bsearch(&wanted, part->sources, part->count, sizeof(wanted), compare_sources);
}

static int64_t parse_time(const char *text)
{
    struct tm tm = {0};
    const char *end = text != NULL ? strptime(text, "%Y-%m-%d %H:%M:%S", &tm) : NULL;

    return end != NULL && *end == '\0' ? (int64_t)timegm(&tm) : -1;
}

static int64_t checksum(const char *id, const char *candidate, int64_t second, int64_t partition,
                        int64_t offset)
{
    char text[640];

    (void)snprintf(text, sizeof(text), "%s/%s/%" PRId64 "/%" PRId64 "/%" PRId64, id, candidate,
                   second, partition, offset);
    return (int64_t)(names_hash(text) >> 16); /* room for a sum */
}

/* Does a vote follow the one before it, in its partition's chain? */
static void check_order(struct audit *audit, const struct record *record)
{
    struct part *part = &audit->parts[record->partition];

    if (record->has_source && record->source_partition == record->partition &&
        record->source_offset > part->last_vote && record->source_previous == part->last_vote) {
        audit->in_order++;
    } else {
        audit_explain(audit,
                      "vote at [%d] %" PRId64 ": from [%d] %" PRId64 " after %" PRId64
                      ", but the vote before it is from %" PRId64,
                      record->partition, record->offset, record->source_partition,
                      record->source_offset, record->source_previous, part->last_vote);
    }
    if (record->has_source && record->source_offset > part->last_vote) {
        part->last_vote = record->source_offset;
    }
}

static bool is_key(const struct record *record, const char *text)
{
    return record->key != NULL && record->key_len == strlen(text) &&
           memcmp(record->key, text, record->key_len) == 0;
}

static void take_vote(struct audit *audit, const struct record *record, const char *id,
                      const char *candidate, int64_t second)
{
    struct source *source = source_of(audit, record);
    size_t number = names_add(&audit->ids, id);
    struct voter *voter = voter_at(audit, number);

    voter->votes++;
    if (voter->votes > 1) {
        audit_explain(audit, "voter %s: vote %d at [%d] %" PRId64, id, voter->votes,
                      record->partition, record->offset);
        return;
    }
    voter->candidate = names_add(&audit->candidates, candidate);
    voter->second = second;
    voter->partition = record->source_partition;
    voter->offset = record->source_offset;
    audit->votes_sum +=
        checksum(id, candidate, second, record->source_partition, record->source_offset);
    if (source != NULL && source->voter == number && source->second == second &&
        is_key(record, id)) {
        audit->faithful++;
    } else {
        audit_explain(audit, "voter %s: the vote at [%d] %" PRId64 " is not that of its source", id,
                      record->partition, record->offset);
    }
}

static void on_vote(void *arg, const struct record *record)
{
    struct audit *audit = arg;
    cJSON *json = cJSON_ParseWithLength(record->value, record->value_len);
    const char *id = text_of(json, "voter_id");
    const char *candidate = text_of(json, "candidate_id");
    struct source *source = source_of(audit, record);

    audit->votes++;
    audit->parts[record->partition].votes++;
    audit->parts[record->partition].votes_end = record->offset + 1;
    if (source != NULL) {
        source->accepted++;
    }
    check_order(audit, record);
    if (id != NULL && candidate != NULL) {
        take_vote(audit, record, id, candidate, parse_time(text_of(json, "voting_time")));
        audit->parts[record->partition].checksum += audit_vote_hash(id, candidate);
        audit_count_vote(audit, json);
    }
    cJSON_Delete(json);
}

static void on_rejected(void *arg, const struct record *record)
{
    struct audit *audit = arg;
    struct source *source = source_of(audit, record);
    const struct voter *voter;

    audit->letters++;
    if (source == NULL || source->voter == NO_NAME || source->is_rejected) {
        return;
    }
    audit->rejected++;
    source->is_rejected = true;
    voter = &audit->voters[source->voter];
    if (voter->votes > 0 &&
        (voter->partition != record->source_partition || voter->offset != record->source_offset)) {
        audit->rejected_rightly++;
    } else {
        audit_explain(audit, "voter %s was rejected without having voted elsewhere",
                      audit->ids.texts[source->voter]);
    }
}

static void on_dead(void *arg, const struct record *record)
{
    struct audit *audit = arg;
    struct source *source = source_of(audit, record);

    audit->letters++;
    if (source != NULL && !source->is_dead) {
        audit->dead++;
        source->is_dead = true;
    }
}

void audit_read(struct audit *audit)
{
    audit->part_count = records_partitions(audit->brokers, audit_topic(audit, "voters_topic"));
    for (int p = 0; p < audit->part_count; p++) {
        audit->parts[p].last_vote = NO_OFFSET;
    }
    if (records_partitions(audit->brokers, audit_topic(audit, "votes_topic")) !=
        audit->part_count) {
        (void)fprintf(stderr, "vd_check: voters_topic and votes_topic differ in partitions\n");
        exit(2);
    }
    records_each(audit->brokers, audit_topic(audit, "voters_topic"), on_voter, audit);
    records_each(audit->brokers, audit_topic(audit, "votes_topic"), on_vote, audit);
    records_each(audit->brokers, audit_topic(audit, "rejected_votes"), on_rejected, audit);
    records_each(audit->brokers, audit_topic(audit, "voters_dead"), on_dead, audit);
}

/* ---- comparing ----------------------------------------------------------------------------- */

static void check_outcomes(struct audit *audit)
{
    int64_t records = 0;
    int64_t once = 0;

    for (int p = 0; p < audit->part_count; p++) {
        for (size_t i = 0; i < audit->parts[p].count; i++) {
            const struct source *source = &audit->parts[p].sources[i];

            records++;
            if (source->accepted + source->is_rejected + source->is_dead == 1) {
                once++;
            } else {
                audit_explain(
                    audit, "record [%d] %" PRId64 ": accepted %d times, rejected %d, dead %d", p,
                    source->offset, source->accepted, source->is_rejected, source->is_dead);
            }
        }
    }
    audit_report(audit, records, audit->votes + audit->rejected + audit->dead,
                 "1 records of voters_topic, accepted + rejected + dead");
    audit_report(audit, records, once, "1 records of voters_topic, with exactly one outcome");
    if (!audit->may_repeat) {
        audit_report(audit, audit->letters, audit->rejected + audit->dead,
                     "1 rejected and dead, voters' records in them");
    }
    audit_report(audit, audit->rejected, audit->rejected_rightly,
                 "1 rejected, of a voter who has voted elsewhere");
}

static void check_chain(struct audit *audit)
{
    int64_t voted = 0;

    for (size_t i = 0; i < audit->ids.count; i++) {
        voted += audit->voters[i].votes > 0;
    }
    audit_report(audit, audit->votes, voted, "2 votes_topic, voters in it");
    audit_report(audit, audit->votes, audit->in_order,
                 "2 votes_topic, rising and with an unbroken chain");
    audit_report(audit, audit->votes, audit->faithful, "2 votes_topic, as the voter's record says");
}

/* Run a query and give every row to 'on_row'; texts only. */
static void each_row(struct audit *audit, const char *sql,
                     void (*on_row)(struct audit *audit, const PGresult *result))
{
    PGresult *result;

    if (PQsendQuery(audit->sql, sql) != 1 || PQsetSingleRowMode(audit->sql) != 1) {
        (void)fprintf(stderr, "vd_check: %s\n", PQerrorMessage(audit->sql));
        exit(2);
    }
    while ((result = PQgetResult(audit->sql)) != NULL) {
        ExecStatusType status = PQresultStatus(result);

        if (status == PGRES_SINGLE_TUPLE) {
            on_row(audit, result);
        } else if (status != PGRES_TUPLES_OK) {
            (void)fprintf(stderr, "vd_check: %s\n", PQerrorMessage(audit->sql));
            exit(2);
        }
        PQclear(result);
    }
}

static int64_t rows, rows_equal, rows_known; /* of the query under way */

static void on_vote_row(struct audit *audit, const PGresult *result)
{
    const char *id = PQgetvalue(result, 0, 0);
    const char *candidate = PQgetvalue(result, 0, 1);
    int64_t second = strtoll(PQgetvalue(result, 0, 2), NULL, 10);
    int64_t partition = strtoll(PQgetvalue(result, 0, 3), NULL, 10);
    int64_t offset = strtoll(PQgetvalue(result, 0, 4), NULL, 10);
    size_t number = names_find(&audit->ids, id);
    const struct voter *voter = number != NO_NAME ? &audit->voters[number] : NULL;

    rows++;
    audit->rows_sum += checksum(id, candidate, second, partition, offset);
    if (partition >= 0 && partition < audit->part_count) {
        audit->parts[partition].rows++;
    }
    if (voter != NULL && voter->votes > 0 && voter->second == second &&
        voter->partition == partition && voter->offset == offset &&
        strcmp(audit->candidates.texts[voter->candidate], candidate) == 0) {
        rows_equal++;
    } else {
        audit_explain(audit, "row of voter %s (source [%" PRId64 "] %" PRId64 "): %s", id,
                      partition, offset,
                      voter == NULL || voter->votes == 0 ? "not in votes_topic"
                                                         : "other content in votes_topic");
    }
}

static void on_voter_row(struct audit *audit, const PGresult *result)
{
    size_t number = names_find(&audit->ids, PQgetvalue(result, 0, 0));

    rows++;
    if (number != NO_NAME && audit->voters[number].is_known) {
        rows_known++;
    } else {
        audit_explain(audit, "voter %s is in the table, but not in voters_topic",
                      PQgetvalue(result, 0, 0));
    }
}

static void on_progress_row(struct audit *audit, const PGresult *result)
{
    int64_t partition = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    int64_t next = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
    const struct part *part;

    if (partition < 0 || partition >= audit->part_count) {
        return;
    }
    part = &audit->parts[partition];
    audit_report(audit, next, part->count > 0 ? part->sources[part->count - 1].offset + 1 : 0,
                 "2 partition %" PRId64 ": progress in PostgreSQL, end of voters_topic", partition);
}

void audit_check_votes(struct audit *audit)
{
    int64_t known = 0;

    check_outcomes(audit);
    check_chain(audit);
    rows = rows_equal = 0;
    each_row(audit,
             "SELECT voter_id, candidate_id, extract(epoch FROM voting_time)::bigint,"
             " coalesce(source_partition, -1), coalesce(source_offset, -1) FROM votes",
             on_vote_row);
    audit_report(audit, audit->votes, rows, "2 votes_topic, rows of votes");
    audit_report(audit, rows, rows_equal, "2 rows of votes, with the same vote in votes_topic");
    audit_report(audit, audit->votes_sum, audit->rows_sum, "2 checksum of votes_topic, of votes");
    for (int p = 0; p < audit->part_count; p++) {
        audit_report(audit, audit->parts[p].votes, audit->parts[p].rows,
                     "2 partition %d: votes_topic, rows of votes", p);
    }
    each_row(audit, "SELECT source_partition, next_offset FROM vote_progress ORDER BY 1",
             on_progress_row);
    for (size_t i = 0; i < audit->ids.count; i++) {
        known += audit->voters[i].is_known;
    }
    rows = rows_known = 0;
    each_row(audit, "SELECT voter_id FROM voters", on_voter_row);
    audit_report(audit, known, rows_known, "2 voters in voters_topic, of these in voters");
    audit_report(audit, rows, rows_known, "2 rows of voters, of these in voters_topic");
}

void audit_fini(struct audit *audit)
{
    for (int p = 0; p < audit->part_count; p++) {
        free(audit->parts[p].sources);
    }
    for (int g = 0; g < GROUPS; g++) {
        audit_forget(&audit->recounts[g]);
    }
    names_fini(&audit->ids);
    names_fini(&audit->candidates);
    free(audit->voters);
    PQfinish(audit->sql);
}
