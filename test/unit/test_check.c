/* The self-check's decision, for every set of small numbers, against the rules of the model
 * (test/model/voting.c) and the table of the protocol's page. */
#include "test.h"

#include <string.h>

#include "record.h"
#include "voting/check.h"

#define LIMIT 5

typedef void each_fn(const struct voting_facts *facts);

/* Every set with the partition's offsets from 'begin' to LIMIT - 1,
 * numbers past the end included. */
static void for_each(each_fn *each)
{
    struct voting_facts facts = {.end = LIMIT - 1};

    for (facts.begin = 0; facts.begin <= 2; facts.begin++) {
        for (facts.committed = -1; facts.committed <= LIMIT; facts.committed++) {
            for (facts.last = -1; facts.last <= LIMIT; facts.last++) {
                for (facts.emitted = -1; facts.emitted <= LIMIT; facts.emitted++) {
                    for (facts.progress = 0; facts.progress <= LIMIT; facts.progress++) {
                        facts.is_searched = true;
                        facts.stored = facts.last;
                        facts.is_ours = false;
                        each(&facts);
                        facts.is_ours = facts.committed >= 0;
                        each(&facts);
                    }
                }
            }
        }
    }
}

static bool is_stop(const struct voting_decision *decision)
{
    return decision->finding >= VOTING_COMMITTED_PAST_END;
}

/* The vote that was emitted last below the committed offset: E. */
static int64_t last_of(const struct voting_facts *facts)
{
    return facts->committed < 0 ? VD_NO_OFFSET : facts->last;
}

static void check_first_row(const struct voting_facts *facts)
{
    struct voting_decision decision = voting_check(facts);
    bool is_misfit = facts->committed > facts->end || facts->progress > facts->end ||
                     facts->emitted + 1 > facts->end ||
                     (facts->committed > facts->progress && !facts->is_ours);

    if (is_misfit) {
        assert_true(is_stop(&decision) && decision.finding != VOTING_START_GONE);
    } else {
        assert_true(!is_stop(&decision) || decision.finding == VOTING_START_GONE);
        assert_int_equal(decision.finding == VOTING_START_GONE, decision.start < facts->begin);
    }
}

TEST(numbers_that_do_not_fit_stop_the_partition)
{
    for_each(check_first_row);
}

/* The model counts from one: 'next' is C, 'last' E + 1, 'topic' V + 1. */
static void check_model(const struct voting_facts *facts)
{
    struct voting_decision decision = voting_check(facts);
    int64_t next = facts->committed < 0 ? facts->begin : facts->committed;
    int64_t last = last_of(facts) + 1;
    int64_t topic = facts->emitted + 1;

    if (is_stop(&decision)) {
        return;
    }
    assert_int_equal(decision.start, topic < last ? topic : next);
    assert_int_equal(decision.is_behind, facts->committed > facts->progress);
    assert_int_equal(decision.finding == VOTING_TOPIC_LOST, topic < last);
    assert_int_equal(decision.finding == VOTING_OFFSETS_BACK, topic > last);
}

TEST(a_start_is_the_one_of_the_model)
{
    for_each(check_model);
}

/* What was lost can be counted: votes that were emitted and are not in the topic are read again,
 * and rows are said to be lost only if a vote from behind the progress is known of. */
static void check_losses(const struct voting_facts *facts)
{
    struct voting_decision decision = voting_check(facts);
    int64_t last = last_of(facts);

    if (is_stop(&decision)) {
        return;
    }
    if (facts->emitted < last) {
        assert_true(decision.start <= facts->emitted + 1);
    }
    assert_int_equal(decision.is_table_lost,
                     decision.is_behind &&
                         (last >= facts->progress || facts->emitted >= facts->progress));
}

TEST(every_vote_that_was_lost_is_read_again)
{
    for_each(check_losses);
}

/* The cure of a finding leaves none: it is not found a second time. */
static void check_cure(const struct voting_facts *facts)
{
    struct voting_decision decision = voting_check(facts);
    struct voting_facts cured = *facts;

    if (is_stop(&decision)) {
        return;
    }
    cured.committed = decision.start;
    cured.is_ours = true;
    cured.last = facts->emitted;
    if (decision.is_behind && cured.progress < decision.start) {
        cured.progress = decision.start;
    }
    if (cured.committed > cured.progress) {
        return; /* nothing is mended there: it was never behind, as at a first start */
    }
    assert_int_equal(voting_check(&cured).finding, VOTING_NORMAL);
    assert_int_equal(voting_check(&cured).start, decision.start);
    assert_false(voting_check(&cured).is_behind);
}

TEST(what_was_mended_is_found_in_order)
{
    for_each(check_cure);
}

/* Without a committed offset a partition is read from its beginning: at a first start wherever that
 * is, and later only if all that is gone was judged. */
static void check_gap(const struct voting_facts *facts)
{
    struct voting_decision decision = voting_check(facts);
    bool is_known = facts->progress > 0 || facts->emitted >= 0;
    bool is_gap = facts->begin > facts->progress && facts->begin > facts->emitted + 1;

    if (facts->committed < 0 && decision.finding <= VOTING_START_GONE) {
        assert_int_equal(decision.finding == VOTING_START_GONE, is_known && is_gap);
    }
}

TEST(voters_that_are_gone_unjudged_stop_a_partition_without_an_offset)
{
    static const struct {
        struct voting_facts facts;
        enum voting_finding finding;
        int64_t start;
    } cases[] = {
        {{.begin = 3, .end = 9, .progress = 0, .emitted = -1}, VOTING_NORMAL, 3},
        {{.begin = 3, .end = 9, .progress = 2, .emitted = -1}, VOTING_START_GONE, 2},
        {{.begin = 3, .end = 9, .progress = 3, .emitted = -1}, VOTING_NORMAL, 3},
        {{.begin = 3, .end = 9, .progress = 0, .emitted = 1}, VOTING_START_GONE, 2},
        {{.begin = 3, .end = 9, .progress = 0, .emitted = 2}, VOTING_OFFSETS_BACK, 3},
        {{.begin = 3, .end = 9, .progress = 3, .emitted = 0}, VOTING_OFFSETS_BACK, 3},
    };

    for_each(check_gap);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct voting_facts facts = cases[i].facts;
        struct voting_decision decision;

        facts.committed = VD_NO_OFFSET;
        decision = voting_check(&facts);
        assert_int_equal(decision.finding, cases[i].finding);
        assert_int_equal(decision.start, cases[i].start);
    }
}

TEST(rows_are_searched_only_for_offsets_of_another_program)
{
    struct voting_facts facts = {.end = 9, .committed = 4, .last = -1, .emitted = 3, .progress = 6};

    assert_int_equal(voting_check(&facts).finding, VOTING_SEARCH);
    facts.is_searched = true;
    facts.stored = 3;
    assert_int_equal(voting_check(&facts).finding, VOTING_NORMAL);
    facts.is_searched = false;
    facts.is_ours = true;
    facts.last = 3;
    assert_int_equal(voting_check(&facts).finding, VOTING_NORMAL);
    facts.is_ours = false;
    facts.committed = VD_NO_OFFSET;
    assert_int_equal(voting_check(&facts).finding, VOTING_OFFSETS_BACK);
    assert_int_equal(voting_check(&facts).start, 0);
}

TEST(a_person_is_told_the_numbers_and_the_cure)
{
    static const struct {
        struct voting_facts facts;
        const char *words;
    } cases[] = {
        {{.end = 4, .committed = 9, .is_ours = true, .progress = 9, .emitted = 3},
         "the committed offset is 9, but the voters' partition ends at 4: it was truncated or "
         "recreated. Restore it, or begin a new election: new topics with a higher generation, and "
         "empty tables"},
        {{.end = 4, .committed = 4, .is_ours = true, .progress = 4, .emitted = 8},
         "the last vote is for offset 8, but the voters' partition ends at 4: "},
        {{.end = 4, .committed = 4, .is_ours = true, .progress = 9, .emitted = 3},
         "vote_progress stands at offset 9, but the voters' partition ends at 4: "},
        {{.end = 40, .committed = 30, .progress = 20, .emitted = 19},
         "offset 30 was committed by another program, past offset 20 up to which PostgreSQL has "
         "votes: the voters between would be left out. Set the group's offset back to 20 or below, "
         "or delete it"},
        {{.begin = 10, .end = 40, .committed = -1, .progress = 7, .emitted = 4},
         "offset 7 must be read, but the voters' partition begins at 10: its records are gone. "},
        {{.begin = 10,
          .end = 40,
          .committed = 30,
          .is_ours = true,
          .last = 29,
          .progress = 30,
          .emitted = 4},
         "offset 5 must be read, but the voters' partition begins at 10: its records are gone. "},
    };
    char text[VD_ERR_MSG_BYTES];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct voting_decision decision = voting_check(&cases[i].facts);

        voting_check_describe(&cases[i].facts, &decision, text);
        assert_memory_equal(text, cases[i].words, strlen(cases[i].words));
    }
}

RUN_TESTS(cmocka_unit_test(numbers_that_do_not_fit_stop_the_partition),
          cmocka_unit_test(a_start_is_the_one_of_the_model),
          cmocka_unit_test(every_vote_that_was_lost_is_read_again),
          cmocka_unit_test(what_was_mended_is_found_in_order),
          cmocka_unit_test(voters_that_are_gone_unjudged_stop_a_partition_without_an_offset),
          cmocka_unit_test(rows_are_searched_only_for_offsets_of_another_program),
          cmocka_unit_test(a_person_is_told_the_numbers_and_the_cure))
