/* The aggregation alone in the real daemon, fed and looked at by a test. */
#include "count.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../unit/test.h"
#include "../wait.h"

void count_open(struct count *count, const char *stem)
{
    memset(count, 0, sizeof(*count));
    election_open(&count->election, stem);
    count->votes = election_topic(&count->election, "votes_topic");
    count->partials = election_topic(&count->election, "agg_partials");
}

void count_close(struct count *count)
{
    election_close(&count->election);
    free(count->votes);
    free(count->partials);
}

/* Start the node with up to two more settings of the aggregation; NULL: none. */
void count_start(struct count *count, const char *one, const char *other)
{
    char text[2][128];

    (void)snprintf(text[0], sizeof(text[0]), "stage:aggregation.%s",
                   one != NULL ? one : "publish_ms=100");
    (void)snprintf(text[1], sizeof(text[1]), "stage:aggregation.%s",
                   other != NULL ? other : "batch.wait_ms=20");
    election_start(&count->election, 0, "--set", "stage:generator.enabled=no", "--set",
                   "stage:voting.enabled=no", "--set", "stage:dashboard.enabled=no", "--set",
                   text[0], "--set", text[1], NULL);
}

double count_metric(struct count *count, const char *name)
{
    char text[128];

    (void)snprintf(text, sizeof(text), "votingd_%s{stage=\"aggregation\"}", name);
    return election_metric(&count->election, 0, text);
}

void count_wait_metric(struct count *count, const char *name, double wanted)
{
    const int64_t deadline_ms = now_ms() + ELECTION_AWAIT_MS;
    double found;

    while ((found = count_metric(count, name)) != wanted) {
        char words[256];

        (void)snprintf(words, sizeof(words), "%s is %f, not %f", name, found, wanted);
        election_look_again(&count->election, deadline_ms, words);
    }
}

int64_t count_published(struct count *count)
{
    return election_sum(&count->election, "aggregated_votes_per_candidate", "total_votes");
}

void count_wait_published(struct count *count, int64_t votes)
{
    const int64_t deadline_ms = now_ms() + ELECTION_AWAIT_MS;
    int64_t found;

    while ((found = count_published(count)) != votes ||
           (found = election_sum(&count->election, "aggregated_votes_by_region", "total_votes")) !=
               votes) {
        char words[128];

        (void)snprintf(words, sizeof(words), "%lld votes are published, not %lld", (long long)found,
                       (long long)votes);
        election_look_again(&count->election, deadline_ms, words);
    }
}

void count_wait_ready(struct count *count)
{
    ELECTION_AWAIT(&count->election, election_get(&count->election, 0, "/readyz", NULL) == 200);
}

void count_start_ready(struct count *count)
{
    count_start(count, NULL, NULL);
    count_wait_ready(count);
}

void count_stop_and_close(struct count *count)
{
    assert_int_equal(election_stop(&count->election, 0, SIGTERM), 0);
    count_close(count);
}

static bool is_trouble(struct count *count, const char *words)
{
    char *body = NULL;
    bool is_there =
        election_get(&count->election, 0, "/readyz", &body) == 503 && strstr(body, words) != NULL;

    free(body);
    return is_there;
}

/* /readyz says 503, and why. */
void count_wait_trouble(struct count *count, const char *words)
{
    const int64_t deadline_ms = now_ms() + ELECTION_AWAIT_MS;

    while (!is_trouble(count, words)) {
        election_look_again(&count->election, deadline_ms, words);
    }
}

/* ---- votes ---------------------------------------------------------------------------------- */

static void put_be(uint8_t *bytes, uint64_t value, size_t count)
{
    for (size_t i = count; i > 0; i--, value >>= 8) {
        bytes[i - 1] = (uint8_t)value;
    }
}

/* What a vote says; the caller frees it. */
static char *format_vote(int32_t partition, int64_t second, int64_t offset)
{
    enum { VOTE_BYTES = 512 };
    char *value = calloc(1, VOTE_BYTES);
    time_t time_s = COUNT_NOON_S + second;
    char time_text[32];

    (void)strftime(time_text, sizeof(time_text), "%Y-%m-%d %H:%M:%S",
                   gmtime_r(&time_s, &(struct tm){0}));
    (void)snprintf(value, VOTE_BYTES,
                   "{\"voter_id\":\"v%d-%lld\",\"candidate_id\":\"c%lld\",\"candidate_name\":\"N\","
                   "\"party_affiliation\":\"P\",\"photo_url\":\"U\",\"vote\":1,"
                   "\"registered_age\":%lld,\"gender\":\"female\",\"voting_time\":\"%s\","
                   "\"address\":{\"state\":\"S\",\"city\":\"C%lld\"}}",
                   partition, (long long)offset, (long long)(offset % 3),
                   (long long)(20 + offset % 60), time_text, (long long)(offset % 40));
    return value;
}

void count_send_from(struct count *count, int32_t partition, int64_t second,
                     const struct count_source *source)
{
    char *value = format_vote(partition, second, source->offset);
    uint8_t bytes[23];

    bytes[0] = source->version;
    put_be(bytes + 1, (uint16_t)source->generation, 2);
    put_be(bytes + 3, (uint32_t)source->partition, 4);
    put_be(bytes + 7, (uint64_t)source->offset, 8);
    put_be(bytes + 15, (uint64_t)source->previous, 8);
    peer_send_source(count->votes, partition, value, bytes, sizeof(bytes));
    free(value);
}

/* A vote with one header in text, without position. */
void count_send_with(struct count *count, int32_t partition, int64_t offset, const char *name,
                     const char *text)
{
    struct peer_header headers[] = {{name, text, strlen(text)}, {NULL, NULL, 0}};
    char *value = format_vote(partition, 0, offset);

    peer_send_headers(count->votes, partition, "k", value, headers);
    free(value);
}

/* The next vote of a partition, as the voting stage would emit it. */
void count_send(struct count *count, int32_t partition, int64_t second)
{
    int64_t offset = count->next[partition]++;

    count_send_from(
        count, partition, second,
        &(struct count_source){
            .version = 1, .partition = partition, .offset = offset, .previous = offset - 1});
    count->voters++;
}

void count_send_all(struct count *count, int votes)
{
    for (int i = 0; i < votes; i++) {
        count_send(count, i % COUNT_PARTITIONS, 0);
    }
    peer_flush();
}

bool count_is_meta(const struct peer_record *partial)
{
    return partial->key[1] == 3;
}
