/* Counting one partition: what a vote must be, its position, and what is durable. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "aggregation/tally.h"
#include "alloc.h"

#define VOTE(more)                                                                        \
    "{\"voter_id\":\"v\",\"candidate_id\":\"c\",\"vote\":1,\"voting_time\":\"2024-11-05 " \
    "12:00:00\"" more "}"

static enum vd_status parse(const char *json, struct vd_buf *scratch, struct agg_vote *vote,
                            struct vd_err *err)
{
    return agg_vote_parse(json, strlen(json), scratch, vote, err);
}

TEST(what_is_no_vote_is_refused_with_the_reason)
{
    static const struct {
        const char *json, *words;
    } cases[] = {
        {"[]", "byte 0: expected an object"},
        {"{}", "member \"voter_id\": expected a string"},
        {"{\"voter_id\":7}", "member \"voter_id\": expected a string"},
        {"{\"voter_id\":\"v\"}", "member \"candidate_id\": expected a string"},
        {"{\"voter_id\":\"v\",\"candidate_id\":\"\"}",
         "member \"candidate_id\": expected a string"},
        {"{\"voter_id\":\"v\",\"candidate_id\":\"c\"}", "member \"vote\": expected an integer"},
        {"{\"voter_id\":\"v\",\"candidate_id\":\"c\",\"vote\":\"1\"}",
         "member \"vote\": expected an integer"},
        {"{\"voter_id\":\"v\",\"candidate_id\":\"c\",\"vote\":2}",
         "member \"vote\": expected 1, got 2"},
        {"{\"voter_id\":\"v\",\"candidate_id\":\"c\",\"vote\":0}",
         "member \"vote\": expected 1, got 0"},
    };
    VD_AUTO(buf) struct vd_buf scratch = {0};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct agg_vote vote;
        struct vd_err err = {0};

        assert_int_equal(parse(cases[i].json, &scratch, &vote, &err), VD_INVALID);
        assert_string_equal(err.msg, cases[i].words);
    }
    assert_int_equal(agg_vote_parse(NULL, 0, &scratch, &(struct agg_vote){0}, NULL), VD_INVALID);
}

TEST(a_value_too_long_for_a_key_is_refused)
{
    VD_AUTO(buf) struct vd_buf scratch = {0};
    VD_AUTO(buf) struct vd_buf json = {0};
    struct agg_vote vote;
    struct vd_err err = {0};

    vd_buf_add_text(&json, "{\"voter_id\":\"v\",\"candidate_id\":\"c\",\"vote\":1,\"gender\":\"");
    for (int i = 0; i <= AGG_KEY_BYTES_MAX; i++) {
        vd_buf_add_char(&json, 'x');
    }
    vd_buf_add_text(&json, "\"}");
    assert_int_equal(parse(vd_buf_text(&json), &scratch, &vote, &err), VD_INVALID);
    assert_string_equal(err.msg, "member \"gender\": must be at most 1024 bytes, got 1025");
}

static void assert_text(const struct agg_text *text, const char *wanted)
{
    assert_int_equal(text->len, strlen(wanted));
    assert_memory_equal(text->text, wanted, text->len);
}

TEST(values_are_read_whatever_the_order_and_the_escapes)
{
    VD_AUTO(buf) struct vd_buf scratch = {0};
    struct agg_vote vote;
    struct agg_vote same;

    assert_int_equal(parse("{\"vote\":1,\"address\":{\"city\":\"Z\\u00fcrich\",\"state\":\"ZH\"},"
                           "\"candidate_id\":\"\\u0063\",\"registered_age\":35,\"gender\":null,"
                           "\"voting_time\":\"1970-01-01 00:01:00\",\"voter_id\":\"v\"}",
                           &scratch, &vote, NULL),
                     VD_OK);
    assert_text(&vote.texts[AGG_CITY], "Z\xc3\xbcrich");
    assert_text(&vote.texts[AGG_STATE], "ZH");
    assert_text(&vote.texts[AGG_CANDIDATE_ID], "c");
    assert_text(&vote.age, "35");
    assert_text(&vote.age_group, "35-44");
    assert_int_equal(vote.texts[AGG_GENDER].len, 0);
    assert_true(vote.event_s == 60);
    assert_int_equal(parse(VOTE(""), &scratch, &same, NULL), VD_OK);
    assert_true(vote.checksum == same.checksum);
    assert_int_equal(same.age.len, 0);
    assert_int_equal(same.age_group.len, 0);
    assert_int_equal(
        parse("{\"voter_id\":\"vc\",\"candidate_id\":\"c\",\"vote\":1}", &scratch, &same, NULL),
        VD_OK);
    assert_true(vote.checksum != same.checksum);
    assert_true(same.event_s == -1);
}

TEST(ages_fall_into_their_groups)
{
    static const struct {
        const char *age, *group;
    } cases[] = {
        {"17", "under 18"}, {"18", "18-24"}, {"24", "18-24"}, {"25", "25-34"},   {"34", "25-34"},
        {"35", "35-44"},    {"45", "45-54"}, {"55", "55-64"}, {"64", "55-64"},   {"65", "65-74"},
        {"74", "65-74"},    {"75", "75+"},   {"120", "75+"},  {"0", "under 18"},
    };
    VD_AUTO(buf) struct vd_buf scratch = {0};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        VD_AUTO(mem)
        char *json = vd_format("{\"voter_id\":\"v\",\"candidate_id\":\"c\",\"vote\":1,"
                               "\"registered_age\":%s}",
                               cases[i].age);
        struct agg_vote vote;

        assert_int_equal(parse(json, &scratch, &vote, NULL), VD_OK);
        assert_text(&vote.age_group, cases[i].group);
    }
}

TEST(public_records_have_the_members_of_the_reference)
{
    VD_AUTO(buf) struct vd_buf scratch = {0};
    VD_AUTO(buf) struct vd_buf out = {0};
    static const char candidate[] =
        "c|{\"candidate_id\":\"c\",\"candidate_name\":\"A \\\"B\\\"\",\"party_affiliation\":\"P\","
        "\"photo_url\":\"u\",\"total_votes\":5,\"sequence\":7}";
    const char *const wanted[] = {
        candidate,
        "Ohio|{\"state\":\"Ohio\",\"count\":5,\"sequence\":7}",
        "35|{\"registered_age\":35,\"total_votes\":5,\"sequence\":7}",
        "35-44|{\"age_group\":\"35-44\",\"total_votes\":5,\"sequence\":7}",
        "|{\"total_votes\":5,\"sequence\":7}", /* no gender */
        "P|{\"party_affiliation\":\"P\",\"total_votes\":5,\"sequence\":7}",
        "X|{\"city\":\"X\",\"total_votes\":5,\"sequence\":7}",
        "Ohio/c|{\"state\":\"Ohio\",\"candidate_id\":\"c\",\"total_votes\":5,\"sequence\":7}",
    };
    struct agg_vote vote;

    assert_int_equal(parse(VOTE(",\"candidate_name\":\"A \\\"B\\\"\",\"party_affiliation\":\"P\","
                                "\"photo_url\":\"u\",\"registered_age\":35,"
                                "\"address\":{\"state\":\"Ohio\",\"city\":\"X\"}"),
                           &scratch, &vote, NULL),
                     VD_OK);
    assert_int_equal(sizeof(wanted) / sizeof(wanted[0]), AGG_GROUP_COUNT);
    for (size_t i = 0; i < AGG_GROUP_COUNT; i++) {
        VD_AUTO(buf) struct vd_buf keys = {0};
        VD_AUTO(buf) struct vd_buf attributes = {0};

        vd_buf_clear(&out);
        agg_vote_texts(&vote, &agg_groups[i], true, &keys);
        agg_vote_texts(&vote, &agg_groups[i], false, &attributes);
        assert_true(agg_texts_fit(&agg_groups[i], true, keys.data, keys.len));
        assert_true(agg_texts_fit(&agg_groups[i], false, attributes.data, attributes.len));
        agg_public_key(keys.data, keys.len, &out);
        vd_buf_add_char(&out, '|');
        agg_public_value(&agg_groups[i],
                         &(struct agg_public){.keys = keys.data,
                                              .keys_len = keys.len,
                                              .attributes = attributes.data,
                                              .attributes_len = attributes.len,
                                              .count = 5,
                                              .sequence = 7},
                         &out);
        assert_string_equal(vd_buf_text(&out), wanted[i]);
    }
}

/* Every text as long as it may be, and each byte of it six in JSON. */
TEST(the_largest_records_are_within_the_limit_that_the_topology_is_checked_for)
{
    static const char texts[AGG_ATTRIBUTE_BYTES_MAX] = {1};
    VD_AUTO(buf) struct vd_buf keys = {0};
    VD_AUTO(buf) struct vd_buf attributes = {0};
    VD_AUTO(buf) struct vd_buf out = {0};
    struct agg_vote vote = {.age = {texts, 20}, .age_group = {texts, 8}};

    for (size_t i = 0; i < AGG_FIELDS; i++) {
        vote.texts[i] = (struct agg_text){texts, i == AGG_CANDIDATE_NAME || i == AGG_PHOTO_URL
                                                     ? AGG_ATTRIBUTE_BYTES_MAX
                                                     : AGG_KEY_BYTES_MAX};
    }
    for (size_t i = 0; i < AGG_GROUP_COUNT; i++) {
        struct agg_public result = {.count = UINT64_MAX / 2, .sequence = UINT64_MAX / 2};

        vd_buf_clear(&keys);
        vd_buf_clear(&attributes);
        vd_buf_clear(&out);
        agg_vote_texts(&vote, &agg_groups[i], true, &keys);
        agg_vote_texts(&vote, &agg_groups[i], false, &attributes);
        result.keys = keys.data;
        result.keys_len = keys.len;
        result.attributes = attributes.data;
        result.attributes_len = attributes.len;
        agg_public_key(keys.data, keys.len, &out);
        agg_public_value(&agg_groups[i], &result, &out);
        assert_in_range(out.len, 1, AGG_RECORD_BYTES_MAX); /* a partial escapes nothing */
    }
}

/* A vote of ours at 'offset', from source offset 'source' after 'previous'. */
static struct vd_record at(int64_t offset, int16_t generation, int64_t source, int64_t previous)
{
    return (struct vd_record){
        .partition = 3,
        .offset = offset,
        .has_position = true,
        .position = {
            .generation = generation, .partition = 3, .offset = source, .previous = previous}};
}

TEST(the_chain_of_positions_decides)
{
    static const struct {
        int64_t offset;
        int16_t generation;
        int64_t source, previous;
        enum agg_step step;
    } steps[] = {
        {0, 1, 4, 2, AGG_STEP_GAP},     /* the first must say that there is none before it */
        {0, 1, 4, -1, AGG_STEP_COUNT},  /**/
        {0, 1, 4, -1, AGG_STEP_SEEN},   /* own offset */
        {1, 1, 5, 4, AGG_STEP_COUNT},   /**/
        {2, 1, 5, 4, AGG_STEP_REPEAT},  /* emitted twice */
        {3, 1, 4, -1, AGG_STEP_REPEAT}, /**/
        {4, 1, 9, 8, AGG_STEP_GAP},     /* 8 is missing */
        {4, 1, 9, 4, AGG_STEP_GAP},     /* somebody does not know of 5 */
        {7, 1, 9, 5, AGG_STEP_COUNT},   /**/
        {8, 0, 10, 9, AGG_STEP_STALE},  /* a generation that is over */
        {9, 2, 0, 9, AGG_STEP_GAP},     /* a new one begins anew */
        {9, 2, 0, -1, AGG_STEP_COUNT},  /**/
        {10, 1, 10, 9, AGG_STEP_STALE}, /**/
        {11, 2, 1, 0, AGG_STEP_COUNT},  /**/
    };
    struct agg_tally *tally = agg_tally_new(3);
    struct vd_record foreign = at(12, 2, 2, 1);

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct vd_record record =
            at(steps[i].offset, steps[i].generation, steps[i].source, steps[i].previous);

        assert_int_equal(agg_tally_step(tally, &record, VD_NO_OFFSET), steps[i].step);
    }
    foreign.position.partition = 2;
    assert_int_equal(agg_tally_step(tally, &foreign, VD_NO_OFFSET), AGG_STEP_FOREIGN);
    foreign.has_position = false; /* another program's: its own offset alone */
    assert_int_equal(agg_tally_step(tally, &foreign, VD_NO_OFFSET), AGG_STEP_COUNT);
    assert_int_equal(agg_tally_step(tally, &foreign, VD_NO_OFFSET), AGG_STEP_SEEN);
    assert_true(agg_tally_meta(tally).next_offset == 13);
    assert_true(agg_tally_meta(tally).last_offset == 1);
    assert_int_equal(agg_tally_meta(tally).last_generation, 2);
    agg_tally_free(tally);
}

static void add_one(void *arg, size_t group, const struct agg_partial_key *key,
                    const struct agg_total *total)
{
    uint64_t *sum = arg;

    (void)group;
    assert_int_equal(key->partition, 3);
    *sum += total->count;
}

static void count(struct agg_tally *tally, int64_t offset)
{
    VD_AUTO(buf) struct vd_buf scratch = {0};
    struct vd_record record = {.partition = 3, .offset = offset};
    struct agg_vote vote;

    assert_int_equal(agg_tally_step(tally, &record, VD_NO_OFFSET), AGG_STEP_COUNT);
    assert_int_equal(parse(VOTE(""), &scratch, &vote, NULL), VD_OK);
    agg_tally_add(tally, &vote);
}

/* Run a transaction; returns the sum of all totals in it. */
static uint64_t commit(struct agg_tally *tally)
{
    uint64_t sum = 0;

    agg_tally_each(tally, add_one, &sum);
    agg_tally_fold(tally);
    return sum;
}

TEST(what_is_void_is_forgotten_and_what_is_durable_is_kept)
{
    struct agg_tally *tally = agg_tally_new(3);
    uint64_t sum = 0;

    assert_false(agg_tally_is_due(tally));
    count(tally, 0);
    count(tally, 1);
    assert_true(agg_tally_is_due(tally));
    agg_tally_each(tally, add_one, &sum);
    assert_int_equal(sum, 2 * AGG_GROUP_COUNT); /* one total a group, absolute */
    assert_int_equal(agg_tally_meta(tally).commits, 1);
    agg_tally_forget(tally);
    assert_false(agg_tally_is_due(tally));
    assert_int_equal(agg_tally_base(tally)->votes, 0);
    assert_true(agg_tally_base(tally)->event_s == -1);

    count(tally, 0);
    commit(tally);
    assert_int_equal(agg_tally_base(tally)->votes, 1);
    assert_int_equal(agg_tally_base(tally)->commits, 1);
    assert_true(agg_tally_base(tally)->event_s == 1730808000);
    assert_int_equal(agg_tally_check(tally, NULL), VD_OK);
    sum = 0;
    agg_tally_each(tally, add_one, &sum);
    assert_int_equal(sum, 0); /* nothing has changed since */
    agg_tally_free(tally);
}

TEST(a_rewrite_lasts_until_it_is_durable)
{
    struct agg_tally *tally = agg_tally_new(3);
    uint64_t sum = 0;

    count(tally, 0);
    commit(tally);
    count(tally, 1);
    agg_tally_each(tally, add_one, &sum); /* under way when the rewrite is asked for */
    agg_tally_rewrite(tally);
    agg_tally_fold(tally);
    assert_true(agg_tally_is_rewriting(tally));
    assert_int_equal(commit(tally), 2 * AGG_GROUP_COUNT);
    assert_false(agg_tally_is_rewriting(tally));
    agg_tally_rewrite(tally);
    assert_true(agg_tally_is_due(tally)); /* without any vote */
    sum = 0;
    agg_tally_each(tally, add_one, &sum);
    agg_tally_forget(tally);
    assert_true(agg_tally_is_due(tally));
    assert_int_equal(commit(tally), sum);
    assert_false(agg_tally_is_due(tally));
    assert_int_equal(agg_tally_base(tally)->commits, 4);
    agg_tally_free(tally);
}

TEST(idleness_is_due_once_and_ends_with_the_next_vote)
{
    struct agg_tally *tally = agg_tally_new(3);

    agg_tally_set_idle(tally);
    assert_true(agg_tally_is_due(tally));
    agg_tally_forget(tally); /* its transaction came to nothing */
    assert_false(agg_tally_is_due(tally));
    agg_tally_set_idle(tally);
    assert_int_equal(commit(tally), 0);
    assert_true(agg_tally_base(tally)->is_idle);
    assert_int_equal(agg_tally_base(tally)->commits, 1);
    assert_false(agg_tally_is_due(tally));
    count(tally, 0);
    assert_false(agg_tally_meta(tally).is_idle);
    agg_tally_free(tally);
}

static void count_groups(void *arg, size_t group, const struct agg_partial_key *key,
                         const struct agg_total *total)
{
    uint64_t *counts = arg;

    counts[0] += total->count == 0 ? 1 : 0; /* gone */
    counts[1] += total->count;
    (void)group;
    (void)key;
}

TEST(idleness_found_while_others_commit_is_still_to_be_said)
{
    struct agg_tally *tally = agg_tally_new(3);

    agg_tally_set_idle(tally);
    agg_tally_fold(tally); /* a transaction without a word of this partition */
    assert_true(agg_tally_is_due(tally));
    assert_false(agg_tally_base(tally)->is_idle);
    agg_tally_each(tally, count_groups, (uint64_t[2]){0});
    agg_tally_fold(tally);
    assert_false(agg_tally_is_due(tally));
    assert_true(agg_tally_base(tally)->is_idle);
    agg_tally_free(tally);
}

TEST(a_recount_says_nothing_until_its_end_and_then_everything)
{
    struct agg_tally *tally = agg_tally_new(3);
    struct agg_meta meta = {.next_offset = 2, .last_offset = 7, .votes = 9, .commits = 5};
    uint64_t counts[2] = {0};

    agg_tally_load_meta(tally, &meta);
    agg_tally_load(tally, 0,
                   &(struct agg_partial_key){.kind = AGG_TOTAL, .keys = "\0\x01x", .keys_len = 3},
                   &(struct agg_total){.count = 9});
    agg_tally_recount(tally);
    assert_true(agg_tally_recount_end(tally) == 2);
    assert_int_equal(agg_tally_check(tally, NULL), VD_OK); /* of what is counted so far */
    for (int64_t offset = 0; offset < 2; offset++) {
        count(tally, offset);
        assert_false(agg_tally_is_due(tally));
        agg_tally_forget(tally);
        count(tally, offset);
        agg_tally_fold(tally);
    }
    assert_int_equal(agg_tally_base(tally)->commits, 5);
    agg_tally_end_recount(tally);
    assert_true(agg_tally_recount_end(tally) == VD_NO_OFFSET);
    assert_true(agg_tally_is_due(tally));
    agg_tally_each(tally, count_groups, counts);
    assert_int_equal(counts[0], 1); /* candidate "x" is not there any more: a 0 says so */
    assert_int_equal(counts[1], 2 * AGG_GROUP_COUNT);
    assert_int_equal(agg_tally_meta(tally).rebuilds, 1);
    assert_int_equal(agg_tally_meta(tally).commits, 6);
    assert_int_equal(agg_tally_meta(tally).votes, 2);
    agg_tally_fold(tally);
    assert_false(agg_tally_is_due(tally));
    assert_int_equal(agg_tally_check(tally, NULL), VD_OK);
    agg_tally_free(tally);
}

/* Step over a record that was written without a position, and count it if it is to be. */
static enum agg_step count_replay(struct agg_tally *tally, int64_t offset, int64_t replay_of)
{
    VD_AUTO(buf) struct vd_buf scratch = {0};
    struct vd_record record = {.partition = 3, .offset = offset};
    enum agg_step step = agg_tally_step(tally, &record, replay_of);
    struct agg_vote vote;

    assert_int_equal(parse(VOTE(""), &scratch, &vote, NULL), VD_OK);
    if (step == AGG_STEP_COUNT) {
        agg_tally_add(tally, &vote);
    }
    return step;
}

TEST(a_recount_counts_a_replayed_vote_where_it_stood_or_where_it_came_back)
{
    struct agg_tally *tally = agg_tally_new(3);

    for (int64_t offset = 0; offset < 3; offset++) { /* 3 and 4 were set aside */
        assert_int_equal(count_replay(tally, offset, VD_NO_OFFSET), AGG_STEP_COUNT);
    }
    assert_int_equal(count_replay(tally, 8, 3), AGG_STEP_COUNT);
    assert_int_equal(count_replay(tally, 9, 4), AGG_STEP_COUNT);
    agg_tally_fold(tally);
    agg_tally_recount(tally);
    for (int again = 0; again < 2; again++) { /* the first transaction is void */
        agg_tally_forget(tally);
        for (int64_t offset = 0; offset < 4; offset++) { /* 4 is still set aside by the engine */
            assert_int_equal(count_replay(tally, offset, VD_NO_OFFSET), AGG_STEP_COUNT);
        }
        assert_int_equal(count_replay(tally, 8, 3), AGG_STEP_REPEAT);
        assert_int_equal(count_replay(tally, 9, 4), AGG_STEP_COUNT);
    }
    agg_tally_fold(tally);
    assert_int_equal(agg_tally_base(tally)->votes, 5);
    agg_tally_end_recount(tally);
    assert_int_equal(count_replay(tally, 10, 4), AGG_STEP_REPEAT); /* was written meanwhile */
    assert_int_equal(count_replay(tally, 11, 10), AGG_STEP_COUNT); /* stands behind the recount */
    assert_int_equal(count_replay(tally, 12, INT64_MAX), AGG_STEP_COUNT);
    agg_tally_free(tally);
}

TEST(a_replay_of_what_a_recount_before_the_restart_may_have_counted_asks_for_another)
{
    const struct agg_meta metas[] = {
        {.next_offset = 9, .last_offset = -1, .votes = 5, .rebuilds = 1, .recounted = 7},
        {.next_offset = 7, .last_offset = -1, .votes = 5, .rebuilds = 1}, /* version 1 */
    };

    for (size_t i = 0; i < 2; i++) {
        struct agg_tally *tally = agg_tally_new(3);
        const int64_t next = metas[i].next_offset;

        agg_tally_load_meta(tally, &metas[i]);
        assert_int_equal(count_replay(tally, next, 6), AGG_STEP_UNKNOWN);
        assert_false(agg_tally_is_due(tally)); /* nothing has moved */
        assert_int_equal(count_replay(tally, next, 7), AGG_STEP_COUNT);
        agg_tally_forget(tally);
        agg_tally_recount(tally);
        assert_int_equal(agg_tally_meta(tally).recounted, next);
        assert_int_equal(count_replay(tally, 6, VD_NO_OFFSET), AGG_STEP_COUNT);
        assert_int_equal(count_replay(tally, next, 6), AGG_STEP_REPEAT);
        assert_int_equal(count_replay(tally, next + 1, 5), AGG_STEP_COUNT);
        agg_tally_free(tally);
    }
}

TEST(what_the_engine_set_aside_is_passed_and_not_counted)
{
    struct agg_tally *tally = agg_tally_new(3);

    count(tally, 0);
    agg_tally_fold(tally);
    agg_tally_pass(tally, VD_NO_OFFSET);
    agg_tally_pass(tally, 1);
    assert_false(agg_tally_is_due(tally));
    agg_tally_pass(tally, 3);
    assert_true(agg_tally_is_due(tally));
    assert_int_equal(agg_tally_meta(tally).next_offset, 3);
    assert_int_equal(agg_tally_meta(tally).votes, 1);
    agg_tally_forget(tally);
    assert_int_equal(agg_tally_meta(tally).next_offset, 1);
    agg_tally_free(tally);
}

TEST(a_topic_that_was_repaired_at_its_end_is_counted_whole_by_a_recount)
{
    /* Source offsets 2 and 3 were lost after they had been counted, and emitted again; their place
     * in the topic is that of votes counted before, so the first count saw only the gap. */
    static const struct {
        int64_t offset, source, previous;
    } log[] = {{0, 0, -1}, {1, 1, 0}, {4, 2, 1}, {5, 3, 2}, {6, 4, 3}};
    struct agg_tally *tally = agg_tally_new(3);
    struct agg_meta meta = {.next_offset = 6, .last_offset = 3, .votes = 4};
    struct vd_record last = at(6, 0, 5, 4);

    agg_tally_load_meta(tally, &meta);
    assert_int_equal(agg_tally_step(tally, &last, VD_NO_OFFSET),
                     AGG_STEP_GAP); /* 4 came below offset 6 */
    agg_tally_recount(tally);
    for (size_t i = 0; i < sizeof(log) / sizeof(log[0]); i++) {
        struct vd_record record = at(log[i].offset, 0, log[i].source, log[i].previous);

        assert_int_equal(agg_tally_step(tally, &record, VD_NO_OFFSET), AGG_STEP_COUNT);
    }
    agg_tally_free(tally);
}

TEST(sums_that_do_not_fit_are_told_with_the_numbers)
{
    struct agg_tally *tally = agg_tally_new(3);
    struct agg_meta meta = {.next_offset = 12, .last_offset = -1, .votes = 10};
    struct vd_err err = {0};

    agg_tally_load_meta(tally, &meta);
    agg_tally_load(tally, 0,
                   &(struct agg_partial_key){.kind = AGG_TOTAL, .keys = "\0\x01x", .keys_len = 3},
                   &(struct agg_total){.count = 9});
    assert_int_equal(agg_tally_check(tally, &err), VD_INVALID);
    assert_string_equal(err.msg, "partition 3: 10 votes up to offset 12, but the totals by "
                                 "\"candidate\" add up to 9");
    agg_tally_free(tally);
}

RUN_TESTS(
    cmocka_unit_test(what_is_no_vote_is_refused_with_the_reason),
    cmocka_unit_test(a_value_too_long_for_a_key_is_refused),
    cmocka_unit_test(values_are_read_whatever_the_order_and_the_escapes),
    cmocka_unit_test(ages_fall_into_their_groups),
    cmocka_unit_test(public_records_have_the_members_of_the_reference),
    cmocka_unit_test(the_largest_records_are_within_the_limit_that_the_topology_is_checked_for),
    cmocka_unit_test(the_chain_of_positions_decides),
    cmocka_unit_test(what_is_void_is_forgotten_and_what_is_durable_is_kept),
    cmocka_unit_test(a_rewrite_lasts_until_it_is_durable),
    cmocka_unit_test(idleness_is_due_once_and_ends_with_the_next_vote),
    cmocka_unit_test(idleness_found_while_others_commit_is_still_to_be_said),
    cmocka_unit_test(a_recount_says_nothing_until_its_end_and_then_everything),
    cmocka_unit_test(a_recount_counts_a_replayed_vote_where_it_stood_or_where_it_came_back),
    cmocka_unit_test(
        a_replay_of_what_a_recount_before_the_restart_may_have_counted_asks_for_another),
    cmocka_unit_test(what_the_engine_set_aside_is_passed_and_not_counted),
    cmocka_unit_test(a_topic_that_was_repaired_at_its_end_is_counted_whole_by_a_recount),
    cmocka_unit_test(sums_that_do_not_fit_are_told_with_the_numbers))
