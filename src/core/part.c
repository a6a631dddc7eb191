/* Records of one partition, from the consumer to their commit: a list by offset with a cursor that
 * batches take from. They stay in memory until they are committed, so nothing is ever seeked. */
#include <assert.h>
#include <stdlib.h>

#include "alloc.h"
#include "stage_impl.h"

struct vd_part *vd_part_new(size_t input, int32_t partition, int64_t next_offset, int64_t last)
{
    struct vd_part *part = vd_alloc(sizeof(*part));

    part->input = input;
    part->partition = partition;
    part->is_owned = true;
    part->refs = 1;
    part->next_offset = next_offset;
    part->last = last;
    part->last_committed = last;
    part->floor = last;
    return part;
}

static void held_free(struct vd_held *held)
{
    rd_kafka_event_destroy(held->event);
    free(held->fault);
    free(held);
}

void vd_part_unref(struct vd_part *part)
{
    if (--part->refs > 0) {
        return;
    }
    while (part->head != NULL) {
        struct vd_held *held = part->head;

        part->head = held->next;
        held_free(held);
    }
    free(part->stopped);
    free(part);
}

struct vd_held *vd_part_push(struct vd_part *part, rd_kafka_event_t *event, size_t bytes,
                             int64_t now_ms)
{
    struct vd_held *held = vd_alloc(sizeof(*held));

    held->event = event;
    held->bytes = bytes;
    held->arrived_ms = now_ms;
    if (part->tail != NULL) {
        part->tail->next = held;
    } else {
        part->head = held;
    }
    part->tail = held;
    if (part->cursor == NULL) {
        part->cursor = held;
    }
    part->waiting++;
    part->held_count++;
    part->held_bytes += bytes;
    return held;
}

void vd_part_commit(struct vd_part *part, int64_t offset)
{
    while (part->head != NULL && part->head->record.offset < offset) {
        struct vd_held *held = part->head;

        assert(held != part->cursor);
        part->head = held->next;
        if (part->head == NULL) {
            part->tail = NULL;
        }
        part->held_count--;
        part->held_bytes -= held->bytes;
        held_free(held);
    }
}

void vd_part_rewind(struct vd_part *part)
{
    part->cursor = part->head;
    part->last = part->last_committed;
    part->waiting = part->held_count;
}

void vd_part_put_back(struct vd_part *part, struct vd_held *first, size_t count)
{
    part->cursor = first;
    part->waiting += count;
}
