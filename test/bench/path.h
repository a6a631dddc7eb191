/* How long a vote is on its way: a consumer of the voters and of the totals per candidate. */
#ifndef VD_TEST_BENCH_PATH_H
#define VD_TEST_BENCH_PATH_H

#include "../broker/election.h"
#include "delays.h"

struct path;

struct path *path_new(const struct election *election);
void path_free(struct path *path);

/* Read what comes for 'ms'. */
void path_look(struct path *path, int ms);

int64_t path_votes(const struct path *path);

/* From the record of a voter to a total that counts its vote and is readable, for totals that came
 * from 'since_ms' to 'until_ms', wall clock. */
void path_delays(const struct path *path, int64_t since_ms, int64_t until_ms,
                 struct delays *delays);

#endif
