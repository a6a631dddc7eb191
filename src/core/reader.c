/* librdkafka's simple consumer, a window at a time: it knows no group, and each window has a queue
 * of its own, so that nothing of one is left for the next. */
#include "reader.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "loop.h"

#define SLICE_MS 100      /* how often a wait looks whether it shall end */
#define SILENCE_MS 2000   /* then the broker is away */
#define METADATA_MS 2000  /* likewise */
#define WINDOW_FIRST 64   /* offsets; four times as many with each step ... */
#define WINDOW_MAX 262144 /* ... up to a second's worth */
#define WINDOW_GROWTH 4

struct vd_reader {
    struct vd_kafka *kafka;
    rd_kafka_t *rk;
    bool (*is_leaving)(void *arg);
    void *arg;
};

/* One window under way. */
struct window {
    struct vd_reader *reader;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    int64_t heard_ns;
};

enum vd_status vd_reader_new(struct vd_kafka *kafka, bool (*is_leaving)(void *arg), void *arg,
                             struct vd_reader **out, struct vd_err *err)
{
    char text[512];
    struct vd_reader *reader;
    rd_kafka_t *rk;
    rd_kafka_conf_t *conf = vd_kafka_client_conf(
        kafka, "isolation.level", "read_committed", "enable.auto.commit", "false",
        "enable.partition.eof", "true", "auto.offset.reset", "error", "check.crcs", "true",
        "fetch.wait.max.ms", "10", "queued.min.messages", "1000", NULL);

    rd_kafka_conf_set_error_cb(conf, NULL); /* nobody polls it: errors would pile up */
    rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return vd_fail(err, VD_INVALID, "could not create a Kafka consumer: %s", text);
    }
    reader = vd_alloc(sizeof(*reader));
    reader->kafka = kafka;
    reader->rk = rk;
    reader->is_leaving = is_leaving;
    reader->arg = arg;
    *out = reader;
    return VD_OK;
}

void vd_reader_free(struct vd_reader *reader)
{
    if (reader != NULL) {
        rd_kafka_destroy_flags(reader->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        free(reader);
    }
}

/* ---- windows --------------------------------------------------------------------------------- */

static enum vd_status open_window(struct window *window, struct vd_reader *reader,
                                  const char *topic, struct vd_err *err)
{
    const rd_kafka_metadata_t *metadata;
    rd_kafka_resp_err_t code;

    *window = (struct window){.reader = reader, .heard_ns = vd_mono_ns()};
    window->topic = rd_kafka_topic_new(reader->rk, topic, NULL);
    assert(window->topic != NULL);
    /* Or the first fetch waits for the library's next look around, up to a second. */
    code = rd_kafka_metadata(reader->rk, 0, window->topic, &metadata, METADATA_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_topic_destroy(window->topic);
        return vd_fail(err, VD_AGAIN, "could not look at \"%s\": %s", topic,
                       rd_kafka_err2str(code));
    }
    rd_kafka_metadata_destroy(metadata);
    window->queue = rd_kafka_queue_new(reader->rk);
    return VD_OK;
}

static void close_window(struct window *window)
{
    rd_kafka_queue_destroy(window->queue);
    rd_kafka_topic_destroy(window->topic);
}

static enum vd_status begin_partition(const struct window *window, int32_t partition, int64_t from,
                                      struct vd_err *err)
{
    if (rd_kafka_consume_start_queue(window->topic, partition, from, window->queue) != 0) {
        return vd_fail(err, VD_AGAIN, "could not read \"%s\" partition %" PRId32 ": %s",
                       rd_kafka_topic_name(window->topic), partition,
                       rd_kafka_err2str(rd_kafka_last_error()));
    }
    return VD_OK;
}

static void end_partition(const struct window *window, int32_t partition)
{
    (void)rd_kafka_consume_stop(window->topic, partition); /* fails only if it is not read */
}

/* The next record or end of a partition; the caller destroys it. NULL with 'err' set if there is
 * none. */
static rd_kafka_message_t *next_message(struct window *window, struct vd_err *err)
{
    for (;;) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(window->queue, SLICE_MS);

        if (window->reader->is_leaving(window->reader->arg)) {
            (void)vd_fail(err, VD_AGAIN, "stopping");
        } else if (message == NULL && vd_mono_ns() - window->heard_ns > SILENCE_MS * 1000000L) {
            (void)vd_fail(err, VD_AGAIN, "could not read \"%s\": no answer for %d ms",
                          rd_kafka_topic_name(window->topic), SILENCE_MS);
        } else if (message != NULL && message->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
                   message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            (void)vd_fail(err, VD_AGAIN, "could not read \"%s\" partition %" PRId32 ": %s",
                          rd_kafka_topic_name(window->topic), message->partition,
                          rd_kafka_message_errstr(message));
        } else if (message != NULL) {
            window->heard_ns = vd_mono_ns();
            return message;
        } else {
            continue;
        }
        if (message != NULL) {
            rd_kafka_message_destroy(message);
        }
        return NULL;
    }
}

/* What a message is to a reader of this generation. */
enum kind { KIND_OURS, KIND_FOREIGN, KIND_FORBIDDEN };

static enum kind kind_of(const rd_kafka_message_t *message, int16_t generation,
                         struct vd_record *record, struct vd_err *err)
{
    const char *topic = rd_kafka_topic_name(message->rkt);
    struct vd_err unread = {0};
    enum vd_status status = vd_record_from_message(message, record, &unread);
    const struct vd_position *position = &record->position;

    if (status == VD_FAILED) {
        (void)vd_fail(err, VD_INVALID,
                      "%s[%" PRId32 "] offset %" PRId64 ": %s: run the same version on all nodes",
                      topic, message->partition, message->offset, unread.msg);
        return KIND_FORBIDDEN;
    }
    if (!record->has_position || position->generation < generation) {
        return KIND_FOREIGN;
    }
    if (position->generation > generation) {
        (void)vd_fail(err, VD_INVALID,
                      "%s[%" PRId32 "] offset %" PRId64 " was written under generation %d of its "
                      "input, and this node has generation %d: run the same topology on all nodes",
                      topic, message->partition, message->offset, position->generation, generation);
        return KIND_FORBIDDEN;
    }
    if (position->partition != message->partition) {
        (void)vd_fail(err, VD_INVALID,
                      "%s[%" PRId32 "] offset %" PRId64 " comes from partition %" PRId32
                      " of its input: the topics were repartitioned; begin anew with new topics "
                      "and a higher generation",
                      topic, message->partition, message->offset, position->partition);
        return KIND_FORBIDDEN;
    }
    return KIND_OURS;
}

/* ---- backwards ------------------------------------------------------------------------------- */

/* Ask for what exists of each partition; nothing of it was looked at yet. */
static enum vd_status find_ends(struct vd_reader *reader, const struct vd_search *search,
                                struct vd_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)search->count);
    enum vd_status status;

    for (size_t i = 0; i < search->count; i++) {
        rd_kafka_topic_partition_list_add(list, search->topic, search->spots[i].partition);
    }
    status = vd_kafka_end_offsets(reader->kafka, list, true, SILENCE_MS, err);
    for (size_t i = 0; i < search->count && status == VD_OK; i++) {
        struct vd_spot *spot = &search->spots[i];

        spot->from = list->elems[i].offset;
        spot->source = VD_NO_OFFSET;
        spot->offset = VD_NO_OFFSET;
        spot->err = (struct vd_err){0};
    }
    if (status == VD_OK) {
        status = vd_kafka_begin_offsets(reader->kafka, list, SILENCE_MS, err);
    }
    for (size_t i = 0; i < search->count && status == VD_OK; i++) {
        search->spots[i].begin = list->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return status == VD_OK ? VD_OK : VD_AGAIN;
}

static bool is_found(const struct vd_spot *spot)
{
    return spot->source != VD_NO_OFFSET || spot->err.status != VD_OK || spot->from <= spot->begin;
}

static bool are_found(const struct vd_search *search)
{
    for (size_t i = 0; i < search->count; i++) {
        if (!is_found(&search->spots[i])) {
            return false;
        }
    }
    return true;
}

/* Markers and aborted records are not shown, so a window has ended when something behind it comes,
 * or the end of the partition. */
static void look_at(struct vd_spot *spot, const rd_kafka_message_t *message, int16_t generation)
{
    struct vd_record record;

    spot->is_open = message->err == RD_KAFKA_RESP_ERR_NO_ERROR && message->offset < spot->to;
    if (!spot->is_open) {
        return;
    }
    switch (kind_of(message, generation, &record, &spot->err)) {
    case KIND_OURS:
        if (record.position.offset < spot->below) {
            spot->source = record.position.offset;
            spot->offset = record.offset;
        }
        break;
    case KIND_FORBIDDEN:
        spot->is_open = false;
        break;
    case KIND_FOREIGN:
        break;
    }
}

static bool is_any_open(const struct vd_search *search)
{
    for (size_t i = 0; i < search->count; i++) {
        if (search->spots[i].is_open) {
            return true;
        }
    }
    return false;
}

static enum vd_status read_window(struct window *window, const struct vd_search *search,
                                  struct vd_err *err)
{
    while (is_any_open(search)) {
        rd_kafka_message_t *message = next_message(window, err);

        if (message == NULL) {
            return VD_AGAIN;
        }
        for (size_t i = 0; i < search->count; i++) {
            struct vd_spot *spot = &search->spots[i];

            if (spot->is_open && spot->partition == message->partition) {
                look_at(spot, message, search->generation);
            }
        }
        rd_kafka_message_destroy(message);
    }
    return VD_OK;
}

/* One step back in every partition where nothing was found yet. */
static enum vd_status step_back(struct vd_reader *reader, const struct vd_search *search,
                                int64_t offsets, struct vd_err *err)
{
    struct window window;
    enum vd_status status = open_window(&window, reader, search->topic, err);

    if (status != VD_OK) {
        return status;
    }
    for (size_t i = 0; i < search->count; i++) {
        struct vd_spot *spot = &search->spots[i];

        spot->is_open = false;
        if (!is_found(spot) && status == VD_OK) {
            spot->to = spot->from;
            spot->from = spot->to - spot->begin > offsets ? spot->to - offsets : spot->begin;
            status = begin_partition(&window, spot->partition, spot->from, err);
            spot->is_open = status == VD_OK;
        }
    }
    if (status == VD_OK) {
        status = read_window(&window, search, err);
    }
    for (size_t i = 0; i < search->count; i++) {
        end_partition(&window, search->spots[i].partition);
    }
    close_window(&window);
    return status;
}

enum vd_status vd_reader_find(struct vd_reader *reader, const struct vd_search *search,
                              struct vd_err *err)
{
    enum vd_status status = find_ends(reader, search, err);

    for (int64_t offsets = WINDOW_FIRST; status == VD_OK && !are_found(search);
         offsets = offsets < WINDOW_MAX ? offsets * WINDOW_GROWTH : WINDOW_MAX) {
        status = step_back(reader, search, offsets, err);
    }
    return status;
}

/* ---- forwards -------------------------------------------------------------------------------- */

void vd_range_clear(struct vd_range *range)
{
    for (size_t i = 0; i < range->count; i++) {
        rd_kafka_message_destroy(range->messages[i]);
    }
    range->count = 0;
}

/* Where the records of the range begin: behind the last one from before it. */
static enum vd_status find_begin(struct vd_range *range, struct vd_reader *reader,
                                 struct vd_err *err)
{
    struct vd_spot spot = {.partition = range->partition, .below = range->from};
    struct vd_search search = {
        .topic = range->topic, .generation = range->generation, .spots = &spot, .count = 1};

    if (vd_reader_find(reader, &search, err) != VD_OK) {
        return VD_AGAIN;
    }
    if (spot.err.status != VD_OK) {
        *err = spot.err;
        return VD_INVALID;
    }
    range->at = spot.source == VD_NO_OFFSET ? spot.begin : spot.offset + 1;
    return VD_OK;
}

/* Take messages until the range is full or the partition is at its end. */
static enum vd_status fill(struct vd_range *range, struct window *window, struct vd_err *err)
{
    size_t bytes = 0;

    while (range->count < VD_RANGE_RECORDS_MAX && bytes < VD_RANGE_BYTES_MAX) {
        struct vd_record *record = &range->records[range->count];
        rd_kafka_message_t *message = next_message(window, err);
        enum kind kind;

        if (message == NULL) {
            return VD_AGAIN;
        }
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            rd_kafka_message_destroy(message);
            return VD_OK;
        }
        kind = kind_of(message, range->generation, record, err);
        range->at = message->offset + 1;
        if (kind == KIND_OURS && record->position.offset >= range->from) {
            bytes += record->key_len + record->value_len;
            range->messages[range->count++] = message;
            continue;
        }
        rd_kafka_message_destroy(message);
        if (kind == KIND_FORBIDDEN) {
            return VD_INVALID;
        }
    }
    return VD_OK;
}

enum vd_status vd_range_read(struct vd_range *range, struct vd_reader *reader, struct vd_err *err)
{
    struct window window;
    enum vd_status status = VD_OK;

    vd_range_clear(range);
    if (range->at == VD_NO_OFFSET) {
        status = find_begin(range, reader, err);
    }
    if (status == VD_OK) {
        status = open_window(&window, reader, range->topic, err);
    }
    if (status != VD_OK) {
        return status;
    }
    status = begin_partition(&window, range->partition, range->at, err);
    if (status == VD_OK) {
        status = fill(range, &window, err);
    }
    end_partition(&window, range->partition);
    close_window(&window);
    return status;
}
