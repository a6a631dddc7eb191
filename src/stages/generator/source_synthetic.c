/* The synthetic source. Integers only, so that every machine makes the same electorate. */
#include "generator/source_synthetic.h"

#include <assert.h>
#include <string.h>

#include "alloc.h"
#include "generator/people.h"
#include "generator/places.h"
#include "generator/source.h"
#include "hash.h"

/* A name as it is, and as it stands in an e-mail address. */
struct name {
    struct el_text text;
    char *login; /* owned; lower-case ASCII letters */
    size_t login_len;
};

struct names {
    struct name *name; /* owned */
    size_t count;
};

#define REGIONS_MAX 80

struct gen_synthetic {
    struct vd_hash_key key;
    bool is_us;
    struct el_date election_day;
    struct names men, women, families;
    const struct gen_people *people;
    const struct gen_region *regions;
    size_t region_count;
    uint32_t region_end[REGIONS_MAX];                /* running sums of the weights */
    uint32_t city_end[REGIONS_MAX][GEN_CITIES_MAX];  /* likewise inside each region */
    uint32_t age_end[GEN_AGE_MAX + 1 - GEN_AGE_MIN]; /* likewise, per year of age */
};

/* ---- random numbers ------------------------------------------------------------------------ */

/* SplitMix64 (Steele, Lea, Flood 2014): one state a voter, so that none depends on another. */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* 0 to below - 1, by multiplication: biased by less than below / 2^32,
 * which no test here can see. */
static uint32_t draw_below(uint64_t *state, uint32_t below)
{
    return (uint32_t)((draw(state) >> 32) * below >> 32);
}

/* Index of the slot that a draw falls into, with slot i ending at end[i]. */
static size_t draw_slot(uint64_t *state, const uint32_t *end, size_t count)
{
    uint32_t at = draw_below(state, end[count - 1]);
    size_t low = 0, high = count - 1;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (at < end[middle]) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* ---- text ---------------------------------------------------------------------------------- */

static void put(struct gen_scratch *scratch, const char *bytes, size_t len)
{
    assert(len <= sizeof(scratch->bytes) - scratch->len); /* the tables are ours */
    memcpy(scratch->bytes + scratch->len, bytes, len);
    scratch->len += len;
}

static void put_text(struct gen_scratch *scratch, const char *text)
{
    put(scratch, text, strlen(text));
}

static void put_char(struct gen_scratch *scratch, char c)
{
    put(scratch, &c, 1);
}

/* In decimal with leading zeros, or without for digits = 0. */
static void put_number(struct gen_scratch *scratch, uint64_t number, size_t digits)
{
    char text[20];
    size_t at = sizeof(text);

    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0 || sizeof(text) - at < digits);
    put(scratch, text + at, sizeof(text) - at);
}

static void begin(struct gen_scratch *scratch, struct el_text *text)
{
    text->data = scratch->bytes + scratch->len;
}

static void end(struct gen_scratch *scratch, struct el_text *text)
{
    text->len = (size_t)(scratch->bytes + scratch->len - text->data);
}

static struct el_text text_of(const char *text)
{
    return (struct el_text){.data = text, .len = strlen(text)};
}

/* ---- set-up -------------------------------------------------------------------------------- */

/* The lower-case letter that stands for a letter of Latin-1 (U+00C0 to U+00FF) in an address. */
static char fold_latin1(uint8_t low)
{
    static const char folded[] = "aaaaaaaceeeeiiiidnooooo_ouuuuytsaaaaaaaceeeeiiiidnooooo_ouuuuyty";

    return folded[low - 0xc0];
}

static void fold(struct name *name)
{
    char *out = name->login = vd_alloc(name->text.len + 1);

    for (const char *at = name->text.data; *at != '\0'; at++) {
        if ((uint8_t)*at == 0xc3) { /* U+00C0 to U+00FF: c3 80 to c3 bf */
            *out++ = fold_latin1((uint8_t)(*++at + 0x40));
        } else if ((*at | 0x20) >= 'a' && (*at | 0x20) <= 'z') {
            *out++ = (char)(*at | 0x20);
        }
    }
    name->login_len = (size_t)(out - name->login);
}

static void names_init(struct names *names, const struct gen_names *list)
{
    names->count = list->count;
    names->name = vd_alloc_array(list->count, sizeof(*names->name));
    for (size_t i = 0; i < list->count; i++) {
        names->name[i].text = text_of(list->name[i]);
        fold(&names->name[i]);
    }
}

static void names_fini(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->name[i].login);
    }
    free(names->name);
}

static void places_init(struct gen_synthetic *synthetic)
{
    uint32_t sum = 0;

    assert(synthetic->region_count <= REGIONS_MAX);
    for (size_t i = 0; i < synthetic->region_count; i++) {
        const struct gen_region *region = &synthetic->regions[i];
        uint32_t city_sum = 0;

        sum += region->thousands;
        synthetic->region_end[i] = sum;
        for (size_t k = 0; k < GEN_CITIES_MAX; k++) {
            city_sum += region->cities[k].name != NULL ? region->cities[k].thousands : 0;
            synthetic->city_end[i][k] = city_sum;
        }
    }
}

/* A group's people are spread evenly over its years; above 80 each year has fewer than the one
 * before, as in life tables: the groups are narrow enough to leave that out. */
static void ages_init(struct gen_synthetic *synthetic)
{
    const struct gen_people *people = synthetic->people;
    uint32_t sum = 0;

    for (size_t i = 0; i < people->age_groups; i++) {
        int first = people->ages[i].first;
        int last = i + 1 < people->age_groups ? people->ages[i + 1].first - 1 : GEN_AGE_MAX;

        for (int age = first; age <= last; age++) {
            sum += people->ages[i].thousands / (uint32_t)(last - first + 1);
            synthetic->age_end[age - GEN_AGE_MIN] = sum;
        }
    }
}

enum vd_status gen_synthetic_new(const struct gen_conf *conf, struct gen_synthetic **synthetic,
                                 struct vd_err *err)
{
    struct gen_synthetic *made;
    struct el_date day;

    if (el_date_parse(conf->election_day, strlen(conf->election_day), &day, err) != VD_OK) {
        return vd_fail_in(err, "option \"election_day\"");
    }
    made = vd_alloc(sizeof(*made));
    made->is_us = strcmp(conf->country, "us") == 0;
    /* "voter", and the country, so that two electorates of one seed never share an id */
    made->key = (struct vd_hash_key){.k0 = (uint64_t)conf->seed,
                                     .k1 = 0x766f74657200u | (made->is_us ? 0x01 : 0x02)};
    made->election_day = day;
    made->people = made->is_us ? &gen_us_people : &gen_gb_people;
    made->regions = made->is_us ? gen_us_regions : gen_gb_regions;
    made->region_count = made->is_us ? gen_us_region_count : gen_gb_region_count;
    names_init(&made->men, &made->people->men);
    names_init(&made->women, &made->people->women);
    names_init(&made->families, &made->people->families);
    places_init(made);
    ages_init(made);
    *synthetic = made;
    return VD_OK;
}

void gen_synthetic_free(struct gen_synthetic *synthetic)
{
    if (synthetic == NULL) {
        return;
    }
    names_fini(&synthetic->men);
    names_fini(&synthetic->women);
    names_fini(&synthetic->families);
    free(synthetic);
}

/* ---- one voter ----------------------------------------------------------------------------- */

/* A UUID of version 4 by its form; its 122 bits are a keyed hash of the sequence.
 * Returns: where the voter's random numbers begin. */
static uint64_t put_id(const struct gen_synthetic *synthetic, int64_t sequence,
                       struct gen_scratch *scratch, struct el_text *text)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t input[9] = {0};
    uint64_t half[2], state;

    for (unsigned i = 0; i < 8; i++) {
        input[i] = (uint8_t)((uint64_t)sequence >> (8 * i));
    }
    half[0] = vd_siphash(&synthetic->key, input, sizeof(input));
    input[8] = 1;
    half[1] = vd_siphash(&synthetic->key, input, sizeof(input));
    state = half[0] + half[1];
    half[0] = (half[0] & ~(uint64_t)0xf000) | 0x4000;
    half[1] = (half[1] & ~((uint64_t)0xc0 << 56)) | (uint64_t)0x80 << 56;

    begin(scratch, text);
    for (unsigned i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20) {
            put_char(scratch, '-');
        }
        put_char(scratch, hex[half[i / 16] >> (60 - 4 * (i % 16)) & 0xf]);
    }
    end(scratch, text);
    return state;
}

static void put_birth(uint64_t *state, const struct el_date *birth, struct gen_scratch *scratch,
                      struct el_text *text)
{
    uint32_t ms = draw_below(state, 86400000);

    begin(scratch, text);
    put_number(scratch, (uint64_t)birth->year, 4);
    put_char(scratch, '-');
    put_number(scratch, (uint64_t)birth->month, 2);
    put_char(scratch, '-');
    put_number(scratch, (uint64_t)birth->day, 2);
    put_char(scratch, 'T');
    put_number(scratch, ms / 3600000, 2);
    put_char(scratch, ':');
    put_number(scratch, ms / 60000 % 60, 2);
    put_char(scratch, ':');
    put_number(scratch, ms / 1000 % 60, 2);
    put_char(scratch, '.');
    put_number(scratch, ms % 1000, 3);
    put_char(scratch, 'Z');
    end(scratch, text);
}

/* The day 'years' before 'day'; 28 February for a 29th that is not there. */
static int64_t days_before(const struct el_date *day, int years)
{
    struct el_date then = {.year = day->year - years, .month = day->month, .day = day->day};
    struct el_date real = el_date_of_days(el_date_days(&then));

    if (real.month != then.month) {
        then.day--;
    }
    return el_date_days(&then);
}

/* An age as the country has them, and a birthday anywhere in the year that gives it. */
static void make_birth(const struct gen_synthetic *synthetic, uint64_t *state,
                       struct gen_scratch *scratch, struct el_voter *voter)
{
    int age =
        GEN_AGE_MIN + (int)draw_slot(state, synthetic->age_end,
                                     sizeof(synthetic->age_end) / sizeof(synthetic->age_end[0]));
    int64_t last = days_before(&synthetic->election_day, age);
    int64_t first = days_before(&synthetic->election_day, age + 1) + 1;
    struct el_date birth = el_date_of_days(first + draw_below(state, (uint32_t)(last - first + 1)));

    put_birth(state, &birth, scratch, &voter->text[EL_VOTER_BIRTH]);
    voter->registered_age = age;
}

/* Ten digits that no other sequence has: 987654323 is odd and no multiple of 5, so multiplying by
 * it permutes the numbers below 10^10; and the product stays below 2^64. */
static void put_registration(const struct gen_synthetic *synthetic, int64_t sequence,
                             const struct gen_region *region, struct gen_scratch *scratch,
                             struct el_text *text)
{
    const uint64_t modulus = GEN_SEQUENCE_MAX + 1;
    uint64_t number = (uint64_t)sequence * 987654323u + synthetic->key.k0 % modulus;

    begin(scratch, text);
    put_text(scratch, region->code);
    put_char(scratch, '-');
    put_number(scratch, number % modulus, 10);
    end(scratch, text);
}

static void put_postcode(const struct gen_synthetic *synthetic, uint64_t *state,
                         const struct gen_city *city, struct gen_scratch *scratch,
                         struct el_text *text)
{
    static const char letters[] =
        "ABDEFGHJLNPQRSTUWXYZ"; /* not CIKMOV, in a postcode's second half */

    begin(scratch, text);
    put_text(scratch, city->post);
    if (synthetic->is_us) {
        put_number(scratch, 1 + draw_below(state, 99), 2);
    } else {
        put_number(scratch, 1 + draw_below(state, 20), 0);
        put_char(scratch, ' ');
        put_number(scratch, draw_below(state, 10), 0);
        put_char(scratch, letters[draw_below(state, sizeof(letters) - 1)]);
        put_char(scratch, letters[draw_below(state, sizeof(letters) - 1)]);
    }
    end(scratch, text);
}

static void make_address(const struct gen_synthetic *synthetic, uint64_t *state,
                         const struct gen_city *city, struct gen_scratch *scratch,
                         struct el_voter *voter)
{
    const struct gen_names *streets = &synthetic->people->streets;
    struct el_text *street = &voter->text[EL_VOTER_STREET];

    begin(scratch, street);
    put_number(scratch, 1 + draw_below(state, synthetic->is_us ? 9899 : 240), 0);
    put_char(scratch, ' ');
    put_text(scratch, streets->name[draw_below(state, (uint32_t)streets->count)]);
    end(scratch, street);
    voter->text[EL_VOTER_CITY] = text_of(city->name);
    voter->text[EL_VOTER_COUNTRY] = text_of(synthetic->is_us ? "United States" : "United Kingdom");
    put_postcode(synthetic, state, city, scratch, &voter->text[EL_VOTER_POSTCODE]);
}

/* Numbers that will never ring: 555-0100 to 555-0199, and those that Ofcom keeps for drama. */
static void make_phones(const struct gen_synthetic *synthetic, uint64_t *state,
                        const struct gen_city *city, struct gen_scratch *scratch,
                        struct el_voter *voter)
{
    for (int i = 0; i < 2; i++) {
        struct el_text *text = &voter->text[i == 0 ? EL_VOTER_PHONE : EL_VOTER_CELL];

        begin(scratch, text);
        if (synthetic->is_us) {
            put_char(scratch, '(');
            put_text(scratch, city->phone);
            put_text(scratch, ") 555-01");
            put_number(scratch, draw_below(state, 100), 2);
        } else {
            put_text(scratch, i == 0 ? city->phone : "07700 900");
            put_number(scratch, draw_below(state, 1000), 3);
        }
        end(scratch, text);
    }
}

static void make_person(const struct gen_synthetic *synthetic, uint64_t *state, int64_t sequence,
                        struct gen_scratch *scratch, struct el_voter *voter)
{
    static const char *const domains[] = {"@example.com", "@example.org", "@example.net"};
    bool is_woman = draw_below(state, 1000) < 512;
    const struct names *firsts = is_woman ? &synthetic->women : &synthetic->men;
    const struct name *first = &firsts->name[draw_below(state, (uint32_t)firsts->count)];
    const struct name *family =
        &synthetic->families.name[draw_below(state, (uint32_t)synthetic->families.count)];
    struct el_text *text = &voter->text[EL_VOTER_NAME];

    begin(scratch, text);
    put(scratch, first->text.data, first->text.len);
    put_char(scratch, ' ');
    put(scratch, family->text.data, family->text.len);
    end(scratch, text);

    text = &voter->text[EL_VOTER_EMAIL];
    begin(scratch, text);
    put(scratch, first->login, first->login_len);
    put_char(scratch, '.');
    put(scratch, family->login, family->login_len);
    put_number(scratch, (uint64_t)sequence, 0);
    put_text(scratch, domains[draw_below(state, 3)]);
    end(scratch, text);

    text = &voter->text[EL_VOTER_PICTURE];
    begin(scratch, text);
    put_text(scratch, is_woman ? "https://example.org/portraits/women/"
                               : "https://example.org/portraits/men/");
    put_number(scratch, draw_below(state, 100), 0);
    put_text(scratch, ".jpg");
    end(scratch, text);
    voter->text[EL_VOTER_GENDER] = text_of(is_woman ? "female" : "male");
    voter->text[EL_VOTER_NATIONALITY] = text_of(synthetic->is_us ? "US" : "GB");
}

void gen_synthetic_voter(const struct gen_synthetic *synthetic, int64_t sequence,
                         struct gen_scratch *scratch, struct el_voter *voter)
{
    uint64_t state;
    const struct gen_region *region;
    const struct gen_city *city;
    size_t at;

    assert(sequence >= 0 && sequence <= GEN_SEQUENCE_MAX);
    scratch->len = 0;
    state = put_id(synthetic, sequence, scratch, &voter->text[EL_VOTER_ID]);
    at = draw_slot(&state, synthetic->region_end, synthetic->region_count);
    region = &synthetic->regions[at];
    city = &region->cities[draw_slot(&state, synthetic->city_end[at], GEN_CITIES_MAX)];
    make_person(synthetic, &state, sequence, scratch, voter);
    make_birth(synthetic, &state, scratch, voter);
    put_registration(synthetic, sequence, region, scratch, &voter->text[EL_VOTER_REGISTRATION]);
    voter->text[EL_VOTER_STATE] = text_of(region->name);
    make_address(synthetic, &state, city, scratch, voter);
    make_phones(synthetic, &state, city, scratch, voter);
}

/* ---- the source ---------------------------------------------------------------------------- */

struct gen_source {
    const struct gen_conf *conf;
    struct gen_synthetic *synthetic; /* once open */
};

static enum vd_status synthetic_check(const struct gen_conf *conf, struct vd_err *err)
{
    if (conf->shard >= conf->shards) {
        return vd_fail(
            err, VD_INVALID, "option \"shard\": with shards = %lld it must be 0 to %lld, got %lld",
            (long long)conf->shards, (long long)conf->shards - 1, (long long)conf->shard);
    }
    return VD_OK;
}

static struct gen_source *synthetic_create(const struct gen_source_host *host)
{
    struct gen_source *source = vd_alloc(sizeof(*source));

    source->conf = host->conf;
    return source;
}

static void synthetic_release(struct gen_source *source)
{
    if (source != NULL) {
        gen_synthetic_free(source->synthetic);
        free(source);
    }
}

static enum vd_status synthetic_open(struct gen_source *source, struct vd_err *err)
{
    return gen_synthetic_new(source->conf, &source->synthetic, err);
}

static void synthetic_define(const struct gen_source *source, struct vd_buf *out)
{
    vd_buf_printf(out, "seed=%lld country=%s election_day=%s shards=%lld",
                  (long long)source->conf->seed, source->conf->country, source->conf->election_day,
                  (long long)source->conf->shards);
}

/* Shard s of n makes the sequences s, s + n, s + 2n, ... */
static int64_t synthetic_target(const struct gen_source *source)
{
    const struct gen_conf *conf = source->conf;

    return (conf->voters - conf->shard + conf->shards - 1) / conf->shards;
}

static enum vd_status synthetic_read(struct gen_source *source, const struct gen_place *from,
                                     int64_t max, struct gen_page *page, struct vd_err *err)
{
    const struct gen_conf *conf = source->conf;
    int64_t target = synthetic_target(source);
    int64_t end_at = from->next + max < target ? from->next + max : target;
    struct gen_scratch scratch;
    struct el_voter voter;

    (void)err; /* nothing here can fail */
    for (int64_t i = from->next; i < end_at; i++) {
        gen_synthetic_voter(source->synthetic, conf->shard + i * conf->shards, &scratch, &voter);
        gen_page_add(page, &voter);
    }
    page->after = *from;
    page->after.next = end_at > from->next ? end_at : from->next;
    page->is_last = page->after.next >= target;
    return VD_OK;
}

const struct gen_source_ops gen_synthetic_source = {
    .name = "synthetic",
    .check = synthetic_check,
    .create = synthetic_create,
    .release = synthetic_release,
    .open = synthetic_open,
    .define = synthetic_define,
    .target = synthetic_target,
    .read = synthetic_read,
};
