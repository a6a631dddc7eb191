/* Hashes of passwords: Argon2id by libsodium, in its own form "$argon2id$v=19$m=...". Not
 * installed. */
#ifndef VD_CORE_WEB_PASSWORD_H
#define VD_CORE_WEB_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "err.h"

#define VD_WEB_PASSWORD_BYTES 256    /* of a password, with its end */
#define VD_WEB_PASSWORD_CHARS_MIN 12 /* of a new one */

/* True for a hash that takes no more than 256 MiB and 10 passes to check. */
bool vd_web_password_is_hash(const char *text);

/* Whether 'hash' is that of 'password'. Takes some 0.1 s and the memory that the hash names.
 * Fails: VD_INVALID if it is another's; VD_FAILED if that is not known, as without memory.
 * Thread: any. */
enum vd_status vd_web_password_check(const char *hash, const char *password) VD_MUST_CHECK;

/* Add to 'out' the hash of 'password': 64 MiB and two passes.
 * Fails: VD_INVALID for one that is too short or too long; VD_FAILED without memory. */
enum vd_status vd_web_password_hash(const char *password, struct vd_buf *out,
                                    struct vd_err *err) VD_MUST_CHECK;

/* votingd --hash-password NAME:ROLE: ask the terminal for a password, twice and without echo, or
 * read a line of standard input; put the line for the file of users into 'out'.
 * Fails: VD_INVALID for a name, role or password that cannot be; VD_FAILED if none can be read. */
enum vd_status vd_web_password_line(const char *name_role, struct vd_buf *out,
                                    struct vd_err *err) VD_MUST_CHECK;

#endif
