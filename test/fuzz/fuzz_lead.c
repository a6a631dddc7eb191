/* Bodies of POST /api/v1/replay, one a line, one after the other: what is refused changes nothing
 * and says why; what comes of the others is in range, now and later. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dashboard/lead.h"

#define NEWEST_MS 1730800000000

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check(const struct lead *lead, int64_t now_ms)
{
    struct lead_world world = {.now_ms = now_ms, .newest_ms = NEWEST_MS};
    int64_t at_ms = lead_position(lead, &world);

    assert(at_ms >= 0 && at_ms <= NEWEST_MS);
    world.newest_ms = 0;
    at_ms = lead_position(lead, &world);
    assert(at_ms >= 0 && at_ms <= 9007199254740991);
    assert(!lead->is_on || (lead->speed >= 1 && lead->speed <= LEAD_SPEED_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char *text = calloc(len + 1, 1);
    struct lead lead = {0};
    struct lead_world world = {.now_ms = 1, .newest_ms = NEWEST_MS};

    if (len > 0) {
        memcpy(text, bytes, len);
    }
    for (char *line = text, *rest = NULL; line != NULL; line = rest) {
        struct lead before = lead;
        struct vd_err err = {0};

        rest = strchr(line, '\n');
        if (rest != NULL) {
            *rest++ = '\0';
        }
        if (lead_act(&lead, line, "ada", &world, &err) != VD_OK) {
            assert(err.status == VD_INVALID && err.msg[0] != '\0');
            assert(memcmp(&before, &lead, sizeof(lead)) == 0);
        }
        world.now_ms += 1000;
        check(&lead, world.now_ms);
        check(&lead, INT64_MAX);
        (void)lead_settle(&lead, &world); /* is judged by the next round */
    }
    free(text);
    return 0;
}
