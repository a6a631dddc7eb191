/* Reading topics of letters: each partition twice, first for its receipts, which stand behind the
 * letters they are for. So memory holds receipts only, never letters. */
#include <inttypes.h>
#include <string.h>

#include "letters_inside.h"
#include "map.h"

#define POLL_MS 100

/* One partition on its way through a function. */
struct reading {
    rd_kafka_topic_t *rkt;
    int32_t partition;
    int64_t end; /* records below it are read */
};

typedef bool record_fn(void *arg, const struct vd_letter *letter);

enum vd_status vd_letters_open_reader(struct vd_letters *letters, struct vd_err *err)
{
    char text[512] = "";
    rd_kafka_conf_t *conf = vd_kafka_client_conf(
        letters->kafka, "isolation.level", "read_committed", "enable.auto.commit", "false",
        "enable.partition.eof", "true", "auto.offset.reset", "earliest", "check.crcs", "true",
        "fetch.wait.max.ms", "10", NULL);

    rd_kafka_conf_set_error_cb(conf, NULL); /* nobody polls it: errors would pile up */
    letters->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (letters->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return vd_fail(err, VD_INVALID, "could not create a Kafka consumer: %s", text);
    }
    return VD_OK;
}

static enum vd_status fail_reading(const struct reading *reading, const char *reason,
                                   struct vd_err *err)
{
    return vd_fail(err, VD_FAILED, "could not read \"%s\" partition %" PRId32 ": %s",
                   rd_kafka_topic_name(reading->rkt), reading->partition, reason);
}

/* Read from the beginning until the end, or until 'each' has enough. */
static enum vd_status read_on(const struct reading *reading, record_fn *each, void *arg,
                              struct vd_err *err)
{
    int64_t deadline_ns = vd_mono_ns() + VD_LETTERS_TIMEOUT_MS * INT64_C(1000000);
    enum vd_status status = VD_OK;
    bool is_more = true;

    while (is_more && status == VD_OK) {
        rd_kafka_message_t *message = rd_kafka_consume(reading->rkt, reading->partition, POLL_MS);
        struct vd_letter letter;

        if (message == NULL) {
            if (vd_mono_ns() > deadline_ns) {
                status = fail_reading(reading, "no answer from the broker", err);
            }
            continue;
        }
        deadline_ns = vd_mono_ns() + VD_LETTERS_TIMEOUT_MS * INT64_C(1000000);
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            is_more = message->offset < reading->end;
        } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            status = fail_reading(reading, rd_kafka_message_errstr(message), err);
        } else if (message->offset < reading->end) {
            vd_letter_read(message, &letter);
            is_more = each(arg, &letter) && message->offset + 1 < reading->end;
        } else {
            is_more = false;
        }
        rd_kafka_message_destroy(message);
    }
    return status;
}

static enum vd_status read_all(const struct reading *reading, record_fn *each, void *arg,
                               struct vd_err *err)
{
    enum vd_status status;

    if (rd_kafka_consume_start(reading->rkt, reading->partition, RD_KAFKA_OFFSET_BEGINNING) != 0) {
        return fail_reading(reading, rd_kafka_err2str(rd_kafka_last_error()), err);
    }
    status = read_on(reading, each, arg, err);
    (void)rd_kafka_consume_stop(reading->rkt, reading->partition); /* it was started */
    return status;
}

/* ---- the two rounds -------------------------------------------------------------------------- */

struct pass {
    const struct vd_letters_box *box;
    struct vd_map receipts; /* offset -> something */
    vd_letters_fn *each;
    void *arg;
    bool has_enough;
};

static bool on_receipt(void *arg, const struct vd_letter *letter)
{
    struct pass *pass = arg;

    if (letter->receipt_of >= 0) {
        (void)vd_map_put(&pass->receipts, &letter->receipt_of, sizeof(letter->receipt_of), pass);
    }
    return true;
}

static bool on_record(void *arg, const struct vd_letter *letter)
{
    struct pass *pass = arg;
    const int64_t *offset = &letter->record.offset;
    enum vd_letters_state state = VD_LETTERS_NEW;

    if (letter->receipt_of >= 0) {
        state = VD_LETTERS_RECEIPT;
    } else if (vd_map_find(&pass->receipts, offset, sizeof(*offset)) != NULL) {
        state = VD_LETTERS_REPLAYED;
    }
    pass->has_enough = !pass->each(pass->arg, pass->box, letter, state);
    return !pass->has_enough;
}

static enum vd_status read_partition(struct pass *pass, const struct reading *reading,
                                     struct vd_err *err)
{
    enum vd_status status = read_all(reading, on_receipt, pass, err);

    if (status == VD_OK) {
        status = read_all(reading, on_record, pass, err);
    }
    vd_map_fini(&pass->receipts, NULL);
    pass->receipts = (struct vd_map){0};
    return status;
}

enum vd_status vd_letters_read(struct vd_letters *letters, const struct vd_letters_box *box,
                               vd_letters_fn *each, void *arg, struct vd_err *err)
{
    const int64_t only = letters->filter.conf->partition;
    const int32_t count = box->topic->partitions_found;
    rd_kafka_topic_partition_list_t *ends = rd_kafka_topic_partition_list_new(count);
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(letters->rk, box->topic->name, NULL);
    struct pass pass = {.box = box, .each = each, .arg = arg};
    enum vd_status status = VD_OK;

    for (int32_t p = 0; p < count; p++) {
        (void)rd_kafka_topic_partition_list_add(ends, box->topic->name, p); /* ends->elems[p] */
    }
    if (count > 0) {
        status = vd_kafka_end_offsets(letters->kafka, ends, true, VD_LETTERS_TIMEOUT_MS, err);
    }
    for (int32_t p = 0; p < count && status == VD_OK && !pass.has_enough; p++) {
        const struct reading reading = {.rkt = rkt, .partition = p, .end = ends->elems[p].offset};

        if (reading.end > 0 && (only < 0 || only == p)) {
            status = read_partition(&pass, &reading, err);
        }
    }
    rd_kafka_topic_destroy(rkt);
    rd_kafka_topic_partition_list_destroy(ends);
    return status;
}
