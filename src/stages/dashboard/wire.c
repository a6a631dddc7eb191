/* Pictures to JSON. */
#include "wire.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "baseline.h"

#define STATUS "partial" /* "complete" needs someone to say so: never counted = expected */

static const char *const source_names[] = {
    [WIRE_WAITING] = "waiting",
    [WIRE_ALIVE] = "alive",
    [WIRE_QUIET] = "quiet",
    [WIRE_SILENT] = "silent",
};

static const char *const database_names[] = {
    [PICTURE_DATABASE_ABSENT] = "absent",
    [PICTURE_DATABASE_CURRENT] = "current",
    [PICTURE_DATABASE_OLD] = "old",
};

static void add_text(struct vd_buf *out, const char *text)
{
    vd_buf_add_json(out, text, strlen(text));
}

static void add_member(struct vd_buf *out, const char *name, const char *text)
{
    vd_buf_printf(out, ",\"%s\":", name);
    add_text(out, text);
}

static void add_value(struct vd_buf *out, int64_t value)
{
    if (value == PICTURE_NULL) {
        vd_buf_add_text(out, "null");
    } else {
        vd_buf_add_int(out, value);
    }
}

/* [row, "text", ...]; a text that is not known is null. */
static void add_row_texts(struct vd_buf *out, const struct picture *picture, size_t table,
                          uint32_t row)
{
    size_t count = picture->tables[table].text_count;
    char *const *texts = picture->tables[table].rows[row].texts;

    vd_buf_add_char(out, '[');
    vd_buf_add_int(out, row);
    for (size_t i = 0; i < count; i++) {
        vd_buf_add_char(out, ',');
        if (texts[i] == NULL) {
            vd_buf_add_text(out, "null");
        } else {
            add_text(out, texts[i]);
        }
    }
    vd_buf_add_char(out, ']');
}

/* [row, n, ...] */
static void add_row_values(struct vd_buf *out, const struct picture_frame *frame, size_t table,
                           uint32_t row)
{
    vd_buf_add_char(out, '[');
    vd_buf_add_int(out, row);
    for (size_t i = 0; i < frame->columns[table]; i++) {
        vd_buf_add_char(out, ',');
        add_value(out, picture_value(frame, table, row, i));
    }
    vd_buf_add_char(out, ']');
}

/* Which rows to write: those whose last change came after 'since' and not after 'until'. */
struct row_range {
    uint64_t since, until;
};

static bool is_in_range(const struct picture_row *row, bool is_texts, const struct row_range *range)
{
    uint64_t seq = is_texts ? row->texts_seq : row->changed_seq;

    return seq > range->since && seq <= range->until;
}

/* {"TABLE":[[row, ...], ...], ...}: values, or texts, of the rows of 'frame' in 'range' (NULL:
 * all). Tables without any are left out. */
static void add_tables(struct vd_buf *out, const struct picture *picture,
                       const struct picture_frame *frame, bool is_texts,
                       const struct row_range *range)
{
    bool is_first_table = true;

    vd_buf_add_char(out, '{');
    for (size_t table = 0; table < picture->table_count; table++) {
        bool is_first_row = true;

        for (uint32_t row = 0; row < frame->counts[table]; row++) {
            if (range != NULL && !is_in_range(&picture->tables[table].rows[row], is_texts, range)) {
                continue;
            }
            if (is_first_row) {
                vd_buf_printf(out, "%s\"%s\":[", is_first_table ? "" : ",",
                              picture->tables[table].name);
            } else {
                vd_buf_add_char(out, ',');
            }
            is_first_row = is_first_table = false;
            if (is_texts) {
                add_row_texts(out, picture, table, row);
            } else {
                add_row_values(out, frame, table, row);
            }
        }
        if (!is_first_row) {
            vd_buf_add_char(out, ']');
        }
    }
    vd_buf_add_char(out, '}');
}

void wire_lead(struct vd_buf *out, const struct lead *lead)
{
    if (!lead->is_on) {
        vd_buf_add_text(out, "null");
        return;
    }
    vd_buf_printf(out,
                  "{\"at_ms\":%" PRId64 ",\"since_ms\":%" PRId64 ",\"speed\":%" PRId64
                  ",\"is_running\":%s,\"began_ms\":%" PRId64 ",\"by\":",
                  lead->at_ms, lead->since_ms, lead->speed, lead->is_running ? "true" : "false",
                  lead->began_ms);
    add_text(out, lead->by);
    vd_buf_add_char(out, '}');
}

/* Times and states of a picture: members of a frame that is open. */
static void add_about(struct vd_buf *out, const struct picture_about *about,
                      enum wire_source source)
{
    vd_buf_printf(out,
                  ",\"as_of_ms\":%" PRId64 ",\"received_ms\":%" PRId64 ",\"changed_ms\":%" PRId64
                  ",\"status\":\"" STATUS "\",\"source\":\"%s\""
                  ",\"database\":{\"state\":\"%s\",\"as_of_ms\":%" PRId64 "}",
                  about->as_of_ms, about->received_ms, about->changed_ms, source_names[source],
                  database_names[about->database], about->database_ms);
    if (about->changed_ms == 0) {
        vd_buf_printf(out, ",\"started_ms\":%" PRId64, about->started_ms);
    }
    if (about->lead.is_on) {
        vd_buf_add_text(out, ",\"lead\":");
        wire_lead(out, &about->lead);
    }
}

static void begin_frame(struct vd_buf *out, const char *type, const struct picture *picture,
                        uint64_t seq, int64_t now_ms)
{
    vd_buf_printf(out, "{\"type\":\"%s\",\"epoch\":\"%s\",\"seq\":%" PRIu64 ",\"now_ms\":%" PRId64,
                  type, picture->epoch, seq, now_ms);
}

/* ["name", ...] */
static void add_names(struct vd_buf *out, const char *const *names, size_t count)
{
    vd_buf_add_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            vd_buf_add_char(out, ',');
        }
        add_text(out, names[i]);
    }
    vd_buf_add_char(out, ']');
}

static void add_shape(struct vd_buf *out, const struct picture_table *table)
{
    vd_buf_printf(out, "\"%s\":{\"title\":", table->name);
    add_text(out, table->title);
    vd_buf_add_text(out, ",\"texts\":");
    add_names(out, (const char *const *)table->texts, table->text_count);
    vd_buf_add_text(out, ",\"columns\":");
    add_names(out, table->columns, table->column_count);
    vd_buf_add_char(out, '}');
}

/* ,"tables":{"NAME":{...}, ...} of those whose texts were met in 'range' (NULL: at any time);
 * nothing if there are none. */
static void add_shapes(struct vd_buf *out, const struct picture *picture,
                       const struct row_range *range)
{
    bool is_first = true;

    for (size_t i = 0; i < picture->table_count; i++) {
        const struct picture_table *table = &picture->tables[i];

        if (table->shape_seq > (range == NULL ? 0 : range->since) &&
            table->shape_seq <= (range == NULL ? picture->seq : range->until)) {
            vd_buf_add_text(out, is_first ? ",\"tables\":{" : ",");
            add_shape(out, table);
            is_first = false;
        }
    }
    if (!is_first) {
        vd_buf_add_char(out, '}');
    }
}

void wire_preload(struct vd_buf *out, const struct picture *picture,
                  const struct picture_frame *frame, const struct wire_election *election)
{
    vd_buf_add_text(out, "{\"elections\":[{\"id\":");
    add_text(out, election->id);
    add_member(out, "name", election->title);
    add_member(out, "kind", election->kind);
    vd_buf_add_text(out, "}],\"contests\":[{\"id\":");
    add_text(out, election->id);
    add_member(out, "election", election->id);
    add_member(out, "name", election->title);
    add_member(out, "table", picture->tables[PICTURE_CANDIDATE].name);
    add_member(out, "units", picture->tables[PICTURE_STATE].name);
    vd_buf_add_text(out, ",\"photos\":");
    add_names(out, election->photos, election->photo_count);
    if (election->baseline != NULL) {
        vd_buf_add_text(out, ",\"baseline\":");
        baseline_write(out, election->baseline, election->baseline_label);
    }
    vd_buf_add_text(out, "}],\"tables\":{");
    for (size_t table = 0; table < picture->table_count; table++) {
        if (table > 0) {
            vd_buf_add_char(out, ',');
        }
        add_shape(out, &picture->tables[table]);
    }
    vd_buf_add_text(out, "},\"rows\":");
    add_tables(out, picture, frame, true, NULL);
    vd_buf_add_char(out, '}');
}

void wire_hello(struct vd_buf *out, const struct picture *picture,
                const struct picture_frame *frame, const struct wire_election *election,
                int64_t now_ms)
{
    begin_frame(out, "hello", picture, frame->seq, now_ms);
    vd_buf_add_text(out, ",\"protocol\":\"" WIRE_PROTOCOL "\",\"snapshot\":\"/api/v1/snapshot\""
                         ",\"preload\":");
    wire_preload(out, picture, frame, election);
    vd_buf_add_char(out, '}');
}

static void add_body(struct vd_buf *out, const struct picture *picture,
                     const struct picture_frame *frame, const struct row_range *range)
{
    add_shapes(out, picture, range);
    vd_buf_add_text(out, ",\"add\":");
    add_tables(out, picture, frame, true, range);
    vd_buf_add_text(out, ",\"rows\":");
    add_tables(out, picture, frame, false, range);
    vd_buf_add_char(out, '}');
}

void wire_snapshot(struct vd_buf *out, const struct picture *picture,
                   const struct picture_frame *frame, enum wire_source source, int64_t now_ms)
{
    begin_frame(out, "snapshot", picture, frame->seq, now_ms);
    add_about(out, &frame->about, source);
    add_body(out, picture, frame, NULL);
}

void wire_delta(struct vd_buf *out, const struct picture *picture, enum wire_source source,
                int64_t now_ms)
{
    const struct picture_frame *frame = picture_frame_last(picture);
    struct row_range range = {.since = frame->seq - 1, .until = frame->seq};

    begin_frame(out, "delta", picture, frame->seq, now_ms);
    vd_buf_printf(out, ",\"base\":%" PRIu64, frame->seq - 1);
    add_about(out, &frame->about, source);
    add_body(out, picture, frame, &range);
}

void wire_beat(struct vd_buf *out, const struct picture *picture, enum wire_source source,
               int64_t now_ms)
{
    begin_frame(out, "beat", picture, picture->seq, now_ms);
    vd_buf_printf(out, ",\"source\":\"%s\"}", source_names[source]);
}

void wire_version(struct vd_buf *out, const struct picture *picture)
{
    vd_buf_printf(out,
                  "{\"epoch\":\"%s\",\"seq\":%" PRIu64 ",\"as_of_ms\":%" PRId64
                  ",\"status\":\"" STATUS "\"}",
                  picture->epoch, picture->seq, picture_frame_last(picture)->about.as_of_ms);
}

void wire_past(struct vd_buf *out, const struct picture *picture, const struct picture_frame *frame,
               const struct wire_past *about)
{
    vd_buf_printf(out,
                  "{\"type\":\"past\",\"epoch\":\"%s\",\"as_of_ms\":%" PRId64
                  ",\"step_ms\":%" PRId64 ",\"status\":\"" STATUS "\",\"without\":",
                  picture->epoch, about->as_of_ms, about->step_ms);
    add_names(out, about->without, about->without_count);
    vd_buf_add_text(out, ",\"rows\":");
    add_tables(out, picture, frame, false, NULL);
    vd_buf_add_char(out, '}');
}

/* About how many bytes a row takes in an answer, from above. */
static size_t row_bytes(const struct picture_row *row)
{
    size_t bytes = 24 + PICTURE_COLUMNS_MAX * 21;

    for (size_t i = 0; i < PICTURE_TEXTS_MAX; i++) {
        bytes += row->texts[i] == NULL ? 5 : 3 + 6 * strlen(row->texts[i]);
    }
    return bytes;
}

struct change {
    uint64_t seq;
    size_t bytes;
};

static int by_seq(const void *a, const void *b)
{
    const struct change *left = a;
    const struct change *right = b;

    return left->seq < right->seq ? -1 : left->seq > right->seq;
}

/* The newest picture up to which the changes after 'since' fit into 'bytes_max'; at least one
 * picture's changes are always taken. */
static uint64_t find_until(const struct picture *picture, uint64_t since, size_t bytes_max)
{
    VD_AUTO(mem) struct change *changes = NULL;
    uint64_t until = since;
    size_t total = 0;
    size_t count = 0;

    for (size_t table = 0; table < picture->table_count; table++) {
        total += picture->tables[table].settled;
    }
    changes = vd_alloc_array(total + 1, sizeof(changes[0]));
    for (size_t table = 0; table < picture->table_count; table++) {
        for (uint32_t i = 0; i < picture->tables[table].settled; i++) {
            const struct picture_row *row = &picture->tables[table].rows[i];
            uint64_t seq = row->changed_seq > row->texts_seq ? row->changed_seq : row->texts_seq;

            if (seq > since) {
                changes[count++] = (struct change){.seq = seq, .bytes = row_bytes(row)};
            }
        }
    }
    qsort(changes, count, sizeof(changes[0]), by_seq);
    total = 0;
    for (size_t i = 0; i < count; i++) {
        total += changes[i].bytes;
        if (total > bytes_max && until > since && changes[i].seq > until) {
            return until;
        }
        until = changes[i].seq;
    }
    return picture->seq;
}

void wire_changes(struct vd_buf *out, const struct picture *picture, const struct wire_asked *asked,
                  enum wire_source source, int64_t now_ms)
{
    const struct picture_frame *frame = picture_frame_last(picture);
    struct row_range range = {.since = asked->since,
                              .until = find_until(picture, asked->since, asked->bytes_max)};

    begin_frame(out, "changes", picture, frame->seq, now_ms);
    vd_buf_printf(out, ",\"since\":%" PRIu64 ",\"next\":\"%s-%" PRIu64 "\",\"is_truncated\":%s",
                  range.since, picture->epoch, range.until,
                  range.until < frame->seq ? "true" : "false");
    add_about(out, &frame->about, source);
    add_body(out, picture, frame, &range);
}
