/* Reading topics from their beginning to their end. */
#include "records.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 20000
#define SOURCE_HEADER "vd-src"
#define RECEIPT_HEADER "vd-receipt" /* of a letter that was replayed: no record of anything */
#define SOURCE_BYTES 23
#define SOURCE_VERSION 1

__attribute__((noreturn)) static void give_up(const char *topic, const char *goal,
                                              rd_kafka_resp_err_t code)
{
    (void)fprintf(stderr, "vd_check: %s: could not %s: %s\n", topic, goal, rd_kafka_err2str(code));
    exit(2);
}

static rd_kafka_t *client(const char *brokers, bool is_committed)
{
    const char *const props[][2] = {
        {"bootstrap.servers", brokers},
        {"group.id", "vd_check"},
        {"enable.auto.commit", "false"},
        {"enable.partition.eof", "true"},
        {"allow.auto.create.topics", "false"},
        {"check.crcs", "true"},
        {"fetch.wait.max.ms", "20"},
        {"auto.offset.reset", "error"},
        {"isolation.level", is_committed ? "read_committed" : "read_uncommitted"},
    };
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *rk;

    for (size_t i = 0; i < sizeof(props) / sizeof(props[0]); i++) {
        if (rd_kafka_conf_set(conf, props[i][0], props[i][1], text, sizeof(text)) !=
            RD_KAFKA_CONF_OK) {
            (void)fprintf(stderr, "vd_check: %s\n", text);
            exit(2);
        }
    }
    rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (rk == NULL) {
        (void)fprintf(stderr, "vd_check: could not create a client: %s\n", text);
        exit(2);
    }
    rd_kafka_poll_set_consumer(rk);
    return rk;
}

static int count_partitions(rd_kafka_t *rk, const char *topic)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    const rd_kafka_metadata_t *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, handle, &metadata, WAIT_MS);
    int count = 0;

    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = metadata->topics[0].err;
        count = metadata->topics[0].partition_cnt;
        rd_kafka_metadata_destroy(metadata);
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        give_up(topic, "find its partitions", code);
    }
    rd_kafka_topic_destroy(handle);
    return count < PARTITIONS_MAX ? count : PARTITIONS_MAX;
}

int records_partitions(const char *brokers, const char *topic)
{
    rd_kafka_t *rk = client(brokers, true);
    int count = count_partitions(rk, topic);

    rd_kafka_destroy(rk);
    return count;
}

static uint64_t big_endian(const unsigned char *at, size_t bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

static void read_source(const rd_kafka_message_t *message, struct record *record)
{
    rd_kafka_headers_t *headers;
    const void *bytes;
    const unsigned char *at;
    size_t len;

    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, SOURCE_HEADER, &bytes, &len) !=
            RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    at = bytes;
    record->has_source = len == SOURCE_BYTES && at[0] == SOURCE_VERSION;
    if (record->has_source) {
        record->source_partition = (int32_t)big_endian(at + 3, 4);
        record->source_offset = (int64_t)big_endian(at + 7, 8);
        record->source_previous = (int64_t)big_endian(at + 15, 8);
    }
}

static bool is_receipt(const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    const void *bytes;
    size_t len;

    return rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
           rd_kafka_header_get_last(headers, RECEIPT_HEADER, &bytes, &len) ==
               RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void deliver(const rd_kafka_message_t *message, record_fn *on_record, void *arg)
{
    struct record record = {
        .key = message->key,
        .key_len = message->key_len,
        .value = message->payload,
        .value_len = message->len,
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, NULL),
    };

    if (!is_receipt(message)) {
        read_source(message, &record);
        on_record(arg, &record);
    }
}

static rd_kafka_topic_partition_list_t *all_partitions(rd_kafka_t *rk, const char *topic,
                                                       int64_t offset)
{
    int count = count_partitions(rk, topic);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);

    for (int p = 0; p < count; p++) {
        rd_kafka_topic_partition_list_add(list, topic, p)->offset = offset;
    }
    return list;
}

void records_each(const char *brokers, const char *topic, record_fn *on_record, void *arg)
{
    rd_kafka_t *rk = client(brokers, true);
    rd_kafka_topic_partition_list_t *list = all_partitions(rk, topic, RD_KAFKA_OFFSET_BEGINNING);
    int at_end = 0;

    rd_kafka_assign(rk, list);
    while (at_end < list->cnt) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, WAIT_MS);
        rd_kafka_resp_err_t code = message != NULL ? message->err : RD_KAFKA_RESP_ERR__TIMED_OUT;

        if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            at_end++;
        } else if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            deliver(message, on_record, arg);
        } else {
            give_up(topic, "read", code);
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

int records_ends(const char *brokers, const char *topic, bool is_stable,
                 int64_t ends[PARTITIONS_MAX])
{
    rd_kafka_t *rk = client(brokers, is_stable);
    rd_kafka_topic_partition_list_t *list = all_partitions(rk, topic, RD_KAFKA_OFFSET_END);
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(rk, list, WAIT_MS);
    int count = list->cnt;

    for (int p = 0; p < count && code == RD_KAFKA_RESP_ERR_NO_ERROR; p++) {
        code = list->elems[p].err;
        ends[p] = list->elems[p].offset;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        give_up(topic, "find its end", code);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
    return count;
}
