/* The audit of the generator stage: voters and candidates in their topics and in their tables. */
#ifndef VD_GENERATOR_AUDIT_H
#define VD_GENERATOR_AUDIT_H

#include "stage.h"

/* A callback of the descriptor. */
enum vd_status gen_audit(struct vd_audit *audit, void *state, struct vd_err *err);

#endif
