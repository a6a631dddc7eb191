/* The baseline, from its file to JSON. */
#include "baseline.h"

#include <string.h>

#include "alloc.h"
#include "file.h"

VD_AUTO_KIND(scenario, struct el_scenario *, el_scenario_free)

enum vd_status baseline_read(const char *path, struct el_scenario **votes, struct vd_err *err)
{
    VD_AUTO(scenario) struct el_scenario *parsed = NULL;
    VD_AUTO(buf) struct vd_buf bytes = {0};

    if (file_read(path, BASELINE_BYTES_MAX, &bytes, err) != VD_OK) {
        return vd_fail_in(err, "option \"baseline\"");
    }
    if (el_scenario_parse(vd_buf_text(&bytes), bytes.len, &parsed, err) != VD_OK) {
        return vd_fail_in(err, "option \"baseline\": \"%s\"", path);
    }
    if (votes != NULL) {
        *votes = vd_take(parsed);
    }
    return VD_OK;
}

static void add_text(struct vd_buf *out, const char *text)
{
    vd_buf_add_json(out, text, strlen(text));
}

void baseline_write(struct vd_buf *out, const struct el_scenario *votes, const char *label)
{
    vd_buf_add_text(out, "{\"label\":");
    add_text(out, label);
    vd_buf_add_text(out, ",\"columns\":[");
    for (size_t i = 0; i < votes->column_count; i++) {
        vd_buf_add_text(out, i > 0 ? "," : "");
        add_text(out, votes->columns[i]);
    }
    vd_buf_add_text(out, "],\"rows\":[");
    for (size_t i = 0; i < votes->row_count; i++) {
        vd_buf_add_text(out, i > 0 ? ",[" : "[");
        add_text(out, votes->rows[i].state);
        for (size_t k = 0; k < votes->column_count; k++) {
            vd_buf_add_char(out, ',');
            vd_buf_add_int(out, votes->rows[i].votes[k]);
        }
        vd_buf_add_char(out, ']');
    }
    vd_buf_add_text(out, "]}");
}
