//! What operators do to partitions: under the lock of the lease, with a new fence, so that whoever reads the partition
//! looks at it anew.

use super::Result;
use super::intake::{LedgerRows, insert_ledger};
use super::operator::By;
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
    let mut rows = LedgerRows::default();
    let mut from = first;
    while from < next {
        let until = next.min(from + LONGEST_ROW);
        rows.topics.push(topic);
        rows.partitions.push(partition);
        rows.first_offsets.push(from);
        rows.next_offsets.push(until);
        rows.fences.push(fence);
        rows.outcomes.push(vec![b'!'; (until - from) as usize]);
        from = until;
    }
    insert_ledger(tx, &rows, now).await
}

/// Adds to the audit of partitions; `offsets`: from where to before where.
pub async fn insert_action(
    connection: &mut PgConnection,
    (topic, partition): (&str, i32),
    action: &str,
    offsets: Option<(i64, i64)>,
    by: By<'_>,
    now: OffsetDateTime,
) -> Result<()> {
    let (first, next) = offsets.unzip();
    sqlx::query!(
        r#"INSERT INTO partition_actions (topic, partition, action, "offset", next_offset, actor, reason, recorded_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"#,
        topic,
        partition,
        action,
        first,
        next,
        by.actor,
        by.reason.unwrap_or_default(),
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}
