/* The reference system's enriched_votes: of every vote who, where and for whom, in one flat object.
 * A stage as an outsider writes it: against the installed header and cJSON only. */
#include <cjson/cJSON.h>
#include <string.h>
#include <votingd/stage.h>

VD_AUTO_KIND(cjson, cJSON *, cJSON_Delete)

static const struct {
    const char *name, *object, *member; /* 'member' of 'object' inside the vote, or of the vote */
} members[] = {
    {"voter_id", NULL, "voter_id"},
    {"voter_name", NULL, "voter_name"},
    {"candidate_id", NULL, "candidate_id"},
    {"gender", NULL, "gender"},
    {"voting_time", NULL, "voting_time"},
    {"voter_city", "address", "city"},
    {"voter_state", "address", "state"},
    {"voter_country", "address", "country"},
    {"voter_postcode", "address", "postcode"},
    {"voter_registered_age", NULL, "registered_age"},
    {"candidate_name", NULL, "candidate_name"},
    {"party_affiliation", NULL, "party_affiliation"},
};

/* A vote without a member gives a record without it. */
static char *enrich(const cJSON *vote)
{
    VD_AUTO(cjson) cJSON *out = cJSON_CreateObject();

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const cJSON *from = members[i].object == NULL
                                ? vote
                                : cJSON_GetObjectItemCaseSensitive(vote, members[i].object);
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(from, members[i].member);

        if (item != NULL) {
            (void)cJSON_AddItemToObject(out, members[i].name, cJSON_Duplicate(item, true));
        }
    }
    return cJSON_PrintUnformatted(out);
}

static void enriched_batch(struct vd_stage *stage, void *state, struct vd_batch *batch)
{
    (void)stage;
    (void)state;
    for (size_t i = 0; i < vd_batch_count(batch); i++) {
        const struct vd_record *in = vd_batch_record(batch, i);
        VD_AUTO(cjson)
        cJSON *vote = in->value == NULL ? NULL : cJSON_ParseWithLength(in->value, in->value_len);
        const cJSON *id = cJSON_GetObjectItemCaseSensitive(vote, "voter_id");

        if (!cJSON_IsString(id)) {
            vd_batch_dead(batch, i, "not a vote: no JSON object with a voter_id");
        } else {
            VD_AUTO(mem) char *value = enrich(vote);
            const struct vd_msg out = {.key = id->valuestring,
                                       .key_len = strlen(id->valuestring),
                                       .value = value,
                                       .value_len = strlen(value),
                                       .partition = VD_BY_KEY};

            vd_batch_emit(batch, 0, i, &out);
        }
    }
    vd_batch_done(batch);
}

/* ---- audit ---------------------------------------------------------------------------------- */

struct counts {
    struct vd_audit *audit;
    int64_t votes, enriched, dead;
};

/* Votes that wait to be read are not missing. */
static void on_vote(void *arg, const struct vd_record *record)
{
    struct counts *counts = arg;

    counts->votes += record->offset < vd_audit_committed(counts->audit, 0, record->partition);
}

/* What another program wrote has no position. */
static void on_enriched(void *arg, const struct vd_record *record)
{
    struct counts *counts = arg;

    counts->enriched += record->has_position;
}

static void on_dead(void *arg, const struct vd_record *record)
{
    struct counts *counts = arg;

    counts->dead += record->has_position;
}

static enum vd_status enriched_audit(struct vd_audit *audit, void *state, struct vd_err *err)
{
    struct counts counts = {.audit = audit};
    VD_AUTO(mem) char *words = vd_format("%s: votes", vd_audit_topic(audit, VD_AUDIT_INPUT, 0));
    struct vd_audit_claim *claim = vd_audit_claim(audit, words, "enriched + dead");
    int64_t missing = 0;

    (void)state;
    if (vd_audit_read(audit, VD_AUDIT_INPUT, 0, on_vote, &counts, err) != VD_OK ||
        vd_audit_read(audit, VD_AUDIT_OUTPUT, 0, on_enriched, &counts, err) != VD_OK ||
        vd_audit_read(audit, VD_AUDIT_DEAD, 0, on_dead, &counts, err) != VD_OK) {
        return err->status;
    }
    missing = counts.votes - counts.enriched - counts.dead;
    if (missing > 0 && missing <= vd_audit_deleted(audit, VD_AUDIT_DEAD, 0)) {
        missing = 0; /* letters may have been purged */
    }
    vd_audit_compare(claim, counts.votes, counts.votes - missing);
    return VD_OK;
}

static const struct vd_stage_desc enriched_desc = {
    VD_STAGE_HEAD,
    .name = "enriched",
    .summary = "flattens votes into the reference system's enriched_votes",
    .inputs = (const struct vd_port[]){{"votes", .help = "votes, JSON"}, VD_PORT_END},
    .outputs = (const struct vd_port[]){{"enriched", .help = "flat votes, JSON"}, VD_PORT_END},
    .batch = enriched_batch,
    .audit = enriched_audit,
};
VD_STAGE_EXPORT(enriched_desc)
