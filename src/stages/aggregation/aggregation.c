/* The aggregation stage: votes become partial totals, one transaction an interval, and the totals
 * of all partitions become the public results (exactly-once protocol, 6). */
#include "aggregation.h"

#include <assert.h>
#include <stdlib.h>

#include "aggregation/audit.h"
#include "partial.h"
#include "rebuild.h"
#include "vote.h"

#define PUBLISH_MAX 64 /* of one group in one round, and more where more wait */
#define PUBLISH_ALL (SIZE_MAX / 2)
#define DRAIN_MS 3000 /* for the last totals to come back and be published */

static const struct vd_opt aggregation_opts[] = {
    VD_OPT(struct aggregation, publish_ms, .def = "100", .min = 20, .max = 5000,
           .help = "how often changed results are published, in milliseconds"),
    VD_OPT(struct aggregation, results_max, .def = "200000", .min = 100, .max = 100000000,
           .help = "results of all group-bys together, about 1 KiB of memory each; with more the "
                   "stage stops"),
    VD_OPT(struct aggregation, lateness_ms, .def = "60000", .min = 0, .max = 86400000,
           .help = "how far the watermark stays behind the votes, in milliseconds of event time"),
    VD_OPT(struct aggregation, idle_timeout_ms, .def = "30000", .min = 100, .max = 86400000,
           .help = "a partition without votes for so long does not hold the watermark"),
    VD_OPT(struct aggregation, rebuild, .def = "",
           .help = "count anew until the rebuild number is reached: N for all partitions, or P:N "
                   "for partition P, separated by commas; may stay when done"),
    VD_OPT_END,
};

static const struct vd_port aggregation_inputs[] = {
    {.name = "votes", .help = "votes, JSON; of the voting stage or of any other program"},
    VD_PORT_END,
};

#define OUTPUT(name_, flags_, count, help_, ...) \
    {.name = #name_, .flags = VD_PORT_PLAIN | (flags_), .help = help_},
#define TABLE(name_, flags_, count, help_, ...) \
    {.name = #name_, .flags = (flags_), .help = "the same topic: what is published already"},

static const struct vd_port aggregation_outputs[] = {
    {.name = "partials", .flags = VD_PORT_COPARTITIONED, .help = "counts per partition, binary"},
    AGG_GROUPS(OUTPUT) VD_PORT_END,
};
static const struct vd_port aggregation_tables[] = {
    {.name = "partials", .help = "the same topic: the state, and what results are merged from"},
    AGG_GROUPS(TABLE) VD_PORT_END,
};

/* ---- a batch ------------------------------------------------------------------------------- */

/* Leave a partition alone until a person has looked at it. */
static void stop_gap(struct aggregation *aggregation, const struct vd_record *record,
                     const struct agg_tally *tally)
{
    const struct vd_position *position = &record->position;
    const struct agg_meta meta = agg_tally_meta(tally);
    bool is_recount = agg_tally_recount_end(tally) != VD_NO_OFFSET;
    VD_AUTO(mem)
    char *cure = is_recount ? vd_format("they are missing in the topic; delete topic \"%s\" while "
                                        "all nodes are stopped: all votes are emitted again",
                                        vd_stage_input_topic(aggregation->stage, INPUT_VOTES))
                            : vd_format("when they were emitted again, start this node with "
                                        "\"rebuild = %d:%u\" in [stage:%s]",
                                        record->partition, meta.rebuilds + 1,
                                        vd_stage_name(aggregation->stage));

    vd_stage_stop_partition(
        aggregation->stage, record->partition,
        "%s[%d] offset %lld: comes from source offset %lld (generation %d), after %lld, but the "
        "vote counted last is from %lld (generation %d): votes between them are missing; %s",
        vd_stage_input_topic(aggregation->stage, INPUT_VOTES), record->partition,
        (long long)record->offset, (long long)position->offset, position->generation,
        (long long)position->previous, (long long)meta.last_offset, meta.last_generation, cure);
}

static void stop_foreign(struct aggregation *aggregation, const struct vd_record *record)
{
    vd_stage_stop_partition(
        aggregation->stage, record->partition,
        "%s[%d] offset %lld: the vote of a voter in partition %d: both topics must have the same "
        "number of partitions, for good",
        vd_stage_input_topic(aggregation->stage, INPUT_VOTES), record->partition,
        (long long)record->offset, record->position.partition);
}

/* Once for each partition: there may be many of them. */
static void tell_stale(struct aggregation *aggregation, const struct vd_record *record)
{
    struct part *part = agg_part_get(aggregation, record->partition);

    vd_metric_add(aggregation->stale, 1);
    if (!part->has_stale) {
        part->has_stale = true;
        vd_error(vd_stage_log(aggregation->stage),
                 "%s[%d] offset %lld: generation %d of the voters is over; dropped, and those "
                 "like it",
                 vd_stage_input_topic(aggregation->stage, INPUT_VOTES), record->partition,
                 (long long)record->offset, record->position.generation);
    }
}

static void count_vote(struct aggregation *aggregation, struct agg_tally *tally,
                       struct vd_batch *batch, size_t i)
{
    const struct vd_record *record = vd_batch_record(batch, i);
    struct agg_vote vote;
    struct vd_err err;
    int64_t event_s = 0;

    if (agg_vote_parse(record->value, record->value_len, &aggregation->scratch, &vote, &err) ==
        VD_OK) {
        event_s = agg_event_cap(vote.event_s, vd_wall_ms() / 1000);
        vd_metric_add(aggregation->future, event_s < vote.event_s ? 1 : 0);
        vote.event_s = event_s;
        agg_tally_add(tally, &vote);
    } else if (record->offset >= agg_tally_recount_end(tally)) { /* else it was set aside before */
        vd_batch_dead(batch, i, err.msg);
        vd_metric_add(aggregation->dead, 1);
    }
}

/* What an older version had set aside, a recount may have counted where it stands, and only the
 * recount knew. Another one decides, whatever this version can read. */
static void ask_recount(struct aggregation *aggregation, const struct vd_record *record,
                        int64_t replay_of)
{
    agg_part_get(aggregation, record->partition)->is_recount_due = true;
    vd_info(vd_stage_log(aggregation->stage),
            "%s[%d] offset %lld: repeats offset %lld, which a recount may have counted already; "
            "counting the partition anew",
            vd_stage_input_topic(aggregation->stage, INPUT_VOTES), record->partition,
            (long long)record->offset, (long long)replay_of);
    vd_stage_recheck(aggregation->stage);
}

/* Count record 'i', or say why not; false if its partition cannot go on with it. */
static bool take_record(struct aggregation *aggregation, struct agg_tally *tally,
                        struct vd_batch *batch, size_t i)
{
    const struct vd_record *record = vd_batch_record(batch, i);

    switch (agg_tally_step(tally, record, vd_batch_replay_of(batch, i))) {
    case AGG_STEP_COUNT:
        count_vote(aggregation, tally, batch, i);
        return true;
    case AGG_STEP_SEEN:
        vd_metric_add(aggregation->seen, 1);
        return true;
    case AGG_STEP_REPEAT:
        vd_metric_add(aggregation->repeat, 1);
        return true;
    case AGG_STEP_STALE:
        tell_stale(aggregation, record);
        return true;
    case AGG_STEP_GAP:
        stop_gap(aggregation, record, tally);
        return false;
    case AGG_STEP_FOREIGN:
        stop_foreign(aggregation, record);
        return false;
    case AGG_STEP_UNKNOWN:
        ask_recount(aggregation, record, vd_batch_replay_of(batch, i));
        return false;
    }
    return false;
}

struct emission {
    struct aggregation *aggregation;
    struct vd_batch *batch;
    size_t source;
    int32_t partition;
};

static void emit(const struct emission *emission)
{
    struct aggregation *aggregation = emission->aggregation;
    const struct vd_msg msg = {.key = aggregation->key.data,
                               .key_len = aggregation->key.len,
                               .value = aggregation->value.data,
                               .value_len = aggregation->value.len,
                               .partition = emission->partition};

    vd_batch_emit(emission->batch, PORT_PARTIALS, emission->source, &msg);
}

static void emit_total(void *arg, size_t group, const struct agg_partial_key *key,
                       const struct agg_total *total)
{
    const struct emission *emission = arg;
    struct aggregation *aggregation = emission->aggregation;

    (void)group;
    vd_buf_clear(&aggregation->key);
    vd_buf_clear(&aggregation->value);
    agg_partial_key_format(key, &aggregation->key);
    agg_total_format(total, &aggregation->value);
    emit(emission);
}

/* Put what has changed in a partition into the transaction. */
static void emit_part(struct aggregation *aggregation, struct vd_batch *batch, int32_t partition)
{
    struct part *part = &aggregation->parts[partition];
    struct emission emission = {
        .aggregation = aggregation, .batch = batch, .source = part->source, .partition = partition};
    const struct agg_partial_key key = {.kind = AGG_META, .partition = partition};
    struct agg_meta meta = agg_tally_meta(part->tally);

    agg_tally_each(part->tally, emit_total, &emission);
    meta.watermark_s = agg_watermark_get(
        aggregation->watermark, vd_stage_input_partitions(aggregation->stage, INPUT_VOTES));
    vd_buf_clear(&aggregation->key);
    vd_buf_clear(&aggregation->value);
    agg_partial_key_format(&key, &aggregation->key);
    agg_meta_format(&meta, &aggregation->value);
    emit(&emission);
}

/* Everything that is due, also of partitions that no record came from. */
static void emit_due(struct aggregation *aggregation, struct vd_batch *batch)
{
    for (size_t i = 0; i < aggregation->part_count; i++) {
        struct part *part = &aggregation->parts[i];

        if (part->tally != NULL && agg_tally_is_due(part->tally)) {
            emit_part(aggregation, batch, (int32_t)i);
        }
    }
}

static void forget(struct aggregation *aggregation)
{
    for (size_t i = 0; i < aggregation->part_count; i++) {
        if (aggregation->parts[i].tally != NULL) {
            agg_tally_forget(aggregation->parts[i].tally);
        }
    }
    aggregation->answered = NULL;
}

/* What the engine has set aside, or passes by, is behind us as well: META and the group's offset
 * always stand at the same place, so none of it comes again. */
static void pass_others(struct aggregation *aggregation, const struct vd_batch *batch)
{
    for (size_t i = 0; i < aggregation->part_count; i++) {
        struct part *part = &aggregation->parts[i];

        if (part->tally != NULL) {
            agg_tally_pass(part->tally, vd_batch_reach(batch, (int32_t)i));
        }
    }
}

static void aggregation_batch(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    struct aggregation *aggregation = state;
    const struct vd_err again = {VD_AGAIN, "a partition was stopped, or is to be counted anew"};

    for (size_t i = 0; i < aggregation->part_count; i++) {
        aggregation->parts[i].source = VD_NO_SOURCE;
    }
    for (size_t i = 0; i < vd_batch_count(batch); i++) {
        struct part *part = agg_part_get(aggregation, vd_batch_record(batch, i)->partition);

        if (!take_record(aggregation, part->tally, batch, i)) {
            agg_tally_free(vd_take(part->tally));
            forget(aggregation);
            vd_batch_fail(batch, &again); /* the others come again at once */
            return;
        }
        part->source = i;
        part->active_ms = vd_loop_now_ms(vd_stage_loop(stage));
    }
    pass_others(aggregation, batch);
    emit_due(aggregation, batch);
    aggregation->answered = batch;
    vd_batch_done(batch);
}

static void aggregation_committed(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    struct aggregation *aggregation = state;

    assert(batch == aggregation->answered);
    for (size_t i = 0; i < aggregation->part_count; i++) {
        struct part *part = &aggregation->parts[i];
        struct agg_meta before;

        if (part->tally == NULL) {
            continue;
        }
        before = *agg_tally_base(part->tally);
        agg_tally_fold(part->tally);
        if (agg_tally_recount_end(part->tally) == VD_NO_OFFSET) {
            vd_metric_add(aggregation->votes,
                          (int64_t)(agg_tally_base(part->tally)->votes - before.votes));
        }
        if (part->echoed >= before.commits) {
            part->echoed_ms = vd_loop_now_ms(vd_stage_loop(stage));
        }
    }
    aggregation->answered = NULL;
}

static void aggregation_rewound(struct vd_stage *stage, void *state)
{
    (void)stage;
    forget(state);
}

/* ---- results ------------------------------------------------------------------------------- */

static enum agg_publish publish_one(void *arg, size_t group, const char *key, size_t key_len,
                                    const struct agg_public *result)
{
    struct aggregation *aggregation = arg;
    struct vd_stage *stage = aggregation->stage;
    int32_t partitions = vd_stage_input_partitions(stage, INPUT_VOTES);
    struct vd_msg msg = {.key = key != NULL ? key : "", .key_len = key_len, .partition = VD_BY_KEY};
    struct vd_err err = {0};
    int64_t event_s = 0;

    if (!vd_stage_owns(stage, vd_partition_of(msg.key, key_len, partitions))) {
        return AGG_NOT_OURS;
    }
    vd_buf_clear(&aggregation->value);
    agg_public_value(&agg_groups[group], result, &aggregation->value);
    msg.value = aggregation->value.data;
    msg.value_len = aggregation->value.len;
    /* A total is as of the newest vote in it, as results of a stream are stamped elsewhere too. */
    event_s = agg_watermark_newest(aggregation->watermark);
    msg.timestamp_ms = event_s > 0 ? event_s * 1000 : 0;
    if (vd_stage_publish(stage, PORT_FIRST_GROUP + group, &msg, &err) != VD_OK) {
        aggregation->is_full = true;
        return AGG_FULL; /* the next round tries again */
    }
    vd_metric_add(aggregation->published, 1);
    return AGG_PUBLISHED;
}

/* One round over all groups, with at most 'max' results of each.
 * Returns: the number published. */
static size_t publish_round(struct aggregation *aggregation, size_t max)
{
    struct vd_stage *stage = aggregation->stage;
    struct agg_round round = {.now_ms = vd_loop_now_ms(vd_stage_loop(stage)),
                              .max = max,
                              .publish = publish_one,
                              .arg = aggregation};
    size_t published = 0;

    aggregation->is_full = false;
    for (size_t group = 0; group < AGG_GROUP_COUNT; group++) {
        struct vd_table *shown = vd_stage_table(stage, PORT_FIRST_GROUP + group);

        round.is_read_back = shown != NULL;
        if (vd_stage_output_topic(stage, PORT_FIRST_GROUP + group) != NULL &&
            (shown == NULL || vd_table_is_current(shown))) {
            published += agg_merge_publish(aggregation->merge, group, &round);
        }
    }
    return published;
}

/* The last round is the one that finds nothing to say after all that was counted came back. Nobody
 * may come for a while, so it is worth a moment; not more: the next start publishes the rest. */
static void try_release(struct aggregation *aggregation, size_t published)
{
    bool is_late = vd_loop_now_ms(vd_stage_loop(aggregation->stage)) > aggregation->drained_ms;

    if (is_late) {
        vd_info(vd_stage_log(aggregation->stage),
                "the last totals did not come back in time; the next start publishes them");
    }
    if (is_late ||
        (published == 0 && !aggregation->is_full && agg_upkeep_is_settled(aggregation))) {
        aggregation->drained_ms = 0;
        vd_stage_release(aggregation->stage);
    }
}

static void on_publish(void *arg)
{
    struct aggregation *aggregation = arg;
    struct vd_table *partials = vd_stage_table(aggregation->stage, PORT_PARTIALS);
    bool is_draining = aggregation->drained_ms != 0;
    size_t published = 0;

    vd_timer_start(aggregation->publish, aggregation->publish_ms);
    if (vd_table_is_current(partials)) {
        agg_upkeep(aggregation);
        published = publish_round(aggregation, is_draining ? PUBLISH_ALL : PUBLISH_MAX);
    }
    if (is_draining) {
        try_release(aggregation, published);
    }
}

static void aggregation_drain(struct vd_stage *stage, void *state)
{
    struct aggregation *aggregation = state;

    if (vd_table_is_current(vd_stage_table(stage, PORT_PARTIALS))) {
        aggregation->drained_ms = vd_loop_now_ms(vd_stage_loop(stage)) + DRAIN_MS;
        vd_stage_hold(stage);
        vd_timer_start(aggregation->publish, 0);
    }
}

static void on_shown(void *arg, const struct vd_record *record)
{
    const struct watch *watch = arg;

    if (record->key != NULL) {
        agg_merge_shown(watch->aggregation->merge, watch->group, record->key, record->key_len,
                        agg_sequence_of(record->value, record->value_len));
        agg_takeover_check_results(watch->aggregation);
    }
}

/* ---- life ---------------------------------------------------------------------------------- */

static void open_metrics(struct aggregation *aggregation, struct vd_stage *stage)
{
    static const char dropped[] = "votes' records that were dropped";

    aggregation->votes =
        vd_stage_metric(stage, VD_COUNTER, "votes_counted_total", NULL, "votes counted, committed");
    aggregation->dead = vd_stage_metric(stage, VD_COUNTER, "votes_dropped_total",
                                        "reason=\"undecodable\"", dropped);
    aggregation->seen =
        vd_stage_metric(stage, VD_COUNTER, "votes_dropped_total", "reason=\"seen\"", dropped);
    aggregation->repeat =
        vd_stage_metric(stage, VD_COUNTER, "votes_dropped_total", "reason=\"repeat\"", dropped);
    aggregation->stale =
        vd_stage_metric(stage, VD_COUNTER, "votes_dropped_total", "reason=\"generation\"", dropped);
    aggregation->future =
        vd_stage_metric(stage, VD_COUNTER, "votes_future_total", NULL,
                        "votes counted whose time is more than a minute ahead of the clock");
    aggregation->recounts = vd_stage_metric(stage, VD_COUNTER, "recounts_total", NULL,
                                            "partitions whose counting was begun anew");
    aggregation->watermark_s =
        vd_stage_metric(stage, VD_GAUGE, "watermark_seconds", NULL,
                        "event time that all partitions have reached, since 1970; -1: none yet");
    aggregation->watermark_lag_s = vd_stage_metric(stage, VD_GAUGE, "watermark_lag_seconds", NULL,
                                                   "how far the watermark is behind the clock");
    aggregation->published =
        vd_stage_metric(stage, VD_COUNTER, "results_published_total", NULL, "public results sent");
    aggregation->ignored = vd_stage_metric(stage, VD_COUNTER, "partials_ignored_total", NULL,
                                           "records of the partials that are none of ours");
    aggregation->lost_echo =
        vd_stage_metric(stage, VD_COUNTER, "partials_overdue_total", NULL,
                        "commits whose partials did not come back; all were written again");
}

static enum vd_status aggregation_check(struct vd_stage *stage, void *state, struct vd_err *err)
{
    const struct aggregation *aggregation = state;
    uint32_t wanted = 0;

    (void)stage;
    return agg_rebuild_wanted(aggregation->rebuild, 0, &wanted, err);
}

static enum vd_status aggregation_start(struct vd_stage *stage, void *state, struct vd_err *err)
{
    struct aggregation *aggregation = state;

    (void)err; /* nothing here can fail */
    aggregation->stage = stage;
    aggregation->merge = agg_merge_new(vd_stage_output_generation(stage, PORT_PARTIALS));
    aggregation->watermark = agg_watermark_new(aggregation->lateness_ms / 1000);
    aggregation->checked_ms = vd_loop_now_ms(vd_stage_loop(stage));
    open_metrics(aggregation, stage);
    agg_takeover_watch(aggregation);
    for (size_t group = 0; group < AGG_GROUP_COUNT; group++) {
        struct vd_table *table = vd_stage_table(stage, PORT_FIRST_GROUP + group);

        aggregation->watches[group] = (struct watch){.aggregation = aggregation, .group = group};
        if (table != NULL) {
            vd_table_watch(table, on_shown, &aggregation->watches[group]);
        }
    }
    aggregation->publish = vd_timer_new(vd_stage_loop(stage), on_publish, aggregation);
    vd_timer_start(aggregation->publish, aggregation->publish_ms);
    return VD_OK;
}

static void aggregation_stop(struct vd_stage *stage, void *state)
{
    struct aggregation *aggregation = state;

    (void)stage;
    agg_takeover_fini(aggregation);
    vd_timer_close(aggregation->publish);
    for (size_t i = 0; i < aggregation->part_count; i++) {
        agg_tally_free(aggregation->parts[i].tally);
    }
    free(aggregation->parts);
    agg_watermark_free(aggregation->watermark);
    agg_merge_free(aggregation->merge);
    vd_buf_fini(&aggregation->scratch);
    vd_buf_fini(&aggregation->key);
    vd_buf_fini(&aggregation->value);
}

static const struct vd_stage_desc aggregation_desc = {
    VD_STAGE_HEAD,
    .name = "aggregation",
    .summary = "counts votes by candidate, state, age and more, and publishes the results",
    .state_size = sizeof(struct aggregation),
    .opts = aggregation_opts,
    .inputs = aggregation_inputs,
    .outputs = aggregation_outputs,
    .tables = aggregation_tables,
    .flags = VD_STAGE_SERIAL | VD_STAGE_KEEPS_POSITION,
    .check = aggregation_check,
    .start = aggregation_start,
    .assign = agg_takeover_assign,
    .batch = aggregation_batch,
    .committed = aggregation_committed,
    .rewound = aggregation_rewound,
    .revoke = agg_takeover_revoke,
    .drain = aggregation_drain,
    .stop = aggregation_stop,
    .audit = agg_audit,
    .record_bytes = AGG_RECORD_BYTES_MAX,
};
VD_STAGE_EXPORT(aggregation_desc)
