//! Letters under replay: their locks, what they come to, and the runs that they are part of.

use super::{Result, error::expect_rows};
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

/// Locks these letters, by id (the caller sorts), and gives those that are open.
pub async fn lock_open(tx: &mut Transaction<'_, Postgres>, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    Ok(sqlx::query_scalar!(
        "SELECT letter_id FROM dead_letters WHERE letter_id = ANY($1) AND state = 'OPEN'
         ORDER BY letter_id FOR NO KEY UPDATE",
        ids,
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// Keeps a run from being ended before this transaction is; whether it goes on.
pub async fn lock_run(tx: &mut Transaction<'_, Postgres>, run_id: Uuid) -> Result<bool> {
    let state = sqlx::query_scalar!(
        "SELECT state FROM dead_letter_runs WHERE run_id = $1 FOR SHARE",
        run_id,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(state.as_deref() == Some("RUNNING"))
}

/// Whose registrants are asked about, a column an element.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "one row a letter and registrant")]
pub struct Since<'a> {
    pub letter_ids: Vec<Uuid>,
    pub registrant_ids: Vec<Uuid>,
    pub failed: Vec<OffsetDateTime>,
    pub topics: Vec<&'a str>,
    pub partitions: Vec<i32>,
    pub offsets: Vec<i64>,
}

/// The letters whose registrant has changed since: its facts, its members, or a membership of its, but for what replays
/// did since `started_at`.
pub async fn changed_since(
    tx: &mut Transaction<'_, Postgres>,
    asked: &Since<'_>,
    started_at: OffsetDateTime,
) -> Result<Vec<Uuid>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT DISTINCT asked.letter_id AS "letter_id!"
           FROM UNNEST($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::int[], $6::bigint[])
             AS asked (letter_id, registrant_id, failed_at, topic, partition, "offset")
           WHERE EXISTS (
               SELECT FROM registrants
               WHERE registrants.registrant_id = asked.registrant_id
                 AND updated_at > asked.failed_at AND updated_at <= $7
           ) OR EXISTS (
               SELECT FROM group_members
               WHERE group_id = asked.registrant_id AND updated_at > asked.failed_at AND updated_at <= $7
           ) OR EXISTS (
               SELECT FROM memberships
               JOIN membership_history AS last USING (membership_id, version)
               WHERE memberships.registrant_id = asked.registrant_id
                 AND (last.channel <> 'REPLAY' OR last.recorded_at <= $7)
                 AND (last.recorded_at > asked.failed_at
                      OR (last.recorded_at = asked.failed_at AND last.topic = asked.topic
                          AND last.partition = asked.partition AND last."offset" > asked."offset"))
           ) OR EXISTS (
               SELECT FROM membership_history AS removed
               WHERE removed.registrant_id = asked.registrant_id AND removed.change = 'REMOVED'
                 AND (removed.channel <> 'REPLAY' OR removed.recorded_at <= $7)
                 AND removed.recorded_at > asked.failed_at
           )"#,
        &asked.letter_ids,
        &asked.registrant_ids,
        &asked.failed,
        &asked.topics as &[&str],
        &asked.partitions,
        &asked.offsets,
        started_at,
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// Letters that are closed, with their outcomes.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Closed {
    pub letter_ids: Vec<Uuid>,
    pub outcomes: Vec<&'static str>,
}

/// Closes open letters.
pub async fn close(
    tx: &mut Transaction<'_, Postgres>,
    closed: &Closed,
    state: &str,
    now: OffsetDateTime,
) -> Result<()> {
    if closed.letter_ids.is_empty() {
        return Ok(());
    }
    let done = sqlx::query!(
        "UPDATE dead_letters SET state = $3, outcome = came.outcome, resolved_at = $4
         FROM UNNEST($1::uuid[], $2::text[]) AS came (letter_id, outcome)
         WHERE dead_letters.letter_id = came.letter_id AND dead_letters.state = 'OPEN'",
        &closed.letter_ids,
        &closed.outcomes as &[&str],
        state,
        now,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("letters closed", closed.letter_ids.len(), done.rows_affected())
}

/// Letters that failed again, with why.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Failed {
    pub letter_ids: Vec<Uuid>,
    pub classes: Vec<&'static str>,
    pub stages: Vec<&'static str>,
    pub codes: Vec<&'static str>,
    pub details: Vec<&'static str>,
}

/// Counts another attempt of letters that stay open. One that an operator passed over stays one of class skipped: so the
/// ledger says.
pub async fn fail(
    tx: &mut Transaction<'_, Postgres>,
    failed: &Failed,
    now: OffsetDateTime,
) -> Result<()> {
    if failed.letter_ids.is_empty() {
        return Ok(());
    }
    let done = sqlx::query!(
        "UPDATE dead_letters
         SET attempts = attempts + 1, last_failed_at = $6, stage = again.stage, code = again.code, detail = again.detail,
             class = CASE dead_letters.class WHEN 'skipped' THEN 'skipped' ELSE again.class END
         FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
           AS again (letter_id, class, stage, code, detail)
         WHERE dead_letters.letter_id = again.letter_id AND dead_letters.state = 'OPEN'",
        &failed.letter_ids,
        &failed.classes as &[&str],
        &failed.stages as &[&str],
        &failed.codes as &[&str],
        &failed.details as &[&str],
        now,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("letters that failed again", failed.letter_ids.len(), done.rows_affected())
}

/// Letters of a run that were looked at.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Items<'a> {
    pub letter_ids: Vec<Uuid>,
    pub outcomes: Vec<&'static str>,
    pub codes: Vec<Option<&'a str>>,
}

/// Notes in a run what became of letters that it had not looked at yet.
pub async fn decide_items(
    tx: &mut Transaction<'_, Postgres>,
    run_id: Uuid,
    items: &Items<'_>,
    now: OffsetDateTime,
) -> Result<()> {
    let done = sqlx::query!(
        "UPDATE dead_letter_run_items AS item SET outcome = came.outcome, code = came.code, decided_at = $5
         FROM UNNEST($2::uuid[], $3::text[], $4::text[]) AS came (letter_id, outcome, code)
         WHERE item.run_id = $1 AND item.letter_id = came.letter_id AND item.outcome IS NULL",
        run_id,
        &items.letter_ids,
        &items.outcomes as &[&str],
        &items.codes as &[Option<&str>],
        now,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("letters of a run", items.letter_ids.len(), done.rows_affected())
}

/// An open letter whose record may have been sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaidAgain {
    /// Which.
    pub letter_id: Uuid,
    /// The number under which it occupies its names.
    pub parked_id: Option<i64>,
    /// The place of the record among those that were asked about.
    pub place: i64,
}

/// The open letters of the same requests (by the hash of source, a zero and `message_id`), and of the same bytes.
pub async fn said_again(
    tx: &mut Transaction<'_, Postgres>,
    requests: &[Vec<u8>],
    values: &[Vec<u8>],
) -> Result<Vec<SaidAgain>> {
    Ok(sqlx::query_as!(
        SaidAgain,
        r#"SELECT letter.letter_id AS "letter_id!", letter.parked_id, asked.n - 1 AS "place!"
           FROM UNNEST($1::bytea[]) WITH ORDINALITY AS asked (hash, n)
           JOIN dead_letters AS letter ON sha256(letter.source || '\x00'::bytea || letter.message_id) = asked.hash
           WHERE letter.state = 'OPEN' AND letter.source IS NOT NULL AND letter.message_id IS NOT NULL
           UNION ALL
           SELECT letter.letter_id, letter.parked_id, asked.n - 1
           FROM UNNEST($2::bytea[]) WITH ORDINALITY AS asked (hash, n)
           JOIN dead_letters AS letter ON sha256(letter.value) = asked.hash
           WHERE letter.state = 'OPEN' AND letter.value IS NOT NULL
           ORDER BY 3"#,
        requests,
        values,
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// The letters that occupy their names under these numbers, with their outcomes.
pub async fn with_numbers(
    tx: &mut Transaction<'_, Postgres>,
    numbers: &[i64],
) -> Result<Vec<(Uuid, Option<String>)>> {
    let rows = sqlx::query!(
        "SELECT letter_id, outcome FROM dead_letters WHERE parked_id = ANY($1) ORDER BY letter_id",
        numbers,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.letter_id, row.outcome)).collect())
}
