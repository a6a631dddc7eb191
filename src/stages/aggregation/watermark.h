/* Event time over all partitions (exactly-once protocol, 6.5): how far it has come everywhere, from
 * what META says of each partition alone, so that all nodes come to the same. No part of the
 * engine: a pure store. */
#ifndef VD_AGGREGATION_WATERMARK_H
#define VD_AGGREGATION_WATERMARK_H

#include "partial.h"

struct agg_watermark;

/* A partition holds the watermark 'lateness_s' behind the highest event time it has seen. */
struct agg_watermark *agg_watermark_new(int64_t lateness_s);
void agg_watermark_free(struct agg_watermark *watermark);

/* The META of a partition is this now. */
void agg_watermark_put(struct agg_watermark *watermark, int32_t partition,
                       const struct agg_meta *meta);

/* The watermark over partitions 0 to 'partitions' - 1, in seconds since 1970; -1: none yet. It
 * never goes back. A partition without META, or one that is not idle and has seen no event time,
 * holds it; an idle one does not, and when all are idle, the furthest of them gives it. */
int64_t agg_watermark_get(struct agg_watermark *watermark, int32_t partitions);

/* The highest event time of all partitions, in seconds since 1970; -1: none yet. */
int64_t agg_watermark_newest(const struct agg_watermark *watermark);

/* An event time is cut to 'now_s' and this much, when a vote is read: one wrong clock must not
 * carry the watermark away. */
#define AGG_FUTURE_S 60
int64_t agg_event_cap(int64_t event_s, int64_t now_s);

#endif
