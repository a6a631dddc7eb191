/* Lines of a register: no bytes may crash the splitting; fields put together again say the same,
 * and what is made of them is a voter that the table takes. */
#include <stdlib.h>
#include <string.h>

#include "election/voter.h"
#include "generator/csv.h"
#include "generator/mapping.h"

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len);

static void check_again(const struct gen_csv *csv)
{
    static struct gen_csv again;
    struct vd_buf text = {0};
    struct el_text record;

    for (size_t i = 0; i < csv->count; i++) {
        vd_buf_add_text(&text, i > 0 ? ",\"" : "\"");
        for (size_t k = 0; k < csv->field[i].len; k++) {
            vd_buf_add_text(&text, csv->field[i].data[k] == '"' ? "\"" : "");
            vd_buf_add_char(&text, csv->field[i].data[k]);
        }
        vd_buf_add_char(&text, '"');
    }
    record = (struct el_text){.data = text.data, .len = text.len};
    if (gen_csv_split(&again, &record, ',', NULL) != VD_OK || again.count != csv->count) {
        abort();
    }
    for (size_t i = 0; i < csv->count; i++) {
        if (again.field[i].len != csv->field[i].len ||
            memcmp(again.field[i].data, csv->field[i].data, csv->field[i].len) != 0) {
            abort();
        }
    }
    vd_buf_fini(&text);
}

static void check_voter(const struct gen_csv *csv)
{
    const struct el_date day = {.year = 2026, .month = 11, .day = 3};
    struct el_text values[GEN_MEMBERS] = {{.data = NULL}};
    struct gen_completion completion;
    struct el_voter voter;
    struct vd_buf json = {0};

    for (size_t i = 0; i < GEN_MEMBERS && i < csv->count; i++) {
        values[i] = csv->field[i];
    }
    if (gen_voter_complete(values, &day, &completion, &voter, NULL) == VD_OK) {
        if (el_voter_check(&voter, NULL) != VD_OK) {
            abort();
        }
        el_voter_format(&voter, &json);
    }
    vd_buf_fini(&json);
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len)
{
    static struct gen_csv csv;
    struct el_text record = {.data = (const char *)bytes, .len = len};
    struct gen_mapping mapping = {.column = {NULL}};
    struct vd_buf text = {0};
    enum vd_status status;

    if (gen_csv_split(&csv, &record, ',', NULL) == VD_OK) {
        check_again(&csv);
        check_voter(&csv);
    }
    vd_buf_add(&text, bytes, len);
    status = gen_mapping_parse(vd_buf_text(&text), &mapping, NULL);
    (void)status; /* any is right, as long as nothing is leaked */
    gen_mapping_fini(&mapping);
    vd_buf_fini(&text);
    return 0;
}
