/* Open addressing with linear probing. A removal moves the slots behind it up, so there are no
 * tombstones and a map that only changes never slows down. */
#include "map.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "alloc.h"
#include "hash.h"

#define CAPACITY_MIN 16

/* Keys come from outside; a hash nobody can predict keeps them from being made to collide. */
static struct vd_hash_key process_key;
static pthread_once_t process_key_once = PTHREAD_ONCE_INIT;

static void on_process_key(void)
{
    ssize_t got;

    do {
        got = getrandom(&process_key, sizeof(process_key), 0);
    } while (got < 0 && errno == EINTR);
    assert(got == (ssize_t)sizeof(process_key)); /* never short below 256 bytes */
}

static uint32_t hash_of(const void *key, size_t len)
{
    (void)pthread_once(&process_key_once, on_process_key); /* cannot fail with these arguments */
    return (uint32_t)vd_siphash(&process_key, key, len);
}

void vd_map_fini(struct vd_map *map, vd_map_free_fn *release)
{
    if (map == NULL) {
        return;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        struct vd_map_slot *slot = &map->slots[i];

        if (slot->key != NULL && release != NULL) {
            release(slot->value);
        }
        free(slot->key);
    }
    free(map->slots);
    *map = (struct vd_map){0};
}

/* Index of the slot that has the key, or of the free one where it belongs. */
static size_t locate(const struct vd_map *map, uint32_t hash, const void *key, size_t len)
{
    size_t mask = map->capacity - 1;
    size_t at = hash & mask;

    for (;; at = (at + 1) & mask) {
        const struct vd_map_slot *slot = &map->slots[at];

        if (slot->key == NULL || (slot->hash == hash && slot->key_len == len &&
                                  (len == 0 || memcmp(slot->key, key, len) == 0))) {
            return at;
        }
    }
}

static void grow(struct vd_map *map)
{
    struct vd_map_slot *old = map->slots;
    size_t old_capacity = map->capacity;
    size_t mask;

    map->capacity = old_capacity > 0 ? old_capacity * 2 : CAPACITY_MIN;
    map->slots = vd_alloc_array(map->capacity, sizeof(*map->slots));
    mask = map->capacity - 1;
    for (size_t i = 0; i < old_capacity; i++) {
        size_t at = old[i].hash & mask;

        if (old[i].key == NULL) {
            continue;
        }
        while (map->slots[at].key != NULL) {
            at = (at + 1) & mask;
        }
        map->slots[at] = old[i];
    }
    free(old);
}

void *vd_map_find(const struct vd_map *map, const void *key, size_t len)
{
    if (map->count == 0) {
        return NULL;
    }
    return map->slots[locate(map, hash_of(key, len), key, len)].value; /* of a free slot: NULL */
}

void *vd_map_put(struct vd_map *map, const void *key, size_t len, void *value)
{
    uint32_t hash = hash_of(key, len);
    struct vd_map_slot *slot;
    void *before;

    assert(value != NULL && len < UINT32_MAX);
    if (map->count + 1 > map->capacity / 4 * 3) {
        grow(map);
    }
    slot = &map->slots[locate(map, hash, key, len)];
    before = slot->value;
    if (slot->key == NULL) {
        slot->key = vd_alloc(len + 1);
        if (len > 0) {
            memcpy(slot->key, key, len);
        }
        slot->key_len = (uint32_t)len;
        slot->hash = hash;
        map->count++;
    }
    slot->value = value;
    return before;
}

void *vd_map_remove(struct vd_map *map, const void *key, size_t len)
{
    size_t mask = map->capacity - 1;
    size_t hole;
    void *value;

    if (map->count == 0) {
        return NULL;
    }
    hole = locate(map, hash_of(key, len), key, len);
    if (map->slots[hole].key == NULL) {
        return NULL;
    }
    value = map->slots[hole].value;
    free(map->slots[hole].key);
    for (size_t at = (hole + 1) & mask; map->slots[at].key != NULL; at = (at + 1) & mask) {
        size_t home = map->slots[at].hash & mask;

        /* It may move up unless its home lies behind the hole. */
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole] = (struct vd_map_slot){0};
    map->count--;
    return value;
}

const struct vd_map_slot *vd_map_next(const struct vd_map *map, size_t *at)
{
    while (*at < map->capacity) {
        const struct vd_map_slot *slot = &map->slots[(*at)++];

        if (slot->key != NULL) {
            return slot;
        }
    }
    return NULL;
}
