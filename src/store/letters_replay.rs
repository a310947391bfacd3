//! Letters under replay: their locks, what they come to, and the runs that they are part of.

use super::{Result, error::expect_rows};
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

/// The numbers under which these letters occupy their names.
pub async fn numbers(tx: &mut Transaction<'_, Postgres>, ids: &[Uuid]) -> Result<Vec<(Uuid, i64)>> {
    let rows = sqlx::query!(
        r#"SELECT letter_id, parked_id AS "parked_id!" FROM dead_letters
           WHERE letter_id = ANY($1) AND parked_id IS NOT NULL"#,
        ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.letter_id, row.parked_id)).collect())
}

/// Locks these letters, by id (the caller sorts), and gives those that are open, with their numbers.
pub async fn lock_open(
    tx: &mut Transaction<'_, Postgres>,
    ids: &[Uuid],
) -> Result<Vec<(Uuid, Option<i64>)>> {
    let rows = sqlx::query!(
        "SELECT letter_id, parked_id FROM dead_letters WHERE letter_id = ANY($1) AND state = 'OPEN'
         ORDER BY letter_id FOR NO KEY UPDATE",
        ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.letter_id, row.parked_id)).collect())
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
    /// Under which the letter occupies its names.
    pub numbers: Vec<Option<i64>>,
}

/// The letters whose registrant has changed since: its facts, its members, or a membership of its. But for what the run
/// did itself, and what those did that waited before the letter.
pub async fn changed_since(
    tx: &mut Transaction<'_, Postgres>,
    asked: &Since<'_>,
    run_id: Option<Uuid>,
) -> Result<Vec<Uuid>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT DISTINCT asked.letter_id AS "letter_id!"
           FROM UNNEST($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::int[], $6::bigint[], $7::bigint[])
             AS asked (letter_id, registrant_id, failed_at, topic, partition, "offset", number)
           CROSS JOIN LATERAL (
               SELECT updated_at AS at FROM registrants
               WHERE registrants.registrant_id = asked.registrant_id AND updated_at > asked.failed_at
               UNION ALL
               SELECT updated_at FROM group_members
               WHERE group_id = asked.registrant_id AND updated_at > asked.failed_at
               UNION ALL
               SELECT change.recorded_at
               FROM (
                   SELECT membership_id FROM memberships WHERE memberships.registrant_id = asked.registrant_id
                   UNION ALL
                   SELECT membership_id FROM membership_history AS removed
                   WHERE removed.registrant_id = asked.registrant_id AND removed.change = 'REMOVED'
               ) AS own
               JOIN membership_history AS change USING (membership_id)
               WHERE change.recorded_at > asked.failed_at
                  OR (change.recorded_at = asked.failed_at AND change.topic = asked.topic
                      AND change.partition = asked.partition AND change."offset" > asked."offset")
           ) AS changed
           WHERE NOT EXISTS (
               SELECT FROM dead_letter_run_items AS item WHERE item.run_id = $8 AND item.decided_at = changed.at
           ) AND NOT EXISTS (
               SELECT FROM parked_records AS parked
               WHERE parked.resolved_at = changed.at
                 AND (parked.parked_id < asked.number OR EXISTS (
                     SELECT FROM dead_letter_run_items AS item
                     WHERE item.run_id = $8 AND item.letter_id = parked.letter_id
                 ))
           )"#,
        &asked.letter_ids,
        &asked.registrant_ids,
        &asked.failed,
        &asked.topics as &[&str],
        &asked.partitions,
        &asked.offsets,
        &asked.numbers as &[Option<i64>],
        run_id,
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

/// Notes what letters came to whose record had to wait when they were replayed.
pub async fn waited(
    tx: &mut Transaction<'_, Postgres>,
    letter_ids: &[Uuid],
    outcomes: &[String],
    now: OffsetDateTime,
) -> Result<()> {
    let done = sqlx::query!(
        "UPDATE dead_letters SET outcome = came.outcome, resolved_at = $3
         FROM UNNEST($1::uuid[], $2::text[]) AS came (letter_id, outcome)
         WHERE dead_letters.letter_id = came.letter_id AND dead_letters.state = 'RESOLVED'
           AND dead_letters.outcome = 'K'",
        letter_ids,
        outcomes,
        now,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("letters that waited", letter_ids.len(), done.rows_affected())
}

/// Letters that failed again, with why; and who sent them, where that is known by now.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Failed<'a> {
    pub letter_ids: Vec<Uuid>,
    pub classes: Vec<&'static str>,
    pub stages: Vec<&'static str>,
    pub codes: Vec<&'static str>,
    pub details: Vec<&'static str>,
    pub sources: Vec<Option<&'a [u8]>>,
    pub message_ids: Vec<Option<&'a [u8]>>,
    pub batch_ids: Vec<Option<&'a [u8]>>,
}

/// Counts another attempt of letters: they stay open, or are so again if their record had to wait. One that an operator
/// passed over stays one of class skipped: so the ledger says.
pub async fn fail(
    tx: &mut Transaction<'_, Postgres>,
    failed: &Failed<'_>,
    now: OffsetDateTime,
) -> Result<()> {
    if failed.letter_ids.is_empty() {
        return Ok(());
    }
    let done = sqlx::query!(
        "UPDATE dead_letters
         SET state = 'OPEN', outcome = NULL, resolved_at = NULL, attempts = attempts + 1, last_failed_at = $9,
             stage = again.stage, code = again.code, detail = again.detail,
             class = CASE dead_letters.class WHEN 'skipped' THEN 'skipped' ELSE again.class END,
             source = coalesce(again.source, dead_letters.source),
             message_id = coalesce(again.message_id, dead_letters.message_id),
             batch_id = coalesce(again.batch_id, dead_letters.batch_id)
         FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::bytea[], $8::bytea[])
           AS again (letter_id, class, stage, code, detail, source, message_id, batch_id)
         WHERE dead_letters.letter_id = again.letter_id
           AND (dead_letters.state = 'OPEN' OR (dead_letters.state = 'RESOLVED' AND dead_letters.outcome = 'K'))",
        &failed.letter_ids,
        &failed.classes as &[&str],
        &failed.stages as &[&str],
        &failed.codes as &[&str],
        &failed.details as &[&str],
        &failed.sources as &[Option<&[u8]>],
        &failed.message_ids as &[Option<&[u8]>],
        &failed.batch_ids as &[Option<&[u8]>],
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

/// A letter that a run has looked at, with what it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Noted {
    pub letter_id: Uuid,
    pub outcome: String,
    pub code: Option<String>,
}

/// Those of these letters that the run has looked at.
pub async fn noted(
    tx: &mut Transaction<'_, Postgres>,
    run_id: Uuid,
    ids: &[Uuid],
) -> Result<Vec<Noted>> {
    Ok(sqlx::query_as!(
        Noted,
        r#"SELECT letter_id, outcome AS "outcome!", code FROM dead_letter_run_items
           WHERE run_id = $1 AND letter_id = ANY($2) AND outcome IS NOT NULL"#,
        run_id,
        ids,
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// What letters came to that were given up since, by this person and for this reason.
pub async fn given_up(
    tx: &mut Transaction<'_, Postgres>,
    ids: &[Uuid],
    (actor, reason): (Option<&str>, Option<&str>),
    since: OffsetDateTime,
) -> Result<Vec<Noted>> {
    Ok(sqlx::query_as!(
        Noted,
        r#"SELECT letter_id, outcome AS "outcome!", code FROM dead_letter_actions
           WHERE letter_id = ANY($1) AND action = 'DISCARDED' AND outcome IS NOT NULL
             AND actor IS NOT DISTINCT FROM $2 AND reason IS NOT DISTINCT FROM $3 AND recorded_at >= $4"#,
        ids,
        actor,
        reason,
        since,
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// An open letter whose record may have been sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaidAgain {
    /// Which.
    pub letter_id: Uuid,
    /// The place of the record among those that were asked about.
    pub place: i64,
    /// Whether the bytes are the letter's.
    pub is_same: bool,
}

/// The open letters of the same requests (by the hash of source, a zero and `message_id`), and of the same bytes.
pub async fn said_again(
    tx: &mut Transaction<'_, Postgres>,
    requests: &[Vec<u8>],
    values: &[Vec<u8>],
) -> Result<Vec<SaidAgain>> {
    Ok(sqlx::query_as!(
        SaidAgain,
        // One look into an index each: new statistics, or none, must not make it a walk over all open letters.
        r#"SELECT letter.letter_id AS "letter_id!", asked.n - 1 AS "place!", false AS "is_same!"
           FROM UNNEST($1::bytea[]) WITH ORDINALITY AS asked (hash, n)
           CROSS JOIN LATERAL (
               SELECT letter_id FROM dead_letters AS letter
               WHERE sha256(letter.source || '\x00'::bytea || letter.message_id) = asked.hash
                 AND letter.state = 'OPEN' AND letter.source IS NOT NULL AND letter.message_id IS NOT NULL
               OFFSET 0
           ) AS letter
           UNION ALL
           SELECT letter.letter_id, asked.n - 1, true
           FROM UNNEST($2::bytea[]) WITH ORDINALITY AS asked (hash, n)
           CROSS JOIN LATERAL (
               SELECT letter_id FROM dead_letters AS letter
               WHERE sha256(letter.value) = asked.hash AND letter.state = 'OPEN' AND letter.value IS NOT NULL
               OFFSET 0
           ) AS letter"#,
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
