/* The options of --dead-letters, and which letters they mean. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "letters_inside.h"

#define LIST_LIMIT 100 /* what `list` shows unless told */

const struct vd_opt vd_letters_opts[] = {
    VD_OPT(struct vd_letters_conf, stage, .def = ""),
    VD_OPT(struct vd_letters_conf, topic, .def = ""),
    VD_OPT(struct vd_letters_conf, partition, .def = "-1", .min = -1, .max = INT32_MAX),
    VD_OPT(struct vd_letters_conf, offset, .def = ""),
    VD_OPT(struct vd_letters_conf, reason, .def = ""),
    VD_OPT(struct vd_letters_conf, key, .def = ""),
    VD_OPT(struct vd_letters_conf, since, .def = ""),
    VD_OPT(struct vd_letters_conf, until, .def = ""),
    VD_OPT(struct vd_letters_conf, open, .def = "no"),
    VD_OPT(struct vd_letters_conf, limit, .def = "0", .min = 0, .max = 1e15),
    VD_OPT(struct vd_letters_conf, dry_run, .def = "no"),
    VD_OPT(struct vd_letters_conf, yes, .def = "no"),
    VD_OPT(struct vd_letters_conf, force, .def = "no"),
    VD_OPT_END,
};

static const char *const actions[] = {
    [VD_LETTERS_LIST] = "list",
    [VD_LETTERS_SHOW] = "show",
    [VD_LETTERS_REPLAY] = "replay",
    [VD_LETTERS_PURGE] = "purge",
};
#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

static enum vd_status parse_action(const char *name, enum vd_letters_action *action,
                                   struct vd_err *err)
{
    const char *nearest = vd_nearest(name, actions, ACTIONS);

    for (size_t i = 0; i < ACTIONS; i++) {
        if (strcmp(actions[i], name) == 0) {
            *action = (enum vd_letters_action)i;
            return VD_OK;
        }
    }
    if (nearest != NULL) {
        return vd_fail(err, VD_INVALID, "--dead-letters: no action \"%s\"; did you mean \"%s\"?",
                       name, nearest);
    }
    return vd_fail(err, VD_INVALID,
                   "--dead-letters: must be list, show, replay or purge, got \"%s\"", name);
}

/* ---- offsets --------------------------------------------------------------------------------- */

/* Take a number from the front of 'text'; without a digit it stays as it is. */
static bool take_number(const char **text, int64_t *number)
{
    int64_t value = 0;
    const char *at = *text;

    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *at - '0', &value)) {
            return false;
        }
    }
    if (at > *text) {
        *number = value;
    }
    *text = at;
    return true;
}

static enum vd_status parse_offsets(const char *text, struct vd_letters_filter *filter,
                                    struct vd_err *err)
{
    const char *at = text;
    bool is_right = take_number(&at, &filter->first);

    if (is_right && at > text && *at == '\0') {
        filter->last = filter->first;
        return VD_OK;
    }
    is_right = is_right && strncmp(at, "..", 2) == 0 && strlen(text) > 2;
    if (is_right) {
        at += 2;
        is_right = take_number(&at, &filter->last) && *at == '\0' && filter->first <= filter->last;
    }
    if (!is_right) {
        return vd_fail(err, VD_INVALID, "--offset: must be A, A..B, A.. or ..B, got \"%s\"", text);
    }
    return VD_OK;
}

/* ---- times ----------------------------------------------------------------------------------- */

/* "90s", "15m", "2h" or "7d" before 'now_ms'. */
static bool parse_ago(const char *text, int64_t now_ms, int64_t *ms)
{
    static const struct {
        char letter;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    const char *at = text;
    int64_t count = -1;
    int64_t ago = 0;

    if (!take_number(&at, &count) || count < 0 || at[0] == '\0' || at[1] != '\0') {
        return false;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (units[i].letter == *at && !__builtin_mul_overflow(count, units[i].ms, &ago)) {
            *ms = now_ms > ago ? now_ms - ago : 0;
            return true;
        }
    }
    return false;
}

static enum vd_status parse_time(const char *option, const char *text, int64_t now_ms, int64_t *ms,
                                 struct vd_err *err)
{
    static const char *const formats[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S",
                                          "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"};

    if (parse_ago(text, now_ms, ms)) {
        return VD_OK;
    }
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        struct tm time = {0};
        const char *end = strptime(text, formats[i], &time);

        if (end != NULL && (*end == '\0' || strcmp(end, "Z") == 0)) {
            *ms = (int64_t)timegm(&time) * 1000;
            return VD_OK;
        }
    }
    return vd_fail(err, VD_INVALID,
                   "--%s: must be a time of UTC, 2026-11-03T20:15:00Z or shorter, or an age, 90s, "
                   "15m, 2h or 7d, got \"%s\"",
                   option, text);
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Options that only some of the actions have. */
static enum vd_status check_fit(const struct vd_letters_conf *conf, enum vd_letters_action action,
                                struct vd_err *err)
{
    bool is_change = action == VD_LETTERS_REPLAY || action == VD_LETTERS_PURGE;

    if (conf->dry_run && !is_change) {
        return vd_fail(err, VD_INVALID, "--dry-run belongs to --dead-letters replay or purge");
    }
    if ((conf->yes || conf->force) && action != VD_LETTERS_PURGE) {
        return vd_fail(err, VD_INVALID, "--%s belongs to --dead-letters purge",
                       conf->yes ? "yes" : "force");
    }
    if (conf->is_json && is_change) {
        return vd_fail(err, VD_INVALID, "--format json belongs to --dead-letters list or show");
    }
    if (conf->limit > 0 && action == VD_LETTERS_PURGE) {
        return vd_fail(err, VD_INVALID, "--limit does not go with purge; --offset ..B does");
    }
    return VD_OK;
}

static int64_t default_limit(enum vd_letters_action action)
{
    switch (action) {
    case VD_LETTERS_LIST:
        return LIST_LIMIT;
    case VD_LETTERS_SHOW:
        return 1;
    case VD_LETTERS_REPLAY:
    case VD_LETTERS_PURGE:
        break;
    }
    return INT64_MAX;
}

enum vd_status vd_letters_filter_parse(const struct vd_letters_conf *conf, int64_t now_ms,
                                       struct vd_letters_filter *filter, struct vd_err *err)
{
    struct vd_letters_filter parsed = {
        .conf = conf, .last = INT64_MAX, .since_ms = INT64_MIN, .until_ms = INT64_MAX};

    if (parse_action(conf->action, &parsed.action, err) != VD_OK ||
        check_fit(conf, parsed.action, err) != VD_OK ||
        (*conf->offset != '\0' && parse_offsets(conf->offset, &parsed, err) != VD_OK) ||
        (*conf->since != '\0' &&
         parse_time("since", conf->since, now_ms, &parsed.since_ms, err) != VD_OK) ||
        (*conf->until != '\0' &&
         parse_time("until", conf->until, now_ms, &parsed.until_ms, err) != VD_OK)) {
        return VD_INVALID;
    }
    parsed.limit = conf->limit > 0 ? conf->limit : default_limit(parsed.action);
    *filter = parsed;
    return VD_OK;
}

enum vd_status vd_letters_check(const struct vd_letters_conf *conf, struct vd_err *err)
{
    struct vd_letters_filter filter;

    return vd_letters_filter_parse(conf, vd_wall_ms(), &filter, err);
}

bool vd_letters_filter_match(const struct vd_letters_filter *filter, const struct vd_letter *letter,
                             bool is_replayed)
{
    const struct vd_letters_conf *conf = filter->conf;
    const struct vd_record *record = &letter->record;
    const char *stage = letter->stage != NULL ? letter->stage : "";
    const char *reason = letter->reason != NULL ? letter->reason : "";

    return (conf->partition < 0 || conf->partition == record->partition) &&
           record->offset >= filter->first && record->offset <= filter->last &&
           (*conf->stage == '\0' || strcmp(conf->stage, stage) == 0) &&
           (*conf->reason == '\0' || strstr(reason, conf->reason) != NULL) &&
           (*conf->key == '\0' || (record->key_len == strlen(conf->key) &&
                                   memcmp(record->key, conf->key, record->key_len) == 0)) &&
           letter->time_ms >= filter->since_ms && letter->time_ms <= filter->until_ms &&
           !(conf->open && is_replayed);
}
