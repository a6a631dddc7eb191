/* Records as stages see them, and the position that every record of ours carries in its header. */
#ifndef VD_CORE_RECORD_H
#define VD_CORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define VD_NO_OFFSET ((int64_t)-1)

/* The header `vd-src`: 23 bytes big-endian: version u8 = 1, generation i16, partition i32, offset
 * i64, previous emitted offset i64 (exactly-once protocol, 2.1). */
#define VD_POSITION_HEADER "vd-src"
#define VD_POSITION_BYTES 23

struct vd_position {
    int16_t generation; /* of the source topic, raised by hand when it is recreated */
    int32_t partition;  /* of the source record */
    int64_t offset;     /* of the source record */
    int64_t previous;   /* source offset of the record emitted before it; VD_NO_OFFSET: none */
};

/* One record of an input or a table. Borrowed: valid until its batch is answered, or its callback
 * returns. */
struct vd_record {
    const char *key; /* NULL: none; not zero-terminated */
    size_t key_len;
    const char *value; /* NULL: a tombstone */
    size_t value_len;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* Kafka's timestamp, UTC; -1: none */
    bool has_position;    /* false: written by another program */
    struct vd_position position;
};

VD_API void vd_position_format(const struct vd_position *position,
                               uint8_t bytes[VD_POSITION_BYTES]);

/* Fails: VD_INVALID for a wrong length, VD_FAILED for a version that this build does not know. */
VD_API enum vd_status vd_position_parse(const void *bytes, size_t len, struct vd_position *position,
                                        struct vd_err *err) VD_MUST_CHECK;

/* The metadata string of a committed offset: "vd1 last=OFFSET ballot=TAG"
 * (exactly-once protocol, 2.3). */
#define VD_TAG_BYTES 32
struct vd_commit_note {
    int64_t last;           /* last source offset emitted on the chained output, or VD_NO_OFFSET */
    char tag[VD_TAG_BYTES]; /* what the stage binds its offsets to; "" for none, no blanks */
};
#define VD_COMMIT_NOTE_BYTES 80
void vd_commit_note_format(const struct vd_commit_note *note, char text[VD_COMMIT_NOTE_BYTES]);
/* Fails: VD_INVALID if the text is not ours, VD_FAILED if a newer votingd wrote it. */
enum vd_status vd_commit_note_parse(const char *text, size_t len, struct vd_commit_note *note,
                                    struct vd_err *err) VD_MUST_CHECK;

#endif
