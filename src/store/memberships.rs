//! Memberships and their history.

use super::{Error, Result, error::expect_rows};
use crate::domain::{Membership, MembershipId, ProgramId, RegistrantId, State};
use sqlx::{PgConnection, Postgres, Transaction};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// All memberships of these registrants.
pub async fn of_registrants(
    connection: &mut PgConnection,
    registrant_ids: &[Uuid],
) -> Result<Vec<Membership>> {
    let rows = sqlx::query!(
        "SELECT membership_id, registrant_id, program_id, state, spell, version, enrollment_date, exit_date
         FROM memberships WHERE registrant_id = ANY($1) ORDER BY membership_id",
        registrant_ids,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Membership {
                membership_id: MembershipId(row.membership_id),
                registrant_id: RegistrantId(row.registrant_id),
                program_id: ProgramId(row.program_id),
                state: State::parse(&row.state)
                    .ok_or(Error::Inconsistent { table: "memberships", column: "state" })?,
                spell: row.spell,
                version: row.version,
                enrollment_date: row.enrollment_date,
                exit_date: row.exit_date,
            })
        })
        .collect()
}

/// Deletes memberships of locked registrants; their history stays.
pub async fn delete(tx: &mut Transaction<'_, Postgres>, membership_ids: &[Uuid]) -> Result<()> {
    let done =
        sqlx::query!("DELETE FROM memberships WHERE membership_id = ANY($1)", membership_ids)
            .execute(&mut **tx)
            .await?;
    expect_rows("memberships removed", membership_ids.len(), done.rows_affected())
}

#[derive(Debug, Default)]
struct Rows {
    ids: Vec<Uuid>,
    registrants: Vec<Uuid>,
    programs: Vec<Uuid>,
    states: Vec<&'static str>,
    spells: Vec<i32>,
    versions: Vec<i32>,
    enrollment_dates: Vec<Option<Date>>,
    exit_dates: Vec<Option<Date>>,
}

impl<'a> FromIterator<&'a Membership> for Rows {
    fn from_iter<I: IntoIterator<Item = &'a Membership>>(memberships: I) -> Self {
        let mut rows = Self::default();
        for membership in memberships {
            rows.ids.push(membership.membership_id.0);
            rows.registrants.push(membership.registrant_id.0);
            rows.programs.push(membership.program_id.0);
            rows.states.push(membership.state.as_str());
            rows.spells.push(membership.spell);
            rows.versions.push(membership.version);
            rows.enrollment_dates.push(membership.enrollment_date);
            rows.exit_dates.push(membership.exit_date);
        }
        rows
    }
}

/// Writes changed memberships of locked registrants.
pub async fn update<'a>(
    tx: &mut Transaction<'_, Postgres>,
    memberships: impl Iterator<Item = &'a Membership>,
    now: OffsetDateTime,
) -> Result<()> {
    let rows: Rows = memberships.collect();
    if rows.ids.is_empty() {
        return Ok(());
    }
    let done = sqlx::query!(
        "UPDATE memberships
         SET state = moved.state, spell = moved.spell, version = moved.version,
             enrollment_date = moved.enrollment_date, exit_date = moved.exit_date, updated_at = $7
         FROM UNNEST($1::uuid[], $2::text[], $3::int[], $4::int[], $5::date[], $6::date[])
           AS moved (membership_id, state, spell, version, enrollment_date, exit_date)
         WHERE memberships.membership_id = moved.membership_id",
        &rows.ids,
        &rows.states as &[&str],
        &rows.spells,
        &rows.versions,
        &rows.enrollment_dates as &[Option<Date>],
        &rows.exit_dates as &[Option<Date>],
        now,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("memberships updated", rows.ids.len(), done.rows_affected())
}

/// Inserts new memberships, in the order of their ids.
pub async fn insert<'a>(
    tx: &mut Transaction<'_, Postgres>,
    memberships: impl Iterator<Item = &'a Membership>,
    now: OffsetDateTime,
) -> Result<()> {
    let rows: Rows = memberships.collect();
    if rows.ids.is_empty() {
        return Ok(());
    }
    let done = sqlx::query!(
        "INSERT INTO memberships (membership_id, registrant_id, program_id, state, spell, version, enrollment_date,
                                  exit_date, created_at, updated_at)
         SELECT made.*, $9, $9
         FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::int[], $6::int[], $7::date[], $8::date[])
           AS made",
        &rows.ids,
        &rows.registrants,
        &rows.programs,
        &rows.states as &[&str],
        &rows.spells,
        &rows.versions,
        &rows.enrollment_dates as &[Option<Date>],
        &rows.exit_dates as &[Option<Date>],
        now,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("memberships inserted", rows.ids.len(), done.rows_affected())
}

/// Changes of memberships, a column an element.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct History<'a> {
    pub membership_ids: Vec<Uuid>,
    pub versions: Vec<i32>,
    pub changes: Vec<&'static str>,
    pub previous_states: Vec<Option<&'static str>>,
    pub states: Vec<Option<&'static str>>,
    pub spells: Vec<i32>,
    pub registrant_ids: Vec<Uuid>,
    pub program_ids: Vec<Uuid>,
    pub enrollment_dates: Vec<Option<Date>>,
    pub exit_dates: Vec<Option<Date>>,
    pub effective_dates: Vec<Date>,
    pub reason_codes: Vec<Option<&'a str>>,
    pub reason_notes: Vec<Option<&'a str>>,
    pub sources: Vec<&'a str>,
    pub message_ids: Vec<&'a str>,
    pub actors: Vec<Option<&'a str>>,
    pub batch_ids: Vec<Option<&'a str>>,
    pub topics: Vec<Option<&'a str>>,
    pub partitions: Vec<Option<i32>>,
    pub offsets: Vec<Option<i64>>,
    pub occurred: Vec<OffsetDateTime>,
    pub payee_ids: Vec<Option<Uuid>>,
    pub channels: Vec<&'static str>,
}

/// What a membership's id means, to say something of it by the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its program's code.
    pub program: String,
    /// Whether it is there; else it was removed.
    pub is_there: bool,
    /// The names of its registrant: REFERENCE or IDENTIFIER, its scope, its value. Always in the same order: a reference of
    /// `source` first, other references, identifiers.
    pub names: Vec<(String, String, String)>,
}

/// The membership with this id, or that had it.
pub async fn target(
    connection: &mut PgConnection,
    membership_id: Uuid,
    source: &str,
) -> Result<Option<Target>> {
    let row = sqlx::query!(
        r#"SELECT target.is_there AS "is_there!", programs.code, named.kinds AS "kinds?", named.scopes AS "scopes?",
                  named.values AS "values?"
           FROM (
               SELECT registrant_id, program_id, true AS is_there FROM memberships WHERE membership_id = $1
               UNION ALL
               SELECT registrant_id, program_id, false FROM membership_history WHERE membership_id = $1 AND version = 1
               ORDER BY is_there DESC LIMIT 1
           ) AS target
           JOIN programs USING (program_id)
           CROSS JOIN LATERAL (
               SELECT array_agg(kind ORDER BY kind DESC, scope <> $2, scope, value) AS kinds,
                      array_agg(scope ORDER BY kind DESC, scope <> $2, scope, value) AS scopes,
                      array_agg(value ORDER BY kind DESC, scope <> $2, scope, value) AS values
               FROM names WHERE names.registrant_id = target.registrant_id
           ) AS named"#,
        membership_id,
        source,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Target {
        program: row.code,
        is_there: row.is_there,
        names: (row.kinds.unwrap_or_default().into_iter())
            .zip(row.scopes.unwrap_or_default())
            .zip(row.values.unwrap_or_default())
            .map(|((kind, scope), value)| (kind, scope, value))
            .collect(),
    }))
}

/// Appends to the history.
pub async fn insert_history(
    tx: &mut Transaction<'_, Postgres>,
    rows: &History<'_>,
    recorded_at: OffsetDateTime,
) -> Result<()> {
    let done = sqlx::query!(
        r#"INSERT INTO membership_history (membership_id, version, change, previous_state, state, spell, registrant_id,
               program_id, enrollment_date, exit_date, effective_date, reason_code, reason_note, source, message_id,
               actor, batch_id, topic, partition, "offset", occurred_at, payee_id, channel, recorded_at)
           SELECT happened.*, $24
           FROM UNNEST($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::int[], $7::uuid[], $8::uuid[],
                       $9::date[], $10::date[], $11::date[], $12::text[], $13::text[], $14::text[], $15::text[],
                       $16::text[], $17::text[], $18::text[], $19::int[], $20::bigint[], $21::timestamptz[],
                       $22::uuid[], $23::text[])
             AS happened"#,
        &rows.membership_ids,
        &rows.versions,
        &rows.changes as &[&str],
        &rows.previous_states as &[Option<&str>],
        &rows.states as &[Option<&str>],
        &rows.spells,
        &rows.registrant_ids,
        &rows.program_ids,
        &rows.enrollment_dates as &[Option<Date>],
        &rows.exit_dates as &[Option<Date>],
        &rows.effective_dates,
        &rows.reason_codes as &[Option<&str>],
        &rows.reason_notes as &[Option<&str>],
        &rows.sources as &[&str],
        &rows.message_ids as &[&str],
        &rows.actors as &[Option<&str>],
        &rows.batch_ids as &[Option<&str>],
        &rows.topics as &[Option<&str>],
        &rows.partitions as &[Option<i32>],
        &rows.offsets as &[Option<i64>],
        &rows.occurred,
        &rows.payee_ids as &[Option<Uuid>],
        &rows.channels as &[&str],
        recorded_at,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("history", rows.membership_ids.len(), done.rows_affected())
}
