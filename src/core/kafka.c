/* Connection settings, and questions to the broker. */
#include "kafka.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "alloc.h"
#include "kafka_inside.h"
#include "loop_uv.h"

#define ASK_PAUSE_MS 50      /* between two attempts at one question */
#define SETTLE_PAUSE_MS 5    /* first pause between two looks at a partition's end, doubling ... */
#define SETTLE_PAUSE_MAX 100 /* ... up to this */
#define HANGING_MS \
    30000 /* no transaction of ours lasts as long, with the broker's time to end it */

const struct vd_opt vd_kafka_opts[] = {
    VD_OPT(struct vd_kafka_conf, brokers, .min = 1, .max = 4096,
           .help = "host:port of one or more brokers, separated by commas"),
    VD_OPT(struct vd_kafka_conf, partitions, .def = "1", .min = 1, .max = 10000,
           .help = "partitions of a new topic that declares none"),
    VD_OPT(struct vd_kafka_conf, replication, .def = "0", .min = 0, .max = 100,
           .help = "replicas of a new topic that declares none; 0: the broker's default"),
    VD_OPT(struct vd_kafka_conf, topic_wait_ms, .def = "5000", .min = 0, .max = 3600000,
           .help = "how long a start waits for the brokers before it says so, in milliseconds"),
    VD_OPT_END,
};

const struct vd_opt vd_topic_opts[] = {
    VD_OPT(struct vd_topic_conf, partitions, .def = "0", .min = 0, .max = 10000,
           .help = "number of partitions; 0: that of [kafka] when created, else any"),
    VD_OPT(struct vd_topic_conf, replication, .def = "0", .min = 0, .max = 100,
           .help = "number of replicas when created; 0: that of [kafka]"),
    VD_OPT(struct vd_topic_conf, cleanup, .def = "delete", .choices = "delete|compact",
           .help = "what the broker does with old records; a table needs compact"),
    VD_OPT(struct vd_topic_conf, retention_ms, .def = "0", .min = -1, .max = 9e15,
           .help = "how long records are kept, in milliseconds; -1: for ever, 0: not said"),
    VD_OPT(struct vd_topic_conf, generation, .def = "0", .min = 0, .max = 32767,
           .help = "raise it whenever the topic is deleted and created anew"),
    VD_OPT(struct vd_topic_conf, segment_bytes, .def = "0", .min = 0, .max = 2147483647,
           .help = "size of a log segment when created; 0: the broker's default"),
    VD_OPT(struct vd_topic_conf, external, .def = "no",
           .help = "yes: other programs write it, so no stage of this file has to"),
    VD_OPT_END,
};

/* What a topology may not set, and why. */
static const struct fixed {
    const char *name, *reason;
} fixed_props[] = {
    {"bootstrap.servers", "set \"brokers\" in [kafka]"},
    {"metadata.broker.list", "set \"brokers\" in [kafka]"},
    {"client.id", "it is made of application and node"},
    {"group.id", "it is made of application and stage"},
    {"group.instance.id", "it is made of application, stage and node"},
    {"transactional.id", "it is made of application, stage and node"},
    {"enable.auto.commit", "offsets are committed in transactions only"},
    {"enable.auto.offset.store", "offsets are committed in transactions only"},
    {"auto.commit.interval.ms", "offsets are committed in transactions only"},
    {"auto.commit.enable", "offsets are committed in transactions only"},
    {"offset.store.method", "offsets are committed in transactions only"},
    {"isolation.level", "stages read committed records only"},
    {"auto.offset.reset", "start positions are explicit"},
    {"enable.partition.eof", "the end of a partition tells that it is idle"},
    {"partition.assignment.strategy", "it depends on the version of librdkafka"},
    {"enable.idempotence", "every producer is idempotent"},
    {"acks", "every producer is idempotent"},
    {"request.required.acks", "every producer is idempotent"},
    {"max.in.flight", "every producer is idempotent"},
    {"max.in.flight.requests.per.connection", "every producer is idempotent"},
    {"message.send.max.retries", "every producer is idempotent"},
    {"retries", "every producer is idempotent"},
    {"queuing.strategy", "every producer is idempotent"},
    {"delivery.report.only.error", "a commit would wait for a poll"},
    {"transaction.timeout.ms", "it bounds how long a dead node holds up readers"},
    {"message.timeout.ms", "it is bounded by the transaction"},
    {"delivery.timeout.ms", "it is bounded by the transaction"},
    {"partitioner", "records go to the partition that Kafka's Java client picks"},
    {"allow.auto.create.topics", "a wrong name must not create a topic"},
    {"check.crcs", "damaged records must not be read"},
    {"log.queue", "librdkafka's log is ours"},
};

static const struct fixed *find_fixed(const char *name)
{
    for (size_t i = 0; i < sizeof(fixed_props) / sizeof(fixed_props[0]); i++) {
        if (strcmp(fixed_props[i].name, name) == 0) {
            return &fixed_props[i];
        }
    }
    return NULL;
}

static enum vd_status fail_unknown_prop(const char *name, struct vd_err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    size_t words = 0;
    const char **dump = rd_kafka_conf_dump(conf, &words);
    const char **names = vd_alloc_array(words / 2 + 1, sizeof(*names));
    const char *nearest;
    enum vd_status status;

    for (size_t i = 0; i + 1 < words; i += 2) {
        names[i / 2] = dump[i];
    }
    nearest = vd_nearest(name, names, words / 2);
    if (nearest != NULL) {
        status = vd_fail(err, VD_INVALID,
                         "property \"%s\": unknown to librdkafka %s; did you mean \"%s\"?", name,
                         rd_kafka_version_str(), nearest);
    } else {
        status = vd_fail(err, VD_INVALID, "property \"%s\": unknown to librdkafka %s", name,
                         rd_kafka_version_str());
    }
    free(names);
    rd_kafka_conf_dump_free(dump, words);
    rd_kafka_conf_destroy(conf);
    return status;
}

enum vd_status vd_kafka_check_prop(const char *name, const char *value, struct vd_err *err)
{
    const struct fixed *fixed = find_fixed(name);
    rd_kafka_conf_t *conf;
    rd_kafka_conf_res_t result;
    char text[512] = "";

    if (fixed != NULL) {
        return vd_fail(err, VD_INVALID, "property \"%s\": may not be set: %s", name, fixed->reason);
    }
    conf = rd_kafka_conf_new();
    result = rd_kafka_conf_set(conf, name, value, text, sizeof(text));
    rd_kafka_conf_destroy(conf);
    if (result == RD_KAFKA_CONF_OK) {
        return VD_OK;
    }
    if (result == RD_KAFKA_CONF_UNKNOWN) {
        return fail_unknown_prop(name, err);
    }
    return vd_fail(err, VD_INVALID, "property \"%s\": librdkafka refuses it: %s", name, text);
}

/* librdkafka has logged it already and goes on by itself; what is fatal shows at the next call. */
static void on_error(rd_kafka_t *rk, int error, const char *reason, void *opaque)
{
    struct vd_kafka *kafka = opaque;

    vd_metric_add(kafka->errors, 1);
    vd_debug(kafka->log, "%s: %s: %s", rd_kafka_name(rk),
             rd_kafka_err2name((rd_kafka_resp_err_t)error), reason);
}

struct vd_kafka *vd_kafka_new(struct vd_loop *loop, const struct vd_kafka_conf *conf,
                              struct vd_log *log, struct vd_metrics *metrics)
{
    struct vd_kafka *kafka = vd_alloc(sizeof(*kafka));

    kafka->loop = loop;
    kafka->conf = conf;
    kafka->log = log;
    kafka->errors = vd_metric_get(metrics, VD_COUNTER, "votingd_kafka_errors_total", NULL,
                                  "errors that Kafka clients reported and recovered from");
    kafka->lines_held_back =
        vd_metric_get(metrics, VD_COUNTER, "votingd_kafka_log_lines_held_back_total", NULL,
                      "log lines of Kafka clients that stood for nothing new");
    pthread_mutex_init(&kafka->lock, NULL);
    return kafka;
}

void vd_kafka_free(struct vd_kafka *kafka)
{
    if (kafka == NULL) {
        return;
    }
    vd_topics_cancel(kafka);
    for (size_t i = 0; i < 2; i++) {
        if (kafka->probes[i] != NULL) {
            rd_kafka_destroy_flags(kafka->probes[i], RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        }
    }
    pthread_mutex_destroy(&kafka->lock);
    free(kafka);
}

size_t vd_kafka_conf_record_max(const struct vd_kafka_conf *conf)
{
    size_t bytes = 1000000; /* librdkafka's default */

    for (size_t i = 0; i < conf->prop_count; i++) {
        if (strcmp(conf->props[i].name, "message.max.bytes") == 0) {
            bytes = strtoul(conf->props[i].value, NULL, 10); /* was checked */
        }
    }
    return bytes;
}

size_t vd_kafka_record_max(const struct vd_kafka *kafka)
{
    return vd_kafka_conf_record_max(kafka->conf);
}

static void set_prop(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[512] = "";
    const rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, value, text, sizeof(text));

    assert(result == RD_KAFKA_CONF_OK);
    (void)result; /* only asserted */
}

rd_kafka_conf_t *vd_kafka_client_conf(const struct vd_kafka *kafka, const char *first, ...)
{
    struct vd_kafka *shared = (struct vd_kafka *)kafka; /* the counter is not part of its value */
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char *id = vd_format("%s.%s.%d", kafka->conf->application, kafka->conf->node,
                         atomic_fetch_add(&shared->clients, 1) + 1);
    va_list pairs;

    set_prop(conf, "bootstrap.servers", kafka->conf->brokers);
    set_prop(conf, "client.id", id);
    set_prop(conf, "allow.auto.create.topics", "false");
    set_prop(conf, "socket.nagle.disable", "true");
    set_prop(conf, "socket.keepalive.enable", "true");
    set_prop(conf, "reconnect.backoff.max.ms", "2000"); /* default 10 s: too long after an outage */
    /* Default 30 s, and 15 between the last packets of it: likewise, where packets were lost. */
    set_prop(conf, "socket.connection.setup.timeout.ms", "5000");
    for (size_t i = 0; i < kafka->conf->prop_count; i++) {
        set_prop(conf, kafka->conf->props[i].name, kafka->conf->props[i].value);
    }
    va_start(pairs, first);
    for (const char *name = first; name != NULL; name = va_arg(pairs, const char *)) {
        set_prop(conf, name, va_arg(pairs, const char *));
    }
    va_end(pairs);
    rd_kafka_conf_set_opaque(conf, shared);
    rd_kafka_conf_set_log_cb(conf, vd_kafka_on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    free(id);
    return conf;
}

static rd_kafka_t *new_probe(struct vd_kafka *kafka, bool committed, struct vd_err *err)
{
    char text[512] = "";
    rd_kafka_conf_t *conf = vd_kafka_client_conf(
        kafka, "isolation.level", committed ? "read_committed" : "read_uncommitted",
        "enable.auto.commit", "false", "socket.timeout.ms", "10000", NULL);
    rd_kafka_t *probe;

    rd_kafka_conf_set_error_cb(conf, NULL); /* nobody polls it: errors would pile up */
    probe = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (probe == NULL) {
        rd_kafka_conf_destroy(conf);
        (void)vd_fail(err, VD_INVALID, "could not create a Kafka consumer: %s", text);
    }
    return probe;
}

/* Made without the lock: the library may log on this thread, and the log takes it. Of two threads
 * that make one at a time, the first one's stays. */
static rd_kafka_t *get_probe(struct vd_kafka *kafka, bool committed, struct vd_err *err)
{
    rd_kafka_t *probe, *mine;

    pthread_mutex_lock(&kafka->lock);
    probe = kafka->probes[committed];
    pthread_mutex_unlock(&kafka->lock);
    if (probe != NULL) {
        return probe;
    }
    mine = new_probe(kafka, committed, err);
    pthread_mutex_lock(&kafka->lock);
    if (kafka->probes[committed] == NULL) {
        kafka->probes[committed] = vd_take(mine);
    }
    probe = kafka->probes[committed];
    pthread_mutex_unlock(&kafka->lock);
    if (mine != NULL) {
        rd_kafka_destroy(mine);
    }
    return probe;
}

/* One question. 2.0.2's rd_kafka_query_watermark_offsets may overrun its time-out by a minute;
 * rd_kafka_offsets_for_times keeps it, asks with the handle's isolation level too, and takes the
 * logical offset for a time. It leaves the list as it was where it fails. */
static rd_kafka_resp_err_t ask_once(rd_kafka_t *probe, rd_kafka_topic_partition_list_t *list,
                                    int64_t logical, int64_t deadline_ms)
{
    const int64_t left_ms = deadline_ms - vd_mono_ms();
    rd_kafka_resp_err_t error;

    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = logical;
        list->elems[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    error = rd_kafka_offsets_for_times(probe, list, left_ms < 1 ? 1 : (int)left_ms);
    for (int i = 0; i < list->cnt && error == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        error = list->elems[i].err;
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR && list->elems[i].offset < 0) {
            error = RD_KAFKA_RESP_ERR__NO_OFFSET;
        }
    }
    return error;
}

enum vd_status vd_kafka_ping(struct vd_kafka *kafka, int timeout_ms, struct vd_err *err)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_t *probe = get_probe(kafka, false, err);
    rd_kafka_resp_err_t error;

    if (probe == NULL) {
        return VD_INVALID;
    }
    error =
        rd_kafka_metadata(probe, 0, NULL, &metadata, timeout_ms); /* of no topic in particular */
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return vd_fail(err, VD_FAILED, "no answer from \"%s\": %s", kafka->conf->brokers,
                       rd_kafka_err2str(error));
    }
    rd_kafka_metadata_destroy(metadata);
    return VD_OK;
}

void vd_kafka_explain_committed(struct vd_kafka *kafka, rd_kafka_resp_err_t code, int64_t waited_ms,
                                struct vd_err *err)
{
    /* The library tries again until its time is over where offsets are not stable (2.0.2). */
    bool is_unstable = code == RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT ||
                       (code == RD_KAFKA_RESP_ERR__TIMED_OUT && !atomic_load(&kafka->is_away));

    (void)vd_fail(err, VD_AGAIN, "could not read committed offsets: %s", rd_kafka_err2str(code));
    if (is_unstable && waited_ms >= HANGING_MS) {
        (void)vd_fail(
            err, VD_AGAIN,
            "could not read committed offsets for %lld s: %s: most likely a transaction "
            "that Kafka has forgotten never ends in __consumer_offsets: find it with "
            "\"kafka-transactions.sh --bootstrap-server %s find-hanging --broker-id ID\", "
            "end it with \"abort\" of the same program",
            (long long)waited_ms / 1000, rd_kafka_err2str(code), kafka->conf->brokers);
    }
}

/* 'logical' is RD_KAFKA_OFFSET_END or RD_KAFKA_OFFSET_BEGINNING. */
static enum vd_status ask_offsets(rd_kafka_t *probe, rd_kafka_topic_partition_list_t *list,
                                  int64_t logical, int timeout_ms, struct vd_err *err)
{
    const int64_t deadline_ms = vd_mono_ms() + timeout_ms;
    const char *which = logical == RD_KAFKA_OFFSET_END ? "end" : "beginning";
    rd_kafka_resp_err_t error;

    assert(list->cnt > 0);
    for (;;) { /* a leader moves, a broker is away: both pass */
        error = ask_once(probe, list, logical, deadline_ms);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return VD_OK;
        }
        if (vd_mono_ms() + ASK_PAUSE_MS >= deadline_ms) {
            return vd_fail(err, VD_FAILED,
                           "could not ask for the %s of \"%s\" partition %" PRId32 ": %s", which,
                           list->elems[0].topic, list->elems[0].partition, rd_kafka_err2str(error));
        }
        vd_pause_ms(ASK_PAUSE_MS);
    }
}

enum vd_status vd_kafka_end_offsets(struct vd_kafka *kafka, rd_kafka_topic_partition_list_t *list,
                                    bool committed, int timeout_ms, struct vd_err *err)
{
    rd_kafka_t *probe = get_probe(kafka, committed, err);

    return probe == NULL ? VD_INVALID
                         : ask_offsets(probe, list, RD_KAFKA_OFFSET_END, timeout_ms, err);
}

enum vd_status vd_kafka_begin_offsets(struct vd_kafka *kafka, rd_kafka_topic_partition_list_t *list,
                                      int timeout_ms, struct vd_err *err)
{
    rd_kafka_t *probe = get_probe(kafka, false, err);

    return probe == NULL ? VD_INVALID
                         : ask_offsets(probe, list, RD_KAFKA_OFFSET_BEGINNING, timeout_ms, err);
}

/* Wait for the partition in 'list'. */
static enum vd_status settle(struct vd_kafka *kafka, rd_kafka_topic_partition_list_t *list,
                             int timeout_ms, struct vd_err *err)
{
    const int64_t deadline_ms = vd_mono_ms() + timeout_ms;
    const rd_kafka_topic_partition_t *at = &list->elems[0];
    int64_t pause = SETTLE_PAUSE_MS;
    int64_t settled = 0;
    int64_t written;
    int64_t left_ms;

    if (vd_kafka_end_offsets(kafka, list, false, timeout_ms, err) != VD_OK) {
        return vd_fail_in(err, "could not settle");
    }
    written = at->offset;
    for (;;) {
        left_ms = deadline_ms - vd_mono_ms();
        if (left_ms <= 0) {
            return vd_fail(err, VD_AGAIN,
                           "\"%s\" partition %" PRId32
                           " is not settled: readable up to offset %" PRId64
                           ", written up to %" PRId64,
                           at->topic, at->partition, settled, written);
        }
        if (vd_kafka_end_offsets(kafka, list, true, (int)left_ms, err) != VD_OK) {
            return vd_fail_in(err, "could not settle");
        }
        settled = at->offset;
        if (settled >= written) {
            return VD_OK;
        }
        vd_pause_ms(pause < left_ms ? pause : left_ms);
        pause = pause * 2 < SETTLE_PAUSE_MAX ? pause * 2 : SETTLE_PAUSE_MAX;
    }
}

enum vd_status vd_kafka_wait_settled(struct vd_kafka *kafka, const char *topic, int32_t partition,
                                     int timeout_ms, struct vd_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    enum vd_status status;

    (void)rd_kafka_topic_partition_list_add(list, topic, partition); /* list->elems[0] */
    status = settle(kafka, list, timeout_ms, err);
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}
