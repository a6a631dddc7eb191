/* Another program at the broker: plain producer, reading a whole topic. */
#include "peer.h"

#include <assert.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 20000

static rd_kafka_t *producer;

const char *peer_brokers(void)
{
    return getenv("KAFKA_BROKERS");
}

char *peer_name(const char *stem)
{
    static int number;
    char text[128];

    (void)snprintf(text, sizeof(text), "%s-%lld-%d-%d", stem, (long long)time(NULL), (int)getpid(),
                   number++);
    return strdup(text);
}

static rd_kafka_t *client(rd_kafka_type_t type, bool committed_only)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *rk;

    rd_kafka_conf_set(conf, "bootstrap.servers", peer_brokers(), text, sizeof(text));
    if (type == RD_KAFKA_CONSUMER) {
        rd_kafka_conf_set(conf, "group.id", "peer", text, sizeof(text));
        rd_kafka_conf_set(conf, "fetch.wait.max.ms", "20", text, sizeof(text));
        rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", text, sizeof(text));
        rd_kafka_conf_set(conf, "enable.partition.eof", "true", text, sizeof(text));
        rd_kafka_conf_set(conf, "enable.auto.commit", "false", text, sizeof(text));
        rd_kafka_conf_set(conf, "isolation.level",
                          committed_only ? "read_committed" : "read_uncommitted", text,
                          sizeof(text));
    }
    rk = rd_kafka_new(type, conf, text, sizeof(text));
    assert(rk != NULL);
    return rk;
}

static void produce(const char *topic, int32_t partition, const char *key, const char *value,
                    rd_kafka_headers_t *headers)
{
    size_t key_len = key != NULL ? strlen(key) : 0;
    size_t value_len = value != NULL ? strlen(value) : 0;
    rd_kafka_resp_err_t code;

    if (producer == NULL) {
        producer = client(RD_KAFKA_PRODUCER, false);
    }
    do {
        code = rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                                 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                 RD_KAFKA_V_KEY(key, key_len),
                                 RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value_len),
                                 RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        rd_kafka_poll(producer, code == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 100 : 0);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    assert(code == RD_KAFKA_RESP_ERR_NO_ERROR);
}

void peer_send(const char *topic, int32_t partition, const char *key, const char *value)
{
    produce(topic, partition, key, value, NULL);
}

void peer_send_source(const char *topic, int32_t partition, const char *value, const void *source,
                      size_t len)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);

    rd_kafka_header_add(headers, "vd-src", -1, source, (ssize_t)len);
    produce(topic, partition, NULL, value, headers);
}

void peer_fence(const char *transactional_id)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_error_t *error;
    rd_kafka_t *rk;

    rd_kafka_conf_set(conf, "bootstrap.servers", peer_brokers(), text, sizeof(text));
    rd_kafka_conf_set(conf, "transactional.id", transactional_id, text, sizeof(text));
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    assert(rk != NULL);
    error = rd_kafka_init_transactions(rk, WAIT_MS);
    assert(error == NULL);
    (void)error; /* only asserted */
    rd_kafka_destroy(rk);
}

void peer_flush(void)
{
    if (producer != NULL) {
        rd_kafka_resp_err_t code = rd_kafka_flush(producer, WAIT_MS);

        assert(code == RD_KAFKA_RESP_ERR_NO_ERROR);
        rd_kafka_destroy(producer);
        producer = NULL;
    }
}

static char *copy(const void *bytes, size_t len)
{
    char *text = bytes == NULL ? NULL : calloc(1, len + 1);

    if (text != NULL) {
        memcpy(text, bytes, len);
    }
    return text;
}

static struct peer_record *grow(struct peer_log *log)
{
    if ((log->count & (log->count - 1)) == 0) { /* 0 and every power of two: double */
        size_t room = log->count == 0 ? 1 : 2 * log->count;

        log->records = realloc(log->records, room * sizeof(*log->records));
    }
    return log->records;
}

static void add(struct peer_log *log, const rd_kafka_message_t *message)
{
    struct peer_record *record;
    rd_kafka_headers_t *headers;
    const void *bytes;
    size_t len;

    log->records = grow(log);
    record = &log->records[log->count++];
    memset(record, 0, sizeof(*record));
    record->key = copy(message->key, message->key_len);
    record->value = copy(message->payload, message->len);
    record->partition = message->partition;
    record->offset = message->offset;
    record->timestamp_ms = rd_kafka_message_timestamp(message, NULL);
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    if (rd_kafka_header_get_last(headers, "vd-src", &bytes, &len) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        len <= sizeof(record->source)) {
        memcpy(record->source, bytes, len);
        record->source_len = len;
    }
    if (rd_kafka_header_get_last(headers, "vd-reason", &bytes, &len) ==
        RD_KAFKA_RESP_ERR_NO_ERROR) {
        (void)snprintf(record->reason, sizeof(record->reason), "%.*s", (int)len,
                       (const char *)bytes);
    }
}

static int compare(const void *a, const void *b)
{
    const struct peer_record *x = a;
    const struct peer_record *y = b;

    if (x->partition != y->partition) {
        return x->partition < y->partition ? -1 : 1;
    }
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Read until every partition has said that it is at its end. */
static void read_all(rd_kafka_t *rk, const char *topic, int partitions, struct peer_log *log)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    int at_end = 0;

    for (int p = 0; p < partitions; p++) {
        rd_kafka_topic_partition_list_add(list, topic, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    rd_kafka_assign(rk, list);
    while (at_end < partitions) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, WAIT_MS);

        assert(message != NULL);
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            at_end++;
        } else {
            assert(message->err == RD_KAFKA_RESP_ERR_NO_ERROR);
            add(log, message);
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (log->count > 0) {
        qsort(log->records, log->count, sizeof(*log->records), compare);
    }
}

struct peer_log peer_read(const char *topic, bool committed_only)
{
    struct peer_log log = {0};
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, committed_only);
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    const rd_kafka_metadata_t *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, handle, &metadata, WAIT_MS);

    assert(code == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt == 1);
    rd_kafka_poll_set_consumer(rk);
    read_all(rk, topic, metadata->topics[0].partition_cnt, &log);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return log;
}

void peer_log_free(struct peer_log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        free(log->records[i].key);
        free(log->records[i].value);
    }
    free(log->records);
    log->records = NULL;
    log->count = 0;
}
