/* The published totals against a recount of votes_topic and of PostgreSQL. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"

const struct group audit_groups[GROUPS] = {
    {"aggregated_votes_per_candidate",
     "total_votes",
     "c.candidate_id",
     "candidate",
     {"candidate_id"}},
    {"aggregated_turnout_by_location", "count", "v.address_state", "state", {"state"}},
    {"aggregated_turnout_by_age",
     "total_votes",
     "v.registered_age::text",
     "age",
     {"registered_age"}},
    {"aggregated_turnout_by_age_group",
     "total_votes",
     "CASE WHEN v.registered_age < 18 THEN 'under 18' WHEN v.registered_age < 25 THEN '18-24'"
     " WHEN v.registered_age < 35 THEN '25-34' WHEN v.registered_age < 45 THEN '35-44'"
     " WHEN v.registered_age < 55 THEN '45-54' WHEN v.registered_age < 65 THEN '55-64'"
     " WHEN v.registered_age < 75 THEN '65-74' ELSE '75+' END",
     "age_group",
     {"age_group"}},
    {"aggregated_turnout_by_gender", "total_votes", "v.gender", "gender", {"gender"}},
    {"aggregated_party_wise_votes",
     "total_votes",
     "c.party_affiliation",
     "party",
     {"party_affiliation"}},
    {"aggregated_votes_by_region", "total_votes", "v.address_city", "city", {"city"}},
    {"aggregated_votes_by_state_and_candidate",
     "total_votes",
     "v.address_state || '/' || c.candidate_id",
     "state_candidate",
     {"state", "candidate_id"}},
};

struct tally *audit_tally(struct recount *recount, const char *key)
{
    size_t number = names_add(&recount->keys, key);

    while (number >= recount->cap) {
        size_t cap = recount->cap == 0 ? 256 : 2 * recount->cap;

        recount->tallies = realloc(recount->tallies, cap * sizeof(*recount->tallies));
        for (size_t i = recount->cap; i < cap; i++) {
            recount->tallies[i] = (struct tally){.sequence = -1, .partition = -1};
        }
        recount->cap = cap;
    }
    return &recount->tallies[number];
}

void audit_forget(struct recount *recount)
{
    names_fini(&recount->keys);
    free(recount->tallies);
}

static const char *age_group_of(int age)
{
    static const char *const names[] = {"18-24", "25-34", "35-44", "45-54", "55-64", "65-74"};
    int n = (age - 15) / 10;

    if (age < 18) {
        return "under 18";
    }
    if (age < 25) {
        return names[0];
    }
    return n < 6 ? names[n] : "75+";
}

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    return text != NULL ? text : "";
}

void audit_count_vote(struct audit *audit, const cJSON *vote)
{
    const cJSON *address = cJSON_GetObjectItemCaseSensitive(vote, "address");
    const cJSON *age = cJSON_GetObjectItemCaseSensitive(vote, "registered_age");
    int years = cJSON_IsNumber(age) ? (int)age->valuedouble : -1;
    char age_text[16];
    char pair[512];
    const char *const keys[GROUPS] = {text_of(vote, "candidate_id"),
                                      text_of(address, "state"),
                                      age_text,
                                      age_group_of(years),
                                      text_of(vote, "gender"),
                                      text_of(vote, "party_affiliation"),
                                      text_of(address, "city"),
                                      pair};

    (void)snprintf(age_text, sizeof(age_text), "%d", years);
    (void)snprintf(pair, sizeof(pair), "%s/%s", keys[1], keys[0]);
    for (int g = 0; g < GROUPS; g++) {
        audit_tally(&audit->recounts[g], keys[g])->votes++;
    }
}

bool audit_add_partial(struct audit *audit, const char *group, const char *key, int64_t count)
{
    for (int g = 0; g < GROUPS; g++) {
        if (strcmp(audit_groups[g].name, group) == 0) {
            audit_tally(&audit->recounts[g], key)->partials += count;
            return true;
        }
    }
    return false;
}

struct reading {
    struct recount *recount;
    const char *count;
};

static void on_total(void *arg, const struct record *record)
{
    const struct reading *reading = arg;
    cJSON *json = cJSON_ParseWithLength(record->value, record->value_len);
    const cJSON *count = cJSON_GetObjectItemCaseSensitive(json, reading->count);
    const cJSON *sequence = cJSON_GetObjectItemCaseSensitive(json, "sequence");
    char key[512];
    struct tally *tally;

    (void)snprintf(key, sizeof(key), "%.*s", (int)record->key_len,
                   record->key != NULL ? record->key : "");
    tally = audit_tally(reading->recount, key);
    tally->is_torn =
        tally->is_torn || (tally->partition >= 0 && tally->partition != record->partition);
    tally->partition = record->partition;
    if (cJSON_IsNumber(count) && cJSON_IsNumber(sequence)) {
        tally->is_stale = sequence->valuedouble < tally->sequence;
        if (!tally->is_stale) {
            tally->sequence = sequence->valuedouble;
            tally->shown = (int64_t)count->valuedouble;
        }
    } else {
        tally->shown = -1;
    }
    cJSON_Delete(json);
}

static void read_rows(struct audit *audit, int g)
{
    struct recount *recount = &audit->recounts[g];
    char sql[1024];
    PGresult *result;

    (void)snprintf(sql, sizeof(sql),
                   "SELECT %s, count(*) FROM votes JOIN voters v USING (voter_id)"
                   " JOIN candidates c ON c.candidate_id = votes.candidate_id GROUP BY 1",
                   audit_groups[g].key_sql);
    result = PQexec(audit->sql, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        (void)fprintf(stderr, "vd_check: %s\n", PQerrorMessage(audit->sql));
        exit(2);
    }
    for (int i = 0; i < PQntuples(result); i++) {
        audit_tally(recount, PQgetvalue(result, i, 0))->rows =
            strtoll(PQgetvalue(result, i, 1), NULL, 10);
    }
    PQclear(result);
}

static void compare(struct audit *audit, int g)
{
    const struct recount *recount = &audit->recounts[g];
    int64_t votes = 0, rows = 0, shown = 0, partials = 0, equal = 0, fresh = 0, whole = 0;

    for (size_t i = 0; i < recount->keys.count; i++) {
        const struct tally *tally = &recount->tallies[i];

        votes += tally->votes;
        rows += tally->rows;
        shown += tally->shown;
        partials += tally->partials;
        fresh += !tally->is_stale;
        whole += !tally->is_torn;
        if (tally->votes == tally->rows && tally->votes == tally->shown &&
            tally->votes == tally->partials) {
            equal++;
        } else {
            audit_explain(audit,
                          "%s, key \"%s\": published %" PRId64 ", in agg_partials %" PRId64
                          ", in votes_topic %" PRId64 ", in PostgreSQL %" PRId64,
                          audit_groups[g].topic, recount->keys.texts[i], tally->shown,
                          tally->partials, tally->votes, tally->rows);
        }
    }
    audit_report(audit, shown, votes, "3 %s, recount of votes_topic", audit_groups[g].topic);
    audit_report(audit, shown, rows, "3 %s, recount in PostgreSQL", audit_groups[g].topic);
    audit_report(audit, shown, partials, "3 %s, merged from agg_partials", audit_groups[g].topic);
    audit_report(audit, (int64_t)recount->keys.count, equal, "3 %s: keys, equal on all sides",
                 audit_groups[g].topic);
    audit_report(audit, (int64_t)recount->keys.count, fresh,
                 "3 %s: keys, whose last record is the highest", audit_groups[g].topic);
    audit_report(audit, (int64_t)recount->keys.count, whole, "3 %s: keys, in one partition each",
                 audit_groups[g].topic);
}

void audit_check_totals(struct audit *audit)
{
    for (int g = 0; g < GROUPS; g++) {
        struct reading reading = {.recount = &audit->recounts[g], .count = audit_groups[g].count};

        records_each(audit->brokers, audit_topic(audit, audit_groups[g].topic), on_total, &reading);
        read_rows(audit, g);
        compare(audit, g);
    }
}
