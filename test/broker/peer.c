/* Another program at the broker: plain producer, reading a whole topic. */
#include "peer.h"
#include "../wait.h"

#include <assert.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 60000
#define SETTLE_MS 20000 /* longer than a killed node's transaction stays open */
#define LOOK_MS 100
#define TXN_TIMEOUT_MS "300000" /* of ours: no stall ends them */
#define DELETE_MS 1000          /* for what nobody depends on */

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

/* A client with one setting of its own: a consumer's group,
 * a producer's transactional.id or NULL. */
static rd_kafka_t *open_client(rd_kafka_type_t type, bool committed_only, const char *id)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *rk;

    rd_kafka_conf_set(conf, "bootstrap.servers", peer_brokers(), text, sizeof(text));
    if (type == RD_KAFKA_PRODUCER && id != NULL) {
        rd_kafka_conf_set(conf, "transactional.id", id, text, sizeof(text));
        rd_kafka_conf_set(conf, "transaction.timeout.ms", TXN_TIMEOUT_MS, text, sizeof(text));
    } else if (type == RD_KAFKA_CONSUMER) {
        rd_kafka_conf_set(conf, "group.id", id, text, sizeof(text));
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

static rd_kafka_t *client(rd_kafka_type_t type, bool committed_only)
{
    return open_client(type, committed_only, type == RD_KAFKA_CONSUMER ? "peer" : NULL);
}

/* Takes 'headers'. */
static void produce_with(const char *topic, const struct peer_record *record,
                         rd_kafka_headers_t *headers)
{
    rd_kafka_resp_err_t code;

    if (producer == NULL) {
        producer = client(RD_KAFKA_PRODUCER, false);
    }
    do {
        code = rd_kafka_producev(
            producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(record->partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(record->key, record->key_len),
            RD_KAFKA_V_VALUE(record->value, record->value_len), RD_KAFKA_V_HEADERS(headers),
            RD_KAFKA_V_END);
        rd_kafka_poll(producer, code == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 100 : 0);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    assert(code == RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* 'source' is a header vd-src; of no bytes: none. */
static void produce(const char *topic, const struct peer_record *record)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);

    if (record->source_len > 0) {
        rd_kafka_header_add(headers, "vd-src", -1, record->source, (ssize_t)record->source_len);
    }
    produce_with(topic, record, headers);
}

static struct peer_record record_of(int32_t partition, const char *key, const char *value)
{
    return (struct peer_record){.key = (char *)(uintptr_t)key,
                                .key_len = key != NULL ? strlen(key) : 0,
                                .value = (char *)(uintptr_t)value,
                                .value_len = value != NULL ? strlen(value) : 0,
                                .partition = partition};
}

void peer_send(const char *topic, int32_t partition, const char *key, const char *value)
{
    const struct peer_record record = record_of(partition, key, value);

    produce(topic, &record);
}

void peer_send_source(const char *topic, int32_t partition, const char *value, const void *source,
                      size_t len)
{
    struct peer_record record = record_of(partition, NULL, value);

    assert(len <= sizeof(record.source));
    memcpy(record.source, source, len);
    record.source_len = len;
    produce(topic, &record);
}

void peer_send_headers(const char *topic, int32_t partition, const char *key, const char *value,
                       const struct peer_header *list)
{
    const struct peer_record record = record_of(partition, key, value);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);

    for (; list->name != NULL; list++) {
        rd_kafka_header_add(headers, list->name, -1, list->bytes, (ssize_t)list->len);
    }
    produce_with(topic, &record, headers);
}

void peer_send_record(const char *topic, const struct peer_record *record)
{
    produce(topic, record);
}

void peer_delete_before(const char *topic, int32_t partition, int64_t offset)
{
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, false);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_DeleteRecords_t *order;
    rd_kafka_event_t *event;

    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    order = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(rk, &order, 1, NULL, queue);
    event = rd_kafka_queue_poll(queue, WAIT_MS);
    assert(event != NULL && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteRecords_destroy(order);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

static rd_kafka_t *open_transactional(const char *transactional_id)
{
    rd_kafka_t *rk = open_client(RD_KAFKA_PRODUCER, false, transactional_id);
    rd_kafka_error_t *error = rd_kafka_init_transactions(rk, WAIT_MS);

    assert(error == NULL);
    (void)error; /* only asserted */
    return rk;
}

void peer_fence(const char *transactional_id)
{
    rd_kafka_destroy(open_transactional(transactional_id));
}

struct peer_transaction {
    rd_kafka_t *rk;
};

struct peer_transaction *peer_transaction_open(const char *topic, int32_t partition, int count)
{
    struct peer_transaction *transaction = malloc(sizeof(*transaction));
    char *name = peer_name("aborts");
    rd_kafka_t *rk = open_transactional(name);
    rd_kafka_error_t *error = rd_kafka_begin_transaction(rk);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;

    for (int i = 0; i < count; i++) {
        code |= rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                                  RD_KAFKA_V_VALUE((void *)(uintptr_t) "x", 1), RD_KAFKA_V_END);
    }
    code |= rd_kafka_flush(rk, WAIT_MS); /* they must be there, to be aborted */
    assert(error == NULL && code == RD_KAFKA_RESP_ERR_NO_ERROR);
    (void)error; /* only asserted */
    free(name);
    transaction->rk = rk;
    return transaction;
}

void peer_transaction_abort(struct peer_transaction *transaction)
{
    rd_kafka_error_t *error = rd_kafka_abort_transaction(transaction->rk, WAIT_MS);

    assert(error == NULL);
    (void)error; /* only asserted */
    rd_kafka_destroy(transaction->rk);
    free(transaction);
}

void peer_abort(const char *topic, int32_t partition, int count)
{
    peer_transaction_abort(peer_transaction_open(topic, partition, count));
}

static rd_kafka_topic_partition_list_t *list_of(const char *topic, int32_t partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, topic, partition);
    return list;
}

int64_t peer_committed(const char *group, const char *topic, int32_t partition,
                       char note[PEER_NOTE_BYTES])
{
    rd_kafka_t *rk = open_client(RD_KAFKA_CONSUMER, true, group);
    rd_kafka_topic_partition_list_t *list = list_of(topic, partition);
    const rd_kafka_topic_partition_t *at = &list->elems[0];
    rd_kafka_resp_err_t code = rd_kafka_committed(rk, list, WAIT_MS);
    int64_t offset = at->offset < 0 ? -1 : at->offset;

    assert(code == RD_KAFKA_RESP_ERR_NO_ERROR && at->err == RD_KAFKA_RESP_ERR_NO_ERROR);
    (void)code; /* only asserted */
    if (note != NULL) {
        (void)snprintf(note, PEER_NOTE_BYTES, "%.*s", (int)at->metadata_size,
                       at->metadata != NULL ? (const char *)at->metadata : "");
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
    return offset;
}

void peer_commit(const char *group, const char *topic, int32_t partition, int64_t offset,
                 const char *note)
{
    char *name = peer_name("commit");
    rd_kafka_t *rk = open_transactional(name);
    rd_kafka_topic_partition_list_t *list = list_of(topic, partition);
    rd_kafka_consumer_group_metadata_t *nobody = rd_kafka_consumer_group_metadata_new(group);
    rd_kafka_error_t *error = rd_kafka_begin_transaction(rk);

    list->elems[0].offset = offset;
    if (note != NULL) {
        list->elems[0].metadata = strdup(note); /* freed with the list */
        list->elems[0].metadata_size = strlen(note);
    }
    assert(error == NULL);
    error = rd_kafka_send_offsets_to_transaction(rk, list, nobody, WAIT_MS);
    assert(error == NULL);
    error = rd_kafka_commit_transaction(rk, WAIT_MS);
    assert(error == NULL);
    (void)error; /* only asserted */
    rd_kafka_consumer_group_metadata_destroy(nobody);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
    free(name);
}

/* One attempt: the broker refuses while the group has members, and a static one that was stopped
 * counts until its session is over. */
static bool uncommit(rd_kafka_t *rk, const char *group, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DeleteConsumerGroupOffsets_t *gone =
        rd_kafka_DeleteConsumerGroupOffsets_new(group, list);
    const rd_kafka_group_result_t **results;
    rd_kafka_event_t *event;
    size_t count = 0;
    bool is_gone;

    rd_kafka_DeleteConsumerGroupOffsets(rk, &gone, 1, NULL, queue);
    event = rd_kafka_queue_poll(queue, WAIT_MS);
    assert(event != NULL && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR);
    results = rd_kafka_DeleteConsumerGroupOffsets_result_groups(
        rd_kafka_event_DeleteConsumerGroupOffsets_result(event), &count);
    is_gone =
        count == 1 && rd_kafka_group_result_error(results[0]) == NULL &&
        rd_kafka_group_result_partitions(results[0])->elems[0].err == RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteConsumerGroupOffsets_destroy(gone);
    rd_kafka_queue_destroy(queue);
    return is_gone;
}

void peer_uncommit(const char *group, const char *topic, int32_t partition)
{
    rd_kafka_t *rk = open_client(RD_KAFKA_CONSUMER, true, group);
    rd_kafka_topic_partition_list_t *list = list_of(topic, partition);
    time_t deadline = time(NULL) + 120;

    while (!uncommit(rk, group, list)) {
        assert(time(NULL) < deadline);
        pause_ms(200);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
}

/* Wait for the answer to an admin request about one topic. */
static rd_kafka_resp_err_t wait_admin(rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    const rd_kafka_topic_result_t **results = NULL;
    rd_kafka_resp_err_t code;
    size_t count = 0;

    assert(event != NULL);
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT) {
        results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    } else {
        results =
            rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    }
    assert(count == 1);
    code = rd_kafka_topic_result_error(results[0]);
    rd_kafka_event_destroy(event);
    return code;
}

void peer_recreate(const char *topic, int partitions)
{
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, false);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DeleteTopic_t *old = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_NewTopic_t *new = rd_kafka_NewTopic_new(topic, partitions, 1, NULL, 0);
    rd_kafka_resp_err_t code;

    rd_kafka_DeleteTopics(rk, &old, 1, NULL, queue);
    code = wait_admin(queue);
    assert(code == RD_KAFKA_RESP_ERR_NO_ERROR);
    do { /* its deletion takes a moment */
        pause_ms(100);
        rd_kafka_CreateTopics(rk, &new, 1, NULL, queue);
        code = wait_admin(queue);
    } while (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS);
    assert(code == RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_DeleteTopic_destroy(old);
    rd_kafka_NewTopic_destroy(new);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

void peer_delete_topics(char *const *topics, size_t count)
{
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, false);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DeleteTopic_t **list = calloc(count, sizeof(rd_kafka_DeleteTopic_t *));
    rd_kafka_event_t *event;

    assert(list != NULL);
    for (size_t i = 0; i < count; i++) {
        list[i] = rd_kafka_DeleteTopic_new(topics[i]);
    }
    rd_kafka_DeleteTopics(rk, list, count, NULL, queue);
    event = rd_kafka_queue_poll(queue, DELETE_MS);
    if (event != NULL) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_DeleteTopic_destroy_array(list, count);
    free(list);
    rd_kafka_queue_destroy(queue);
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
    record->key_len = message->key_len;
    record->value_len = message->len;
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

/* How far a partition is to be read: up to what was written when its end was met first. */
struct goal {
    int64_t written;
    bool is_met, is_done;
};

/* The coordinator writes a transaction's markers after it has answered: until they are there, the
 * end of what is committed lies before records that are committed, too. */
static void note_end(rd_kafka_t *rk, const rd_kafka_message_t *end, bool committed_only,
                     struct goal *goal)
{
    int64_t low;

    if (!goal->is_met) {
        (void)rd_kafka_get_watermark_offsets(rk, rd_kafka_topic_name(end->rkt), end->partition,
                                             &low, &goal->written); /* known once it was read */
        goal->is_met = true;
    }
    goal->is_done = goal->is_done || !committed_only || end->offset >= goal->written;
}

static bool are_done(const struct goal *goals, int partitions, bool is_settling)
{
    for (int p = 0; p < partitions; p++) {
        if (is_settling ? !goals[p].is_done : !goals[p].is_met) {
            return false;
        }
    }
    return true;
}

/* Read until every partition has said that it is at its end. What is still open then is waited for,
 * but not for ever: it may be so on purpose. */
static void read_all(rd_kafka_t *rk, const char *topic, int partitions, bool committed_only,
                     struct peer_log *log)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    struct goal *goals = calloc((size_t)partitions + 1, sizeof(*goals));
    const int64_t began_ms = now_ms();
    int64_t heard_ms = began_ms;

    for (int p = 0; p < partitions; p++) {
        rd_kafka_topic_partition_list_add(list, topic, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    rd_kafka_assign(rk, list);
    while (!are_done(goals, partitions, now_ms() - began_ms < SETTLE_MS)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, LOOK_MS);

        assert(now_ms() - heard_ms < WAIT_MS);
        if (message == NULL) {
            continue;
        }
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            note_end(rk, message, committed_only, &goals[message->partition]);
            heard_ms = now_ms();
        } else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            add(log, message);
            heard_ms = now_ms();
        } /* else: the library tries again */
        rd_kafka_message_destroy(message);
    }
    free(goals);
    rd_kafka_topic_partition_list_destroy(list);
    if (log->count > 0) {
        qsort(log->records, log->count, sizeof(*log->records), compare);
    }
}

static int count_partitions(rd_kafka_t *rk, const char *topic)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    const rd_kafka_metadata_t *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, handle, &metadata, WAIT_MS);
    int count;

    assert(code == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt == 1);
    (void)code; /* only asserted */
    count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return count;
}

struct peer_log peer_read(const char *topic, bool committed_only)
{
    struct peer_log log = {0};
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, committed_only);
    int partitions = count_partitions(rk, topic);

    rd_kafka_poll_set_consumer(rk);
    read_all(rk, topic, partitions, committed_only, &log);
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

struct peer_watch {
    rd_kafka_t *rk;
    char *topic;
    int partitions;
};

struct peer_watch *peer_watch_new(const char *topic)
{
    struct peer_watch *watch = calloc(1, sizeof(*watch));

    watch->rk = client(RD_KAFKA_CONSUMER, false);
    watch->topic = strdup(topic);
    watch->partitions = count_partitions(watch->rk, topic);
    return watch;
}

int64_t peer_watch_written(struct peer_watch *watch)
{
    int64_t written = 0;

    for (int p = 0; p < watch->partitions; p++) {
        int64_t low = 0;
        int64_t high = 0;
        rd_kafka_resp_err_t code =
            rd_kafka_query_watermark_offsets(watch->rk, watch->topic, p, &low, &high, WAIT_MS);

        assert(code == RD_KAFKA_RESP_ERR_NO_ERROR);
        (void)code; /* only asserted */
        written += high;
    }
    return written;
}

void peer_watch_free(struct peer_watch *watch)
{
    rd_kafka_destroy(watch->rk);
    free(watch->topic);
    free(watch);
}
