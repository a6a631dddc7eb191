/* A batch: the records that a stage works on, and the transaction that becomes of them. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "hash.h"
#include "letter.h"
#include "stage_impl.h"

struct vd_batch *vd_batch_new(struct vd_stage *stage, size_t input)
{
    struct vd_batch *batch = vd_alloc(sizeof(*batch));

    batch->stage = stage;
    batch->input = input;
    batch->spans = vd_alloc_array(stage->part_count + 1, sizeof(*batch->spans));
    batch->job = vd_txn_job_new(VD_TXN_COMMIT, batch);
    batch->job->run = stage->run;
    batch->job->producer = stage->producer;
    return batch;
}

void vd_batch_free(struct vd_batch *batch)
{
    for (size_t i = 0; i < batch->span_count; i++) {
        vd_part_unref(batch->spans[i].part);
    }
    vd_txn_job_free(batch->job);
    free(batch->spans);
    free(batch->records);
    free(batch->spans_of);
    free(batch);
}

static size_t topic_partitions(const struct vd_topic_conf *topic)
{
    return (size_t)topic->partitions_found;
}

static struct vd_position position_of(const struct vd_batch *batch, const struct vd_record *record)
{
    const struct vd_topic_conf *topic = batch->stage->conf->inputs[batch->input];

    return (struct vd_position){.generation = (int16_t)topic->generation,
                                .partition = record->partition,
                                .offset = record->offset,
                                .previous = VD_NO_OFFSET};
}

/* ---- letters (letter.h) ---------------------------------------------------------------------- */

/* Bytes of a record's own headers, with their lengths on the wire, and their number. */
static size_t measure_headers(const rd_kafka_headers_t *headers, size_t *count)
{
    enum { LENGTHS_BYTES = 16 }; /* at most */
    size_t bytes = 0;
    const char *name = NULL;
    const void *value = NULL;
    size_t len = 0;

    for (*count = 0; headers != NULL && rd_kafka_header_get_all(headers, *count, &name, &value,
                                                                &len) == RD_KAFKA_RESP_ERR_NO_ERROR;
         ++*count) {
        bytes += strlen(name) + len + LENGTHS_BYTES;
    }
    return bytes;
}

static void add_text_header(struct vd_txn_job *job, const char *name, const char *text)
{
    vd_txn_job_header(job, name, text, strlen(text));
}

static void add_number_header(struct vd_txn_job *job, const char *name, int64_t number)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%" PRId64, number); /* fits */
    add_text_header(job, name, text);
}

/* The headers that the record came with, under names that are not ours. */
static void add_own_headers(struct vd_txn_job *job, const rd_kafka_headers_t *headers, size_t count)
{
    VD_AUTO(buf) struct vd_buf kept = {0};
    const char *name = NULL;
    const void *value = NULL;
    size_t len = 0;

    for (size_t i = 0; i < count; i++) {
        (void)rd_kafka_header_get_all(headers, i, &name, &value, &len); /* there are 'count' */
        vd_buf_clear(&kept);
        vd_letter_keep_name(name, &kept);
        vd_txn_job_header(job, vd_buf_text(&kept), value, len);
    }
}

/* Set a record aside: add a letter to the job with this key and value; 'from' is NULL where it came
 * from no topic. */
static struct vd_txn_record *add_letter(struct vd_batch *batch, const struct vd_held *from,
                                        const struct vd_msg *msg)
{
    const struct vd_stage *stage = batch->stage;
    struct vd_txn_job *job = batch->job;
    size_t headers = 0;
    size_t bytes = msg->key_len + msg->value_len +
                   measure_headers(from != NULL ? from->headers : NULL, &headers);
    bool is_cut = bytes + VD_LETTER_OWN_BYTES > vd_kafka_record_max(stage->host->kafka) ||
                  headers > VD_LETTER_HEADERS_MAX;
    bool has_key = msg->key != NULL && (!is_cut || msg->key_len <= VD_LETTER_CUT_KEY_BYTES);
    struct vd_txn_record *out =
        vd_txn_job_add(job, has_key ? msg->key : NULL, has_key ? msg->key_len : 0,
                       is_cut ? NULL : msg->value, is_cut ? 0 : msg->value_len);

    add_text_header(job, VD_LETTER_STAGE, stage->conf->name);
    add_text_header(job, VD_LETTER_NODE, stage->host->node);
    if (from != NULL) {
        out->has_position = true;
        out->position = position_of(batch, &from->record);
        add_text_header(job, VD_LETTER_TOPIC, stage->conf->inputs[batch->input]->name);
    }
    vd_txn_job_header(job, VD_LETTER_REASON, msg->reason,
                      strnlen(msg->reason, VD_LETTER_REASON_BYTES));
    add_number_header(job, VD_LETTER_ATTEMPTS, (int64_t)stage->attempts + 1);
    add_number_header(job, VD_LETTER_TIME, vd_wall_ms());
    if (is_cut) {
        add_number_header(job, VD_LETTER_CUT, (int64_t)bytes);
    } else if (from != NULL) {
        add_own_headers(job, from->headers, headers);
    }
    return out;
}

/* What a record became was emitted before: it is here again because something else was lost. */
static bool was_emitted(const struct vd_part *part, const struct vd_held *held)
{
    return held->record.offset <= part->floor;
}

static void add_dead(struct vd_batch *batch, const struct vd_part *part, const struct vd_held *held,
                     const char *reason)
{
    const struct vd_stage *stage = batch->stage;
    const struct vd_record *record = &held->record;
    const struct vd_msg msg = {.key = record->key,
                               .key_len = record->key_len,
                               .value = record->value,
                               .value_len = record->value_len,
                               .reason = reason};
    struct vd_txn_record *out = NULL;

    if (was_emitted(part, held)) {
        return;
    }
    out = add_letter(batch, held, &msg);
    out->topic = (uint16_t)stage->output_count; /* behind the outputs */
    out->partition =
        (int32_t)((size_t)record->partition % topic_partitions(stage->conf->dead_topic));
    out->timestamp_ms = record->timestamp_ms < 0 ? 0 : record->timestamp_ms;
    vd_metric_add(stage->metrics.dead, 1);
}

/* ---- records in ------------------------------------------------------------------------------ */

static struct vd_span *add_span(struct vd_batch *batch, struct vd_part *part, size_t count)
{
    struct vd_span *span = &batch->spans[batch->span_count++];

    *span =
        (struct vd_span){.part = part, .first = part->cursor, .count = count, .last = part->last};
    part->refs++;
    return span;
}

void vd_batch_stand(struct vd_batch *batch, struct vd_part *part)
{
    for (size_t i = 0; i < batch->span_count; i++) {
        if (batch->spans[i].part == part) {
            return;
        }
    }
    add_span(batch, part, 0)->end =
        part->cursor != NULL ? part->cursor->record.offset : part->next_offset;
}

void vd_batch_take(struct vd_batch *batch, struct vd_part *part, size_t count)
{
    struct vd_held *held = part->cursor;
    struct vd_span *span;

    count = count < part->waiting ? count : part->waiting;
    if (count == 0) {
        return;
    }
    span = add_span(batch, part, count);
    batch->records = vd_realloc(batch->records, (batch->count + count) * sizeof(struct vd_held *));
    batch->spans_of = vd_realloc(batch->spans_of, (batch->count + count) * sizeof(size_t));
    for (size_t i = 0; i < count; i++) {
        span->end = held->record.offset + 1;
        if (held->fault != NULL) {
            add_dead(batch, part, held, held->fault);
        } else if (!held->is_passed_by) {
            batch->spans_of[batch->count] = batch->span_count - 1;
            batch->records[batch->count++] = held;
        }
        held = held->next;
    }
    part->cursor = held;
    part->waiting -= count;
}

static const struct vd_part *part_of(const struct vd_batch *batch, size_t i)
{
    return batch->spans[batch->spans_of[i]].part;
}

void vd_batch_spoil(struct vd_batch *batch, size_t i, const char *reason)
{
    struct vd_held *held = batch->records[i];

    if (held->fault == NULL) { /* else it is too large as well */
        held->fault = vd_strdup(reason);
    }
}

/* Records of the chained output carry the offset of the one before; they were emitted in order. */
static void number_chain(struct vd_batch *batch)
{
    const struct vd_port *outputs = batch->stage->desc->outputs;

    for (size_t i = 0; i < batch->job->record_count; i++) {
        struct vd_txn_record *record = &batch->job->records[i];

        if (record->topic >= batch->stage->output_count ||
            (outputs[record->topic].flags & VD_PORT_CHAINED) == 0) {
            continue;
        }
        for (size_t s = 0; s < batch->span_count; s++) {
            struct vd_span *span = &batch->spans[s];

            if (span->part->partition == record->position.partition) {
                record->position.previous = span->last;
                span->last = record->position.offset;
            }
        }
    }
}

void vd_batch_seal(struct vd_batch *batch)
{
    struct vd_stage *stage = batch->stage;

    number_chain(batch);
    if (batch->span_count > 0) {
        batch->job->group = vd_group_ref(stage->group);
        batch->job->is_standing = true;
    }
    for (size_t i = 0; i < batch->span_count; i++) {
        const struct vd_span *span = &batch->spans[i];
        struct vd_commit_note note = {.last = span->last};

        batch->job->is_standing = batch->job->is_standing && span->count == 0;
        span->part->last = span->last;
        memcpy(note.tag, stage->tag, sizeof(note.tag));
        vd_txn_job_add_offset(batch->job, stage->conf->inputs[batch->input]->name,
                              span->part->partition, span->end, &note);
    }
}

void vd_span_observe(const struct vd_span *span, struct vd_metric *latency, int64_t now_ms)
{
    const struct vd_held *held = span->first;
    size_t left = span->count;

    while (left > 0) { /* runs of one timestamp, as transactions have, are one step */
        int64_t at_ms = held->record.timestamp_ms;
        int64_t run = 0;

        for (; left > 0 && held->record.timestamp_ms == at_ms; left--, run++) {
            held = held->next;
        }
        if (at_ms >= 0) {
            vd_metric_observe_many(latency, (double)(now_ms - at_ms) / 1000.0, run);
        }
    }
}

size_t vd_batch_input(const struct vd_batch *batch)
{
    return batch->input;
}

size_t vd_batch_count(const struct vd_batch *batch)
{
    return batch->count;
}

const struct vd_record *vd_batch_record(const struct vd_batch *batch, size_t i)
{
    assert(i < batch->count);
    return &batch->records[i]->record;
}

int64_t vd_batch_reach(const struct vd_batch *batch, int32_t partition)
{
    for (size_t i = 0; i < batch->span_count; i++) {
        if (batch->spans[i].part->partition == partition) {
            return batch->spans[i].end;
        }
    }
    return VD_NO_OFFSET;
}

int64_t vd_batch_replay_of(const struct vd_batch *batch, size_t i)
{
    assert(i < batch->count);
    return vd_letter_replay_of(batch->records[i]->headers);
}

static int32_t partition_for(const struct vd_msg *msg, const struct vd_held *source, size_t count)
{
    if (msg->partition == VD_SAME) {
        assert(source != NULL);
        return (int32_t)((size_t)source->record.partition % count);
    }
    if (msg->partition == VD_BY_KEY) {
        return vd_partition_of(msg->key, msg->key_len, (int32_t)count);
    }
    assert(msg->partition >= 0 && (size_t)msg->partition < count);
    return msg->partition;
}

/* A record that no producer takes would fail the transaction for ever. Its source becomes a dead
 * letter when the batch is offered again; what has none would be made again and again. */
static void check_size(struct vd_batch *batch, size_t output, struct vd_held *from,
                       const struct vd_msg *msg)
{
    struct vd_stage *stage = batch->stage;
    const size_t bytes = msg->key_len + msg->value_len;
    const size_t option = vd_kafka_record_max(stage->host->kafka);

    if (bytes <= vd_stage_record_max(stage)) {
        return;
    }
    batch->has_excess = true;
    if (from == NULL) {
        vd_stage_halt(stage,
                      "output \"%s\": a record has %zu bytes, and client.message.max.bytes, %zu, "
                      "leaves room for %zu: raise it on every node, and max.message.bytes of topic "
                      "\"%s\" if need be, and start again",
                      stage->desc->outputs[output].name, bytes, option, vd_stage_record_max(stage),
                      stage->conf->outputs[output]->name);
    } else if (from->fault == NULL) {
        from->fault = vd_format("output \"%s\": its record has %zu bytes, too many for "
                                "client.message.max.bytes, %zu",
                                stage->desc->outputs[output].name, bytes, option);
    }
}

void vd_batch_emit(struct vd_batch *batch, size_t output, size_t source, const struct vd_msg *msg)
{
    const struct vd_stage *stage = batch->stage;
    struct vd_held *from = NULL;
    struct vd_txn_record *out;

    assert(!batch->is_answered && output < stage->output_count);
    assert((stage->desc->outputs[output].flags & VD_PORT_PLAIN) == 0); /* vd_stage_publish */
    assert((stage->desc->outputs[output].flags & VD_PORT_REJECTED) == 0 || msg->reason != NULL);
    assert(source == VD_NO_SOURCE || source < batch->count);
    from = source == VD_NO_SOURCE ? NULL : batch->records[source];
    if (stage->conf->outputs[output] == NULL) {
        return; /* an optional output that the topology leaves out */
    }
    if ((stage->desc->outputs[output].flags & VD_PORT_CHAINED) != 0) {
        assert(from != NULL && msg->partition == VD_SAME && source >= batch->chained_from);
        batch->chained_from = source + 1;
    }
    if (from != NULL && was_emitted(part_of(batch, source), from)) {
        return;
    }
    if (msg->reason != NULL) {
        out = add_letter(batch, from, msg);
    } else {
        out = vd_txn_job_add(batch->job, msg->key, msg->key_len, msg->value, msg->value_len);
        check_size(batch, output, from, msg);
        out->has_position = from != NULL;
        out->position = from != NULL ? position_of(batch, &from->record) : out->position;
    }
    out->topic = (uint16_t)output;
    out->partition = partition_for(msg, from, topic_partitions(stage->conf->outputs[output]));
    out->timestamp_ms = msg->timestamp_ms;
    if (msg->timestamp_ms == 0 && from != NULL && from->record.timestamp_ms > 0) {
        out->timestamp_ms = from->record.timestamp_ms;
    }
    vd_metric_add(stage->metrics.out[output], 1);
}

void vd_batch_dead(struct vd_batch *batch, size_t i, const char *reason)
{
    assert(!batch->is_answered && i < batch->count);
    add_dead(batch, part_of(batch, i), batch->records[i], reason);
}
