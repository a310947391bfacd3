//! Receipts: which are due, and what was said.

use super::{Raw, Row};
use crate::domain::BatchState;
use crate::store::{Result, error::expect_rows};
use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;

/// Locks batches whose receipt is due, by key.
pub async fn lock_due(
    tx: &mut Transaction<'_, Postgres>,
    now: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Row>> {
    let rows = sqlx::query_as!(
        Raw,
        "SELECT source, batch_id, total_count, total_count_conflict, applied_count, unchanged_count, partial_count,
                rejected_count, held_count, letters_held, digest, positions, first_at, completed_at, closed_at,
                revision, due_at
         FROM batches WHERE due_at <= $1
         ORDER BY source, batch_id LIMIT $2 FOR UPDATE",
        now,
        limit,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(Row::from).collect())
}

/// When the next receipt is due; none if nothing is to be said.
pub async fn next_due(connection: &mut PgConnection) -> Result<Option<OffsetDateTime>> {
    Ok(sqlx::query_scalar!("SELECT min(due_at) FROM batches WHERE due_at IS NOT NULL")
        .fetch_one(connection)
        .await?)
}

/// A receipt that was said, of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Said<'a> {
    pub source: &'a str,
    pub batch_id: &'a str,
    pub state: BatchState,
    pub revision: i32,
}

/// Notes receipts of locked batches: nothing is due until something changes again.
pub async fn said(
    tx: &mut Transaction<'_, Postgres>,
    receipts: &[Said<'_>],
    recorded_at: OffsetDateTime,
) -> Result<()> {
    let done = sqlx::query!(
        "UPDATE batches
         SET state = said.state, revision = said.revision, due_at = NULL, updated_at = $5
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::int[]) AS said (source, batch_id, state, revision)
         WHERE batches.source = said.source AND batches.batch_id = said.batch_id",
        &receipts.iter().map(|said| said.source).collect::<Vec<_>>() as &[&str],
        &receipts.iter().map(|said| said.batch_id).collect::<Vec<_>>() as &[&str],
        &receipts.iter().map(|said| said.state.as_str()).collect::<Vec<_>>() as &[&str],
        &receipts.iter().map(|said| said.revision).collect::<Vec<_>>(),
        recorded_at,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("receipts", receipts.len(), done.rows_affected())
}
