/* Option tables: parsing, ranges, formatting, and the search for what a mistyped name meant. */
#include "opt.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"

#define SHOWN_BYTES 64   /* of a wrong value in a message */
#define NUMBER_BYTES 64  /* longer ones are no number that anybody means */
#define NEAREST_BYTES 64 /* of names that are compared */
#define OPTS_MAX 1024    /* in one table: a list without an end is found */

/* A wrong value as it may be shown: cut, without control characters, never a secret. */
struct shown {
    char text[SHOWN_BYTES + sizeof(", got \"...\"")];
};

static struct shown show_value(const struct vd_opt *opt, const char *value)
{
    struct shown shown = {0};
    size_t len = strnlen(value, SHOWN_BYTES + 1);
    bool is_cut = len > SHOWN_BYTES;
    char *at = shown.text;

    if (opt->is_secret) {
        return shown;
    }
    at = stpcpy(at, ", got \"");
    for (size_t i = 0; i < len && i < SHOWN_BYTES; i++) {
        unsigned char c = (unsigned char)value[i];

        *at++ = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    at = stpcpy(at, is_cut ? "...\"" : "\"");
    return shown;
}

static bool has_range(const struct vd_opt *opt)
{
    return opt->min != 0 || opt->max != 0;
}

static bool has_upper_limit(const struct vd_opt *opt)
{
    return opt->max != 0;
}

static bool is_in_range(const struct vd_opt *opt, double number)
{
    return !has_range(opt) || (number >= opt->min && (!has_upper_limit(opt) || number <= opt->max));
}

const struct vd_opt *vd_opt_find(const struct vd_opt *opts, const char *name)
{
    for (const struct vd_opt *opt = opts; opt != NULL && opt->name != NULL; opt++) {
        if (strcmp(opt->name, name) == 0) {
            return opt;
        }
    }
    return NULL;
}

/* A number as a person writes it: whole ones without a fraction, others as short as is exact. */
static void add_number(struct vd_buf *out, double number)
{
    char text[NUMBER_BYTES];

    if (number == floor(number) && fabs(number) < 1e16) {
        vd_buf_printf(out, "%.0f", number);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, number); /* fits: at most 24 bytes */
        if (strtod(text, NULL) == number) {
            break;
        }
    }
    vd_buf_add_text(out, text);
}

static void add_choices(struct vd_buf *out, const char *choices)
{
    for (const char *at = choices; *at != '\0';) {
        size_t len = strcspn(at, "|");

        if (at != choices) {
            vd_buf_add_text(out, at[len] == '\0' ? " or " : ", ");
        }
        vd_buf_add(out, at, len);
        at += len + (at[len] == '|');
    }
}

static void add_number_range(const struct vd_opt *opt, struct vd_buf *out)
{
    if (!has_range(opt)) {
        vd_buf_add_text(out, opt->type == VD_OPT_INT ? "any whole number" : "any number");
    } else if (!has_upper_limit(opt)) {
        vd_buf_add_text(out, "at least ");
        add_number(out, opt->min);
    } else {
        add_number(out, opt->min);
        vd_buf_add_text(out, " to ");
        add_number(out, opt->max);
    }
}

static void add_length_range(const struct vd_opt *opt, struct vd_buf *out)
{
    if (!has_range(opt)) {
        vd_buf_add_text(out, "any text");
    } else if (!has_upper_limit(opt) && opt->min == 1) {
        vd_buf_add_text(out, "not empty");
    } else if (!has_upper_limit(opt)) {
        vd_buf_printf(out, "at least %.0f byte%s long", opt->min, opt->min == 1 ? "" : "s");
    } else if (opt->min == opt->max) {
        vd_buf_printf(out, "%.0f byte%s long", opt->max, opt->max == 1 ? "" : "s");
    } else if (opt->min == 0) {
        vd_buf_printf(out, "at most %.0f byte%s long", opt->max, opt->max == 1 ? "" : "s");
    } else {
        vd_buf_printf(out, "%.0f to %.0f bytes long", opt->min, opt->max);
    }
}

void vd_opt_range(const struct vd_opt *opt, struct vd_buf *out)
{
    switch (opt->type) {
    case VD_OPT_INT:
    case VD_OPT_DOUBLE:
        add_number_range(opt, out);
        break;
    case VD_OPT_BOOL:
        vd_buf_add_text(out, "yes or no");
        break;
    case VD_OPT_TEXT:
        if (opt->choices != NULL) {
            add_choices(out, opt->choices);
        } else {
            add_length_range(opt, out);
        }
        break;
    }
}

/* VD_INVALID: the value is of the wrong form ('what' says of which it must be) or out of range. */
static enum vd_status fail_value(const struct vd_opt *opt, const char *what, const char *value,
                                 struct vd_err *err)
{
    VD_AUTO(buf) struct vd_buf range = {0};

    vd_opt_range(opt, &range);
    if (*what != '\0' && !has_range(opt)) {
        vd_buf_clear(&range);
    }
    return vd_fail(err, VD_INVALID, "option \"%s\": must be %s%s%s%s", opt->name, what,
                   *what != '\0' && range.len > 0 ? ", " : "", vd_buf_text(&range),
                   show_value(opt, value).text);
}

/* Out of range, a number: shown as it was written, without quotes. */
static enum vd_status fail_number(const struct vd_opt *opt, const char *value, struct vd_err *err)
{
    VD_AUTO(buf) struct vd_buf range = {0};

    vd_opt_range(opt, &range);
    if (opt->is_secret) {
        return vd_fail(err, VD_INVALID, "option \"%s\": must be %s", opt->name,
                       vd_buf_text(&range));
    }
    return vd_fail(err, VD_INVALID, "option \"%s\": must be %s, got %s", opt->name,
                   vd_buf_text(&range), value);
}

static enum vd_status parse_int(const struct vd_opt *opt, const char *value, int64_t *number,
                                struct vd_err *err)
{
    size_t digits = strspn(value + (*value == '-'), "0123456789");
    char *end = NULL;
    long long parsed = 0;

    if (digits == 0 || value[digits + (*value == '-')] != '\0' || digits > NUMBER_BYTES) {
        return fail_value(opt, "a whole number", value, err);
    }
    errno = 0;
    parsed = strtoll(value, &end, 10);
    if (errno == ERANGE) {
        if (has_range(opt) && has_upper_limit(opt)) {
            return fail_number(opt, value, err);
        }
        return vd_fail(err, VD_INVALID, "option \"%s\": must be %" PRId64 " to %" PRId64 "%s%s",
                       opt->name, has_range(opt) ? (int64_t)opt->min : INT64_MIN, INT64_MAX,
                       opt->is_secret ? "" : ", got ", opt->is_secret ? "" : value);
    }
    if (!is_in_range(opt, (double)parsed)) {
        return fail_number(opt, value, err);
    }
    *number = parsed;
    return VD_OK;
}

/* Digits, at most one point, perhaps an exponent: strtod alone also takes hex, "inf" and "nan". */
static bool is_decimal(const char *text)
{
    const char *at = text + (*text == '-');
    size_t whole = strspn(at, "0123456789");
    size_t fraction = 0;

    at += whole;
    if (*at == '.') {
        fraction = strspn(at + 1, "0123456789");
        at += 1 + fraction;
    }
    if (whole + fraction == 0) {
        return false;
    }
    if (*at == 'e' || *at == 'E') {
        at += 1 + (at[1] == '-' || at[1] == '+');
        if (strspn(at, "0123456789") == 0) {
            return false;
        }
        at += strspn(at, "0123456789");
    }
    return *at == '\0' && at - text <= NUMBER_BYTES;
}

static enum vd_status parse_double(const struct vd_opt *opt, const char *value, double *number,
                                   struct vd_err *err)
{
    double parsed = 0;

    if (!is_decimal(value)) {
        return fail_value(opt, "a number", value, err);
    }
    parsed = strtod(value, NULL);
    if (!isfinite(parsed)) {
        return fail_value(opt, "a number that a computer can hold", value, err);
    }
    if (!is_in_range(opt, parsed)) {
        return fail_number(opt, value, err);
    }
    *number = parsed;
    return VD_OK;
}

static enum vd_status parse_bool(const struct vd_opt *opt, const char *value, bool *truth,
                                 struct vd_err *err)
{
    static const char *const words[2][4] = {
        {"no", "false", "off", "0"},
        {"yes", "true", "on", "1"},
    };

    for (int which = 0; which < 2; which++) {
        for (int i = 0; i < 4; i++) {
            if (strcasecmp(value, words[which][i]) == 0) {
                *truth = which == 1;
                return VD_OK;
            }
        }
    }
    return fail_value(opt, "", value, err);
}

/* The choice that a wrong one may have meant, as a remedy to append; "" if none is near. */
static char *nearest_choice(const char *choices, const char *value)
{
    VD_AUTO(mem) char *copy = vd_strdup(choices);
    const char *names[NEAREST_BYTES] = {0};
    const char *nearest = NULL;
    size_t count = 0;
    char *rest = copy;

    while (rest != NULL && count < sizeof(names) / sizeof(*names)) {
        names[count++] = strsep(&rest, "|");
    }
    nearest = vd_nearest(value, names, count);
    return nearest == NULL ? vd_strdup("") : vd_format("; did you mean \"%s\"?", nearest);
}

static bool is_choice(const char *choices, const char *value)
{
    size_t value_len = strlen(value);

    for (const char *at = choices; *at != '\0';) {
        size_t len = strcspn(at, "|");

        if (len == value_len && memcmp(at, value, len) == 0) {
            return true;
        }
        at += len + (at[len] == '|');
    }
    return false;
}

static enum vd_status check_text(const struct vd_opt *opt, const char *value, struct vd_err *err)
{
    size_t len = strlen(value);

    if (*value == '\0' && opt->def != NULL && *opt->def == '\0') {
        return VD_OK; /* not set, as by default */
    }
    if (opt->choices != NULL && !is_choice(opt->choices, value)) {
        VD_AUTO(buf) struct vd_buf range = {0};
        VD_AUTO(mem) char *remedy = nearest_choice(opt->choices, value);

        vd_opt_range(opt, &range);
        return vd_fail(err, VD_INVALID, "option \"%s\": must be %s%s%s", opt->name,
                       vd_buf_text(&range), show_value(opt, value).text, remedy);
    }
    if (opt->choices == NULL && !is_in_range(opt, (double)len)) {
        VD_AUTO(buf) struct vd_buf range = {0};

        if (len == 0) {
            return vd_fail(err, VD_INVALID, "option \"%s\": must not be empty", opt->name);
        }
        vd_opt_range(opt, &range);
        return vd_fail(err, VD_INVALID, "option \"%s\": must be %s, got %zu bytes", opt->name,
                       vd_buf_text(&range), len);
    }
    return VD_OK;
}

static enum vd_status set_field(const struct vd_opt *opt, void *field, const char *value,
                                struct vd_err *err)
{
    char **text = field;

    switch (opt->type) {
    case VD_OPT_INT:
        return parse_int(opt, value, field, err);
    case VD_OPT_DOUBLE:
        return parse_double(opt, value, field, err);
    case VD_OPT_BOOL:
        return parse_bool(opt, value, field, err);
    case VD_OPT_TEXT:
        break;
    }
    if (check_text(opt, value, err) != VD_OK) {
        return VD_INVALID;
    }
    free(*text);
    *text = vd_strdup(value);
    return VD_OK;
}

/* The name that an unknown one may have meant. Borrowed from the table, or NULL. */
static const char *nearest_name(const struct vd_opt *opts, const char *name)
{
    const char *names[OPTS_MAX];
    size_t count = 0;

    for (const struct vd_opt *opt = opts; opt != NULL && opt->name != NULL && count < OPTS_MAX;
         opt++) {
        names[count++] = opt->name;
    }
    return vd_nearest(name, names, count);
}

enum vd_status vd_opt_set(const struct vd_opt *opts, void *target, const char *name,
                          const char *value, struct vd_err *err)
{
    const struct vd_opt *opt = vd_opt_find(opts, name);
    const char *nearest = NULL;

    if (opt != NULL) {
        return set_field(opt, (char *)target + opt->offset, value, err);
    }
    nearest = nearest_name(opts, name);
    if (nearest != NULL) {
        return vd_fail(err, VD_INVALID, "unknown option \"%s\"; did you mean \"%s\"?", name,
                       nearest);
    }
    return vd_fail(err, VD_INVALID, "unknown option \"%s\"", name);
}

void vd_opt_defaults(const struct vd_opt *opts, void *target)
{
    for (const struct vd_opt *opt = opts; opt != NULL && opt->name != NULL; opt++) {
        if (opt->def != NULL) {
            struct vd_err err = {0};
            enum vd_status status = set_field(opt, (char *)target + opt->offset, opt->def, &err);

            assert(status == VD_OK);
            (void)status; /* for builds where assert is empty */
        }
    }
}

static bool is_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");

    return len > 0 && name[len] == '\0';
}

/* One entry of the table; 'opts' is where it begins,
 * for the search for a second one of its name. */
static enum vd_status check_entry(const struct vd_opt *opts, const struct vd_opt *opt,
                                  size_t target_bytes, struct vd_err *err)
{
    static const size_t bytes[] = {sizeof(int64_t), sizeof(double), sizeof(bool), sizeof(char *)};
    union {
        int64_t number;
        double real;
        bool truth;
        char *text;
    } scratch = {0};

    if (!is_name(opt->name)) {
        return vd_fail(err, VD_INVALID,
                       "option \"%s\": a name has letters, digits, '_', '-' and '.' only",
                       opt->name);
    }
    if (vd_opt_find(opts, opt->name) != opt) {
        return vd_fail(err, VD_INVALID, "option \"%s\": found twice, wanted once", opt->name);
    }
    if ((unsigned)opt->type > VD_OPT_TEXT) {
        return vd_fail(err, VD_INVALID, "option \"%s\": type %u is unknown; declare it with VD_OPT",
                       opt->name, (unsigned)opt->type);
    }
    if (opt->offset > target_bytes || bytes[opt->type] > target_bytes - opt->offset) {
        return vd_fail(err, VD_INVALID,
                       "option \"%s\": its field ends after the state; set state_size to the "
                       "structure's size",
                       opt->name);
    }
    if (opt->def != NULL) {
        if (set_field(opt, &scratch, opt->def, err) != VD_OK) {
            return vd_fail_in(err, "its own default");
        }
        if (opt->type == VD_OPT_TEXT) {
            free(scratch.text);
        }
    }
    return VD_OK;
}

enum vd_status vd_opt_check(const struct vd_opt *opts, size_t target_bytes, struct vd_err *err)
{
    size_t count = 0;

    for (const struct vd_opt *opt = opts; opt != NULL && opt->name != NULL; opt++) {
        if (++count > OPTS_MAX) {
            return vd_fail(err, VD_INVALID, "more than %d options; end the table with VD_OPT_END",
                           OPTS_MAX);
        }
        if (check_entry(opts, opt, target_bytes, err) != VD_OK) {
            return VD_INVALID;
        }
    }
    return VD_OK;
}

void vd_opt_format(const struct vd_opt *opt, const void *target, struct vd_buf *out)
{
    const void *field = (const char *)target + opt->offset;
    const char *text = NULL;

    if (opt->is_secret) {
        vd_buf_add_text(out, "***");
        return;
    }
    switch (opt->type) {
    case VD_OPT_INT:
        vd_buf_add_int(out, *(const int64_t *)field);
        break;
    case VD_OPT_DOUBLE:
        add_number(out, *(const double *)field);
        break;
    case VD_OPT_BOOL:
        vd_buf_add_text(out, *(const bool *)field ? "yes" : "no");
        break;
    case VD_OPT_TEXT:
        text = *(char *const *)field;
        vd_buf_add_text(out, text != NULL ? text : "");
        break;
    }
}

void vd_opt_fini(const struct vd_opt *opts, void *target)
{
    for (const struct vd_opt *opt = opts; opt != NULL && opt->name != NULL; opt++) {
        if (opt->type == VD_OPT_TEXT) {
            char **text = (void *)((char *)target + opt->offset);

            free(*text);
            *text = NULL;
        }
    }
}

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool is_same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Edit distance with swaps of neighbours counted as one edit (optimal string alignment); three rows
 * of the table are enough. */
static size_t distance_between(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][NEAREST_BYTES + 1];
    size_t *before = rows[0];
    size_t *above = rows[1];
    size_t *row = rows[2];

    for (size_t j = 0; j <= b_len; j++) {
        above[j] = j;
        before[j] = 0;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *oldest = before;

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t cost = is_same_letter(a[i - 1], b[j - 1]) ? 0 : 1;

            row[j] = min_of(min_of(above[j] + 1, row[j - 1] + 1), above[j - 1] + cost);
            if (i > 1 && j > 1 && is_same_letter(a[i - 1], b[j - 2]) &&
                is_same_letter(a[i - 2], b[j - 1])) {
                row[j] = min_of(row[j], before[j - 2] + 1);
            }
        }
        before = above;
        above = row;
        row = oldest;
    }
    return above[b_len];
}

const char *vd_nearest(const char *name, const char *const *candidates, size_t count)
{
    size_t len = strnlen(name, NEAREST_BYTES + 1);
    size_t best = SIZE_MAX;
    const char *nearest = NULL;

    if (len > NEAREST_BYTES) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        size_t candidate_len = strnlen(candidates[i], NEAREST_BYTES + 1);
        size_t longer = len > candidate_len ? len : candidate_len;
        size_t distance = 0;

        if (candidate_len > NEAREST_BYTES) {
            continue;
        }
        distance = distance_between(name, len, candidates[i], candidate_len);
        /* A third of the letters may be wrong; of short names one, but not every one. */
        if (distance < best && distance < longer && distance <= (longer < 6 ? 1 : longer / 3)) {
            best = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}
