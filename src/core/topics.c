/* Topics as the topology declares them: created where missing, compared where they exist. */
#include "kafka_inside.h"

void vd_topics_cancel(struct vd_kafka *kafka)
{
    (void)kafka; /* none is ever under way yet */
}
