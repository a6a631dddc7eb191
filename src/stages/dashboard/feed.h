/* From the records of the published topics into the picture: absolute totals, the highest sequence
 * of a row wins; totals of other programs (no sequence) count by the largest.
 *
 * A record is a JSON object with its total as "total_votes" or "count", perhaps a "sequence", and
 * what was counted by, in members of any other name: texts, whole numbers, or null (or missing) for
 * a group that is not known. Candidates and states are told by their member, since the database and
 * the topic of candidates speak of them too; the rows of any other aggregate by the record's key.
 */
#ifndef VD_DASHBOARD_FEED_H
#define VD_DASHBOARD_FEED_H

#include "err.h"
#include "history.h"
#include "picture.h"
#include "record.h"

/* The tables that the stage follows, in the order of its descriptor's table ports. */
enum feed_source {
    FEED_NAMES, /* candidates_topic: names, no totals */
    FEED_CANDIDATE,
    FEED_STATE,
    FEED_NODES,     /* how every node is: not of the picture, but of the pipeline (pipeline.h) */
    FEED_AGGREGATE, /* and all that follow */
};

/* One of them on its way into the picture. */
struct feed {
    struct picture *picture;
    enum feed_source source;
    size_t table;            /* of the picture */
    struct history *history; /* borrowed; NULL: totals are not remembered */
    bool is_live;            /* false: what comes is read back after a start */
};

/* The state of a record that names none. */
#define FEED_UNKNOWN "unknown"

/* Take one record into the picture, which came at 'now_ms' by the wall clock. A tombstone is
 * ignored: totals are never deleted. Fails: VD_INVALID if the record is not of the topic's form;
 * nothing changed. */
enum vd_status feed_take(const struct feed *feed, const struct vd_record *record, int64_t now_ms,
                         struct vd_err *err) VD_MUST_CHECK;

#endif
