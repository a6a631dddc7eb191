/* How often somebody may still try to sign in: failures are counted by address and by name, and
 * forgotten at a steady pace. Pure, under the caller's lock; not installed. */
#ifndef VD_CORE_WEB_THROTTLE_H
#define VD_CORE_WEB_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "hash.h"

#define VD_WEB_THROTTLE_KEYS 1024 /* addresses and names; beyond: the most forgotten one goes */

struct vd_web_throttle_key {
    uint64_t hash;   /* of the address or name; 0: unused */
    bool is_name;    /* and no address */
    double failures; /* at 'at_ms'; fades from then on */
    int64_t at_ms;
};

/* Zeroed but for 'key' it is empty. */
struct vd_web_throttle {
    struct vd_hash_key key; /* random, so that nobody finds two names that are one here */
    struct vd_web_throttle_key keys[VD_WEB_THROTTLE_KEYS];
};

/* Count a try from 'address' as 'name' ("": none, as with a token) as if it had failed. Returns how
 * many seconds to wait before the next one, and then this one does not count; 0: go on. An address
 * has 10 tries, and one more every 30 s; a name five times as much, so that one address alone
 * cannot lock anybody out. */
int64_t vd_web_throttle_try(struct vd_web_throttle *throttle, const char *address, const char *name,
                            int64_t now_ms);

/* It had not failed. */
void vd_web_throttle_forgive(struct vd_web_throttle *throttle, const char *address,
                             const char *name, int64_t now_ms);

#endif
