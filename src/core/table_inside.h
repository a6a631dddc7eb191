/* A table as its follower sees it; nobody else includes this. */
#ifndef VD_CORE_TABLE_INSIDE_H
#define VD_CORE_TABLE_INSIDE_H

#include <stdatomic.h>

#include "map.h"
#include "table_follow.h"

struct vd_table_part {
    struct vd_map rows; /* of struct vd_table_row */
    int64_t position;   /* next offset to read; VD_NO_OFFSET: nothing is known yet */
    uint32_t round;     /* counts re-readings; rows of an earlier one go when it is over */
    bool is_rereading;
    bool is_restarting;        /* its errand is under way */
    rd_kafka_resp_err_t error; /* already told */
};

struct vd_table_watch {
    vd_table_change_fn *on_change;
    void *arg;
};

/* A wish to hear when the table shows what the topic has now. */
struct vd_table_wish {
    vd_table_synced_fn *on_synced; /* NULL: the one of the start, which makes the table current */
    void *arg;
    int64_t *ends; /* per partition; NULL: not known yet */
    bool is_asked; /* by the errand under way, whose answer is for this one too */
    struct vd_table_wish *next;
};

struct vd_table {
    struct vd_follower *follower;
    char *topic;
    rd_kafka_topic_t *rkt;
    struct vd_table_part *parts;
    int32_t part_count; /* 0: not started */
    struct vd_table_watch *watches;
    size_t watch_count;
    struct vd_table_wish *wishes;
    bool is_asking; /* for its ends, by an errand */
    bool has_moved; /* since its wishes were looked at */
    bool is_current;
    size_t rows, bytes;
    struct vd_metric *rows_metric, *bytes_metric, *records, *keyless, *rereads;
    struct vd_table *next;
};

struct vd_table *vd_table_new(struct vd_follower *follower, const char *topic,
                              struct vd_metrics *metrics);
void vd_table_free(struct vd_table *table); /* the topic handle is gone by then */
void vd_table_start(struct vd_table *table, int32_t partitions);

/* One record was read. */
void vd_table_apply(struct vd_table *table, const struct vd_record *record);

/* Everything up to 'position' was read. */
void vd_table_reach(struct vd_table *table, int32_t partition, int64_t position);

/* A partition is read anew from its beginning: rows that do not come again go at its end. */
void vd_table_reread(struct vd_table *table, int32_t partition);

/* Take what the wishes asked for: 'ends' per partition. */
void vd_table_answer(struct vd_table *table, const int64_t *ends);

/* Call the wishes that are fulfilled. */
void vd_table_settle(struct vd_table *table);

/* A wish is there: its ends have to be asked for. In table_follow.c. */
void vd_follower_ask(struct vd_follower *follower, struct vd_table *table);

#endif
