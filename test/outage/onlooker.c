/* A consumer of its own. */
#include "onlooker.h"

#include <assert.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

#define CANDIDATES_MAX 16
#define ASK_MS 10000
#define ASKED_MAX 6

enum { VOTERS, PER_CANDIDATE, PER_STATE, TOPICS };

static const char *const names[TOPICS] = {"voters_topic", "aggregated_votes_per_candidate",
                                          "aggregated_votes_by_state_and_candidate"};

struct onlooker {
    rd_kafka_t *rk;
    char *topics[TOPICS];
    int64_t voters;
    struct {
        char id[64];
        int64_t votes;
    } totals[CANDIDATES_MAX];
    int64_t newest[ONLOOKER_PARTITIONS]; /* offset of the newest total per state */
    int64_t ends[ONLOOKER_PARTITIONS];   /* where they ended at onlooker_mark */
};

struct onlooker *onlooker_new(const struct election *election)
{
    struct onlooker *onlooker = calloc(1, sizeof(*onlooker));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(TOPICS);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[256];
    rd_kafka_resp_err_t error;

    rd_kafka_conf_set(conf, "bootstrap.servers", peer_brokers(), text, sizeof(text));
    rd_kafka_conf_set(conf, "group.id", "onlooker", text, sizeof(text));
    rd_kafka_conf_set(conf, "enable.auto.commit", "false", text, sizeof(text));
    rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", text, sizeof(text));
    onlooker->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    assert(onlooker->rk != NULL);
    rd_kafka_poll_set_consumer(onlooker->rk);
    for (int t = 0; t < TOPICS; t++) {
        onlooker->topics[t] = election_topic(election, names[t]);
        for (int p = 0; p < ONLOOKER_PARTITIONS; p++) {
            rd_kafka_topic_partition_list_add(list, onlooker->topics[t], p)->offset =
                RD_KAFKA_OFFSET_BEGINNING;
        }
    }
    error = rd_kafka_assign(onlooker->rk, list);
    assert(error == RD_KAFKA_RESP_ERR_NO_ERROR);
    (void)error; /* only asserted */
    rd_kafka_topic_partition_list_destroy(list);
    return onlooker;
}

void onlooker_free(struct onlooker *onlooker)
{
    rd_kafka_consumer_close(onlooker->rk);
    rd_kafka_destroy(onlooker->rk);
    for (int t = 0; t < TOPICS; t++) {
        free(onlooker->topics[t]);
    }
    free(onlooker);
}

static void take_total(struct onlooker *onlooker, const rd_kafka_message_t *message)
{
    cJSON *total = cJSON_ParseWithLength(message->payload, message->len);
    const cJSON *votes = cJSON_GetObjectItemCaseSensitive(total, "total_votes");
    int at = 0;

    assert(cJSON_IsNumber(votes) && message->key_len < sizeof(onlooker->totals[0].id));
    while (onlooker->totals[at].id[0] != '\0' &&
           (strlen(onlooker->totals[at].id) != message->key_len ||
            memcmp(onlooker->totals[at].id, message->key, message->key_len) != 0)) {
        at++;
        assert(at < CANDIDATES_MAX);
    }
    memcpy(onlooker->totals[at].id, message->key, message->key_len);
    onlooker->totals[at].votes = (int64_t)votes->valuedouble;
    cJSON_Delete(total);
}

static void take(struct onlooker *onlooker, const rd_kafka_message_t *message)
{
    const char *topic = rd_kafka_topic_name(message->rkt);

    if (strcmp(topic, onlooker->topics[VOTERS]) == 0) {
        onlooker->voters++;
    } else if (strcmp(topic, onlooker->topics[PER_CANDIDATE]) == 0) {
        take_total(onlooker, message);
    } else {
        onlooker->newest[message->partition] = message->offset;
    }
}

void onlooker_look(struct onlooker *onlooker, int ms)
{
    int64_t end_ms = now_ms() + ms;

    while (now_ms() < end_ms) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(onlooker->rk, 1);

        if (message != NULL && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            take(onlooker, message);
        }
        if (message != NULL) {
            rd_kafka_message_destroy(message);
        }
    }
}

int64_t onlooker_behind(const struct onlooker *onlooker)
{
    int64_t behind = onlooker->voters;

    for (int i = 0; i < CANDIDATES_MAX; i++) {
        behind -= onlooker->totals[i].votes;
    }
    return behind;
}

/* A broker on a busy machine may keep everybody waiting for longer than one question lasts. */
static int64_t ask_end(const struct onlooker *onlooker, int32_t partition)
{
    int64_t begin, end;
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;

    for (int n = 0; n < ASKED_MAX && error != RD_KAFKA_RESP_ERR_NO_ERROR; n++) {
        error = rd_kafka_query_watermark_offsets(onlooker->rk, onlooker->topics[PER_STATE],
                                                 partition, &begin, &end, ASK_MS);
    }
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        (void)fprintf(stderr, "could not ask where totals end: %s\n", rd_kafka_err2str(error));
        exit(1);
    }
    return end;
}

void onlooker_mark(struct onlooker *onlooker)
{
    for (int p = 0; p < ONLOOKER_PARTITIONS; p++) {
        onlooker->ends[p] = ask_end(onlooker, p);
    }
}

int onlooker_moving(const struct onlooker *onlooker)
{
    int moving = 0;

    for (int p = 0; p < ONLOOKER_PARTITIONS; p++) {
        moving += onlooker->newest[p] >= onlooker->ends[p];
    }
    return moving;
}
