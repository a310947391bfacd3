//! The outbox: rows first, numbers last (P4).

use super::{Result, error::expect_rows};
use sqlx::{PgConnection, Postgres, Transaction};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// The kinds of output that have streams of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StreamKind {
    /// `results`
    Results,
    /// `membership-events` and `membership-state`, with the same numbers.
    Membership,
    /// `batch-receipts`
    BatchReceipts,
    /// `dead-letters`
    DeadLetters,
}

impl StreamKind {
    /// The stream of this kind and shard: the number in `outbox_streams`.
    pub const fn stream(self, shard: u32) -> i16 {
        let base = match self {
            Self::Results => 0,
            Self::Membership => 1000,
            Self::BatchReceipts => 2000,
            Self::DeadLetters => 3000,
        };
        base + shard as i16
    }
}

/// How many shards each kind has: what the first migration recorded.
pub async fn shards(connection: &mut PgConnection) -> Result<u32> {
    let shards = sqlx::query_scalar!(
        r#"SELECT count(*) AS "shards!" FROM outbox_streams WHERE kind = 'results'"#
    )
    .fetch_one(connection)
    .await?;
    Ok(shards as u32)
}

/// Records to publish, a column an element, sorted by stream and position.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Rows<'a> {
    pub streams: Vec<i16>,
    pub positions: Vec<i32>,
    pub ids: Vec<Uuid>,
    pub keys: Vec<Option<&'a [u8]>>,
    pub causes: Vec<&'a str>,
    pub traceparents: Vec<Option<&'a str>>,
    pub bodies: Vec<Option<&'a [u8]>>,
    pub state_bodies: Vec<Option<&'a [u8]>>,
}

/// Inserts the records of a batch.
pub async fn insert(tx: &mut Transaction<'_, Postgres>, batch: i64, rows: &Rows<'_>) -> Result<()> {
    let done = sqlx::query!(
        "INSERT INTO outbox (batch, stream, pos, id, key, cause, traceparent, body, state_body)
         SELECT $1, said.*
         FROM UNNEST($2::smallint[], $3::int[], $4::uuid[], $5::bytea[], $6::text[], $7::text[], $8::bytea[],
                     $9::bytea[]) AS said",
        batch,
        &rows.streams,
        &rows.positions,
        &rows.ids,
        &rows.keys as &[Option<&[u8]>],
        &rows.causes as &[&str],
        &rows.traceparents as &[Option<&str>],
        &rows.bodies as &[Option<&[u8]>],
        &rows.state_bodies as &[Option<&[u8]>],
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("outbox", rows.streams.len(), done.rows_affected())
}

/// Locks streams, by number, to the end of the transaction: so numbers have no gap and follow the order of commits.
pub async fn lock_streams(tx: &mut Transaction<'_, Postgres>, streams: &[i16]) -> Result<()> {
    let locked = sqlx::query!(
        "SELECT stream FROM outbox_streams WHERE stream = ANY($1) ORDER BY stream FOR NO KEY UPDATE",
        streams,
    )
    .fetch_all(&mut **tx)
    .await?;
    expect_rows("streams locked", streams.len(), locked.len() as u64)
}

/// Numbers the batch's rows of locked streams: one run a stream, after the last. A statement of its own after
/// [`lock_streams`], so that it sees what the transaction before committed. Gives each stream's first number.
pub async fn append_runs(
    tx: &mut Transaction<'_, Postgres>,
    batch: i64,
    streams: &[i16],
    counts: &[i32],
    recorded_at: OffsetDateTime,
) -> Result<BTreeMap<i16, i64>> {
    let done = sqlx::query!(
        "INSERT INTO outbox_runs (stream, first_seq, count, batch, recorded_at)
         SELECT said.stream, coalesce(last.first_seq + last.count, 1), said.count, $3, $4
         FROM UNNEST($1::smallint[], $2::int[]) AS said (stream, count)
         LEFT JOIN LATERAL (
             SELECT first_seq, count FROM outbox_runs AS runs
             WHERE runs.stream = said.stream ORDER BY first_seq DESC LIMIT 1
         ) AS last ON true
         RETURNING stream, first_seq",
        streams,
        counts,
        batch,
        recorded_at,
    )
    .fetch_all(&mut **tx)
    .await?;
    expect_rows("runs", streams.len(), done.len() as u64)?;
    Ok(done.into_iter().map(|run| (run.stream, run.first_seq)).collect())
}
