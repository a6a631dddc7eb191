/* Scenario files: the smallest CSV that can hold votes per state. */
#include "scenario.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "buf.h"
#include "map.h"

VD_AUTO_KIND(scenario, struct el_scenario *, el_scenario_free)
VD_AUTO_KIND(file, FILE *, fclose)

/* One line, cut at its commas. */
struct line {
    size_t number; /* from 1 */
    const char *at, *end;
};

void el_scenario_free(struct el_scenario *scenario)
{
    if (scenario == NULL) {
        return;
    }
    for (size_t i = 0; i < scenario->column_count; i++) {
        free(scenario->columns[i]);
    }
    for (size_t i = 0; i < scenario->row_count; i++) {
        free(scenario->rows[i].state);
        free(scenario->rows[i].votes);
    }
    free(scenario->columns);
    free(scenario->rows);
    free(scenario);
}

/* The next line of the text that is not empty; false at the end. */
static bool next_line(const char **at, const char *end, struct line *line)
{
    while (*at < end) {
        const char *stop = memchr(*at, '\n', (size_t)(end - *at));

        line->number++;
        line->at = *at;
        line->end = stop != NULL ? stop : end;
        *at = stop != NULL ? stop + 1 : end;
        if (line->end > line->at && line->end[-1] == '\r') {
            line->end--;
        }
        if (line->end > line->at) {
            return true;
        }
    }
    return false;
}

/* The next cell, or false behind the last one. */
static bool next_cell(struct line *line, const char **cell, size_t *len)
{
    const char *comma = NULL;

    if (line->at == NULL) {
        return false;
    }
    comma = memchr(line->at, ',', (size_t)(line->end - line->at));
    *cell = line->at;
    *len = (size_t)((comma != NULL ? comma : line->end) - line->at);
    line->at = comma != NULL ? comma + 1 : NULL;
    return true;
}

static bool is_name(const char *cell, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)cell[i] < ' ') {
            return false;
        }
    }
    return len > 0 && vd_utf8_is_valid(cell, len);
}

/* As much of a cell as a message shows: up to 40 bytes of clean text, in whole characters. */
static int shown(const char *cell, size_t len)
{
    len = len > 40 ? 40 : len;
    while (len > 0 && !is_name(cell, len)) {
        len--;
    }
    return (int)len;
}

/* One more column of votes. */
static enum vd_status take_column(struct el_scenario *scenario, size_t line, const char *cell,
                                  size_t len, struct vd_err *err)
{
    if (!is_name(cell, len) || scenario->column_count == EL_SCENARIO_COLUMNS_MAX) {
        return vd_fail(err, VD_INVALID, "line %zu: expected 1 to %d columns with names in UTF-8",
                       line, EL_SCENARIO_COLUMNS_MAX);
    }
    for (size_t i = 0; i < scenario->column_count; i++) {
        if (strncasecmp(scenario->columns[i], cell, len) == 0 &&
            scenario->columns[i][len] == '\0') {
            return vd_fail(err, VD_INVALID, "line %zu: column \"%.*s\" stands there twice", line,
                           shown(cell, len), cell);
        }
    }
    scenario->columns[scenario->column_count++] = vd_strndup(cell, len);
    return VD_OK;
}

static enum vd_status take_header(struct el_scenario *scenario, struct line *line,
                                  struct vd_err *err)
{
    const char *cell = line->at;
    size_t len = 0;

    scenario->columns = vd_alloc_array(EL_SCENARIO_COLUMNS_MAX, sizeof(*scenario->columns));
    if (!next_cell(line, &cell, &len) || len != 5 || memcmp(cell, "state", 5) != 0) {
        return vd_fail(err, VD_INVALID,
                       "line %zu: expected the first column \"state\", got \"%.*s\"", line->number,
                       shown(cell, len), cell);
    }
    while (next_cell(line, &cell, &len)) {
        if (take_column(scenario, line->number, cell, len, err) != VD_OK) {
            return VD_INVALID;
        }
    }
    if (scenario->column_count == 0) {
        return vd_fail(err, VD_INVALID, "line %zu: expected a column of votes", line->number);
    }
    return VD_OK;
}

static enum vd_status parse_votes(const char *cell, size_t len, int64_t *votes)
{
    int64_t sum = 0;

    if (len == 0 || len > 13) {
        return VD_INVALID;
    }
    for (size_t i = 0; i < len; i++) {
        if (cell[i] < '0' || cell[i] > '9') {
            return VD_INVALID;
        }
        sum = sum * 10 + (cell[i] - '0');
    }
    *votes = sum;
    return sum <= EL_SCENARIO_VOTES_MAX ? VD_OK : VD_INVALID;
}

static enum vd_status take_row(struct el_scenario *scenario, struct line *line, struct vd_err *err)
{
    struct el_scenario_row *row = NULL;
    const char *cell = NULL;
    size_t len = 0;
    size_t count = 0;
    int64_t sum = 0;

    scenario->rows =
        vd_realloc(scenario->rows, (scenario->row_count + 1) * sizeof(*scenario->rows));
    row = &scenario->rows[scenario->row_count++];
    *row = (struct el_scenario_row){
        .votes = vd_alloc_array(scenario->column_count, sizeof(*row->votes)),
    };
    if (!next_cell(line, &cell, &len) || !is_name(cell, len)) {
        return vd_fail(err, VD_INVALID, "line %zu: expected a state's name in UTF-8", line->number);
    }
    row->state = vd_strndup(cell, len);
    while (next_cell(line, &cell, &len)) {
        if (count < scenario->column_count && parse_votes(cell, len, &row->votes[count]) != VD_OK) {
            return vd_fail(err, VD_INVALID, "line %zu: \"%s\": must be 0 to %lld, got \"%.*s\"",
                           line->number, scenario->columns[count], (long long)EL_SCENARIO_VOTES_MAX,
                           shown(cell, len), cell);
        }
        sum += count < scenario->column_count ? row->votes[count] : 0;
        count++;
    }
    if (count != scenario->column_count) {
        return vd_fail(err, VD_INVALID, "line %zu: expected %zu columns of votes, got %zu",
                       line->number, scenario->column_count, count);
    }
    return sum > 0 ? VD_OK
                   : vd_fail(err, VD_INVALID, "line %zu: state \"%s\" has no votes", line->number,
                             row->state);
}

enum vd_status el_scenario_parse(const char *text, size_t len, struct el_scenario **scenario,
                                 struct vd_err *err)
{
    VD_AUTO(scenario) struct el_scenario *parsed = vd_alloc(sizeof(*parsed));
    struct vd_map seen = {0};
    struct line line = {0};
    const char *at = text;
    enum vd_status status = VD_OK;

    if (len > EL_SCENARIO_BYTES_MAX) {
        return vd_fail(err, VD_INVALID, "longer than %d bytes", EL_SCENARIO_BYTES_MAX);
    }
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        at += 3; /* a byte order mark, as spreadsheets write it */
    }
    if (!next_line(&at, text + len, &line)) {
        return vd_fail(err, VD_INVALID, "empty");
    }
    status = take_header(parsed, &line, err);
    while (status == VD_OK && next_line(&at, text + len, &line)) {
        const char *state = NULL;

        status = take_row(parsed, &line, err);
        state = parsed->rows[parsed->row_count - 1].state;
        if (status == VD_OK && vd_map_put(&seen, state, strlen(state), parsed) != NULL) {
            status = vd_fail(err, VD_INVALID, "line %zu: state \"%s\" stands there twice",
                             line.number, state);
        }
    }
    vd_map_fini(&seen, NULL);
    if (status == VD_OK && parsed->row_count == 0) {
        status = vd_fail(err, VD_INVALID, "no state in it");
    }
    if (status == VD_OK) {
        *scenario = vd_take(parsed);
    }
    return status;
}

enum vd_status el_scenario_read(const char *path, struct el_scenario **scenario, struct vd_err *err)
{
    VD_AUTO(file) FILE *file = fopen(path, "re");
    VD_AUTO(mem) char *text = NULL;
    size_t len = 0;

    if (file == NULL) {
        return vd_fail(err, VD_INVALID, "scenario \"%s\": %s", path, strerror(errno));
    }
    text = vd_alloc(EL_SCENARIO_BYTES_MAX + 1);
    len = fread(text, 1, EL_SCENARIO_BYTES_MAX + 1, file);
    if (ferror(file)) {
        return vd_fail(err, VD_INVALID, "scenario \"%s\": could not read it", path);
    }
    if (el_scenario_parse(text, len, scenario, err) != VD_OK) {
        (void)vd_fail_in(err, "scenario \"%s\"", path); /* told through 'err' */
        return VD_INVALID;
    }
    return VD_OK;
}
