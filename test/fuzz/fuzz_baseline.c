/* Scenario files, and the preload's words about one that the count is compared with: what is read
 * has votes in every row, and is told as JSON of the same numbers. */
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "alloc.h"
#include "dashboard/baseline.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_row(const struct el_scenario *votes, size_t row, const cJSON *told)
{
    const cJSON *item = told->child;
    int64_t sum = 0;

    if (strcmp(item->valuestring, votes->rows[row].state) != 0) {
        abort();
    }
    for (size_t i = 0; i < votes->column_count; i++) {
        item = item->next;
        sum += votes->rows[row].votes[i];
        if ((int64_t)item->valuedouble != votes->rows[row].votes[i]) {
            abort();
        }
    }
    if (sum <= 0 || item->next != NULL) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct el_scenario *votes = NULL;
    VD_AUTO(buf) struct vd_buf out = {0};
    struct vd_err err = {0};
    cJSON *told = NULL;
    const cJSON *row = NULL;
    size_t rows = 0;

    if (el_scenario_parse((const char *)bytes, len, &votes, &err) != VD_OK) {
        if (votes != NULL || err.msg[0] == '\0') {
            abort();
        }
        return 0;
    }
    baseline_write(&out, votes, "label");
    told = cJSON_ParseWithLength(out.data, out.len);
    if (cJSON_GetArraySize(cJSON_GetObjectItem(told, "columns")) != (int)votes->column_count) {
        abort();
    }
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(told, "rows"))
    {
        check_row(votes, rows++, row);
    }
    if (rows != votes->row_count) {
        abort();
    }
    cJSON_Delete(told);
    el_scenario_free(votes);
    return 0;
}
