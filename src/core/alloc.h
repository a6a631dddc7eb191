/* Memory that is never refused: running out aborts. A size that comes from outside is compared with
 * a named limit before it gets here. Everything is released with free(). */
#ifndef VD_CORE_ALLOC_H
#define VD_CORE_ALLOC_H

#include <stddef.h>
#include <stdlib.h>

#include "err.h"

/* 'bytes' of zeroed memory. Owns: the caller frees it. */
VD_API void *vd_alloc(size_t bytes) __attribute__((malloc, returns_nonnull));

/* 'count' * 'bytes' of zeroed memory; aborts where the product overflows. */
VD_API void *vd_alloc_array(size_t count, size_t bytes) __attribute__((malloc, returns_nonnull));

/* As realloc(); what is added is not zeroed. */
VD_API void *vd_realloc(void *memory, size_t bytes) __attribute__((returns_nonnull));

/* Copies; NULL in gives NULL out. vd_strndup reads at most 'bytes'. */
VD_API char *vd_strdup(const char *text);
VD_API char *vd_strndup(const char *text, size_t bytes);
VD_API void *vd_memdup(const void *memory, size_t bytes);

/* A formatted string. Owns: the caller frees it. */
VD_API char *vd_format(const char *format, ...) VD_PRINTF(1, 2) __attribute__((returns_nonnull));

/* Free a local at the end of its scope: VD_AUTO(mem) char *text = NULL. A further kind is declared
 * once, beside its type, with VD_AUTO_KIND(kind, type, free function). */
#define VD_AUTO(kind) __attribute__((cleanup(vd_auto_##kind)))
#define VD_AUTO_KIND(kind, type, release)                                  \
    static inline __attribute__((unused)) void vd_auto_##kind(type *owned) \
    {                                                                      \
        if (*owned != NULL) {                                              \
            release(*owned);                                               \
        }                                                                  \
    }

static inline __attribute__((unused)) void vd_auto_mem(void *owned)
{
    free(*(void **)owned);
}

/* Move an owned pointer out of its variable, leaving NULL. */
#define vd_take(pointer)                           \
    __extension__({                                \
        __typeof__(pointer) vd_taken_ = (pointer); \
        (pointer) = NULL;                          \
        vd_taken_;                                 \
    })

/* The object of type 'type' whose member 'member' is at 'pointer'. */
#define vd_owner(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
