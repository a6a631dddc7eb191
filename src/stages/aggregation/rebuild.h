/* The option `rebuild`: which partitions are to be counted anew, and up to which rebuild number.
 * Numbers make it a state to reach, not an order: it may stand in the topology for good, on every
 * node, and a restart in the middle changes nothing. */
#ifndef VD_AGGREGATION_REBUILD_H
#define VD_AGGREGATION_REBUILD_H

#include <stdint.h>

#include "err.h"

#define AGG_REBUILDS_MAX 8000 /* sequences stay safe integers in JavaScript */

/* The rebuild number that 'text' wants for 'partition': the highest of its items, each N (all
 * partitions) or PARTITION:N, separated by commas; 0 for none.
 * Fails: VD_INVALID, naming the item. */
enum vd_status agg_rebuild_wanted(const char *text, int32_t partition, uint32_t *number,
                                  struct vd_err *err) VD_MUST_CHECK;

#endif
