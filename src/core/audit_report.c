/* Invariants as a table: both numbers stand on either side of one column of signs. */
#include "audit_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#define NUMBER_BYTES 32 /* of an int64_t with its commas */

void vd_audit_report_init(struct vd_audit_report *report)
{
    *report = (struct vd_audit_report){0};
    report->claims_end = &report->claims;
    report->notes_end = &report->notes;
    report->unrest_end = &report->unrest;
}

static void free_texts(struct vd_audit_text *texts)
{
    struct vd_audit_text *next = NULL;

    for (struct vd_audit_text *text = texts; text != NULL; text = next) {
        next = text->next;
        free(text->section);
        free(text->text);
        free(text);
    }
}

static size_t kept(const struct vd_audit_claim *claim)
{
    return claim->difference_count < VD_AUDIT_KEYS_MAX ? (size_t)claim->difference_count
                                                       : VD_AUDIT_KEYS_MAX;
}

void vd_audit_report_fini(struct vd_audit_report *report)
{
    struct vd_audit_claim *next = NULL;

    for (struct vd_audit_claim *claim = report->claims; claim != NULL; claim = next) {
        next = claim->next;
        for (size_t i = 0; i < kept(claim); i++) {
            free(claim->differences[i].key);
            free(claim->differences[i].words);
        }
        free(claim->section);
        free(claim->left);
        free(claim->right);
        free(claim);
    }
    free_texts(report->notes);
    free_texts(report->unrest);
    vd_audit_report_init(report);
}

/* ---- filling in ------------------------------------------------------------------------------ */

struct vd_audit_claim *vd_audit_report_claim(struct vd_audit_report *report, const char *section,
                                             const char *left, const char *right)
{
    struct vd_audit_claim *claim = vd_alloc(sizeof(*claim));

    claim->section = vd_strdup(section);
    claim->left = vd_strdup(left);
    claim->right = vd_strdup(right);
    *report->claims_end = claim;
    report->claims_end = &claim->next;
    return claim;
}

void vd_audit_compare(struct vd_audit_claim *claim, int64_t left, int64_t right)
{
    claim->left_number = left;
    claim->right_number = right;
}

void vd_audit_differ(struct vd_audit_claim *claim, const char *key, const char *format, ...)
{
    struct vd_audit_difference *difference = NULL;
    va_list args;

    if (claim->difference_count++ >= VD_AUDIT_KEYS_MAX) {
        return;
    }
    difference = &claim->differences[claim->difference_count - 1];
    difference->key = vd_strdup(key);
    va_start(args, format);
    if (vasprintf(&difference->words, format, args) < 0) {
        difference->words = vd_strdup(""); /* a format that C cannot write: the key says enough */
    }
    va_end(args);
}

static void add_text(struct vd_audit_text ***end, const char *section, char *words)
{
    struct vd_audit_text *text = vd_alloc(sizeof(*text));

    text->section = vd_strdup(section);
    text->text = words;
    **end = text;
    *end = &text->next;
}

void vd_audit_report_note(struct vd_audit_report *report, const char *section, char *text)
{
    add_text(&report->notes_end, section, text);
}

void vd_audit_report_unrest(struct vd_audit_report *report, bool has_moved, char *text)
{
    report->has_moved = report->has_moved || has_moved;
    add_text(&report->unrest_end, NULL, text);
}

/* ---- what it says ---------------------------------------------------------------------------- */

static bool holds(const struct vd_audit_claim *claim)
{
    return claim->left_number == claim->right_number && claim->difference_count == 0;
}

static void count(const struct vd_audit_report *report, int *all, int *broken)
{
    *all = 0;
    *broken = 0;
    for (const struct vd_audit_claim *claim = report->claims; claim != NULL; claim = claim->next) {
        ++*all;
        *broken += !holds(claim);
    }
}

enum vd_audit_outcome vd_audit_report_outcome(const struct vd_audit_report *report)
{
    int all = 0;
    int broken = 0;

    count(report, &all, &broken);
    if (report->has_moved || (report->unrest != NULL && broken == 0)) {
        return VD_AUDIT_MOVING;
    }
    return broken > 0 ? VD_AUDIT_DIFFERS : VD_AUDIT_HOLDS;
}

/* ---- as text --------------------------------------------------------------------------------- */

/* "1,234,567". Returns: its length. */
static int format_number(int64_t number, char text[NUMBER_BYTES])
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%lld", (long long)number);
    int at = 0;

    for (int i = 0; i < len; i++) {
        if (i > 0 && digits[i - 1] != '-' && (len - i) % 3 == 0) {
            text[at++] = ',';
        }
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return at;
}

struct widths {
    int words, left, sign, right;
};

static const char *sign_of(const struct vd_audit_claim *claim)
{
    return claim->left_number == claim->right_number ? "=" : "<>";
}

static struct widths measure(const struct vd_audit_report *report)
{
    struct widths widths = {0};
    char text[NUMBER_BYTES];

    for (const struct vd_audit_claim *claim = report->claims; claim != NULL; claim = claim->next) {
        int words = (int)strlen(claim->left);
        int left = format_number(claim->left_number, text);
        int right = format_number(claim->right_number, text);
        int sign = (int)strlen(sign_of(claim));

        widths.words = words > widths.words ? words : widths.words;
        widths.left = left > widths.left ? left : widths.left;
        widths.sign = sign > widths.sign ? sign : widths.sign;
        widths.right = right > widths.right ? right : widths.right;
    }
    return widths;
}

static void add_claim(const struct vd_audit_claim *claim, const struct widths *widths,
                      struct vd_buf *out)
{
    char left[NUMBER_BYTES];
    char right[NUMBER_BYTES];

    (void)format_number(claim->left_number, left); /* only the texts are wanted */
    (void)format_number(claim->right_number, right);
    vd_buf_printf(out, "  %-7s  %-*s  %*s %*s %*s  %s\n", holds(claim) ? "ok" : "DIFFERS",
                  widths->words, claim->left, widths->left, left, widths->sign, sign_of(claim),
                  widths->right, right, claim->right);
}

static void add_notes(const struct vd_audit_report *report, const char *section, struct vd_buf *out)
{
    for (const struct vd_audit_text *note = report->notes; note != NULL; note = note->next) {
        if (strcmp(note->section, section) == 0) {
            vd_buf_printf(out, "  note     %s\n", note->text);
        }
    }
}

static void add_sections(const struct vd_audit_report *report, struct vd_buf *out)
{
    const struct widths widths = measure(report);
    const char *section = NULL;

    for (const struct vd_audit_claim *claim = report->claims; claim != NULL; claim = claim->next) {
        if (section == NULL || strcmp(section, claim->section) != 0) {
            vd_buf_printf(out, "%s%s\n", section != NULL ? "\n" : "", claim->section);
            section = claim->section;
        }
        add_claim(claim, &widths, out);
        if (claim->next == NULL || strcmp(section, claim->next->section) != 0) {
            add_notes(report, section, out);
        }
    }
}

static void add_differences(const struct vd_audit_claim *claim, struct vd_buf *out)
{
    char left[NUMBER_BYTES];
    char right[NUMBER_BYTES];

    (void)format_number(claim->left_number, left); /* only the texts are wanted */
    (void)format_number(claim->right_number, right);
    vd_buf_printf(out, "\n%s: %s: %s %s %s: %s\n", claim->section, claim->left, left,
                  sign_of(claim), right, claim->right);
    for (size_t i = 0; i < kept(claim); i++) {
        vd_buf_printf(out, "  %s: %s\n", claim->differences[i].key, claim->differences[i].words);
    }
    if (claim->difference_count > VD_AUDIT_KEYS_MAX) {
        (void)format_number(claim->difference_count - VD_AUDIT_KEYS_MAX, left);
        vd_buf_printf(out, "  and %s more\n", left);
    }
}

static void add_verdict(const struct vd_audit_report *report, struct vd_buf *out)
{
    int all = 0;
    int broken = 0;

    count(report, &all, &broken);
    for (const struct vd_audit_text *text = report->unrest; text != NULL; text = text->next) {
        vd_buf_printf(out, "not at rest: %s\n", text->text);
    }
    if (report->has_moved) {
        vd_buf_printf(out,
                      "%d of %d invariants do not hold, which may mean nothing: run it again "
                      "when all is counted\n",
                      broken, all);
    } else if (broken > 0) {
        vd_buf_printf(out, "%d of %d invariants do not hold\n", broken, all);
    } else {
        vd_buf_printf(out, "%d invariants hold%s\n", all,
                      report->unrest != NULL ? " for what was counted so far" : "");
    }
}

void vd_audit_report_text(const struct vd_audit_report *report, struct vd_buf *out)
{
    add_sections(report, out);
    for (const struct vd_audit_claim *claim = report->claims; claim != NULL; claim = claim->next) {
        if (!holds(claim)) {
            add_differences(claim, out);
        }
    }
    vd_buf_add_char(out, '\n');
    add_verdict(report, out);
}

/* ---- as JSON --------------------------------------------------------------------------------- */

static void add_member(struct vd_buf *out, const char *name, const char *text)
{
    vd_buf_printf(out, "\"%s\":", name);
    vd_buf_add_json(out, text, strlen(text));
}

static void add_side(struct vd_buf *out, const char *name, const char *words, int64_t number)
{
    vd_buf_printf(out, ",\"%s\":{", name);
    add_member(out, "words", words);
    vd_buf_printf(out, ",\"number\":%lld}", (long long)number);
}

static void add_claim_json(const struct vd_audit_claim *claim, struct vd_buf *out)
{
    vd_buf_add_char(out, '{');
    add_member(out, "section", claim->section);
    vd_buf_printf(out, ",\"holds\":%s", holds(claim) ? "true" : "false");
    add_side(out, "left", claim->left, claim->left_number);
    add_side(out, "right", claim->right, claim->right_number);
    vd_buf_printf(out, ",\"differences\":%lld,\"keys\":[", (long long)claim->difference_count);
    for (size_t i = 0; i < kept(claim); i++) {
        vd_buf_add_text(out, i > 0 ? ",{" : "{");
        add_member(out, "key", claim->differences[i].key);
        vd_buf_add_char(out, ',');
        add_member(out, "words", claim->differences[i].words);
        vd_buf_add_char(out, '}');
    }
    vd_buf_add_text(out, "]}");
}

static void add_texts_json(const char *name, const struct vd_audit_text *texts, struct vd_buf *out)
{
    vd_buf_printf(out, ",\"%s\":[", name);
    for (const struct vd_audit_text *text = texts; text != NULL; text = text->next) {
        if (text->section != NULL) {
            vd_buf_add_char(out, '{');
            add_member(out, "section", text->section);
            vd_buf_add_char(out, ',');
            add_member(out, "text", text->text);
            vd_buf_add_char(out, '}');
        } else {
            vd_buf_add_json(out, text->text, strlen(text->text));
        }
        vd_buf_add_text(out, text->next != NULL ? "," : "");
    }
    vd_buf_add_char(out, ']');
}

void vd_audit_report_json(const struct vd_audit_report *report, struct vd_buf *out)
{
    static const char *const outcomes[] = {"holds", "differs", "not at rest"};

    vd_buf_add_char(out, '{');
    add_member(out, "outcome", outcomes[vd_audit_report_outcome(report)]);
    vd_buf_add_text(out, ",\"invariants\":[");
    for (const struct vd_audit_claim *claim = report->claims; claim != NULL; claim = claim->next) {
        add_claim_json(claim, out);
        vd_buf_add_text(out, claim->next != NULL ? "," : "");
    }
    vd_buf_add_char(out, ']');
    add_texts_json("notes", report->notes, out);
    add_texts_json("not_at_rest", report->unrest, out);
    vd_buf_add_text(out, "}\n");
}
