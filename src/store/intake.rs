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
    /// The backend of this connection, by which others see whom it waits for.
    pub pid: i32,
    /// Whether there are open letters.
    pub letters: bool,
}

/// Asks whether anything may be applied, and takes a batch number; none (0) where nothing is to be published.
pub async fn ticket(connection: &mut PgConnection, numbered: bool) -> Result<Ticket> {
    let row = sqlx::query_as!(
        Ticket,
        r#"SELECT CASE WHEN $1 THEN nextval('outbox_batch_seq') ELSE 0 END AS "batch!",
                  EXISTS (SELECT FROM dead_letters WHERE state = 'OPEN') AS "letters!",
                  (SELECT name FROM halts ORDER BY since LIMIT 1) AS "halt?",
                  pg_backend_pid() AS "pid!""#,
        numbered,
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

/// Ends sessions of Rollcall's that block the backend `blocked` and wait for their client: its process is stopped, or
/// gone without a word (I3). A session that computes, waits for the disk, a lock or a standby is left alone: ending one
/// that waits for a standby would make its commit visible without it. Gives how many.
pub async fn end_blockers(
    connection: &mut PgConnection,
    blocked: i32,
    application_name: &str,
) -> Result<u64> {
    let ended = sqlx::query_scalar!(
        r#"SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) AS "ended!"
           FROM pg_stat_activity
           WHERE pid = ANY(pg_blocking_pids($1)) AND application_name = $2 AND wait_event_type = 'Client'
             AND (state = 'active' OR state_change < clock_timestamp() - interval '1 second')"#,
        blocked,
        application_name,
    )
    .fetch_one(connection)
    .await?;
    Ok(ended as u64)
}

/// Writes a row to the tables that every batch writes to, for a transaction that is rolled back: does writing work at
/// all?
pub async fn canary(tx: &mut Transaction<'_, Postgres>, now: OffsetDateTime) -> Result<()> {
    let id = Uuid::new_v4();
    let name = id.to_string();
    sqlx::query!(
        "INSERT INTO registrants (registrant_id, kind, disabled, created_at, updated_at)
         VALUES ($1, 'INDIVIDUAL', false, $2, $2)",
        id,
        now,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "INSERT INTO names (kind, scope, value, registrant_id) VALUES ('REFERENCE', 'canary', $1, $2)",
        name,
        id,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "INSERT INTO memberships (membership_id, registrant_id, program_id, state, spell, version, created_at,
                                  updated_at)
         VALUES ($1, $1, $1, 'DRAFT', 1, 1, $2, $2)",
        id,
        now,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!("UPDATE memberships SET version = 2 WHERE membership_id = $1", id)
        .execute(&mut **tx)
        .await?;
    sqlx::query!("INSERT INTO phone_numbers (registrant_id, phone_no) VALUES ($1, $2)", id, name,)
        .execute(&mut **tx)
        .await?;
    sqlx::query!(
        "INSERT INTO membership_history (membership_id, version, change, spell, registrant_id, program_id,
                                         effective_date, channel, source, message_id, occurred_at, recorded_at)
         VALUES ($1, 1, 'DRAFTED', 1, $1, $1, '2000-01-01', 'KAFKA', 'canary', $3, $2, $2)",
        id,
        now,
        name,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "INSERT INTO inbox (source, message_id, attempt, fingerprint, status, outcome, result, channel, recorded_at)
         VALUES ('canary', $1, 1, '', 'SUCCEEDED', 'A', '', 'KAFKA', $2)",
        name,
        now,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "INSERT INTO outbox (batch, stream, pos, id, cause) VALUES (nextval('outbox_batch_seq'), 0, 0, $1, '')",
        id,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
