//! What there is to say of the whole: for `status`. Reads only, each in a statement of its own.

use super::{Error, Result};
use serde::{Serialize, Serializer};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A worker that has said nothing for longer, in seconds, counts as gone.
pub const GONE_AFTER_SECONDS: f64 = 30.0;

/// A time as JSON has it.
pub(super) fn rfc3339<S: Serializer>(
    time: &OffsetDateTime,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    match time.format(&Rfc3339) {
        Ok(text) => serializer.serialize_str(&text),
        Err(_) => serializer.serialize_none(),
    }
}

#[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
/// The same of one that may be missing.
pub fn rfc3339_or_null<S: Serializer>(
    time: &Option<OffsetDateTime>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    match time {
        Some(time) => rfc3339(time, serializer),
        None => serializer.serialize_none(),
    }
}

/// A partition of a request topic.
#[expect(clippy::struct_field_names, reason = "the names are those of the contract")]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Partition {
    /// The topic's full name.
    pub topic: String,
    /// Which.
    pub partition: i32,
    /// `RUNNING`, `WAITING`, `PAUSED`, `STOPPED` or `UNOWNED`.
    pub state: String,
    /// The worker that has it; none if nobody has, or if its worker is gone.
    pub owner: Option<String>,
    /// The next offset to apply; none if nothing was applied yet.
    pub position: Option<i64>,
    /// The first offset that Kafka still has, as far as known.
    pub low: Option<i64>,
    /// The offset after the last one that Kafka has, as far as known.
    pub high: Option<i64>,
    /// `high` − position.
    pub lag: Option<i64>,
    /// Why it is stopped or waits.
    pub cause: Option<String>,
    /// Where it is stopped.
    pub offset: Option<i64>,
    /// Since when it is in this state.
    #[serde(serialize_with = "rfc3339_or_null")]
    pub since: Option<OffsetDateTime>,
    /// When its ledger grew last; not among the fields of the contract.
    #[serde(skip)]
    pub committed_at: Option<OffsetDateTime>,
}

impl Partition {
    /// Sets what Kafka has, and the lag by it.
    pub fn set_watermarks(&mut self, low: i64, high: i64) {
        (self.low, self.high) = (Some(low), Some(high));
        self.lag = Some((high - self.position.unwrap_or(low)).max(0));
    }
}

/// All partitions that a worker ever had or spoke of.
pub async fn partitions(connection: &mut PgConnection) -> Result<Vec<Partition>> {
    let rows = sqlx::query!(
        r#"SELECT topic AS "topic!", partition AS "partition!", said.state AS "state?",
                  said.owner AS "said_by?", lease.owner AS "owner?", said.low, said.high, said.cause,
                  said."offset", said.since AS "since?", ledger.next_offset AS "position?",
                  (said.state = 'STOPPED' AND said.fence <> lease.fence) IS TRUE AS "looked_at_anew!",
                  ledger.recorded_at AS "committed_at?",
                  (workers.seen_at IS NOT NULL
                   AND extract(epoch FROM now() - workers.seen_at)::float8 <= $1) AS "alive!",
                  pause.reason AS "paused?", pause.since AS "paused_at?"
           FROM partition_leases AS lease
           FULL JOIN partition_states AS said USING (topic, partition)
           FULL JOIN partition_pauses AS pause USING (topic, partition)
           LEFT JOIN workers ON workers.owner = lease.owner
           LEFT JOIN LATERAL (
               SELECT next_offset, recorded_at FROM intake_ledger AS ledger
               WHERE ledger.topic = COALESCE(lease.topic, said.topic, pause.topic)
                 AND ledger.partition = COALESCE(lease.partition, said.partition, pause.partition)
               ORDER BY first_offset DESC LIMIT 1
           ) AS ledger ON true
           ORDER BY 1, 2"#,
        GONE_AFTER_SECONDS,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let owner = row.owner.filter(|owner| !owner.is_empty() && row.alive);
            // Since it was found to be stopped an operator has done something, or somebody else has taken it.
            let is_old = row.looked_at_anew;
            let said = row.state.filter(|_| row.said_by.is_some() && !is_old);
            let state = match (said.as_deref(), &owner) {
                _ if row.paused.is_some() => "PAUSED",
                // What it says of a pause that has ended is old.
                (Some("PAUSED"), Some(_)) => "WAITING",
                // Stays so when its worker is gone.
                (Some("STOPPED"), _) => "STOPPED",
                (_, None) => "UNOWNED",
                (Some(state), Some(owner)) if row.said_by.as_ref() == Some(owner) => state,
                // Taken, and nothing was said of it yet.
                _ => "WAITING",
            };
            let start = row.position.or(row.low);
            // One that is stopped before anything is read is stopped at its position.
            let offset = row.offset.filter(|_| !is_old).or(start.filter(|_| state == "STOPPED"));
            Partition {
                topic: row.topic,
                partition: row.partition,
                state: state.to_owned(),
                owner,
                position: row.position,
                low: row.low,
                high: row.high,
                lag: row.high.zip(start).map(|(high, start)| (high - start).max(0)),
                cause: row.paused.or(row.cause.filter(|_| !is_old)),
                offset,
                since: row.paused_at.or(row.since),
                committed_at: row.committed_at,
            }
        })
        .collect())
}

/// How far a topic of a stream has come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cursor {
    /// The topic, without prefix.
    pub topic: String,
    /// Kafka has acknowledged everything up to this number.
    pub acked: i64,
    /// Since when.
    #[serde(serialize_with = "rfc3339_or_null")]
    pub acked_at: Option<OffsetDateTime>,
    /// Records that are still to be acknowledged.
    pub pending: i64,
    /// The age of the oldest of them, in seconds.
    pub oldest_unpublished_seconds: Option<f64>,
}

/// A numbered stream of output.
#[expect(clippy::struct_field_names, reason = "the names are those of the table")]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stream {
    /// Its number.
    pub stream: i16,
    /// `results`, `membership`, `batch-receipts`, `dead-letters`.
    pub kind: String,
    /// The shard, and the output partition.
    pub shard: i32,
    /// Counts up only after a recovery from data loss.
    pub generation: i32,
    /// The number of its last record; 0 if it has none.
    pub last: i64,
    /// When that was committed.
    #[serde(serialize_with = "rfc3339_or_null")]
    pub committed_at: Option<OffsetDateTime>,
    /// The topics that it feeds.
    pub topics: Vec<Cursor>,
}

/// All streams.
pub async fn streams(connection: &mut PgConnection) -> Result<Vec<Stream>> {
    let rows = sqlx::query!(
        r#"SELECT streams.stream, streams.kind, streams.shard, streams.generation, cursors.topic,
                  cursors.acked, cursors.acked_at,
                  GREATEST(COALESCE(newest.last, 0), cursors.acked) AS "last!",
                  newest.recorded_at AS "committed_at?",
                  (SELECT extract(epoch FROM now() - recorded_at)::float8 FROM outbox_runs AS runs
                   WHERE runs.stream = streams.stream AND first_seq + count > cursors.acked + 1
                     AND first_seq >= COALESCE((
                         SELECT max(first_seq) FROM outbox_runs AS earlier
                         WHERE earlier.stream = streams.stream AND earlier.first_seq <= cursors.acked + 1
                     ), 0)
                   ORDER BY first_seq LIMIT 1) AS "oldest?"
           FROM outbox_streams AS streams
           JOIN relay_cursors AS cursors USING (stream)
           LEFT JOIN LATERAL (
               SELECT first_seq + count - 1 AS last, recorded_at FROM outbox_runs AS runs
               WHERE runs.stream = streams.stream ORDER BY first_seq DESC LIMIT 1
           ) AS newest ON true
           ORDER BY streams.stream, cursors.topic"#
    )
    .fetch_all(connection)
    .await?;
    let mut streams: Vec<Stream> = Vec::new();
    for row in rows {
        if streams.last().is_none_or(|stream| stream.stream != row.stream) {
            streams.push(Stream {
                stream: row.stream,
                kind: row.kind,
                shard: row.shard,
                generation: row.generation,
                last: 0,
                committed_at: row.committed_at,
                topics: Vec::new(),
            });
        }
        if let Some(stream) = streams.last_mut() {
            stream.last = stream.last.max(row.last);
            stream.topics.push(Cursor {
                topic: row.topic,
                acked: row.acked,
                acked_at: row.acked_at,
                pending: row.last - row.acked,
                oldest_unpublished_seconds: row.oldest.map(|age| age.max(0.0)),
            });
        }
    }
    Ok(streams)
}

/// The relay that leads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Relay {
    /// Its worker.
    pub owner: String,
    /// Since when it leads.
    #[serde(serialize_with = "rfc3339")]
    pub taken_at: OffsetDateTime,
    /// When it last said so.
    #[serde(serialize_with = "rfc3339")]
    pub renewed_at: OffsetDateTime,
    /// The age of that, in seconds.
    pub renewed_seconds: f64,
}

/// The relay that leads; none if none ever did.
pub async fn relay(connection: &mut PgConnection) -> Result<Option<Relay>> {
    Ok(sqlx::query_as!(
        Relay,
        r#"SELECT owner, taken_at, renewed_at,
                  GREATEST(extract(epoch FROM now() - renewed_at)::float8, 0) AS "renewed_seconds!"
           FROM relay_lease WHERE owner <> ''"#
    )
    .fetch_optional(connection)
    .await?)
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worker {
    /// Its name.
    pub owner: String,
    /// What it was built from.
    pub build: String,
    /// When it started.
    #[serde(serialize_with = "rfc3339")]
    pub started_at: OffsetDateTime,
    /// When it last said that it is there.
    #[serde(serialize_with = "rfc3339")]
    pub seen_at: OffsetDateTime,
    /// The age of that, in seconds.
    pub seen_seconds: f64,
}

impl Worker {
    /// Whether it has said lately that it is there.
    pub fn is_alive(&self) -> bool {
        self.seen_seconds <= GONE_AFTER_SECONDS
    }
}

/// The workers of the last day, the one seen last first.
pub async fn workers(connection: &mut PgConnection) -> Result<Vec<Worker>> {
    Ok(sqlx::query_as!(
        Worker,
        r#"SELECT owner, build, started_at, seen_at,
                  GREATEST(extract(epoch FROM now() - seen_at)::float8, 0) AS "seen_seconds!"
           FROM workers WHERE seen_at > now() - interval '1 day' ORDER BY seen_at DESC LIMIT 100"#
    )
    .fetch_all(connection)
    .await?)
}

/// Letters that wait for an operator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Letters {
    /// All of them.
    pub open: i64,
    /// By class.
    pub by_class: BTreeMap<String, i64>,
}

/// The open letters.
pub async fn letters(connection: &mut PgConnection) -> Result<Letters> {
    let rows = sqlx::query!(
        r#"SELECT class, count(*) AS "count!" FROM dead_letters WHERE state = 'OPEN' GROUP BY class"#
    )
    .fetch_all(connection)
    .await?;
    let by_class: BTreeMap<_, _> = rows.into_iter().map(|row| (row.class, row.count)).collect();
    Ok(Letters { open: by_class.values().sum(), by_class })
}

/// A reason for which nothing is applied or published.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Halt {
    /// Such as `database_behind_topics`.
    pub name: String,
    /// In words.
    pub cause: String,
    /// Since when.
    #[serde(serialize_with = "rfc3339")]
    pub since: OffsetDateTime,
}

/// Whether nothing may be applied.
pub async fn is_halted(connection: &mut PgConnection) -> Result<bool> {
    Ok(sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM halts) AS "halted!""#)
        .fetch_one(connection)
        .await?)
}

/// All halts.
pub async fn halts(connection: &mut PgConnection) -> Result<Vec<Halt>> {
    Ok(sqlx::query_as!(Halt, "SELECT name, cause, since FROM halts ORDER BY since")
        .fetch_all(connection)
        .await?)
}

/// The database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Database {
    /// The version of the schema.
    pub schema_version: i32,
    /// The oldest worker that may run on it.
    pub min_worker: i32,
    /// What Postgres is.
    pub server_version: String,
    /// `synchronous_commit`.
    pub synchronous_commit: String,
    /// Whether a failover would lose no commit: commits wait for a standby, and one is connected.
    pub synchronous_standby: bool,
}

/// What the database is.
pub async fn database(connection: &mut PgConnection) -> Result<Database> {
    let row = sqlx::query!(
        r#"SELECT current, min_worker, current_setting('server_version') AS "server_version!",
                  current_setting('synchronous_commit') AS "synchronous_commit!",
                  current_setting('synchronous_standby_names') AS "standby_names!",
                  (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')) AS "standbys!",
                  pg_has_role(current_user, 'pg_read_all_stats', 'usage') AS "may_see!"
           FROM schema_version"#
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Error::Inconsistent { table: "schema_version", column: "current" })?;
    let named = !row.standby_names.trim().is_empty();
    // Who may not see other sessions has only the setting to go by.
    let connected = row.standbys > 0 || !row.may_see;
    let waits = !["off", "local"].contains(&row.synchronous_commit.as_str());
    Ok(Database {
        schema_version: row.current,
        min_worker: row.min_worker,
        server_version: row.server_version,
        synchronous_commit: row.synchronous_commit,
        synchronous_standby: named && connected && waits,
    })
}
