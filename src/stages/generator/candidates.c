/* Candidates. */
#include "generator/candidates.h"

#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "alloc.h"
#include "election/schema.h"
#include "generator/people.h"
#include "hash.h"

VD_AUTO_KIND(cjson, cJSON *, cJSON_Delete)

#define PARTIES 3

static const char insert_sql[] =
    "INSERT INTO candidates (candidate_id, candidate_name, party_affiliation, biography,"
    " campaign_platform, photo_url)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])"
    " WHERE NOT EXISTS (SELECT FROM candidates) ON CONFLICT DO NOTHING";

static const char select_sql[] =
    "SELECT candidate_id, candidate_name, party_affiliation, biography, campaign_platform,"
    " photo_url FROM candidates ORDER BY candidate_id COLLATE \"C\"";

static const struct {
    const char *party, *biography, *platform;
} parties[PARTIES] = {
    {"Management Party",
     "Ran a regional hospital group for eleven years and balanced its books in the second one; "
     "later chaired the state's commission on public procurement.",
     "Budgets that are published before they are spent, shorter waiting lists, and one office that "
     "answers for each promise."},
    {"Savior Party",
     "Taught history for sixteen years, founded a network of neighbourhood kitchens, and came to "
     "politics after the flood that closed the school.",
     "Affordable homes, a living wage, and a relief fund that pays out within a week."},
    {"Tech Republic Party",
     "Wrote timetable software for railways, sold the company to its employees, and has sat on the "
     "city council since.",
     "Broadband in every village, open data by default, and public services that work on a "
     "telephone as they do at a counter."},
};

void gen_candidates_fini(struct gen_candidates *candidates)
{
    for (size_t i = 0; i < candidates->count; i++) {
        el_candidate_fini(&candidates->one[i]);
    }
    free(candidates->one);
    *candidates = (struct gen_candidates){.one = NULL};
}

static char *make_id(uint64_t high, uint64_t low)
{
    return vd_format("%08x-%04x-4%03x-%04x-%012llx", (unsigned)(high >> 32),
                     (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xfff),
                     (unsigned)(0x8000 | (low >> 48 & 0x3fff)),
                     (unsigned long long)(low & 0xffffffffffff));
}

void gen_candidates_make(const struct gen_conf *conf, struct gen_candidates *candidates)
{
    bool is_us = strcmp(conf->country, "us") == 0;
    const struct gen_people *people = is_us ? &gen_us_people : &gen_gb_people;
    struct vd_hash_key key = {.k0 = (uint64_t)conf->seed,
                              .k1 = 0x63616e64697400u |
                                    (is_us ? 0x01 : 0x02) /* "candi", and a salt */};

    candidates->count = PARTIES;
    candidates->one = vd_alloc_array(PARTIES, sizeof(*candidates->one));
    for (size_t i = 0; i < PARTIES; i++) {
        bool is_man = i % 2 == 0;
        const struct gen_names *firsts = is_man ? &people->men : &people->women;
        struct el_candidate *one = &candidates->one[i];
        uint64_t draw[4];

        for (size_t k = 0; k < 4; k++) {
            uint8_t input[2] = {(uint8_t)i, (uint8_t)k};

            draw[k] = vd_siphash(&key, input, sizeof(input));
        }
        one->id = make_id(draw[0], draw[1]);
        one->name = vd_format("%s %s", firsts->name[draw[2] % firsts->count],
                              people->families.name[(draw[2] >> 32) % people->families.count]);
        one->party = vd_strdup(parties[i].party);
        one->biography = vd_strdup(parties[i].biography);
        one->platform = vd_strdup(parties[i].platform);
        one->photo_url = vd_format("https://example.org/portraits/%s/%u.jpg",
                                   is_man ? "men" : "women", (unsigned)(draw[3] % 100));
    }
}

static void add_text(struct vd_buf *column, const char *text)
{
    vd_pg_array_add_text(column, text, strlen(text));
}

void gen_candidates_unit_init(struct gen_candidates_unit *unit, const struct gen_candidates *made)
{
    *unit = (struct gen_candidates_unit){.column = {{.data = NULL}}};
    for (size_t i = 0; i < GEN_CANDIDATE_COLUMNS; i++) {
        vd_pg_array_begin(&unit->column[i], VD_PG_TEXT);
    }
    for (size_t i = 0; i < made->count; i++) {
        const struct el_candidate *one = &made->one[i];

        add_text(&unit->column[0], one->id);
        add_text(&unit->column[1], one->name);
        add_text(&unit->column[2], one->party);
        add_text(&unit->column[3], one->biography);
        add_text(&unit->column[4], one->platform);
        add_text(&unit->column[5], one->photo_url);
    }
    for (size_t i = 0; i < GEN_CANDIDATE_COLUMNS; i++) {
        vd_pg_array_end(&unit->column[i]);
        unit->values[i] = vd_pg_array_value(&unit->column[i]);
    }
    unit->stmts[0] = (struct vd_pg_stmt){.sql = el_schema_lock_sql};
    unit->stmts[1] = (struct vd_pg_stmt){
        .sql = insert_sql, .values = unit->values, .count = GEN_CANDIDATE_COLUMNS};
    unit->stmts[GEN_CANDIDATES_SELECT] = (struct vd_pg_stmt){.sql = select_sql};
}

void gen_candidates_unit_fini(struct gen_candidates_unit *unit)
{
    for (size_t i = 0; i < GEN_CANDIDATE_COLUMNS; i++) {
        vd_buf_fini(&unit->column[i]);
    }
}

static char *get_text(const struct vd_pg_reply *reply, size_t row, size_t column)
{
    const char *text = vd_pg_reply_get(reply, GEN_CANDIDATES_SELECT, row, column, NULL);

    return vd_strdup(text != NULL ? text : "");
}

void gen_candidates_read(const struct vd_pg_reply *reply, struct gen_candidates *candidates)
{
    candidates->count = vd_pg_reply_rows(reply, GEN_CANDIDATES_SELECT);
    candidates->one = vd_alloc_array(candidates->count + 1, sizeof(*candidates->one));
    for (size_t i = 0; i < candidates->count; i++) {
        candidates->one[i] = (struct el_candidate){
            .id = get_text(reply, i, 0),
            .name = get_text(reply, i, 1),
            .party = get_text(reply, i, 2),
            .biography = get_text(reply, i, 3),
            .platform = get_text(reply, i, 4),
            .photo_url = get_text(reply, i, 5),
        };
    }
}

static void format_hash(const struct gen_candidates *candidates, char hash[17])
{
    static const struct vd_hash_key key = {.k0 = 0, .k1 = 0};
    VD_AUTO(buf) struct vd_buf all = {.data = NULL};

    for (size_t i = 0; i < candidates->count; i++) {
        el_candidate_format(&candidates->one[i], &all);
    }
    (void)snprintf(hash, 17, "%016llx", /* fits */
                   (unsigned long long)vd_siphash(&key, vd_buf_text(&all), all.len));
}

void gen_candidates_note(const struct gen_candidates *candidates, struct vd_buf *out)
{
    char hash[17];

    format_hash(candidates, hash);
    vd_buf_printf(out, "{\"complete\":true,\"hash\":\"%s\",\"candidates\":[", hash);
    for (size_t i = 0; i < candidates->count; i++) {
        vd_buf_add_text(out, i > 0 ? "," : "");
        vd_buf_add_json(out, candidates->one[i].id, strlen(candidates->one[i].id));
    }
    vd_buf_add_text(out, "]}");
}

static bool has_id(const struct gen_candidates *candidates, const char *id)
{
    for (size_t i = 0; i < candidates->count; i++) {
        if (strcmp(candidates->one[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}

enum gen_candidates_verdict gen_candidates_compare(const struct gen_candidates *candidates,
                                                   const char *note, size_t len)
{
    VD_AUTO(cjson) cJSON *tree = cJSON_ParseWithLength(note, len);
    const cJSON *ids = cJSON_GetObjectItemCaseSensitive(tree, "candidates");
    const cJSON *known = cJSON_GetObjectItemCaseSensitive(tree, "hash");
    const cJSON *id;
    char hash[17];

    if (!cJSON_IsArray(ids)) {
        return GEN_CANDIDATES_OTHER;
    }
    cJSON_ArrayForEach(id, ids)
    {
        if (!cJSON_IsString(id) || !has_id(candidates, id->valuestring)) {
            return GEN_CANDIDATES_OTHER;
        }
    }
    if ((size_t)cJSON_GetArraySize(ids) < candidates->count) {
        return GEN_CANDIDATES_MORE;
    }
    format_hash(candidates, hash);
    return cJSON_IsString(known) && strcmp(known->valuestring, hash) == 0 ? GEN_CANDIDATES_SAME
                                                                          : GEN_CANDIDATES_CHANGED;
}
