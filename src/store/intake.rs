//! Fence and position: what makes a batch's commit the only one for its offsets (P2, P3).

use super::{Result, error::expect_rows};
use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

/// A partition's lease and position as a transaction found them under lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The topic's full name.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Whose lease it is; none if nobody ever took it.
    pub fence: Option<Uuid>,
    /// The next offset to apply; none if nothing was applied yet.
    pub position: Option<i64>,
}

/// Locks the leases of partitions, by key, so that nobody takes them over before this transaction ends.
pub async fn lock_leases(
    tx: &mut Transaction<'_, Postgres>,
    topics: &[&str],
    partitions: &[i32],
) -> Result<()> {
    sqlx::query!(
        "SELECT lease.fence
         FROM UNNEST($1::text[], $2::int[]) AS asked (topic, partition)
         JOIN partition_leases AS lease USING (topic, partition)
         ORDER BY lease.topic, lease.partition
         FOR NO KEY UPDATE OF lease",
        topics as &[&str],
        partitions,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(())
}

/// Reads fences and positions. To be called after [`lock_leases`], in a statement of its own: what the locking
/// statement itself reads can be as old as its snapshot.
pub async fn standings(
    connection: &mut PgConnection,
    topics: &[&str],
    partitions: &[i32],
) -> Result<Vec<Standing>> {
    let rows = sqlx::query_as!(
        Standing,
        r#"SELECT asked.topic AS "topic!", asked.partition AS "partition!",
                  lease.fence AS "fence?", ledger.next_offset AS "position?"
           FROM UNNEST($1::text[], $2::int[]) AS asked (topic, partition)
           LEFT JOIN partition_leases AS lease USING (topic, partition)
           LEFT JOIN LATERAL (
               SELECT next_offset FROM intake_ledger AS ledger
               WHERE ledger.topic = asked.topic AND ledger.partition = asked.partition
               ORDER BY first_offset DESC LIMIT 1
           ) AS ledger ON true"#,
        topics as &[&str],
        partitions,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// A reason for which nothing may be applied or published, and a number for the batch's rows in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Names the rows of this batch in the outbox. Not an order: commits are ordered by runs.
    pub batch: i64,
    /// Such as `database_behind_topics`.
    pub halt: Option<String>,
}

/// Asks whether anything may be applied, and takes a batch number.
pub async fn ticket(connection: &mut PgConnection) -> Result<Ticket> {
    let row = sqlx::query_as!(
        Ticket,
        r#"SELECT nextval('outbox_batch_seq') AS "batch!",
                  (SELECT name FROM halts ORDER BY since LIMIT 1) AS "halt?""#
    )
    .fetch_one(connection)
    .await?;
    Ok(row)
}

/// Rows of the ledger, a column an element.
#[derive(Debug, Default)]
pub struct LedgerRows<'a> {
    /// Full names.
    pub topics: Vec<&'a str>,
    /// Partitions.
    pub partitions: Vec<i32>,
    /// Where each slice begins.
    pub first_offsets: Vec<i64>,
    /// Where each slice ends.
    pub next_offsets: Vec<i64>,
    /// Under which fence.
    pub fences: Vec<Uuid>,
    /// One byte an offset.
    pub outcomes: Vec<Vec<u8>>,
}

/// Appends to the ledger: with it the positions move.
pub async fn insert_ledger(
    tx: &mut Transaction<'_, Postgres>,
    rows: &LedgerRows<'_>,
    recorded_at: OffsetDateTime,
) -> Result<()> {
    let done = sqlx::query!(
        "INSERT INTO intake_ledger (topic, partition, first_offset, next_offset, fence, outcomes, recorded_at)
         SELECT slice.*, $7
         FROM UNNEST($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::uuid[], $6::bytea[]) AS slice",
        &rows.topics as &[&str],
        &rows.partitions,
        &rows.first_offsets,
        &rows.next_offsets,
        &rows.fences,
        &rows.outcomes,
        recorded_at,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("ledger", rows.topics.len(), done.rows_affected())
}
