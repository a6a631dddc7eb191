/* Reads again what was emitted to a chained output: how far that went, and the records themselves
 * (exactly-once protocol, 4.5). Blocking; every call from one thread. Only committed records are
 * seen; markers, records of other programs and those of older generations are stepped over. */
#ifndef VD_CORE_READER_H
#define VD_CORE_READER_H

#include "kafka.h"
#include "record.h"

struct vd_reader;

/* 'is_leaving' is asked several times a second while a call waits, which then ends with VD_AGAIN.
 * Fails: VD_INVALID where librdkafka refuses the settings. */
enum vd_status vd_reader_new(struct vd_kafka *kafka, bool (*is_leaving)(void *arg), void *arg,
                             struct vd_reader **reader, struct vd_err *err) VD_MUST_CHECK;
void vd_reader_free(struct vd_reader *reader); /* NULL is accepted */

/* The last record of one partition that comes from before a source offset. */
struct vd_spot {
    int32_t partition; /* in */
    int64_t below;     /* in: the source offset; INT64_MAX: any */
    int64_t begin;     /* out: first offset of the partition */
    int64_t source;    /* out: its source offset; VD_NO_OFFSET: there is none ... */
    int64_t offset;    /* out: ... and its own */
    struct vd_err err; /* out: VD_OK, or what stands there that this build must not pass over */
    int64_t from, to;  /* the reader's own: the window looked at */
    bool is_open;      /* likewise: something may still come in it */
};

struct vd_search {
    const char *topic;
    int16_t generation; /* of the source topic */
    struct vd_spot *spots;
    size_t count;
};

/* Find the spots, all at a time, from the end backwards in growing windows.
 * Fails: VD_AGAIN: the broker is away, or leaving; call again. */
enum vd_status vd_reader_find(struct vd_reader *reader, const struct vd_search *search,
                              struct vd_err *err) VD_MUST_CHECK;

#define VD_RANGE_RECORDS_MAX 2000
#define VD_RANGE_BYTES_MAX (4 << 20) /* of keys and values; one record more may pass it */

/* Some of the records of one partition that come from a source offset on. */
struct vd_range {
    const char *topic; /* borrowed */
    int32_t partition;
    int16_t generation; /* of the source topic */
    int64_t from;       /* source offset */
    int64_t at;         /* offset to go on at; VD_NO_OFFSET: find it. Moved on by each call */
    rd_kafka_message_t *messages[VD_RANGE_RECORDS_MAX];
    struct vd_record records[VD_RANGE_RECORDS_MAX]; /* what they say */
    size_t count;
};

/* Read the next of them in order; none: there are no more. What the last call found is freed.
 * Fails: VD_AGAIN as above; VD_INVALID: something stands there that must not be passed over. */
enum vd_status vd_range_read(struct vd_range *range, struct vd_reader *reader,
                             struct vd_err *err) VD_MUST_CHECK;
void vd_range_clear(struct vd_range *range);

#endif
