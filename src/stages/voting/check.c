/* The table of 4.5, from top to bottom. */
#include "check.h"

#include "record.h"

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The first row: numbers that cannot be of this partition, or of this election. */
static enum voting_finding find_misfit(const struct voting_facts *facts)
{
    if (facts->committed > facts->end) {
        return VOTING_COMMITTED_PAST_END;
    }
    if (facts->emitted >= facts->end) {
        return VOTING_EMITTED_PAST_END;
    }
    if (facts->progress > facts->end) {
        return VOTING_PROGRESS_PAST_END;
    }
    if (facts->committed > facts->progress && !facts->is_ours) {
        return VOTING_MOVED_AHEAD;
    }
    return VOTING_NORMAL;
}

struct voting_decision voting_check(const struct voting_facts *facts)
{
    bool is_unmarked = facts->committed != VD_NO_OFFSET && !facts->is_ours;
    struct voting_decision decision = {.finding = find_misfit(facts)};
    int64_t last = VD_NO_OFFSET; /* the vote that was emitted last below the committed offset */

    if (decision.finding != VOTING_NORMAL) {
        return decision;
    }
    if (is_unmarked && !facts->is_searched) {
        decision.finding = VOTING_SEARCH;
        return decision;
    }
    if (facts->committed != VD_NO_OFFSET) {
        last = is_unmarked ? facts->stored : facts->last;
    }
    decision.start = facts->committed != VD_NO_OFFSET ? facts->committed : facts->begin;
    decision.is_behind = facts->committed > facts->progress;
    decision.is_table_lost = decision.is_behind && larger(last, facts->emitted) >= facts->progress;
    if (facts->emitted < last) {
        decision.finding = VOTING_TOPIC_LOST;
        decision.start = facts->emitted + 1;
    } else if (facts->emitted > last) {
        decision.finding = VOTING_OFFSETS_BACK;
    }
    if (decision.start < facts->begin) {
        decision.finding = VOTING_START_GONE;
    }
    return decision;
}
