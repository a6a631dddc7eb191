/* The audit of the aggregation stage: all votes are counted again, and compared with the partials
 * and with what the public topics say last (exactly-once protocol, 7.2). */
#ifndef VD_AGGREGATION_AUDIT_H
#define VD_AGGREGATION_AUDIT_H

#include "stage.h"

/* A callback of the descriptor. */
enum vd_status agg_audit(struct vd_audit *audit, void *state, struct vd_err *err);

#endif
