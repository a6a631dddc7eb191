/* Model 2: the aggregation's takeover. */
#ifndef VD_TEST_MODEL_TAKEOVER_H
#define VD_TEST_MODEL_TAKEOVER_H

#include "cluster.h"

extern const struct model takeover_model;

#endif
