/* The dashboard's picture, as its API answers it, against what it is a picture of. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "audit.h"

#define KEY_BYTES 2048
#define VOTES 0 /* columns of the table of states; the others have the first one only */
#define REGISTERED 1

/* A picture that is being looked at. */
struct picture {
    cJSON *json; /* owned */
    int number;
};

/* A walk over the rows of one of its tables. */
struct walk {
    const cJSON *shape;  /* NULL: one of the tables whose texts the protocol names */
    const cJSON *texts;  /* [row, "text", ...]; NULL: no more */
    const cJSON *values; /* [row, n, ...], of the same row; NULL: no more */
};

/* What stands under all keys together, and how many are the same on all sides. */
struct sums {
    int64_t page, shown, rows, equal;
};

static cJSON *read_picture(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t cap = 0;
    ssize_t len = file != NULL ? getdelim(&text, &cap, '\0', file) : -1;
    cJSON *json = len > 0 ? cJSON_ParseWithLength(text, (size_t)len) : NULL;
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "type"));

    if (type == NULL || strcmp(type, "snapshot") != 0) {
        (void)fprintf(stderr, "vd_check: %s: expected the answer of /api/v1/snapshot\n", path);
        exit(2);
    }
    (void)fclose(file);
    free(text);
    return json;
}

static const cJSON *member(const struct picture *picture, const char *section, const char *table)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(picture->json, section);

    return cJSON_GetObjectItemCaseSensitive(object, table);
}

static struct walk walk_begin(const struct picture *picture, const char *table)
{
    const cJSON *texts = member(picture, "add", table);
    const cJSON *values = member(picture, "rows", table);

    return (struct walk){.shape = member(picture, "tables", table),
                         .texts = texts != NULL ? texts->child : NULL,
                         .values = values != NULL ? values->child : NULL};
}

static bool walk_has_row(const struct walk *walk)
{
    return walk->texts != NULL || walk->values != NULL;
}

static void walk_next(struct walk *walk)
{
    walk->texts = walk->texts != NULL ? walk->texts->next : NULL;
    walk->values = walk->values != NULL ? walk->values->next : NULL;
}

/* "": not known. */
static const char *text_at(const struct walk *walk, int n)
{
    const char *text = cJSON_GetStringValue(cJSON_GetArrayItem(walk->texts, n + 1));

    return text != NULL ? text : "";
}

/* -1: none, or of another row than the texts. */
static int64_t value_at(const struct walk *walk, int n)
{
    const cJSON *value = cJSON_GetArrayItem(walk->values, n + 1);
    const cJSON *row = cJSON_GetArrayItem(walk->values, 0);

    return cJSON_IsNumber(value) && cJSON_Compare(row, cJSON_GetArrayItem(walk->texts, 0), true)
               ? (int64_t)value->valuedouble
               : -1;
}

/* Which of a row's texts is named so; -1: none. */
static int find_text(const struct walk *walk, const char *name)
{
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(walk->shape, "texts");
    const cJSON *one;
    int n = 0;

    if (walk->shape == NULL) {
        return 0; /* the key is the first one */
    }
    cJSON_ArrayForEach(one, names)
    {
        if (cJSON_IsString(one) && strcmp(one->valuestring, name) == 0) {
            return n;
        }
        n++;
    }
    return -1;
}

/* The key under which the row's total is published. */
static void format_key(const struct walk *walk, const struct group *group, char key[KEY_BYTES])
{
    int first = find_text(walk, group->members[0]);
    int second = group->members[1] != NULL ? find_text(walk, group->members[1]) : -1;

    (void)snprintf(key, KEY_BYTES, "%s%s%s", first >= 0 ? text_at(walk, first) : "",
                   second >= 0 ? "/" : "", second >= 0 ? text_at(walk, second) : "");
}

static struct sums add_up(struct audit *audit, const struct recount *recount, const char *what)
{
    struct sums sums = {0};

    for (size_t i = 0; i < recount->keys.count; i++) {
        const struct tally *tally = &recount->tallies[i];

        sums.page += tally->page;
        sums.shown += tally->shown;
        sums.rows += tally->rows;
        if (tally->page == tally->shown && tally->page == tally->rows) {
            sums.equal++;
        } else {
            audit_explain(audit,
                          "%s, \"%s\": on the page %" PRId64 ", published %" PRId64
                          ", in PostgreSQL %" PRId64,
                          what, recount->keys.texts[i], tally->page, tally->shown, tally->rows);
        }
    }
    return sums;
}

/* ---- the tables ------------------------------------------------------------------------------ */

static void check_group(struct audit *audit, const struct picture *picture, int g)
{
    const struct group *group = &audit_groups[g];
    struct recount *recount = &audit->recounts[g];
    char key[KEY_BYTES];
    struct sums sums;

    for (size_t i = 0; i < recount->keys.count; i++) {
        recount->tallies[i].page = 0; /* another picture's */
    }
    for (struct walk walk = walk_begin(picture, group->name); walk_has_row(&walk);
         walk_next(&walk)) {
        format_key(&walk, group, key);
        audit_tally(recount, key)->page += value_at(&walk, VOTES);
    }
    sums = add_up(audit, recount, group->name);
    audit_report(audit, sums.page, sums.shown, "3 dashboard %d, %s: votes, in %s", picture->number,
                 group->name, group->topic);
    audit_report(audit, (int64_t)recount->keys.count, sums.equal,
                 "3 dashboard %d, %s: rows, as published and in PostgreSQL", picture->number,
                 group->name);
}

/* What a query counts by its first columns, if any; the number stands in its last one. */
static void read_counts(struct audit *audit, const char *sql, struct recount *recount)
{
    PGresult *result = PQexec(audit->sql, sql);
    char key[KEY_BYTES];

    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        (void)fprintf(stderr, "vd_check: %s\n", PQerrorMessage(audit->sql));
        exit(2);
    }
    for (int i = 0; i < PQntuples(result); i++) {
        struct tally *tally;
        int columns = PQnfields(result);
        size_t len = 0;

        key[0] = '\0';
        for (int c = 0; c < columns - 1; c++) {
            len += (size_t)snprintf(key + len, KEY_BYTES - len, "%s%s", c > 0 ? "/" : "",
                                    PQgetvalue(result, i, c));
        }
        tally = audit_tally(recount, key);
        tally->rows = tally->shown = strtoll(PQgetvalue(result, i, columns - 1), NULL, 10);
    }
    PQclear(result);
}

static void check_registered(struct audit *audit, const struct picture *picture)
{
    struct recount registered = {0};
    struct sums sums;

    read_counts(audit, "SELECT address_state, count(*) FROM voters GROUP BY 1", &registered);
    for (struct walk walk = walk_begin(picture, "state"); walk_has_row(&walk); walk_next(&walk)) {
        audit_tally(&registered, text_at(&walk, 0))->page += value_at(&walk, REGISTERED);
    }
    sums = add_up(audit, &registered, "registered");
    audit_report(audit, sums.page, sums.rows, "3 dashboard %d, state: registered, rows of voters",
                 picture->number);
    audit_report(audit, (int64_t)registered.keys.count, sums.equal,
                 "3 dashboard %d, state: rows, registered as in PostgreSQL", picture->number);
    audit_forget(&registered);
}

static void check_candidates(struct audit *audit, const struct picture *picture)
{
    struct recount candidates = {0};
    char key[KEY_BYTES];

    read_counts(audit,
                "SELECT candidate_id, candidate_name, party_affiliation, photo_url, 1"
                " FROM candidates",
                &candidates);
    for (struct walk walk = walk_begin(picture, "candidate"); walk_has_row(&walk);
         walk_next(&walk)) {
        (void)snprintf(key, sizeof(key), "%s/%s/%s/%s", text_at(&walk, 0), text_at(&walk, 1),
                       text_at(&walk, 2), text_at(&walk, 3));
        audit_tally(&candidates, key)->page++;
    }
    audit_report(audit, (int64_t)candidates.keys.count,
                 add_up(audit, &candidates, "candidates").equal,
                 "3 dashboard %d, candidate: rows, texts as in PostgreSQL", picture->number);
    audit_forget(&candidates);
}

static void check_sums(struct audit *audit, const struct picture *picture)
{
    static const struct {
        const char *name, *sql; /* NULL: what votes_topic has */
    } totals[] = {
        {"voters", "SELECT count(*) FROM voters"},
        {"candidates", "SELECT count(*) FROM candidates"},
        {"stored", "SELECT count(*) FROM votes"},
        {"counted", NULL},
    };
    struct walk walk = walk_begin(picture, "totals");

    for (int i = 0; i < (int)(sizeof(totals) / sizeof(totals[0])); i++) {
        struct recount recount = {0};
        int64_t expected = audit->votes;

        if (totals[i].sql != NULL) {
            read_counts(audit, totals[i].sql, &recount);
            expected = recount.tallies[0].rows;
        }
        audit_report(audit, value_at(&walk, i), expected, "3 dashboard %d, totals: %s, %s",
                     picture->number, totals[i].name,
                     totals[i].sql != NULL ? "rows in PostgreSQL" : "votes_topic");
        audit_forget(&recount);
    }
}

void audit_check_picture(struct audit *audit, const char *path, int number)
{
    struct picture picture = {.json = read_picture(path), .number = number};

    for (int g = 0; g < GROUPS; g++) {
        check_group(audit, &picture, g);
    }
    check_registered(audit, &picture);
    check_candidates(audit, &picture);
    check_sums(audit, &picture);
    cJSON_Delete(picture.json);
}
