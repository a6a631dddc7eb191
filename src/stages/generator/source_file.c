/* The sources csv and jsonl: an electoral register in a local file. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "election/json.h"
#include "generator/csv.h"
#include "generator/mapping.h"
#include "generator/reader.h"
#include "generator/source.h"

#define HASH_BYTES_PER_TURN (4 * 1024 * 1024) /* some 5 ms of the loop's time */
#define NO_COLUMN SIZE_MAX

/* The address is an object in voters_topic, so that a dump of it can be read; flat
 * names work, too. */
#define JSON_FIELDS (2 * GEN_MEMBERS)

struct gen_source {
    const struct gen_source_host *host;
    struct gen_reader reader;
    struct gen_mapping mapping;
    struct el_date election_day;
    struct vd_timer *timer;
    bool is_hashed, is_open;
    struct vd_err trouble; /* of the hashing */

    struct gen_csv csv;
    size_t column[GEN_MEMBERS]; /* CSV: the field that the member stands in, or NO_COLUMN */
    size_t column_count;        /* of the header */
    struct gen_place begin;     /* behind the header */

    char *path[GEN_MEMBERS]; /* JSON: "address.city", or as mapped. Owned */
    struct vd_buf unescaped;
};

static char separator_of(const char *name)
{
    return name[0] == 'c' ? ',' : name[0] == 's' ? ';' : name[0] == 't' ? '\t' : '|';
}

/* ---- options ------------------------------------------------------------------------------- */

static enum vd_status file_check(const struct gen_conf *conf, struct vd_err *err)
{
    struct gen_reader reader = {.fd = -1};
    struct gen_mapping mapping = {.column = {NULL}};
    struct el_date day;
    enum vd_status status = VD_OK;

    if (conf->shards != 1) {
        return vd_fail(err, VD_INVALID,
                       "option \"shards\": a register is read by one shard, got %lld",
                       (long long)conf->shards);
    }
    if (conf->path[0] == '\0') {
        return vd_fail(err, VD_INVALID, "option \"path\": source \"%s\" needs a file",
                       conf->source);
    }
    if (el_date_parse(conf->election_day, strlen(conf->election_day), &day, err) != VD_OK) {
        return vd_fail_in(err, "option \"election_day\"");
    }
    if (gen_reader_open(&reader, conf->path, 0, err) != VD_OK) {
        return vd_fail_in(err, "option \"path\"");
    }
    gen_reader_close(&reader);
    status = gen_mapping_parse(conf->columns, &mapping, err);
    gen_mapping_fini(&mapping);
    return status;
}

/* ---- opening ------------------------------------------------------------------------------- */

/* The hash is what the register is known by, and it is needed before the first voter. */
static void on_hash_turn(void *arg)
{
    struct gen_source *source = arg;
    enum vd_status status = gen_reader_hash(&source->reader, HASH_BYTES_PER_TURN, &source->trouble);

    if (status == VD_AGAIN) {
        vd_timer_start(source->timer, 0);
        return;
    }
    source->is_hashed = status == VD_OK;
    source->host->on_ready(source->host->arg);
}

static struct gen_source *file_create(const struct gen_source_host *host)
{
    struct gen_source *source = vd_alloc(sizeof(*source));

    source->host = host;
    source->reader.fd = -1;
    source->timer = vd_timer_new(vd_stage_loop(host->stage), on_hash_turn, source);
    return source;
}

static void file_release(struct gen_source *source)
{
    if (source == NULL) {
        return;
    }
    vd_timer_close(source->timer);
    gen_reader_close(&source->reader);
    gen_mapping_fini(&source->mapping);
    vd_buf_fini(&source->csv.unquoted);
    vd_buf_fini(&source->unescaped);
    for (size_t i = 0; i < GEN_MEMBERS; i++) {
        free(source->path[i]);
    }
    free(source);
}

static enum vd_status start_hashing(struct gen_source *source, char separator, struct vd_err *err)
{
    const struct gen_conf *conf = source->host->conf;

    if (el_date_parse(conf->election_day, strlen(conf->election_day), &source->election_day, err) !=
            VD_OK ||
        gen_reader_open(&source->reader, conf->path, separator, err) != VD_OK) {
        return VD_INVALID;
    }
    gen_mapping_fini(&source->mapping);
    if (gen_mapping_parse(conf->columns, &source->mapping, err) != VD_OK) {
        return VD_INVALID;
    }
    vd_timer_start(source->timer, 0);
    return VD_AGAIN;
}

/* What both openings have in common. VD_OK: the file is hashed. */
static enum vd_status open_file(struct gen_source *source, char separator, struct vd_err *err)
{
    if (source->reader.fd < 0) {
        return start_hashing(source, separator, err);
    }
    if (source->trouble.status != VD_OK) {
        (void)vd_fail(err, VD_INVALID, "%s: %s", source->host->conf->path, source->trouble.msg);
        return VD_INVALID;
    }
    return source->is_hashed ? VD_OK : VD_AGAIN;
}

static size_t find_column(const struct gen_csv *csv, const char *name)
{
    for (size_t i = 0; i < csv->count; i++) {
        if (csv->field[i].len == strlen(name) &&
            memcmp(csv->field[i].data, name, csv->field[i].len) == 0) {
            return i;
        }
    }
    return NO_COLUMN;
}

/* Find the members' columns in the header that stands in source->csv. */
static enum vd_status bind_columns(struct gen_source *source, struct vd_err *err)
{
    for (size_t i = 0; i < GEN_MEMBERS; i++) {
        source->column[i] = find_column(&source->csv, source->mapping.column[i]);
        if (source->column[i] == NO_COLUMN && (source->mapping.is_chosen[i] || i == EL_VOTER_ID)) {
            return vd_fail(err, VD_INVALID,
                           "the header has no column \"%s\" for %s; name the right one as "
                           "columns = %s:COLUMN",
                           source->mapping.column[i], gen_member_name(i), gen_member_name(i));
        }
    }
    if (source->column[EL_VOTER_BIRTH] == NO_COLUMN &&
        source->column[GEN_MEMBER_AGE] == NO_COLUMN) {
        return vd_fail(err, VD_INVALID,
                       "the header has neither a column \"%s\" nor \"%s\"; name one of them as "
                       "columns = date_of_birth:COLUMN",
                       source->mapping.column[EL_VOTER_BIRTH],
                       source->mapping.column[GEN_MEMBER_AGE]);
    }
    source->column_count = source->csv.count;
    return VD_OK;
}

static enum vd_status read_header(struct gen_source *source, struct vd_err *err)
{
    struct gen_record record;

    gen_reader_seek(&source->reader, 0, 0);
    if (gen_reader_next(&source->reader, &record, err) != VD_OK) {
        return VD_FAILED;
    }
    if (record.is_end) {
        return vd_fail(err, VD_INVALID, "the file is empty: it must begin with a header");
    }
    if (record.fault != NULL) {
        return vd_fail(err, VD_INVALID, "the header: %s", record.fault);
    }
    if (gen_csv_split(&source->csv, &record.text, source->reader.separator, err) != VD_OK) {
        return vd_fail_in(err, "the header");
    }
    source->begin.byte = gen_reader_byte(&source->reader);
    source->begin.line = source->reader.line;
    return bind_columns(source, err);
}

static enum vd_status csv_open(struct gen_source *source, struct vd_err *err)
{
    const struct gen_conf *conf = source->host->conf;
    enum vd_status status = open_file(source, separator_of(conf->separator), err);

    if (status == VD_OK) {
        status = read_header(source, err);
        status = status == VD_OK ? VD_OK : vd_fail_in(err, "%s", conf->path);
    }
    return status == VD_FAILED ? VD_INVALID : status; /* a file that cannot be read stays so */
}

static enum vd_status jsonl_open(struct gen_source *source, struct vd_err *err)
{
    enum vd_status status = open_file(source, 0, err);

    for (size_t i = 0; status == VD_OK && i < GEN_MEMBERS; i++) {
        const char *column = source->mapping.column[i];
        bool is_address = i >= EL_VOTER_STREET && i <= EL_VOTER_POSTCODE;

        free(source->path[i]);
        source->path[i] = is_address && !source->mapping.is_chosen[i]
                              ? vd_format("address.%s", column + strlen("address_"))
                              : vd_strdup(column);
    }
    return status;
}

static void file_define(const struct gen_source *source, struct vd_buf *out)
{
    const struct gen_conf *conf = source->host->conf;

    vd_buf_printf(out, "file=%016llx bytes=%lld election_day=%s columns=%s",
                  (unsigned long long)source->reader.hash, (long long)source->reader.size,
                  conf->election_day, conf->columns);
    if (source->reader.separator != 0) {
        vd_buf_printf(out, " separator=%s", conf->separator);
    }
}

static int64_t file_target(const struct gen_source *source)
{
    (void)source;
    return -1; /* known at the file's end */
}

/* ---- records ------------------------------------------------------------------------------- */

static enum vd_status csv_values(struct gen_source *source, struct gen_record *record,
                                 struct el_text values[GEN_MEMBERS], struct vd_err *err)
{
    if (gen_csv_split(&source->csv, &record->text, source->reader.separator, err) != VD_OK) {
        gen_reader_cut(&source->reader, record);
        return VD_INVALID;
    }
    if (source->csv.count != source->column_count) {
        return vd_fail(err, VD_INVALID, "%zu fields where the header has %zu", source->csv.count,
                       source->column_count);
    }
    for (size_t i = 0; i < GEN_MEMBERS; i++) {
        values[i] = source->column[i] != NO_COLUMN ? source->csv.field[source->column[i]]
                                                   : (struct el_text){.data = ""};
    }
    return VD_OK;
}

static enum vd_status json_value(struct gen_source *source, const struct el_json_field *field,
                                 struct el_text *value, struct vd_err *err)
{
    switch (field->type) {
    case EL_JSON_ABSENT:
    case EL_JSON_NULL:
        *value = (struct el_text){.data = ""};
        return VD_OK;
    case EL_JSON_NUMBER: /* of a postcode, say: as it is written */
        *value = (struct el_text){.data = field->text, .len = field->len};
        return VD_OK;
    case EL_JSON_STRING:
        *value = (struct el_text){.data = field->text, .len = field->len};
        if (field->is_escaped) {
            size_t start = source->unescaped.len;

            if (!el_json_unescape(field, &source->unescaped)) {
                return vd_fail(err, VD_INVALID, "%s: half a surrogate pair", field->path);
            }
            value->data = source->unescaped.data + start;
            value->len = source->unescaped.len - start;
        }
        return VD_OK;
    default:
        return vd_fail(err, VD_INVALID, "%s: expected a string", field->path);
    }
}

static enum vd_status json_values(struct gen_source *source, struct gen_record *record,
                                  struct el_text values[GEN_MEMBERS], struct vd_err *err)
{
    struct el_json_field fields[JSON_FIELDS];

    for (size_t i = 0; i < GEN_MEMBERS; i++) {
        fields[i] = (struct el_json_field){.path = source->path[i]};
        fields[GEN_MEMBERS + i] = (struct el_json_field){.path = source->mapping.column[i]};
    }
    if (el_json_scan(record->text.data, record->text.len, fields, JSON_FIELDS, err) != VD_OK) {
        return VD_INVALID;
    }
    vd_buf_clear(&source->unescaped);
    vd_buf_reserve(&source->unescaped,
                   record->text.len + 1); /* so that it never moves under the values */
    for (size_t i = 0; i < GEN_MEMBERS; i++) {
        const struct el_json_field *field = &fields[i];

        if (field->type == EL_JSON_ABSENT) {
            field = &fields[GEN_MEMBERS + i];
        }
        if (json_value(source, field, &values[i], err) != VD_OK) {
            return VD_INVALID;
        }
    }
    return VD_OK;
}

static void add_record(struct gen_source *source, struct gen_record *record, int64_t number,
                       struct gen_page *page)
{
    struct el_text values[GEN_MEMBERS] = {{.data = NULL}};
    struct gen_completion completion;
    struct el_voter voter;
    struct vd_err err = {.status = VD_OK};
    struct gen_item item = {.record = gen_record_mark(source->reader.hash, number),
                            .number = record->line};

    if (record->fault != NULL) {
        gen_page_reject(page, record->line, &record->text, record->fault);
        return;
    }
    if ((source->reader.separator != 0 ? csv_values : json_values)(source, record, values, &err) !=
            VD_OK ||
        gen_voter_complete(values, &source->election_day, &completion, &voter, &err) != VD_OK) {
        gen_page_reject(page, record->line, &record->text, err.msg);
        return;
    }
    gen_page_import(page, &voter, &item, &record->text);
}

static enum vd_status file_read(struct gen_source *source, const struct gen_place *from,
                                int64_t max, struct gen_page *page, struct vd_err *err)
{
    const struct gen_place *begin = from->byte > 0 ? from : &source->begin;
    int64_t limit = source->host->conf->import.max > 0 ? source->host->conf->import.max : INT64_MAX;
    int64_t next = from->next;

    if (gen_reader_byte(&source->reader) != begin->byte || source->reader.line != begin->line) {
        gen_reader_seek(&source->reader, begin->byte, begin->line);
    }
    while (next < from->next + max && next < limit) {
        struct gen_record record;

        if (gen_reader_next(&source->reader, &record, err) != VD_OK) {
            gen_page_clear(page);
            (void)vd_fail_in(err, "%s", source->host->conf->path);
            return VD_INVALID; /* a local file does not mend itself */
        }
        if (record.is_end) {
            page->is_last = true;
            break;
        }
        add_record(source, &record, next++, page);
    }
    page->is_last = page->is_last || next >= limit;
    page->after = (struct gen_place){
        .next = next, .line = source->reader.line, .byte = gen_reader_byte(&source->reader)};
    return VD_OK;
}

const struct gen_source_ops gen_csv_source = {
    .name = "csv",
    .is_import = true,
    .check = file_check,
    .create = file_create,
    .release = file_release,
    .open = csv_open,
    .define = file_define,
    .target = file_target,
    .read = file_read,
};

const struct gen_source_ops gen_jsonl_source = {
    .name = "jsonl",
    .is_import = true,
    .check = file_check,
    .create = file_create,
    .release = file_release,
    .open = jsonl_open,
    .define = file_define,
    .target = file_target,
    .read = file_read,
};
