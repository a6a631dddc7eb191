/* When to say what lasts. */
#include "trouble.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "loop.h"

/* Between two reminders; the pause doubles, so that a night's outage is a page of log. */
#define REMIND_MS 60000
#define REMIND_MAX_MS 600000

void vd_trouble_set(struct vd_trouble *trouble, const char *cause, int64_t now_ms)
{
    if (trouble->is_on) {
        trouble->lasted_ms = now_ms - trouble->since_ms;
    }
    if (cause == NULL) {
        trouble->is_on = false;
        return;
    }
    if (!trouble->is_on && !trouble->is_told) { /* else its end was not said: it goes on */
        trouble->since_ms = now_ms;
        trouble->since_wall_ms = vd_wall_ms();
        trouble->lasted_ms = 0;
        trouble->pause_ms = REMIND_MS;
        trouble->next_ms = now_ms + trouble->grace_ms;
    }
    trouble->is_on = true;
    if (cause != trouble->cause) {
        (void)snprintf(trouble->cause, sizeof(trouble->cause), "%s", cause); /* cut to fit */
    }
}

static void unlink_witness(struct vd_trouble *trouble, struct vd_witness *witness)
{
    struct vd_witness **at = &trouble->hit;

    while (*at != witness) {
        at = &(*at)->next;
    }
    *at = witness->next;
}

/* Did one that stands before 'witness' say the same? */
static bool is_repeated(const struct vd_trouble *trouble, const struct vd_witness *witness)
{
    for (const struct vd_witness *at = trouble->hit; at != witness; at = at->next) {
        if (strcmp(at->cause, witness->cause) == 0) {
            return true;
        }
    }
    return false;
}

void vd_trouble_tell(struct vd_trouble *trouble, struct vd_witness *witness, const char *cause,
                     int64_t now_ms)
{
    char all[VD_ERR_MSG_BYTES] = "";

    if (witness->is_hit) {
        unlink_witness(trouble, witness);
    }
    witness->is_hit = cause != NULL;
    if (witness->is_hit) {
        (void)snprintf(witness->cause, sizeof(witness->cause), "%s", cause); /* cut to fit */
        witness->next = trouble->hit;
        trouble->hit = witness;
    }
    for (const struct vd_witness *at = trouble->hit; at != NULL; at = at->next) {
        size_t len = strlen(all);

        if (!is_repeated(trouble, at)) {
            (void)snprintf(all + len, sizeof(all) - len, "%s%s", len > 0 ? "; " : "",
                           at->cause); /* cut to fit */
        }
    }
    vd_trouble_set(trouble, trouble->hit != NULL ? all : NULL, now_ms);
}

enum vd_trouble_news vd_trouble_news(struct vd_trouble *trouble, int64_t now_ms)
{
    bool was_told = trouble->is_told;

    if (!trouble->is_on) {
        trouble->is_told = false;
        return was_told ? VD_TROUBLE_OVER : VD_TROUBLE_NO_NEWS;
    }
    trouble->lasted_ms = now_ms - trouble->since_ms;
    if (now_ms < trouble->next_ms) {
        return VD_TROUBLE_NO_NEWS;
    }
    trouble->is_told = true;
    trouble->next_ms = now_ms + trouble->pause_ms;
    trouble->pause_ms =
        2 * trouble->pause_ms < REMIND_MAX_MS ? 2 * trouble->pause_ms : REMIND_MAX_MS;
    return was_told ? VD_TROUBLE_LASTS : VD_TROUBLE_BEGUN;
}

void vd_duration_format(int64_t ms, char text[VD_DURATION_BYTES])
{
    int64_t seconds = ms / 1000;
    int64_t minutes = seconds / 60;

    if (seconds < 100) {
        (void)snprintf(text, VD_DURATION_BYTES, "%" PRId64 " s", seconds); /* fits, as all here */
    } else if (minutes < 60 || minutes % 60 == 0) {
        (void)snprintf(text, VD_DURATION_BYTES, minutes < 60 ? "%" PRId64 " min" : "%" PRId64 " h",
                       minutes < 60 ? minutes : minutes / 60);
    } else {
        (void)snprintf(text, VD_DURATION_BYTES, "%" PRId64 " h %" PRId64 " min", minutes / 60,
                       minutes % 60);
    }
}
