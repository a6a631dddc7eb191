/* Failures that fade, by address and by name. */
#include "web_throttle.h"

#include <math.h>
#include <string.h>

/* What one kind of key may do. */
struct limit {
    double tries;
    double fades_ms; /* one failure is forgotten in */
};

static const struct limit *limit_of(const struct vd_web_throttle_key *key)
{
    static const struct limit by_address = {10, 30000}, by_name = {50, 6000};

    return key->is_name ? &by_name : &by_address;
}

static double fade(const struct vd_web_throttle_key *key, int64_t now_ms)
{
    double left = key->failures - (double)(now_ms - key->at_ms) / limit_of(key)->fades_ms;

    return left > 0 ? left : 0;
}

/* The key of 'text', brought up to date; one that has little to remember makes room for it. */
static struct vd_web_throttle_key *find(struct vd_web_throttle *throttle, bool is_name,
                                        const char *text, int64_t now_ms)
{
    struct vd_web_throttle_key *least = &throttle->keys[0];
    uint64_t hash = vd_siphash(&throttle->key, text, strlen(text)) | 1;

    for (size_t at = 0; at < VD_WEB_THROTTLE_KEYS; at++) {
        struct vd_web_throttle_key *key = &throttle->keys[at];

        if (key->hash == hash && key->is_name == is_name) {
            key->failures = fade(key, now_ms);
            key->at_ms = now_ms;
            return key;
        }
        least = fade(key, now_ms) < fade(least, now_ms) ? key : least;
    }
    *least = (struct vd_web_throttle_key){.hash = hash, .is_name = is_name, .at_ms = now_ms};
    return least;
}

static int64_t wait_s(const struct vd_web_throttle_key *key)
{
    const struct limit *limit = limit_of(key);
    double beyond = key->failures + 1 - limit->tries;

    /* Rounded up, but not for the last digit of a double. */
    return beyond > 0 ? (int64_t)ceil(beyond * limit->fades_ms / 1000 - 1e-6) : 0;
}

int64_t vd_web_throttle_try(struct vd_web_throttle *throttle, const char *address, const char *name,
                            int64_t now_ms)
{
    struct vd_web_throttle_key *from = find(throttle, false, address, now_ms);
    struct vd_web_throttle_key *as;
    int64_t wait = wait_s(from);

    if (wait > 0) {
        return wait;
    }
    from->failures += 1; /* before the name is looked for: it is not the least used key now */
    if (name[0] == '\0') {
        return 0;
    }
    as = find(throttle, true, name, now_ms);
    wait = wait_s(as);
    as->failures += wait > 0 ? 0 : 1;
    from->failures -= wait > 0 ? 1 : 0;
    return wait;
}

static void forgive(struct vd_web_throttle_key *key)
{
    key->failures = key->failures > 1 ? key->failures - 1 : 0;
}

void vd_web_throttle_forgive(struct vd_web_throttle *throttle, const char *address,
                             const char *name, int64_t now_ms)
{
    forgive(find(throttle, false, address, now_ms));
    if (name[0] != '\0') {
        forgive(find(throttle, true, name, now_ms));
    }
}
