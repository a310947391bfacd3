//! The ledger, and what stands for its bytes.

use crate::store::Result;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The topic's full name.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first offset it speaks of.
    pub first_offset: i64,
    /// The offset after the last.
    pub next_offset: i64,
    /// One byte an offset.
    pub outcomes: Vec<u8>,
    /// The time of its transaction.
    pub recorded_at: OffsetDateTime,
}

/// The next rows after (topic, partition, first offset), in this order.
pub async fn ledger_after(
    connection: &mut PgConnection,
    (topic, partition, first_offset): (&str, i32, i64),
    limit: i64,
) -> Result<Vec<LedgerRow>> {
    Ok(sqlx::query_as!(
        LedgerRow,
        "SELECT topic, partition, first_offset, next_offset, outcomes, recorded_at
         FROM intake_ledger
         WHERE (topic, partition, first_offset) > ($1, $2, $3)
         ORDER BY topic, partition, first_offset LIMIT $4",
        topic,
        partition,
        first_offset,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// As [`ledger_after`], but only rows that have this byte.
pub async fn ledger_with_after(
    connection: &mut PgConnection,
    byte: u8,
    (topic, partition, first_offset): (&str, i32, i64),
    limit: i64,
) -> Result<Vec<LedgerRow>> {
    Ok(sqlx::query_as!(
        LedgerRow,
        "SELECT topic, partition, first_offset, next_offset, outcomes, recorded_at
         FROM intake_ledger
         WHERE (topic, partition, first_offset) > ($1, $2, $3) AND position($5::bytea IN outcomes) > 0
         ORDER BY topic, partition, first_offset LIMIT $4",
        topic,
        partition,
        first_offset,
        limit,
        &[byte][..],
    )
    .fetch_all(connection)
    .await?)
}

/// How many offsets the rows of the time from `from` to before `until` speak of.
pub async fn offsets_between(
    connection: &mut PgConnection,
    from: OffsetDateTime,
    until: OffsetDateTime,
) -> Result<u64> {
    let offsets = sqlx::query_scalar!(
        r#"SELECT coalesce(sum(next_offset - first_offset), 0)::bigint AS "offsets!"
           FROM intake_ledger WHERE recorded_at >= $1 AND recorded_at < $2"#,
        from,
        until,
    )
    .fetch_one(connection)
    .await?;
    Ok(offsets as u64)
}

/// Rows of the time from `from` to before `until`; see [`offsets_between`] for how many bytes that are.
pub async fn ledger_between(
    connection: &mut PgConnection,
    from: OffsetDateTime,
    until: OffsetDateTime,
) -> Result<Vec<LedgerRow>> {
    Ok(sqlx::query_as!(
        LedgerRow,
        "SELECT topic, partition, first_offset, next_offset, outcomes, recorded_at
         FROM intake_ledger WHERE recorded_at >= $1 AND recorded_at < $2",
        from,
        until,
    )
    .fetch_all(connection)
    .await?)
}

/// What stands for a byte of the ledger: a row of the inbox or of `inbox_attempts`, or a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The topic's full name.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The byte that it stands for.
    pub outcome: String,
    /// The time of its transaction.
    pub recorded_at: OffsetDateTime,
    /// Of a letter.
    pub letter_id: Option<Uuid>,
    /// Of a request.
    pub source: Option<String>,
    /// Of a request.
    pub message_id: Option<String>,
}

/// What was written for records of Kafka in the time from `from` to before `until`, at most `limit` rows.
pub async fn said_between(
    connection: &mut PgConnection,
    from: OffsetDateTime,
    until: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Said>> {
    Ok(sqlx::query_as!(
        Said,
        r#"SELECT topic AS "topic!", partition AS "partition!", "offset" AS "offset!", outcome AS "outcome!",
                  recorded_at AS "recorded_at!", letter_id, source, message_id
           FROM (
               SELECT topic, partition, "offset", outcome, recorded_at, NULL::uuid AS letter_id, source, message_id
               FROM inbox
               WHERE recorded_at >= $1 AND recorded_at < $2 AND channel = 'KAFKA' AND topic IS NOT NULL
                 AND partition IS NOT NULL AND "offset" IS NOT NULL
               UNION ALL
               SELECT topic, partition, "offset", outcome, recorded_at, NULL, source, message_id
               FROM inbox_attempts
               WHERE recorded_at >= $1 AND recorded_at < $2 AND topic IS NOT NULL
                 AND partition IS NOT NULL AND "offset" IS NOT NULL
               UNION ALL
               SELECT topic, partition, "offset", CASE class WHEN 'skipped' THEN 'S' ELSE 'L' END, first_failed_at,
                      letter_id, NULL, NULL
               FROM dead_letters
               WHERE first_failed_at >= $1 AND first_failed_at < $2 AND topic <> 'http'
           ) AS said
           LIMIT $3"#,
        from,
        until,
        limit,
    )
    .fetch_all(connection)
    .await?)
}
