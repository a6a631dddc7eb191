/* Routes, their parameters, and answers. */
#include "api.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "loop.h"

#define SNAPSHOT_PATH "/api/v1/snapshot"

bool api_parse_point(const char *text, const char *epoch, uint64_t *seq, bool *is_known_form)
{
    const char *bar = strrchr(text, '-');
    unsigned long long number = 0;
    char *end = NULL;

    *is_known_form = false;
    if (bar == NULL || bar == text || bar[1] < '0' || bar[1] > '9' || strlen(bar + 1) > 16) {
        return false;
    }
    number = strtoull(bar + 1, &end, 10); /* 16 digits cannot overflow */
    if (*end != '\0') {
        return false;
    }
    *is_known_form = true;
    if ((size_t)(bar - text) != strlen(epoch) || memcmp(text, epoch, strlen(epoch)) != 0) {
        return false;
    }
    *seq = number;
    return true;
}

static bool is_known(const char *name, size_t len, const char *const *known)
{
    for (; *known != NULL; known++) {
        if (strlen(*known) == len && memcmp(*known, name, len) == 0) {
            return true;
        }
    }
    return false;
}

bool api_has_only(const struct vd_web_request *request, const char *const *known,
                  struct vd_web_response *response)
{
    const char *at = request->query;
    VD_AUTO(buf) struct vd_buf names = {0};

    while (*at != '\0') {
        size_t len = strcspn(at, "&");

        if (len > 0 && !is_known(at, strcspn(at, "=&"), known)) {
            for (size_t i = 0; known[i] != NULL; i++) {
                vd_buf_printf(&names, "%s%s", i == 0 ? "" : ", ", known[i]);
            }
            vd_web_fail(response, 400, "unknown_parameter", "parameters known here: %s",
                        known[0] == NULL ? "none" : vd_buf_text(&names));
            return false;
        }
        at += len;
        at += *at == '&' ? 1 : 0;
    }
    return true;
}

void api_refuse(struct vd_web_response *response, const char *name, const char *remedy)
{
    vd_web_fail(response, 400, "bad_parameter", "%s: expected %s", name, remedy);
}

bool api_get_number(const struct vd_web_request *request, const char *name, int64_t *number,
                    struct vd_web_response *response)
{
    VD_AUTO(mem) char *text = vd_web_query_get(request->query, name);
    size_t digits = text == NULL ? 0 : strspn(text, "0123456789");
    long long value = 0;

    if (text == NULL) {
        return true;
    }
    if (digits > 0 && digits <= 16 && text[digits] == '\0') {
        value = strtoll(text, NULL, 10); /* 16 digits cannot overflow */
    }
    if (digits == 0 || digits > 16 || text[digits] != '\0' || value > PICTURE_INT_MAX) {
        api_refuse(response, name, "a whole number from 0 to 9007199254740991");
        return false;
    }
    *number = value;
    return true;
}

bool api_is_known(const struct vd_web_request *request, const struct vd_web_response *response)
{
    const char *tag = request->if_none_match;
    size_t len = strlen(response->etag);

    return len > 0 && strlen(tag) == len + 2 && memcmp(tag + 1, response->etag, len) == 0;
}

static const char *const no_parameters[] = {NULL};
static const char *const snapshot_parameters[] = {"as_of_ms", NULL};
static const char *const changes_parameters[] = {"since", NULL};

void api_version(void *arg, const struct vd_web_request *request, struct vd_web_response *response)
{
    const struct api *api = arg;

    if (api_has_only(request, no_parameters, response)) {
        wire_version(&response->body, api->picture);
    }
}

void api_preload(void *arg, const struct vd_web_request *request, struct vd_web_response *response)
{
    const struct api *api = arg;

    if (!api_has_only(request, no_parameters, response)) {
        return;
    }
    (void)snprintf(response->etag, sizeof(response->etag), "p-%s-%" PRIu64, api->picture->epoch,
                   api->picture->texts_seq); /* fits: 16 characters and 20 digits */
    if (!api_is_known(request, response)) {
        wire_preload(&response->body, api->picture, picture_frame_last(api->picture),
                     api->election);
    }
}

static void answer_past(const struct api *api, int64_t at_ms, const struct vd_web_request *request,
                        struct vd_web_response *response)
{
    const struct past_answer *answer = past_at(api->past, at_ms);

    if (answer->number > 0) {
        (void)snprintf(response->etag, sizeof(response->etag), "p-%s-%" PRIu64, api->picture->epoch,
                       answer->number); /* fits: 16 characters and 20 digits */
    }
    if (!api_is_known(request, response)) {
        vd_buf_add(&response->body, answer->body.data, answer->body.len);
    }
}

void api_snapshot(void *arg, const struct vd_web_request *request, struct vd_web_response *response)
{
    const struct api *api = arg;
    int64_t at_ms = -1;

    if (!api_has_only(request, snapshot_parameters, response) ||
        !api_get_number(request, "as_of_ms", &at_ms, response)) {
        return;
    }
    if (at_ms >= 0) {
        answer_past(api, at_ms, request, response);
    } else {
        wire_snapshot(&response->body, api->picture, picture_frame_last(api->picture),
                      api->source(api->arg), vd_wall_ms());
    }
}

void api_snapshot_at(void *arg, const struct vd_web_request *request,
                     struct vd_web_response *response)
{
    const struct api *api = arg;
    const struct picture_frame *frame = NULL;
    const char *point = strrchr(request->path, '/') + 1;
    bool is_known_form = false;
    uint64_t seq = 0;

    if (!api_has_only(request, no_parameters, response)) {
        return;
    }
    if (api_parse_point(point, api->picture->epoch, &seq, &is_known_form)) {
        frame = picture_frame_at(api->picture, seq);
    } else if (!is_known_form) {
        vd_web_fail(response, 404, "not_found", "expected a picture as EPOCH-SEQ");
        return;
    }
    if (frame == NULL) {
        vd_web_fail(response, seq > api->picture->seq ? 404 : 410,
                    seq > api->picture->seq ? "not_yet" : "gone",
                    "only the last %d pictures are kept", PICTURE_KEPT);
        (void)snprintf(response->location, sizeof(response->location), SNAPSHOT_PATH "/%s-%" PRIu64,
                       api->picture->epoch, api->picture->seq); /* fits */
        return;
    }
    (void)snprintf(response->etag, sizeof(response->etag), "s-%s-%" PRIu64, api->picture->epoch,
                   seq); /* fits */
    response->is_immutable = true;
    if (api_is_known(request, response)) {
        return;
    }
    /* A picture that is cacheable for ever says nothing of the moment it was asked for. */
    wire_snapshot(&response->body, api->picture, frame,
                  frame->about.as_of_ms == 0 ? WIRE_WAITING : WIRE_ALIVE,
                  frame->about.received_ms > 0 ? frame->about.received_ms : frame->about.as_of_ms);
}

void api_changes(void *arg, const struct vd_web_request *request, struct vd_web_response *response)
{
    const struct api *api = arg;
    VD_AUTO(mem) char *since = vd_web_query_get(request->query, "since");
    struct wire_asked asked = {.bytes_max = WIRE_CHANGES_BYTES};
    bool is_known_form = false;

    if (!api_has_only(request, changes_parameters, response)) {
        return;
    }
    if (since == NULL) {
        vd_web_fail(response, 400, "missing_parameter", "expected since=EPOCH-SEQ");
        return;
    }
    if (api_parse_point(since, api->picture->epoch, &asked.since, &is_known_form) &&
        asked.since <= api->picture->seq) {
        wire_changes(&response->body, api->picture, &asked, api->source(api->arg), vd_wall_ms());
    } else if (is_known_form) {
        /* Another epoch: everything, and it says so by its type. */
        wire_snapshot(&response->body, api->picture, picture_frame_last(api->picture),
                      api->source(api->arg), vd_wall_ms());
    } else {
        vd_web_fail(response, 400, "bad_parameter", "since: expected EPOCH-SEQ");
    }
}

enum vd_status api_serve(struct vd_web *web, struct api *api, struct vd_err *err)
{
    static const struct {
        const char *route;
        vd_web_handler_fn *handler;
    } routes[] = {
        {"GET /api/v1/version", api_version}, {"GET /api/v1/preload", api_preload},
        {"GET " SNAPSHOT_PATH, api_snapshot}, {"GET " SNAPSHOT_PATH "/*", api_snapshot_at},
        {"GET /api/v1/changes", api_changes}, {"GET /api/v1/history", api_history},
    };

    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (vd_web_route(web, routes[i].route, routes[i].handler, api, err) != VD_OK) {
            return err->status;
        }
    }
    return VD_OK;
}
