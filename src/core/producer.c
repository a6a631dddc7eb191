/* The transactional calls of librdkafka, in the order and with the answers to errors that the
 * exactly-once protocol (1.1 to 1.3) lays down. */
#include "producer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "failpoint.h"
#include "loop_uv.h"
#include "txn_watch.h"

#define INIT_TIMEOUT_MS 2000
#define INIT_SLICE_MS 50 /* of it, for a first look; doubles */
#define RETRY_PAUSE_MS 50
#define FENCED_TWICE_MS 60000
#define METADATA_TIMEOUT_MS 2000
#define POLL_EVERY_RECORDS 1000
/* The coordinator writes the markers after it has answered EndTxn; a transaction that begins before
 * they are there is told to come back, and librdkafka waits 20 ms for that. Measured on a local
 * broker: back to back 27 ms a transaction, with this pause 6 ms. */
#define MARKERS_MS 3
#define QUEUE_FULL_POLL_MS 100

struct vd_producer {
    struct vd_kafka *kafka;
    struct vd_log *log;
    char *transactional_id;
    const char *const *topic_names;
    size_t topic_count;
    rd_kafka_t *rk;            /* NULL: to be created */
    rd_kafka_topic_t **topics; /* of this instance */
    bool is_ready;             /* init_transactions succeeded */
    bool is_doubted;           /* recycle before the next begin */
    struct vd_txn_watch watch;
    atomic_int_fast64_t recycled;
    atomic_uint_fast64_t number; /* of this instance, once it is ready */
    int64_t begun_ms;            /* when the transaction began that has not been answered; else 0 */
    bool is_alone;               /* it is a source's: no group knows who owns what */
    int64_t ended_ns;            /* when the last transaction was answered; 0: none yet */
    int64_t fenced_ms;           /* when it was last fenced by what was no time-out; 0: never */
    bool was_fenced, is_fenced_off;
};

/* Runs inside flush or poll, on our own thread. There must be one, since it is what wakes the flush
 * inside commit; a failed record makes commit return an abortable error by itself. */
static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
}

struct vd_producer *vd_producer_new(struct vd_kafka *kafka, const char *transactional_id,
                                    const char *const *topics, size_t topic_count,
                                    struct vd_log *log)
{
    struct vd_producer *producer = vd_alloc(sizeof(*producer));

    producer->kafka = kafka;
    producer->log = log;
    producer->transactional_id = vd_strdup(transactional_id);
    producer->topic_names = topics;
    producer->watch.log = log;
    producer->topic_count = topic_count;
    producer->topics = vd_alloc_array(topic_count + 1, sizeof(*producer->topics));
    return producer;
}

static void destroy_instance(struct vd_producer *producer)
{
    for (size_t i = 0; i < producer->topic_count; i++) {
        if (producer->topics[i] != NULL) {
            rd_kafka_topic_destroy(producer->topics[i]);
            producer->topics[i] = NULL;
        }
    }
    if (producer->rk != NULL) {
        rd_kafka_destroy(producer->rk);
        producer->rk = NULL;
    }
    producer->is_ready = false;
    producer->is_doubted = false;
}

void vd_producer_free(struct vd_producer *producer)
{
    if (producer == NULL) {
        return;
    }
    destroy_instance(producer);
    free(producer->topics);
    free(producer->transactional_id);
    free(producer);
}

void vd_producer_recycle(struct vd_producer *producer)
{
    if (producer->rk != NULL) {
        atomic_fetch_add(&producer->recycled, 1);
    }
    destroy_instance(producer);
}

bool vd_producer_is_fenced(const struct vd_producer *producer)
{
    return producer->was_fenced;
}

uint64_t vd_producer_number(const struct vd_producer *producer)
{
    return atomic_load(&producer->number);
}

int64_t vd_producer_recycled(const struct vd_producer *producer)
{
    return atomic_load(&producer->recycled);
}

static enum vd_status create_instance(struct vd_producer *producer, struct vd_err *err)
{
    char text[512];
    rd_kafka_conf_t *conf = vd_kafka_client_conf(
        producer->kafka, "transactional.id", producer->transactional_id, "transaction.timeout.ms",
        "10000", "message.timeout.ms", "10000", "queue.buffering.max.kbytes", "65536", "linger.ms",
        "5", "retry.backoff.ms", "5", NULL);

    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    vd_txn_watch_attach(&producer->watch, conf);
    producer->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (producer->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return vd_fail(err, VD_AGAIN, "could not create a producer: %s", text);
    }
    for (size_t i = 0; i < producer->topic_count; i++) {
        producer->topics[i] = rd_kafka_topic_new(producer->rk, producer->topic_names[i], NULL);
        assert(producer->topics[i] != NULL);
    }
    return VD_OK;
}

/* Ask for the topics' leaders now: a record for a topic that the library does not know yet waits
 * for its next look around, up to a second. A miss is harmless, and then the others miss too. */
static void fetch_metadata(struct vd_producer *producer)
{
    for (size_t i = 0; i < producer->topic_count; i++) {
        const rd_kafka_metadata_t *metadata;

        if (rd_kafka_metadata(producer->rk, 0, producer->topics[i], &metadata,
                              METADATA_TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return;
        }
        rd_kafka_metadata_destroy(metadata);
    }
}

/* By transactional or by instance id. Both count, or the older of two processes would go on to
 * replace its producer for the second one, each time fencing the newer process, which then ends in
 * its place. */
static bool is_fencing(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
           code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH ||
           code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
}

/* A fence may be our own return to the group, but two in a minute are another process; and of a
 * source whose transaction was too young to time out, one is proof enough; and it must not fence
 * the other in turn. A transaction that was so old that the broker had to end it proves nothing: a
 * machine that stalls, or a broker that is away, may bring about two of them in a minute, or one
 * and the return. */
static void note_fencing(struct vd_producer *producer, rd_kafka_resp_err_t code)
{
    char text[256];
    rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(producer->rk, text, sizeof(text));
    int64_t now_ms = vd_mono_ms();
    bool is_old = now_ms - producer->begun_ms >= VD_TXN_TIMEOUT_MS;

    if (!is_fencing(code) && !is_fencing(fatal)) {
        return;
    }
    producer->was_fenced = true;
    if (producer->is_ready && producer->begun_ms != 0 && is_old) {
        return;
    }
    if ((producer->fenced_ms != 0 && now_ms - producer->fenced_ms < FENCED_TWICE_MS) ||
        (producer->is_alone && producer->begun_ms != 0 && !is_old)) {
        producer->is_fenced_off = true;
    }
    producer->fenced_ms = now_ms;
}

/* Take the error's words and end it. */
static enum vd_status take_error(struct vd_producer *producer, rd_kafka_error_t *error,
                                 enum vd_status status, const char *goal, struct vd_err *err)
{
    note_fencing(producer, rd_kafka_error_code(error));
    (void)vd_fail(err, status, "could not %s: %s (%s)", goal, rd_kafka_error_string(error),
                  rd_kafka_error_name(error));
    rd_kafka_error_destroy(error);
    return status;
}

/* While the coordinator ends a killed predecessor's transaction, for some 20 ms, it answers "come
 * back", and then librdkafka waits for half a second (2.0.2). A new instance asks at once. */
static enum vd_status init_transactions(struct vd_producer *producer, struct vd_err *err)
{
    const int64_t end_ms = vd_mono_ms() + INIT_TIMEOUT_MS;

    for (int slice_ms = INIT_SLICE_MS;; slice_ms *= 2) {
        rd_kafka_error_t *error;
        rd_kafka_resp_err_t code;
        bool is_last = vd_mono_ms() + slice_ms >= end_ms;

        if (producer->rk == NULL && create_instance(producer, err) != VD_OK) {
            return err->status;
        }
        error = rd_kafka_init_transactions(producer->rk, slice_ms);
        if (error == NULL) {
            return VD_OK;
        }
        code = rd_kafka_error_code(error);
        if (is_last || !rd_kafka_error_is_retriable(error)) {
            bool is_over = !rd_kafka_error_is_retriable(error);

            (void)take_error(producer, error, VD_AGAIN, "settle the last transaction", err);
            if (is_over) {
                vd_producer_recycle(producer);
            }
            return VD_AGAIN;
        }
        rd_kafka_error_destroy(error);
        if (code == RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS) {
            destroy_instance(producer);
        }
    }
}

enum vd_status vd_producer_ready(struct vd_producer *producer, struct vd_err *err)
{
    if (producer->is_doubted) {
        vd_producer_recycle(producer);
    }
    if (producer->is_ready) {
        return VD_OK;
    }
    if (producer->is_fenced_off) {
        return vd_fail(
            err, VD_INVALID,
            "another process uses transactional.id \"%s\": give each node its own --node",
            producer->transactional_id);
    }
    if (init_transactions(producer, err) != VD_OK) {
        return err->status;
    }
    producer->is_ready = true;
    atomic_fetch_add(&producer->number, 1);
    fetch_metadata(producer);
    return VD_OK;
}

static rd_kafka_headers_t *headers_of(const struct vd_txn_job *job,
                                      const struct vd_txn_record *record)
{
    rd_kafka_headers_t *headers;

    if (!record->has_position && record->header_count == 0) {
        return NULL;
    }
    headers = rd_kafka_headers_new(record->header_count + 1);
    if (record->has_position) {
        uint8_t bytes[VD_POSITION_BYTES];

        vd_position_format(&record->position, bytes);
        rd_kafka_header_add(headers, VD_POSITION_HEADER, sizeof(VD_POSITION_HEADER) - 1, bytes,
                            sizeof(bytes));
    }
    for (size_t i = 0; i < record->header_count; i++) {
        const struct vd_txn_header *header = &job->headers[record->header_first + i];

        rd_kafka_header_add(headers, job->arena.data + header->name_at, (ssize_t)header->name_len,
                            header->has_value ? job->arena.data + header->at : NULL,
                            (ssize_t)header->len);
    }
    return headers;
}

/* Present but empty differs from absent, also in an arena that was never needed. */
static void *bytes_at(const struct vd_txn_job *job, bool is_there, size_t at)
{
    static char nothing;
    void *bytes = job->arena.data != NULL ? job->arena.data + at : &nothing;

    return is_there ? bytes : NULL;
}

/* The bytes stay in the job's arena until the transaction has ended,
 * so the library copies nothing. */
static enum vd_status produce_one(struct vd_producer *producer, const struct vd_txn_job *job,
                                  const struct vd_txn_record *record, int64_t deadline_ms,
                                  struct vd_err *err)
{
    void *value = bytes_at(job, record->has_value, record->value_at);
    void *key = bytes_at(job, record->has_key, record->key_at);
    rd_kafka_headers_t *headers = headers_of(job, record);

    for (;;) {
        rd_kafka_resp_err_t code = rd_kafka_producev(
            producer->rk, RD_KAFKA_V_RKT(producer->topics[record->topic]),
            RD_KAFKA_V_PARTITION(record->partition), RD_KAFKA_V_MSGFLAGS(0),
            RD_KAFKA_V_KEY(key, record->key_len), RD_KAFKA_V_VALUE(value, record->value_len),
            RD_KAFKA_V_TIMESTAMP(record->timestamp_ms), RD_KAFKA_V_HEADERS(headers),
            RD_KAFKA_V_END);

        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return VD_OK;
        }
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL || vd_mono_ms() > deadline_ms) {
            if (headers != NULL) {
                rd_kafka_headers_destroy(headers); /* the library did not take them */
            }
            note_fencing(producer, code);
            return vd_fail(err, VD_FAILED, "could not produce to %s: %s",
                           producer->topic_names[record->topic], rd_kafka_err2str(code));
        }
        rd_kafka_poll(producer->rk, QUEUE_FULL_POLL_MS);
    }
}

#ifdef VD_FAILPOINTS
static void flush_now(struct vd_producer *producer)
{
    (void)rd_kafka_flush(producer->rk, VD_TXN_TIMEOUT_MS); /* if not, less is there; that is all */
}
#endif

static enum vd_status produce_all(struct vd_producer *producer, const struct vd_txn_job *job,
                                  int64_t deadline_ms, struct vd_err *err)
{
    for (size_t i = 0; i < job->record_count; i++) {
        if (produce_one(producer, job, &job->records[i], deadline_ms, err) != VD_OK) {
            return err->status;
        }
        if (i == (job->record_count - 1) / 2) {
            (void)VD_FAILPOINT_AFTER(producer->log, txn_some, flush_now(producer));
        }
        if (i % POLL_EVERY_RECORDS == POLL_EVERY_RECORDS - 1) {
            rd_kafka_poll(producer->rk, 0);
        }
    }
    return VD_OK;
}

/* Offsets with the batch's own snapshot of the group: a generation that is over makes this fail,
 * which is what keeps an old owner from committing (H2). */
static enum vd_status send_offsets(struct vd_producer *producer, const struct vd_txn_job *job,
                                   int64_t deadline_ms, struct vd_err *err)
{
    if (VD_FAILPOINT_AFTER(producer->log, txn_offsets, flush_now(producer)) ||
        job->offsets == NULL) {
        return VD_OK;
    }
    assert(job->offsets->cnt > 0); /* an empty list is skipped, and the fence with it */
    for (;;) {
        rd_kafka_error_t *error =
            rd_kafka_send_offsets_to_transaction(producer->rk, job->offsets, job->group->md, -1);

        if (error == NULL) {
            return VD_OK;
        }
        if (!rd_kafka_error_is_retriable(error) || vd_mono_ms() > deadline_ms) {
            return take_error(producer, error, VD_FAILED, "send offsets", err);
        }
        rd_kafka_error_destroy(error);
        vd_pause_ms(RETRY_PAUSE_MS);
    }
}

static enum vd_status end_transaction(struct vd_producer *producer, int64_t deadline_ms,
                                      struct vd_err *err)
{
    if (VD_FAILPOINT_AFTER(producer->log, txn_end, flush_now(producer))) {
        return vd_fail(err, VD_FAILED, "EndTxn was left out");
    }
    for (;;) {
        rd_kafka_error_t *error = rd_kafka_commit_transaction(producer->rk, -1);

        if (error == NULL) {
            return VD_FAILPOINT(producer->log, txn_answered)
                       ? vd_fail(err, VD_FAILED, "the answer was left out")
                       : VD_OK;
        }
        if (!rd_kafka_error_is_retriable(error) || vd_mono_ms() > deadline_ms) {
            return take_error(producer, error, VD_FAILED, "commit", err);
        }
        rd_kafka_error_destroy(error);
        vd_pause_ms(RETRY_PAUSE_MS);
    }
}

enum vd_status vd_producer_commit(struct vd_producer *producer, struct vd_txn_job *job,
                                  struct vd_err *err)
{
    int64_t begin_ns = vd_mono_ns();
    int64_t deadline_ms = vd_mono_ms() + VD_TXN_TIMEOUT_MS;
    rd_kafka_error_t *error;

    assert(producer->is_ready);
    if (begin_ns - producer->ended_ns < MARKERS_MS * 1000000L) {
        vd_pause_ms(MARKERS_MS);
    }
    vd_txn_watch_reset(&producer->watch);
    producer->begun_ms = vd_mono_ms();
    producer->is_alone = job->offsets == NULL;
    error = rd_kafka_begin_transaction(producer->rk);
    if (error != NULL) {
        return take_error(producer, error, VD_FAILED, "begin a transaction", err);
    }
    (void)VD_FAILPOINT(producer->log, txn_begun);
    if (produce_all(producer, job, deadline_ms, err) != VD_OK ||
        send_offsets(producer, job, deadline_ms, err) != VD_OK ||
        end_transaction(producer, deadline_ms, err) != VD_OK) {
        return err->status;
    }
    producer->begun_ms = 0;
    producer->ended_ns = vd_mono_ns();
    job->seconds = (double)(producer->ended_ns - begin_ns) / 1e9;
    producer->is_doubted = vd_txn_watch_is_doubtful(&producer->watch);
    return VD_OK;
}
