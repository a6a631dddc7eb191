/* From a register's columns to voters. */
#include "generator/mapping.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "opt.h"

#define BLANKS " \t"

const char *gen_member_name(size_t member)
{
    return member < EL_VOTER_TEXTS ? el_voter_text_name((enum el_voter_text)member)
                                   : "registered_age";
}

static size_t find_member(const char *name)
{
    size_t member = 0;

    while (member < GEN_MEMBERS && strcmp(gen_member_name(member), name) != 0) {
        member++;
    }
    return member;
}

static enum vd_status unknown_member(const char *name, struct vd_err *err)
{
    const char *names[GEN_MEMBERS];
    const char *nearest;

    for (size_t i = 0; i < GEN_MEMBERS; i++) {
        names[i] = gen_member_name(i);
    }
    nearest = vd_nearest(name, names, GEN_MEMBERS);
    return vd_fail(err, VD_INVALID, "option \"columns\": a voter has no \"%s\"%s%s%s", name,
                   nearest != NULL ? ", did you mean \"" : "", nearest != NULL ? nearest : "",
                   nearest != NULL ? "\"?" : "");
}

/* Cut blanks off both ends, in place. */
static char *trim(char *text)
{
    size_t len;

    text += strspn(text, BLANKS);
    len = strlen(text);
    while (len > 0 && strchr(BLANKS, text[len - 1]) != NULL) {
        text[--len] = '\0';
    }
    return text;
}

static enum vd_status parse_pair(char *pair, struct gen_mapping *mapping, struct vd_err *err)
{
    char *colon = strchr(pair, ':');
    const char *name;
    size_t member;

    if (colon == NULL) {
        return vd_fail(err, VD_INVALID, "option \"columns\": \"%s\" is not MEMBER:COLUMN",
                       trim(pair));
    }
    *colon = '\0';
    name = trim(pair);
    member = find_member(name);
    if (member == GEN_MEMBERS) {
        return unknown_member(name, err);
    }
    if (mapping->is_chosen[member]) {
        return vd_fail(err, VD_INVALID, "option \"columns\": \"%s\" stands there twice", name);
    }
    free(mapping->column[member]);
    mapping->column[member] = vd_strdup(trim(colon + 1));
    mapping->is_chosen[member] = true;
    return mapping->column[member][0] != '\0'
               ? VD_OK
               : vd_fail(err, VD_INVALID, "option \"columns\": \"%s\" has no column", name);
}

enum vd_status gen_mapping_parse(const char *text, struct gen_mapping *mapping, struct vd_err *err)
{
    VD_AUTO(mem) char *copy = vd_strdup(text);
    char *rest = copy, *pair;

    *mapping = (struct gen_mapping){.column = {NULL}};
    for (size_t i = 0; i < GEN_MEMBERS; i++) {
        mapping->column[i] = vd_strdup(gen_member_name(i));
    }
    while ((pair = strsep(&rest, ",")) != NULL) {
        if (*trim(pair) != '\0' && parse_pair(pair, mapping, err) != VD_OK) {
            return VD_INVALID;
        }
    }
    return VD_OK;
}

void gen_mapping_fini(struct gen_mapping *mapping)
{
    for (size_t i = 0; i < GEN_MEMBERS; i++) {
        free(mapping->column[i]);
    }
    *mapping = (struct gen_mapping){.column = {NULL}};
}

static bool is_word(const struct el_text *text, const char *word)
{
    return text->len == strlen(word) && strncasecmp(text->data, word, text->len) == 0;
}

static void normalise_gender(struct el_text *gender)
{
    if (is_word(gender, "f") || is_word(gender, "female")) {
        *gender = (struct el_text){.data = "female", .len = 6};
    } else if (is_word(gender, "m") || is_word(gender, "male")) {
        *gender = (struct el_text){.data = "male", .len = 4};
    }
}

static enum vd_status parse_age(const struct el_text *text, int32_t *age, struct vd_err *err)
{
    int32_t number = 0;

    if (text->len == 0) {
        return vd_fail(err, VD_INVALID, "neither date_of_birth nor registered_age");
    }
    for (size_t i = 0; i < text->len; i++) {
        if (text->data[i] < '0' || text->data[i] > '9' || text->len > 3) {
            return vd_fail(err, VD_INVALID, "registered_age: \"%.*s\" is no whole number of years",
                           text->len < 40 ? (int)text->len : 40, text->data);
        }
        number = number * 10 + (text->data[i] - '0');
    }
    *age = number;
    return VD_OK;
}

static enum vd_status complete_birth(struct el_text *birth, const struct el_date *election_day,
                                     struct gen_completion *completion, int32_t *age,
                                     struct vd_err *err)
{
    struct el_date date;

    if (el_date_parse(birth->data, birth->len, &date, err) != VD_OK) {
        return vd_fail_in(err, "date_of_birth");
    }
    if (birth->len == 10) {
        int len = snprintf(completion->birth, sizeof(completion->birth), "%.10sT00:00:00.000Z",
                           birth->data);

        *birth = (struct el_text){.data = completion->birth, .len = (size_t)len};
    }
    *age = el_date_age(&date, election_day);
    return *age >= 0
               ? VD_OK
               : vd_fail(err, VD_INVALID, "date_of_birth: %04d-%02d-%02d is after the election",
                         date.year, date.month, date.day);
}

enum vd_status gen_voter_complete(const struct el_text values[GEN_MEMBERS],
                                  const struct el_date *election_day,
                                  struct gen_completion *completion, struct el_voter *voter,
                                  struct vd_err *err)
{
    struct el_text *birth = &voter->text[EL_VOTER_BIRTH];

    for (size_t i = 0; i < EL_VOTER_TEXTS; i++) {
        voter->text[i] = values[i].data != NULL ? values[i] : (struct el_text){.data = ""};
    }
    normalise_gender(&voter->text[EL_VOTER_GENDER]);
    if (birth->len == 0 ? parse_age(&values[GEN_MEMBER_AGE], &voter->registered_age, err) != VD_OK
                        : complete_birth(birth, election_day, completion, &voter->registered_age,
                                         err) != VD_OK) {
        return err != NULL ? err->status : VD_INVALID;
    }
    return el_voter_check(voter, err);
}
