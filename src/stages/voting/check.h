/* The self-check of one partition: what committed offset, votes in the topic and rows in PostgreSQL
 * say of each other (exactly-once protocol, 4.5). Numbers in, a decision out. */
#ifndef VD_VOTING_CHECK_H
#define VD_VOTING_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

/* All are offsets of the voters' partition; VD_NO_OFFSET: none. */
struct voting_facts {
    int64_t begin, end; /* those that exist: the first, and the one behind the last */
    int64_t committed;  /* by the group */
    bool is_ours;       /* it was committed by this stage, ... */
    int64_t last;       /* ... which had emitted a vote for this one last */
    int64_t emitted;    /* of the last vote in the votes' partition */
    int64_t progress;   /* PostgreSQL has all below it */
    bool is_searched;   /* the rows were searched for ... */
    int64_t stored;     /* ... the last one below 'committed' */
};

enum voting_finding {
    VOTING_SEARCH, /* 'stored' is needed; then ask once more */
    VOTING_NORMAL,
    VOTING_TOPIC_LOST,   /* votes that were emitted are not in the topic */
    VOTING_OFFSETS_BACK, /* votes are in the topic from beyond the committed offset */
    /* From here on a person must act; the numbers do not fit this partition. */
    VOTING_COMMITTED_PAST_END,
    VOTING_EMITTED_PAST_END,
    VOTING_PROGRESS_PAST_END,
    VOTING_MOVED_AHEAD, /* the committed offset is beyond all that was judged */
    VOTING_START_GONE,  /* what must be read does not exist any more */
};

struct voting_decision {
    enum voting_finding finding;
    int64_t start;  /* where to read on */
    bool is_behind; /* PostgreSQL is behind: put back what the topic has from 'progress' on, then
                     * raise the progress to 'start' */
    bool is_table_lost; /* and there is something to put back, or was: rows were lost */
};

struct voting_decision voting_check(const struct voting_facts *facts);

/* Why a person must act, with the numbers and the cure. */
void voting_check_describe(const struct voting_facts *facts, const struct voting_decision *decision,
                           char text[VD_ERR_MSG_BYTES]);

#endif
