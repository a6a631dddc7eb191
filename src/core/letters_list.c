/* --dead-letters list and show. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "letters_inside.h"
#include "map.h"
#include "node.h"

#define CAUSES_MAX 1000 /* in a summary; what goes beyond is counted as one */
#define REASON_COLUMNS 44

/* Letters of one stage with one reason, numbers in it left out of account. */
struct cause {
    char *stage, *reason; /* owned */
    int64_t count, replayed;
};

struct listing {
    struct vd_letters *letters;
    bool is_json, is_whole;
    const struct vd_letters_box *box; /* whose heading was written last; NULL: none */
    int64_t count;                    /* letters that are meant */
    struct vd_map by_cause;           /* -> struct cause, which 'causes' owns */
    struct cause **causes;
    size_t cause_count;
    struct vd_err err; /* standard output failed */
};

/* ---- the summary ----------------------------------------------------------------------------- */

/* "member "vote": expected 1, got 17" -> "member "vote": expected #, got #" */
static void add_pattern(struct vd_buf *out, const char *reason)
{
    static const char digits[] = "0123456789";

    while (*reason != '\0') {
        size_t plain = strcspn(reason, digits);

        vd_buf_add(out, reason, plain);
        reason += plain;
        if (*reason != '\0') {
            vd_buf_add_char(out, '#');
            reason += strspn(reason, digits);
        }
    }
}

static struct cause *get_cause(struct listing *listing, const char *stage, const char *reason)
{
    VD_AUTO(buf) struct vd_buf key = {0};
    struct cause *cause;

    vd_buf_add(&key, stage, strlen(stage) + 1);
    add_pattern(&key, reason);
    cause = vd_map_find(&listing->by_cause, key.data, key.len);
    if (cause == NULL) {
        cause = vd_alloc(sizeof(*cause));
        cause->stage = vd_strdup(stage);
        cause->reason = vd_strdup(vd_buf_text(&key) + strlen(stage) + 1);
        listing->causes = vd_realloc(listing->causes, (listing->cause_count + 1) * sizeof(cause));
        listing->causes[listing->cause_count++] = cause;
        (void)vd_map_put(&listing->by_cause, key.data, key.len, cause); /* there was none */
    }
    return cause;
}

static void count_cause(struct listing *listing, const struct vd_letter *letter,
                        enum vd_letters_state state)
{
    bool is_full = listing->cause_count >= CAUSES_MAX;
    const char *stage = letter->stage != NULL ? letter->stage : "-";
    const char *reason = letter->reason != NULL ? letter->reason : "no reason: not of votingd";
    struct cause *cause =
        is_full ? get_cause(listing, "-", "other reasons") : get_cause(listing, stage, reason);

    cause->count++;
    cause->replayed += state == VD_LETTERS_REPLAYED;
}

static int compare_causes(const void *a, const void *b)
{
    const struct cause *first = *(struct cause *const *)a;
    const struct cause *second = *(struct cause *const *)b;

    return first->count != second->count ? (first->count < second->count ? 1 : -1)
                                         : strcmp(first->reason, second->reason);
}

static void add_summary(struct listing *listing, struct vd_buf *out)
{
    int64_t limit = listing->letters->filter.limit;

    if (listing->count == 0) {
        vd_buf_add_text(out, "no letters\n");
        return;
    }
    if (listing->count > limit) {
        vd_buf_printf(out,
                      "\n%" PRId64 " more; --limit %" PRId64 " shows them, --reason and the "
                      "other filters choose\n",
                      listing->count - limit, listing->count);
    }
    qsort(listing->causes, listing->cause_count, sizeof(struct cause *), compare_causes);
    vd_buf_add_text(out, "\n    COUNT  REPLAYED  STAGE         REASON\n");
    for (size_t i = 0; i < listing->cause_count; i++) {
        const struct cause *cause = listing->causes[i];

        vd_buf_printf(out, "%9" PRId64 "  %8" PRId64 "  ", cause->count, cause->replayed);
        vd_letters_add_padded(out, cause->stage, 12);
        vd_letters_add_safe(out, cause->reason, strlen(cause->reason), REASON_COLUMNS);
        vd_buf_add_char(out, '\n');
    }
}

/* ---- letters --------------------------------------------------------------------------------- */

static void add_box(struct listing *listing, const struct vd_letters_box *box, struct vd_buf *out)
{
    if (listing->box == box) {
        return;
    }
    vd_buf_printf(out, "%s%s: %s of stage %s\n", listing->box != NULL ? "\n" : "", box->topic->name,
                  box->is_rejected ? "rejected records" : "dead letters", box->stage);
    vd_letters_add_heading(out);
    listing->box = box;
}

static bool on_letter(void *arg, const struct vd_letters_box *box, const struct vd_letter *letter,
                      enum vd_letters_state state)
{
    struct listing *listing = arg;
    VD_AUTO(buf) struct vd_buf out = {0};

    if (state == VD_LETTERS_RECEIPT ||
        !vd_letters_filter_match(&listing->letters->filter, letter, state == VD_LETTERS_REPLAYED)) {
        return true;
    }
    if (listing->count++ < listing->letters->filter.limit) {
        if (listing->is_json) {
            vd_letters_add_json(&out, letter, state, listing->is_whole);
        } else if (listing->is_whole) {
            vd_buf_add_text(&out, listing->count > 1 ? "\n" : "");
            vd_letters_add_whole(&out, letter, state);
        } else {
            add_box(listing, box, &out);
            vd_letters_add_line(&out, letter, state);
        }
    }
    if (!listing->is_json && !listing->is_whole) {
        count_cause(listing, letter, state);
    }
    return vd_letters_put(&out, &listing->err) == VD_OK;
}

static int run(struct listing *listing, struct vd_err *err)
{
    const struct vd_letters *letters = listing->letters;
    enum vd_status status = VD_OK;

    listing->is_json = letters->filter.conf->is_json;
    for (size_t i = 0; i < letters->box_count && status == VD_OK; i++) {
        status = vd_letters_read(listing->letters, &letters->boxes[i], on_letter, listing, err);
        if (listing->err.status != VD_OK) {
            *err = listing->err;
            status = err->status;
        }
    }
    return status == VD_OK ? VD_EXIT_OK : VD_EXIT_FAILURE;
}

int vd_letters_list(struct vd_letters *letters, struct vd_err *err)
{
    struct listing listing = {.letters = letters};
    VD_AUTO(buf) struct vd_buf out = {0};
    int code = run(&listing, err);

    if (code == VD_EXIT_OK && !listing.is_json) {
        add_summary(&listing, &out);
        code = vd_letters_put(&out, err) == VD_OK ? VD_EXIT_OK : VD_EXIT_FAILURE;
    }
    for (size_t i = 0; i < listing.cause_count; i++) {
        free(listing.causes[i]->stage);
        free(listing.causes[i]->reason);
        free(listing.causes[i]);
    }
    free(listing.causes);
    vd_map_fini(&listing.by_cause, NULL);
    return code;
}

int vd_letters_show(struct vd_letters *letters, struct vd_err *err)
{
    struct listing listing = {.letters = letters, .is_whole = true};
    VD_AUTO(buf) struct vd_buf out = {0};
    int code = run(&listing, err);

    if (code != VD_EXIT_OK || listing.is_json) {
        return code;
    }
    if (listing.count == 0) {
        (void)vd_fail(err, VD_INVALID, "no letter is as asked for; --dead-letters list shows all");
        return VD_EXIT_FAILURE;
    }
    if (listing.count > letters->filter.limit) {
        vd_buf_printf(&out, "\n%" PRId64 " more; --topic, --partition and --offset choose\n",
                      listing.count - letters->filter.limit);
    }
    return vd_letters_put(&out, err) == VD_OK ? VD_EXIT_OK : VD_EXIT_FAILURE;
}
