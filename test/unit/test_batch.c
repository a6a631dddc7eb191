/* What becomes of a batch: records to produce, the chain of positions, offsets, dead letters. A
 * stage by hand, without consumer or producer. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "letter.h"
#include "stage_impl.h"

enum { CHAINED, PLACED, UNMAPPED };

static const struct vd_port outputs[] = {
    {.name = "chained", .flags = VD_PORT_CHAINED},
    {.name = "placed", .flags = VD_PORT_COPARTITIONED},
    {.name = "unmapped", .flags = VD_PORT_OPTIONAL},
    VD_PORT_END,
};
static const struct vd_stage_desc desc = {.outputs = outputs};

static char names[][8] = {"in", "out", "few", "dead", "sample"}; /* the topology owns such */
static struct vd_topic_conf in = {.name = names[0], .generation = 2, .partitions_found = 4};
static struct vd_topic_conf out = {.name = names[1], .partitions_found = 4};
static struct vd_topic_conf few = {.name = names[2], .partitions_found = 3};
static struct vd_topic_conf dead = {.name = names[3], .partitions_found = 2};

struct scene {
    struct vd_topic_conf *inputs[1], *output_topics[3];
    struct vd_stage_conf conf;
    struct vd_group group;
    struct vd_metrics *metrics;
    struct vd_kafka_conf kafka_conf;
    struct vd_host host;
    struct vd_part *part_list[2];
    struct vd_metric *out[3];
    struct vd_stage stage;
    struct vd_batch *batch;
};

static void push(struct vd_part *part, int64_t offset, const char *fault)
{
    struct vd_held *held = vd_part_push(part, NULL, 10, 0);

    held->fault = fault != NULL ? vd_strdup(fault) : NULL;
    held->record = (struct vd_record){.key = "k",
                                      .key_len = 1,
                                      .value = "value",
                                      .value_len = 5,
                                      .partition = part->partition,
                                      .offset = offset,
                                      .timestamp_ms = 5000 + offset};
}

/* Partition 1 with offsets 4 and 5, partition 3 with 8 to 10, of which 'fault' spoils 9. */
static void begin(struct scene *at, const char *fault)
{
    memset(at, 0, sizeof(*at));
    at->inputs[0] = &in;
    at->output_topics[CHAINED] = &out;
    at->output_topics[PLACED] = &few;
    at->conf = (struct vd_stage_conf){
        .name = names[4], .inputs = at->inputs, .outputs = at->output_topics, .dead_topic = &dead};
    at->metrics = vd_metrics_new();
    atomic_store(&at->group.refs, 100); /* never the last one: it has no metadata */
    at->host = (struct vd_host){.kafka = vd_kafka_new(NULL, &at->kafka_conf, NULL, at->metrics),
                                .node = "west"};
    at->stage = (struct vd_stage){.conf = &at->conf,
                                  .desc = &desc,
                                  .host = &at->host,
                                  .input_count = 1,
                                  .output_count = 3,
                                  .parts = at->part_list,
                                  .part_count = 2,
                                  .group = &at->group,
                                  .run = 1,
                                  .tag = "abc"};
    for (size_t i = 0; i < at->stage.output_count; i++) {
        at->out[i] = vd_metric_get(at->metrics, VD_COUNTER, "out", NULL, "out");
    }
    at->stage.metrics.out = at->out;
    at->stage.metrics.dead = vd_metric_get(at->metrics, VD_COUNTER, "dead", NULL, "dead");
    at->part_list[0] = vd_part_new(0, 1, 4, 2);
    at->part_list[1] = vd_part_new(0, 3, 8, VD_NO_OFFSET);
    push(at->part_list[0], 4, NULL);
    push(at->part_list[0], 5, NULL);
    push(at->part_list[1], 8, NULL);
    push(at->part_list[1], 9, fault);
    push(at->part_list[1], 10, NULL);
    at->batch = vd_batch_new(&at->stage, 0);
    vd_batch_take(at->batch, at->part_list[0], 10);
    vd_batch_take(at->batch, at->part_list[1], 10);
}

static void end(struct scene *at)
{
    vd_batch_free(at->batch);
    vd_part_unref(at->part_list[0]);
    vd_part_unref(at->part_list[1]);
    vd_kafka_free(at->host.kafka);
    vd_metrics_free(at->metrics);
}

static void emit(struct scene *at, size_t output, size_t source)
{
    const struct vd_msg msg = {.value = "v", .value_len = 1, .partition = VD_SAME};

    vd_batch_emit(at->batch, output, source, &msg);
}

static const char *text_of(const struct scene *at, size_t from, size_t len)
{
    static char text[128];

    (void)snprintf(text, sizeof(text), "%.*s", (int)len, at->batch->job->arena.data + from);
    return text;
}

/* All headers of a record, as "name=value;", without vd-time, which is the present. */
static const char *headers_of(const struct scene *at, size_t record)
{
    static char text[2048];
    const struct vd_txn_job *job = at->batch->job;
    const struct vd_txn_record *of = &job->records[record];
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = of->header_first; i < of->header_first + of->header_count; i++) {
        const struct vd_txn_header *header = &job->headers[i];
        const char *name = job->arena.data + header->name_at;

        if (strncmp(name, "vd-time", 7) != 0) {
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s%s%.*s;",
                                    (int)header->name_len, name, header->has_value ? "=" : "",
                                    (int)header->len, job->arena.data + header->at);
        }
    }
    return text;
}

TEST(a_batch_shows_the_records_of_each_partition_by_offset)
{
    static const int64_t offsets[] = {4, 5, 8, 9, 10};
    struct scene at;

    begin(&at, NULL);
    assert_int_equal(vd_batch_count(at.batch), 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(vd_batch_record(at.batch, i)->offset, offsets[i]);
        assert_int_equal(vd_batch_record(at.batch, i)->partition, i < 2 ? 1 : 3);
    }
    assert_int_equal(at.batch->span_count, 2);
    assert_int_equal(at.part_list[1]->waiting, 0);
    end(&at);
}

TEST(a_taking_stops_at_its_limit_and_at_what_waits)
{
    struct scene at;
    struct vd_batch *batch;

    begin(&at, NULL);
    batch = vd_batch_new(&at.stage, 0);
    vd_batch_take(batch, at.part_list[0], 5); /* nothing waits any more: no span */
    assert_int_equal(batch->span_count, 0);
    push(at.part_list[0], 6, NULL);
    push(at.part_list[0], 7, NULL);
    vd_batch_take(batch, at.part_list[0], 1);
    assert_int_equal(vd_batch_count(batch), 1);
    assert_int_equal(batch->spans[0].end, 7);
    assert_int_equal(at.part_list[0]->cursor->record.offset, 7);
    vd_batch_free(batch);
    end(&at);
}

TEST(each_partition_has_a_chain_of_its_own)
{
    static const int64_t previous[] = {2, -1, 8};
    static const int64_t offsets[] = {5, 8, 10};
    struct scene at;
    const struct vd_txn_record *records;

    begin(&at, NULL);
    emit(&at, CHAINED, 1);
    emit(&at, PLACED, 1);
    emit(&at, CHAINED, 2);
    emit(&at, CHAINED, 4);
    vd_batch_seal(at.batch);
    records = at.batch->job->records;
    assert_int_equal(at.batch->job->record_count, 4);
    assert_int_equal(records[1].position.previous, VD_NO_OFFSET); /* not the chained output */
    for (size_t i = 0, n = 0; i < 4; i++) {
        if (records[i].topic == CHAINED) {
            assert_int_equal(records[i].position.generation, 2);
            assert_int_equal(records[i].position.offset, offsets[n]);
            assert_int_equal(records[i].position.previous, previous[n++]);
        }
    }
    assert_int_equal(at.part_list[0]->last, 5);
    assert_int_equal(at.part_list[1]->last, 10);
    assert_int_equal(at.part_list[1]->last_committed, VD_NO_OFFSET); /* not yet */
    end(&at);
}

TEST(the_next_batch_goes_on_with_the_chain_before_the_first_is_committed)
{
    struct scene at;
    struct vd_batch *next;
    const struct vd_msg msg = {.partition = VD_SAME};

    begin(&at, NULL);
    emit(&at, CHAINED, 0);
    vd_batch_seal(at.batch);
    push(at.part_list[0], 6, NULL);
    next = vd_batch_new(&at.stage, 0);
    vd_batch_take(next, at.part_list[0], 1);
    vd_batch_emit(next, CHAINED, 0, &msg);
    vd_batch_seal(next);
    assert_int_equal(next->job->records[0].position.previous, 4);
    vd_batch_free(next);
    end(&at);
}

TEST(offsets_are_those_behind_the_last_record_with_a_note)
{
    struct scene at;
    const rd_kafka_topic_partition_list_t *offsets;
    struct vd_commit_note note;
    struct vd_err err = {0};

    begin(&at, NULL);
    emit(&at, CHAINED, 3);
    vd_batch_seal(at.batch);
    offsets = at.batch->job->offsets;
    assert_int_equal(offsets->cnt, 2);
    assert_string_equal(offsets->elems[0].topic, "in");
    assert_int_equal(offsets->elems[0].partition, 1);
    assert_int_equal(offsets->elems[0].offset, 6);
    assert_int_equal(offsets->elems[1].partition, 3);
    assert_int_equal(offsets->elems[1].offset, 11);
    assert_int_equal(vd_commit_note_parse(offsets->elems[1].metadata,
                                          offsets->elems[1].metadata_size, &note, &err),
                     VD_OK);
    assert_int_equal(note.last, 9);
    assert_string_equal(note.tag, "abc");
    assert_int_equal(vd_commit_note_parse(offsets->elems[0].metadata,
                                          offsets->elems[0].metadata_size, &note, &err),
                     VD_OK);
    assert_int_equal(note.last, 2); /* nothing of this partition was emitted */
    assert_ptr_equal(at.batch->job->group, &at.group);
    end(&at);
}

TEST(a_record_with_a_fault_is_a_dead_letter_that_the_stage_does_not_see)
{
    struct scene at;
    const struct vd_txn_record *letter;

    begin(&at, "header is odd");
    assert_int_equal(vd_batch_count(at.batch), 4);
    assert_int_equal(vd_batch_record(at.batch, 3)->offset, 10);
    emit(&at, CHAINED, 2);
    emit(&at, CHAINED, 3);
    vd_batch_seal(at.batch);
    letter = &at.batch->job->records[0];
    assert_int_equal(letter->topic, 3);     /* behind the outputs */
    assert_int_equal(letter->partition, 1); /* 3, of 2 */
    assert_int_equal(letter->timestamp_ms, 5009);
    assert_int_equal(letter->position.partition, 3);
    assert_int_equal(letter->position.offset, 9);
    assert_int_equal(letter->position.previous, VD_NO_OFFSET);
    assert_string_equal(text_of(&at, letter->value_at, letter->value_len), "value");
    assert_string_equal(headers_of(&at, 0), "vd-stage=sample;vd-node=west;vd-topic=in;"
                                            "vd-reason=header is odd;vd-attempts=1;");
    assert_int_equal(at.batch->job->records[2].position.previous, 8); /* the chain passes it by */
    assert_int_equal(at.batch->job->offsets->elems[1].offset, 11);
    end(&at);
}

TEST(a_batch_of_nothing_but_faults_still_moves_the_offset)
{
    struct scene at;
    struct vd_batch *batch;

    begin(&at, NULL);
    push(at.part_list[0], 6, "odd");
    push(at.part_list[0], 7, "odd");
    batch = vd_batch_new(&at.stage, 0);
    vd_batch_take(batch, at.part_list[0], 9);
    assert_int_equal(vd_batch_count(batch), 0);
    vd_batch_seal(batch);
    assert_int_equal(batch->job->record_count, 2);
    assert_int_equal(batch->job->offsets->cnt, 1);
    assert_int_equal(batch->job->offsets->elems[0].offset, 8);
    vd_batch_free(batch);
    end(&at);
}

/* Give the record that waits as the last of partition 1 these headers. Owns: the caller. */
static rd_kafka_headers_t *set_headers(struct scene *at)
{
    struct vd_held *held = at->part_list[0]->tail;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);

    rd_kafka_header_add(headers, "trace", -1, "a", -1);
    rd_kafka_header_add(headers, "vd-src", -1, "odd", -1);
    rd_kafka_header_add(headers, "none", -1, NULL, 0);
    rd_kafka_header_add(headers, "trace", -1, "b", -1);
    held->headers = headers;
    return headers;
}

TEST(a_letter_keeps_the_headers_of_its_record_under_names_that_are_not_ours)
{
    const struct vd_msg msg = {.partition = VD_SAME, .reason = "why"};
    struct scene at;
    rd_kafka_headers_t *headers;

    begin(&at, NULL);
    headers = set_headers(&at);
    vd_batch_dead(at.batch, 1, "because");
    vd_batch_emit(at.batch, PLACED, 1, &msg); /* a rejected record likewise */
    assert_string_equal(headers_of(&at, 0),
                        "vd-stage=sample;vd-node=west;vd-topic=in;vd-reason=because;vd-attempts=1;"
                        "trace=a;vd-orig-src=odd;none;trace=b;");
    assert_string_equal(headers_of(&at, 1),
                        "vd-stage=sample;vd-node=west;vd-topic=in;vd-reason=why;vd-attempts=1;"
                        "trace=a;vd-orig-src=odd;none;trace=b;");
    end(&at);
    rd_kafka_headers_destroy(headers);
}

TEST(a_letter_too_large_to_be_sent_is_cut_and_says_so)
{
    static char value[1000000];
    struct scene at;
    rd_kafka_headers_t *headers;
    struct vd_held *held;

    begin(&at, NULL);
    headers = set_headers(&at);
    held = at.part_list[0]->tail;
    held->record.value = value;
    held->record.value_len = sizeof(value) - VD_LETTER_OWN_BYTES - 100;
    vd_batch_dead(at.batch, 1, "because");
    assert_true(at.batch->job->records[0].has_value);
    held->record.value_len = sizeof(value) - VD_LETTER_OWN_BYTES;
    vd_batch_dead(at.batch, 1, "because");
    assert_false(at.batch->job->records[1].has_value);
    assert_int_equal(at.batch->job->records[1].key_len, 1);
    assert_string_equal(headers_of(&at, 1),
                        "vd-stage=sample;vd-node=west;vd-topic=in;vd-reason=because;vd-attempts=1;"
                        "vd-cut=995994;");
    held->record.key = value;
    held->record.key_len = VD_LETTER_CUT_KEY_BYTES + 1;
    vd_batch_dead(at.batch, 1, "because");
    assert_false(at.batch->job->records[2].has_key);
    end(&at);
    rd_kafka_headers_destroy(headers);
}

TEST(a_reason_of_any_length_is_cut_to_fit)
{
    static char reason[70000];
    struct scene at;

    begin(&at, NULL);
    memset(reason, 'x', sizeof(reason) - 1);
    vd_batch_dead(at.batch, 0, reason);
    assert_int_equal(strlen(headers_of(&at, 0)),
                     strlen("vd-stage=sample;vd-node=west;vd-topic=in;vd-reason=;vd-attempts=1;") +
                         VD_LETTER_REASON_BYTES);
    end(&at);
}

TEST(a_record_for_another_stage_is_passed_by_and_its_offset_counts)
{
    struct scene at;
    struct vd_batch *batch;

    begin(&at, NULL);
    push(at.part_list[0], 6, NULL);
    push(at.part_list[0], 7, NULL);
    at.part_list[0]->tail->is_passed_by = true;
    batch = vd_batch_new(&at.stage, 0);
    vd_batch_take(batch, at.part_list[0], 9);
    assert_int_equal(vd_batch_count(batch), 1);
    assert_int_equal(vd_batch_record(batch, 0)->offset, 6);
    vd_batch_seal(batch);
    assert_int_equal(batch->job->record_count, 0);
    assert_int_equal(batch->job->offsets->elems[0].offset, 8);
    vd_batch_free(batch);
    end(&at);
}

TEST(a_batch_says_how_far_it_takes_each_partition)
{
    struct scene at;

    begin(&at, "odd");
    assert_int_equal(vd_batch_reach(at.batch, 1), 6);
    assert_int_equal(vd_batch_reach(at.batch, 3), 11);
    assert_int_equal(vd_batch_reach(at.batch, 2), VD_NO_OFFSET);
    end(&at);
}

TEST(a_message_goes_where_it_says)
{
    struct vd_msg msg = {.key = "TX", .key_len = 2, .value = "v", .value_len = 1, .reason = "why"};
    struct scene at;
    const struct vd_txn_record *records;

    begin(&at, NULL);
    msg.partition = VD_SAME;
    vd_batch_emit(at.batch, PLACED, 2, &msg); /* 3, of 3 */
    msg.partition = VD_BY_KEY;
    vd_batch_emit(at.batch, PLACED, VD_NO_SOURCE, &msg);
    msg.partition = 2;
    msg.timestamp_ms = 77;
    vd_batch_emit(at.batch, PLACED, 0, &msg);
    vd_batch_emit(at.batch, UNMAPPED, 0, &msg); /* leads nowhere */
    records = at.batch->job->records;
    assert_int_equal(at.batch->job->record_count, 3);
    assert_int_equal(records[0].partition, 0);
    assert_int_equal(records[0].timestamp_ms, 5008);
    assert_true(records[0].has_position);
    assert_int_equal(records[1].partition, vd_partition_of("TX", 2, 3));
    assert_int_equal(records[1].timestamp_ms, 0);
    assert_false(records[1].has_position);
    assert_int_equal(records[2].partition, 2);
    assert_int_equal(records[2].timestamp_ms, 77);
    assert_string_equal(headers_of(&at, 0), "vd-stage=sample;vd-node=west;vd-topic=in;"
                                            "vd-reason=why;vd-attempts=1;");
    assert_string_equal(headers_of(&at, 1),
                        "vd-stage=sample;vd-node=west;vd-reason=why;vd-attempts=1;");
    assert_string_equal(text_of(&at, records[2].key_at, records[2].key_len), "TX");
    end(&at);
}

TEST(tombstones_and_empty_values_differ)
{
    struct vd_msg msg = {.value = "", .partition = 0};
    struct scene at;

    begin(&at, NULL);
    vd_batch_emit(at.batch, PLACED, VD_NO_SOURCE, &msg);
    msg.value = NULL;
    vd_batch_emit(at.batch, PLACED, VD_NO_SOURCE, &msg);
    assert_true(at.batch->job->records[0].has_value);
    assert_false(at.batch->job->records[1].has_value);
    assert_false(at.batch->job->records[0].has_key);
    end(&at);
}

TEST(every_record_of_a_span_has_its_age_observed)
{
    struct vd_metric *latency = NULL;
    struct vd_histogram ages;
    struct scene at;

    begin(&at, NULL);
    latency = vd_metric_get(at.metrics, VD_HISTOGRAM, "latency", NULL, "latency");
    at.part_list[1]->head->record.timestamp_ms = -1;
    for (size_t i = 0; i < at.batch->span_count; i++) {
        vd_span_observe(&at.batch->spans[i], latency, 5010); /* 6, 5 and none, 1, 0 ms */
    }
    vd_metric_read(latency, &ages);
    assert_int_equal(vd_metric_value(latency), 4);
    assert_int_equal(ages.counts[0], 1);
    assert_int_equal(ages.counts[1], 1);
    assert_int_equal(ages.counts[4], 2);
    end(&at);
}

TEST(a_batch_outlives_the_partitions_that_were_taken_away)
{
    struct scene at;

    begin(&at, NULL);
    vd_part_unref(at.part_list[0]);
    vd_part_unref(at.part_list[1]);
    assert_int_equal(vd_batch_record(at.batch, 4)->offset, 10); /* still there, says ASan */
    vd_batch_free(at.batch);
    vd_kafka_free(at.host.kafka);
    vd_metrics_free(at.metrics);
}

RUN_TESTS(cmocka_unit_test(a_batch_shows_the_records_of_each_partition_by_offset),
          cmocka_unit_test(a_taking_stops_at_its_limit_and_at_what_waits),
          cmocka_unit_test(every_record_of_a_span_has_its_age_observed),
          cmocka_unit_test(each_partition_has_a_chain_of_its_own),
          cmocka_unit_test(the_next_batch_goes_on_with_the_chain_before_the_first_is_committed),
          cmocka_unit_test(offsets_are_those_behind_the_last_record_with_a_note),
          cmocka_unit_test(a_record_with_a_fault_is_a_dead_letter_that_the_stage_does_not_see),
          cmocka_unit_test(a_batch_of_nothing_but_faults_still_moves_the_offset),
          cmocka_unit_test(a_letter_keeps_the_headers_of_its_record_under_names_that_are_not_ours),
          cmocka_unit_test(a_letter_too_large_to_be_sent_is_cut_and_says_so),
          cmocka_unit_test(a_reason_of_any_length_is_cut_to_fit),
          cmocka_unit_test(a_record_for_another_stage_is_passed_by_and_its_offset_counts),
          cmocka_unit_test(a_batch_says_how_far_it_takes_each_partition),
          cmocka_unit_test(a_message_goes_where_it_says),
          cmocka_unit_test(tombstones_and_empty_values_differ),
          cmocka_unit_test(a_batch_outlives_the_partitions_that_were_taken_away))
