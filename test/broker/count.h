/* The aggregation alone in the real daemon: the test writes the votes, so it can leave some out. */
#ifndef VD_TEST_BROKER_COUNT_H
#define VD_TEST_BROKER_COUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "election.h"

#define COUNT_PARTITIONS 4
#define COUNT_NOON_S 1730808000 /* 2024-11-05 12:00:00 UTC, the time of a vote at second 0 */

struct count {
    struct election election;
    char *votes, *partials;
    int64_t next[COUNT_PARTITIONS]; /* source offset of the next vote */
    int64_t voters;
};

void count_open(struct count *count, const char *stem);
void count_close(struct count *count);

/* Start the node with up to two more settings of the aggregation; NULL: none. */
void count_start(struct count *count, const char *one, const char *other);
void count_start_ready(struct count *count);
void count_stop_and_close(struct count *count);

/* "votingd_NAME" of the stage; the waits end as ELECTION_AWAIT does, or say what is instead. */
double count_metric(struct count *count, const char *name);
void count_wait_metric(struct count *count, const char *name, double wanted);
void count_wait_ready(struct count *count);

/* /readyz says 503, and why. */
void count_wait_trouble(struct count *count, const char *words);

/* Votes in the public totals. */
int64_t count_published(struct count *count);
void count_wait_published(struct count *count, int64_t votes);

/* ---- votes; peer_flush sends them --------------------------------------------------------------
 */

struct count_source {
    uint8_t version;
    int16_t generation;
    int32_t partition;
    int64_t offset, previous;
};

void count_send_from(struct count *count, int32_t partition, int64_t second,
                     const struct count_source *source);

/* A vote with one header in text, without position. */
void count_send_with(struct count *count, int32_t partition, int64_t offset, const char *name,
                     const char *text);

/* The next vote of a partition, as the voting stage would emit it; or so many, in turn, flushed. */
void count_send(struct count *count, int32_t partition, int64_t second);
void count_send_all(struct count *count, int votes);

/* Of the partials. */
bool count_is_meta(const struct peer_record *partial);

#endif
