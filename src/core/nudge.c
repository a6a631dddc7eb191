/* The question is the point: nobody looks at the answer. */
#include "nudge.h"

#include "alloc.h"

#define TIMEOUT_MS 500

void vd_nudge_now(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = RD_KAFKA_OFFSET_END;
    }
    /* Not a query of watermarks, which overruns its time-out by a minute (2.0.2). */
    (void)rd_kafka_offsets_for_times(rk, list, TIMEOUT_MS);
}

static bool run_nudge(struct vd_errand *errand)
{
    struct vd_nudge *nudge = vd_owner(errand, struct vd_nudge, errand);

    vd_nudge_now(nudge->rk, nudge->asked);
    return true;
}

static void on_nudged(struct vd_errand *errand)
{
    struct vd_nudge *nudge = vd_owner(errand, struct vd_nudge, errand);

    rd_kafka_topic_partition_list_destroy(nudge->asked);
    nudge->asked = vd_take(nudge->next);
    if (nudge->asked != NULL) {
        vd_errands_submit(nudge->errands, &nudge->errand);
    }
}

static void add_missing(rd_kafka_topic_partition_list_t *list,
                        const rd_kafka_topic_partition_list_t *more)
{
    for (int i = 0; i < more->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &more->elems[i];

        if (rd_kafka_topic_partition_list_find(list, at->topic, at->partition) == NULL) {
            (void)rd_kafka_topic_partition_list_add(list, at->topic, at->partition);
        }
    }
}

void vd_nudge(struct vd_nudge *nudge, struct vd_errands *errands, rd_kafka_t *rk,
              const rd_kafka_topic_partition_list_t *list)
{
    if (nudge->next != NULL) {
        add_missing(nudge->next, list);
        return;
    }
    if (nudge->asked != NULL) {
        nudge->next = rd_kafka_topic_partition_list_copy(list);
        return;
    }
    nudge->asked = rd_kafka_topic_partition_list_copy(list);
    nudge->errands = errands;
    nudge->rk = rk;
    nudge->errand = (struct vd_errand){.run = run_nudge, .on_done = on_nudged};
    vd_errands_submit(errands, &nudge->errand);
}

void vd_nudge_drop(struct vd_nudge *nudge)
{
    if (nudge->next != NULL) {
        rd_kafka_topic_partition_list_destroy(vd_take(nudge->next));
    }
}
