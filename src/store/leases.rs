//! Leases of partitions, what their owners say of them, and the workers that are there.

pub use super::{Error, Result};
use sqlx::{PgConnection, Postgres, Transaction};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// Who wants a partition, and of which log.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The topic's full name.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The fence: random, and never used before by anybody else.
    pub fence: Uuid,
    /// Whether the claimant has had the lease under this fence already, and looks at the log again.
    pub again: bool,
    /// The worker.
    pub owner: &'a str,
    /// The Kafka cluster that the worker reads.
    pub cluster_id: &'a str,
    /// The consumer group that the worker is in.
    pub group_id: &'a str,
}

/// What came of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taking {
    /// The lease is the claimant's.
    Taken {
        /// Another had it and has not given it back: it is gone without a word, or about to hear of this.
        silently: bool,
    },
    /// It was to be taken again, and has another fence since: somebody wants what was said under the former one forgotten. The
    /// lease was not touched.
    TakenAway,
    /// The ledger of this partition was written from another log; the lease was not touched.
    OtherLog {
        /// The cluster it was written from.
        cluster_id: String,
        /// The group it was written for.
        group_id: String,
        /// The fence that the lease has.
        fence: Uuid,
    },
}

/// Takes the lease of a partition, whoever holds it. Waits for a batch of the holder that is under way (P3).
///
/// Cluster and group stay those of the first claim: they say which log the ledger is of.
pub async fn take(
    tx: &mut Transaction<'_, Postgres>,
    claim: Claim<'_>,
    taken_at: OffsetDateTime,
) -> Result<Taking> {
    let before = sqlx::query!(
        "SELECT owner, fence FROM partition_leases WHERE topic = $1 AND partition = $2 FOR NO KEY UPDATE",
        claim.topic,
        claim.partition,
    )
    .fetch_optional(&mut **tx)
    .await?;
    if claim.again && before.as_ref().is_some_and(|lease| lease.fence != claim.fence) {
        return Ok(Taking::TakenAway);
    }
    let taken = sqlx::query_scalar!(
        "INSERT INTO partition_leases AS lease
             (topic, partition, fence, owner, cluster_id, group_id, taken_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (topic, partition) DO UPDATE
         SET fence = excluded.fence, owner = excluded.owner, taken_at = excluded.taken_at
         WHERE lease.cluster_id = excluded.cluster_id AND lease.group_id = excluded.group_id
         RETURNING fence",
        claim.topic,
        claim.partition,
        claim.fence,
        claim.owner,
        claim.cluster_id,
        claim.group_id,
        taken_at,
    )
    .fetch_optional(&mut **tx)
    .await?;
    if taken.is_some() {
        let silently =
            before.is_some_and(|lease| !lease.owner.is_empty() && lease.owner != claim.owner);
        return Ok(Taking::Taken { silently });
    }
    let log = sqlx::query!(
        "SELECT cluster_id, group_id, fence FROM partition_leases WHERE topic = $1 AND partition = $2",
        claim.topic,
        claim.partition,
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(Taking::OtherLog { cluster_id: log.cluster_id, group_id: log.group_id, fence: log.fence })
}

/// The clusters that partitions were read from, as their leases say.
pub async fn clusters(connection: &mut PgConnection) -> Result<Vec<String>> {
    let clusters =
        sqlx::query_scalar!("SELECT DISTINCT cluster_id FROM partition_leases ORDER BY cluster_id");
    Ok(clusters.fetch_all(connection).await?)
}

/// Lets the statements of this transaction wait for a lock as long as a takeover may need.
///
/// The answer is the session's process number, by which another session finds out what is in its way.
pub async fn wait_for_locks(tx: &mut Transaction<'_, Postgres>, at_most: Duration) -> Result<i32> {
    let millis = at_most.as_millis().to_string();
    let row = sqlx::query!(
        r#"SELECT set_config('lock_timeout', $1, true) AS "lock!",
                  set_config('statement_timeout', $1, true) AS "statement!",
                  pg_backend_pid() AS "pid!""#,
        millis,
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(row.pid)
}

/// Ends the sessions of Rollcall that the session `pid` waits for; how many they were (I3: a worker that was stopped
/// in the middle of a transaction gives its locks back in no other way).
pub async fn terminate_blockers(
    connection: &mut PgConnection,
    pid: i32,
    application_name: &str,
) -> Result<i64> {
    let ended = sqlx::query_scalar!(
        r#"SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) AS "ended!"
           FROM pg_stat_activity
           WHERE pid = ANY (pg_blocking_pids($1)) AND application_name = $2
             AND datname = current_database() AND wait_event_type = 'Client'
             AND (state = 'active' OR state_change < clock_timestamp() - interval '1 second')"#,
        pid,
        application_name,
    )
    .fetch_one(connection)
    .await?;
    Ok(ended)
}

/// The next offset to apply; none if nothing was applied yet. To be called in a statement after [`take`].
pub async fn position(
    connection: &mut PgConnection,
    topic: &str,
    partition: i32,
) -> Result<Option<i64>> {
    let position = sqlx::query_scalar!(
        "SELECT next_offset FROM intake_ledger
         WHERE topic = $1 AND partition = $2 ORDER BY first_offset DESC LIMIT 1",
        topic,
        partition,
    )
    .fetch_optional(connection)
    .await?;
    Ok(position)
}

/// Whether an operator has paused a partition. To be called in a statement after [`take`].
pub async fn is_paused(connection: &mut PgConnection, topic: &str, partition: i32) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM partition_pauses WHERE topic = $1 AND partition = $2) AS "paused!""#,
        topic,
        partition,
    )
    .fetch_one(connection)
    .await?)
}

/// The fences of the leases that a worker has.
pub async fn fences_of(
    connection: &mut PgConnection,
    owner: &str,
) -> Result<Vec<(String, i32, Uuid)>> {
    let rows = sqlx::query!(
        "SELECT topic, partition, fence FROM partition_leases WHERE owner = $1",
        owner,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.topic, row.partition, row.fence)).collect())
}

/// How many records before the position became letters one after the other; no more than `at_most` are counted.
pub async fn trailing_letters(
    connection: &mut PgConnection,
    topic: &str,
    partition: i32,
    at_most: u64,
) -> Result<u64> {
    const ROWS_A_STEP: usize = 200;
    let mut letters = 0;
    let mut before = i64::MAX;
    while letters < at_most {
        let rows = sqlx::query!(
            "SELECT first_offset, outcomes FROM intake_ledger
             WHERE topic = $1 AND partition = $2 AND first_offset < $3
             ORDER BY first_offset DESC LIMIT $4",
            topic,
            partition,
            before,
            ROWS_A_STEP as i64,
        )
        .fetch_all(&mut *connection)
        .await?;
        for row in &rows {
            before = row.first_offset;
            for outcome in row.outcomes.iter().rev() {
                match outcome {
                    b'L' => letters += 1,
                    // No record stood there.
                    b'-' | b'!' => {}
                    _ => return Ok(letters.min(at_most)),
                }
            }
        }
        if rows.len() < ROWS_A_STEP {
            break;
        }
    }
    Ok(letters.min(at_most))
}

/// Gives a lease back, unless somebody else has taken it. A batch that is still under way under this fence cannot
/// commit afterwards.
pub async fn release(
    connection: &mut PgConnection,
    topic: &str,
    partition: i32,
    fence: Uuid,
    nobodys: Uuid,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE partition_leases SET fence = $4, owner = ''
         WHERE topic = $1 AND partition = $2 AND fence = $3",
        topic,
        partition,
        fence,
        nobodys,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What a worker says of partitions, a column an element.
#[derive(Debug, Default)]
pub struct StateRows<'a> {
    /// Full names.
    pub topics: Vec<&'a str>,
    /// Partitions.
    pub partitions: Vec<i32>,
    /// RUNNING, WAITING, PAUSED, STOPPED, UNOWNED.
    pub states: Vec<&'a str>,
    /// The first offset that Kafka still has.
    pub lows: Vec<Option<i64>>,
    /// The offset after the last one that Kafka has.
    pub highs: Vec<Option<i64>>,
    /// Why a partition is stopped.
    pub causes: Vec<Option<&'a str>>,
    /// Where it is stopped.
    pub offsets: Vec<Option<i64>>,
    /// The fence that the lease had when it was found to be stopped.
    pub fences: Vec<Option<Uuid>>,
    /// Since when it is in this state.
    pub sinces: Vec<OffsetDateTime>,
}

/// Writes what a worker says of partitions. That one is unowned is believed of its last owner only.
pub async fn say_states(
    connection: &mut PgConnection,
    owner: &str,
    rows: &StateRows<'_>,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        r#"INSERT INTO partition_states AS known
               (topic, partition, state, low, high, cause, "offset", fence, since, owner, updated_at)
           SELECT said.*, $10, $11
           FROM UNNEST($1::text[], $2::int[], $3::text[], $4::bigint[], $5::bigint[], $6::text[],
                       $7::bigint[], $8::uuid[], $9::timestamptz[]) AS said
           ON CONFLICT (topic, partition) DO UPDATE
           SET state = excluded.state, low = COALESCE(excluded.low, known.low),
               high = COALESCE(excluded.high, known.high), cause = excluded.cause,
               "offset" = excluded."offset", fence = excluded.fence, since = excluded.since, owner = excluded.owner,
               updated_at = excluded.updated_at
           WHERE excluded.state <> 'UNOWNED' OR known.owner = excluded.owner"#,
        &rows.topics as &[&str],
        &rows.partitions,
        &rows.states as &[&str],
        &rows.lows as &[Option<i64>],
        &rows.highs as &[Option<i64>],
        &rows.causes as &[Option<&str>],
        &rows.offsets as &[Option<i64>],
        &rows.fences as &[Option<Uuid>],
        &rows.sinces,
        owner,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Says that a worker is there.
pub async fn heartbeat(
    connection: &mut PgConnection,
    owner: &str,
    build: &str,
    started_at: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO workers (owner, build, started_at, seen_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (owner) DO UPDATE SET seen_at = excluded.seen_at, build = excluded.build",
        owner,
        build,
        started_at,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}
