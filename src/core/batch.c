/* A batch: the records that a stage works on, and the transaction that becomes of them. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "hash.h"
#include "stage_impl.h"

struct vd_batch *vd_batch_new(struct vd_stage *stage, size_t input)
{
    struct vd_batch *batch = vd_alloc(sizeof(*batch));

    batch->stage = stage;
    batch->input = input;
    batch->spans = vd_alloc_array(stage->part_count + 1, sizeof(*batch->spans));
    batch->job = vd_txn_job_new(VD_TXN_COMMIT, batch);
    batch->job->run = stage->run;
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

static struct vd_txn_record *add_record(struct vd_txn_job *job)
{
    if (job->record_count == job->record_cap) {
        job->record_cap = job->record_cap == 0 ? 64 : 2 * job->record_cap;
        job->records = vd_realloc(job->records, job->record_cap * sizeof(*job->records));
    }
    memset(&job->records[job->record_count], 0, sizeof(*job->records));
    return &job->records[job->record_count++];
}

static void add_bytes(struct vd_txn_job *job, const void *bytes, size_t len, size_t *at,
                      size_t *out)
{
    *at = job->arena.len;
    *out = len;
    vd_buf_add(&job->arena, bytes, len);
}

/* Add a header to the record added last. */
static void add_header(struct vd_txn_job *job, const char *name, const char *text, size_t len)
{
    struct vd_txn_record *record = &job->records[job->record_count - 1];
    struct vd_txn_header *header;

    if (job->header_count == job->header_cap) {
        job->header_cap = job->header_cap == 0 ? 16 : 2 * job->header_cap;
        job->headers = vd_realloc(job->headers, job->header_cap * sizeof(*job->headers));
    }
    if (record->header_count++ == 0) {
        record->header_first = job->header_count;
    }
    header = &job->headers[job->header_count++];
    header->name = name;
    add_bytes(job, text, len, &header->at, &header->len);
}

static void add_text_header(struct vd_txn_job *job, const char *name, const char *text)
{
    add_header(job, name, text, strlen(text));
}

static struct vd_position position_of(const struct vd_batch *batch, const struct vd_record *record)
{
    const struct vd_topic_conf *topic = batch->stage->conf->inputs[batch->input];

    return (struct vd_position){.generation = (int16_t)topic->generation,
                                .partition = record->partition,
                                .offset = record->offset,
                                .previous = VD_NO_OFFSET};
}

/* A dead letter: the bytes as they came, and in headers where they came from and why they stopped.
 */
static void add_dead(struct vd_batch *batch, const struct vd_record *record, const char *reason)
{
    const struct vd_stage *stage = batch->stage;
    const struct vd_topic_conf *dead = stage->conf->dead_topic;
    struct vd_txn_job *job = batch->job;
    struct vd_txn_record *out = add_record(job);
    char text[64];

    out->topic = (uint16_t)stage->output_count; /* behind the outputs */
    out->partition = (int32_t)((size_t)record->partition % topic_partitions(dead));
    out->timestamp_ms = record->timestamp_ms < 0 ? 0 : record->timestamp_ms;
    out->has_key = record->key != NULL;
    add_bytes(job, record->key, record->key_len, &out->key_at, &out->key_len);
    out->has_value = record->value != NULL;
    add_bytes(job, record->value, record->value_len, &out->value_at, &out->value_len);
    out->has_position = true;
    out->position = position_of(batch, record);
    add_text_header(job, "vd-stage", stage->conf->name);
    add_text_header(job, "vd-topic", stage->conf->inputs[batch->input]->name);
    add_text_header(job, "vd-reason", reason);
    (void)snprintf(text, sizeof(text), "%zu", stage->attempts + 1); /* cannot be cut */
    add_text_header(job, "vd-attempts", text);
    vd_metric_add(stage->metrics.dead, 1);
}

void vd_batch_take(struct vd_batch *batch, struct vd_part *part, size_t count)
{
    struct vd_span *span = &batch->spans[batch->span_count];
    struct vd_held *held = part->cursor;

    count = count < part->waiting ? count : part->waiting;
    if (count == 0) {
        return;
    }
    batch->span_count++;
    *span = (struct vd_span){.part = part, .first = held, .count = count, .last = part->last};
    part->refs++;
    batch->records = vd_realloc(batch->records, (batch->count + count) * sizeof(struct vd_held *));
    batch->spans_of = vd_realloc(batch->spans_of, (batch->count + count) * sizeof(size_t));
    for (size_t i = 0; i < count; i++) {
        span->end = held->record.offset + 1;
        if (held->fault != NULL) {
            add_dead(batch, &held->record, held->fault);
            batch->dead_taken++;
        } else {
            batch->spans_of[batch->count] = batch->span_count - 1;
            batch->records[batch->count++] = held;
        }
        held = held->next;
    }
    part->cursor = held;
    part->waiting -= count;
}

void vd_batch_bury(struct vd_batch *batch, size_t i, const char *reason)
{
    batch->job->record_count = batch->dead_taken;
    add_dead(batch, vd_batch_record(batch, i), reason);
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

static void add_offset(struct vd_batch *batch, const struct vd_span *span)
{
    struct vd_stage *stage = batch->stage;
    rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(
        batch->job->offsets, stage->conf->inputs[batch->input]->name, span->part->partition);
    struct vd_commit_note note = {.last = span->last};

    memcpy(note.tag, stage->tag, sizeof(note.tag));
    at->offset = span->end;
    at->metadata = vd_alloc(VD_COMMIT_NOTE_BYTES); /* freed with the list */
    vd_commit_note_format(&note, at->metadata);
    at->metadata_size = strlen(at->metadata);
}

void vd_batch_seal(struct vd_batch *batch)
{
    struct vd_stage *stage = batch->stage;

    number_chain(batch);
    if (batch->span_count > 0) {
        batch->job->offsets = rd_kafka_topic_partition_list_new((int)batch->span_count);
        batch->job->group = vd_group_ref(stage->group);
    }
    for (size_t i = 0; i < batch->span_count; i++) {
        batch->spans[i].part->last = batch->spans[i].last;
        add_offset(batch, &batch->spans[i]);
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

static int32_t partition_for(const struct vd_msg *msg, const struct vd_record *source, size_t count)
{
    if (msg->partition == VD_SAME) {
        assert(source != NULL);
        return (int32_t)((size_t)source->partition % count);
    }
    if (msg->partition == VD_BY_KEY) {
        return vd_partition_of(msg->key, msg->key_len, (int32_t)count);
    }
    assert(msg->partition >= 0 && (size_t)msg->partition < count);
    return msg->partition;
}

void vd_batch_emit(struct vd_batch *batch, size_t output, size_t source, const struct vd_msg *msg)
{
    const struct vd_stage *stage = batch->stage;
    const struct vd_record *from = source == VD_NO_SOURCE ? NULL : vd_batch_record(batch, source);
    struct vd_txn_job *job = batch->job;
    struct vd_txn_record *out;

    assert(!batch->is_answered && output < stage->output_count);
    assert((stage->desc->outputs[output].flags & VD_PORT_PLAIN) == 0); /* vd_stage_publish */
    if (stage->conf->outputs[output] == NULL) {
        return; /* an optional output that the topology leaves out */
    }
    if ((stage->desc->outputs[output].flags & VD_PORT_CHAINED) != 0) {
        assert(from != NULL && msg->partition == VD_SAME && source >= batch->chained_from);
        batch->chained_from = source + 1;
    }
    out = add_record(job);
    out->topic = (uint16_t)output;
    out->partition = partition_for(msg, from, topic_partitions(stage->conf->outputs[output]));
    out->timestamp_ms = msg->timestamp_ms;
    if (msg->timestamp_ms == 0 && from != NULL && from->timestamp_ms > 0) {
        out->timestamp_ms = from->timestamp_ms;
    }
    out->has_key = msg->key != NULL;
    add_bytes(job, msg->key, msg->key_len, &out->key_at, &out->key_len);
    out->has_value = msg->value != NULL;
    add_bytes(job, msg->value, msg->value_len, &out->value_at, &out->value_len);
    if (from != NULL) {
        out->has_position = true;
        out->position = position_of(batch, from);
    }
    if (msg->reason != NULL) {
        add_text_header(job, "vd-reason", msg->reason);
    }
    vd_metric_add(stage->metrics.out, 1);
}

void vd_batch_dead(struct vd_batch *batch, size_t i, const char *reason)
{
    assert(!batch->is_answered);
    add_dead(batch, vd_batch_record(batch, i), reason);
}
