/* The lowest of all partitions that are not idle, and never less than it was. */
#include "watermark.h"

#include <string.h>

#include "alloc.h"

struct seen {
    bool is_known; /* it has a META */
    bool is_idle;
    int64_t event_s;
};

struct agg_watermark {
    int64_t lateness_s;
    int64_t at_s;
    struct seen *seen; /* by partition */
    size_t seen_count;
};

struct agg_watermark *agg_watermark_new(int64_t lateness_s)
{
    struct agg_watermark *watermark = vd_alloc(sizeof(*watermark));

    watermark->lateness_s = lateness_s;
    watermark->at_s = -1;
    return watermark;
}

void agg_watermark_free(struct agg_watermark *watermark)
{
    if (watermark != NULL) {
        free(watermark->seen);
        free(watermark);
    }
}

static void raise_to(struct agg_watermark *watermark, int64_t at_s)
{
    watermark->at_s = at_s > watermark->at_s ? at_s : watermark->at_s;
}

void agg_watermark_put(struct agg_watermark *watermark, int32_t partition,
                       const struct agg_meta *meta)
{
    size_t wanted = (size_t)partition + 1;

    if (wanted > watermark->seen_count) {
        watermark->seen = vd_realloc(watermark->seen, wanted * sizeof(struct seen));
        memset(&watermark->seen[watermark->seen_count], 0,
               (wanted - watermark->seen_count) * sizeof(struct seen));
        watermark->seen_count = wanted;
    }
    watermark->seen[partition] =
        (struct seen){.is_known = true, .is_idle = meta->is_idle, .event_s = meta->event_s};
    raise_to(watermark, meta->watermark_s);
}

int64_t agg_watermark_get(struct agg_watermark *watermark, int32_t partitions)
{
    int64_t lowest = INT64_MAX; /* of those that are not idle */
    int64_t highest = -1;       /* of all */

    if (partitions <= 0 || (size_t)partitions > watermark->seen_count) {
        return watermark->at_s; /* one has no META yet */
    }
    for (int32_t i = 0; i < partitions; i++) {
        const struct seen *seen = &watermark->seen[i];

        if (!seen->is_known || (!seen->is_idle && seen->event_s < 0)) {
            return watermark->at_s;
        }
        highest = seen->event_s > highest ? seen->event_s : highest;
        if (!seen->is_idle && seen->event_s < lowest) {
            lowest = seen->event_s;
        }
    }
    lowest = lowest == INT64_MAX ? highest : lowest;
    raise_to(watermark, lowest - watermark->lateness_s);
    return watermark->at_s;
}

int64_t agg_watermark_newest(const struct agg_watermark *watermark)
{
    int64_t newest = -1;

    for (size_t i = 0; i < watermark->seen_count; i++) {
        const struct seen *seen = &watermark->seen[i];

        newest = seen->is_known && seen->event_s > newest ? seen->event_s : newest;
    }
    return newest;
}

int64_t agg_event_cap(int64_t event_s, int64_t now_s)
{
    return event_s > now_s + AGG_FUTURE_S ? now_s + AGG_FUTURE_S : event_s;
}
