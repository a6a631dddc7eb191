/* A list of numbers. */
#include "rebuild.h"

#include <stdbool.h>
#include <string.h>

static bool read_number(const char **at, const char *end, uint32_t max, uint32_t *number)
{
    const char *start = *at;
    uint64_t value = 0;

    while (*at < end && **at >= '0' && **at <= '9' && value <= max) {
        value = value * 10 + (uint64_t)(**at - '0');
        (*at)++;
    }
    *number = (uint32_t)value;
    return *at > start && value <= max;
}

enum vd_status agg_rebuild_wanted(const char *text, int32_t partition, uint32_t *number,
                                  struct vd_err *err)
{
    uint32_t wanted = 0;

    for (const char *item = text; *item != '\0';) {
        const char *at = item + strspn(item, " ");
        const char *end = item + strcspn(item, ",");
        const char *colon = memchr(at, ':', (size_t)(end - at));
        uint32_t of = 0;
        uint32_t count = 0;
        bool is_read = colon == NULL || (read_number(&at, colon, INT32_MAX, &of) && at == colon);

        at = colon == NULL ? at : colon + 1;
        is_read = is_read && read_number(&at, end, AGG_REBUILDS_MAX, &count);
        if (!is_read || at + strspn(at, " ") < end) {
            return vd_fail(err, VD_INVALID,
                           "option \"rebuild\": expected NUMBER or PARTITION:NUMBER (at most %d), "
                           "separated by commas, got \"%.*s\"",
                           AGG_REBUILDS_MAX, (int)(end - item), item);
        }
        if ((colon == NULL || of == (uint32_t)partition) && count > wanted) {
            wanted = count;
        }
        item = *end == ',' ? end + 1 : end;
    }
    *number = wanted;
    return VD_OK;
}
