/* The laws of the aggregation: whatever the order of votes, their split into partitions and
 * batches, failed transactions, takeovers and repeats, the merged counts are those of a plain
 * recount. */
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

RUN_TESTS(cmocka_unit_test(order_batches_failures_takeovers_and_recounts_do_not_matter),
          cmocka_unit_test(merging_in_any_order_of_partitions_gives_the_same))
