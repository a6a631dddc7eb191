/* A scenario: votes per state, one column a candidacy, from a CSV file. Lines are ended by LF or CR
 * LF; the first names the columns ("state,republican,democratic,other"), no two alike in any case;
 * each further one gives a state's integer votes. No quoting: no name in it has a comma. */
#ifndef VD_ELECTION_SCENARIO_H
#define VD_ELECTION_SCENARIO_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define EL_SCENARIO_BYTES_MAX 1048576
#define EL_SCENARIO_COLUMNS_MAX 100
#define EL_SCENARIO_VOTES_MAX INT64_C(1000000000000)

struct el_scenario_row {
    char *state;
    int64_t *votes; /* one a column, at least one of them above 0 */
};

struct el_scenario {
    char **columns;
    size_t column_count;
    struct el_scenario_row *rows;
    size_t row_count;
};

/* Owns: the result is the caller's, who ends it with el_scenario_free; written on success only.
 * Fails: VD_INVALID, naming the line. */
enum vd_status el_scenario_parse(const char *text, size_t len, struct el_scenario **scenario,
                                 struct vd_err *err) VD_MUST_CHECK;

/* The same from a file, read at once: a small local file that only starts and checks read. */
enum vd_status el_scenario_read(const char *path, struct el_scenario **scenario,
                                struct vd_err *err) VD_MUST_CHECK;

void el_scenario_free(struct el_scenario *scenario);

#endif
