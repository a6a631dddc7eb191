/* A look into a module's file before it is loaded, since loading already runs its code. */
#ifndef VD_CORE_PLUGIN_ELF_H
#define VD_CORE_PLUGIN_ELF_H

#include <stddef.h>

#include "err.h"

/* Check that 'bytes' are a shared object for this machine that exports vd_stage_describe, and
 * neither needs, calls nor brings along one of the client libraries that are the host's business.
 * Fails: VD_INVALID, with what was found, what is wanted and the remedy. */
enum vd_status vd_plugin_elf_check(const void *bytes, size_t len, struct vd_err *err) VD_MUST_CHECK;

#endif
