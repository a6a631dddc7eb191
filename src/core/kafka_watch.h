/* Whether any broker answers: asked once a second, told in words an operator can use. */
#ifndef VD_CORE_KAFKA_WATCH_H
#define VD_CORE_KAFKA_WATCH_H

#include "errand.h"
#include "kafka.h"
#include "trouble.h"

struct vd_kafka_watch;

/* 'trouble' follows the answers; it and the rest are borrowed until after vd_errands_close. */
struct vd_kafka_watch *vd_kafka_watch_new(struct vd_kafka *kafka, struct vd_loop *loop,
                                          struct vd_errands *errands, struct vd_trouble *trouble);

/* Every second: ask, and report connections that fail while others work. */
void vd_kafka_watch_tick(struct vd_kafka_watch *watch);

/* After 'errands' is closed. NULL is accepted. */
void vd_kafka_watch_free(struct vd_kafka_watch *watch);

#endif
