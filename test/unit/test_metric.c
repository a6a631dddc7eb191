#include "metric.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "alloc.h"

#include "test.h"

#define THREADS 4
#define ADDS_EACH 10000

TEST(a_series_is_made_once)
{
    struct vd_metrics *metrics = vd_metrics_new();
    struct vd_metric *a = vd_metric_get(metrics, VD_COUNTER, "votes_total", "stage=\"a\"", "help");
    struct vd_metric *b = vd_metric_get(metrics, VD_COUNTER, "votes_total", "stage=\"b\"", "help");

    assert_ptr_not_equal(a, b);
    assert_ptr_equal(vd_metric_get(metrics, VD_COUNTER, "votes_total", "stage=\"a\"", "help"), a);
    vd_metric_add(a, 2);
    assert_int_equal(vd_metric_value(a), 2);
    assert_int_equal(vd_metric_value(b), 0);
    vd_metrics_free(metrics);
    vd_metrics_free(NULL);
}

TEST(series_are_shown_by_name_under_one_head)
{
    struct vd_metrics *metrics = vd_metrics_new();
    VD_AUTO(buf) struct vd_buf out = {0};

    vd_metric_set(vd_metric_get(metrics, VD_GAUGE, "z_lag", NULL, "line\nand \\"), -5);
    vd_metric_add(vd_metric_get(metrics, VD_COUNTER, "a_total", "t=\"2\"", "Votes."), 7);
    vd_metric_add(vd_metric_get(metrics, VD_COUNTER, "b_total", NULL, "Others."), 1);
    vd_metric_add(vd_metric_get(metrics, VD_COUNTER, "a_total", "t=\"1\"", "Votes."), 3);
    vd_metrics_format(metrics, &out);
    assert_string_equal(vd_buf_text(&out), "# HELP a_total Votes.\n"
                                           "# TYPE a_total counter\n"
                                           "a_total{t=\"1\"} 3\n"
                                           "a_total{t=\"2\"} 7\n"
                                           "# HELP b_total Others.\n"
                                           "# TYPE b_total counter\n"
                                           "b_total 1\n"
                                           "# HELP z_lag line\\nand \\\\\n"
                                           "# TYPE z_lag gauge\n"
                                           "z_lag -5\n");
    vd_metrics_free(metrics);
}

TEST(a_histogram_counts_cumulatively)
{
    struct vd_metrics *metrics = vd_metrics_new();
    struct vd_metric *wait = vd_metric_get(metrics, VD_HISTOGRAM, "wait_seconds", "s=\"v\"", "W.");
    VD_AUTO(buf) struct vd_buf out = {0};
    const char *text;

    vd_metric_observe(wait, 0.0005);
    vd_metric_observe(wait, 0.0006);
    vd_metric_observe(wait, 32);
    vd_metric_observe(wait, 1000);
    vd_metric_observe(wait, -1);
    vd_metric_observe(wait, NAN);
    assert_int_equal(vd_metric_value(wait), 6);
    vd_metrics_format(metrics, &out);
    text = vd_buf_text(&out);
    assert_non_null(strstr(text, "# TYPE wait_seconds histogram\n"
                                 "wait_seconds_bucket{s=\"v\",le=\"0.0005\"} 3\n"
                                 "wait_seconds_bucket{s=\"v\",le=\"0.001\"} 4\n"));
    assert_non_null(strstr(text, "le=\"16.384\"} 4\n"
                                 "wait_seconds_bucket{s=\"v\",le=\"32.768\"} 5\n"
                                 "wait_seconds_bucket{s=\"v\",le=\"+Inf\"} 6\n"
                                 "wait_seconds_sum{s=\"v\"} 1032.001100000\n"
                                 "wait_seconds_count{s=\"v\"} 6\n"));
    vd_metrics_free(metrics);
}

TEST(a_histogram_without_labels_has_only_le)
{
    struct vd_metrics *metrics = vd_metrics_new();
    VD_AUTO(buf) struct vd_buf out = {0};

    vd_metric_observe(vd_metric_get(metrics, VD_HISTOGRAM, "h", NULL, "H."), 0.002);
    vd_metrics_format(metrics, &out);
    assert_non_null(strstr(vd_buf_text(&out), "h_bucket{le=\"0.002\"} 1\n"));
    assert_non_null(strstr(vd_buf_text(&out), "h_sum 0.002000000\nh_count 1\n"));
    vd_metrics_free(metrics);
}

TEST(a_quantile_lies_inside_the_bucket_that_holds_it)
{
    static const struct {
        struct vd_histogram histogram;
        int permille;
        int64_t us;
    } cases[] = {
        {{.counts = {0}}, 500, -1},
        {{.counts = {10}}, 500, 250},           /* the middle of 0 to 0.5 ms */
        {{.counts = {10}}, 1000, 500},          /* its end */
        {{.counts = {0, 0, 4}}, 0, 1250},       /* the first one */
        {{.counts = {50, 49, 1}}, 990, 1000},   /* the end of 0.5 to 1 ms */
        {{.counts = {50, 49, 1}}, 991, 2000},   /* the one behind it */
        {{.counts = {98, 0, 0, 2}}, 990, 3000}, /* the first of two, in 2 to 4 ms */
        {{.counts = {[VD_HISTOGRAM_BUCKETS - 2] = 1}}, 500, 32768000},
        {{.counts = {[VD_HISTOGRAM_BUCKETS - 1] = 1}}, 500, 32768000}, /* longer than that */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t us = vd_histogram_quantile_us(&cases[i].histogram, cases[i].permille);

        if (us != cases[i].us) {
            fail_msg("case %zu: %lld us, must be %lld", i, (long long)us, (long long)cases[i].us);
        }
    }
}

TEST(a_histogram_is_read_as_it_was_observed)
{
    struct vd_metrics *metrics = vd_metrics_new();
    struct vd_metric *wait = vd_metric_get(metrics, VD_HISTOGRAM, "wait_seconds", NULL, "W.");
    struct vd_histogram seen;

    vd_metric_observe(wait, 0.0005);
    vd_metric_observe_many(wait, 0.0007, 1000);
    vd_metric_observe_many(wait, 1000, 2);
    vd_metric_read(wait, &seen);
    assert_int_equal(seen.counts[0], 1);
    assert_int_equal(seen.counts[1], 1000);
    assert_int_equal(seen.counts[VD_HISTOGRAM_BUCKETS - 1], 2);
    assert_int_equal(vd_metric_value(wait), 1003);
    vd_metrics_free(metrics);
}

static void *add_often(void *arg)
{
    struct vd_metric **both = arg;

    for (int i = 0; i < ADDS_EACH; i++) {
        vd_metric_add(both[0], 1);
        vd_metric_observe(both[1], 0.001);
    }
    return NULL;
}

TEST(threads_lose_no_counts)
{
    struct vd_metrics *metrics = vd_metrics_new();
    struct vd_metric *both[] = {vd_metric_get(metrics, VD_COUNTER, "c", NULL, "C."),
                                vd_metric_get(metrics, VD_HISTOGRAM, "h", NULL, "H.")};
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_often, both), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        VD_AUTO(buf) struct vd_buf out = {0};

        vd_metrics_format(metrics, &out);
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(vd_metric_value(both[0]), THREADS * ADDS_EACH);
    assert_int_equal(vd_metric_value(both[1]), THREADS * ADDS_EACH);
    vd_metrics_free(metrics);
}

RUN_TESTS(cmocka_unit_test(a_series_is_made_once),
          cmocka_unit_test(series_are_shown_by_name_under_one_head),
          cmocka_unit_test(a_histogram_counts_cumulatively),
          cmocka_unit_test(a_histogram_without_labels_has_only_le),
          cmocka_unit_test(a_quantile_lies_inside_the_bucket_that_holds_it),
          cmocka_unit_test(a_histogram_is_read_as_it_was_observed),
          cmocka_unit_test(threads_lose_no_counts))
