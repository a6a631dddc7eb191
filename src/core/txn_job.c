/* What the producer's thread is given to do: records, their headers, offsets. */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "txn.h"

struct vd_group *vd_group_ref(struct vd_group *group)
{
    atomic_fetch_add(&group->refs, 1);
    return group;
}

void vd_group_unref(struct vd_group *group)
{
    if (group != NULL && atomic_fetch_sub(&group->refs, 1) == 1) {
        rd_kafka_consumer_group_metadata_destroy(group->md);
        free(group);
    }
}

struct vd_txn_job *vd_txn_job_new(enum vd_txn_kind kind, void *owner)
{
    struct vd_txn_job *job = vd_alloc(sizeof(*job));

    job->kind = kind;
    job->owner = owner;
    return job;
}

void vd_txn_job_free(struct vd_txn_job *job)
{
    if (job == NULL) {
        return;
    }
    if (job->offsets != NULL) {
        rd_kafka_topic_partition_list_destroy(job->offsets);
    }
    if (job->settle != NULL) {
        rd_kafka_topic_partition_list_destroy(job->settle);
    }
    if (job->range != NULL) {
        vd_range_clear(job->range);
        free(job->range);
    }
    free(job->extents);
    vd_group_unref(job->group);
    vd_buf_fini(&job->arena);
    free(job->records);
    free(job->headers);
    free(job);
}

static size_t add_bytes(struct vd_txn_job *job, const void *bytes, size_t len)
{
    size_t at = job->arena.len;

    vd_buf_add(&job->arena, bytes, len);
    return at;
}

struct vd_txn_record *vd_txn_job_add(struct vd_txn_job *job, const void *key, size_t key_len,
                                     const void *value, size_t value_len)
{
    struct vd_txn_record *record = NULL;

    if (job->record_count == job->record_cap) {
        job->record_cap = job->record_cap == 0 ? 64 : 2 * job->record_cap;
        job->records = vd_realloc(job->records, job->record_cap * sizeof(*job->records));
    }
    record = &job->records[job->record_count++];
    *record = (struct vd_txn_record){.has_key = key != NULL,
                                     .key_at = add_bytes(job, key, key_len),
                                     .key_len = key_len,
                                     .has_value = value != NULL,
                                     .header_first = job->header_count};
    record->value_at = add_bytes(job, value, value_len);
    record->value_len = value_len;
    return record;
}

void vd_txn_job_header(struct vd_txn_job *job, const char *name, const void *value, size_t len)
{
    struct vd_txn_header *header = NULL;

    if (job->header_count == job->header_cap) {
        job->header_cap = job->header_cap == 0 ? 16 : 2 * job->header_cap;
        job->headers = vd_realloc(job->headers, job->header_cap * sizeof(*job->headers));
    }
    header = &job->headers[job->header_count++];
    header->name_len = strlen(name);
    header->name_at = add_bytes(job, name, header->name_len);
    header->has_value = value != NULL;
    header->len = len;
    header->at = add_bytes(job, value, len);
    job->records[job->record_count - 1].header_count++;
}

void vd_txn_job_add_offset(struct vd_txn_job *job, const char *topic, int32_t partition,
                           int64_t offset, const struct vd_commit_note *note)
{
    rd_kafka_topic_partition_t *at;

    if (job->offsets == NULL) {
        job->offsets = rd_kafka_topic_partition_list_new(1);
    }
    at = rd_kafka_topic_partition_list_add(job->offsets, topic, partition);
    at->offset = offset;
    at->metadata = vd_alloc(VD_COMMIT_NOTE_BYTES); /* freed with the list */
    vd_commit_note_format(note, at->metadata);
    at->metadata_size = strlen(at->metadata);
}
