/* The page of an audit: invariants by section, what differs, and what follows from it;
 * core only. */
#ifndef VD_CORE_AUDIT_REPORT_H
#define VD_CORE_AUDIT_REPORT_H

#include <stdbool.h>

#include "audit.h"
#include "buf.h"

struct vd_audit_difference {
    char *key, *words; /* owned */
};

struct vd_audit_claim {
    struct vd_audit_claim *next;
    char *section, *left, *right; /* owned */
    int64_t left_number, right_number;
    struct vd_audit_difference differences[VD_AUDIT_KEYS_MAX];
    int64_t difference_count; /* also those not kept */
};

struct vd_audit_text {
    struct vd_audit_text *next;
    char *section; /* owned; NULL: of none */
    char *text;    /* owned */
};

/* Zeroed is empty, but for the ends of the lists: see init. */
struct vd_audit_report {
    struct vd_audit_claim *claims, **claims_end;
    struct vd_audit_text *notes, **notes_end;
    struct vd_audit_text *unrest, **unrest_end; /* why it is not at rest */
    bool has_moved;
};

/* What the numbers say. */
enum vd_audit_outcome {
    VD_AUDIT_HOLDS,
    VD_AUDIT_DIFFERS,
    VD_AUDIT_MOVING, /* what was read is not of one moment, or work is still to be done */
};

void vd_audit_report_init(struct vd_audit_report *report);
void vd_audit_report_fini(struct vd_audit_report *report);

struct vd_audit_claim *vd_audit_report_claim(struct vd_audit_report *report, const char *section,
                                             const char *left, const char *right);
/* Owns: takes 'text'. */
void vd_audit_report_note(struct vd_audit_report *report, const char *section, char *text);

/* Say why the election is not at rest. 'has_moved': while it was read, so that a difference means
 * nothing; else work waits, and what was done so far can be compared. Owns: takes 'text'. */
void vd_audit_report_unrest(struct vd_audit_report *report, bool has_moved, char *text);

enum vd_audit_outcome vd_audit_report_outcome(const struct vd_audit_report *report);

/* As a table for people; as one JSON object in a line. */
void vd_audit_report_text(const struct vd_audit_report *report, struct vd_buf *out);
void vd_audit_report_json(const struct vd_audit_report *report, struct vd_buf *out);

#endif
