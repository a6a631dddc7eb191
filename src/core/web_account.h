/* Who may come in, and as what: files with a line NAME:ROLE:SECRET for each. Not installed. */
#ifndef VD_CORE_WEB_ACCOUNT_H
#define VD_CORE_WEB_ACCOUNT_H

#include <stddef.h>

#include "err.h"
#include "web.h"

#define VD_WEB_NAME_BYTES 64   /* of a name, with its end */
#define VD_WEB_DIGEST_BYTES 32 /* that a token is compared by */
#define VD_WEB_TOKEN_CHARS_MIN 32

enum vd_web_secret {
    VD_WEB_TOKEN,    /* the token itself; only its digest is kept */
    VD_WEB_PASSWORD, /* the hash of a password */
};

struct vd_web_account {
    char name[VD_WEB_NAME_BYTES];
    enum vd_web_role role;                     /* viewer or more */
    unsigned char digest[VD_WEB_DIGEST_BYTES]; /* of a token */
    char *hash;                                /* of a password, owned; NULL: a token */
};

/* Zeroed is empty. Immutable once it is read. */
struct vd_web_accounts {
    struct vd_web_account *list;
    size_t count;
};

/* Read 'path', the value of option 'option'. Blank lines and those that begin with # are skipped.
 * Fails: VD_INVALID for a file that others may read, or a line of another form; VD_FAILED if it
 *        cannot be read. No message shows a secret. */
enum vd_status vd_web_accounts_read(struct vd_web_accounts *accounts, const char *option,
                                    const char *path, enum vd_web_secret secret,
                                    struct vd_err *err) VD_MUST_CHECK;
void vd_web_accounts_fini(struct vd_web_accounts *accounts);

/* NULL if nobody has that name. */
const struct vd_web_account *vd_web_account_named(const struct vd_web_accounts *accounts,
                                                  const char *name);

/* The one with this token, or NULL. Takes as long for any token of the same length. */
const struct vd_web_account *vd_web_account_of_token(const struct vd_web_accounts *accounts,
                                                     const char *token);

/* Take the name and the role at the head of "NAME:ROLE" or "NAME:ROLE:SECRET" into 'account'; what
 * follows, or NULL.
 * Fails: VD_INVALID, saying what a line is to look like. */
enum vd_status vd_web_account_parse(const char *line, struct vd_web_account *account,
                                    const char **secret, struct vd_err *err) VD_MUST_CHECK;

/* "viewer"; of VD_WEB_ANYONE "anyone". */
const char *vd_web_role_name(enum vd_web_role role);

#endif
