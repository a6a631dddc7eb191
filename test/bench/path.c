/* Voters are told apart by their number alone: when a total of n is read, the n-th voter's vote is
 * counted. That holds to within the votes that overtake each other on different partitions. */
#include "path.h"

#include <assert.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>

#define CANDIDATES_MAX 16
#define PARTITIONS 4
#define SPAN_MS (600 * 1000)
#define TOTALS_MAX 200000

enum { VOTERS, TOTALS, TOPICS };

static const char *const names[TOPICS] = {"voters_topic", "aggregated_votes_per_candidate"};

struct path {
    rd_kafka_t *rk;
    char *topics[TOPICS];
    int64_t begin_ms;
    uint32_t voters[SPAN_MS]; /* by the millisecond of their record after 'begin_ms' */
    struct {
        char id[64];
        int64_t votes;
    } candidates[CANDIDATES_MAX];
    int64_t votes; /* of all candidates */
    struct {
        int64_t at_ms, votes;
    } totals[TOTALS_MAX]; /* as they came; 'votes' of all candidates by then */
    size_t count;
};

struct path *path_new(const struct election *election)
{
    struct path *path = calloc(1, sizeof(*path));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(TOPICS);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[256];
    rd_kafka_resp_err_t error;

    path->begin_ms = wall_ms() - SPAN_MS / 10; /* the first voters are there already */
    rd_kafka_conf_set(conf, "bootstrap.servers", peer_brokers(), text, sizeof(text));
    rd_kafka_conf_set(conf, "group.id", "path", text, sizeof(text));
    rd_kafka_conf_set(conf, "enable.auto.commit", "false", text, sizeof(text));
    rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", text, sizeof(text));
    path->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    assert(path->rk != NULL);
    rd_kafka_poll_set_consumer(path->rk);
    for (int t = 0; t < TOPICS; t++) {
        path->topics[t] = election_topic(election, names[t]);
        for (int p = 0; p < PARTITIONS; p++) {
            rd_kafka_topic_partition_list_add(list, path->topics[t], p)->offset =
                RD_KAFKA_OFFSET_BEGINNING;
        }
    }
    error = rd_kafka_assign(path->rk, list);
    assert(error == RD_KAFKA_RESP_ERR_NO_ERROR);
    (void)error; /* only asserted */
    rd_kafka_topic_partition_list_destroy(list);
    return path;
}

void path_free(struct path *path)
{
    rd_kafka_consumer_close(path->rk);
    rd_kafka_destroy(path->rk);
    for (int t = 0; t < TOPICS; t++) {
        free(path->topics[t]);
    }
    free(path);
}

static void take_voter(struct path *path, const rd_kafka_message_t *message)
{
    int64_t at = rd_kafka_message_timestamp(message, NULL) - path->begin_ms;

    at = at < 0 ? 0 : at;
    assert(at < SPAN_MS);
    path->voters[at]++;
}

static void take_total(struct path *path, const rd_kafka_message_t *message)
{
    cJSON *total = cJSON_ParseWithLength(message->payload, message->len);
    const cJSON *votes = cJSON_GetObjectItemCaseSensitive(total, "total_votes");
    int at = 0;

    assert(cJSON_IsNumber(votes) && message->key_len < sizeof(path->candidates[0].id));
    while (path->candidates[at].id[0] != '\0' &&
           (strlen(path->candidates[at].id) != message->key_len ||
            memcmp(path->candidates[at].id, message->key, message->key_len) != 0)) {
        at++;
        assert(at < CANDIDATES_MAX);
    }
    memcpy(path->candidates[at].id, message->key, message->key_len);
    path->votes += (int64_t)votes->valuedouble - path->candidates[at].votes;
    path->candidates[at].votes = (int64_t)votes->valuedouble;
    assert(path->count < TOTALS_MAX);
    path->totals[path->count].at_ms = wall_ms();
    path->totals[path->count++].votes = path->votes;
    cJSON_Delete(total);
}

void path_look(struct path *path, int ms)
{
    int64_t end_ms = wall_ms() + ms;
    int64_t left_ms;

    while ((left_ms = end_ms - wall_ms()) > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(path->rk, (int)left_ms);

        if (message != NULL && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            if (strcmp(rd_kafka_topic_name(message->rkt), path->topics[VOTERS]) == 0) {
                take_voter(path, message);
            } else {
                take_total(path, message);
            }
        }
        if (message != NULL) {
            rd_kafka_message_destroy(message);
        }
    }
}

int64_t path_votes(const struct path *path)
{
    return path->votes;
}

void path_delays(const struct path *path, int64_t since_ms, int64_t until_ms, struct delays *delays)
{
    int64_t voters = path->voters[0];
    int64_t at = 0;

    memset(delays, 0, sizeof(*delays));
    for (size_t i = 0; i < path->count; i++) {
        while (voters < path->totals[i].votes && at < SPAN_MS - 1) {
            voters += path->voters[++at];
        }
        if (path->totals[i].at_ms >= since_ms && path->totals[i].at_ms < until_ms) {
            delays_add(delays, path->totals[i].at_ms - path->begin_ms - at);
        }
    }
}
