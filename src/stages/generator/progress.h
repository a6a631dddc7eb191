/* How far a source has come: the row of the compacted progress topic, under "SOURCE/SHARD". */
#ifndef VD_GENERATOR_PROGRESS_H
#define VD_GENERATOR_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

/* A place in a source: what comes next. Zeroed is the beginning. */
struct gen_place {
    int64_t next;     /* records read: the sequence number of the next one */
    int64_t voters;   /* of them published */
    int64_t rejected; /* of them not */
    int64_t line;     /* of a file: lines read */
    int64_t byte;     /* of a file: offset of the next record */
};

struct gen_progress {
    struct gen_place place;
    int64_t target; /* voters in all; -1: not known yet */
    bool is_complete;
    char *definition; /* owned; see struct gen_source_ops */
};

void gen_progress_fini(struct gen_progress *progress);

/* {"definition":...,"next":...,"voters":...,"rejected":...,"line":...,"byte":...,"target":N or
 * null, "complete":...} */
void gen_progress_format(const struct gen_progress *progress, struct vd_buf *out);

/* Fails: VD_INVALID, naming the member. Owns: *progress is the caller's,
 * written on success only. */
enum vd_status gen_progress_parse(const char *json, size_t len, struct gen_progress *progress,
                                  struct vd_err *err) VD_MUST_CHECK;

#endif
