/* --dead-letters purge. Kafka deletes records from the front of a partition only, so what goes is
 * the longest run of records at the front that may go. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "letters_inside.h"
#include "node.h"

/* What goes of one partition. */
struct front {
    const struct vd_letters_box *box;
    int32_t partition;
    int64_t end;     /* offset behind the last record that goes; 0: nothing does */
    int64_t letters; /* that go */
    int64_t stays;   /* offset of the first letter that stays; VD_NO_OFFSET: none */
    const char *why; /* it stays */
};

struct purge {
    struct vd_letters *letters;
    struct front *fronts;
    size_t count, cap;
};

static struct front *get_front(struct purge *purge, const struct vd_letters_box *box,
                               int32_t partition)
{
    struct front *last = purge->count > 0 ? &purge->fronts[purge->count - 1] : NULL;

    if (last != NULL && last->box == box && last->partition == partition) {
        return last; /* partitions come one after the other */
    }
    if (purge->count == purge->cap) {
        purge->cap = 2 * purge->cap + 8;
        purge->fronts = vd_realloc(purge->fronts, purge->cap * sizeof(*purge->fronts));
    }
    last = &purge->fronts[purge->count++];
    *last = (struct front){.box = box, .partition = partition, .stays = VD_NO_OFFSET};
    return last;
}

/* Why a letter has to stay, or NULL. */
static const char *find_reason(const struct vd_letters_filter *filter,
                               const struct vd_letter *letter, enum vd_letters_state state)
{
    if (!vd_letters_filter_match(filter, letter, state == VD_LETTERS_REPLAYED)) {
        return "is not meant";
    }
    return state != VD_LETTERS_REPLAYED && !filter->conf->force ? "was not replayed" : NULL;
}

/* A receipt goes with what stands in front of it: its letter does. */
static bool on_letter(void *arg, const struct vd_letters_box *box, const struct vd_letter *letter,
                      enum vd_letters_state state)
{
    struct purge *purge = arg;
    struct front *front = get_front(purge, box, letter->record.partition);

    if (front->stays != VD_NO_OFFSET) {
        return true;
    }
    if (state != VD_LETTERS_RECEIPT) {
        front->why = find_reason(&purge->letters->filter, letter, state);
        if (front->why != NULL) {
            front->stays = letter->record.offset;
            return true;
        }
        front->letters++;
    }
    front->end = letter->record.offset + 1;
    return true;
}

/* ---- words ----------------------------------------------------------------------------------- */

static int64_t count_letters(const struct purge *purge)
{
    int64_t letters = 0;

    for (size_t i = 0; i < purge->count; i++) {
        letters += purge->fronts[i].letters;
    }
    return letters;
}

static void add_plan(const struct purge *purge, struct vd_buf *out)
{
    for (size_t i = 0; i < purge->count; i++) {
        const struct front *front = &purge->fronts[i];
        const char *topic = front->box->topic->name;

        if (front->letters > 0) {
            vd_buf_printf(out, "%s/%" PRId32 ": %" PRId64 " letter%s up to offset %" PRId64, topic,
                          front->partition, front->letters, front->letters == 1 ? "" : "s",
                          front->end - 1);
        } else {
            vd_buf_printf(out, "%s/%" PRId32 ": nothing", topic, front->partition);
        }
        if (front->stays != VD_NO_OFFSET) {
            vd_buf_printf(out, "; offset %" PRId64 " %s, so it stays, and all behind it",
                          front->stays, front->why);
        }
        vd_buf_add_char(out, '\n');
    }
}

/* Ask at the terminal. Fails: VD_INVALID where nobody can be asked, VD_FAILED for a no. */
static enum vd_status ask(int64_t letters, struct vd_err *err)
{
    char answer[16] = "";

    if (!isatty(STDIN_FILENO)) {
        return vd_fail(err, VD_INVALID,
                       "purge deletes for good, and nobody is there to be asked: add --yes");
    }
    (void)fprintf(stderr, "Delete %" PRId64 " letter%s for good? [y/N] ", letters,
                  letters == 1 ? "" : "s"); /* the answer shows whether it was read */
    if (fgets(answer, sizeof(answer), stdin) == NULL || (answer[0] != 'y' && answer[0] != 'Y')) {
        return vd_fail(err, VD_FAILED, "nothing was deleted");
    }
    return VD_OK;
}

static enum vd_status delete_fronts(const struct purge *purge, struct vd_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)purge->count);
    enum vd_status status = VD_OK;

    for (size_t i = 0; i < purge->count; i++) {
        const struct front *front = &purge->fronts[i];

        if (front->letters > 0) {
            rd_kafka_topic_partition_list_add(list, front->box->topic->name, front->partition)
                ->offset = front->end;
        }
    }
    status = vd_topics_purge(purge->letters->kafka, list, VD_LETTERS_TIMEOUT_MS, err);
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

static int act(struct purge *purge, struct vd_err *err)
{
    const struct vd_letters_conf *conf = purge->letters->filter.conf;
    int64_t letters = count_letters(purge);
    VD_AUTO(buf) struct vd_buf out = {0};

    add_plan(purge, &out);
    if (letters == 0) {
        vd_buf_add_text(&out, "nothing to purge\n");
    } else if (conf->dry_run) {
        vd_buf_printf(&out, "would purge %" PRId64 " letter%s\n", letters, letters == 1 ? "" : "s");
    }
    if (vd_letters_put(&out, err) != VD_OK) {
        return VD_EXIT_FAILURE;
    }
    if (letters == 0 || conf->dry_run) {
        return VD_EXIT_OK;
    }
    if (!conf->yes && ask(letters, err) != VD_OK) {
        return err->status == VD_INVALID ? VD_EXIT_USAGE : VD_EXIT_FAILURE;
    }
    if (delete_fronts(purge, err) != VD_OK) {
        return VD_EXIT_FAILURE;
    }
    vd_buf_clear(&out);
    vd_buf_printf(&out, "purged %" PRId64 " letter%s\n", letters, letters == 1 ? "" : "s");
    return vd_letters_put(&out, err) == VD_OK ? VD_EXIT_OK : VD_EXIT_FAILURE;
}

int vd_letters_purge(struct vd_letters *letters, struct vd_err *err)
{
    struct purge purge = {.letters = letters};
    enum vd_status status = VD_OK;
    int code = VD_EXIT_FAILURE;

    for (size_t i = 0; i < letters->box_count && status == VD_OK; i++) {
        status = vd_letters_read(letters, &letters->boxes[i], on_letter, &purge, err);
    }
    if (status == VD_OK) {
        code = act(&purge, err);
    }
    free(purge.fronts);
    return code;
}
