/* Codecs for the position header and the commit note, and records as librdkafka hands them over. */
#include "record.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "kafka.h"

#define POSITION_VERSION 1
#define NOTE_HEAD "vd1 last="
#define NOTE_TAG " ballot="

static void put_be(uint8_t *bytes, uint64_t value, size_t count)
{
    for (size_t i = count; i > 0; i--) {
        bytes[i - 1] = (uint8_t)value;
        value >>= 8;
    }
}

void vd_position_format(const struct vd_position *position, uint8_t bytes[VD_POSITION_BYTES])
{
    bytes[0] = POSITION_VERSION;
    put_be(bytes + 1, (uint16_t)position->generation, 2);
    put_be(bytes + 3, (uint32_t)position->partition, 4);
    put_be(bytes + 7, (uint64_t)position->offset, 8);
    put_be(bytes + 15, (uint64_t)position->previous, 8);
}

/* The version is judged before the length: a newer votingd may write another one, and its records
 * must stop the partition, not end as dead letters. */
enum vd_status vd_position_parse(const void *bytes, size_t len, struct vd_position *position,
                                 struct vd_err *err)
{
    const uint8_t *at = bytes;
    struct vd_position read;

    if (len > 0 && at[0] > POSITION_VERSION) {
        return vd_fail(err, VD_FAILED, "header \"%s\": version %u is newer than %d",
                       VD_POSITION_HEADER, at[0], POSITION_VERSION);
    }
    if (len != VD_POSITION_BYTES) {
        return vd_fail(err, VD_INVALID, "header \"%s\": must have %d bytes, got %zu",
                       VD_POSITION_HEADER, VD_POSITION_BYTES, len);
    }
    read = (struct vd_position){
        .generation = (int16_t)vd_be16(at + 1),
        .partition = (int32_t)vd_be32(at + 3),
        .offset = (int64_t)vd_be64(at + 7),
        .previous = (int64_t)vd_be64(at + 15),
    };
    if (at[0] != POSITION_VERSION || read.generation < 0 || read.partition < 0 || read.offset < 0 ||
        read.previous < VD_NO_OFFSET || read.previous >= read.offset) {
        return vd_fail(err, VD_INVALID,
                       "header \"%s\": version %u, generation %d, partition %" PRId32
                       ", offset %" PRId64 ", previous %" PRId64 " is no position",
                       VD_POSITION_HEADER, at[0], read.generation, read.partition, read.offset,
                       read.previous);
    }
    *position = read;
    return VD_OK;
}

static bool is_tag(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~') {
            return false;
        }
    }
    return len < VD_TAG_BYTES;
}

void vd_commit_note_format(const struct vd_commit_note *note, char text[VD_COMMIT_NOTE_BYTES])
{
    int len;

    assert(note->last >= VD_NO_OFFSET);
    assert(is_tag(note->tag, strnlen(note->tag, sizeof(note->tag))));
    len = snprintf(text, VD_COMMIT_NOTE_BYTES, NOTE_HEAD "%" PRId64 NOTE_TAG "%s", note->last,
                   note->tag);
    assert(len > 0 && len < VD_COMMIT_NOTE_BYTES);
    (void)len; /* named for the assertion only */
}

/* Read an offset in the one form that vd_commit_note_format writes, and return its length; 0 for
 * anything else. */
static size_t parse_offset(const char *text, size_t len, int64_t *offset)
{
    int64_t value = 0;
    size_t i = 0;

    if (len >= 2 && text[0] == '-' && text[1] == '1') {
        *offset = VD_NO_OFFSET;
        return 2;
    }
    for (; i < len && text[i] >= '0' && text[i] <= '9'; i++) {
        if ((i == 1 && text[0] == '0') || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, text[i] - '0', &value)) {
            return 0;
        }
    }
    *offset = value;
    return i;
}

/* Length of the "vdN" of a later version, or 0. */
static size_t newer_note(const char *text, size_t len)
{
    size_t i = 2;

    if (len < 4 || memcmp(text, "vd", 2) != 0 || text[2] == '0') {
        return 0;
    }
    while (i < len && i < 8 && text[i] >= '0' && text[i] <= '9') {
        i++;
    }
    return i < len && text[i] == ' ' && (i > 3 || (i == 3 && text[2] > '1')) ? i : 0;
}

enum vd_status vd_commit_note_parse(const char *text, size_t len, struct vd_commit_note *note,
                                    struct vd_err *err)
{
    const size_t head = strlen(NOTE_HEAD);
    const size_t middle = strlen(NOTE_TAG);
    struct vd_commit_note read = {0};
    size_t digits;
    const char *tag;
    size_t tag_len;

    if (newer_note(text, len) > 0) {
        return vd_fail(err, VD_FAILED, "offset metadata: \"%.*s\" is newer than \"vd1\"",
                       (int)newer_note(text, len), text);
    }
    if (len < head || memcmp(text, NOTE_HEAD, head) != 0) {
        return vd_fail(err, VD_INVALID, "offset metadata: must begin with \"%s\"", NOTE_HEAD);
    }
    text += head;
    len -= head;
    digits = parse_offset(text, len, &read.last);
    if (digits == 0 || len - digits < middle || memcmp(text + digits, NOTE_TAG, middle) != 0) {
        return vd_fail(err, VD_INVALID, "offset metadata: expected an offset and \"%s\"", NOTE_TAG);
    }
    tag = text + digits + middle;
    tag_len = len - digits - middle;
    if (!is_tag(tag, tag_len)) {
        return vd_fail(err, VD_INVALID,
                       "offset metadata: ballot must be at most %d printable characters",
                       VD_TAG_BYTES - 1);
    }
    memcpy(read.tag, tag, tag_len);
    *note = read;
    return VD_OK;
}

enum vd_status vd_record_from_message(const rd_kafka_message_t *message, struct vd_record *record,
                                      struct vd_err *err)
{
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_timestamp_type_t type;
    const void *bytes = NULL;
    size_t len = 0;
    enum vd_status status;

    *record = (struct vd_record){
        .key = message->key,
        .key_len = message->key_len,
        .value = message->payload,
        .value_len = message->len,
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &type),
    };
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, VD_POSITION_HEADER, &bytes, &len) !=
            RD_KAFKA_RESP_ERR_NO_ERROR) {
        return VD_OK;
    }
    status = vd_position_parse(bytes, len, &record->position, err);
    record->has_position = status == VD_OK;
    return status;
}
