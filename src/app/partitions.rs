//! Partitions of the request topics as an operator works on them.

use super::kafka::{self, PATIENCE, Unreachable};
use super::letters::desk;
use super::{status, topics, worker};
use crate::apply::{Applier, Batch, Doing, Passing, Record, Slice, SliceOutcome, TopicPartition};
use crate::config::Settings;
use crate::consume;
use crate::dead_letter::Wish;
use crate::lifecycle::clock::{Clock as _, SystemClock};
use crate::store::partitions::Deed;
use crate::store::status::Partition;
use crate::store::{self, leases, partitions as stored};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use sqlx::{Connection as _, PgConnection};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often a record is tried to be passed over while a worker takes the partition in between.
const TRIES: usize = 5;
/// How long the broker has to hand a record out.
const FETCH: Duration = Duration::from_secs(20);

/// Why something was not done to a partition.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such partition of a request topic.
    #[error("there is no partition {1} of a request topic {0}; see `rollcall partitions list`")]
    NoPartition(String, i32),
    /// The position is another.
    #[error("the position of {topic} {partition} is {position}, not {offset}")]
    OtherOffset {
        /// The topic's full name.
        topic: String,
        /// The partition.
        partition: i32,
        /// The next offset to apply.
        position: i64,
        /// The one that was named.
        offset: i64,
    },
    /// It is read.
    #[error("{0} {1} is not stopped: pause it first, if its next record is to be passed over")]
    Running(String, i32),
    /// No record is there.
    #[error("there is no record at offset {0} to pass over")]
    NoRecord(i64),
    /// Records are gone, and nobody said that this is accepted.
    #[error(
        "{count} offsets from {first} on are gone from Kafka and were never applied; `partitions resume --accept-loss` \
         enters them as lost, for ever"
    )]
    Lost {
        /// The position.
        first: i64,
        /// How many.
        count: i64,
    },
    /// The log ends before the position.
    #[error(
        "the log ends at {high}, before the position {position}: it is another log, or it lost what was applied. The ledger \
         has an outcome for these offsets, and cannot have another: restore the log, or read the new one under another \
         topics.prefix, under which its ledger begins anew"
    )]
    OtherLog {
        /// Where the log ends.
        high: i64,
        /// The next offset to apply.
        position: i64,
    },
    /// A worker keeps taking it.
    #[error("the partition is being taken by a worker: try again")]
    Taken,
    /// The ledger is of another log.
    #[error(
        "the ledger is of cluster {} and group {}, this is cluster {} and group {}: if it is the same log all the same, \
         `partitions resume --accept-loss` has the ledger go on with it; else undo what changed kafka.bootstrap_servers or kafka.group_id",
        known.0, known.1, found.0, found.1
    )]
    OtherOrigin {
        /// Cluster and group that the ledger is of.
        known: (String, String),
        /// Those that there are.
        found: (String, String),
    },
    /// Kafka does not say which cluster it is.
    #[error("Kafka does not tell its cluster id: try again")]
    NoClusterId,
    /// It could not be applied.
    #[error("the record could not be made a letter: {0}")]
    Stopped(String),
    /// The worker's parts could not be made.
    #[error(transparent)]
    Start(#[from] worker::StartError),
    /// Kafka cannot be asked.
    #[error(transparent)]
    Kafka(#[from] Unreachable),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// All partitions of the request topics, and why Kafka could not be asked, if it could not.
///
/// # Errors
/// When the database fails.
pub async fn list(
    settings: &Settings,
    connection: &mut PgConnection,
) -> store::Result<(Vec<Partition>, Option<Unreachable>)> {
    let mut partitions = store::status::partitions(connection).await?;
    let asked = status::asked(settings, &mut partitions).await;
    Ok((partitions, asked.err()))
}

/// The partition of a request topic, as it stands.
///
/// # Errors
/// There is no such one, as far as the database knows where Kafka is away.
pub async fn find(
    settings: &Settings,
    connection: &mut PgConnection,
    (topic, partition): (&str, i32),
) -> Result<Partition, Refusal> {
    let known = topics::of_requests(settings).iter().any(|known| known == topic);
    let (all, away) = list(settings, connection).await?;
    let found = all.into_iter().find(|one| one.topic == topic && one.partition == partition);
    match (found.filter(|_| known), away) {
        (Some(found), _) => Ok(found),
        (None, Some(away)) => Err(away.into()),
        (None, None) => Err(Refusal::NoPartition(topic.to_owned(), partition)),
    }
}

/// Pauses a partition: what is under way is finished or thrown away, and nothing more is applied. Whether it was not
/// paused before.
///
/// # Errors
/// [`Refusal`].
pub async fn pause(
    settings: &Settings,
    connection: &mut PgConnection,
    (topic, partition): (&str, i32),
    wish: &Wish,
) -> Result<bool, Refusal> {
    find(settings, connection, (topic, partition)).await?;
    let now = SystemClock.now();
    let mut tx = connection.begin().await?;
    // First, as in every transaction that holds the lease.
    let was_taken = stored::rotate(&mut tx, topic, partition, Uuid::new_v4()).await?;
    let paused = stored::pause(&mut tx, topic, partition, wish.by(), now).await?;
    if paused {
        stored::insert_action(&mut tx, (topic, partition), Deed::of("PAUSED"), wish.by(), now)
            .await?;
        tx.commit().await?;
        if !was_taken {
            // A worker may have taken it for the first time meanwhile, and not have seen the pause.
            let mut tx = connection.begin().await?;
            stored::rotate(&mut tx, topic, partition, Uuid::new_v4()).await?;
            tx.commit().await?;
        }
    }
    Ok(paused)
}

/// Has a partition go on that is paused or stopped; gives how many offsets are entered as lost, where that is accepted.
///
/// # Errors
/// [`Refusal`].
pub async fn resume(
    settings: &Settings,
    connection: &mut PgConnection,
    (topic, partition): (&str, i32),
    accept_loss: bool,
    wish: &Wish,
) -> Result<i64, Refusal> {
    find(settings, connection, (topic, partition)).await?;
    // Before the log is asked: what a worker applies meanwhile is of this log, if the position was.
    let before = leases::position(connection, topic, partition).await?;
    let log = log(settings, topic, partition).await?;
    let now = SystemClock.now();
    let fence = Uuid::new_v4();
    let mut tx = connection.begin().await?;
    stored::rotate(&mut tx, topic, partition, fence).await?;
    let found = (log.cluster_id, settings.kafka.group_id.clone());
    let known = stored::origin(&mut tx, topic, partition).await?.filter(|known| *known != found);
    if let Some(known) = &known
        && !accept_loss
    {
        return Err(Refusal::OtherOrigin { known: known.clone(), found });
    }
    if let Some(position) = before.filter(|position| *position > log.high) {
        return Err(Refusal::OtherLog { high: log.high, position });
    }
    let low = log.low;
    let position = leases::position(&mut tx, topic, partition).await?.unwrap_or(low);
    let lost = (low - position).max(0);
    if lost > 0 && !accept_loss {
        return Err(Refusal::Lost { first: position, count: lost });
    }
    let at = (topic, partition);
    if let Some((cluster_id, group_id)) = known {
        stored::adopt(&mut tx, at, (&found.0, &found.1)).await?;
        let was = format!("it was of cluster {cluster_id}, group {group_id}");
        let deed = Deed { detail: Some(&was), ..Deed::of("ADOPTED") };
        stored::insert_action(&mut tx, at, deed, wish.by(), now).await?;
    }
    if lost > 0 {
        stored::lose(&mut tx, (topic, partition, fence), (position, low), now).await?;
        let deed = Deed { offsets: Some((position, low)), ..Deed::of("LOST") };
        stored::insert_action(&mut tx, at, deed, wish.by(), now).await?;
    }
    stored::resume(&mut tx, topic, partition).await?;
    stored::forget_stop(&mut tx, topic, partition, now).await?;
    store::crashes::forget(&mut tx, topic, partition).await?;
    stored::insert_action(&mut tx, at, Deed::of("RESUMED"), wish.by(), now).await?;
    tx.commit().await?;
    Ok(lost)
}

/// A partition's log, as Kafka has it.
struct Log {
    cluster_id: String,
    low: i64,
    high: i64,
}

async fn log(settings: &Settings, topic: &str, partition: i32) -> Result<Log, Refusal> {
    let (settings, topic) = (settings.clone(), topic.to_owned());
    kafka::blocking(move || {
        let away = |error| Unreachable::new(&settings, &error);
        let consumer: BaseConsumer = kafka::client(&settings).create().map_err(away)?;
        let (low, high) =
            kafka::watermarks(&consumer, (&topic, partition), PATIENCE).map_err(away)?;
        let cluster_id = consumer.client().fetch_cluster_id(PATIENCE);
        Ok(Log { cluster_id: cluster_id.ok_or(Refusal::NoClusterId)?, low, high })
    })
    .await
}

/// A record that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its letter.
    pub letter_id: Uuid,
    /// Its offset.
    pub offset: i64,
}

/// Makes the next record of a partition, which does not go on, a letter of class `skipped`; the partition then goes on
/// behind it, unless it is paused. One at which processes died while they decoded it is not decoded here either: nobody
/// waits for such a letter.
///
/// # Errors
/// [`Refusal`].
pub async fn skip(
    settings: &Settings,
    connection: &mut PgConnection,
    (topic, partition): (&str, i32),
    offset: Option<i64>,
    wish: &Wish,
) -> Result<Skipped, Refusal> {
    let found = find(settings, connection, (topic, partition)).await?;
    if !matches!(found.state.as_str(), "STOPPED" | "PAUSED") {
        return Err(Refusal::Running(topic.to_owned(), partition));
    }
    if let Some(halt) = store::status::halts(connection).await?.first() {
        return Err(Refusal::Stopped(format!("nothing is applied while `{}` stands", halt.name)));
    }
    let Log { cluster_id, low, .. } = log(settings, topic, partition).await?;
    let here = (cluster_id, settings.kafka.group_id.clone());
    let mut tx = connection.begin().await?;
    let known = stored::origin(&mut tx, topic, partition).await?.filter(|known| *known != here);
    let crashes = store::crashes::find(&mut tx, topic, partition).await?;
    tx.rollback().await?;
    if let Some(known) = known {
        return Err(Refusal::OtherOrigin { known, found: here });
    }
    let position = found.position.unwrap_or(low);
    if low > position {
        return Err(Refusal::Lost { first: position, count: low - position });
    }
    let at = TopicPartition { topic: topic.into(), partition };
    let own = settings.clone();
    let record = kafka::blocking(move || fetch(&own, &at, position)).await?;
    if let Some(offset) = offset {
        // Before the record may be offsets that Kafka never delivers; who names the position means the record too.
        let is_next = record.as_ref().is_some_and(|record| record.offset == offset);
        if offset != position && !is_next {
            let topic = topic.to_owned();
            return Err(Refusal::OtherOffset { topic, partition, position, offset });
        }
    }
    let record = record.ok_or(Refusal::NoRecord(position))?;
    let offset = record.offset;
    let kills = crashes.is_some_and(|known| {
        let is_here = known.offset == found.position.unwrap_or(store::crashes::NOTHING_YET);
        is_here && known.alone > 0 && known.stage.as_deref() == Some(Doing::Decode.as_str())
    });
    let applier = desk(settings).await?.applier;
    let letter_id = apply(&applier, connection, position, (record, kills), wish).await?;
    Ok(Skipped { letter_id, offset })
}

/// Enters the record as skipped, with what was never delivered from the position to it, as a batch of its own under a
/// fence of its own.
async fn apply(
    applier: &Applier,
    connection: &mut PgConnection,
    position: i64,
    (record, kills): (Record, bool),
    wish: &Wish,
) -> Result<Uuid, Refusal> {
    let (at, offset) = (record.at.clone(), record.offset);
    for _ in 0..TRIES {
        let fence = Uuid::new_v4();
        let mut tx = connection.begin().await?;
        if !stored::rotate(&mut tx, &at.topic, at.partition, fence).await? {
            return Err(Refusal::NoPartition(at.topic.to_string(), at.partition));
        }
        tx.commit().await?;
        let (taken, letter_id) = applier.skipped(record.clone(), kills);
        let (first_offset, next_offset) = (position, offset + 1);
        let slice = Slice { at: at.clone(), fence, first_offset, next_offset };
        let Wish { actor, reason } = wish.clone();
        let passing = Some(Passing { letter_id, actor, reason });
        let batch =
            Batch { slices: vec![slice], records: vec![taken], passing, ..Batch::default() };
        let outcomes = applier.apply(batch, &CancellationToken::new()).await;
        match outcomes.into_iter().next().map(|(_, outcome)| outcome) {
            Some(SliceOutcome::Committed) => return Ok(letter_id),
            Some(SliceOutcome::Stopped { cause, .. }) => return Err(Refusal::Stopped(cause)),
            Some(SliceOutcome::Moved { position }) => {
                let (topic, partition) = (at.topic.to_string(), at.partition);
                return Err(Refusal::OtherOffset { topic, partition, position, offset });
            }
            Some(SliceOutcome::Dropped) => {
                return Err(Refusal::Stopped("the database is away, or busy".to_owned()));
            }
            Some(SliceOutcome::Fenced) | None => {}
        }
    }
    Err(Refusal::Taken)
}

/// The first record from this position on, if there is one.
fn fetch(
    settings: &Settings,
    at: &TopicPartition,
    position: i64,
) -> Result<Option<Record>, Unreachable> {
    let away = |error| Unreachable::new(settings, &error);
    let consumer: BaseConsumer = kafka::client(settings)
        .set("group.id", &settings.kafka.group_id)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        // Never a record behind some that are lost.
        .set("auto.offset.reset", "error")
        .create()
        .map_err(away)?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&at.topic, at.partition, Offset::Offset(position)).map_err(away)?;
    consumer.assign(&list).map_err(away)?;
    let until = Instant::now() + FETCH;
    loop {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                return Ok(Some(consume::record_of(at, &message)));
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => return Ok(None),
            Some(Err(error)) if Instant::now() >= until => return Err(away(error)),
            None if Instant::now() >= until => {
                let late = rdkafka::error::RDKafkaErrorCode::OperationTimedOut;
                return Err(away(rdkafka::error::KafkaError::MessageConsumption(late)));
            }
            Some(Err(_)) | None => {}
        }
    }
}
