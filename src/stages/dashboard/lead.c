/* Actions of operators to the moment that all pages show. */
#include "lead.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "alloc.h"
#include "opt.h"

#define INT_MAX_JSON 9007199254740991 /* 2^53 - 1 */
#define SPEED_AT_FIRST 60             /* as the page's own bar has it */
#define UNSET (-1)

VD_AUTO_KIND(cjson, cJSON *, cJSON_Delete)

enum action { START, PAUSE, SEEK, STOP, ACTIONS };

static const char *const actions[ACTIONS] = {"start", "pause", "seek", "stop"};

enum field { ACTION, AT_MS, SPEED, FIELDS };

static const char *const fields[FIELDS] = {"action", "at_ms", "speed"};

/* What a body asks for. */
struct order {
    int64_t values[FIELDS]; /* UNSET: is not there */
};

/* ---- the body -------------------------------------------------------------------------------- */

static int find(const char *const *names, int count, const char *name)
{
    int at = 0;

    while (at < count && strcmp(names[at], name) != 0) {
        at++;
    }
    return at;
}

/* "; did you mean ...", or nothing. Owns: the caller frees it. */
static char *nearest(const char *const *names, int count, const char *name)
{
    const char *found = vd_nearest(name, names, (size_t)count);

    return found == NULL ? vd_strdup("") : vd_format("; did you mean \"%s\"?", found);
}

static enum vd_status read_action(const cJSON *item, int64_t *value, struct vd_err *err)
{
    const char *text = cJSON_IsString(item) ? item->valuestring : "";
    int found = find(actions, ACTIONS, text);

    if (found == ACTIONS) {
        VD_AUTO(mem) char *remedy = nearest(actions, ACTIONS, text);

        return vd_fail(err, VD_INVALID, "field \"action\": expected start, pause, seek or stop%s",
                       remedy);
    }
    *value = found;
    return VD_OK;
}

static enum vd_status read_number(const cJSON *item, int64_t min, int64_t max, int64_t *value,
                                  struct vd_err *err)
{
    double number = cJSON_IsNumber(item) ? item->valuedouble : NAN;

    if (!(number >= (double)min && number <= (double)max && number == floor(number))) {
        return vd_fail(err, VD_INVALID, "field \"%s\": expected a whole number from %lld to %lld%s",
                       item->string, (long long)min, (long long)max,
                       min == 0 ? ", milliseconds since 1970 in UTC" : "");
    }
    *value = (int64_t)number;
    return VD_OK;
}

static enum vd_status read_field(const cJSON *item, struct order *order, struct vd_err *err)
{
    int field = find(fields, FIELDS, item->string);

    if (field == FIELDS) {
        VD_AUTO(mem) char *remedy = nearest(fields, FIELDS, item->string);

        return vd_fail(err, VD_INVALID, "field \"%.64s\": expected action, at_ms and speed only%s",
                       item->string, remedy);
    }
    if (order->values[field] != UNSET) {
        return vd_fail(err, VD_INVALID, "field \"%s\": given twice", fields[field]);
    }
    switch ((enum field)field) {
    case ACTION:
        return read_action(item, &order->values[ACTION], err);
    case AT_MS:
        return read_number(item, 0, INT_MAX_JSON, &order->values[AT_MS], err);
    default:
        return read_number(item, 1, LEAD_SPEED_MAX, &order->values[SPEED], err);
    }
}

static enum vd_status read_order(const char *body, struct order *order, struct vd_err *err)
{
    VD_AUTO(cjson) cJSON *json = cJSON_ParseWithOpts(body, NULL, true);

    if (!cJSON_IsObject(json)) {
        return vd_fail(err, VD_INVALID,
                       "expected {\"action\":\"start\",\"at_ms\":N,\"speed\":N} as JSON");
    }
    for (const cJSON *item = json->child; item != NULL; item = item->next) {
        if (read_field(item, order, err) != VD_OK) {
            return err->status;
        }
    }
    if (order->values[ACTION] == UNSET) {
        return vd_fail(err, VD_INVALID,
                       "field \"action\": missing; expected start, pause, seek or stop");
    }
    return VD_OK;
}

/* ---- what comes of it ------------------------------------------------------------------------ */

int64_t lead_position(const struct lead *lead, const struct lead_world *world)
{
    int64_t elapsed_ms = world->now_ms - lead->since_ms;
    int64_t at_ms = lead->at_ms;

    if (lead->is_running && elapsed_ms > 0) { /* the clock may have been set back */
        at_ms = elapsed_ms > (INT_MAX_JSON - at_ms) / lead->speed
                    ? INT_MAX_JSON
                    : at_ms + elapsed_ms * lead->speed;
    }
    return world->newest_ms > 0 && at_ms > world->newest_ms ? world->newest_ms : at_ms;
}

static enum vd_status check_order(const struct lead *lead, const struct order *order,
                                  struct vd_err *err)
{
    const int64_t *values = order->values;

    for (int field = AT_MS; values[ACTION] == STOP && field < FIELDS; field++) {
        if (values[field] != UNSET) {
            return vd_fail(err, VD_INVALID, "field \"%s\": \"stop\" takes none; leave it out",
                           fields[field]);
        }
    }
    if (values[AT_MS] == UNSET && values[ACTION] == SEEK) {
        return vd_fail(err, VD_INVALID, "field \"at_ms\": missing; \"seek\" needs a moment");
    }
    if (values[AT_MS] == UNSET && values[ACTION] != STOP && !lead->is_on) {
        return vd_fail(
            err, VD_INVALID,
            "field \"at_ms\": missing; no replay is led yet whose moment could be meant");
    }
    return VD_OK;
}

/* The clocks begin anew with each action. */
static void obey(struct lead *lead, const struct order *order, const struct lead_world *world)
{
    int64_t action = order->values[ACTION];
    int64_t speed = order->values[SPEED];

    lead->at_ms = order->values[AT_MS] != UNSET ? order->values[AT_MS] : lead_position(lead, world);
    if (!lead->is_on) {
        lead->is_on = true;
        lead->began_ms = world->now_ms;
        lead->speed = SPEED_AT_FIRST;
    }
    lead->speed = speed != UNSET ? speed : lead->speed;
    lead->is_running = action == START || (action == SEEK && lead->is_running);
    lead->since_ms = world->now_ms;
    lead->at_ms = lead_position(lead, world); /* not beyond the newest */
}

enum vd_status lead_act(struct lead *lead, const char *body, const char *by,
                        const struct lead_world *world, struct vd_err *err)
{
    struct order order = {.values = {UNSET, UNSET, UNSET}};

    if (read_order(body, &order, err) != VD_OK || check_order(lead, &order, err) != VD_OK) {
        return err->status;
    }
    if (order.values[ACTION] == STOP) {
        *lead = (struct lead){0};
        return VD_OK;
    }
    obey(lead, &order, world);
    (void)snprintf(lead->by, sizeof(lead->by), "%s", by); /* fits */
    return VD_OK;
}

bool lead_settle(struct lead *lead, const struct lead_world *world)
{
    int64_t at_ms = lead_position(lead, world);

    if (!lead->is_running || world->newest_ms == 0 || at_ms < world->newest_ms) {
        return false;
    }
    lead->is_running = false;
    lead->at_ms = at_ms;
    lead->since_ms = world->now_ms;
    return true;
}
