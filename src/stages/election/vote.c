/* Votes are spliced, not rebuilt: the voter's bytes pass through untouched. */
#include "vote.h"

#include <string.h>

#include "election/json.h"

#define DAY_S 86400

static void put_digits(char *at, unsigned value, int digits)
{
    while (digits-- > 0) {
        at[digits] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* Days since 1970-01-01 of the first day of a year of the Gregorian calendar, from year 1 on. */
static int64_t days_before(int64_t year)
{
    int64_t past = year - 1;

    return past * 365 + past / 4 - past / 100 + past / 400 - 719162;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned days_in(int64_t year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

const char *el_vote_time_format(struct el_vote_clock *clock, int64_t second)
{
    int64_t day = second / DAY_S;
    unsigned rest = (unsigned)(second % DAY_S);
    int64_t year = 1970 + day / 366; /* never too late, and seldom too early */
    unsigned month = 1;

    if (clock->text[0] != '\0' && clock->second == second) {
        return clock->text;
    }
    while (days_before(year + 1) <= day) {
        year++;
    }
    day -= days_before(year);
    while (day >= days_in(year, month)) {
        day -= days_in(year, month);
        month++;
    }
    memcpy(clock->text, "0000-00-00 00:00:00", sizeof(clock->text));
    put_digits(clock->text, (unsigned)year, 4);
    put_digits(clock->text + 5, month, 2);
    put_digits(clock->text + 8, (unsigned)day + 1, 2);
    put_digits(clock->text + 11, rest / 3600, 2);
    put_digits(clock->text + 14, rest / 60 % 60, 2);
    put_digits(clock->text + 17, rest % 60, 2);
    clock->second = second;
    return clock->text;
}

static unsigned get_digits(const char *at, int digits)
{
    unsigned value = 0;

    while (digits-- > 0) {
        value = value * 10 + (unsigned)(*at++ - '0');
    }
    return value;
}

bool el_vote_time_parse(const char *text, size_t len, int64_t *second)
{
    static const char form[] = "dddd-dd-dd dd:dd:dd";
    unsigned month = 0, day = 0, hour = 0, minute = 0, sec = 0;
    int64_t year = 0;
    int64_t days = 0;

    if (len != EL_VOTE_TIME_BYTES) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i]) {
            return false;
        }
    }
    year = get_digits(text, 4);
    month = get_digits(text + 5, 2);
    day = get_digits(text + 8, 2);
    hour = get_digits(text + 11, 2);
    minute = get_digits(text + 14, 2);
    sec = get_digits(text + 17, 2);
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_in(year, month) ||
        hour > 23 || minute > 59 || sec > 59) {
        return false;
    }
    days = days_before(year) + day - 1;
    for (unsigned m = 1; m < month; m++) {
        days += days_in(year, m);
    }
    *second = days * DAY_S + hour * 3600 + minute * 60 + sec;
    return true;
}

static void add_member(struct vd_buf *out, const char *name, const char *value)
{
    vd_buf_add_text(out, ",\"");
    vd_buf_add_text(out, name);
    vd_buf_add_text(out, "\":");
    vd_buf_add_json(out, value != NULL ? value : "", value != NULL ? strlen(value) : 0);
}

void el_vote_fragment(const struct el_candidate *candidate, struct vd_buf *out)
{
    add_member(out, "candidate_id", candidate->id);
    add_member(out, "candidate_name", candidate->name);
    add_member(out, "party_affiliation", candidate->party);
    add_member(out, "biography", candidate->biography);
    add_member(out, "campaign_platform", candidate->platform);
    add_member(out, "photo_url", candidate->photo_url);
    vd_buf_add_text(out, ",\"voting_time\":\"");
}

static const char tail[] = "\",\"vote\":1}";

size_t el_vote_bytes(size_t len, const struct vd_buf *fragment)
{
    return len - 1 + fragment->len + EL_VOTE_TIME_BYTES + sizeof(tail) - 1;
}

void el_vote_append(struct vd_buf *out, const char *voter, size_t len,
                    const struct vd_buf *fragment, const char *voting_time)
{
    while (voter[len - 1] != '}') { /* white space behind it */
        len--;
    }
    vd_buf_reserve(out, el_vote_bytes(len, fragment));
    vd_buf_add(out, voter, len - 1);
    vd_buf_add(out, fragment->data, fragment->len);
    vd_buf_add(out, voting_time, EL_VOTE_TIME_BYTES);
    vd_buf_add(out, tail, sizeof(tail) - 1);
}

enum { VOTER_ID, CANDIDATE_ID, VOTING_TIME, FIELDS };

static void find_text(const struct el_json_field *field, struct vd_buf *scratch, const char **text,
                      size_t *len)
{
    const size_t begin = scratch->len;

    *text = field->type == EL_JSON_STRING ? field->text : "";
    *len = field->type == EL_JSON_STRING ? field->len : 0;
    if (field->type == EL_JSON_STRING && field->is_escaped) {
        (void)el_json_unescape(field, scratch); /* half a pair matches no row */
        *text = scratch->data + begin;
        *len = scratch->len - begin;
    }
}

bool el_vote_read(const char *json, size_t len, struct vd_buf *scratch, struct el_vote *vote)
{
    struct el_json_field fields[FIELDS] = {[VOTER_ID] = {.path = "voter_id"},
                                           [CANDIDATE_ID] = {.path = "candidate_id"},
                                           [VOTING_TIME] = {.path = "voting_time"}};
    const char *time = NULL;
    size_t time_len = 0;

    if (json == NULL || el_json_scan(json, len, fields, FIELDS, NULL) != VD_OK) {
        return false;
    }
    vd_buf_clear(scratch);
    vd_buf_reserve(scratch, len); /* so that nothing in it moves */
    find_text(&fields[VOTER_ID], scratch, &vote->id, &vote->id_len);
    find_text(&fields[CANDIDATE_ID], scratch, &vote->candidate, &vote->candidate_len);
    find_text(&fields[VOTING_TIME], scratch, &time, &time_len);
    vote->second = -1;
    (void)el_vote_time_parse(time, time_len, &vote->second); /* none: no row says so either */
    return vote->id_len > 0;
}
