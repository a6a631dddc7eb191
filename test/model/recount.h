/* Model 3: recounts and replays of one partition. */
#ifndef VD_TEST_MODEL_RECOUNT_H
#define VD_TEST_MODEL_RECOUNT_H

#include "explore.h"

extern const struct model recount_model;

#endif
