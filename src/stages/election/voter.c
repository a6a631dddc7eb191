/* The voter's JSON and SQL. The JSON is written without a tree: it is the generator's hot path. */
#include "election/voter.h"

#include <stdbool.h>
#include <string.h>

#define COLUMN_NAMES                                                                          \
    "voter_id, voter_name, date_of_birth, gender, nationality, registration_number,"          \
    " address_street, address_city, address_state, address_country, address_postcode, email," \
    " phone_number, cell_number, picture, registered_age"
#define COLUMN_ARRAYS                                                                           \
    "$1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],"       \
    " $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[]," \
    " $15::text[], $16::int[]"

const char el_voter_insert_sql[] = "INSERT INTO voters (" COLUMN_NAMES ")"
                                   " SELECT * FROM unnest(" COLUMN_ARRAYS ")"
                                   " ON CONFLICT DO NOTHING";

const char el_voter_import_sql[] = "INSERT INTO voters (" COLUMN_NAMES ", source_record)"
                                   " SELECT * FROM unnest(" COLUMN_ARRAYS ", $17::bigint[])"
                                   " ON CONFLICT DO NOTHING";

const char el_voter_select_sql[] =
    "SELECT source_record, " COLUMN_NAMES
    " FROM unnest($1::text[]) WITH ORDINALITY AS asked(voter_id, ord)"
    " JOIN voters USING (voter_id) ORDER BY ord";

static const struct {
    const char *column;
    const char *lead; /* what stands before the value in JSON */
} texts[EL_VOTER_TEXTS] = {
    [EL_VOTER_ID] = {"voter_id", "{\"voter_id\":"},
    [EL_VOTER_NAME] = {"voter_name", ",\"voter_name\":"},
    [EL_VOTER_BIRTH] = {"date_of_birth", ",\"date_of_birth\":"},
    [EL_VOTER_GENDER] = {"gender", ",\"gender\":"},
    [EL_VOTER_NATIONALITY] = {"nationality", ",\"nationality\":"},
    [EL_VOTER_REGISTRATION] = {"registration_number", ",\"registration_number\":"},
    [EL_VOTER_STREET] = {"address_street", ",\"address\":{\"street\":"},
    [EL_VOTER_CITY] = {"address_city", ",\"city\":"},
    [EL_VOTER_STATE] = {"address_state", ",\"state\":"},
    [EL_VOTER_COUNTRY] = {"address_country", ",\"country\":"},
    [EL_VOTER_POSTCODE] = {"address_postcode", ",\"postcode\":"},
    [EL_VOTER_EMAIL] = {"email", "},\"email\":"},
    [EL_VOTER_PHONE] = {"phone_number", ",\"phone_number\":"},
    [EL_VOTER_CELL] = {"cell_number", ",\"cell_number\":"},
    [EL_VOTER_PICTURE] = {"picture", ",\"picture\":"},
};

const char *el_voter_text_name(enum el_voter_text text)
{
    return texts[text].column;
}

/* True if a JSON string needs no escape and no look at its UTF-8: eight bytes at a time. */
static bool is_plain(const char *text, size_t len)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t odd = 0;
    size_t at = 0;

    for (; at + 8 <= len; at += 8) {
        uint64_t word, quote, slash;

        memcpy(&word, text + at, sizeof(word));
        quote = word ^ ones * '"';
        slash = word ^ ones * '\\';
        /* a byte's top bit: not ASCII, below 0x20, or equal to one of the two */
        odd |= word | (word - ones * 0x20) | (quote - ones) | (slash - ones);
    }
    if ((odd & ones * 0x80) != 0) {
        return false;
    }
    for (; at < len; at++) {
        uint8_t c = (uint8_t)text[at];

        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') {
            return false;
        }
    }
    return true;
}

static void add_string(struct vd_buf *out, const struct el_text *text)
{
    if (!is_plain(text->data, text->len)) {
        vd_buf_add_json(out, text->data, text->len);
        return;
    }
    vd_buf_reserve(out, text->len + 2);
    out->data[out->len] = '"';
    if (text->len > 0) {
        memcpy(out->data + out->len + 1, text->data, text->len);
    }
    out->data[out->len + 1 + text->len] = '"';
    out->len += text->len + 2;
}

void el_voter_format(const struct el_voter *voter, struct vd_buf *out)
{
    for (size_t i = 0; i < EL_VOTER_TEXTS; i++) {
        vd_buf_add(out, texts[i].lead, strlen(texts[i].lead));
        add_string(out, &voter->text[i]);
    }
    vd_buf_add(out, ",\"registered_age\":", 18);
    vd_buf_add_int(out, voter->registered_age);
    vd_buf_add_char(out, '}');
}

static size_t count_chars(const struct el_text *text)
{
    size_t chars = 0;

    for (size_t i = 0; i < text->len; i++) {
        chars += ((uint8_t)text->data[i] & 0xc0) != 0x80;
    }
    return chars;
}

static enum vd_status check_text(const struct el_text *text, size_t i, struct vd_err *err)
{
    if (!vd_utf8_is_valid(text->data, text->len)) {
        return vd_fail(err, VD_INVALID, "%s: not valid UTF-8", texts[i].column);
    }
    if (text->len > 0 && memchr(text->data, '\0', text->len) != NULL) {
        return vd_fail(err, VD_INVALID, "%s: must not contain a NUL", texts[i].column);
    }
    if (i == EL_VOTER_PICTURE) {
        return text->len <= EL_VOTER_PICTURE_BYTES_MAX
                   ? VD_OK
                   : vd_fail(err, VD_INVALID, "%s: at most %d bytes, got %zu", texts[i].column,
                             EL_VOTER_PICTURE_BYTES_MAX, text->len);
    }
    if (text->len > EL_VOTER_TEXT_CHARS_MAX && count_chars(text) > EL_VOTER_TEXT_CHARS_MAX) {
        return vd_fail(err, VD_INVALID, "%s: at most %d characters, got %zu", texts[i].column,
                       EL_VOTER_TEXT_CHARS_MAX, count_chars(text));
    }
    return VD_OK;
}

enum vd_status el_voter_check(const struct el_voter *voter, struct vd_err *err)
{
    if (voter->text[EL_VOTER_ID].len == 0) {
        return vd_fail(err, VD_INVALID, "voter_id: must not be empty");
    }
    for (size_t i = 0; i < EL_VOTER_TEXTS; i++) {
        if (check_text(&voter->text[i], i, err) != VD_OK) {
            return err != NULL ? err->status : VD_INVALID;
        }
    }
    if (voter->registered_age < 0 || voter->registered_age > EL_VOTER_AGE_MAX) {
        return vd_fail(err, VD_INVALID, "registered_age: must be 0 to %d, got %d", EL_VOTER_AGE_MAX,
                       voter->registered_age);
    }
    return VD_OK;
}

void el_voter_columns_begin(struct el_voter_columns *columns)
{
    for (size_t i = 0; i < EL_VOTER_COLUMNS; i++) {
        vd_buf_clear(&columns->column[i]);
        vd_pg_array_begin(&columns->column[i], i < EL_VOTER_TEXTS ? VD_PG_TEXT : VD_PG_INT4);
    }
}

void el_voter_columns_add(struct el_voter_columns *columns, const struct el_voter *voter)
{
    for (size_t i = 0; i < EL_VOTER_TEXTS; i++) {
        vd_pg_array_add_text(&columns->column[i], voter->text[i].data, voter->text[i].len);
    }
    vd_pg_array_add_int4(&columns->column[EL_VOTER_TEXTS], voter->registered_age);
}

void el_voter_columns_end(struct el_voter_columns *columns,
                          struct vd_pg_value values[EL_VOTER_COLUMNS])
{
    for (size_t i = 0; i < EL_VOTER_COLUMNS; i++) {
        vd_pg_array_end(&columns->column[i]);
        values[i] = vd_pg_array_value(&columns->column[i]);
    }
}

void el_voter_columns_fini(struct el_voter_columns *columns)
{
    for (size_t i = 0; i < EL_VOTER_COLUMNS; i++) {
        vd_buf_fini(&columns->column[i]);
    }
}
