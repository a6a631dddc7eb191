/* The page's files: read once at start, from a list fixed at build time. */
#ifndef VD_DASHBOARD_PAGE_H
#define VD_DASHBOARD_PAGE_H

#include "err.h"

struct vd_web;

/* Serve every file of the page from folder 'www'.
 * Fails: VD_INVALID if one cannot be read or is larger than a page's file may be. */
enum vd_status page_serve(struct vd_web *web, const char *www, struct vd_err *err) VD_MUST_CHECK;

/* Check that every file is there; no side effects. */
enum vd_status page_check(const char *www, struct vd_err *err) VD_MUST_CHECK;

#endif
