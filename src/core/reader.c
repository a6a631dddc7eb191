/* Windows of a chained output: each is a scan of its own. */
#include "reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "loop.h"
#include "scan.h"

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

enum vd_status vd_reader_new(struct vd_kafka *kafka, bool (*is_leaving)(void *arg), void *arg,
                             struct vd_reader **out, struct vd_err *err)
{
    rd_kafka_t *rk = vd_scan_client(kafka, "error", err);
    struct vd_reader *reader;

    if (rk == NULL) {
        return err->status;
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
        vd_scan_client_free(reader->rk);
        free(reader);
    }
}

/* ---- windows --------------------------------------------------------------------------------- */

/* The next record or end of a partition; the caller destroys it. NULL with 'err' set if there is
 * none. */
static rd_kafka_message_t *next_message(const struct vd_reader *reader, struct vd_scan *scan,
                                        struct vd_err *err)
{
    const int64_t since_ns = vd_mono_ns();

    for (;;) {
        rd_kafka_message_t *message = vd_scan_next(scan, SLICE_MS);

        if (reader->is_leaving(reader->arg)) {
            (void)vd_fail(err, VD_AGAIN, "stopping");
        } else if (message == NULL && vd_mono_ns() - since_ns > SILENCE_MS * 1000000L) {
            (void)vd_fail(err, VD_AGAIN, "could not read \"%s\": no answer for %d ms",
                          rd_kafka_topic_name(scan->topic), SILENCE_MS);
        } else if (message != NULL && message->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
                   message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            (void)vd_scan_fail(scan, message->partition, rd_kafka_message_errstr(message), err);
        } else if (message != NULL) {
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

static enum vd_status read_window(const struct vd_reader *reader, struct vd_scan *scan,
                                  const struct vd_search *search, struct vd_err *err)
{
    while (is_any_open(search)) {
        rd_kafka_message_t *message = next_message(reader, scan, err);

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
    struct vd_scan scan;
    enum vd_status status = vd_scan_open(&scan, reader->rk, search->topic, METADATA_MS, err);

    if (status != VD_OK) {
        return status;
    }
    for (size_t i = 0; i < search->count; i++) {
        struct vd_spot *spot = &search->spots[i];

        spot->is_open = false;
        if (!is_found(spot) && status == VD_OK) {
            spot->to = spot->from;
            spot->from = spot->to - spot->begin > offsets ? spot->to - offsets : spot->begin;
            status = vd_scan_begin(&scan, spot->partition, spot->from, err);
            spot->is_open = status == VD_OK;
        }
    }
    if (status == VD_OK) {
        status = read_window(reader, &scan, search, err);
    }
    vd_scan_close(&scan);
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
static enum vd_status fill(struct vd_range *range, const struct vd_reader *reader,
                           struct vd_scan *scan, struct vd_err *err)
{
    size_t bytes = 0;

    while (range->count < VD_RANGE_RECORDS_MAX && bytes < VD_RANGE_BYTES_MAX) {
        struct vd_record *record = &range->records[range->count];
        rd_kafka_message_t *message = next_message(reader, scan, err);
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
    struct vd_scan scan;
    enum vd_status status = VD_OK;

    vd_range_clear(range);
    if (range->at == VD_NO_OFFSET) {
        status = find_begin(range, reader, err);
    }
    if (status == VD_OK) {
        status = vd_scan_open(&scan, reader->rk, range->topic, METADATA_MS, err);
    }
    if (status != VD_OK) {
        return status;
    }
    status = vd_scan_begin(&scan, range->partition, range->at, err);
    if (status == VD_OK) {
        status = fill(range, reader, &scan, err);
    }
    vd_scan_close(&scan);
    return status;
}
