/* INI files. inih splits the lines; this file feeds it line by line, so that every value has its
 * place and every fault of form is found, not the first one only. */
#include "ini_file.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"

#define LINE_BYTES_MAX VD_INI_VALUE_BYTES_MAX
#define LINE_BUFFER_BYTES (LINE_BYTES_MAX + 8) /* inih wants room for the line's end */
#define ENTRIES_MAX 8192
#define BLANKS " \t"

/* What inih calls back for while it parses one text. */
struct reading {
    struct vd_ini *ini;
    const char *text;
    size_t len, at;              /* 'at': where the next line begins */
    int line;                    /* the one inih has now */
    char raw[LINE_BUFFER_BYTES]; /* the same, without its end */
    char *section;               /* owned; NULL: none yet, or a broken one whose keys are skipped */
    bool is_in_broken_section;
    struct vd_ini_entry *key_entry; /* that a continuation line would continue; NULL: none */
    bool is_key_skipped; /* the key above was faulty: its continuation lines mean nothing */
    size_t key_indent;   /* of the key above */
    size_t errors;
};

static VD_PRINTF(3, 4) void report(struct reading *reading, const char *at, const char *format, ...)
{
    struct vd_ini *ini = reading->ini;
    struct vd_ini_entry place = {
        .section = reading->section,
        .source = ini->path,
        .line = reading->line,
        .column = (int)(at - reading->raw) + 1,
    };
    char message[VD_ERR_MSG_BYTES];
    va_list args;

    place.value_column = place.column;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args); /* cut to fit */
    va_end(args);
    reading->errors++;
    if (ini->on_error != NULL) {
        ini->on_error(ini->on_error_arg, &place, message);
    }
}

static struct vd_ini_entry *add_entry(struct vd_ini *ini, const struct vd_ini_entry *entry)
{
    if (ini->count == ini->cap) {
        ini->cap = ini->cap == 0 ? 64 : ini->cap * 2;
        ini->entries = vd_realloc(ini->entries, ini->cap * sizeof(*ini->entries));
    }
    ini->entries[ini->count] = *entry;
    return &ini->entries[ini->count++];
}

static struct vd_ini_entry *find_entry(const struct vd_ini *ini, const char *section,
                                       const char *key)
{
    for (size_t i = 0; i < ini->count; i++) {
        struct vd_ini_entry *entry = &ini->entries[i];

        if (strcmp(entry->section, section) != 0 || (key == NULL) != (entry->key == NULL)) {
            continue;
        }
        if (key == NULL || strcmp(entry->key, key) == 0) {
            return entry;
        }
    }
    return NULL;
}

const struct vd_ini_entry *vd_ini_find(const struct vd_ini *ini, const char *section,
                                       const char *key)
{
    return find_entry(ini, section, key);
}

/* ---- one line -------------------------------------------------------------------------------- */

/* Copy the next line to 'raw'. False: it cannot be used, which was reported. */
static bool take_line(struct reading *reading)
{
    const char *begin = reading->text + reading->at;
    size_t rest = reading->len - reading->at;
    const char *newline = memchr(begin, '\n', rest);
    size_t len = newline != NULL ? (size_t)(newline - begin) : rest;

    reading->at += len + (newline != NULL);
    reading->line++;
    reading->raw[0] = '\0';
    if (len > 0 && begin[len - 1] == '\r') {
        len--;
    }
    if (reading->line == 1 && len >= 3 && memcmp(begin, "\xef\xbb\xbf", 3) == 0) {
        begin += 3; /* a byte order mark, as some editors write */
        len -= 3;
    }
    if (len > LINE_BYTES_MAX) {
        report(reading, reading->raw, "line of %zu bytes; at most %d are read", len,
               (int)LINE_BYTES_MAX);
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)begin[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            report(reading, reading->raw + i, "control character 0x%02x in the line; remove it", c);
            return false;
        }
    }
    if (!vd_utf8_is_valid(begin, len)) {
        report(reading, reading->raw, "the line is not UTF-8; save the file in that encoding");
        return false;
    }
    memcpy(reading->raw, begin, len);
    reading->raw[len] = '\0';
    return true;
}

static void begin_section(struct reading *reading, char *begin, size_t len)
{
    struct vd_ini *ini = reading->ini;
    const struct vd_ini_entry *first = NULL;

    reading->section = vd_strndup(begin, len);
    first = find_entry(ini, reading->section, NULL);
    if (first != NULL) {
        report(reading, begin, "section [%s] again; the first one is in line %d", reading->section,
               first->line);
        return;
    }
    (void)add_entry(ini, &(struct vd_ini_entry){
                             .section = vd_strdup(reading->section),
                             .source = ini->path,
                             .line = reading->line,
                             .column = (int)(begin - reading->raw) + 1,
                             .value_column = (int)(begin - reading->raw) + 1,
                         });
}

/* A line whose first byte, at 'open', is '['. */
static void read_section(struct reading *reading, char *open)
{
    char *close = strchr(open, ']');
    char *begin = open + 1 + strspn(open + 1, BLANKS);
    char *end = close;
    char *rest = NULL;

    free(vd_take(reading->section));
    reading->key_entry = NULL;
    reading->is_key_skipped = false;
    reading->is_in_broken_section = true;
    if (close == NULL) {
        report(reading, open, "section has no closing \"]\"");
        return;
    }
    rest = close + 1 + strspn(close + 1, BLANKS);
    while (end > begin && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    if (end == begin) {
        report(reading, open, "section without a name");
    } else if (*rest != '\0' && *rest != ';' && *rest != '#') {
        report(reading, rest, "text after the section's \"]\"; put it on a line of its own");
    } else {
        reading->is_in_broken_section = false;
        begin_section(reading, begin, (size_t)(end - begin));
    }
}

/* Whether a line that begins with the key at 'key' is of the form that inih splits. */
static bool is_key_line(struct reading *reading, const char *key)
{
    const char *equals = strchr(key, '=');

    if (reading->section == NULL) {
        if (!reading->is_in_broken_section) {
            report(reading, key, "a key before any [section]");
        }
        return false;
    }
    if (equals == NULL) {
        report(reading, key, "expected \"key = value\", found no \"=\"");
        return false;
    }
    if (equals == key) {
        report(reading, key, "no key in front of \"=\"");
        return false;
    }
    /* inih would end the key at a colon, or see a comment and no "=" at all. */
    if (memchr(key, ':', (size_t)(equals - key)) != NULL ||
        memchr(key, ';', (size_t)(equals - key)) != NULL) {
        report(reading, key, "a key has no \":\" or \";\" in it: expected \"key = value\"");
        return false;
    }
    return true;
}

/* End the text where ';' after a blank begins a comment: inih does that, but up to r55 not in
 * continuation lines. */
static void cut_comment(char *text)
{
    for (char *at = text; *at != '\0'; at++) {
        if ((*at == ' ' || *at == '\t') && at[1] == ';') {
            *at = '\0';
            return;
        }
    }
}

/* Look at the line in 'raw' and write what inih is to see of it to 'out': faulty lines become
 * empty, sections nameless (inih cuts their names at 49 bytes), keys lose their indentation (inih
 * takes any indented line for a continuation). */
static void prepare_line(struct reading *reading, char *out, size_t bytes)
{
    size_t indent = strspn(reading->raw, BLANKS);
    char *first = reading->raw + indent;

    *out = '\0';
    if (*first == '\0') {
        reading->key_entry = NULL;
        reading->is_key_skipped = false;
    } else if (*first == ';' || *first == '#') {
        return;
    } else if (*first == '[') {
        read_section(reading, first);
        (void)snprintf(out, bytes, "[-]"); /* always fits */
    } else if (reading->key_entry != NULL && indent > reading->key_indent) {
        cut_comment(first);
        (void)snprintf(out, bytes, " %s", first); /* fits: 'indent' is at least 1 */
    } else if (!reading->is_key_skipped || indent <= reading->key_indent) {
        reading->key_entry = NULL;
        reading->is_key_skipped = true; /* until on_pair takes it */
        reading->key_indent = indent;
        if (is_key_line(reading, first)) {
            (void)snprintf(out, bytes, "%s", first); /* fits: the buffer has LINE_BUFFER_BYTES */
        }
    }
}

static char *on_read(char *out, int bytes, void *arg)
{
    struct reading *reading = arg;

    if (reading->at >= reading->len) {
        return NULL;
    }
    *out = '\0';
    if (take_line(reading)) {
        prepare_line(reading, out, (size_t)bytes - 1);
    } else {
        reading->key_entry = NULL;
    }
    (void)strcat(out, "\n"); /* fits: one byte was kept back */
    return out;
}

/* ---- what inih found in it ------------------------------------------------------------------- */

static void continue_value(struct reading *reading, const char *more)
{
    struct vd_ini_entry *entry = reading->key_entry;
    char *joined = NULL;

    if (strlen(entry->value) + 1 + strlen(more) > VD_INI_VALUE_BYTES_MAX) {
        report(reading, reading->raw, "key \"%s\": a value of more than %d bytes", entry->key,
               VD_INI_VALUE_BYTES_MAX);
        return;
    }
    joined = *entry->value == '\0' ? vd_strdup(more) : vd_format("%s %s", entry->value, more);
    free(entry->value);
    entry->value = joined;
}

static int on_pair(void *arg, const char *section, const char *name, const char *value)
{
    struct reading *reading = arg;
    struct vd_ini *ini = reading->ini;
    const char *key = reading->raw + strspn(reading->raw, BLANKS);
    const char *equals = strchr(key, '=');
    const struct vd_ini_entry *first = NULL;

    (void)section; /* cut at 49 bytes; ours is whole */
    if (reading->key_entry != NULL) {
        continue_value(reading, value);
        return 1;
    }
    first = find_entry(ini, reading->section, name);
    if (first != NULL) {
        report(reading, key, "key \"%s\" again; the first one is in line %d", name, first->line);
        return 1;
    }
    if (ini->count == ENTRIES_MAX) {
        report(reading, key, "more than %d lines with keys", ENTRIES_MAX);
        return 1;
    }
    reading->is_key_skipped = false;
    reading->key_entry = add_entry(
        ini, &(struct vd_ini_entry){
                 .section = vd_strdup(reading->section),
                 .key = vd_strdup(name),
                 .value = vd_strdup(value),
                 .source = ini->path,
                 .line = reading->line,
                 .column = (int)(key - reading->raw) + 1,
                 .value_column = (int)(equals + 1 + strspn(equals + 1, BLANKS) - reading->raw) + 1,
             });
    return 1;
}

enum vd_status vd_ini_parse(struct vd_ini *ini, const char *path, const char *text, size_t len,
                            struct vd_err *err)
{
    VD_AUTO(mem) struct reading *reading = vd_alloc(sizeof(*reading));
    int line = 0;

    free(ini->path);
    ini->path = vd_strdup(path);
    *reading = (struct reading){.ini = ini, .text = text, .len = len};
    if (len > VD_INI_FILE_BYTES_MAX) {
        return vd_fail(err, VD_INVALID, "\"%s\": more than %zu bytes", path, VD_INI_FILE_BYTES_MAX);
    }
    ini_use_stack = false;
    ini_allow_realloc = false;
    ini_max_line = LINE_BUFFER_BYTES;
    ini_initial_alloc = LINE_BUFFER_BYTES;
    ini_allow_bom = false; /* take_line did it */
    ini_allow_multiline = true;
    ini_allow_inline_comments = true;
    ini_allow_no_value = false;
    ini_stop_on_first_error = false;
    line = ini_parse_stream(on_read, reading, on_pair, reading);
    free(vd_take(reading->section));
    if (line != 0 && reading->errors == 0) {
        /* Not one of the faults that prepare_line knows: say at least where it is. */
        reading->line = line;
        reading->raw[0] = '\0';
        report(reading, reading->raw, "the line could not be read");
    }
    if (reading->errors > 0) {
        return vd_fail(err, VD_INVALID, "%zu error%s", reading->errors,
                       reading->errors == 1 ? "" : "s");
    }
    return VD_OK;
}

enum vd_status vd_ini_load(struct vd_ini *ini, const char *path, struct vd_err *err)
{
    VD_AUTO(mem) char *text = NULL;
    FILE *file = fopen(path, "re");
    size_t len = 0;
    int failed = 0;

    free(ini->path);
    ini->path = vd_strdup(path);
    if (file == NULL) {
        return vd_fail(err, VD_INVALID, "could not open \"%s\": %s", path, strerror(errno));
    }
    text = vd_alloc(VD_INI_FILE_BYTES_MAX + 1);
    len = fread(text, 1, VD_INI_FILE_BYTES_MAX + 1, file);
    failed = ferror(file) ? errno : 0;
    (void)fclose(file); /* it was only read */
    if (failed != 0) {
        return vd_fail(err, VD_INVALID, "could not read \"%s\": %s", path, strerror(failed));
    }
    return vd_ini_parse(ini, path, text, len, err);
}

void vd_ini_fini(struct vd_ini *ini)
{
    for (size_t i = 0; i < ini->count; i++) {
        free(ini->entries[i].section);
        free(ini->entries[i].key);
        free(ini->entries[i].value);
    }
    free(ini->entries);
    free(ini->path);
    *ini = (struct vd_ini){0};
}

/* ---- --set ----------------------------------------------------------------------------------- */

/* Length of the section's name in "section.key": of the longest section that fits, since names of
 * topics have dots too. 0: there is none. */
static size_t section_length(const struct vd_ini *ini, const char *name, size_t len)
{
    const char *dot = memchr(name, '.', len);
    size_t longest = dot != NULL ? (size_t)(dot - name) : 0;

    for (size_t i = 0; i < ini->count; i++) {
        const char *section = ini->entries[i].section;
        size_t section_len = strlen(section);

        if (section_len > longest && section_len < len && name[section_len] == '.' &&
            memcmp(name, section, section_len) == 0) {
            longest = section_len;
        }
    }
    return longest;
}

enum vd_status vd_ini_override(struct vd_ini *ini, const char *assignment, struct vd_err *err)
{
    static const char source[] = "--set";
    const char *equals = strchr(assignment, '=');
    size_t name_len = equals != NULL ? (size_t)(equals - assignment) : 0;
    size_t section_len = section_length(ini, assignment, name_len);
    VD_AUTO(mem) char *section = vd_strndup(assignment, section_len);
    VD_AUTO(mem) char *key = NULL;
    struct vd_ini_entry *entry = NULL;

    if (section_len == 0 || section_len + 1 >= name_len) {
        return vd_fail(err, VD_INVALID, "\"%s\": expected section.key=value", assignment);
    }
    if (strlen(equals + 1) > VD_INI_VALUE_BYTES_MAX) {
        return vd_fail(err, VD_INVALID, "a value of more than %d bytes", VD_INI_VALUE_BYTES_MAX);
    }
    key = vd_strndup(assignment + section_len + 1, name_len - section_len - 1);
    if (find_entry(ini, section, NULL) == NULL) {
        (void)add_entry(ini,
                        &(struct vd_ini_entry){.section = vd_strdup(section), .source = source});
    }
    entry = find_entry(ini, section, key);
    if (entry == NULL) {
        entry = add_entry(ini,
                          &(struct vd_ini_entry){.section = vd_take(section), .key = vd_take(key)});
    }
    free(entry->value);
    entry->value = vd_strdup(equals + 1);
    entry->source = source;
    entry->line = 0;
    entry->column = 0;
    entry->value_column = 0;
    return VD_OK;
}

/* ---- substitution ---------------------------------------------------------------------------- */

static bool is_variable_name(const char *name, size_t len)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

    if (len == 0 || (name[0] >= '0' && name[0] <= '9')) {
        return false;
    }
    return strspn(name, letters) >= len;
}

/* A default, in which $$ is a dollar sign and nothing else may begin with one. */
static enum vd_status add_default(struct vd_buf *out, const char *text, size_t len,
                                  struct vd_err *err)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '$') {
            i++;
            if (i == len || text[i] != '$') {
                return vd_fail(err, VD_INVALID,
                               "a default in ${NAME:-default} has no \"$\"; write \"$$\" for one");
            }
        }
        vd_buf_add_char(out, text[i]);
    }
    return VD_OK;
}

/* What stands at "${", and where to go on. */
static enum vd_status add_variable(struct vd_buf *out, const char **at, struct vd_err *err)
{
    const char *name = *at + 2;
    const char *close = strchr(name, '}');
    size_t name_len = strcspn(name, "}:");
    VD_AUTO(mem) char *variable = NULL;
    const char *text = NULL;
    bool has_default = false;

    if (close == NULL) {
        return vd_fail(err, VD_INVALID, "\"${\" without a closing \"}\"");
    }
    variable = vd_strndup(name, name_len);
    has_default = name[name_len] == ':';
    if (!is_variable_name(name, name_len) || (has_default && name[name_len + 1] != '-')) {
        return vd_fail(err, VD_INVALID,
                       "\"${%.*s}\" is neither ${NAME} nor ${NAME:-default}; write \"$$\" for a "
                       "dollar sign",
                       (int)(close - name < 64 ? close - name : 64), name);
    }
    text = getenv(variable);
    *at = close + 1;
    if (text != NULL && (*text != '\0' || !has_default)) {
        vd_buf_add_text(out, text);
        return VD_OK;
    }
    if (!has_default) {
        return vd_fail(err, VD_INVALID,
                       "environment variable %s is not set; set it or write ${%s:-default}",
                       variable, variable);
    }
    return add_default(out, name + name_len + 2, (size_t)(close - name) - name_len - 2, err);
}

enum vd_status vd_ini_expand(const char *value, char **out, struct vd_err *err)
{
    VD_AUTO(buf) struct vd_buf buf = {0};

    for (const char *at = value; *at != '\0';) {
        size_t plain = strcspn(at, "$");

        vd_buf_add(&buf, at, plain);
        at += plain;
        if (at[0] == '$' && at[1] == '$') {
            vd_buf_add_char(&buf, '$');
            at += 2;
        } else if (at[0] == '$' && at[1] == '{') {
            if (add_variable(&buf, &at, err) != VD_OK) {
                return VD_INVALID;
            }
        } else if (at[0] == '$') {
            return vd_fail(err, VD_INVALID,
                           "\"$\" begins neither ${NAME} nor ${NAME:-default}; write \"$$\" for a "
                           "dollar sign");
        }
        if (buf.len > VD_INI_VALUE_BYTES_MAX) {
            return vd_fail(err, VD_INVALID, "a value of more than %d bytes after substitution",
                           VD_INI_VALUE_BYTES_MAX);
        }
    }
    *out = vd_strdup(vd_buf_text(&buf));
    return VD_OK;
}

enum vd_status vd_ini_substitute(struct vd_ini *ini, struct vd_err *err)
{
    size_t errors = 0;

    for (size_t i = 0; i < ini->count; i++) {
        struct vd_ini_entry *entry = &ini->entries[i];
        struct vd_err fault = {0};
        char *expanded = NULL;

        if (entry->value == NULL || strchr(entry->value, '$') == NULL) {
            continue;
        }
        if (vd_ini_expand(entry->value, &expanded, &fault) == VD_OK) {
            free(entry->value);
            entry->value = expanded;
            continue;
        }
        errors++;
        if (ini->on_error != NULL) {
            VD_AUTO(mem) char *message = vd_format("key \"%s\": %s", entry->key, fault.msg);

            ini->on_error(ini->on_error_arg, entry, message);
        }
    }
    return errors == 0 ? VD_OK
                       : vd_fail(err, VD_INVALID, "%zu error%s", errors, errors == 1 ? "" : "s");
}
