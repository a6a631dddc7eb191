/* What an election has counted, read from its public topics. */
#include "election.h"

#include "../unit/test.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MS 100

static int compare_keys(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void keep(void *key __attribute__((unused)))
{
}

int64_t election_sum(struct election *election, const char *name, const char *member)
{
    char *topic = election_topic(election, name);
    struct peer_log log = peer_read(topic, false);
    int64_t sum = 0;
    void *seen = NULL; /* keys; from the end, so that the first of each is the newest */

    for (size_t i = log.count; i-- > 0;) {
        const char *key = log.records[i].key;

        assert_non_null(key);
        if (tfind(key, &seen, compare_keys) == NULL) {
            cJSON *total = cJSON_Parse(log.records[i].value);
            const cJSON *count = cJSON_GetObjectItemCaseSensitive(total, member);

            assert_true(cJSON_IsNumber(count));
            sum += (int64_t)count->valuedouble;
            cJSON_Delete(total);
            assert_non_null(tsearch(key, &seen, compare_keys));
        }
    }
    tdestroy(seen, keep); /* the keys are the log's */
    peer_log_free(&log);
    free(topic);
    return sum;
}

static const struct {
    const char *topic, *member;
} totals[] = {
    {"aggregated_votes_per_candidate", "total_votes"},
    {"aggregated_turnout_by_location", "count"},
    {"aggregated_turnout_by_gender", "total_votes"},
    {"aggregated_party_wise_votes", "total_votes"},
    {"aggregated_votes_by_region", "total_votes"},
    {"aggregated_turnout_by_age", "total_votes"},
    {"aggregated_turnout_by_age_group", "total_votes"},
    {"aggregated_votes_by_state_and_candidate", "total_votes"},
};
#define TOTALS (sizeof(totals) / sizeof(totals[0]))

void election_wait_counted(struct election *election, int64_t votes, int seconds)
{
    int64_t deadline_ms = now_ms() + seconds * INT64_C(1000);
    char text[128];

    for (size_t i = 0; i < TOTALS;) {
        int64_t sum = -1;

        if (i > 0 || election_count(election, "SELECT count(*) FROM votes") >= votes) {
            sum = election_sum(election, totals[i].topic, totals[i].member);
        }
        if (sum == votes) {
            i++;
        } else if (now_ms() > deadline_ms) {
            (void)snprintf(text, sizeof(text), "%s: %lld of %lld votes", totals[i].topic,
                           (long long)sum, (long long)votes);
            election_give_up(election, text);
        } else {
            pause_ms(POLL_MS);
        }
    }
}

static void check_topic(struct election *election, int64_t votes)
{
    char *topic = election_topic(election, "votes_topic");
    struct peer_log log = peer_read(topic, true);

    if ((int64_t)log.count != votes) {
        election_give_up(election, "votes_topic and the count differ");
    }
    peer_log_free(&log);
    free(topic);
}

void election_check(struct election *election, int64_t votes)
{
    assert_int_equal(election_count(election, "SELECT count(*) FROM votes"), votes);
    check_topic(election, votes);
    for (size_t i = 0; i < TOTALS; i++) {
        assert_int_equal(election_sum(election, totals[i].topic, totals[i].member), votes);
    }
}
