/* The headers of a letter: "NAME=VALUE" each, ended by a line end. What is kept of a name is given
 * back, and nothing is believed that does not format to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "letter.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_name(const char *name)
{
    VD_AUTO(buf) struct vd_buf kept = {0};
    VD_AUTO(buf) struct vd_buf given = {0};

    vd_letter_keep_name(name, &kept);
    if (!vd_letter_give_name(vd_buf_text(&kept), &given) ||
        strcmp(vd_buf_text(&given), name) != 0) {
        abort();
    }
}

static void check_letter(const rd_kafka_headers_t *headers)
{
    struct vd_letter letter = {0};
    struct vd_err err = {0};
    bool is_ours = false;

    vd_letter_read_headers(headers, &letter);
    if (letter.attempts < -1 || letter.time_ms < -1 || letter.cut_bytes < -1 ||
        letter.receipt_of < VD_NO_OFFSET || letter.stands_for < VD_NO_OFFSET) {
        abort();
    }
    if (vd_letter_route(headers, "voting", &is_ours, &err) == VD_OK && is_ours &&
        letter.receipt_of >= 0) {
        const void *value = NULL;
        size_t value_len = 0;

        if (rd_kafka_header_get_last(headers, VD_LETTER_REPLAY, &value, &value_len) !=
            RD_KAFKA_RESP_ERR_NO_ERROR) {
            abort(); /* a stage would be shown a receipt */
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    char *text = vd_strndup((const char *)bytes, len);
    char *rest = text;
    char *line = NULL;

    while ((line = strsep(&rest, "\n")) != NULL) {
        size_t name = strcspn(line, "=");
        const char *value = line[name] == '=' ? line + name + 1 : NULL;

        rd_kafka_header_add(headers, line, (ssize_t)name, value,
                            value != NULL ? (ssize_t)strlen(value) : 0);
        line[name] = '\0';
        check_name(line);
    }
    check_letter(headers);
    rd_kafka_headers_destroy(headers);
    free(text);
    return 0;
}
