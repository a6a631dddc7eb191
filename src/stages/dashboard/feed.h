/* From the records of the published topics into the picture: absolute totals, the highest sequence
 * of a key wins; records of other programs (no sequence, no key) count by the largest total. */
#ifndef VD_DASHBOARD_FEED_H
#define VD_DASHBOARD_FEED_H

#include "err.h"
#include "picture.h"
#include "record.h"

/* The tables that the stage follows, in the order of its descriptor's table ports. */
enum feed_source {
    FEED_CANDIDATES, /* candidates_topic: names, no totals */
    FEED_CANDIDATE,
    FEED_STATE,
    FEED_AGE,
    FEED_AGE_GROUP,
    FEED_GENDER,
    FEED_PARTY,
    FEED_CITY,
    FEED_STATE_CANDIDATE,
    FEED_SOURCES,
};

/* The group of a record whose field is null or missing (Spark leaves such a member out). */
#define FEED_UNKNOWN "unknown"

/* Take one record into the picture. 'news_ms' is when it was news: the wall clock's time, or for
 * what is read back after a start the time it was written. A tombstone is ignored: totals are never
 * deleted. Fails: VD_INVALID if the record is not of the topic's form; nothing changed. */
enum vd_status feed_take(struct picture *picture, enum feed_source source,
                         const struct vd_record *record, int64_t news_ms,
                         struct vd_err *err) VD_MUST_CHECK;

#endif
