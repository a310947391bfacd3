//! What operators do to partitions: under the lock of the lease, with a new fence, so that whoever reads the partition
//! looks at it anew.

use super::operator::By;
use super::{Result, error::expect_rows};
use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

/// Offsets of a row of the ledger, at most.
const LONGEST_ROW: i64 = 100_000;

/// Locks a partition's lease and gives it another fence; its worker, if it has one, finds that out and takes it again.
/// Whether anybody ever took it.
pub async fn rotate(
    tx: &mut Transaction<'_, Postgres>,
    topic: &str,
    partition: i32,
    fence: Uuid,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE partition_leases SET fence = $3 WHERE topic = $1 AND partition = $2",
        topic,
        partition,
        fence,
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Pauses a partition; whether it was not paused before.
pub async fn pause(
    tx: &mut Transaction<'_, Postgres>,
    topic: &str,
    partition: i32,
    by: By<'_>,
    now: OffsetDateTime,
) -> Result<bool> {
    let done = sqlx::query!(
        "INSERT INTO partition_pauses (topic, partition, actor, reason, since) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
        topic,
        partition,
        by.actor,
        by.reason.unwrap_or_default(),
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a pause, and forgets why the partition was stopped: its worker looks at it anew. Whether there was a pause.
pub async fn resume(
    tx: &mut Transaction<'_, Postgres>,
    topic: &str,
    partition: i32,
) -> Result<bool> {
    let done = sqlx::query!(
        "DELETE FROM partition_pauses WHERE topic = $1 AND partition = $2",
        topic,
        partition,
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets why a partition was stopped.
pub async fn forget_stop(
    tx: &mut Transaction<'_, Postgres>,
    topic: &str,
    partition: i32,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        r#"UPDATE partition_states SET state = 'WAITING', cause = NULL, "offset" = NULL, since = $3, updated_at = $3
           WHERE topic = $1 AND partition = $2 AND state IN ('STOPPED', 'PAUSED')"#,
        topic,
        partition,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Enters offsets as lost, from `first` (the position) to before `next`, under the fence of the lease that the
/// transaction has locked.
pub async fn lose(
    tx: &mut Transaction<'_, Postgres>,
    (topic, partition, fence): (&str, i32, Uuid),
    (first, next): (i64, i64),
    now: OffsetDateTime,
) -> Result<()> {
    let done = sqlx::query!(
        "INSERT INTO intake_ledger (topic, partition, first_offset, next_offset, fence, outcomes, recorded_at)
         SELECT $1, $2, row.first, least(row.first + $6, $4), $5,
                convert_to(repeat('!', (least(row.first + $6, $4) - row.first)::int), 'UTF8'), $7
         FROM generate_series($3::bigint, $4::bigint - 1, $6::bigint) AS row (first)",
        topic,
        partition,
        first,
        next,
        fence,
        LONGEST_ROW,
        now,
    )
    .execute(&mut **tx)
    .await?;
    let rows = (next - first + LONGEST_ROW - 1) / LONGEST_ROW;
    expect_rows("rows of lost offsets", rows as usize, done.rows_affected())
}

/// Of which log the ledger of a partition is: cluster and group.
pub async fn origin(
    connection: &mut PgConnection,
    topic: &str,
    partition: i32,
) -> Result<Option<(String, String)>> {
    let row = sqlx::query!(
        "SELECT cluster_id, group_id FROM partition_leases WHERE topic = $1 AND partition = $2",
        topic,
        partition,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| (row.cluster_id, row.group_id)))
}

/// Has the ledger of a partition go on with the log of this cluster, for this group.
pub async fn adopt(
    tx: &mut Transaction<'_, Postgres>,
    (topic, partition): (&str, i32),
    (cluster_id, group_id): (&str, &str),
) -> Result<()> {
    let done = sqlx::query!(
        "UPDATE partition_leases SET cluster_id = $3, group_id = $4 WHERE topic = $1 AND partition = $2",
        topic,
        partition,
        cluster_id,
        group_id,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("leases", 1, done.rows_affected())
}

/// What an operator did to a partition.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deed<'a> {
    /// PAUSED, RESUMED, SKIPPED, LOST or ADOPTED.
    pub action: &'a str,
    /// From where to before where.
    pub offsets: Option<(i64, i64)>,
    /// More of it.
    pub detail: Option<&'a str>,
}

impl<'a> Deed<'a> {
    /// One of which nothing more is to be said.
    pub fn of(action: &'a str) -> Self {
        Self { action, ..Self::default() }
    }
}

/// Adds to the audit of partitions.
pub async fn insert_action(
    connection: &mut PgConnection,
    (topic, partition): (&str, i32),
    deed: Deed<'_>,
    by: By<'_>,
    now: OffsetDateTime,
) -> Result<()> {
    let (first, next) = deed.offsets.unzip();
    sqlx::query!(
        r#"INSERT INTO partition_actions (topic, partition, action, "offset", next_offset, detail, actor, reason,
                                          recorded_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"#,
        topic,
        partition,
        deed.action,
        first,
        next,
        deed.detail,
        by.actor,
        by.reason.unwrap_or_default(),
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}
