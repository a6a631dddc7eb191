/* Records of an aggregate, as any program may publish them: whatever comes, the picture stays one
 * that can be told as JSON. */
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "dashboard/feed.h"
#include "dashboard/wire.h"

static void must(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct picture picture;
    struct vd_buf out = {0};
    struct vd_err err = {0};
    struct feed feed = {.picture = &picture, .source = FEED_AGGREGATE};
    struct vd_record record = {.key = "k",
                               .key_len = 1,
                               .value = (const char *)bytes,
                               .value_len = len,
                               .timestamp_ms = 1};
    cJSON *json = NULL;

    picture_init(&picture, "e", 100);
    must(picture_add_table(&picture, "fuzz", &feed.table, &err) == VD_OK);
    if (feed_take(&feed, &record, 2, &err) != VD_OK) {
        must(err.status == VD_INVALID && picture.tables[feed.table].count == 0);
    }
    (void)picture_settle(&picture); /* new or not */
    wire_snapshot(&out, &picture, picture_frame_last(&picture), WIRE_ALIVE, 3);
    json = cJSON_ParseWithLength(out.data, out.len);
    must(cJSON_IsObject(json));
    cJSON_Delete(json);
    vd_buf_fini(&out);
    picture_fini(&picture);
    return 0;
}
