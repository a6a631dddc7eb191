/* A host for the generator stage without servers: engine, PostgreSQL, table, timers and HTTP, each
 * of which takes a step when the test says so, and fails when the test says so. One at a time. */
#ifndef VD_TEST_UNIT_GENERATOR_HOST_H
#define VD_TEST_UNIT_GENERATOR_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "stage.h"

/* The module's one exported function. */
const struct vd_stage_desc *vd_stage_describe(void);

/* A record that was committed. */
struct host_record {
    size_t output;
    char *key, *value, *reason; /* owned; reason NULL: none */
};

/* What outlives the process: topics and tables. Ended with host_wipe. */
extern struct host_record *host_log;
extern size_t host_log_count;
size_t host_rows(void);                  /* of table voters */
size_t host_candidates(void);            /* of table candidates */
void host_add_candidate(const char *id); /* by hand */
void host_wipe(void);

/* Start the stage with these options, "name=value" each, up to NULL;
 * the check's message in 'err'. */
enum vd_status host_start(const char *const *options, struct vd_err *err);
void host_drop(void); /* of one that was refused */
void host_stop(void); /* whatever is under way is lost, as in a crash */

/* Steps; false if there was nothing to do. */
bool host_pg_connect(void);
void host_pg_lose(void);
enum host_outcome { HOST_OK, HOST_FAILS, HOST_LOST_AFTER };
bool host_pg_step(enum host_outcome outcome); /* the oldest unit is answered */
bool host_table_step(void);                   /* the oldest sync is answered */
bool host_offer(void);                        /* a batch */
bool host_commit(void);                       /* the oldest answered batch is durable */
bool host_abort(void);                        /* it is not, nor is any behind it */
bool host_commit_unknown(void); /* it is durable, but the process dies before it hears of it */
void host_rewind(void);         /* the producer became ready: from here on nobody else commits */
void host_advance(int64_t ms);

/* HTTP: the URL that is asked for, or NULL; and its answer. */
const char *host_url(void);
void host_answer(int status, const char *content_type, const char *body, int64_t retry_after_s);

/* Everything goes well until nothing moves, or 'ms' have passed. */
void host_run(int64_t ms);

const char *host_trouble(void);        /* "" for none */
const char *host_halted(void);         /* "" for not */
bool host_is_ended(void);              /* the source has nothing more for now */
const char *host_row(const char *key); /* of the progress topic; NULL: none */
int64_t host_now(void);

/* ---- generator_checks.c -------------------------------------------------------------------- */

enum { VOTERS, CANDIDATES, PROGRESS, REJECTED };

void host_begin(const char *const *options); /* host_start that must work */
void host_end(void);                         /* host_stop and host_wipe */
size_t host_count(size_t output);            /* of committed records */
const struct host_record *host_nth(size_t output, size_t n);
char *host_voters_text(void); /* all voters' values, one a line; to be freed */
int64_t host_number(const char *key, const char *member); /* of a progress row; -1: none */
bool host_is_complete(const char *key);

/* One step of misfortune or of progress, as the dice fall. */
extern uint64_t host_dice;
void host_stumble(const char *const *options);

/* Between generator_host.c and generator_world.c. */
void world_changed(const struct host_record *record);
void world_end(void);
void world_wipe(void);

#endif
