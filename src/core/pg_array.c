/* Arrays as array_recv reads them: number of dimensions, whether there are NULLs, type of the
 * elements; of the dimension its length and first index; then each element behind its length. */
#include "pg.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#define AT_NULLS 4
#define AT_TYPE 8
#define AT_COUNT 12
#define EMPTY_BYTES 12 /* an array of no dimensions is an empty one */
#define HEAD_BYTES 20

/* From 1970-01-01 to 2000-01-01, where PostgreSQL's time begins. */
#define EPOCH_US INT64_C(946684800000000)

static void put_be32(struct vd_buf *array, size_t at, uint32_t value)
{
    uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                        (uint8_t)value};

    memcpy(array->data + at, bytes, sizeof(bytes));
}

/* The count lives in the head that is being written: there is no other place for it. */
static void count_element(struct vd_buf *array)
{
    put_be32(array, AT_COUNT, vd_be32(array->data + AT_COUNT) + 1);
}

static void begin_element(struct vd_buf *array, enum vd_pg_type type, uint32_t len)
{
    assert(array->len >= HEAD_BYTES && vd_be32(array->data + AT_TYPE) == (uint32_t)type);
    (void)type;
    count_element(array);
    vd_buf_add_be32(array, len);
}

void vd_pg_array_begin(struct vd_buf *array, enum vd_pg_type type)
{
    vd_buf_clear(array);
    vd_buf_add_be32(array, 1);
    vd_buf_add_be32(array, 0);
    vd_buf_add_be32(array, (uint32_t)type);
    vd_buf_add_be32(array, 0);
    vd_buf_add_be32(array, 1);
}

void vd_pg_array_add_int4(struct vd_buf *array, int32_t value)
{
    begin_element(array, VD_PG_INT4, 4);
    vd_buf_add_be32(array, (uint32_t)value);
}

void vd_pg_array_add_int8(struct vd_buf *array, int64_t value)
{
    begin_element(array, VD_PG_INT8, 8);
    vd_buf_add_be64(array, (uint64_t)value);
}

void vd_pg_array_add_text(struct vd_buf *array, const char *text, size_t len)
{
    assert(len <= INT_MAX);
    begin_element(array, VD_PG_TEXT, (uint32_t)len);
    vd_buf_add(array, text, len);
}

void vd_pg_array_add_null(struct vd_buf *array)
{
    assert(array->len >= HEAD_BYTES);
    count_element(array);
    put_be32(array, AT_NULLS, 1);
    vd_buf_add_be32(array, UINT32_MAX);
}

void vd_pg_array_add_timestamp(struct vd_buf *array, int64_t unix_us)
{
    /* The lowest number is -infinity to PostgreSQL; the one above is out of range. */
    int64_t us = unix_us > INT64_MIN + EPOCH_US ? unix_us - EPOCH_US : INT64_MIN + 1;

    begin_element(array, VD_PG_TIMESTAMP, 8);
    vd_buf_add_be64(array, (uint64_t)us);
}

void vd_pg_array_end(struct vd_buf *array)
{
    assert(array->len >= HEAD_BYTES);
    if (array->len == HEAD_BYTES) {
        put_be32(array, 0, 0);
        array->len = EMPTY_BYTES;
    }
}

struct vd_pg_value vd_pg_array_value(const struct vd_buf *array)
{
    return (struct vd_pg_value){.data = array->data, .len = array->len, .is_binary = true};
}
