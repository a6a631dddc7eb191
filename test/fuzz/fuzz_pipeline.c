/* Records of the nodes topic: whatever comes, what is shown is JSON, and short. The input is a key
 * behind its length, and a value. */
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "alloc.h"
#include "dashboard/pipeline.h"

static int64_t read_now(void *arg)
{
    (void)arg;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct pipeline pipeline = {.application = "a", .now_ms = read_now};
    VD_AUTO(buf) struct vd_buf out = {0};
    size_t key_len = len > 0 ? bytes[0] : 0;
    struct vd_record record = {0};
    struct vd_err err = {0};
    cJSON *shown = NULL;

    if (len == 0 || key_len > len - 1) {
        return 0;
    }
    record.key = (const char *)bytes + 1;
    record.key_len = key_len;
    record.value = record.key + key_len;
    record.value_len = len - 1 - key_len;
    if (pipeline_take(&pipeline, &record, 0, &err) == VD_OK) {
        record.value = NULL;
        record.value_len = 0;
    }
    pipeline_write(&pipeline, &out);
    shown = cJSON_ParseWithLength(out.data, out.len);
    if (shown == NULL || !vd_utf8_is_valid(out.data, out.len) || out.len > 8 * len + 200) {
        abort();
    }
    cJSON_Delete(shown);
    if (record.value == NULL && pipeline_take(&pipeline, &record, 0, &err) != VD_OK) {
        abort();
    }
    pipeline_fini(&pipeline);
    return 0;
}
