/* Calendar arithmetic (Hinnant, "chrono-compatible low-level date algorithms"). */
#include "election/date.h"

#include <stdbool.h>

#define YEAR_MIN 1800
#define YEAR_MAX 2200

static bool read_number(const char *text, size_t digits, int *number)
{
    *number = 0;
    for (size_t i = 0; i < digits; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        *number = *number * 10 + (text[i] - '0');
    }
    return true;
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

enum vd_status el_date_parse(const char *text, size_t len, struct el_date *date, struct vd_err *err)
{
    struct el_date read;
    int shown = len < 40 ? (int)len : 40;

    if (len < 10 || !read_number(text, 4, &read.year) || text[4] != '-' ||
        !read_number(text + 5, 2, &read.month) || text[7] != '-' ||
        !read_number(text + 8, 2, &read.day) || (len > 10 && text[10] != 'T' && text[10] != ' ')) {
        return vd_fail(err, VD_INVALID, "\"%.*s\" is no date of the form YYYY-MM-DD", shown, text);
    }
    if (read.year < YEAR_MIN || read.year > YEAR_MAX || read.month < 1 || read.month > 12 ||
        read.day < 1 || read.day > days_of_month(read.year, read.month)) {
        return vd_fail(err, VD_INVALID, "\"%.*s\" is no day of the years %d to %d", shown, text,
                       YEAR_MIN, YEAR_MAX);
    }
    *date = read;
    return VD_OK;
}

/* Years are taken to begin in March, so that the leap day is the last one. */
int64_t el_date_days(const struct el_date *date)
{
    int64_t year = date->month <= 2 ? date->year - 1 : date->year;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year =
        (153 * (date->month + (date->month > 2 ? -3 : 9)) + 2) / 5 + date->day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

struct el_date el_date_of_days(int64_t days)
{
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    struct el_date date = {
        .day = (int)(day_of_year - (153 * month + 2) / 5 + 1),
        .month = (int)(month < 10 ? month + 3 : month - 9),
    };

    date.year = (int)(year_of_era + era * 400 + (date.month <= 2 ? 1 : 0));
    return date;
}

int el_date_age(const struct el_date *birth, const struct el_date *day)
{
    bool is_before_birthday =
        day->month < birth->month || (day->month == birth->month && day->day < birth->day);

    return day->year - birth->year - (is_before_birthday ? 1 : 0);
}
