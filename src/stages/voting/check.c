/* The table of 4.5, from top to bottom. */
#include "check.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

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

/* Without a committed offset all is read from the beginning. What was judged by then may be gone,
 * but not a voter behind it: nobody would notice. */
static int64_t find_start(const struct voting_facts *facts)
{
    int64_t judged = larger(facts->progress, facts->emitted + 1);

    if (facts->committed != VD_NO_OFFSET) {
        return facts->committed;
    }
    return judged > 0 && judged < facts->begin ? judged : facts->begin;
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
    decision.start = find_start(facts);
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

/* 'number' of 'what' is past the end. */
static void describe_end(const char *what, int64_t number, int64_t end, char text[VD_ERR_MSG_BYTES])
{
    (void)snprintf(text, VD_ERR_MSG_BYTES,
                   "%s %" PRId64 ", but the voters' partition ends at %" PRId64
                   ": it was truncated or recreated. Restore it, or begin a new election: new "
                   "topics with a higher generation, and empty tables",
                   what, number, end);
}

void voting_check_describe(const struct voting_facts *facts, const struct voting_decision *decision,
                           char text[VD_ERR_MSG_BYTES])
{
    switch (decision->finding) {
    case VOTING_COMMITTED_PAST_END:
        describe_end("the committed offset is", facts->committed, facts->end, text);
        break;
    case VOTING_EMITTED_PAST_END:
        describe_end("the last vote is for offset", facts->emitted, facts->end, text);
        break;
    case VOTING_PROGRESS_PAST_END:
        describe_end("vote_progress stands at offset", facts->progress, facts->end, text);
        break;
    case VOTING_MOVED_AHEAD:
        (void)snprintf(text, VD_ERR_MSG_BYTES,
                       "offset %" PRId64 " was committed by another program, past offset %" PRId64
                       " up to which PostgreSQL has votes: the voters between would be left out. "
                       "Set the group's offset back to %" PRId64 " or below, or delete it",
                       facts->committed, facts->progress, facts->progress);
        break;
    case VOTING_START_GONE:
        (void)snprintf(text, VD_ERR_MSG_BYTES,
                       "offset %" PRId64
                       " must be read, but the voters' partition begins at %" PRId64
                       ": its records are gone. Restore it, or begin a new election: "
                       "new topics with a higher generation, and empty tables",
                       decision->start, facts->begin);
        break;
    case VOTING_SEARCH:
    case VOTING_NORMAL:
    case VOTING_TOPIC_LOST:
    case VOTING_OFFSETS_BACK:
        assert(false); /* nobody has to */
    }
}
