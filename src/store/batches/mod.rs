//! Batches: counters that transactions lock and move, letters that are counted as held, receipts that are due.

mod due;
mod read;

pub use due::{Said, lock_due, next_due, said};
pub use read::{Batch, Cursor, Filter, Message, Place, by_id, list, messages, open_count};

use super::{Result, error::expect_rows};
use crate::domain::{BatchOutcome, Digest, Tally};
use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

/// A batch under lock: what transactions move.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Row {
    pub source: String,
    pub batch_id: String,
    pub total_count: Option<i32>,
    pub total_count_conflict: bool,
    pub tally: Tally,
    pub letters_held: i32,
    /// By shard of the membership stream.
    pub positions: Vec<i64>,
    pub first_at: OffsetDateTime,
    pub completed_at: Option<OffsetDateTime>,
    pub closed_at: Option<OffsetDateTime>,
    pub revision: i32,
    pub due_at: Option<OffsetDateTime>,
}

/// A row of the table as a query gives it; the same columns in every query.
struct Raw {
    source: String,
    batch_id: String,
    total_count: Option<i32>,
    total_count_conflict: bool,
    applied_count: i32,
    unchanged_count: i32,
    partial_count: i32,
    rejected_count: i32,
    held_count: i32,
    letters_held: i32,
    digest: Vec<u8>,
    positions: Vec<i64>,
    first_at: OffsetDateTime,
    completed_at: Option<OffsetDateTime>,
    closed_at: Option<OffsetDateTime>,
    revision: i32,
    due_at: Option<OffsetDateTime>,
}

impl From<Raw> for Row {
    fn from(raw: Raw) -> Self {
        let counts = [
            raw.applied_count,
            raw.unchanged_count,
            raw.partial_count,
            raw.rejected_count,
            raw.held_count,
        ];
        Self {
            source: raw.source,
            batch_id: raw.batch_id,
            total_count: raw.total_count,
            total_count_conflict: raw.total_count_conflict,
            tally: Tally::stored(counts, digest(&raw.digest)),
            letters_held: raw.letters_held,
            positions: raw.positions,
            first_at: raw.first_at,
            completed_at: raw.completed_at,
            closed_at: raw.closed_at,
            revision: raw.revision,
            due_at: raw.due_at,
        }
    }
}

/// The table's check holds the length.
fn digest(bytes: &[u8]) -> Digest {
    Digest(bytes.first_chunk().copied().unwrap_or_default())
}

/// Inserts the batches that are not there yet, empty, in the order of the key (the caller sorts).
pub async fn open(
    tx: &mut Transaction<'_, Postgres>,
    sources: &[&str],
    batch_ids: &[&str],
    shards: u32,
    recorded_at: OffsetDateTime,
) -> Result<()> {
    let nothing = Digest::default();
    sqlx::query!(
        "INSERT INTO batches (source, batch_id, digest, positions, first_at, updated_at)
         SELECT named.*, $3, array_fill(0::bigint, ARRAY[$4::int]), $5, $5
         FROM UNNEST($1::text[], $2::text[]) AS named
         ON CONFLICT DO NOTHING",
        sources as &[&str],
        batch_ids as &[&str],
        nothing.0.as_slice(),
        shards as i32,
        recorded_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Locks those of these batches that are there, by key, and gives them as they stand then.
pub async fn lock(
    tx: &mut Transaction<'_, Postgres>,
    sources: &[&str],
    batch_ids: &[&str],
) -> Result<Vec<Row>> {
    let rows = sqlx::query_as!(
        Raw,
        "SELECT batches.source, batches.batch_id, total_count, total_count_conflict, applied_count, unchanged_count,
                partial_count, rejected_count, held_count, letters_held, digest, positions, first_at, completed_at,
                closed_at, revision, due_at
         FROM UNNEST($1::text[], $2::text[]) AS named (source, batch_id)
         JOIN batches USING (source, batch_id)
         ORDER BY batches.source, batches.batch_id FOR UPDATE OF batches",
        sources as &[&str],
        batch_ids as &[&str],
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(Row::from).collect())
}

/// Saves locked batches.
pub async fn save(
    tx: &mut Transaction<'_, Postgres>,
    rows: &[Row],
    updated_at: OffsetDateTime,
) -> Result<()> {
    let column = |of: BatchOutcome| rows.iter().map(|row| row.tally.count(of)).collect::<Vec<_>>();
    // An array of arrays would be one array to UNNEST: each goes as its text.
    let positions: Vec<String> = rows
        .iter()
        .map(|row| {
            let numbers: Vec<_> = row.positions.iter().map(i64::to_string).collect();
            format!("{{{}}}", numbers.join(","))
        })
        .collect();
    let done = sqlx::query!(
        "UPDATE batches
         SET total_count = counted.total_count, total_count_conflict = counted.total_count_conflict,
             applied_count = counted.applied_count, unchanged_count = counted.unchanged_count,
             partial_count = counted.partial_count, rejected_count = counted.rejected_count,
             held_count = counted.held_count, letters_held = counted.letters_held, digest = counted.digest,
             positions = counted.positions::bigint[], completed_at = counted.completed_at,
             closed_at = counted.closed_at, due_at = counted.due_at, first_at = counted.first_at,
             updated_at = $17
         FROM UNNEST($1::text[], $2::text[], $3::int[], $4::bool[], $5::int[], $6::int[], $7::int[], $8::int[],
                     $9::int[], $10::int[], $11::bytea[], $12::text[], $13::timestamptz[], $14::timestamptz[],
                     $15::timestamptz[], $16::timestamptz[])
           AS counted (source, batch_id, total_count, total_count_conflict, applied_count, unchanged_count,
                       partial_count, rejected_count, held_count, letters_held, digest, positions, completed_at,
                       closed_at, due_at, first_at)
         WHERE batches.source = counted.source AND batches.batch_id = counted.batch_id",
        &rows.iter().map(|row| row.source.as_str()).collect::<Vec<_>>() as &[&str],
        &rows.iter().map(|row| row.batch_id.as_str()).collect::<Vec<_>>() as &[&str],
        &rows.iter().map(|row| row.total_count).collect::<Vec<_>>() as &[Option<i32>],
        &rows.iter().map(|row| row.total_count_conflict).collect::<Vec<_>>(),
        &column(BatchOutcome::Applied),
        &column(BatchOutcome::Unchanged),
        &column(BatchOutcome::Partial),
        &column(BatchOutcome::Rejected),
        &column(BatchOutcome::Held),
        &rows.iter().map(|row| row.letters_held).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.tally.digest.0.as_slice()).collect::<Vec<_>>() as &[&[u8]],
        &positions,
        &rows.iter().map(|row| row.completed_at).collect::<Vec<_>>() as &[Option<OffsetDateTime>],
        &rows.iter().map(|row| row.closed_at).collect::<Vec<_>>() as &[Option<OffsetDateTime>],
        &rows.iter().map(|row| row.due_at).collect::<Vec<_>>() as &[Option<OffsetDateTime>],
        &rows.iter().map(|row| row.first_at).collect::<Vec<_>>(),
        updated_at,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("batches", rows.len(), done.rows_affected())
}

/// Letters of messages of batches, a column an element.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Letters<'a> {
    pub sources: Vec<&'a str>,
    pub message_ids: Vec<&'a str>,
    pub batch_ids: Vec<&'a str>,
    pub letter_ids: Vec<Uuid>,
}

/// Which of these messages are new to us: neither in the inbox nor held by a letter. Gives their places. `taken_here`: the
/// inbox has a row of this transaction's own, and had none before.
pub async fn unheard(
    connection: &mut PgConnection,
    sources: &[&str],
    message_ids: &[&str],
    taken_here: &[bool],
) -> Result<Vec<usize>> {
    let places = sqlx::query_scalar!(
        r#"SELECT asked.n - 1 AS "place!"
           FROM UNNEST($1::text[], $2::text[], $3::bool[]) WITH ORDINALITY
             AS asked (source, message_id, taken_here, n)
           WHERE (asked.taken_here
                  OR NOT EXISTS (SELECT FROM inbox WHERE inbox.source = asked.source
                                   AND inbox.message_id = asked.message_id))
             AND NOT EXISTS (SELECT FROM batch_letters AS letter WHERE letter.source = asked.source
                               AND letter.message_id = asked.message_id)"#,
        sources as &[&str],
        message_ids as &[&str],
        taken_here,
    )
    .fetch_all(connection)
    .await?;
    Ok(places.into_iter().map(|place| place as usize).collect())
}

/// Keeps letters that are counted as held.
pub async fn hold_letters(
    tx: &mut Transaction<'_, Postgres>,
    letters: &Letters<'_>,
    recorded_at: OffsetDateTime,
) -> Result<()> {
    let done = sqlx::query!(
        "INSERT INTO batch_letters (source, message_id, batch_id, letter_id, recorded_at)
         SELECT held.*, $5 FROM UNNEST($1::text[], $2::text[], $3::text[], $4::uuid[]) AS held",
        &letters.sources as &[&str],
        &letters.message_ids as &[&str],
        &letters.batch_ids as &[&str],
        &letters.letter_ids,
        recorded_at,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("letters of batches", letters.sources.len(), done.rows_affected())
}

/// Releases the letters of messages that came again and were taken in the same batch; gives the places of those that
/// had one.
pub async fn release_letters(
    tx: &mut Transaction<'_, Postgres>,
    sources: &[&str],
    message_ids: &[&str],
    batch_ids: &[&str],
) -> Result<Vec<usize>> {
    let places = sqlx::query_scalar!(
        r#"DELETE FROM batch_letters AS letter
           USING UNNEST($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS taken (source, message_id, batch_id, n)
           WHERE letter.source = taken.source AND letter.message_id = taken.message_id
             AND letter.batch_id = taken.batch_id
           RETURNING taken.n - 1 AS "place!""#,
        sources as &[&str],
        message_ids as &[&str],
        batch_ids as &[&str],
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(places.into_iter().map(|place| place as usize).collect())
}
