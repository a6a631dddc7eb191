/* The engine against a real broker: what a stage learns of a partition before it is read, and what
 * becomes of its answer. */
#include "rig.h"

#include <signal.h>

static struct {
    struct vd_assign *asked[RIG_PARTITIONS];
    struct {
        int64_t begin, end, committed, last, emitted;
    } facts[RIG_PARTITIONS];
    size_t answers;
    int64_t start, last;        /* the answer for partition 0 */
    int64_t committed_at_batch; /* of partition 0, when the first batch was offered; -2: none was */
    char note[PEER_NOTE_BYTES]; /* likewise */
    const char *group, *in;
    char reason[512];
    int64_t stopped;
    int64_t reread_from, reread_last;
    size_t reread, parts;
    struct rig_node other;
    bool is_other_running, is_rechecked;
    int64_t since_ms;
} seen;

static struct vd_stage_desc desc;

static void open_with(struct rig *rig, const char *application,
                      void (*assign)(struct vd_stage *, void *, struct vd_assign *))
{
    memset(&seen, 0, sizeof(seen));
    seen.committed_at_batch = -2;
    seen.reread_last = -1;
    memset(&probe, 0, sizeof(probe));
    desc = rig_copy;
    desc.assign = assign;
    rig_open_copy(rig, application, "main");
    rig->conf.desc = &desc;
    rig->inputs[0]->generation = 1;
}

static void note_facts(const struct vd_assign *assign)
{
    int32_t partition = vd_assign_partition(assign);

    probe.assigned++;
    seen.facts[partition].begin = vd_assign_begin(assign);
    seen.facts[partition].end = vd_assign_end(assign);
    seen.facts[partition].committed = vd_assign_committed(assign);
    seen.facts[partition].last = vd_assign_last(assign);
    seen.facts[partition].emitted = vd_assign_emitted(assign);
}

static void start_where_it_was(struct vd_stage *stage, void *state, struct vd_assign *assign)
{
    note_facts(assign);
    vd_assign_start(assign, vd_assign_committed(assign), vd_assign_last(assign));
}

static bool is_asked(struct rig *rig)
{
    return probe.assigned == RIG_PARTITIONS && rig->stage->part_count > 0;
}

/* Copy so many numbers under generation 1. */
static void copy_numbers(const char *application, int count)
{
    struct rig rig;

    rig_send_numbers(application, 0, count);
    open_with(&rig, application, start_where_it_was);
    rig.expected = (size_t)count;
    rig_run(&rig, rig_has_all);
}

static void send_position(const char *topic, int32_t partition, struct vd_position position,
                          int count)
{
    uint8_t bytes[VD_POSITION_BYTES];

    position.previous = VD_NO_OFFSET;
    vd_position_format(&position, bytes);
    for (int i = 0; i < count; i++) {
        peer_send_source(topic, partition, "x", bytes, sizeof(bytes));
    }
    peer_flush();
}

TEST(what_was_emitted_last_is_found_behind_all_that_is_not_ours)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    VD_AUTO(mem) char *out = vd_format("%s-out", application);
    struct rig rig;

    open_with(&rig, application, start_where_it_was);
    rig_run(&rig, is_asked);
    for (int p = 0; p < RIG_PARTITIONS; p++) { /* nothing was ever read or written */
        assert_int_equal(seen.facts[p].begin, 0);
        assert_int_equal(seen.facts[p].end, 0);
        assert_int_equal(seen.facts[p].committed, VD_NO_OFFSET);
        assert_int_equal(seen.facts[p].emitted, VD_NO_OFFSET);
    }
    copy_numbers(application, 40);
    peer_abort(out, 0, 300);
    for (int i = 0; i < 300; i++) {
        peer_send(out, 1, "k", "no header");
    }
    send_position(out, 2, (struct vd_position){.generation = 0, .partition = 2, .offset = 99}, 100);
    peer_send_source(out, 3, "odd", "\1odd", 4);
    peer_flush();
    open_with(&rig, application, start_where_it_was);
    rig_run(&rig, is_asked);
    for (int p = 0; p < RIG_PARTITIONS; p++) {
        assert_int_equal(seen.facts[p].begin, 0);
        assert_int_equal(seen.facts[p].end, 10);
        assert_int_equal(seen.facts[p].committed, 10);
        assert_int_equal(seen.facts[p].last, 9);
        assert_int_equal(seen.facts[p].emitted, 9);
    }
}

/* Partitions are stopped, and the others have done their 20 records. */
static bool is_rest_done(struct rig *rig)
{
    const struct vd_stage *stage = rig->stage;

    seen.stopped = 0;
    for (size_t i = 0; i < stage->part_count; i++) {
        const struct vd_part *part = stage->parts[i];

        seen.stopped += part->stopped != NULL;
        if (part->stopped == NULL && (part->next_offset < 20 || part->head != NULL)) {
            return false;
        }
    }
    if (seen.stopped == 0) {
        return false;
    }
    assert_false(vd_stage_is_ready(stage, seen.reason, sizeof(seen.reason)));
    return vd_metric_value(stage->metrics.stopped) == seen.stopped;
}

TEST(partitions_that_this_build_must_not_touch_are_stopped_and_the_others_run_on)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    VD_AUTO(mem) char *out = vd_format("%s-out", application);
    VD_AUTO(mem) char *in = vd_format("%s-in", application);
    VD_AUTO(mem) char *group = vd_format("%s.probe", application);
    uint8_t version[VD_POSITION_BYTES] = {9};
    struct rig rig;

    copy_numbers(application, 40);
    peer_send_source(out, 0, "new", version, sizeof(version));
    peer_flush();
    send_position(out, 1, (struct vd_position){.generation = 1, .partition = 3, .offset = 11}, 1);
    send_position(out, 2, (struct vd_position){.generation = 2, .partition = 2, .offset = 11}, 1);
    rig_send_numbers(application, 40, 80);
    open_with(&rig, application, start_where_it_was);
    rig_run(&rig, is_rest_done);
    assert_int_equal(seen.stopped, 3);
    assert_non_null(strstr(seen.reason, "version 9 is newer than 1: run the same version"));
    assert_int_equal(probe.assigned, 1);
    assert_int_equal(peer_committed(group, in, 0, NULL), 10);
    assert_int_equal(peer_committed(group, in, 1, NULL), 10);
    assert_int_equal(peer_committed(group, in, 2, NULL), 10);
    assert_int_equal(peer_committed(group, in, 3, NULL), 20);
}

TEST(a_start_outside_the_log_is_stopped_with_what_exists)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    VD_AUTO(mem) char *in = vd_format("%s-in", application);
    VD_AUTO(mem) char *group = vd_format("%s.probe", application);
    struct rig rig;

    copy_numbers(application, 40);
    peer_commit(group, in, 1, 99, NULL);
    rig_send_numbers(application, 40, 80);
    open_with(&rig, application, start_where_it_was);
    rig_run(&rig, is_rest_done);
    assert_int_equal(seen.stopped, 1);
    assert_non_null(strstr(seen.reason, "offset 99 is not in the log, which goes from 0 to 20: "));
}

/* ---- starts before the committed offset ------------------------------------------------------ */

static void start_earlier(struct vd_stage *stage, void *state, struct vd_assign *assign)
{
    note_facts(assign);
    if (vd_assign_partition(assign) == 0) {
        vd_assign_start(assign, seen.start, seen.last);
    } else {
        vd_assign_start(assign, vd_assign_committed(assign), vd_assign_last(assign));
    }
}

static void copy_after_a_look(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    if (seen.committed_at_batch == -2) {
        seen.committed_at_batch = peer_committed(seen.group, seen.in, 0, seen.note);
    }
    rig_copy.batch(stage, state, batch);
}

TEST(a_start_before_the_committed_offset_is_committed_before_anything_is_read)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    VD_AUTO(mem) char *in = vd_format("%s-in", application);
    VD_AUTO(mem) char *group = vd_format("%s.probe", application);
    struct rig rig;

    copy_numbers(application, 40);
    open_with(&rig, application, start_earlier);
    seen.start = 4;
    seen.last = 9; /* what is read again was emitted before */
    seen.group = group;
    seen.in = in;
    desc.batch = copy_after_a_look;
    rig.expected = 40;
    rig_run(&rig, rig_has_all);
    assert_int_equal(seen.committed_at_batch, 4);
    assert_string_equal(seen.note, "vd1 last=9 ballot=");
    assert_int_equal(probe.committed, 6);
    assert_int_equal(peer_committed(group, in, 0, seen.note), 10);
    assert_string_equal(seen.note, "vd1 last=9 ballot=");
    rig_check_copies(application, 40); /* and not a second time */
}

TEST(what_was_emitted_before_becomes_no_dead_letter_either)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    VD_AUTO(mem) char *in = vd_format("%s-in", application);
    VD_AUTO(mem) char *dead = vd_format("%s-dead", application);
    struct peer_log log;
    struct rig rig;

    peer_send_source(in, 0, "odd", "\1odd", 4);
    peer_send(in, 0, "poison", "bad");
    peer_flush();
    rig_send_numbers(application, 0, 4);
    open_with(&rig, application, start_where_it_was);
    rig.expected = 6;
    rig_run(&rig, rig_has_all);
    open_with(&rig, application, start_earlier);
    seen.start = VD_NO_OFFSET; /* the beginning */
    seen.last = 2;
    rig.expected = 6;
    rig_run(&rig, rig_has_all);
    assert_true(probe.committed > 0);
    rig_check_copies(application, 4);
    log = peer_read(dead, true);
    assert_int_equal(log.count, 2);
    peer_log_free(&log);
}

/* ---- reading again --------------------------------------------------------------------------- */

static void on_reread(void *arg, const struct vd_record *records, size_t count,
                      const struct vd_err *err)
{
    struct vd_assign *assign = arg;

    assert_null(err);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(records[i].position.offset, seen.reread_from + (int64_t)i);
        assert_int_equal(records[i].position.partition, 2);
    }
    seen.reread += count;
    if (count == 0) {
        vd_assign_start(assign, vd_assign_committed(assign), vd_assign_last(assign));
        return;
    }
    seen.parts++;
    seen.reread_from += (int64_t)count;
    vd_assign_reread(assign, seen.reread_from, on_reread, assign);
}

static void reread_one(struct vd_stage *stage, void *state, struct vd_assign *assign)
{
    note_facts(assign);
    if (vd_assign_partition(assign) == 2) {
        seen.reread_from = 100;
        vd_assign_reread(assign, seen.reread_from, on_reread, assign);
    } else {
        vd_assign_start(assign, vd_assign_committed(assign), vd_assign_last(assign));
    }
}

TEST(what_was_emitted_can_be_read_again_in_parts)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    VD_AUTO(mem) char *out = vd_format("%s-out", application);
    struct rig rig;

    copy_numbers(application, 4 * 4500);
    peer_abort(out, 2, 10);
    peer_send(out, 2, "k", "no header");
    peer_flush();
    open_with(&rig, application, reread_one);
    rig.expected = (size_t)4 * 4500;
    rig_run(&rig, rig_has_all);
    assert_int_equal(seen.reread, 4400);
    assert_in_range(seen.parts, 3, 10);
}

/* ---- asking anew ----------------------------------------------------------------------------- */

static bool is_done_after_a_recheck(struct rig *rig)
{
    if (probe.batches >= 5 && !seen.is_rechecked) {
        seen.is_rechecked = true;
        vd_stage_recheck(rig->stage);
    }
    return rig_has_all(rig);
}

TEST(a_recheck_asks_about_every_partition_again_and_loses_nothing)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    struct rig rig;

    rig_send_numbers(application, 0, 2000);
    open_with(&rig, application, start_where_it_was);
    rig.conf.batch.records = 40;
    rig.expected = 2000;
    probe.delay_ms = 2;
    rig_run(&rig, is_done_after_a_recheck);
    assert_int_equal(probe.assigned, 2 * RIG_PARTITIONS);
    assert_int_equal(probe.revoked, 2 * RIG_PARTITIONS); /* and at the end */
    assert_int_equal(probe.committed, 2000); /* what was under way then was let through */
    rig_check_copies(application, 2000);
}

static bool is_rechecked_at_the_end(struct rig *rig)
{
    if (!rig_has_all(rig)) {
        return false;
    }
    vd_stage_recheck(rig->stage);
    return true; /* so it drains, before the loop turns */
}

TEST(a_recheck_that_meets_a_drain_comes_to_nothing)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    struct rig rig;

    rig_send_numbers(application, 0, 40);
    open_with(&rig, application, start_where_it_was);
    rig.expected = 40;
    rig_run(&rig, is_rechecked_at_the_end);
    assert_int_equal(probe.assigned, RIG_PARTITIONS);
    rig_check_copies(application, 40);
}

/* Answered when the stage stops, without effect. */
static void keep_silent(struct vd_stage *stage, void *state, struct vd_assign *assign)
{
    note_facts(assign);
}

static bool is_other_at_work(struct rig *rig)
{
    if (!seen.is_other_running && probe.assigned == RIG_PARTITIONS) {
        seen.is_other_running = true;
        rig_node_start(&seen.other, rig->host.application, "other", 20);
        seen.since_ms = vd_loop_now_ms(&rig->loop);
    }
    return seen.is_other_running && rig_node_committed(&seen.other) > 0;
}

TEST(a_question_without_answer_does_not_hold_up_the_group)
{
    VD_AUTO(mem) char *application = rig_make_topics();
    struct rig rig;

    rig_send_numbers(application, 0, 400);
    open_with(&rig, application, keep_silent);
    rig_run(&rig, is_other_at_work);
    assert_int_equal(rig_node_end(&seen.other, SIGTERM), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_emitted_last_is_found_behind_all_that_is_not_ours),
        cmocka_unit_test(
            partitions_that_this_build_must_not_touch_are_stopped_and_the_others_run_on),
        cmocka_unit_test(a_start_outside_the_log_is_stopped_with_what_exists),
        cmocka_unit_test(a_start_before_the_committed_offset_is_committed_before_anything_is_read),
        cmocka_unit_test(what_was_emitted_before_becomes_no_dead_letter_either),
        cmocka_unit_test(what_was_emitted_can_be_read_again_in_parts),
        cmocka_unit_test(a_recheck_asks_about_every_partition_again_and_loses_nothing),
        cmocka_unit_test(a_recheck_that_meets_a_drain_comes_to_nothing),
        cmocka_unit_test(a_question_without_answer_does_not_hold_up_the_group),
    };

    if (peer_brokers() == NULL) {
        return 77;
    }
    rig_be_node(argc, argv);
    vd_log_setup(getenv("VERBOSE") != NULL ? VD_LOG_DEBUG : VD_LOG_ERROR, VD_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
