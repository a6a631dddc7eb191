/* What the randomuser API answers, and the voters in it. Its documents are those of version 1.4;
 * each of its type traps is met here. */
#ifndef VD_GENERATOR_RANDOMUSER_H
#define VD_GENERATOR_RANDOMUSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "election/date.h"
#include "election/voter.h"
#include "err.h"

#define GEN_USERS_PAGE_MAX 5000 /* asked for more, the API gives one, with status 200 */

/* Check "gb,us": one unknown code would void the whole list. Fails: VD_INVALID. */
enum vd_status gen_users_check_nat(const char *nat, struct vd_err *err) VD_MUST_CHECK;

/* The users of an answer, one after the other; it borrows the body. */
struct gen_users {
    const char *array; /* between the brackets of `results` */
    size_t len;
    size_t at;
};

/* Fails: VD_INVALID unless the body is JSON without `error` and with exactly 'count' results. */
enum vd_status gen_users_open(const char *body, size_t len, size_t count, struct gen_users *users,
                              struct vd_err *err) VD_MUST_CHECK;

/* The next user's text; false after the last. */
bool gen_users_next(struct gen_users *users, struct el_text *user);

/* A voter out of one user. The texts are written to 'text', which it is given with room for all
 * (GEN_USER_TEXT_BYTES and the length of 'user').
 * Fails: VD_INVALID, naming the member. */
struct gen_user {
    struct vd_buf text;
    struct el_voter voter; /* borrows from 'text' */
};
enum vd_status gen_user_parse(const struct el_text *user, const struct el_date *election_day,
                              struct gen_user *parsed, struct vd_err *err) VD_MUST_CHECK;
void gen_user_fini(struct gen_user *parsed);

#endif
