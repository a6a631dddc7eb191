/* The synthetic electorate: repeatable, unique, plausible. */
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "alloc.h"
#include "generator/people.h"
#include "generator/places.h"
#include "generator/source.h"
#include "generator/source_synthetic.h"
#include "hash.h"

/* Hashes over the first 10,000 voters. */
#define GOLDEN_US 0x55486072dc543f37u
#define GOLDEN_GB 0xcfd46d74e6589ba5u

static struct gen_conf make_conf(const char *country)
{
    static char us[] = "us", gb[] = "gb", day[] = "2026-11-03", synthetic[] = "synthetic";

    return (struct gen_conf){.source = synthetic,
                             .voters = 1000,
                             .seed = 2024,
                             .country = strcmp(country, "us") == 0 ? us : gb,
                             .election_day = day,
                             .shards = 1};
}

static struct gen_synthetic *make(const struct gen_conf *conf)
{
    struct gen_synthetic *synthetic = NULL;
    struct vd_err err = {0};

    assert_int_equal(gen_synthetic_new(conf, &synthetic, &err), VD_OK);
    return synthetic;
}

/* A hash over the records of the first 'count' voters. */
static uint64_t hash_of(const struct gen_conf *conf, int64_t count)
{
    struct gen_synthetic *synthetic = make(conf);
    struct vd_hash_key key = {0};
    struct vd_buf out = {0};

    for (int64_t i = 0; i < count; i++) {
        struct gen_scratch scratch;
        struct el_voter voter;

        gen_synthetic_voter(synthetic, i, &scratch, &voter);
        vd_buf_clear(&out);
        el_voter_format(&voter, &out);
        key.k0 = vd_siphash(&key, out.data, out.len);
    }
    vd_buf_fini(&out);
    gen_synthetic_free(synthetic);
    return key.k0;
}

/* Whoever changes one of these numbers makes every electorate a different one. */
TEST(same_seed_makes_the_same_bytes_for_ever)
{
    struct gen_conf us = make_conf("us"), gb = make_conf("gb");

    assert_int_equal(hash_of(&us, 10000), GOLDEN_US);
    assert_int_equal(hash_of(&gb, 10000), GOLDEN_GB);
}

TEST(other_seed_or_country_shares_no_voter)
{
    struct gen_conf conf[3] = {make_conf("us"), make_conf("us"), make_conf("gb")};
    char ids[3][37] = {""};

    conf[1].seed = 2025;
    for (size_t i = 0; i < 3; i++) {
        struct gen_synthetic *synthetic = make(&conf[i]);
        struct gen_scratch scratch;
        struct el_voter voter;

        gen_synthetic_voter(synthetic, 0, &scratch, &voter);
        memcpy(ids[i], voter.text[EL_VOTER_ID].data, 36);
        gen_synthetic_free(synthetic);
    }
    assert_string_not_equal(ids[0], ids[1]);
    assert_string_not_equal(ids[0], ids[2]);
    assert_string_not_equal(ids[1], ids[2]);
}

struct key {
    char id[36], registration[14];
};

static int by_id(const void *a, const void *b)
{
    return memcmp(((const struct key *)a)->id, ((const struct key *)b)->id, 36);
}

static int by_registration(const void *a, const void *b)
{
    return memcmp(((const struct key *)a)->registration + 3,
                  ((const struct key *)b)->registration + 3, 10);
}

TEST(ids_and_registration_numbers_of_a_million_are_unique)
{
    const size_t count = 1000000;
    struct gen_conf conf = make_conf("us");
    struct gen_synthetic *synthetic = make(&conf);
    struct key *keys = vd_alloc_array(count, sizeof(*keys));

    for (size_t i = 0; i < count; i++) {
        struct gen_scratch scratch;
        struct el_voter voter;

        gen_synthetic_voter(synthetic, (int64_t)i, &scratch, &voter);
        assert_int_equal(voter.text[EL_VOTER_ID].len, 36);
        assert_int_equal(voter.text[EL_VOTER_REGISTRATION].len, 13);
        memcpy(keys[i].id, voter.text[EL_VOTER_ID].data, 36);
        memcpy(keys[i].registration, voter.text[EL_VOTER_REGISTRATION].data, 13);
    }
    qsort(keys, count, sizeof(*keys), by_id);
    for (size_t i = 1; i < count; i++) {
        assert_true(by_id(&keys[i - 1], &keys[i]) < 0);
    }
    qsort(keys, count, sizeof(*keys), by_registration);
    for (size_t i = 1; i < count; i++) {
        assert_true(by_registration(&keys[i - 1], &keys[i]) < 0);
    }
    free(keys);
    gen_synthetic_free(synthetic);
}

static size_t find_region(const struct gen_region *regions, size_t count,
                          const struct el_text *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(regions[i].name) == name->len &&
            memcmp(regions[i].name, name->data, name->len) == 0) {
            return i;
        }
    }
    return count;
}

/* Chi-square of the regions' shares; its mean is the number of regions - 1, its standard deviation
 * sqrt(2 * that): five of them are never reached by chance. */
static void check_regions(const char *country, const struct gen_region *regions, size_t count)
{
    const int64_t voters = 500000;
    struct gen_conf conf = make_conf(country);
    struct gen_synthetic *synthetic = make(&conf);
    double seen[80] = {0}, total = 0, chi = 0;

    for (int64_t i = 0; i < voters; i++) {
        struct gen_scratch scratch;
        struct el_voter voter;
        size_t at;

        gen_synthetic_voter(synthetic, i, &scratch, &voter);
        at = find_region(regions, count, &voter.text[EL_VOTER_STATE]);
        assert_true(at < count);
        seen[at]++;
    }
    for (size_t i = 0; i < count; i++) {
        total += regions[i].thousands;
    }
    for (size_t i = 0; i < count; i++) {
        double expected = (double)voters * regions[i].thousands / total;

        chi += (seen[i] - expected) * (seen[i] - expected) / expected;
    }
    assert_true(chi < (double)(count - 1) + 5 * sqrt(2.0 * (double)(count - 1)));
    gen_synthetic_free(synthetic);
}

TEST(regions_have_their_share_of_the_population)
{
    assert_int_equal(gen_us_region_count, 51);
    check_regions("us", gen_us_regions, gen_us_region_count);
    check_regions("gb", gen_gb_regions, gen_gb_region_count);
}

TEST(ages_fit_birth_dates_and_the_country)
{
    const int voters = 200000;
    struct gen_conf conf = make_conf("us");
    struct gen_synthetic *synthetic = make(&conf);
    const struct el_date day = {.year = 2026, .month = 11, .day = 3};
    int seen[GEN_AGE_MAX + 1] = {0}, women = 0, young = 0, old = 0;

    for (int i = 0; i < voters; i++) {
        struct gen_scratch scratch;
        struct el_voter voter;
        struct el_date birth = {0};
        struct vd_err err = {0};

        gen_synthetic_voter(synthetic, i, &scratch, &voter);
        assert_int_equal(voter.text[EL_VOTER_BIRTH].len, 24);
        assert_int_equal(el_date_parse(voter.text[EL_VOTER_BIRTH].data, 24, &birth, &err), VD_OK);
        assert_int_equal(el_date_age(&birth, &day), voter.registered_age);
        assert_in_range(voter.registered_age, GEN_AGE_MIN, GEN_AGE_MAX);
        seen[voter.registered_age]++;
        women += voter.text[EL_VOTER_GENDER].len == 6;
    }
    for (int age = GEN_AGE_MIN; age <= GEN_AGE_MAX; age++) {
        assert_true(seen[age] > 0);
        young += age < 30 ? seen[age] : 0;
        old += age >= 65 ? seen[age] : 0;
    }
    assert_in_range(women, voters * 505 / 1000, voters * 519 / 1000);
    assert_in_range(young, voters * 19 / 100, voters * 22 / 100);
    assert_in_range(old, voters * 20 / 100, voters * 24 / 100);
    gen_synthetic_free(synthetic);
}

/* Leap days on either side of the age. */
TEST(every_age_is_right_whatever_the_election_day)
{
    static const char *const days[] = {"2028-02-29", "2026-03-01", "2027-02-28", "2026-01-01",
                                       "2028-12-31"};

    for (size_t k = 0; k < sizeof(days) / sizeof(days[0]); k++) {
        struct gen_conf conf = make_conf("gb");
        char text[11];
        struct gen_synthetic *synthetic;
        struct el_date day = {0};
        struct vd_err err = {0};

        (void)snprintf(text, sizeof(text), "%s", days[k]);
        conf.election_day = text;
        synthetic = make(&conf);
        assert_int_equal(el_date_parse(days[k], 10, &day, &err), VD_OK);
        for (int64_t i = 0; i < 50000; i++) {
            struct gen_scratch scratch;
            struct el_voter voter;
            struct el_date birth = {0};

            gen_synthetic_voter(synthetic, i, &scratch, &voter);
            assert_int_equal(el_date_parse(voter.text[EL_VOTER_BIRTH].data, 24, &birth, &err),
                             VD_OK);
            assert_int_equal(el_date_age(&birth, &day), voter.registered_age);
        }
        gen_synthetic_free(synthetic);
    }
}

TEST(election_day_that_is_none_is_rejected)
{
    struct gen_conf conf = make_conf("us");
    char text[] = "2026-02-30";
    struct gen_synthetic *synthetic = NULL;
    struct vd_err err = {0};

    conf.election_day = text;
    assert_int_equal(gen_synthetic_new(&conf, &synthetic, &err), VD_INVALID);
    assert_string_equal(
        err.msg, "option \"election_day\": \"2026-02-30\" is no day of the years 1800 to 2200");
}

TEST(every_voter_is_valid_json_and_fits_the_table)
{
    static const char *const countries[] = {"us", "gb"};

    for (size_t k = 0; k < 2; k++) {
        struct gen_conf conf = make_conf(countries[k]);
        struct gen_synthetic *synthetic = make(&conf);
        struct vd_buf out = {0};

        for (int64_t i = 0; i < 20000; i++) {
            int64_t sequence = i < 10000 ? i : GEN_SEQUENCE_MAX - i;
            struct gen_scratch scratch;
            struct el_voter voter;
            struct vd_err err = {0};
            cJSON *json;

            gen_synthetic_voter(synthetic, sequence, &scratch, &voter);
            assert_int_equal(el_voter_check(&voter, &err), VD_OK);
            for (size_t t = 0; t < EL_VOTER_TEXTS; t++) {
                assert_true(voter.text[t].len > 0);
            }
            vd_buf_clear(&out);
            el_voter_format(&voter, &out);
            json = cJSON_ParseWithLength(out.data, out.len);
            assert_int_equal(cJSON_GetArraySize(json), 12);
            cJSON_Delete(json);
        }
        vd_buf_fini(&out);
        gen_synthetic_free(synthetic);
    }
}

static bool matches(const char *text, size_t len, const char *pattern)
{
    for (size_t i = 0; i < len; i++) {
        if (pattern[i] == '#' ? text[i] < '0' || text[i] > '9' : text[i] != pattern[i]) {
            return false;
        }
    }
    return pattern[len] == '\0';
}

TEST(telephone_numbers_are_fictitious_ones)
{
    struct gen_conf conf = make_conf("us");
    struct gen_synthetic *synthetic = make(&conf);

    for (int64_t i = 0; i < 10000; i++) {
        struct gen_scratch scratch;
        struct el_voter voter;

        gen_synthetic_voter(synthetic, i, &scratch, &voter);
        assert_true(matches(voter.text[EL_VOTER_PHONE].data, voter.text[EL_VOTER_PHONE].len,
                            "(###) 555-01##"));
        assert_true(matches(voter.text[EL_VOTER_POSTCODE].data, voter.text[EL_VOTER_POSTCODE].len,
                            "#####"));
    }
    gen_synthetic_free(synthetic);
    conf = make_conf("gb");
    synthetic = make(&conf);
    for (int64_t i = 0; i < 10000; i++) {
        struct gen_scratch scratch;
        struct el_voter voter;

        gen_synthetic_voter(synthetic, i, &scratch, &voter);
        assert_true(
            matches(voter.text[EL_VOTER_CELL].data, voter.text[EL_VOTER_CELL].len, "07700 900###"));
    }
    gen_synthetic_free(synthetic);
}

TEST(id_has_the_form_of_a_random_uuid)
{
    struct gen_conf conf = make_conf("us");
    struct gen_synthetic *synthetic = make(&conf);

    for (int64_t i = 0; i < 1000; i++) {
        struct gen_scratch scratch;
        struct el_voter voter;
        const char *id;

        gen_synthetic_voter(synthetic, i, &scratch, &voter);
        id = voter.text[EL_VOTER_ID].data;
        assert_int_equal(voter.text[EL_VOTER_ID].len, 36);
        assert_true(id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-');
        assert_true(id[14] == '4');
        assert_non_null(strchr("89ab", id[19]));
    }
    gen_synthetic_free(synthetic);
}

/* ---- as a source --------------------------------------------------------------------------- */

static void read_all(const struct gen_conf *conf, int64_t max, struct vd_buf *out)
{
    struct gen_source_host host = {.conf = conf};
    struct gen_source *source = gen_synthetic_source.create(&host);
    struct gen_page page = {0};
    struct gen_place place = {0};
    struct vd_err err = {0};

    assert_int_equal(gen_synthetic_source.open(source, &err), VD_OK);
    while (!page.is_last) {
        gen_page_clear(&page);
        assert_int_equal(gen_synthetic_source.read(source, &place, max, &page, &err), VD_OK);
        for (size_t i = 0; i < page.message_count; i++) {
            vd_buf_add(out, page.text.data + page.messages[i].value.at, page.messages[i].value.len);
            vd_buf_add_char(out, '\n');
        }
        place = page.after;
    }
    gen_page_fini(&page);
    gen_synthetic_source.release(source);
}

TEST(stream_is_the_same_in_pages_of_any_size)
{
    struct gen_conf conf = make_conf("us");
    struct vd_buf whole = {0};

    read_all(&conf, 10000, &whole);
    for (int64_t max = 1; max < 1000; max = max * 3 + 1) {
        struct vd_buf paged = {0};

        read_all(&conf, max, &paged);
        assert_int_equal(paged.len, whole.len);
        assert_memory_equal(paged.data, whole.data, whole.len);
        vd_buf_fini(&paged);
    }
    vd_buf_fini(&whole);
}

TEST(more_voters_begin_with_the_same_ones)
{
    struct gen_conf conf = make_conf("us");
    struct vd_buf few = {0}, many = {0};

    read_all(&conf, 100, &few);
    conf.voters = 1500;
    read_all(&conf, 100, &many);
    assert_true(many.len > few.len);
    assert_memory_equal(many.data, few.data, few.len);
    vd_buf_fini(&few);
    vd_buf_fini(&many);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines of 'buf', sorted; they point into it. */
static size_t sort_lines(struct vd_buf *buf, char **lines)
{
    char *rest = vd_buf_text(buf), *line;
    size_t count = 0;

    while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
        lines[count++] = line;
    }
    qsort(lines, count, sizeof(*lines), by_text);
    return count;
}

TEST(shards_together_make_the_whole_electorate)
{
    struct gen_conf conf = make_conf("us");
    struct vd_buf whole = {0}, parts = {0};
    static char *one[1000], *other[1000]; /* too large for the stack */

    read_all(&conf, 1000, &whole);
    conf.shards = 7;
    for (conf.shard = 0; conf.shard < 7; conf.shard++) {
        read_all(&conf, 13, &parts);
    }
    assert_int_equal(sort_lines(&whole, one), 1000);
    assert_int_equal(sort_lines(&parts, other), 1000);
    for (size_t i = 0; i < 1000; i++) {
        assert_string_equal(one[i], other[i]);
    }
    vd_buf_fini(&whole);
    vd_buf_fini(&parts);
}

TEST(shard_beyond_the_last_is_rejected)
{
    struct gen_conf conf = make_conf("us");
    struct vd_err err = {0};

    conf.shards = 2;
    conf.shard = 2;
    assert_int_equal(gen_synthetic_source.check(&conf, &err), VD_INVALID);
    assert_string_equal(err.msg, "option \"shard\": with shards = 2 it must be 0 to 1, got 2");
}

RUN_TESTS(cmocka_unit_test(same_seed_makes_the_same_bytes_for_ever),
          cmocka_unit_test(other_seed_or_country_shares_no_voter),
          cmocka_unit_test(ids_and_registration_numbers_of_a_million_are_unique),
          cmocka_unit_test(regions_have_their_share_of_the_population),
          cmocka_unit_test(ages_fit_birth_dates_and_the_country),
          cmocka_unit_test(every_age_is_right_whatever_the_election_day),
          cmocka_unit_test(election_day_that_is_none_is_rejected),
          cmocka_unit_test(every_voter_is_valid_json_and_fits_the_table),
          cmocka_unit_test(telephone_numbers_are_fictitious_ones),
          cmocka_unit_test(id_has_the_form_of_a_random_uuid),
          cmocka_unit_test(stream_is_the_same_in_pages_of_any_size),
          cmocka_unit_test(more_voters_begin_with_the_same_ones),
          cmocka_unit_test(shards_together_make_the_whole_electorate),
          cmocka_unit_test(shard_beyond_the_last_is_rejected))
