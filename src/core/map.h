/* A hash map from byte strings to pointers: open addressing, keys copied, no order promised. The
 * hash is keyed anew in every process, so nobody outside can choose keys that collide. */
#ifndef VD_CORE_MAP_H
#define VD_CORE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct vd_map_slot {
    char *key; /* owned; NULL: free slot. A zero that key_len does not count ends it */
    uint32_t key_len;
    uint32_t hash;
    void *value;
};

/* Zeroed is empty. Fields are map.c's own. */
struct vd_map {
    struct vd_map_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

typedef void vd_map_free_fn(void *value);

/* Free keys and slots, and each value with 'release' unless that is NULL. */
VD_API void vd_map_fini(struct vd_map *map, vd_map_free_fn *release);

/* The value under 'key', or NULL. */
VD_API void *vd_map_find(const struct vd_map *map, const void *key, size_t len);

/* Put 'value' (not NULL) under 'key' and return what was there before, or NULL. */
VD_API void *vd_map_put(struct vd_map *map, const void *key, size_t len, void *value);

/* Take the value under 'key' out, or return NULL. */
VD_API void *vd_map_remove(struct vd_map *map, const void *key, size_t len);

/* Walk: start with *at = 0; NULL at the end. The map must not change during the walk. */
VD_API const struct vd_map_slot *vd_map_next(const struct vd_map *map, size_t *at);

#endif
