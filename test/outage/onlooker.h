/* What an outsider sees of an election: voters that come, totals that are published. */
#ifndef VD_TEST_OUTAGE_ONLOOKER_H
#define VD_TEST_OUTAGE_ONLOOKER_H

#include <stdint.h>

#include "../broker/election.h"

#define ONLOOKER_PARTITIONS 4 /* of config/election.ini */

struct onlooker;

struct onlooker *onlooker_new(const struct election *election);
void onlooker_free(struct onlooker *onlooker);

/* Read for so long. */
void onlooker_look(struct onlooker *onlooker, int ms);

/* Voters published, and not counted in the published totals. */
int64_t onlooker_behind(const struct onlooker *onlooker);

/* From now on, what is in the topics is old, committed or not. */
void onlooker_mark(struct onlooker *onlooker);

/* Partitions of the totals with a record written after that. */
int onlooker_moving(const struct onlooker *onlooker);

#endif
