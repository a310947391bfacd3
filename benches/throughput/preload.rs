//! Memberships that are there before a run, made by the server itself.

use crate::backlog::Backlog;
use crate::database::Database;
use crate::options::Options;
use crate::people::{ID_TYPE, KEYS, SOURCE, SPREAD};
use crate::report::Report;
use crate::worker;
use anyhow::Result;
use sqlx::{AssertSqlSafe, Executor as _};
use std::time::Instant;

/// The number of the first preloaded person: nobody of a backlog has it.
const FIRST: u64 = 100_000_000;

/// Measures Rollcall on empty tables and on full ones, in turn.
pub(crate) async fn compare(
    options: &Options,
    memberships: u64,
    report: &mut Report,
) -> Result<()> {
    let backlog = Backlog::make(options.records)?;
    for _ in 0..options.rounds {
        report.add("rollcall", worker::run(options, &backlog, None).await?);
        let full = worker::run(options, &backlog, Some(memberships)).await?;
        report.add("rollcall, full tables", full);
    }
    Ok(())
}

/// Fills the tables with so many persons of one membership each. Constraints are built after the rows, in bulk.
pub(crate) async fn fill(database: &Database, memberships: u64) -> Result<()> {
    let begun = Instant::now();
    let sql = |text: &str| {
        let last = FIRST + memberships - 1;
        let text = text
            .replace("{people}", &format!("generate_series({FIRST}::bigint, {last}) AS n"))
            .replace("{person}", "overlay(md5('person' || n) placing '8' from 13)::uuid")
            .replace("{membership}", "overlay(md5('membership' || n) placing '8' from 13)::uuid")
            .replace("{program}", "(SELECT ids[n % 5 + 1] FROM programs_by_number)")
            .replace("{source}", SOURCE)
            .replace("{id_type}", ID_TYPE)
            .replace("{key}", &format!("((n * {SPREAD}) % {KEYS})"))
            .replace("{id}", &format!("(((n + 500000000) * {SPREAD}) % {KEYS} * 97)"));
        AssertSqlSafe(text)
    };
    for (what, statement) in STATEMENTS {
        database.pool.execute(sql(statement)).await?;
        eprintln!("preload: {what}, {:.0} s", begun.elapsed().as_secs_f64());
    }
    Ok(())
}

const STATEMENTS: [(&str, &str); 8] = [
    (
        "no constraints",
        "ALTER TABLE registrants DROP CONSTRAINT registrants_pkey;
         ALTER TABLE names DROP CONSTRAINT names_pkey;
         DROP INDEX names_registrant_id_idx;
         ALTER TABLE memberships DROP CONSTRAINT memberships_pkey,
             DROP CONSTRAINT memberships_registrant_program_key;
         ALTER TABLE membership_history DROP CONSTRAINT membership_history_pkey;
         ALTER TABLE inbox DROP CONSTRAINT inbox_pkey;
         CREATE TABLE programs_by_number AS SELECT array_agg(program_id ORDER BY code) AS ids FROM programs",
    ),
    (
        "registrants",
        "INSERT INTO registrants (registrant_id, kind, name, given_name, family_name, gender, birthdate,
             payment_address, disabled, created_at, updated_at)
         SELECT {person}, 'INDIVIDUAL', 'Somebody Else ' || n, 'Somebody', 'Else', 'F', '1990-01-01',
             'mm:' || n, false, now(), now() FROM {people}",
    ),
    (
        "names",
        "INSERT INTO names (kind, scope, value, registrant_id)
         SELECT 'REFERENCE', '{source}', 'CR-' || lpad({key}::text, 10, '0'), {person} FROM {people};
         INSERT INTO names (kind, scope, value, registrant_id)
         SELECT 'IDENTIFIER', '{id_type}', lpad({id}::text, 12, '0'), {person} FROM {people}",
    ),
    (
        "memberships",
        "INSERT INTO memberships (membership_id, registrant_id, program_id, state, spell, version, enrollment_date,
             created_at, updated_at)
         SELECT {membership}, {person}, {program}, 'ENROLLED', 1, 1, '2026-01-01', now(), now() FROM {people}",
    ),
    (
        "history",
        "INSERT INTO membership_history (membership_id, version, change, state, spell, registrant_id, program_id,
             enrollment_date, effective_date, channel, source, message_id, topic, partition, \"offset\", occurred_at,
             recorded_at)
         SELECT {membership}, 1, 'ENROLLED', 'ENROLLED', 1, {person}, {program}, '2026-01-01', '2026-01-01', 'KAFKA',
             '{source}', 'before-' || n, 'rollcall.enrollment-requests', n % 12, n / 12, now(), now() FROM {people}",
    ),
    (
        "inbox",
        "INSERT INTO inbox (source, message_id, attempt, fingerprint, status, outcome, result, channel, topic,
             partition, \"offset\", recorded_at)
         SELECT '{source}', CASE n % 2 WHEN 0 THEN 'again-' ELSE 'enroll-' END || md5(n::text), 1,
             sha256(n::text::bytea), 'SUCCEEDED', 'A', decode(repeat(md5(n::text), 14), 'hex'), 'KAFKA',
             'rollcall.enrollment-requests', n % 12, n / 12, now() FROM {people}",
    ),
    (
        "constraints",
        "SET maintenance_work_mem = '512MB';
         ALTER TABLE registrants ADD CONSTRAINT registrants_pkey PRIMARY KEY (registrant_id);
         ALTER TABLE names ADD CONSTRAINT names_pkey PRIMARY KEY (kind, scope, value);
         CREATE INDEX names_registrant_id_idx ON names (registrant_id);
         ALTER TABLE memberships ADD CONSTRAINT memberships_pkey PRIMARY KEY (membership_id),
             ADD CONSTRAINT memberships_registrant_program_key UNIQUE (registrant_id, program_id);
         ALTER TABLE membership_history ADD CONSTRAINT membership_history_pkey PRIMARY KEY (membership_id, version);
         ALTER TABLE inbox ADD CONSTRAINT inbox_pkey PRIMARY KEY (source, message_id);
         DROP TABLE programs_by_number",
    ),
    ("analyzed and on disk", "ANALYZE; CHECKPOINT"),
];
