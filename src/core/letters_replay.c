/* --dead-letters replay: the record goes back to the topic and the partition it came from, in one
 * transaction with the receipt that keeps it from going there again. What a kill or an error leaves
 * open, the broker settles before the letters are read anew: there is no state but the topics. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "letters_inside.h"
#include "loop_uv.h"
#include "node.h"
#include "producer.h"

#define TRANSACTION_LETTERS 200
#define TRANSACTION_BYTES ((size_t)1024 * 1024)
#define SETTLE_MS 30000 /* another's open transaction may hide receipts; it ends in 10 s */
#define ROUNDS_MAX 5    /* after so many doubts in a row the command gives up */
#define REASONS_MAX 8
#define PAUSE_MS 200                      /* between two looks for the coordinator */
#define TELL_NS (2 * INT64_C(1000000000)) /* between two lines about long work */

/* Letters that cannot be replayed, by reason. */
struct skipped {
    char *reason; /* owned */
    int64_t count;
};

struct replay {
    struct vd_letters *letters;
    struct vd_producer *producer;
    const char **topics; /* all of the topology, as in all_topics: the producer's */
    struct vd_txn_job *job;
    const struct vd_letters_box *box; /* of the letters in the job */
    int32_t first_partition;          /* of the first letter in the job */
    int64_t first_offset;             /* likewise */
    int64_t pending;                  /* letters in the job */
    int64_t doubtful;                 /* letters in the last job, which was not answered */
    int64_t done, before;             /* replayed by us; found replayed */
    struct skipped skipped[REASONS_MAX];
    size_t skipped_count;
    int64_t told_ns;
    struct vd_err err;
};

/* ---- what a replay is ------------------------------------------------------------------------ */

static const struct vd_stage_conf *find_stage(const struct vd_topology *topology, const char *name)
{
    for (size_t i = 0; i < topology->all_stage_count; i++) {
        if (strcmp(topology->all_stages[i]->name, name) == 0) {
            return topology->all_stages[i];
        }
    }
    return NULL;
}

static const struct vd_topic_conf *find_input(const struct vd_stage_conf *conf, const char *topic)
{
    for (size_t i = 0; i < vd_port_count(conf->desc->inputs); i++) {
        if (conf->inputs[i] != NULL && strcmp(conf->inputs[i]->name, topic) == 0) {
            return conf->inputs[i];
        }
    }
    return NULL;
}

/* The topic that the record of a letter goes back to, or NULL with the reason in 'err'. */
static const struct vd_topic_conf *find_target(const struct vd_topology *topology,
                                               const struct vd_letter *letter, struct vd_err *err)
{
    const struct vd_stage_conf *conf = NULL;
    const struct vd_topic_conf *topic = NULL;

    if (letter->stage == NULL) {
        (void)vd_fail(err, VD_INVALID, "not written by a stage");
    } else if (letter->from == NULL || !letter->record.has_position) {
        (void)vd_fail(err, VD_INVALID, "came from no topic");
    } else if (letter->cut_bytes >= 0) {
        (void)vd_fail(err, VD_INVALID, "cut, its record was too large to be kept in full");
    } else if ((conf = find_stage(topology, letter->stage)) == NULL) {
        (void)vd_fail(err, VD_INVALID, "no stage \"%.64s\" in this topology", letter->stage);
    } else if ((topic = find_input(conf, letter->from)) == NULL) {
        (void)vd_fail(err, VD_INVALID, "stage \"%s\" does not read topic \"%.249s\"", conf->name,
                      letter->from);
    } else if (letter->record.position.partition >= topic->partitions_found) {
        (void)vd_fail(err, VD_INVALID, "topic \"%s\" has only %" PRId32 " partitions", topic->name,
                      topic->partitions_found);
    } else {
        return topic;
    }
    return NULL;
}

/* The record's own headers, but for what its repetition must not carry (letter.h). */
static void add_headers(struct vd_txn_job *job, const struct vd_letter *letter)
{
    VD_AUTO(buf) struct vd_buf given = {0};
    const char *name = NULL;
    const void *value = NULL;
    size_t len = 0;

    for (size_t i = 0; rd_kafka_header_get_all(letter->headers, i, &name, &value, &len) ==
                       RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        vd_buf_clear(&given);
        if (vd_letter_give_name(name, &given) &&
            strcmp(vd_buf_text(&given), VD_POSITION_HEADER) != 0 &&
            strcmp(vd_buf_text(&given), VD_LETTER_REPLAY) != 0) {
            vd_txn_job_header(job, vd_buf_text(&given), value, len);
        }
    }
    vd_buf_clear(&given);
    vd_letter_add_replay(
        letter->stage,
        letter->stands_for >= 0 ? letter->stands_for : letter->record.position.offset, &given);
    vd_txn_job_header(job, VD_LETTER_REPLAY, given.data, given.len);
}

static uint16_t index_of(const struct vd_topology *topology, const struct vd_topic_conf *topic)
{
    size_t i = 0;

    while (topology->all_topics[i] != topic) {
        i++;
    }
    return (uint16_t)i;
}

static void add_record(struct replay *replay, const struct vd_letter *letter,
                       const struct vd_topic_conf *target)
{
    const struct vd_record *record = &letter->record;
    struct vd_txn_record *out =
        vd_txn_job_add(replay->job, record->key, record->key_len, record->value, record->value_len);

    out->topic = index_of(replay->letters->topology, target);
    out->partition = record->position.partition;
    out->timestamp_ms = record->timestamp_ms < 0 ? 0 : record->timestamp_ms;
    add_headers(replay->job, letter);
}

static void add_receipt(struct replay *replay, const struct vd_letter *letter)
{
    struct vd_txn_record *out = vd_txn_job_add(replay->job, NULL, 0, NULL, 0);
    char text[32];

    out->topic = index_of(replay->letters->topology, replay->box->topic);
    out->partition = letter->record.partition;
    (void)snprintf(text, sizeof(text), "%" PRId64, letter->record.offset); /* fits */
    vd_txn_job_header(replay->job, VD_LETTER_RECEIPT, text, strlen(text));
    (void)snprintf(text, sizeof(text), "%" PRId64, vd_wall_ms()); /* fits */
    vd_txn_job_header(replay->job, VD_LETTER_TIME, text, strlen(text));
}

/* ---- transactions ---------------------------------------------------------------------------- */

static void drop_job(struct replay *replay)
{
    vd_txn_job_free(replay->job);
    replay->job = NULL;
    replay->pending = 0;
}

static void tell_progress(struct replay *replay)
{
    int64_t now_ns = vd_mono_ns();

    if (now_ns - replay->told_ns >= TELL_NS) {
        (void)fprintf(stderr, "replayed %" PRId64 " so far\n", replay->done); /* only a comfort */
        replay->told_ns = now_ns;
    }
}

static enum vd_status commit(struct replay *replay)
{
    enum vd_status status = VD_OK;

    if (replay->pending == 0) {
        return VD_OK;
    }
    if (replay->letters->filter.conf->dry_run) {
        replay->done += replay->pending;
    } else {
        status = vd_producer_commit(replay->producer, replay->job, &replay->err);
        if (status == VD_OK) { /* or replace the producer where an answer was lost */
            replay->done += replay->pending;
            status = vd_producer_ready(replay->producer, &replay->err);
        } else {
            replay->doubtful = replay->pending;
            return status; /* the job's first letter is looked for in the next round */
        }
    }
    drop_job(replay);
    tell_progress(replay);
    return status;
}

static void skip_letter(struct replay *replay, const char *reason)
{
    struct skipped *at = replay->skipped;
    struct skipped *end = at + replay->skipped_count;

    while (at < end && strcmp(at->reason, reason) != 0) {
        at++;
    }
    if (at == end && replay->skipped_count < REASONS_MAX) {
        at->reason = vd_strdup(++replay->skipped_count < REASONS_MAX ? reason : "other reasons");
    } else if (at == end) {
        at--;
    }
    at->count++;
}

/* After a commit without an answer: whether it took place, the receipt of its first letter says. */
static void settle_doubt(struct replay *replay, const struct vd_letters_box *box,
                         const struct vd_letter *letter, enum vd_letters_state state)
{
    if (replay->doubtful > 0 && replay->box == box &&
        replay->first_partition == letter->record.partition &&
        replay->first_offset == letter->record.offset) {
        replay->done += state == VD_LETTERS_REPLAYED ? replay->doubtful : 0;
        replay->doubtful = 0;
    }
}

static bool on_letter(void *arg, const struct vd_letters_box *box, const struct vd_letter *letter,
                      enum vd_letters_state state)
{
    struct replay *replay = arg;
    const struct vd_letters_filter *filter = &replay->letters->filter;
    const struct vd_topic_conf *target;
    struct vd_err err = {0};

    settle_doubt(replay, box, letter, state);
    if (state != VD_LETTERS_NEW || !vd_letters_filter_match(filter, letter, false)) {
        return true;
    }
    target = find_target(replay->letters->topology, letter, &err);
    if (target == NULL) {
        skip_letter(replay, err.msg);
        return true;
    }
    if (replay->pending++ == 0) {
        replay->job = vd_txn_job_new(VD_TXN_COMMIT, NULL);
        replay->box = box;
        replay->first_partition = letter->record.partition;
        replay->first_offset = letter->record.offset;
    }
    add_record(replay, letter, target);
    add_receipt(replay, letter);
    if (replay->pending == TRANSACTION_LETTERS || replay->job->arena.len >= TRANSACTION_BYTES ||
        replay->done + replay->pending == filter->limit) {
        return commit(replay) == VD_OK && replay->done < filter->limit;
    }
    return true;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

/* Wait for the coordinator, which first settles what an earlier replay has left open. */
static enum vd_status wait_ready(struct replay *replay)
{
    int64_t deadline_ns = vd_mono_ns() + VD_LETTERS_TIMEOUT_MS * INT64_C(1000000);
    enum vd_status status;

    while ((status = vd_producer_ready(replay->producer, &replay->err)) == VD_AGAIN &&
           vd_mono_ns() < deadline_ns) {
        vd_pause_ms(PAUSE_MS); /* an error may come at once */
    }
    return status;
}

/* Wait until every receipt that was ever written can be read: the stages' transactions, too, hide
 * what stands behind them. */
static enum vd_status settle(struct replay *replay, const struct vd_letters_box *box)
{
    enum vd_status status = VD_OK;

    for (int32_t p = 0; p < box->topic->partitions_found && status == VD_OK; p++) {
        status = vd_kafka_wait_settled(replay->letters->kafka, box->topic->name, p, SETTLE_MS,
                                       &replay->err);
    }
    return status;
}

static void forget_skipped(struct replay *replay)
{
    for (size_t i = 0; i < replay->skipped_count; i++) {
        free(replay->skipped[i].reason);
        replay->skipped[i] = (struct skipped){0};
    }
    replay->skipped_count = 0;
}

static enum vd_status run_round(struct replay *replay)
{
    struct vd_letters *letters = replay->letters;
    enum vd_status status = VD_OK;

    forget_skipped(replay);
    if (letters->filter.conf->dry_run) {
        replay->done = 0; /* no receipt says what was counted in the round before */
    } else {
        status = wait_ready(replay);
    }
    for (size_t i = 0;
         i < letters->box_count && status == VD_OK && replay->done < letters->filter.limit; i++) {
        const struct vd_letters_box *box = &letters->boxes[i];

        replay->err = (struct vd_err){0};
        status = letters->filter.conf->dry_run ? VD_OK : settle(replay, box);
        if (status == VD_OK) {
            status = vd_letters_read(letters, box, on_letter, replay, &replay->err);
        }
        if (status == VD_OK) { /* a commit that failed has left its words */
            status = replay->err.status != VD_OK ? replay->err.status : commit(replay);
        }
    }
    return status;
}

static enum vd_status run(struct replay *replay)
{
    enum vd_status status = run_round(replay);

    for (int round = 1;
         round < ROUNDS_MAX && status != VD_OK && !vd_producer_is_fenced(replay->producer);
         round++) {
        drop_job(replay);
        vd_producer_recycle(replay->producer);
        status = run_round(replay);
    }
    return status;
}

/* ---- words ----------------------------------------------------------------------------------- */

static int tell(struct replay *replay, struct vd_err *err)
{
    const struct vd_letters *letters = replay->letters;
    VD_AUTO(buf) struct vd_buf out = {0};

    if (replay->done == 0 && replay->skipped_count == 0) {
        vd_buf_add_text(&out, "nothing to replay\n");
    } else {
        vd_buf_printf(&out, "%s %" PRId64 " letter%s\n",
                      letters->filter.conf->dry_run ? "would replay" : "replayed", replay->done,
                      replay->done == 1 ? "" : "s");
    }
    for (size_t i = 0; i < replay->skipped_count; i++) {
        vd_buf_printf(&out, "skipped %" PRId64 ": ", replay->skipped[i].count);
        vd_letters_add_safe(&out, replay->skipped[i].reason, strlen(replay->skipped[i].reason), 0);
        vd_buf_add_char(&out, '\n');
    }
    if (vd_letters_put(&out, err) != VD_OK) {
        return VD_EXIT_FAILURE;
    }
    return replay->skipped_count == 0 ? VD_EXIT_OK : VD_EXIT_FAILURE;
}

static int tell_failure(const struct replay *replay, struct vd_err *err)
{
    if (vd_producer_is_fenced(replay->producer)) {
        (void)vd_fail(err, VD_FAILED,
                      "another --dead-letters replay has taken over; this one has replayed "
                      "%" PRId64,
                      replay->done);
        return VD_EXIT_FENCED;
    }
    (void)vd_fail(err, VD_FAILED, "%s; replayed %" PRId64 "%s, run it again for the rest",
                  replay->err.msg, replay->done, replay->doubtful > 0 ? " or more" : "");
    return VD_EXIT_FAILURE;
}

int vd_letters_replay(struct vd_letters *letters, struct vd_err *err)
{
    const struct vd_topology *topology = letters->topology;
    struct replay replay = {.letters = letters, .told_ns = vd_mono_ns()};
    VD_AUTO(mem) char *id = vd_format("%s.dead-letters", topology->daemon.application);
    int code;

    replay.topics = vd_alloc_array(topology->all_topic_count, sizeof(*replay.topics));
    for (size_t i = 0; i < topology->all_topic_count; i++) {
        replay.topics[i] = topology->all_topics[i]->name;
    }
    replay.producer =
        vd_producer_new(letters->kafka, id, replay.topics, topology->all_topic_count, letters->log);
    code = run(&replay) == VD_OK ? tell(&replay, err) : tell_failure(&replay, err);
    drop_job(&replay);
    forget_skipped(&replay);
    vd_producer_free(replay.producer);
    free(replay.topics);
    return code;
}
