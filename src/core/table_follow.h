/* Creation of the tables in table.h; core only. All tables of a node share one consumer without a
 * group. */
#ifndef VD_CORE_TABLE_FOLLOW_H
#define VD_CORE_TABLE_FOLLOW_H

#include "kafka.h"
#include "table.h"

struct vd_follower; /* the shared consumer */

struct vd_follower *vd_follower_new(struct vd_kafka *kafka, struct vd_loop *loop,
                                    struct vd_log *log, struct vd_metrics *metrics);

/* The table of 'topic'; the same one for the same topic, which need not be started. Owned by the
 * follower. */
struct vd_table *vd_follower_table(struct vd_follower *follower, const char *topic);

/* Begin reading all tables from their beginning, later ones as soon as they are asked for;
 * partition counts come from vd_topics_ensure; one without any waits for vd_follower_look_again.
 * Every table's topic is among 'topics', which are borrowed. Fails: VD_FAILED; no table will ever
 * be current. */
enum vd_status vd_follower_start(struct vd_follower *follower, struct vd_topic_conf *const *topics,
                                 size_t count, struct vd_err *err) VD_MUST_CHECK;

/* Begin with the tables whose topics were not found before and are now. */
void vd_follower_look_again(struct vd_follower *follower);

/* Final, and not from a table's callback; nothing is called any more but on_closed, or NULL, on the
 * loop, when consumer and tables are gone. */
void vd_follower_close(struct vd_follower *follower, void (*on_closed)(void *arg), void *arg);

#endif
