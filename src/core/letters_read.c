/* Reading topics of letters: each partition twice, first for its receipts, which stand behind the
 * letters they are for. So memory holds receipts only, never letters. */
#include "letters_inside.h"
#include "map.h"

#define POLL_MS 100

/* One partition on its way through a function. */
struct reading {
    rd_kafka_t *rk;
    const char *topic;
    int32_t partition;
    int64_t end; /* records below it are read */
};

typedef bool record_fn(void *arg, const struct vd_letter *letter);

/* Read on until the end, or until 'each' has enough. */
static enum vd_status read_on(struct vd_scan *scan, const struct reading *reading, record_fn *each,
                              void *arg, struct vd_err *err)
{
    int64_t deadline_ns = vd_mono_ns() + VD_LETTERS_TIMEOUT_MS * INT64_C(1000000);
    enum vd_status status = VD_OK;
    bool is_more = true;

    while (is_more && status == VD_OK) {
        rd_kafka_message_t *message = vd_scan_next(scan, POLL_MS);
        struct vd_letter letter;

        if (message == NULL) {
            if (vd_mono_ns() > deadline_ns) {
                status = vd_scan_fail(scan, reading->partition, "no answer from the broker", err);
            }
            continue;
        }
        deadline_ns = vd_mono_ns() + VD_LETTERS_TIMEOUT_MS * INT64_C(1000000);
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            is_more = message->offset < reading->end;
        } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            status = vd_scan_fail(scan, reading->partition, rd_kafka_message_errstr(message), err);
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
    struct vd_scan scan;
    enum vd_status status =
        vd_scan_open(&scan, reading->rk, reading->topic, VD_LETTERS_TIMEOUT_MS, err);

    if (status != VD_OK) {
        return status;
    }
    status = vd_scan_begin(&scan, reading->partition, RD_KAFKA_OFFSET_BEGINNING, err);
    if (status == VD_OK) {
        status = read_on(&scan, reading, each, arg, err);
    }
    vd_scan_close(&scan);
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
    struct pass pass = {.box = box, .each = each, .arg = arg};
    enum vd_status status = VD_OK;

    for (int32_t p = 0; p < count; p++) {
        (void)rd_kafka_topic_partition_list_add(ends, box->topic->name, p); /* ends->elems[p] */
    }
    if (count > 0) {
        status = vd_kafka_end_offsets(letters->kafka, ends, true, VD_LETTERS_TIMEOUT_MS, err);
    }
    for (int32_t p = 0; p < count && status == VD_OK && !pass.has_enough; p++) {
        const struct reading reading = {.rk = letters->rk,
                                        .topic = box->topic->name,
                                        .partition = p,
                                        .end = ends->elems[p].offset};

        if (reading.end > 0 && (only < 0 || only == p)) {
            status = read_partition(&pass, &reading, err);
        }
    }
    rd_kafka_topic_partition_list_destroy(ends);
    return status;
}
