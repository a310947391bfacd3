//! What the relay reads and writes: its lease, its cursors, the runs and their rows.

use super::Result;
use sqlx::postgres::types::PgInterval;
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// Who would lead.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The fence to take.
    pub fence: Uuid,
    /// The fence that the same relay held before, if it did: it need not wait for the end of its own lease.
    pub previous: Option<Uuid>,
    /// The worker.
    pub owner: &'a str,
    /// How long a lease lasts without renewal, by the database's clock.
    pub lease: Duration,
}

/// The channel on which commits are told of.
const COMMITS: &str = "rollcall_commits";

/// Tells whoever listens in this database that something was committed.
pub async fn tell_of_commit(db: &mut PgConnection) -> Result<()> {
    sqlx::query!("SELECT pg_notify($1, '')", COMMITS).execute(db).await?;
    Ok(())
}

/// Listens to what [`tell_of_commit`] tells, on a connection of its own.
pub async fn hear_of_commits(pool: &PgPool) -> Result<PgListener> {
    let one = PgPoolOptions::new().max_connections(1);
    let own = one.connect_lazy_with((*pool.connect_options()).clone());
    let mut listener = PgListener::connect_with(&own).await?;
    listener.listen(COMMITS).await?;
    Ok(listener)
}

/// Whether [`take_lease`] would succeed now.
pub async fn is_lease_free(db: &mut PgConnection, claim: Claim<'_>) -> Result<bool> {
    let held = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM relay_lease
               WHERE renewed_at BETWEEN clock_timestamp() - $1::interval AND clock_timestamp() + $1::interval
                 AND fence IS DISTINCT FROM $2
           ) AS "held!""#,
        interval(claim.lease),
        claim.previous,
    )
    .fetch_one(db)
    .await?;
    Ok(!held)
}

/// Takes the lease if nobody holds it, or its holder has not renewed it in time; false if somebody holds it.
///
/// A time of renewal that lies ahead (the clock went back) does not hold it for ever.
pub async fn take_lease(db: &mut PgConnection, claim: Claim<'_>) -> Result<bool> {
    let taken = sqlx::query!(
        "INSERT INTO relay_lease AS held (fence, owner, taken_at, renewed_at)
         VALUES ($1, $2, clock_timestamp(), clock_timestamp())
         ON CONFLICT (singleton) DO UPDATE
         SET fence = excluded.fence, owner = excluded.owner,
             taken_at = clock_timestamp(), renewed_at = clock_timestamp()
         WHERE held.renewed_at NOT BETWEEN clock_timestamp() - $3::interval AND clock_timestamp() + $3::interval
            OR held.fence = $4",
        claim.fence,
        claim.owner,
        interval(claim.lease),
        claim.previous,
    )
    .execute(db)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Gives the lease back, if it is still held.
pub async fn release_lease(db: &mut PgConnection, fence: Uuid) -> Result<()> {
    sqlx::query!("DELETE FROM relay_lease WHERE fence = $1", fence).execute(db).await?;
    Ok(())
}

/// How far a topic of a stream has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The stream.
    pub stream: i16,
    /// The topic's logical name.
    pub topic: String,
    /// All numbers up to this one have been acknowledged.
    pub acked: i64,
}

/// Renews the lease and moves cursors forward in one statement: a relay that has lost the lease moves nothing.
/// False if it is lost.
pub async fn renew_and_move(db: &mut PgConnection, fence: Uuid, moved: &[Cursor]) -> Result<bool> {
    let streams: Vec<i16> = moved.iter().map(|cursor| cursor.stream).collect();
    let topics: Vec<String> = moved.iter().map(|cursor| cursor.topic.clone()).collect();
    let acked: Vec<i64> = moved.iter().map(|cursor| cursor.acked).collect();
    let held = sqlx::query_scalar!(
        r#"WITH held AS (
               UPDATE relay_lease SET renewed_at = clock_timestamp() WHERE fence = $1 RETURNING fence
           ), moved AS (
               UPDATE relay_cursors AS cursors
               SET acked = given.acked, acked_at = clock_timestamp()
               FROM held, UNNEST($2::smallint[], $3::text[], $4::bigint[]) AS given (stream, topic, acked)
               WHERE cursors.stream = given.stream AND cursors.topic = given.topic AND cursors.acked < given.acked
           )
           SELECT EXISTS (SELECT FROM held) AS "held!""#,
        fence,
        &streams,
        &topics,
        &acked,
    )
    .fetch_one(db)
    .await?;
    Ok(held)
}

/// A stream with its cursors' topics, one row a topic.
#[derive(Debug, Clone)]
pub struct Feed {
    /// The stream.
    pub stream: i16,
    /// Its kind.
    pub kind: String,
    /// Its shard, which is the partition of its topics.
    pub shard: i32,
    /// Counts up after a recovery from data loss.
    pub generation: i32,
    /// The topic's logical name.
    pub topic: String,
    /// All numbers up to this one have been acknowledged.
    pub acked: i64,
    /// The last number that was given.
    pub last_seq: i64,
}

/// All streams and topics with how far they have come, by stream and topic.
pub async fn feeds(db: &mut PgConnection) -> Result<Vec<Feed>> {
    let feeds = sqlx::query_as!(
        Feed,
        r#"SELECT streams.stream, streams.kind, streams.shard, streams.generation, cursors.topic, cursors.acked,
                  COALESCE((SELECT runs.first_seq + runs.count - 1 FROM outbox_runs AS runs
                            WHERE runs.stream = streams.stream ORDER BY runs.first_seq DESC LIMIT 1), 0) AS "last_seq!"
           FROM outbox_streams AS streams JOIN relay_cursors AS cursors USING (stream)
           ORDER BY streams.stream, cursors.topic"#
    )
    .fetch_all(db)
    .await?;
    Ok(feeds)
}

/// Where to go on reading a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The stream.
    pub stream: i16,
    /// The run that holds the number after this one is the first that is read.
    pub after: i64,
}

/// A row of a run. The number of the row is `first_seq` plus its place in the run by `pos`.
#[derive(Debug)]
pub struct OutboxRow {
    /// The stream.
    pub stream: i16,
    /// The number of the run's first row.
    pub first_seq: i64,
    /// How many rows the run has.
    pub count: i32,
    /// When its transaction was.
    pub recorded_at: OffsetDateTime,
    /// Its order in the run; none if the run's rows cannot be seen at the moment.
    pub pos: Option<i32>,
    /// The record's own id.
    pub id: Option<Uuid>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The `message_id` of the request.
    pub cause: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// The value.
    pub body: Option<Vec<u8>>,
    /// The value for the state topic.
    pub state_body: Option<Vec<u8>>,
    /// Names of a letter's own headers.
    pub header_keys: Option<Vec<Vec<u8>>>,
    /// Their values.
    pub header_values: Option<Vec<Option<Vec<u8>>>>,
}

/// Lets every statement of this session be planned anew: a plan kept from when a partition was empty would scan it
/// when it is full.
pub async fn plan_anew(db: &mut PgConnection) -> Result<()> {
    sqlx::query!("SELECT set_config('plan_cache_mode', 'force_custom_plan', false) AS mode")
        .fetch_one(db)
        .await?;
    Ok(())
}

/// Reads whole runs of many streams: those that begin within the next `numbers` of each. In no order.
///
/// Whole runs, because only then can it be seen that no row of one is missing.
pub async fn read_runs(
    db: &mut PgConnection,
    positions: &[Position],
    numbers: i64,
) -> Result<Vec<OutboxRow>> {
    let streams: Vec<i16> = positions.iter().map(|position| position.stream).collect();
    let after: Vec<i64> = positions.iter().map(|position| position.after).collect();
    let rows = sqlx::query_as!(
        OutboxRow,
        r#"SELECT runs.stream, runs.first_seq, runs.count, runs.recorded_at,
                  rows.pos AS "pos?", rows.id AS "id?", rows.key, rows.cause AS "cause?", rows.traceparent,
                  rows.body, rows.state_body,
                  rows.header_keys AS "header_keys: Vec<Vec<u8>>",
                  rows.header_values AS "header_values: Vec<Option<Vec<u8>>>"
           FROM UNNEST($1::smallint[], $2::bigint[]) AS wanted (stream, after)
           CROSS JOIN LATERAL (
               SELECT runs.stream, runs.first_seq, runs.count, runs.batch, runs.recorded_at
               FROM outbox_runs AS runs
               WHERE runs.stream = wanted.stream AND runs.first_seq <= wanted.after + $3
                 AND runs.first_seq >= COALESCE((
                     SELECT max(earlier.first_seq) FROM outbox_runs AS earlier
                     WHERE earlier.stream = wanted.stream AND earlier.first_seq <= wanted.after + 1), 0)
                 AND runs.first_seq + runs.count - 1 > wanted.after
           ) AS runs
           LEFT JOIN outbox AS rows ON rows.batch = runs.batch AND rows.stream = runs.stream"#,
        &streams,
        &after,
        numbers,
    )
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// A duration as Postgres takes it.
pub(super) fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: duration.as_micros() as i64 }
}
