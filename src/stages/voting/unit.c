/* The three statements of a batch. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define EPOCH_2000_US INT64_C(946684800000000) /* PostgreSQL counts from 2000, we from 1970 */

const char voting_session_sql[] =
    "SET TimeZone = 'UTC'; SET default_transaction_isolation = 'read committed';"
    " SET synchronous_commit = on; SET lock_timeout = '5s';"
    " SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";

/* Progress comes first and in partition order: two nodes on one partition queue up here. */
static const char progress_sql[] =
    "INSERT INTO vote_progress AS w (source_gen, source_partition, next_offset)"
    " SELECT $1::smallint, p, n FROM unnest($2::int[], $3::bigint[]) AS i(p, n) ORDER BY p"
    " ON CONFLICT (source_gen, source_partition)"
    " DO UPDATE SET next_offset = greatest(w.next_offset, excluded.next_offset)";

/* The lowest position per voter, sorted so that all nodes lock rows in one order. No conflict
 * target: with one, a racing insert of the same voter fails on the other unique index. */
#define INSERT_SQL                                                                                 \
    "INSERT INTO votes"                                                                            \
    " (voter_id, candidate_id, voting_time, source_gen, source_partition, source_offset)"          \
    " SELECT voter_id, candidate_id, voting_time, $6::smallint, p, o"                              \
    " FROM (SELECT DISTINCT ON (voter_id COLLATE \"C\") *"                                         \
    " FROM unnest($1::text[], $2::text[], $3::timestamp[], $4::int[], $5::bigint[])"               \
    " AS u(voter_id, candidate_id, voting_time, p, o) ORDER BY voter_id COLLATE \"C\", p, o) AS i" \
    " ON CONFLICT DO NOTHING"
static const char insert_sql[] = INSERT_SQL;
static const char replay_sql[] = INSERT_SQL " RETURNING source_partition, source_offset";

/* A statement of its own, that is a new snapshot: within the insert a concurrent winner's row is
 * not to be seen, and RETURNING would lose the votes of an earlier attempt. */
static const char classify_sql[] =
    "SELECT i.ord, coalesce(v.source_gen = $4::smallint AND v.source_partition = i.p"
    " AND v.source_offset = i.o, false) AS mine, v.candidate_id, v.voting_time"
    " FROM unnest($1::text[], $2::int[], $3::bigint[]) WITH ORDINALITY AS i(voter_id, p, o, ord)"
    " JOIN votes v ON v.voter_id = i.voter_id ORDER BY i.ord";

void voting_unit_begin(struct voting_unit *unit, int16_t generation)
{
    vd_pg_array_begin(&unit->partitions, VD_PG_INT4);
    vd_pg_array_begin(&unit->nexts, VD_PG_INT8);
    vd_pg_array_begin(&unit->ids, VD_PG_TEXT);
    vd_pg_array_begin(&unit->candidates, VD_PG_TEXT);
    vd_pg_array_begin(&unit->times, VD_PG_TIMESTAMP);
    vd_pg_array_begin(&unit->parts, VD_PG_INT4);
    vd_pg_array_begin(&unit->offsets, VD_PG_INT8);
    (void)snprintf(unit->generation, sizeof(unit->generation), "%d", generation); /* fits */
    unit->votes = 0;
}

void voting_unit_add_progress(struct voting_unit *unit, int32_t partition, int64_t next_offset)
{
    vd_pg_array_add_int4(&unit->partitions, partition);
    vd_pg_array_add_int8(&unit->nexts, next_offset);
}

void voting_unit_add(struct voting_unit *unit, const struct voting_row *row)
{
    vd_pg_array_add_text(&unit->ids, row->voter_id, row->voter_id_len);
    vd_pg_array_add_text(&unit->candidates, row->candidate_id, row->candidate_id_len);
    vd_pg_array_add_timestamp(&unit->times, row->second * 1000000);
    vd_pg_array_add_int4(&unit->parts, row->partition);
    vd_pg_array_add_int8(&unit->offsets, row->offset);
    unit->votes++;
}

size_t voting_unit_end(struct voting_unit *unit, bool is_replay)
{
    struct vd_buf *const arrays[] = {&unit->partitions, &unit->nexts, &unit->ids,
                                     &unit->candidates, &unit->times, &unit->parts,
                                     &unit->offsets};
    struct vd_pg_value generation = {.data = unit->generation, .len = strlen(unit->generation)};

    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        vd_pg_array_end(arrays[i]);
    }
    unit->progress[0] = generation;
    unit->progress[1] = vd_pg_array_value(&unit->partitions);
    unit->progress[2] = vd_pg_array_value(&unit->nexts);
    unit->insert[0] = vd_pg_array_value(&unit->ids);
    unit->insert[1] = vd_pg_array_value(&unit->candidates);
    unit->insert[2] = vd_pg_array_value(&unit->times);
    unit->insert[3] = vd_pg_array_value(&unit->parts);
    unit->insert[4] = vd_pg_array_value(&unit->offsets);
    unit->insert[5] = generation;
    unit->classify[0] = unit->insert[0];
    unit->classify[1] = unit->insert[3];
    unit->classify[2] = unit->insert[4];
    unit->classify[3] = generation;
    unit->stmts[VOTING_STMT_PROGRESS] =
        (struct vd_pg_stmt){.sql = progress_sql, .values = unit->progress, .count = 3};
    unit->stmts[VOTING_STMT_INSERT] =
        (struct vd_pg_stmt){.sql = is_replay ? replay_sql : insert_sql,
                            .values = unit->insert,
                            .count = 6,
                            .is_binary_result = true};
    unit->stmts[VOTING_STMT_CLASSIFY] = (struct vd_pg_stmt){
        .sql = classify_sql, .values = unit->classify, .count = 4, .is_binary_result = true};
    return unit->votes > 0 ? VOTING_STMTS : VOTING_STMT_PROGRESS + 1;
}

void voting_unit_fini(struct voting_unit *unit)
{
    vd_buf_fini(&unit->partitions);
    vd_buf_fini(&unit->nexts);
    vd_buf_fini(&unit->ids);
    vd_buf_fini(&unit->candidates);
    vd_buf_fini(&unit->times);
    vd_buf_fini(&unit->parts);
    vd_buf_fini(&unit->offsets);
}

struct voting_answer voting_answer_of(const struct vd_pg_reply *reply, size_t i)
{
    struct voting_answer answer = {0};

    if (i < vd_pg_reply_rows(reply, VOTING_STMT_CLASSIFY)) {
        answer.ordinal = vd_pg_reply_get(reply, VOTING_STMT_CLASSIFY, i, 0, NULL);
        answer.mine = vd_pg_reply_get(reply, VOTING_STMT_CLASSIFY, i, 1, NULL);
        answer.candidate_id =
            vd_pg_reply_get(reply, VOTING_STMT_CLASSIFY, i, 2, &answer.candidate_id_len);
        answer.time = vd_pg_reply_get(reply, VOTING_STMT_CLASSIFY, i, 3, NULL);
    }
    return answer;
}

bool voting_inserted(const struct vd_pg_reply *reply, size_t i, int32_t *partition, int64_t *offset)
{
    if (i >= vd_pg_reply_rows(reply, VOTING_STMT_INSERT)) {
        return false;
    }
    *partition = (int32_t)vd_be32(vd_pg_reply_get(reply, VOTING_STMT_INSERT, i, 0, NULL));
    *offset = (int64_t)vd_be64(vd_pg_reply_get(reply, VOTING_STMT_INSERT, i, 1, NULL));
    return true;
}

enum voting_verdict voting_judge(const struct voting_answer *answer, size_t i,
                                 const struct voting_row *expected)
{
    if (answer->ordinal == NULL || answer->mine == NULL || vd_be64(answer->ordinal) != i + 1) {
        return VOTING_MISSING;
    }
    if (answer->mine[0] == 0) {
        return VOTING_REJECTED;
    }
    if (answer->candidate_id == NULL || answer->time == NULL ||
        answer->candidate_id_len != expected->candidate_id_len ||
        memcmp(answer->candidate_id, expected->candidate_id, expected->candidate_id_len) != 0 ||
        (int64_t)vd_be64(answer->time) != expected->second * 1000000 - EPOCH_2000_US) {
        return VOTING_DIFFERS;
    }
    return VOTING_ACCEPTED;
}
