//! Batches as commands show them.

use super::{Raw, Row};
use crate::store::Result;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// A batch as it stands, and what was last said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its counters.
    pub row: Row,
    /// What the last receipt said; `OPEN` if there is none.
    pub state: String,
    /// When anything of it last changed.
    pub updated_at: OffsetDateTime,
}

/// Which batches are listed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Of this source.
    pub source: Option<&'a str>,
    /// In this state.
    pub state: Option<&'a str>,
}

/// Where a page of batches begins: after this one.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the columns of the order")]
pub struct Cursor<'a> {
    pub first_at: OffsetDateTime,
    pub source: &'a str,
    pub batch_id: &'a str,
}

macro_rules! batches {
    ($rows:expr) => {
        $rows
            .into_iter()
            .map(|row| Batch {
                row: Raw {
                    source: row.source,
                    batch_id: row.batch_id,
                    total_count: row.total_count,
                    total_count_conflict: row.total_count_conflict,
                    applied_count: row.applied_count,
                    unchanged_count: row.unchanged_count,
                    partial_count: row.partial_count,
                    rejected_count: row.rejected_count,
                    held_count: row.held_count,
                    letters_held: row.letters_held,
                    digest: row.digest,
                    positions: row.positions,
                    first_at: row.first_at,
                    completed_at: row.completed_at,
                    closed_at: row.closed_at,
                    revision: row.revision,
                    due_at: row.due_at,
                }
                .into(),
                state: row.state,
                updated_at: row.updated_at,
            })
            .collect::<Vec<_>>()
    };
}

/// Batches, the latest first.
pub async fn list(
    connection: &mut PgConnection,
    filter: Filter<'_>,
    after: Option<Cursor<'_>>,
    limit: i64,
) -> Result<Vec<Batch>> {
    let rows = sqlx::query!(
        "SELECT source, batch_id, total_count, total_count_conflict, applied_count, unchanged_count, partial_count,
                rejected_count, held_count, letters_held, digest, positions, first_at, completed_at, closed_at, state,
                revision, due_at, updated_at
         FROM batches
         WHERE ($1::text IS NULL OR source = $1) AND ($2::text IS NULL OR state = $2)
           AND (first_at, source, batch_id) < (coalesce($3, 'infinity'::timestamptz), coalesce($4, ''), coalesce($5, ''))
         ORDER BY first_at DESC, source DESC, batch_id DESC LIMIT $6",
        filter.source,
        filter.state,
        after.map(|after| after.first_at),
        after.map(|after| after.source),
        after.map(|after| after.batch_id),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(batches!(rows))
}

/// A batch; none if nobody ever named it.
pub async fn by_id(
    connection: &mut PgConnection,
    source: &str,
    batch_id: &str,
) -> Result<Option<Batch>> {
    let row = sqlx::query!(
        "SELECT source, batch_id, total_count, total_count_conflict, applied_count, unchanged_count, partial_count,
                rejected_count, held_count, letters_held, digest, positions, first_at, completed_at, closed_at, state,
                revision, due_at, updated_at
         FROM batches WHERE source = $1 AND batch_id = $2",
        source,
        batch_id,
    )
    .fetch_optional(connection)
    .await?;
    Ok(batches!(row).pop())
}

/// How many batches have no receipt yet.
pub async fn open_count(connection: &mut PgConnection) -> Result<i64> {
    Ok(sqlx::query_scalar!(r#"SELECT count(*) AS "open!" FROM batches WHERE state = 'OPEN'"#)
        .fetch_one(connection)
        .await?)
}

/// A message of a batch: its result, or the letter that holds it.
#[expect(clippy::struct_field_names, reason = "the names are those of the contract")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Which.
    pub message_id: String,
    /// What became of it: a byte of the inbox.
    pub outcome: String,
    /// Its result, as it was published.
    pub result: Option<Vec<u8>>,
    /// The letter that holds it.
    pub letter_id: Option<Uuid>,
    /// When that was recorded.
    pub recorded_at: OffsetDateTime,
}

/// Where a page of messages begins: after this one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the order")]
pub struct Place {
    pub recorded_at: OffsetDateTime,
    pub message_id: String,
}

impl Place {
    /// Before every message.
    pub const START: Self =
        Self { recorded_at: OffsetDateTime::UNIX_EPOCH, message_id: String::new() };
}

/// The messages of a batch after this place, as they were recorded; only those of these outcomes (bytes of the inbox), if
/// any are given.
pub async fn messages(
    connection: &mut PgConnection,
    (source, batch_id): (&str, &str),
    outcomes: Option<&[&str]>,
    after: &Place,
    limit: i64,
) -> Result<Vec<Message>> {
    Ok(sqlx::query_as!(
        Message,
        r#"(SELECT message_id AS "message_id!", outcome AS "outcome!", result AS "result?", NULL::uuid AS letter_id,
                   recorded_at AS "recorded_at!"
            FROM inbox
            WHERE source = $1 AND batch_id = $2 AND recorded_at >= $3 AND (recorded_at, message_id) > ($3, $4)
              AND ($5::text[] IS NULL OR outcome = ANY($5))
            ORDER BY recorded_at, message_id LIMIT $6)
           UNION ALL
           (SELECT message_id, 'K', NULL, letter_id, recorded_at FROM batch_letters
            WHERE source = $1 AND batch_id = $2 AND recorded_at >= $3 AND (recorded_at, message_id) > ($3, $4)
              AND ($5::text[] IS NULL OR 'K' = ANY($5))
            ORDER BY recorded_at, message_id LIMIT $6)
           ORDER BY 5, 1 LIMIT $6"#,
        source,
        batch_id,
        after.recorded_at,
        after.message_id,
        outcomes as Option<&[&str]>,
        limit,
    )
    .fetch_all(connection)
    .await?)
}
