/* The voting stage's pure parts: which records can become votes, the values of the statements, and
 * what their answers mean. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "election/vote.h"
#include "voting/decode.h"
#include "voting/unit.h"

static struct vd_record record_of(const char *json)
{
    return (struct vd_record){
        .value = json, .value_len = strlen(json), .timestamp_ms = 1730808000999};
}

TEST(a_voter_is_decoded)
{
    static const struct {
        const char *json, *id, *state;
    } cases[] = {
        {"{\"voter_id\":\"v1\",\"address\":{\"state\":\"Ohio\"}}", "v1", "Ohio"},
        {"{\"address\":{\"state\":\"M\\u00fcn\"},\"voter_id\":\"\\u0076\\u00fc\"}", "v\xc3\xbc",
         "M\xc3\xbcn"},
        {"{\"voter_id\":\"v1\"}", "v1", ""},
        {"{\"voter_id\":\"v1\",\"address\":{\"state\":7}}", "v1", ""},
        {"{\"voter_id\":\"v1\",\"address\":null}", "v1", ""},
        {"{\"voter_id\":\"a\",\"voter_id\":\"b\"}", "b", ""},
    };
    VD_AUTO(buf) struct vd_buf scratch = {0};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vd_record record = record_of(cases[i].json);
        struct voting_voter voter;
        struct vd_err err = {0};

        if (voting_decode(&record, &scratch, &voter, &err) != VD_OK) {
            fail_msg("%s: %s", cases[i].json, err.msg);
        }
        assert_int_equal(voter.key.id_len, strlen(cases[i].id));
        assert_memory_equal(voter.key.id, cases[i].id, voter.key.id_len);
        assert_int_equal(voter.key.state_len, strlen(cases[i].state));
        assert_memory_equal(voter.key.state, cases[i].state, voter.key.state_len);
        assert_true(voter.second == 1730808000);
    }
}

TEST(what_cannot_become_a_vote_is_dead_with_the_reason)
{
    static const struct {
        const char *json, *words;
    } cases[] = {
        {"", "byte 0: expected an object"},
        {"{\"voter_id\":\"v", "byte 14: the text ends inside a string"},
        {"{\"voter_id\":\"\xff\"}", "byte 13: not UTF-8"},
        {"{}", "no voter_id"},
        {"{\"voter_id\":\"\"}", "no voter_id"},
        {"{\"voter_id\":null}", "member \"voter_id\": expected a string"},
        {"{\"voter_id\":7}", "member \"voter_id\": expected a string"},
        {"{\"voter_id\":\"a\\u0000b\"}", "member \"voter_id\": must not hold a NUL"},
        {"{\"voter_id\":\"\\ud800\"}", "member \"voter_id\": not UTF-8"},
        {"{\"voter_id\":\"v\",\"candidate_id\":\"c\"}",
         "member \"candidate_id\" belongs to a vote, not to a voter"},
        {"{\"voter_id\":\"v\",\"vote\":null}", "member \"vote\" belongs to a vote, not to a voter"},
    };
    VD_AUTO(buf) struct vd_buf scratch = {0};
    struct voting_voter voter;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vd_record record = record_of(cases[i].json);
        struct vd_err err = {0};

        assert_int_equal(voting_decode(&record, &scratch, &voter, &err), VD_INVALID);
        assert_string_equal(err.msg, cases[i].words);
    }
}

TEST(a_tombstone_and_an_absurd_time_are_dead)
{
    VD_AUTO(buf) struct vd_buf scratch = {0};
    struct voting_voter voter;
    struct vd_err err = {0};
    struct vd_record record = record_of("{\"voter_id\":\"v\"}");

    record.timestamp_ms = -1;
    assert_int_equal(voting_decode(&record, &scratch, &voter, &err), VD_INVALID);
    assert_string_equal(err.msg, "no timestamp");
    record.timestamp_ms = INT64_C(253402300800000);
    assert_int_equal(voting_decode(&record, &scratch, &voter, &err), VD_INVALID);
    assert_string_equal(err.msg, "timestamp 253402300800000 ms is beyond the year 9999");
    record.timestamp_ms--;
    assert_int_equal(voting_decode(&record, &scratch, &voter, &err), VD_OK);
    record.value = NULL;
    record.value_len = 0;
    assert_int_equal(voting_decode(&record, &scratch, &voter, &err), VD_INVALID);
    assert_string_equal(err.msg, "no value");
}

TEST(a_vote_that_no_producer_takes_is_dead_before_it_is_a_row)
{
    const struct el_candidate candidate = {.id = vd_strdup("c1"), .biography = vd_strdup("long")};
    struct vd_record record = record_of("{\"voter_id\":\"v1\"}");
    VD_AUTO(buf) struct vd_buf scratch = {0};
    VD_AUTO(buf) struct vd_buf fragment = {0};
    VD_AUTO(buf) struct vd_buf vote = {0};
    struct el_vote_clock clock = {0};
    struct voting_voter voter;
    struct vd_err err = {0};
    char words[128];
    size_t bytes = 0;

    el_vote_fragment(&candidate, &fragment);
    assert_int_equal(voting_decode(&record, &scratch, &voter, &err), VD_OK);
    el_vote_append(&vote, record.value, record.value_len, &fragment,
                   el_vote_time_format(&clock, voter.second));
    bytes = vote.len + voter.key.id_len;
    assert_int_equal(voting_check_size(&record, &voter, &fragment, bytes, &err), VD_OK);
    assert_int_equal(voting_check_size(&record, &voter, &fragment, bytes - 1, &err), VD_INVALID);
    (void)snprintf(words, sizeof(words),
                   "its vote would have %zu bytes; client.message.max.bytes leaves room for %zu",
                   bytes, bytes - 1);
    assert_string_equal(err.msg, words);
    free(candidate.id);
    free(candidate.biography);
}

TEST(an_id_may_have_255_characters_and_no_more)
{
    VD_AUTO(buf) struct vd_buf scratch = {0};

    for (int chars = VOTING_ID_CHARS_MAX; chars <= VOTING_ID_CHARS_MAX + 1; chars++) {
        VD_AUTO(buf) struct vd_buf json = {0};
        struct voting_voter voter;
        struct vd_record record;
        struct vd_err err = {0};

        vd_buf_add_text(&json, "{\"voter_id\":\"");
        for (int i = 0; i < chars; i++) {
            vd_buf_add_text(&json, "\xe2\x82\xac"); /* characters are counted, not bytes */
        }
        vd_buf_add_text(&json, "\"}");
        record = record_of(vd_buf_text(&json));
        assert_int_equal(voting_decode(&record, &scratch, &voter, &err),
                         chars == VOTING_ID_CHARS_MAX ? VD_OK : VD_INVALID);
        if (chars > VOTING_ID_CHARS_MAX) {
            assert_string_equal(err.msg,
                                "member \"voter_id\": must be 1 to 255 characters, got 256");
        }
    }
}

static const struct voting_row row = {.voter_id = "v",
                                      .voter_id_len = 1,
                                      .candidate_id = "cand",
                                      .candidate_id_len = 4,
                                      .second = 946684801, /* 2000-01-01 00:00:01 */
                                      .partition = 2,
                                      .offset = 7};

TEST(a_unit_has_three_statements_or_the_first_alone)
{
    struct voting_unit unit = {0};

    for (int round = 0; round < 2; round++) { /* the memory is used again */
        voting_unit_begin(&unit, 3);
        voting_unit_add_progress(&unit, 2, 8);
        assert_int_equal(voting_unit_end(&unit, false), 1);
        assert_int_equal(unit.stmts[0].count, 3);
        assert_int_equal(unit.progress[0].len, 1);
        assert_memory_equal(unit.progress[0].data, "3", 1);

        voting_unit_begin(&unit, 3);
        voting_unit_add_progress(&unit, 2, 8);
        voting_unit_add(&unit, &row);
        assert_int_equal(voting_unit_end(&unit, false), VOTING_STMTS);
        assert_int_equal(unit.stmts[VOTING_STMT_INSERT].count, 6);
        assert_int_equal(unit.stmts[VOTING_STMT_CLASSIFY].count, 4);
        assert_true(unit.stmts[VOTING_STMT_CLASSIFY].is_binary_result);
        assert_true(unit.insert[0].is_binary);
        /* dimensions 1, no nulls, text, 1 element, lower bound 1, length 1, "v" */
        assert_int_equal(unit.insert[0].len, 25);
        assert_memory_equal(unit.insert[0].data,
                            "\0\0\0\x01\0\0\0\0\0\0\0\x19\0\0\0\x01\0\0\0\x01\0\0\0\x01v", 25);
        assert_ptr_equal(unit.classify[0].data, unit.insert[0].data);
    }
    voting_unit_fini(&unit);
}

TEST(an_answer_means_accepted_rejected_differing_or_missing)
{
    static const char ordinal[] = "\0\0\0\0\0\0\0\x05";
    static const char second_1[] = "\0\0\0\0\0\x0f\x42\x40"; /* 1 000 000 us */
    static const char second_2[] = "\0\0\0\0\0\x1e\x84\x80";
    const struct {
        struct voting_answer answer;
        size_t i;
        enum voting_verdict verdict;
    } cases[] = {
        {{ordinal, "\1", "cand", 4, second_1}, 4, VOTING_ACCEPTED},
        {{ordinal, "\0", "cand", 4, second_1}, 4, VOTING_REJECTED},
        {{ordinal, "\0", "other", 5, second_2}, 4, VOTING_REJECTED},
        {{ordinal, "\0", NULL, 0, NULL}, 4, VOTING_REJECTED}, /* another program's row */
        {{ordinal, "\1", "cant", 4, second_1}, 4, VOTING_DIFFERS},
        {{ordinal, "\1", "candy", 5, second_1}, 4, VOTING_DIFFERS},
        {{ordinal, "\1", "cand", 4, second_2}, 4, VOTING_DIFFERS},
        {{ordinal, "\1", NULL, 0, second_1}, 4, VOTING_DIFFERS},
        {{ordinal, "\1", "cand", 4, NULL}, 4, VOTING_DIFFERS},
        {{ordinal, "\1", "cand", 4, second_1}, 3, VOTING_MISSING}, /* one before has no row */
        {{NULL, NULL, NULL, 0, NULL}, 4, VOTING_MISSING},
        {{ordinal, NULL, "cand", 4, second_1}, 4, VOTING_MISSING},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(voting_judge(&cases[i].answer, cases[i].i, &row), cases[i].verdict);
    }
}

RUN_TESTS(cmocka_unit_test(a_voter_is_decoded),
          cmocka_unit_test(what_cannot_become_a_vote_is_dead_with_the_reason),
          cmocka_unit_test(a_tombstone_and_an_absurd_time_are_dead),
          cmocka_unit_test(a_vote_that_no_producer_takes_is_dead_before_it_is_a_row),
          cmocka_unit_test(an_id_may_have_255_characters_and_no_more),
          cmocka_unit_test(a_unit_has_three_statements_or_the_first_alone),
          cmocka_unit_test(an_answer_means_accepted_rejected_differing_or_missing))
