/* The HTTP API under /api/v1, answered from settled pictures. */
#ifndef VD_DASHBOARD_API_H
#define VD_DASHBOARD_API_H

#include <stdint.h>

#include "err.h"
#include "history.h"
#include "past.h"
#include "picture.h"
#include "web.h"
#include "wire.h"

/* What the handlers read; borrowed, and outlives the routes. */
struct api {
    const struct picture *picture;
    const struct history *history;
    struct past *past;
    const struct wire_election *election;
    enum wire_source (*source)(void *arg); /* how the feed is now */
    void *arg;
};

/* Register every route.
 * Fails: VD_INVALID if one is taken. */
enum vd_status api_serve(struct vd_web *web, struct api *api, struct vd_err *err) VD_MUST_CHECK;

/* The handlers, for tests; 'arg' is the struct api. */
vd_web_handler_fn api_version, api_preload, api_snapshot, api_snapshot_at, api_changes, api_history;

/* True if the query has only parameters of 'known', which ends with NULL; else the answer is an
 * error: a misspelt one must not be ignored. */
bool api_has_only(const struct vd_web_request *request, const char *const *known,
                  struct vd_web_response *response);

/* A whole number from 0 to 2^53 - 1; '*number' stays as it is where the parameter is missing.
 * False: the answer is an error. */
bool api_get_number(const struct vd_web_request *request, const char *name, int64_t *number,
                    struct vd_web_response *response);

/* The answer is an error: the parameter is not what is expected. */
void api_refuse(struct vd_web_response *response, const char *name, const char *remedy);

/* True if who asks has the answer with this response's tag already: a 304 is made of it, whatever
 * the body, so that it need not be built. */
bool api_is_known(const struct vd_web_request *request, const struct vd_web_response *response);

/* "EPOCH-SEQ" of 'epoch' itself. False for another epoch, or anything else; '*is_known_form' says
 * which of the two. */
bool api_parse_point(const char *text, const char *epoch, uint64_t *seq, bool *is_known_form);

#endif
