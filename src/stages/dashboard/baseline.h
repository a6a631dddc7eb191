/* What the count is compared with: votes of another election, or those that a simulation follows,
 * in the form of a scenario (config/scenarios/README.md). Read once at start, told in the preload.
 */
#ifndef VD_DASHBOARD_BASELINE_H
#define VD_DASHBOARD_BASELINE_H

#include "buf.h"
#include "election/scenario.h"
#include "err.h"

/* Of the file: every page gets it when it connects, in a frame that has a second. */
#define BASELINE_BYTES_MAX 65536

/* Read 'path'; check it without keeping it with 'votes' NULL.
 * Owns:  the caller ends 'votes' with el_scenario_free; written on success only.
 * Fails: VD_INVALID, naming file, line and column. */
enum vd_status baseline_read(const char *path, struct el_scenario **votes,
                             struct vd_err *err) VD_MUST_CHECK;

/* {"label":..., "columns":["name", ...], "rows":[["state", n, ...], ...]} */
void baseline_write(struct vd_buf *out, const struct el_scenario *votes, const char *label);

#endif
