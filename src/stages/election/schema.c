/* The tables, as exactly-once 4.2 and the reference's contracts have them. */
#include "election/schema.h"

/* "votingd" in ASCII, so that no other program's lock is meant. */
const char el_schema_lock_sql[] = "SELECT pg_advisory_xact_lock(33336593027589988)";

/* ALTER TABLE waits for every reader and writer of the table, and they for it, even where there is
 * nothing to add: so a repetition must not get that far. The marker is the last column added. */
#define ADD_COLUMNS(table, marker, columns)                                                \
    "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = '" table         \
    "'::regclass AND attname = '" marker "' AND NOT attisdropped) THEN ALTER TABLE " table \
    " " columns "; END IF; END $$"

const struct vd_pg_stmt el_schema[] = {
    {.sql = el_schema_lock_sql},
    /* "already exists, skipping" is a notice: nobody needs to read it at every start. SET LOCAL
     * does the same, but warns outside an explicit BEGIN. */
    {.sql = "SELECT set_config('client_min_messages', 'warning', true)"},
    {.sql = "CREATE TABLE IF NOT EXISTS candidates (candidate_id VARCHAR(255) PRIMARY KEY,"
            " candidate_name VARCHAR(255), party_affiliation VARCHAR(255), biography TEXT,"
            " campaign_platform TEXT, photo_url TEXT)"},
    {.sql = "CREATE TABLE IF NOT EXISTS voters (voter_id VARCHAR(255) PRIMARY KEY,"
            " voter_name VARCHAR(255), date_of_birth VARCHAR(255), gender VARCHAR(255),"
            " nationality VARCHAR(255), registration_number VARCHAR(255),"
            " address_street VARCHAR(255), address_city VARCHAR(255), address_state VARCHAR(255),"
            " address_country VARCHAR(255), address_postcode VARCHAR(255), email VARCHAR(255),"
            " phone_number VARCHAR(255), cell_number VARCHAR(255), picture TEXT,"
            " registered_age INTEGER)"},
    {.sql = "CREATE TABLE IF NOT EXISTS votes (voter_id VARCHAR(255) UNIQUE,"
            " candidate_id VARCHAR(255), voting_time TIMESTAMP, vote INT DEFAULT 1,"
            " PRIMARY KEY (voter_id, candidate_id))"},
    /* the record of the register that a voter was imported from; NULL: made,
     * or another program's */
    {.sql =
         ADD_COLUMNS("voters", "source_record", "ADD COLUMN IF NOT EXISTS source_record bigint")},
    /* where in voters_topic the vote came from; NULL: another program's */
    {.sql = ADD_COLUMNS("votes", "source_offset",
                        "ADD COLUMN IF NOT EXISTS source_gen smallint,"
                        " ADD COLUMN IF NOT EXISTS source_partition int,"
                        " ADD COLUMN IF NOT EXISTS source_offset bigint")},
    {.sql = "CREATE TABLE IF NOT EXISTS vote_progress (source_gen smallint, source_partition int,"
            " next_offset bigint NOT NULL, PRIMARY KEY (source_gen, source_partition))"
            " WITH (fillfactor = 50)"},
};
const size_t el_schema_count = sizeof(el_schema) / sizeof(el_schema[0]);
