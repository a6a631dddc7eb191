/* Counters, gauges and histograms, shown at /metrics in Prometheus' text format 0.0.4. */
#ifndef VD_CORE_METRIC_H
#define VD_CORE_METRIC_H

#include <stdint.h>

#include "buf.h"
#include "err.h"

enum vd_metric_type {
    VD_COUNTER,
    VD_GAUGE,
    VD_HISTOGRAM, /* of seconds: 0.5 ms doubling to 32.768 s */
};

struct vd_metrics; /* all of one node */
struct vd_metric;  /* one series */

struct vd_metrics *vd_metrics_new(void);
void vd_metrics_free(struct vd_metrics *metrics); /* and every series */

/* The series 'name' with 'labels' (`stage="voting",topic="votes"`, or NULL); the same one if it is
 * there already. Owned by 'metrics'. 'help' is borrowed for ever: a literal. */
VD_API struct vd_metric *vd_metric_get(struct vd_metrics *metrics, enum vd_metric_type type,
                                       const char *name, const char *labels, const char *help);

/* Thread: any, all four. A counter only grows; a histogram is only observed. */
VD_API void vd_metric_add(struct vd_metric *metric, int64_t amount);
VD_API void vd_metric_set(struct vd_metric *metric, int64_t value);
VD_API void vd_metric_observe(struct vd_metric *metric, double seconds);
VD_API int64_t vd_metric_value(const struct vd_metric *metric); /* of a histogram: observations */

/* As 'count' observations of 'seconds'. */
void vd_metric_observe_many(struct vd_metric *metric, double seconds, int64_t count);

#define VD_HISTOGRAM_BUCKETS 18 /* 0.5 ms doubled up to 16 times, and one for all that is longer \
                                 */

/* What a histogram has counted at one moment. */
struct vd_histogram {
    int64_t counts[VD_HISTOGRAM_BUCKETS]; /* each of its own range only */
};
void vd_metric_read(const struct vd_metric *metric, struct vd_histogram *histogram);

/* The time, in microseconds, within which 'permille' of what is in the histogram lay; evenly spread
 * inside a bucket, and the lower limit of the last one, which has no other. -1: nothing was seen.
 */
int64_t vd_histogram_quantile_us(const struct vd_histogram *histogram, int permille);

void vd_metrics_format(struct vd_metrics *metrics, struct vd_buf *out);

#endif
