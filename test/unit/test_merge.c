/* The laws of the aggregation: whatever the order of votes, their split into partitions and
 * batches, failed transactions, takeovers and repeats, the merged counts are those of a plain
 * recount. And when results are published. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "aggregation/merge.h"
#include "aggregation/tally.h"
#include "alloc.h"
#include "map.h"

#define CASES 10000
#define VOTES_MAX 40
#define PARTITIONS_MAX 4

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t below(uint64_t *state, size_t limit)
{
    return (size_t)(next_random(state) % limit);
}

/* One record of a partials topic. */
struct entry {
    struct vd_buf key, value;
};

/* One partition of a made-up election: its votes, and its part of the partials topic. */
struct part {
    char *votes[VOTES_MAX];
    size_t vote_count;
    size_t next;    /* of the votes not committed */
    size_t durable; /* of those that the log does not stand for */
    size_t recounts, rewrites;
    struct entry log[4 * (VOTES_MAX * (AGG_GROUP_COUNT + 1) + 1)];
    size_t log_count, merged;
    struct agg_tally *tally;
    size_t pending; /* log entries of the open transaction */
};

struct world {
    uint64_t random;
    struct part parts[PARTITIONS_MAX];
    size_t part_count;
    struct agg_merge *merge;
    struct vd_map recount; /* "group|keys" -> counter */
    uint64_t votes;
    struct vd_buf scratch;
};

static void add_log(struct part *part, const struct agg_partial_key *key,
                    const struct agg_total *total, const struct agg_meta *meta)
{
    struct entry *entry = &part->log[part->log_count + part->pending++];

    assert_true(part->log_count + part->pending <= sizeof(part->log) / sizeof(part->log[0]));
    vd_buf_clear(&entry->key);
    vd_buf_clear(&entry->value);
    agg_partial_key_format(key, &entry->key);
    if (total != NULL) {
        agg_total_format(total, &entry->value);
    } else {
        agg_meta_format(meta, &entry->value);
    }
}

static void on_total(void *arg, size_t group, const struct agg_partial_key *key,
                     const struct agg_total *total)
{
    (void)group;
    add_log(arg, key, total, NULL);
}

/* A batch of some votes; its transaction commits or comes to nothing. */
static void run_batch(struct world *world, int32_t p)
{
    struct part *part = &world->parts[p];
    size_t count = below(&world->random, part->vote_count - part->next + 1);
    struct agg_meta meta;

    for (size_t i = part->next; i < part->next + count; i++) {
        struct vd_record record = {.partition = p,
                                   .offset = (int64_t)i,
                                   .has_position = true,
                                   .position = {.partition = p,
                                                .offset = (int64_t)(2 * i),
                                                .previous = i > 0 ? (int64_t)(2 * i - 2) : -1}};
        struct agg_vote vote;

        assert_int_equal(agg_tally_step(part->tally, &record, VD_NO_OFFSET), AGG_STEP_COUNT);
        assert_int_equal(
            agg_vote_parse(part->votes[i], strlen(part->votes[i]), &world->scratch, &vote, NULL),
            VD_OK);
        agg_tally_add(part->tally, &vote);
    }
    part->pending = 0;
    if (agg_tally_is_due(part->tally)) {
        agg_tally_each(part->tally, on_total, part);
        meta = agg_tally_meta(part->tally);
        add_log(part, &(struct agg_partial_key){.kind = AGG_META, .partition = p}, NULL, &meta);
    }
    if (below(&world->random, 3) > 0) {
        agg_tally_fold(part->tally);
        part->log_count += part->pending;
        part->next += count;
        part->durable = part->pending > 0 ? part->next : part->durable;
    } else {
        agg_tally_forget(part->tally);
    }
}

/* Count the partition anew, or go on with that. */
static void count_anew(struct part *part)
{
    int64_t end = agg_tally_recount_end(part->tally);

    if (end == -1 && part->recounts == 0) {
        part->recounts++;
        agg_tally_recount(part->tally);
        part->next = 0;
    } else if (end != -1 && agg_tally_base(part->tally)->next_offset >= end) {
        agg_tally_end_recount(part->tally);
    }
}

/* Another node takes the partition over: it knows only the log. */
static void take_over(struct part *part, int32_t p)
{
    agg_tally_free(part->tally);
    part->tally = agg_tally_new(p);
    for (size_t i = 0; i < part->log_count; i++) {
        struct agg_partial_key key;
        struct agg_total total;
        struct agg_meta meta;
        const struct entry *entry = &part->log[i];

        assert_int_equal(agg_partial_key_parse(entry->key.data, entry->key.len, &key, NULL), VD_OK);
        if (key.kind == AGG_META) {
            assert_int_equal(agg_meta_parse(entry->value.data, entry->value.len, &meta, NULL),
                             VD_OK);
            agg_tally_load_meta(part->tally, &meta);
        } else {
            assert_int_equal(agg_total_parse(entry->value.data, entry->value.len, &total, NULL),
                             VD_OK);
            agg_tally_load(part->tally, agg_group_find(key.dimension, key.dimension_len), &key,
                           &total);
        }
    }
    assert_int_equal(agg_tally_check(part->tally, NULL), VD_OK);
    assert_true(agg_tally_base(part->tally)->next_offset == (int64_t)part->durable);
    part->next = part->durable; /* a recount that was under way has changed nothing */
}

static void merge_one(struct agg_merge *merge, const struct entry *entry)
{
    struct agg_partial_key key;
    struct agg_total total;

    assert_int_equal(agg_partial_key_parse(entry->key.data, entry->key.len, &key, NULL), VD_OK);
    if (key.kind == AGG_TOTAL) {
        assert_int_equal(agg_total_parse(entry->value.data, entry->value.len, &total, NULL), VD_OK);
        agg_merge_put(merge, agg_group_find(key.dimension, key.dimension_len), &key, &total);
    }
}

/* The reader of the table goes on; now and then it reads the partition again from its beginning. */
static void follow(struct world *world, struct part *part, size_t count)
{
    if (below(&world->random, 20) == 0) {
        part->merged = 0;
    }
    for (; part->merged < part->log_count && count > 0; count--) {
        merge_one(world->merge, &part->log[part->merged++]);
    }
}

static void make_votes(struct world *world)
{
    static const char *const states[] = {"\"Ohio\"", "\"Utah\"", "\"\"", "null"};
    size_t count = below(&world->random, VOTES_MAX);

    for (size_t i = 0; i < count; i++) {
        struct part *part = &world->parts[below(&world->random, world->part_count)];

        part->votes[part->vote_count++] = vd_format(
            "{\"voter_id\":\"v%zu\",\"candidate_id\":\"c%zu\",\"party_affiliation\":\"p%zu\","
            "\"address\":{\"state\":%s,\"city\":\"t%zu\"},\"gender\":\"%s\","
            "\"registered_age\":%zu,\"vote\":1,\"voting_time\":\"2024-11-05 12:00:0%zu\"}",
            i, below(&world->random, 3), below(&world->random, 2), states[below(&world->random, 4)],
            below(&world->random, 5), below(&world->random, 2) == 0 ? "male" : "female",
            16 + below(&world->random, 70), below(&world->random, 10));
        world->votes++;
    }
}

/* A plain count of every vote, in no particular order. */
static void recount(struct world *world)
{
    for (size_t p = 0; p < world->part_count; p++) {
        for (size_t i = 0; i < world->parts[p].vote_count; i++) {
            const char *json = world->parts[p].votes[i];
            struct agg_vote vote;

            assert_int_equal(agg_vote_parse(json, strlen(json), &world->scratch, &vote, NULL),
                             VD_OK);
            for (size_t group = 0; group < AGG_GROUP_COUNT; group++) {
                VD_AUTO(buf) struct vd_buf key = {0};
                uint64_t *counter;

                vd_buf_add_u8(&key, (uint8_t)group);
                agg_vote_texts(&vote, &agg_groups[group], true, &key);
                counter = vd_map_find(&world->recount, key.data, key.len);
                if (counter == NULL) {
                    counter = vd_alloc(sizeof(*counter));
                    assert_null(vd_map_put(&world->recount, key.data, key.len, counter));
                }
                ++*counter;
            }
        }
    }
}

static void compare(const struct world *world, uint64_t seed)
{
    const struct vd_map_slot *slot;
    size_t at = 0;

    for (size_t group = 0; group < AGG_GROUP_COUNT; group++) {
        if (agg_merge_sum(world->merge, group) != world->votes) {
            fail_msg("seed %llu: group \"%s\": sum %llu of %llu votes", (unsigned long long)seed,
                     agg_groups[group].name, (unsigned long long)agg_merge_sum(world->merge, group),
                     (unsigned long long)world->votes);
        }
    }
    while ((slot = vd_map_next(&world->recount, &at)) != NULL) {
        const uint64_t *counter = slot->value;
        uint64_t merged =
            agg_merge_count(world->merge, (uint8_t)slot->key[0], slot->key + 1, slot->key_len - 1);

        if (merged != *counter) {
            fail_msg("seed %llu: group \"%s\": merged %llu, recounted %llu",
                     (unsigned long long)seed, agg_groups[(uint8_t)slot->key[0]].name,
                     (unsigned long long)merged, (unsigned long long)*counter);
        }
    }
}

/* Begin another world in the memory of the last one: the buffers of the logs stay. */
static void begin_world(struct world *world, uint64_t seed)
{
    world->random = seed * 0x9e3779b97f4a7c15U;
    world->part_count = 1 + below(&world->random, PARTITIONS_MAX);
    world->votes = 0;
    world->merge = agg_merge_new(0);
    world->recount = (struct vd_map){0};
    for (size_t p = 0; p < world->part_count; p++) {
        struct part *part = &world->parts[p];

        part->vote_count = 0;
        part->next = 0;
        part->durable = 0;
        part->recounts = 0;
        part->rewrites = 0;
        part->log_count = 0;
        part->merged = 0;
        part->tally = agg_tally_new((int32_t)p);
    }
}

static void end_world(struct world *world)
{
    for (size_t p = 0; p < world->part_count; p++) {
        struct part *part = &world->parts[p];

        for (size_t i = 0; i < part->vote_count; i++) {
            free(part->votes[i]);
        }
        agg_tally_free(part->tally);
    }
    agg_merge_free(world->merge);
    vd_map_fini(&world->recount, free);
}

static void free_world(struct world *world)
{
    for (size_t p = 0; p < PARTITIONS_MAX; p++) {
        struct part *part = &world->parts[p];

        for (size_t i = 0; i < sizeof(part->log) / sizeof(part->log[0]); i++) {
            vd_buf_fini(&part->log[i].key);
            vd_buf_fini(&part->log[i].value);
        }
    }
    vd_buf_fini(&world->scratch);
    free(world);
}

static bool is_done(const struct world *world)
{
    for (size_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];

        if (part->next < part->vote_count || part->merged < part->log_count ||
            agg_tally_recount_end(part->tally) != -1 || agg_tally_is_due(part->tally)) {
            return false;
        }
    }
    return true;
}

TEST(order_batches_failures_takeovers_and_recounts_do_not_matter)
{
    struct world *world = vd_alloc(sizeof(*world));

    for (uint64_t seed = 1; seed <= CASES; seed++) {
        begin_world(world, seed);
        make_votes(world);
        recount(world);
        while (!is_done(world)) {
            size_t p = below(&world->random, world->part_count);
            struct part *part = &world->parts[p];

            switch (below(&world->random, 10)) {
            case 0:
                take_over(part, (int32_t)p);
                break;
            case 8:
                count_anew(part);
                break;
            case 9:
                if (part->rewrites++ < 2) {
                    agg_tally_rewrite(part->tally);
                }
                break;
            case 1:
            case 2:
            case 3:
                run_batch(world, (int32_t)p);
                break;
            default:
                follow(world, part, 1 + below(&world->random, 20));
                break;
            }
        }
        compare(world, seed);
        end_world(world);
    }
    free_world(world);
}

TEST(merging_in_any_order_of_partitions_gives_the_same)
{
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        uint64_t random = seed * 0x9e3779b97f4a7c15U;
        struct agg_merge *merge = agg_merge_new(0);
        uint64_t latest[8] = {0};
        uint64_t sum = 0;

        for (int i = 0; i < 50; i++) {
            size_t p = below(&random, 8);

            latest[p] += below(&random, 3); /* absolute, sometimes the same again */
            agg_merge_put(merge, 1,
                          &(struct agg_partial_key){
                              .partition = (int32_t)p, .keys = "\0\x04Ohio", .keys_len = 6},
                          &(struct agg_total){.count = latest[p]});
        }
        for (size_t p = 0; p < 8; p++) {
            sum += latest[p];
        }
        assert_true(agg_merge_count(merge, 1, "\0\x04Ohio", 6) == sum);
        agg_merge_free(merge);
    }
}

/* ---- publishing ------------------------------------------------------------------------------ */

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

RUN_TESTS(cmocka_unit_test(order_batches_failures_takeovers_and_recounts_do_not_matter),
          cmocka_unit_test(merging_in_any_order_of_partitions_gives_the_same),
          cmocka_unit_test(a_result_is_published_until_it_is_read_back),
          cmocka_unit_test(a_stale_last_word_is_corrected),
          cmocka_unit_test(what_another_node_owns_waits_and_a_full_queue_ends_the_round),
          cmocka_unit_test(a_rebuild_raises_every_sequence_and_may_lower_a_count),
          cmocka_unit_test(without_a_table_what_was_sent_counts_as_shown),
          cmocka_unit_test(a_partial_that_says_less_does_not_wipe_out_a_name),
          cmocka_unit_test(no_result_starves_behind_those_that_change_all_the_time),
          cmocka_unit_test(results_are_counted_however_they_came_in),
          cmocka_unit_test(sequences_are_read_from_public_values))
