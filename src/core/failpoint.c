/* Fail points. What is armed is written once, before threads start; only the counts change then. */
#include "failpoint.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"

#define ARMED_MAX 16
#define STAGE_BYTES 64
#define WORD_BYTES 32
#define LOG_PREFIX "stage." /* of a stage's log */

enum action { ACTION_KILL, ACTION_STOP, ACTION_SKIP, ACTION_COUNT };

static const char *const action_names[] = {"kill", "stop", "skip"};

static const char *const point_names[] = {
#define X(name, can_skip) #name,
    VD_FAILPOINT_LIST(X)
#undef X
};

static const bool point_can_skip[] = {
#define X(name, can_skip) can_skip,
    VD_FAILPOINT_LIST(X)
#undef X
};

static struct armed {
    char stage[STAGE_BYTES];
    enum vd_failpoint point;
    enum action action;
    bool is_always;
    const struct armed *behind; /* counts once this one has acted; NULL: from the beginning */
    atomic_bool has_acted;
    atomic_long left; /* times it is still to be reached; 0: now */
} armed[ARMED_MAX];
static size_t armed_count;

/* ---- arming ---------------------------------------------------------------------------------- */

static enum vd_status fail_with_list(const char *entry, const char *what, struct vd_err *err)
{
    VD_AUTO(buf) struct vd_buf list = {0};

    for (size_t i = 0; i < VD_FAILPOINT_COUNT; i++) {
        vd_buf_add_text(&list, i > 0 ? " " : "");
        vd_buf_add_text(&list, point_names[i]);
    }
    return vd_fail(err, VD_INVALID,
                   "VOTINGD_FAILPOINTS, \"%s\": %s; it is STAGE.POINT=ACTION[@N], with the actions "
                   "kill stop skip and the points %s",
                   entry, what, vd_buf_text(&list));
}

/* Its index, or 'count'. */
static size_t find_name(const char *const *names, size_t count, const char *name)
{
    size_t i = 0;

    while (i < count && strcmp(names[i], name) != 0) {
        i++;
    }
    return i;
}

static enum vd_status arm_one(const char *entry, const char *const *stages, size_t stage_count,
                              struct vd_err *err)
{
    struct armed *at = &armed[armed_count];
    char point[WORD_BYTES], action[WORD_BYTES];
    int end = 0;
    long nth = 1;
    int read = sscanf(entry, "%63[^.=].%31[^=]=%31[^@]%n@%ld%n", at->stage, point, action, &end,
                      &nth, &end);

    if (read < 3 || entry[end] != '\0' || nth < 1) {
        return fail_with_list(entry, "not understood", err);
    }
    at->point = (enum vd_failpoint)find_name(point_names, VD_FAILPOINT_COUNT, point);
    at->action = (enum action)find_name(action_names, ACTION_COUNT, action);
    if (find_name(stages, stage_count, at->stage) == stage_count) {
        return fail_with_list(entry, "no such stage runs here", err);
    }
    if (at->point == VD_FAILPOINT_COUNT || at->action == ACTION_COUNT) {
        return fail_with_list(entry, "no such point or action", err);
    }
    if (at->action == ACTION_SKIP && !point_can_skip[at->point]) {
        return fail_with_list(entry, "this step cannot be left out", err);
    }
    at->is_always = at->action == ACTION_SKIP && read == 3;
    atomic_init(&at->left, nth);
    atomic_init(&at->has_acted, false);
    return VD_OK;
}

enum vd_status vd_failpoints_arm(const char *text, const char *const *stages, size_t stage_count,
                                 struct vd_err *err)
{
    VD_AUTO(mem) char *copy = vd_strdup(text != NULL ? text : "");
    char *entry = copy;

    armed_count = 0;
    for (bool is_behind = false; *entry != '\0'; armed_count++) {
        size_t len = strcspn(entry, ";>");
        bool is_next_behind = entry[len] == '>';
        char *next = entry + len + (entry[len] != '\0');

        entry[len] = '\0';
        if (armed_count == ARMED_MAX) {
            return fail_with_list(entry, "too many", err);
        }
        if (arm_one(entry, stages, stage_count, err) != VD_OK) {
            return err->status;
        }
        armed[armed_count].behind = is_behind ? &armed[armed_count - 1] : NULL;
        is_behind = is_next_behind;
        entry = next;
    }
    return VD_OK;
}

/* ---- reaching -------------------------------------------------------------------------------- */

static struct armed *find_armed(const struct vd_log *log, enum vd_failpoint point)
{
    const char *name = vd_log_name(log);

    if (strncmp(name, LOG_PREFIX, strlen(LOG_PREFIX)) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < armed_count; i++) {
        struct armed *at = &armed[i];

        if (at->point == point && strcmp(at->stage, name + strlen(LOG_PREFIX)) == 0 &&
            (at->behind == NULL || atomic_load(&at->behind->has_acted))) {
            return at;
        }
    }
    return NULL;
}

bool vd_failpoint_is_due(const struct vd_log *log, enum vd_failpoint point)
{
    struct armed *at = armed_count > 0 ? find_armed(log, point) : NULL;

    return at != NULL && (at->is_always || atomic_load(&at->left) == 1);
}

bool vd_failpoint_hit(const struct vd_log *log, enum vd_failpoint point)
{
    struct armed *at = armed_count > 0 ? find_armed(log, point) : NULL;

    if (at == NULL || (atomic_fetch_sub(&at->left, 1) != 1 && !at->is_always)) {
        return false;
    }
    atomic_store(&at->has_acted, true);
    vd_warn(log, "fail point %s: %s", point_names[point], action_names[at->action]);
    if (at->action == ACTION_SKIP) {
        return true;
    }
    /* It ends or stops all threads, but is sent to this one, which so comes no further. */
    (void)raise(at->action == ACTION_KILL ? SIGKILL : SIGSTOP);
    return false;
}
