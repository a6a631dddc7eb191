/* The ballot: candidates in order, and for each state (or for all) where their shares end. */
#include "ballot.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "buf.h"
#include "election/scenario.h"
#include "hash.h"
#include "map.h"

VD_AUTO_KIND(scenario, struct el_scenario *, el_scenario_free)

/* The weights of one state. The last end is their sum. */
struct shares {
    char *state;    /* NULL: the row for everybody else */
    uint64_t *ends; /* per candidate: its weight and those of the candidates before it */
};

struct el_ballot {
    struct el_candidate *candidates;
    size_t count;
    struct shares everybody;
    struct shares *states;
    size_t state_count;
    struct vd_map by_state; /* state -> struct shares */
    struct vd_hash_key key;
    char tag[EL_BALLOT_TAG_BYTES];
};

VD_AUTO_KIND(ballot, struct el_ballot *, el_ballot_free)

void el_ballot_free(struct el_ballot *ballot)
{
    if (ballot == NULL) {
        return;
    }
    for (size_t i = 0; i < ballot->count; i++) {
        el_candidate_fini(&ballot->candidates[i]);
    }
    for (size_t i = 0; i < ballot->state_count; i++) {
        free(ballot->states[i].state);
        free(ballot->states[i].ends);
    }
    free(ballot->states);
    free(ballot->everybody.ends);
    free(ballot->candidates);
    vd_map_fini(&ballot->by_state, NULL);
    free(ballot);
}

size_t el_ballot_count(const struct el_ballot *ballot)
{
    return ballot->count;
}

const struct el_candidate *el_ballot_candidate(const struct el_ballot *ballot, size_t i)
{
    return &ballot->candidates[i];
}

const char *el_ballot_tag(const struct el_ballot *ballot)
{
    return ballot->tag;
}

bool el_ballot_has_states(const struct el_ballot *ballot)
{
    return ballot->state_count > 0;
}

static bool is_choice(const struct el_ballot_conf *conf, const char *name)
{
    return strcmp(conf->choice, name) == 0;
}

/* ---- weights ------------------------------------------------------------------------------- */

struct weight {
    const char *name; /* borrowed, not zero-terminated */
    size_t len;
    int64_t value;
};

static void trim(const char **text, size_t *len)
{
    while (*len > 0 && (**text == ' ' || **text == '\t')) {
        (*text)++;
        (*len)--;
    }
    while (*len > 0 && ((*text)[*len - 1] == ' ' || (*text)[*len - 1] == '\t')) {
        (*len)--;
    }
}

static enum vd_status parse_weight(const char *text, size_t len, struct weight *weight,
                                   struct vd_err *err)
{
    const char *colon = memrchr(text, ':', len);
    const char *number = colon != NULL ? colon + 1 : text + len;
    size_t number_len = (size_t)(text + len - number);

    weight->name = text;
    weight->len = colon != NULL ? (size_t)(colon - text) : 0;
    weight->value = 0;
    trim(&weight->name, &weight->len);
    trim(&number, &number_len);
    for (size_t i = 0; i < number_len; i++) {
        if (number[i] < '0' || number[i] > '9' || weight->value > EL_BALLOT_WEIGHT_MAX) {
            number_len = 0;
            break;
        }
        weight->value = weight->value * 10 + (number[i] - '0');
    }
    if (weight->len == 0 || number_len == 0 || weight->value > EL_BALLOT_WEIGHT_MAX) {
        return vd_fail(err, VD_INVALID,
                       "option \"weights\": expected NAME:WEIGHT with 0 to %lld, got \"%.*s\"",
                       (long long)EL_BALLOT_WEIGHT_MAX, (int)(len > 80 ? 80 : len), text);
    }
    return VD_OK;
}

/* Cut the next item off a list of them; false at its end. */
static bool next_item(const char **at, const char **item, size_t *len)
{
    const char *comma = NULL;

    if (*at == NULL) {
        return false;
    }
    comma = strchr(*at, ',');
    *item = *at;
    *len = comma != NULL ? (size_t)(comma - *at) : strlen(*at);
    *at = comma != NULL ? comma + 1 : NULL;
    trim(item, len);
    return true;
}

static bool is_named(const char *text, const char *name, size_t len)
{
    return text != NULL && strlen(text) == len && strncasecmp(text, name, len) == 0;
}

/* True if 'text' begins with the whole word or words 'name':
 * "republican" for "Republican Party". */
static bool is_begun(const char *text, const char *name, size_t len)
{
    return text != NULL && strncasecmp(text, name, len) == 0 && strlen(text) > len &&
           text[len] == ' ';
}

/* The candidate with that id; else the only one with that name, with that party, or with a party
 * that begins so; SIZE_MAX. */
static size_t find_candidate(const struct el_ballot *ballot, const char *name, size_t len)
{
    size_t found = SIZE_MAX;
    size_t hits = 0;

    for (size_t i = 0; i < ballot->count; i++) {
        if (strlen(ballot->candidates[i].id) == len &&
            memcmp(ballot->candidates[i].id, name, len) == 0) {
            return i;
        }
    }
    for (int round = 0; round < 3 && hits == 0; round++) {
        for (size_t i = 0; i < ballot->count; i++) {
            const struct el_candidate *candidate = &ballot->candidates[i];

            if (round == 0   ? is_named(candidate->name, name, len)
                : round == 1 ? is_named(candidate->party, name, len)
                             : is_begun(candidate->party, name, len)) {
                found = i;
                hits++;
            }
        }
    }
    return hits == 1 ? found : SIZE_MAX;
}

/* Turn the weights in 'ends' into ends of shares. */
static void add_up(struct shares *shares, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        shares->ends[i] += shares->ends[i - 1];
    }
}

static enum vd_status take_weights(struct el_ballot *ballot, const char *weights,
                                   struct vd_err *err)
{
    const char *at = weights;
    const char *item = NULL;
    size_t len = 0;

    while (next_item(&at, &item, &len)) {
        struct weight weight = {0};
        size_t i = 0;

        if (parse_weight(item, len, &weight, err) != VD_OK) {
            return VD_INVALID;
        }
        i = find_candidate(ballot, weight.name, weight.len);
        if (i == SIZE_MAX) {
            return vd_fail(err, VD_INVALID,
                           "option \"weights\": \"%.*s\" is not the id, name or party of exactly "
                           "one candidate",
                           (int)weight.len, weight.name);
        }
        ballot->everybody.ends[i] = (uint64_t)weight.value;
    }
    return VD_OK;
}

/* ---- scenarios ----------------------------------------------------------------------------- */

/* For each column of the scenario the candidate it belongs to. */
static enum vd_status match_columns(const struct el_ballot *ballot,
                                    const struct el_scenario *scenario, size_t *owners,
                                    struct vd_err *err)
{
    VD_AUTO(mem) bool *is_taken = vd_alloc_array(ballot->count, sizeof(*is_taken));
    size_t free_one = 0;

    if (scenario->column_count > ballot->count) {
        return vd_fail(err, VD_INVALID,
                       "option \"scenario\": %zu columns of votes, but there are %zu candidates",
                       scenario->column_count, ballot->count);
    }
    for (size_t c = 0; c < scenario->column_count; c++) {
        owners[c] = find_candidate(ballot, scenario->columns[c], strlen(scenario->columns[c]));
        if (owners[c] != SIZE_MAX && is_taken[owners[c]]) {
            return vd_fail(
                err, VD_INVALID,
                "option \"scenario\": column \"%s\" is a second one for candidate \"%s\"",
                scenario->columns[c], ballot->candidates[owners[c]].id);
        }
        if (owners[c] != SIZE_MAX) {
            is_taken[owners[c]] = true;
        }
    }
    for (size_t c = 0; c < scenario->column_count; c++) {
        if (owners[c] == SIZE_MAX) {
            while (is_taken[free_one]) {
                free_one++;
            }
            owners[c] = free_one++;
        }
    }
    return VD_OK;
}

static enum vd_status take_scenario(struct el_ballot *ballot, const struct el_scenario *scenario,
                                    struct vd_err *err)
{
    size_t owners[EL_SCENARIO_COLUMNS_MAX];

    if (match_columns(ballot, scenario, owners, err) != VD_OK) {
        return VD_INVALID;
    }
    memset(ballot->everybody.ends, 0, ballot->count * sizeof(*ballot->everybody.ends));
    ballot->states = vd_alloc_array(scenario->row_count, sizeof(*ballot->states));
    ballot->state_count = scenario->row_count;
    for (size_t r = 0; r < scenario->row_count; r++) {
        const struct el_scenario_row *row = &scenario->rows[r];
        struct shares *shares = &ballot->states[r];

        shares->state = vd_strdup(row->state);
        shares->ends = vd_alloc_array(ballot->count, sizeof(*shares->ends));
        for (size_t c = 0; c < scenario->column_count; c++) {
            shares->ends[owners[c]] = (uint64_t)row->votes[c];
            ballot->everybody.ends[owners[c]] += (uint64_t)row->votes[c];
        }
        add_up(shares, ballot->count);
        (void)vd_map_put(&ballot->by_state, row->state, strlen(row->state), shares); /* no twins */
    }
    return VD_OK;
}

/* ---- making -------------------------------------------------------------------------------- */

static int compare_ids(const void *a, const void *b)
{
    const struct el_candidate *left = a;
    const struct el_candidate *right = b;

    return strcmp(left->id, right->id); /* as unsigned bytes */
}

static void hash_shares(const struct el_ballot *ballot, const struct shares *shares,
                        struct vd_buf *text)
{
    const char *state = shares->state != NULL ? shares->state : "";

    vd_buf_add_be32(text, (uint32_t)strlen(state));
    vd_buf_add_text(text, state);
    for (size_t i = 0; i < ballot->count; i++) {
        vd_buf_add_be64(text, shares->ends[i] - (i > 0 ? shares->ends[i - 1] : 0));
    }
}

/* The tag is SipHash-2-4 under the key 0 of: seed, number of candidates, each id, number of states,
 * and for everybody and each state in the file's order its name and weights; texts with their
 * length in front, all integers big-endian. */
static void set_tag(struct el_ballot *ballot)
{
    VD_AUTO(buf) struct vd_buf text = {0};
    struct vd_hash_key none = {0};

    vd_buf_add_be64(&text, ballot->key.k0);
    vd_buf_add_be32(&text, (uint32_t)ballot->count);
    for (size_t i = 0; i < ballot->count; i++) {
        vd_buf_add_be32(&text, (uint32_t)strlen(ballot->candidates[i].id));
        vd_buf_add_text(&text, ballot->candidates[i].id);
    }
    vd_buf_add_be32(&text, (uint32_t)ballot->state_count);
    hash_shares(ballot, &ballot->everybody, &text);
    for (size_t i = 0; i < ballot->state_count; i++) {
        hash_shares(ballot, &ballot->states[i], &text);
    }
    (void)snprintf(ballot->tag, sizeof(ballot->tag), "%016llx", /* always 16 digits */
                   (unsigned long long)vd_siphash(&none, text.data, text.len));
}

enum vd_status el_ballot_check(const struct el_ballot_conf *conf, struct vd_err *err)
{
    VD_AUTO(scenario) struct el_scenario *scenario = NULL;
    const char *at = conf->weights;
    const char *item = NULL;
    size_t len = 0;

    if (is_choice(conf, "scenario")) {
        if (conf->scenario == NULL || conf->scenario[0] == '\0') {
            return vd_fail(err, VD_INVALID,
                           "option \"scenario\": choice \"scenario\" needs the path of a file");
        }
        if (el_scenario_read(conf->scenario, &scenario, err) != VD_OK) {
            (void)vd_fail_in(err, "option \"scenario\""); /* told through 'err' */
            return VD_INVALID;
        }
    }
    if (!is_choice(conf, "weights")) {
        return VD_OK;
    }
    if (conf->weights == NULL || conf->weights[0] == '\0') {
        return vd_fail(err, VD_INVALID,
                       "option \"weights\": choice \"weights\" needs NAME:WEIGHT, ...");
    }
    while (next_item(&at, &item, &len)) {
        struct weight weight = {0};

        if (parse_weight(item, len, &weight, err) != VD_OK) {
            return VD_INVALID;
        }
    }
    return VD_OK;
}

/* Check and sort the ids; set the weights that 'conf' asks for. */
static enum vd_status fill(struct el_ballot *ballot, const struct el_ballot_conf *conf,
                           struct vd_err *err)
{
    VD_AUTO(scenario) struct el_scenario *scenario = NULL;
    enum vd_status status = VD_OK;

    qsort(ballot->candidates, ballot->count, sizeof(*ballot->candidates), compare_ids);
    ballot->everybody.ends = vd_alloc_array(ballot->count, sizeof(*ballot->everybody.ends));
    for (size_t i = 0; i < ballot->count; i++) {
        ballot->everybody.ends[i] = 1;
        if (i > 0 && compare_ids(&ballot->candidates[i - 1], &ballot->candidates[i]) == 0) {
            return vd_fail(err, VD_INVALID, "candidate_id \"%s\" stands there twice",
                           ballot->candidates[i].id);
        }
    }
    if (is_choice(conf, "weights")) {
        status = take_weights(ballot, conf->weights, err);
    } else if (is_choice(conf, "scenario")) {
        status = el_scenario_read(conf->scenario, &scenario, err);
        status = status == VD_OK ? take_scenario(ballot, scenario, err) : status;
    }
    if (status != VD_OK) {
        return status;
    }
    add_up(&ballot->everybody, ballot->count);
    if (ballot->everybody.ends[ballot->count - 1] == 0) {
        return vd_fail(err, VD_INVALID, "option \"weights\": all are 0, nobody can be voted for");
    }
    return VD_OK;
}

enum vd_status el_ballot_new(const struct el_ballot_conf *conf, struct el_candidate *candidates,
                             size_t count, struct el_ballot **ballot, struct vd_err *err)
{
    VD_AUTO(ballot) struct el_ballot *made = vd_alloc(sizeof(*made));

    if (count == 0 || count > EL_BALLOT_CANDIDATES_MAX) {
        return vd_fail(err, VD_INVALID, "expected 1 to %d candidates, got %zu",
                       EL_BALLOT_CANDIDATES_MAX, count);
    }
    made->candidates = vd_memdup(candidates, count * sizeof(*candidates));
    made->count = count;
    made->key.k0 = (uint64_t)conf->seed;
    if (fill(made, conf, err) != VD_OK) {
        made->count = 0; /* the candidates are still the caller's */
        return VD_INVALID;
    }
    set_tag(made);
    *ballot = vd_take(made);
    return VD_OK;
}

size_t el_ballot_choose(const struct el_ballot *ballot, const struct el_voter_key *voter)
{
    uint64_t hash = vd_siphash(&ballot->key, voter->id, voter->id_len);
    const struct shares *shares = NULL;
    uint64_t point = 0;
    size_t i = 0;

    if (ballot->state_count > 0) {
        shares = vd_map_find(&ballot->by_state, voter->state, voter->state_len);
    }
    if (shares == NULL) {
        shares = &ballot->everybody;
    }
    point = (uint64_t)(((unsigned __int128)hash * shares->ends[ballot->count - 1]) >> 64);
    while (point >= shares->ends[i]) {
        i++;
    }
    return i;
}
