//! Owners of partitions that were gone without a word, and what they were working on.

use super::Result;
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

/// Stands for the position of a partition of which nothing was applied yet.
pub const NOTHING_YET: i64 = -1;

/// What is known of the owners that a partition lost at one position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crashes {
    /// The position, or [`NOTHING_YET`].
    pub offset: i64,
    /// How many owners in a row.
    pub times: i32,
    /// How many of them, the last ones in a row, while the one record at the position was worked on apart from everything
    /// else.
    pub alone: i32,
    /// How many records are worked on apart now, from the position on.
    pub under_way: i32,
    /// Before which offset what was worked on apart ended.
    pub next_offset: Option<i64>,
    /// Whether it was decoded or applied.
    pub stage: Option<String>,
}

/// What is known of a partition.
pub async fn find(
    tx: &mut Transaction<'_, Postgres>,
    topic: &str,
    partition: i32,
) -> Result<Option<Crashes>> {
    Ok(sqlx::query_as!(
        Crashes,
        r#"SELECT "offset", crashes AS times, alone, under_way, next_offset, stage
           FROM partition_crashes WHERE topic = $1 AND partition = $2"#,
        topic,
        partition,
    )
    .fetch_optional(&mut **tx)
    .await?)
}

/// The partitions at whose position the one record was worked on alone when an owner went, or is now.
pub async fn alone(tx: &mut Transaction<'_, Postgres>) -> Result<Vec<(String, i32)>> {
    let rows = sqlx::query!(
        r#"SELECT known.topic, known.partition
           FROM partition_crashes AS known
           LEFT JOIN LATERAL (
               SELECT next_offset FROM intake_ledger AS ledger
               WHERE ledger.topic = known.topic AND ledger.partition = known.partition
               ORDER BY first_offset DESC LIMIT 1
           ) AS ledger ON true
           WHERE (known.alone > 0 OR known.under_way = 1)
             AND known."offset" = COALESCE(ledger.next_offset, $1)
           ORDER BY known.topic, known.partition"#,
        NOTHING_YET,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.topic, row.partition)).collect())
}

/// Puts down what is known of a partition. To be called under the lock of its lease.
pub async fn put(
    tx: &mut Transaction<'_, Postgres>,
    (topic, partition): (&str, i32),
    crashes: &Crashes,
) -> Result<()> {
    sqlx::query!(
        r#"INSERT INTO partition_crashes (topic, partition, "offset", crashes, alone, under_way, next_offset, stage)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
           ON CONFLICT (topic, partition) DO UPDATE
           SET "offset" = excluded."offset", crashes = excluded.crashes, alone = excluded.alone,
               under_way = excluded.under_way, next_offset = excluded.next_offset, stage = excluded.stage"#,
        topic,
        partition,
        crashes.offset,
        crashes.times,
        crashes.alone,
        crashes.under_way,
        crashes.next_offset,
        crashes.stage,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets a partition. To be called under the lock of its lease.
pub async fn forget(tx: &mut Transaction<'_, Postgres>, topic: &str, partition: i32) -> Result<()> {
    sqlx::query!(
        "DELETE FROM partition_crashes WHERE topic = $1 AND partition = $2",
        topic,
        partition,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Says that so many records, from the position to before `next_offset`, are worked on now apart from everything else;
/// whether the lease is still under this fence. Nothing is said otherwise.
///
/// The first owner that is lost at a position has noted nothing: it counts as lost at the record if there is no other.
pub async fn mark(
    connection: &mut PgConnection,
    (topic, partition, fence): (&str, i32, Uuid),
    (records, next_offset): (i32, i64),
    stage: &str,
) -> Result<bool> {
    let done = sqlx::query!(
        r#"INSERT INTO partition_crashes AS known
               (topic, partition, "offset", crashes, alone, under_way, next_offset, stage)
           SELECT lease.topic, lease.partition, COALESCE(ledger.next_offset, $7), 0, 0, $4, $5, $6
           FROM partition_leases AS lease
           LEFT JOIN LATERAL (
               SELECT next_offset FROM intake_ledger AS ledger
               WHERE ledger.topic = lease.topic AND ledger.partition = lease.partition
               ORDER BY first_offset DESC LIMIT 1
           ) AS ledger ON true
           WHERE lease.topic = $1 AND lease.partition = $2 AND lease.fence = $3
           ON CONFLICT (topic, partition) DO UPDATE
           SET "offset" = excluded."offset",
               crashes = CASE WHEN known."offset" = excluded."offset" THEN known.crashes ELSE 0 END,
               alone = CASE WHEN known."offset" <> excluded."offset" THEN 0
                            WHEN known.crashes = 1 AND known.next_offset IS NULL AND excluded.under_way = 1 THEN 1
                            ELSE known.alone END,
               under_way = excluded.under_way, next_offset = excluded.next_offset, stage = excluded.stage"#,
        topic,
        partition,
        fence,
        records,
        next_offset,
        stage,
        NOTHING_YET,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Says that nothing of a partition is worked on apart any more, though its position has not moved. Under another fence
/// nothing is said: then it is another owner's note.
pub async fn unmark(
    connection: &mut PgConnection,
    (topic, partition, fence): (&str, i32, Uuid),
) -> Result<()> {
    sqlx::query!(
        "UPDATE partition_crashes AS known SET under_way = 0
         FROM partition_leases AS lease
         WHERE known.topic = $1 AND known.partition = $2
           AND lease.topic = $1 AND lease.partition = $2 AND lease.fence = $3",
        topic,
        partition,
        fence,
    )
    .execute(connection)
    .await?;
    Ok(())
}
