/* Metrics: written from any thread with relaxed atomics, read on the loop. */
#include "metric.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#define BUCKET_FIRST_US 500
#define BUCKET_FIRST_S (BUCKET_FIRST_US / 1e6)

struct vd_metric {
    enum vd_metric_type type;
    char *name;
    char *labels; /* "" for none */
    const char *help;
    _Atomic int64_t value; /* of a counter or gauge */
    _Atomic int64_t
        buckets[VD_HISTOGRAM_BUCKETS]; /* of a histogram; each counts its own range only */
    _Atomic int64_t sum_ns;
};

struct vd_metrics {
    struct vd_metric **series; /* by name, then labels */
    size_t count, capacity;
};

struct vd_metrics *vd_metrics_new(void)
{
    return vd_alloc(sizeof(struct vd_metrics));
}

void vd_metrics_free(struct vd_metrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    for (size_t i = 0; i < metrics->count; i++) {
        free(metrics->series[i]->name);
        free(metrics->series[i]->labels);
        free(metrics->series[i]);
    }
    free(metrics->series);
    free(metrics);
}

/* Where the series is, or belongs. */
static size_t locate(const struct vd_metrics *metrics, const char *name, const char *labels,
                     bool *is_there)
{
    size_t low = 0, high = metrics->count;

    *is_there = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct vd_metric *metric = metrics->series[middle];
        int order = strcmp(metric->name, name);

        order = order != 0 ? order : strcmp(metric->labels, labels);
        if (order == 0) {
            *is_there = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void insert(struct vd_metrics *metrics, size_t at, struct vd_metric *metric)
{
    if (metrics->count == metrics->capacity) {
        metrics->capacity = metrics->capacity > 0 ? metrics->capacity * 2 : 32;
        metrics->series = vd_realloc(metrics->series, metrics->capacity * sizeof(*metrics->series));
    }
    memmove(metrics->series + at + 1, metrics->series + at,
            (metrics->count - at) * sizeof(*metrics->series));
    metrics->series[at] = metric;
    metrics->count++;
}

struct vd_metric *vd_metric_get(struct vd_metrics *metrics, enum vd_metric_type type,
                                const char *name, const char *labels, const char *help)
{
    struct vd_metric *metric;
    bool is_there;
    size_t at;

    labels = labels != NULL ? labels : "";
    at = locate(metrics, name, labels, &is_there);
    if (is_there) {
        assert(metrics->series[at]->type == type);
        return metrics->series[at];
    }
    metric = vd_alloc(sizeof(*metric));
    metric->type = type;
    metric->name = vd_strdup(name);
    metric->labels = vd_strdup(labels);
    metric->help = help;
    insert(metrics, at, metric);
    return metric;
}

static void bump(_Atomic int64_t *number, int64_t amount)
{
    atomic_fetch_add_explicit(number, amount, memory_order_relaxed);
}

void vd_metric_add(struct vd_metric *metric, int64_t amount)
{
    assert(metric->type != VD_HISTOGRAM && (metric->type != VD_COUNTER || amount >= 0));
    bump(&metric->value, amount);
}

void vd_metric_set(struct vd_metric *metric, int64_t value)
{
    assert(metric->type != VD_HISTOGRAM);
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

void vd_metric_observe_many(struct vd_metric *metric, double seconds, int64_t count)
{
    double limit = BUCKET_FIRST_S;
    size_t bucket = 0;

    assert(metric->type == VD_HISTOGRAM);
    seconds = seconds > 0 ? seconds : 0; /* a clock that jumped, or no number at all */
    seconds = seconds < 1e6 ? seconds : 1e6;
    while (bucket + 1 < VD_HISTOGRAM_BUCKETS && seconds > limit) {
        bucket++;
        limit *= 2;
    }
    bump(&metric->buckets[bucket], count);
    bump(&metric->sum_ns, (int64_t)(seconds * 1e9) * count);
}

void vd_metric_observe(struct vd_metric *metric, double seconds)
{
    vd_metric_observe_many(metric, seconds, 1);
}

static int64_t read_relaxed(const _Atomic int64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

int64_t vd_metric_value(const struct vd_metric *metric)
{
    int64_t value = 0;

    if (metric->type != VD_HISTOGRAM) {
        return read_relaxed(&metric->value);
    }
    for (size_t i = 0; i < VD_HISTOGRAM_BUCKETS; i++) {
        value += read_relaxed(&metric->buckets[i]);
    }
    return value;
}

void vd_metric_read(const struct vd_metric *metric, struct vd_histogram *histogram)
{
    assert(metric->type == VD_HISTOGRAM);
    for (size_t i = 0; i < VD_HISTOGRAM_BUCKETS; i++) {
        histogram->counts[i] = read_relaxed(&metric->buckets[i]);
    }
}

int64_t vd_histogram_quantile_us(const struct vd_histogram *histogram, int permille)
{
    int64_t total = 0;
    int64_t rank; /* of the observation that is asked for, from 1 */
    int64_t low_us = 0;
    int64_t high_us = BUCKET_FIRST_US;
    size_t i = 0;

    for (size_t n = 0; n < VD_HISTOGRAM_BUCKETS; n++) {
        total += histogram->counts[n];
    }
    if (total == 0) {
        return -1;
    }
    rank = (total * permille + 999) / 1000;
    rank = rank > 0 ? rank : 1;
    for (; rank > histogram->counts[i]; i++) {
        rank -= histogram->counts[i];
        low_us = high_us;
        high_us *= 2;
    }
    if (i + 1 == VD_HISTOGRAM_BUCKETS) {
        return low_us;
    }
    return low_us + (high_us - low_us) * rank / histogram->counts[i];
}

static void format_head(const struct vd_metric *metric, struct vd_buf *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};

    vd_buf_printf(out, "# HELP %s ", metric->name);
    for (const char *c = metric->help; *c != '\0'; c++) {
        if (*c == '\\' || *c == '\n') {
            vd_buf_add_char(out, '\\');
        }
        vd_buf_add_char(out, *c == '\n' ? 'n' : *c);
    }
    vd_buf_printf(out, "\n# TYPE %s %s\n", metric->name, types[metric->type]);
}

static void format_sample(const struct vd_metric *metric, const char *suffix, struct vd_buf *out)
{
    vd_buf_printf(out, "%s%s", metric->name, suffix);
    if (metric->labels[0] != '\0') {
        vd_buf_printf(out, "{%s}", metric->labels);
    }
    vd_buf_add_char(out, ' ');
}

static void format_histogram(const struct vd_metric *metric, struct vd_buf *out)
{
    const char *comma = metric->labels[0] != '\0' ? "," : "";
    double limit = BUCKET_FIRST_S;
    int64_t count = 0;

    for (size_t i = 0; i < VD_HISTOGRAM_BUCKETS; i++, limit *= 2) {
        count += read_relaxed(&metric->buckets[i]);
        vd_buf_printf(out, "%s_bucket{%s%sle=\"", metric->name, metric->labels, comma);
        if (i + 1 < VD_HISTOGRAM_BUCKETS) {
            vd_buf_printf(out, "%.10g", limit);
        } else {
            vd_buf_add_text(out, "+Inf");
        }
        vd_buf_printf(out, "\"} %lld\n", (long long)count);
    }
    format_sample(metric, "_sum", out);
    vd_buf_printf(out, "%.9f\n", (double)read_relaxed(&metric->sum_ns) / 1e9);
    format_sample(metric, "_count", out);
    vd_buf_printf(out, "%lld\n", (long long)count);
}

void vd_metrics_format(struct vd_metrics *metrics, struct vd_buf *out)
{
    const char *name = "";

    for (size_t i = 0; i < metrics->count; i++) {
        const struct vd_metric *metric = metrics->series[i];

        if (strcmp(metric->name, name) != 0) {
            format_head(metric, out);
            name = metric->name;
        }
        if (metric->type == VD_HISTOGRAM) {
            format_histogram(metric, out);
        } else {
            format_sample(metric, "", out);
            vd_buf_add_int(out, vd_metric_value(metric));
            vd_buf_add_char(out, '\n');
        }
    }
}
