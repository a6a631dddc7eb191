/* Dates of birth, and the age that someone born then has on election day. */
#ifndef VD_ELECTION_DATE_H
#define VD_ELECTION_DATE_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct el_date {
    int year, month, day; /* Gregorian; month and day begin at 1 */
};

/* Read the date that 'text' begins with, YYYY-MM-DD, with nothing or a time of day ("T..." or "
 * ...") after it; the time is not looked at. Years 1800 to 2200. Fails: VD_INVALID. */
enum vd_status el_date_parse(const char *text, size_t len, struct el_date *date,
                             struct vd_err *err) VD_MUST_CHECK;

/* Days since 1970-01-01, and back. */
int64_t el_date_days(const struct el_date *date);
struct el_date el_date_of_days(int64_t days);

/* Whole years from 'birth' to 'day'; who is born on 29 February has a birthday on 1 March in other
 * years. Negative if 'birth' is later. */
int el_date_age(const struct el_date *birth, const struct el_date *day);

#endif
