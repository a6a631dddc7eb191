/* When merged results are published, and what the public topics say of them. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "aggregation/merge.h"
#include "alloc.h"

#define CANDIDATE 0 /* groups */
#define STATE 1

struct topic {
    enum agg_publish answer;
    int sent;
    char key[64];
    uint64_t count, sequence;
};

static enum agg_publish publish(void *arg, size_t group, const char *key, size_t key_len,
                                const struct agg_public *result)
{
    struct topic *topic = arg;

    assert_int_equal(group, STATE);
    if (topic->answer == AGG_PUBLISHED) {
        topic->sent++;
        (void)snprintf(topic->key, sizeof(topic->key), "%.*s", (int)key_len, key);
        topic->count = result->count;
        topic->sequence = result->sequence;
    }
    return topic->answer;
}

static void put(struct agg_merge *merge, int32_t partition, uint64_t count)
{
    agg_merge_put(
        merge, STATE,
        &(struct agg_partial_key){.partition = partition, .keys = "\0\x04Ohio", .keys_len = 6},
        &(struct agg_total){.count = count});
}

static size_t run_round(struct agg_merge *merge, int64_t now_ms, struct topic *topic)
{
    return agg_merge_publish(
        merge, STATE,
        &(struct agg_round){
            .now_ms = now_ms, .max = 10, .is_read_back = true, .publish = publish, .arg = topic});
}

struct seen {
    char value[256];
};

static enum agg_publish see_value(void *arg, size_t group, const char *key, size_t key_len,
                                  const struct agg_public *result)
{
    struct seen *seen = arg;
    VD_AUTO(buf) struct vd_buf value = {0};

    (void)key;
    (void)key_len;
    agg_public_value(&agg_groups[group], result, &value);
    (void)snprintf(seen->value, sizeof(seen->value), "%s", vd_buf_text(&value));
    return AGG_PUBLISHED;
}

TEST(a_result_is_published_until_it_is_read_back)
{
    struct agg_merge *merge = agg_merge_new(2);
    struct topic topic = {.answer = AGG_PUBLISHED};
    uint64_t base = UINT64_C(2) << 40;

    assert_int_equal(run_round(merge, 0, &topic), 0);
    put(merge, 0, 5);
    put(merge, 3, 2);
    assert_int_equal(run_round(merge, 100, &topic), 1);
    assert_string_equal(topic.key, "Ohio");
    assert_true(topic.count == 7 && topic.sequence == base + 7);
    assert_int_equal(run_round(merge, 200, &topic), 0); /* on its way */
    put(merge, 0, 6);
    assert_int_equal(run_round(merge, 300, &topic), 1); /* changed meanwhile */
    agg_merge_shown(merge, STATE, "Ohio", 4, base + 7);
    assert_int_equal(run_round(merge, 400, &topic), 0);
    assert_int_equal(run_round(merge, 300 + AGG_REPEAT_MS, &topic), 1); /* lost: again */
    agg_merge_shown(merge, STATE, "Ohio", 4, base + 8);
    assert_int_equal(run_round(merge, 99999, &topic), 0);
    agg_merge_free(merge);
}

TEST(a_stale_last_word_is_corrected)
{
    struct agg_merge *merge = agg_merge_new(0);
    struct topic topic = {.answer = AGG_PUBLISHED};

    agg_merge_shown(merge, STATE, "Ohio", 4, 9); /* read before the partials */
    put(merge, 0, 9);
    assert_int_equal(run_round(merge, 0, &topic), 0);
    agg_merge_shown(merge, STATE, "Ohio", 4, 3); /* a zombie's */
    assert_int_equal(run_round(merge, 1, &topic), 1);
    assert_true(topic.sequence == 9);
    agg_merge_shown(merge, STATE, "Ohio", 4, 0); /* deleted by hand */
    assert_int_equal(run_round(merge, 20000, &topic), 1);
    agg_merge_free(merge);
}

TEST(what_another_node_owns_waits_and_a_full_queue_ends_the_round)
{
    struct agg_merge *merge = agg_merge_new(0);
    struct topic topic = {.answer = AGG_NOT_OURS};

    put(merge, 0, 1);
    assert_int_equal(run_round(merge, 0, &topic), 0);
    topic.answer = AGG_FULL;
    assert_int_equal(run_round(merge, 1, &topic), 0);
    topic.answer = AGG_PUBLISHED;
    assert_int_equal(run_round(merge, 2, &topic), 1); /* taken over */
    agg_merge_free(merge);
}

TEST(a_rebuild_raises_every_sequence_and_may_lower_a_count)
{
    struct agg_merge *merge = agg_merge_new(0);
    struct topic topic = {.answer = AGG_PUBLISHED};

    put(merge, 0, 5);
    assert_int_equal(run_round(merge, 0, &topic), 1);
    agg_merge_shown(merge, STATE, "Ohio", 4, 5);
    agg_merge_set_rebuilds(merge, 2, 1);
    put(merge, 0, 0);
    assert_int_equal(run_round(merge, 1, &topic), 1);
    assert_true(topic.count == 0 && topic.sequence == UINT64_C(1) << 40);
    agg_merge_free(merge);
}

TEST(without_a_table_what_was_sent_counts_as_shown)
{
    struct agg_merge *merge = agg_merge_new(0);
    struct topic topic = {.answer = AGG_PUBLISHED};
    struct agg_round round = {.max = 10, .publish = publish, .arg = &topic};

    put(merge, 0, 5);
    assert_int_equal(agg_merge_publish(merge, STATE, &round), 1);
    round.now_ms = 10 * AGG_REPEAT_MS;
    assert_int_equal(agg_merge_publish(merge, STATE, &round), 0);
    agg_merge_free(merge);
}

TEST(a_partial_that_says_less_does_not_wipe_out_a_name)
{
    static const char whole[] = "\0\x03"
                                "Ada\0\x01P\0\x01u";
    static const char less[] = "\0\0\0\0\0\0";
    struct agg_merge *merge = agg_merge_new(0);
    struct seen seen = {0};

    for (int32_t p = 0; p < 3; p++) {
        const char *attributes = p == 1 ? whole : less;

        agg_merge_put(
            merge, 0,
            &(struct agg_partial_key){.partition = p,
                                      .keys = "\0\x01"
                                              "c",
                                      .keys_len = 3},
            &(struct agg_total){.count = 1,
                                .attributes = attributes,
                                .attributes_len = p == 1 ? sizeof(whole) - 1 : sizeof(less) - 1});
    }
    assert_int_equal(
        agg_merge_publish(merge, 0,
                          &(struct agg_round){.max = 1, .publish = see_value, .arg = &seen}),
        1);
    assert_string_equal(seen.value,
                        "{\"candidate_id\":\"c\",\"candidate_name\":\"Ada\","
                        "\"party_affiliation\":\"P\",\"photo_url\":\"u\",\"total_votes\":3,"
                        "\"sequence\":3}");
    agg_merge_free(merge);
}

TEST(no_result_starves_behind_those_that_change_all_the_time)
{
    struct agg_merge *merge = agg_merge_new(0);
    struct topic topic = {.answer = AGG_PUBLISHED};
    struct agg_round round = {.max = 2, .is_read_back = true, .publish = publish, .arg = &topic};
    bool seen[6] = {false};

    for (int turn = 0; turn < 6; turn++) {
        for (int i = 0; i < 6; i++) {
            const char keys[] = {0, 1, (char)('a' + i)};

            agg_merge_put(merge, STATE, &(struct agg_partial_key){.keys = keys, .keys_len = 3},
                          &(struct agg_total){.count = (uint64_t)turn + 1});
        }
        round.now_ms = turn;
        assert_int_equal(agg_merge_publish(merge, STATE, &round), 2);
        seen[topic.key[0] - 'a'] = true;
    }
    assert_true(seen[1] && seen[3] && seen[5]);
    agg_merge_free(merge);
}

TEST(results_are_counted_however_they_came_in)
{
    struct agg_merge *merge = agg_merge_new(0);

    put(merge, 0, 1);
    put(merge, 1, 1);                            /* another part of the same result */
    agg_merge_shown(merge, STATE, "Ohio", 4, 2); /* and its public record */
    agg_merge_shown(merge, STATE, "Utah", 4, 2); /* a result that nothing is merged from */
    agg_merge_shown(merge, CANDIDATE, "c", 1, 2);
    assert_int_equal(agg_merge_results(merge), 3);
    assert_int_equal(agg_merge_largest_group(merge), STATE);
    agg_merge_free(merge);
}

TEST(sequences_are_read_from_public_values)
{
    static const struct {
        const char *value;
        uint64_t sequence;
    } cases[] = {
        {"{\"state\":\"Ohio\",\"count\":5,\"sequence\":1099511627781}", UINT64_C(1099511627781)},
        {"{\"state\":\"Ohio\",\"count\":5}", 0},
        {"{\"sequence\":-1}", 0},
        {"{\"sequence\":\"7\"}", 0},
        {"{\"sequence\":7", 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(agg_sequence_of(cases[i].value, strlen(cases[i].value)) == cases[i].sequence);
    }
    assert_true(agg_sequence_of(NULL, 0) == 0);
}
RUN_TESTS(cmocka_unit_test(a_result_is_published_until_it_is_read_back),
          cmocka_unit_test(a_stale_last_word_is_corrected),
          cmocka_unit_test(what_another_node_owns_waits_and_a_full_queue_ends_the_round),
          cmocka_unit_test(a_rebuild_raises_every_sequence_and_may_lower_a_count),
          cmocka_unit_test(without_a_table_what_was_sent_counts_as_shown),
          cmocka_unit_test(a_partial_that_says_less_does_not_wipe_out_a_name),
          cmocka_unit_test(no_result_starves_behind_those_that_change_all_the_time),
          cmocka_unit_test(results_are_counted_however_they_came_in),
          cmocka_unit_test(sequences_are_read_from_public_values))
