/* The published totals against a recount of votes_topic and of PostgreSQL. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"

/* An aggregate: its topic, the member with the count, and its key said in SQL. */
static const struct group {
    const char *topic, *count, *key_sql;
} groups[GROUPS] = {
    {"aggregated_votes_per_candidate", "total_votes", "c.candidate_id"},
    {"aggregated_turnout_by_location", "count", "v.address_state"},
    {"aggregated_turnout_by_age", "total_votes", "v.registered_age::text"},
    {"aggregated_turnout_by_age_group", "total_votes",
     "CASE WHEN v.registered_age < 18 THEN 'under 18' WHEN v.registered_age < 25 THEN '18-24'"
     " WHEN v.registered_age < 35 THEN '25-34' WHEN v.registered_age < 45 THEN '35-44'"
     " WHEN v.registered_age < 55 THEN '45-54' WHEN v.registered_age < 65 THEN '55-64'"
     " WHEN v.registered_age < 75 THEN '65-74' ELSE '75+' END"},
    {"aggregated_turnout_by_gender", "total_votes", "v.gender"},
    {"aggregated_party_wise_votes", "total_votes", "c.party_affiliation"},
    {"aggregated_votes_by_region", "total_votes", "v.address_city"},
    {"aggregated_votes_by_state_and_candidate", "total_votes",
     "v.address_state || '/' || c.candidate_id"},
};

static size_t add_key(struct recount *recount, const char *key)
{
    size_t number = names_add(&recount->keys, key);

    while (number >= recount->cap) {
        size_t old = recount->cap;
        size_t cap = old == 0 ? 256 : 2 * old;

        recount->votes = realloc(recount->votes, cap * sizeof(*recount->votes));
        recount->rows = realloc(recount->rows, cap * sizeof(*recount->rows));
        recount->shown = realloc(recount->shown, cap * sizeof(*recount->shown));
        recount->sequence = realloc(recount->sequence, cap * sizeof(*recount->sequence));
        recount->is_stale = realloc(recount->is_stale, cap * sizeof(*recount->is_stale));
        for (size_t i = old; i < cap; i++) {
            recount->votes[i] = recount->rows[i] = recount->shown[i] = 0;
            recount->sequence[i] = -1;
            recount->is_stale[i] = false;
        }
        recount->cap = cap;
    }
    return number;
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
        struct recount *recount = &audit->recounts[g];
        size_t number = add_key(recount, keys[g]);

        recount->votes[number]++;
    }
}

struct reading {
    struct recount *recount;
    const char *count;
};

static void on_total(void *arg, const struct record *record)
{
    const struct reading *reading = arg;
    struct recount *recount = reading->recount;
    cJSON *json = cJSON_ParseWithLength(record->value, record->value_len);
    const cJSON *count = cJSON_GetObjectItemCaseSensitive(json, reading->count);
    const cJSON *sequence = cJSON_GetObjectItemCaseSensitive(json, "sequence");
    char key[512];
    size_t number;

    (void)snprintf(key, sizeof(key), "%.*s", (int)record->key_len,
                   record->key != NULL ? record->key : "");
    number = add_key(recount, key);
    if (cJSON_IsNumber(count) && cJSON_IsNumber(sequence)) {
        recount->is_stale[number] = sequence->valuedouble < recount->sequence[number];
        if (!recount->is_stale[number]) {
            recount->sequence[number] = sequence->valuedouble;
            recount->shown[number] = (int64_t)count->valuedouble;
        }
    } else {
        recount->shown[number] = -1;
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
                   groups[g].key_sql);
    result = PQexec(audit->sql, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        (void)fprintf(stderr, "vd_check: %s\n", PQerrorMessage(audit->sql));
        exit(2);
    }
    for (int i = 0; i < PQntuples(result); i++) {
        size_t number = add_key(recount, PQgetvalue(result, i, 0));

        recount->rows[number] = strtoll(PQgetvalue(result, i, 1), NULL, 10);
    }
    PQclear(result);
}

static void compare(struct audit *audit, int g)
{
    const struct recount *recount = &audit->recounts[g];
    int64_t votes = 0, rows = 0, shown = 0, equal = 0, fresh = 0;

    for (size_t i = 0; i < recount->keys.count; i++) {
        votes += recount->votes[i];
        rows += recount->rows[i];
        shown += recount->shown[i];
        fresh += !recount->is_stale[i];
        if (recount->votes[i] == recount->rows[i] && recount->votes[i] == recount->shown[i]) {
            equal++;
        } else {
            audit_explain(audit,
                          "%s, key \"%s\": published %" PRId64 ", in votes_topic %" PRId64
                          ", in PostgreSQL %" PRId64,
                          groups[g].topic, recount->keys.texts[i], recount->shown[i],
                          recount->votes[i], recount->rows[i]);
        }
    }
    audit_report(audit, shown, votes, "3 %s, recount of votes_topic", groups[g].topic);
    audit_report(audit, shown, rows, "3 %s, recount in PostgreSQL", groups[g].topic);
    audit_report(audit, (int64_t)recount->keys.count, equal, "3 %s: keys, equal on all sides",
                 groups[g].topic);
    audit_report(audit, (int64_t)recount->keys.count, fresh,
                 "3 %s: keys, whose last record is the highest", groups[g].topic);
}

void audit_check_totals(struct audit *audit)
{
    for (int g = 0; g < GROUPS; g++) {
        struct reading reading = {.recount = &audit->recounts[g], .count = groups[g].count};

        records_each(audit->brokers, audit_topic(audit, groups[g].topic), on_total, &reading);
        read_rows(audit, g);
        compare(audit, g);
    }
}
