/* Topics at rest: where they end, what groups have read of them, and every record, read outside of
 * any group, so that nobody is disturbed. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "audit_run.h"
#include "letter.h"
#include "scan.h"

#define ASK_MS 10000     /* for the broker's answer to one question */
#define SILENCE_MS 20000 /* without a record: it does not go on */
#define POLL_MS 500
#define LOOK_RECORDS 4096 /* between two looks at the clock */
#define TERMINAL_MS 200   /* between two lines of progress, in place */
#define FILE_MS 10000     /* likewise where they stay */

void vd_audit_tell(struct vd_audit_run *run, const char *what, int64_t count)
{
    const bool is_terminal = isatty(STDERR_FILENO) == 1;
    const int64_t now_ms = vd_mono_ns() / 1000000;

    if (what == NULL) {
        if (run->is_told) {
            (void)fprintf(stderr, "\r\033[K"); /* progress is a courtesy: nobody misses it */
            run->is_told = false;
        }
        return;
    }
    if (run->told_ms == 0) {
        run->told_ms = now_ms; /* what is quick is not told at all */
    }
    if (count % LOOK_RECORDS != 0 ||
        now_ms - run->told_ms < (is_terminal ? TERMINAL_MS : FILE_MS)) {
        return;
    }
    run->told_ms = now_ms;
    run->is_told = is_terminal;
    (void)fprintf(stderr, is_terminal ? "\r\033[Kreading %s: %lld" : "votingd: reading %s: %lld\n",
                  what, (long long)count);
}

/* ---- questions ------------------------------------------------------------------------------- */

static rd_kafka_topic_partition_list_t *list_partitions(const struct vd_audit_mark *mark)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(mark->partitions);

    for (int32_t p = 0; p < mark->partitions; p++) {
        (void)rd_kafka_topic_partition_list_add(list, mark->topic->name, p); /* list->elems[p] */
    }
    return list;
}

/* What to ask of a list of partitions: vd_kafka_end_offsets, or where they begin. */
enum end {
    END_STABLE,
    END_WRITTEN,
    BEGIN,
};

static enum vd_status ask(struct vd_audit_run *run, const struct vd_audit_mark *mark, enum end end,
                          int64_t *offsets, struct vd_err *err)
{
    rd_kafka_topic_partition_list_t *list = list_partitions(mark);
    enum vd_status status =
        end == BEGIN ? vd_kafka_begin_offsets(run->kafka, list, ASK_MS, err)
                     : vd_kafka_end_offsets(run->kafka, list, end == END_STABLE, ASK_MS, err);

    for (int32_t p = 0; p < mark->partitions && status == VD_OK; p++) {
        offsets[p] = list->elems[p].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

enum vd_status vd_audit_ask_ends(struct vd_audit_run *run, const struct vd_audit_mark *mark,
                                 int64_t *ends, struct vd_err *err)
{
    return ask(run, mark, END_WRITTEN, ends, err);
}

/* A handle of the group that never joins it. Uncommitted reading, so that an offset that is still
 * in a transaction is not waited for: it is the topics' business to say that one is open. */
enum vd_status vd_audit_ask_committed(struct vd_audit_run *run, const char *group,
                                      const struct vd_audit_mark *mark, int64_t *committed,
                                      struct vd_err *err)
{
    char text[512] = "";
    rd_kafka_conf_t *conf =
        vd_kafka_client_conf(run->kafka, "group.id", group, "enable.auto.commit", "false",
                             "isolation.level", "read_uncommitted", NULL);
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    rd_kafka_topic_partition_list_t *list = NULL;
    rd_kafka_resp_err_t error;

    if (handle == NULL) {
        rd_kafka_conf_destroy(conf);
        return vd_fail(err, VD_FAILED, "could not create a Kafka consumer: %s", text);
    }
    list = list_partitions(mark);
    error = rd_kafka_committed(handle, list, ASK_MS);
    for (int32_t p = 0; p < mark->partitions && error == RD_KAFKA_RESP_ERR_NO_ERROR; p++) {
        error = list->elems[p].err;
        committed[p] = list->elems[p].offset < 0 ? VD_NO_OFFSET : list->elems[p].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return vd_fail(err, VD_FAILED, "could not ask what group \"%s\" has committed: %s", group,
                       rd_kafka_err2str(error));
    }
    return VD_OK;
}

/* ---- the reader ------------------------------------------------------------------------------ */

static enum vd_status open_mark(struct vd_audit_run *run, struct vd_audit_mark *mark,
                                struct vd_err *err)
{
    mark->partitions = mark->topic->partitions_found;
    if (mark->partitions == 0) {
        return vd_fail(err, VD_INVALID,
                       "topic \"%s\" does not exist: this topology has not run yet, or its brokers "
                       "are others",
                       mark->topic->name);
    }
    mark->begin = vd_alloc_array((size_t)mark->partitions, sizeof(*mark->begin));
    mark->stable = vd_alloc_array((size_t)mark->partitions, sizeof(*mark->stable));
    mark->written = vd_alloc_array((size_t)mark->partitions, sizeof(*mark->written));
    /* In this order: what is stable now was written before. */
    if (ask(run, mark, BEGIN, mark->begin, err) != VD_OK ||
        ask(run, mark, END_STABLE, mark->stable, err) != VD_OK) {
        return err->status;
    }
    return ask(run, mark, END_WRITTEN, mark->written, err);
}

enum vd_status vd_audit_open_topics(struct vd_audit_run *run, struct vd_err *err)
{
    struct vd_topology *topology = run->topology;

    run->reader = vd_scan_client(run->kafka, "error", err);
    if (run->reader == NULL) {
        return err->status;
    }
    run->mark_count = vd_topology_data_topics(topology);
    run->marks = vd_alloc_array(run->mark_count + 1, sizeof(*run->marks));
    if (vd_topics_look(run->kafka, topology->topics, run->mark_count, ASK_MS, err) != VD_OK) {
        return err->status;
    }
    for (size_t i = 0; i < run->mark_count; i++) {
        run->marks[i].topic = topology->topics[i];
        if (open_mark(run, &run->marks[i], err) != VD_OK) {
            return err->status;
        }
    }
    return VD_OK;
}

void vd_audit_close_topics(struct vd_audit_run *run)
{
    for (size_t i = 0; i < run->mark_count && run->marks != NULL; i++) {
        free(run->marks[i].begin);
        free(run->marks[i].stable);
        free(run->marks[i].written);
    }
    free(run->marks);
    vd_scan_client_free(run->reader);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct reading {
    struct vd_audit_run *run;
    const struct vd_audit_reading *what;
    struct vd_scan scan;
    bool *is_done; /* by partition */
    int32_t left;  /* partitions not done */
    int64_t count;
};

static void finish(struct reading *reading, int32_t partition)
{
    if (!reading->is_done[partition]) {
        reading->is_done[partition] = true;
        reading->left--;
    }
}

/* Is a record what its port says? Of an input, what the stage takes; of an output, no replay, which
 * stands for a record that is there already; of dead letters, those of the stage, since several may
 * share a topic. A receipt is nothing anywhere. */
static bool is_wanted(const struct vd_audit_reading *what, const rd_kafka_message_t *message)
{
    struct vd_letter letter;
    bool is_ours = true;

    vd_letter_read(message, &letter);
    if (letter.receipt_of >= 0) {
        return false;
    }
    switch (what->port) {
    case VD_AUDIT_INPUT:
        return vd_letter_route(letter.headers, what->stage, &is_ours, NULL) != VD_OK || is_ours;
    case VD_AUDIT_DEAD:
        return letter.stage != NULL && strcmp(letter.stage, what->stage) == 0;
    case VD_AUDIT_OUTPUT:
    case VD_AUDIT_TABLE:
        break;
    }
    return vd_letter_route(letter.headers, "", &is_ours, NULL) != VD_OK || is_ours;
}

/* What the headers of the record at hand say; one that cannot be read counts as absent. */
static void note_headers(struct vd_audit_run *run, const rd_kafka_message_t *message,
                         struct vd_record *record)
{
    rd_kafka_headers_t *headers = NULL;
    bool is_ours = true;

    run->is_sound = vd_record_from_message(message, record, NULL) == VD_OK;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        headers = NULL;
    }
    run->is_sound = run->is_sound && vd_letter_route(headers, "", &is_ours, NULL) == VD_OK;
    run->replay_of = vd_letter_replay_of(headers);
}

static void take_record(struct reading *reading, const rd_kafka_message_t *message)
{
    const struct vd_audit_reading *what = reading->what;
    const int64_t end = what->mark->stable[message->partition];
    struct vd_record record;

    if (message->offset < end && is_wanted(what, message)) {
        note_headers(reading->run, message, &record);
        what->on_record(what->arg, &record);
        vd_audit_tell(reading->run, what->mark->topic->name, ++reading->count);
    }
    if (message->offset + 1 >= end) {
        finish(reading, message->partition);
    }
}

/* Take messages until every partition has reached its mark. */
static enum vd_status read_all(struct reading *reading, struct vd_err *err)
{
    const char *topic = reading->what->mark->topic->name;
    int64_t deadline_ms = vd_mono_ns() / 1000000 + SILENCE_MS;

    while (reading->left > 0) {
        rd_kafka_message_t *message = vd_scan_next(&reading->scan, POLL_MS);
        const rd_kafka_resp_err_t error =
            message == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : message->err;

        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            take_record(reading, message);
        } else if (error == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            finish(reading, message->partition);
        } else if (error != RD_KAFKA_RESP_ERR__TIMED_OUT || vd_mono_ns() / 1000000 >= deadline_ms) {
            if (message != NULL) {
                rd_kafka_message_destroy(message);
            }
            return vd_fail(err, VD_FAILED, "could not read topic \"%s\": %s", topic,
                           rd_kafka_err2str(error));
        }
        if (message != NULL) {
            deadline_ms = vd_mono_ns() / 1000000 + SILENCE_MS;
            rd_kafka_message_destroy(message);
        }
    }
    return VD_OK;
}

/* Begin every partition that holds something. */
static enum vd_status begin_all(struct reading *reading, struct vd_err *err)
{
    const struct vd_audit_reading *what = reading->what;
    const struct vd_audit_mark *mark = what->mark;
    enum vd_status status = VD_OK;

    for (int32_t p = 0; p < mark->partitions && status == VD_OK; p++) {
        const int64_t begin = what->from == NULL || what->from[p] <= mark->begin[p]
                                  ? RD_KAFKA_OFFSET_BEGINNING
                                  : what->from[p];

        if (begin >= mark->stable[p] || mark->stable[p] == 0) { /* nothing to wait for */
            finish(reading, p);
        } else {
            status = vd_scan_begin(&reading->scan, p, begin, err);
        }
    }
    return status;
}

enum vd_status vd_audit_read_topic(struct vd_audit_run *run, const struct vd_audit_reading *what,
                                   struct vd_err *err)
{
    const struct vd_audit_mark *mark = what->mark;
    VD_AUTO(mem) bool *is_done = vd_alloc_array((size_t)mark->partitions, sizeof(*is_done));
    struct reading reading = {
        .run = run, .what = what, .is_done = is_done, .left = mark->partitions};
    enum vd_status status =
        vd_scan_open(&reading.scan, run->reader, mark->topic->name, ASK_MS, err);

    if (status != VD_OK) {
        return status;
    }
    status = begin_all(&reading, err);
    if (status == VD_OK) {
        status = read_all(&reading, err);
    }
    vd_scan_close(&reading.scan);
    vd_audit_tell(run, NULL, 0);
    return status;
}
