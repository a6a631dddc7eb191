/* The headers of letters, replayed records and receipts. */
#include "letter.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kafka.h"

#define OURS "vd-"
#define ORIGINAL "vd-orig-"

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The text of a header, or NULL. librdkafka puts a zero behind every value. */
static const char *find_text(const rd_kafka_headers_t *headers, const char *name)
{
    const void *bytes = NULL;
    size_t len = 0;

    return headers == NULL || rd_kafka_header_get_last(headers, name, &bytes, &len) !=
                                  RD_KAFKA_RESP_ERR_NO_ERROR
               ? NULL
               : bytes;
}

/* A number of decimal digits only, or -1. */
static int64_t parse_number(const char *text)
{
    int64_t value = 0;

    if (text == NULL || *text == '\0') {
        return -1;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *text - '0', &value)) {
            return -1;
        }
    }
    return *text == '\0' ? value : -1;
}

/* "STAGE OFFSET". Returns: the offset, and the length of the name; -1 for another form. */
static int64_t parse_replay(const char *text, size_t *stage_len)
{
    *stage_len = strcspn(text, " ");
    return *stage_len > 0 && text[*stage_len] == ' ' ? parse_number(text + *stage_len + 1) : -1;
}

void vd_letter_read_headers(const rd_kafka_headers_t *headers, struct vd_letter *letter)
{
    const char *replay = find_text(headers, "vd-orig-replay");
    const void *bytes = NULL;
    size_t len = 0;

    letter->headers = headers;
    letter->stage = find_text(headers, VD_LETTER_STAGE);
    letter->node = find_text(headers, VD_LETTER_NODE);
    letter->from = find_text(headers, VD_LETTER_TOPIC);
    letter->reason = find_text(headers, VD_LETTER_REASON);
    letter->attempts = parse_number(find_text(headers, VD_LETTER_ATTEMPTS));
    letter->time_ms = parse_number(find_text(headers, VD_LETTER_TIME));
    letter->cut_bytes = parse_number(find_text(headers, VD_LETTER_CUT));
    letter->receipt_of = parse_number(find_text(headers, VD_LETTER_RECEIPT));
    letter->stands_for = replay == NULL ? VD_NO_OFFSET : parse_replay(replay, &len);
    letter->record.has_position =
        headers != NULL &&
        rd_kafka_header_get_last(headers, VD_POSITION_HEADER, &bytes, &len) ==
            RD_KAFKA_RESP_ERR_NO_ERROR &&
        vd_position_parse(bytes, len, &letter->record.position, NULL) == VD_OK;
}

void vd_letter_read(const rd_kafka_message_t *message, struct vd_letter *letter)
{
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_timestamp_type_t type;

    *letter = (struct vd_letter){
        .topic = rd_kafka_topic_name(message->rkt),
        .record = {.key = message->key,
                   .key_len = message->key_len,
                   .value = message->payload,
                   .value_len = message->len,
                   .partition = message->partition,
                   .offset = message->offset,
                   .timestamp_ms = rd_kafka_message_timestamp(message, &type)},
    };
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        headers = NULL;
    }
    vd_letter_read_headers(headers, letter);
}

void vd_letter_keep_name(const char *name, struct vd_buf *out)
{
    if (begins_with(name, OURS)) {
        vd_buf_add_text(out, ORIGINAL);
        name += strlen(OURS);
    }
    vd_buf_add_text(out, name);
}

bool vd_letter_give_name(const char *name, struct vd_buf *out)
{
    if (begins_with(name, ORIGINAL)) {
        vd_buf_add_text(out, OURS);
        name += strlen(ORIGINAL);
    } else if (begins_with(name, OURS)) {
        return false;
    }
    vd_buf_add_text(out, name);
    return true;
}

void vd_letter_add_replay(const char *stage, int64_t offset, struct vd_buf *out)
{
    vd_buf_printf(out, "%s %" PRId64, stage, offset);
}

int64_t vd_letter_replay_of(const rd_kafka_headers_t *headers)
{
    const char *replay = find_text(headers, VD_LETTER_REPLAY);
    size_t len = 0;

    return replay == NULL ? VD_NO_OFFSET : parse_replay(replay, &len);
}

enum vd_status vd_letter_route(const rd_kafka_headers_t *headers, const char *stage, bool *is_ours,
                               struct vd_err *err)
{
    const char *replay = find_text(headers, VD_LETTER_REPLAY);
    size_t len = 0;

    if (replay == NULL) {
        *is_ours = parse_number(find_text(headers, VD_LETTER_RECEIPT)) < 0;
        return VD_OK;
    }
    if (parse_replay(replay, &len) < 0) {
        return vd_fail(err, VD_INVALID, "header \"%s\": must be \"STAGE OFFSET\", got \"%.80s\"",
                       VD_LETTER_REPLAY, replay);
    }
    *is_ours = strlen(stage) == len && memcmp(stage, replay, len) == 0;
    return VD_OK;
}
