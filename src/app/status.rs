//! How everything is: what the database says, what Kafka says, and what to do about it.

mod advice;

use super::kafka::{self, Unreachable};
use super::topics;
use crate::config::Settings;
use crate::dead_letter;
use crate::domain::BatchState;
use crate::lifecycle::clock::{Clock as _, SystemClock};
use crate::store::{self, parked_list::Summary, status as stored};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use serde::Serialize;
use sqlx::PgConnection;
use std::time::Duration;
use time::OffsetDateTime;

/// How long `status` waits for the brokers: it must answer when they are away.
const PATIENCE: Duration = Duration::from_secs(5);
/// Open batches that are shown; `batches list` has all.
const SHOWN_BATCHES: i64 = 20;

/// Groups of letters that are shown; `dead-letters groups` has all.
const SHOWN_GROUPS: i64 = 10;
/// Replays that are looked at, the latest first.
const SHOWN_RUNS: i64 = 20;

/// The whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Whether nothing keeps requests from being applied and their results from being published.
    pub healthy: bool,
    /// What to do, sentence by sentence.
    pub advice: Vec<String>,
    /// When something was committed last: a record of Kafka's decided, or something that is to be published.
    #[serde(serialize_with = "stored::rfc3339_or_null")]
    pub last_commit: Option<OffsetDateTime>,
    /// Partitions of the request topics.
    pub partitions: Vec<stored::Partition>,
    /// Streams of output.
    pub streams: Vec<stored::Stream>,
    /// The relay that leads.
    pub relay: Option<stored::Relay>,
    /// Letters that wait for an operator.
    pub letters: Letters,
    /// Records that wait: for what they name, or for an earlier one.
    pub parked: Summary,
    /// Batches that have no receipt.
    pub batches: Batches,
    /// Replays of letters that were interrupted.
    pub interrupted_runs: Vec<uuid::Uuid>,
    /// Workers of the last day.
    pub workers: Vec<stored::Worker>,
    /// Reasons for which nothing is applied or published.
    pub halts: Vec<stored::Halt>,
    /// The database.
    pub database: stored::Database,
    /// The brokers.
    pub kafka: Kafka,
}

/// Open letters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Letters {
    /// How many, and of which class.
    #[serde(flatten)]
    pub counts: stored::Letters,
    /// Those that are alike, the largest groups first.
    pub groups: Vec<serde_json::Value>,
}

/// Batches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Batches {
    /// Without a receipt: neither complete nor closed.
    pub open: i64,
    /// The latest of them.
    pub items: Vec<serde_json::Value>,
}

/// What the brokers say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Kafka {
    /// Whether they answered.
    pub reachable: bool,
    /// Topics of ours that are missing, by their full names.
    pub missing_topics: Vec<String>,
}

/// Asks the database, then the brokers.
///
/// # Errors
/// When the database is away or its schema does not fit. That the brokers are away stands in the answer.
pub async fn status(
    settings: &Settings,
    connection: &mut PgConnection,
) -> Result<Status, store::Unfit> {
    store::verify(connection).await?;
    let partitions = stored::partitions(connection).await?;
    let streams = stored::streams(connection).await?;
    let decided = partitions.iter().filter_map(|partition| partition.committed_at);
    let said = streams.iter().filter_map(|stream| stream.committed_at);
    let mut status = Status {
        healthy: false,
        advice: Vec::new(),
        last_commit: decided.chain(said).max(),
        partitions,
        streams,
        relay: stored::relay(connection).await?,
        letters: letters(connection).await?,
        parked: store::parked_list::summary(connection).await?,
        batches: batches(connection).await?,
        interrupted_runs: interrupted_runs(connection).await?,
        workers: stored::workers(connection).await?,
        halts: stored::halts(connection).await?,
        database: stored::database(connection).await?,
        kafka: Kafka::default(),
    };
    match asked(settings, &mut status.partitions).await {
        Ok(missing_topics) => {
            status.kafka = Kafka { reachable: true, missing_topics };
            let now = stored::partitions(connection).await?;
            catch_up(&mut status.partitions, &mut status.last_commit, &now);
        }
        Err(error) => {
            status.advice.push(format!("{error}; the lag below is what the workers last saw."));
        }
    }
    advice::add(&mut status, settings.parking.grace, SystemClock.now());
    Ok(status)
}

/// What was applied while the brokers were asked is no lag: they know of records that were not there when the database was.
fn catch_up(
    partitions: &mut [stored::Partition],
    last_commit: &mut Option<OffsetDateTime>,
    now: &[stored::Partition],
) {
    for partition in partitions.iter_mut().filter(|partition| partition.lag > Some(0)) {
        let at = (&partition.topic, partition.partition);
        let Some(now) = now.iter().find(|now| (&now.topic, now.partition) == at) else { continue };
        (partition.position, partition.committed_at) = (now.position, now.committed_at);
        if let (Some(low), Some(high)) = (partition.low, partition.high) {
            partition.set_watermarks(low, high);
        }
        *last_commit = (*last_commit).max(now.committed_at);
    }
}

async fn letters(connection: &mut PgConnection) -> store::Result<Letters> {
    let groups = dead_letter::open_groups(connection, SHOWN_GROUPS).await?;
    let counts = stored::letters(connection).await?;
    Ok(Letters { counts, groups: groups.iter().map(dead_letter::group_object).collect() })
}

async fn interrupted_runs(connection: &mut PgConnection) -> store::Result<Vec<uuid::Uuid>> {
    let latest = dead_letter::runs(connection, None, None, SHOWN_RUNS).await?;
    let interrupted = latest.into_iter().filter(|run| run.state == "INTERRUPTED");
    Ok(interrupted.map(|run| run.run_id).collect())
}

async fn batches(connection: &mut PgConnection) -> store::Result<Batches> {
    let open = store::batches::open_count(connection).await?;
    let filter = store::batches::Filter { source: None, state: Some(BatchState::Open.as_str()) };
    let latest = store::batches::list(connection, filter, None, SHOWN_BATCHES).await?;
    Ok(Batches { open, items: latest.iter().map(crate::apply::batches::object).collect() })
}

/// [`ask_brokers`] on a thread for what blocks.
pub(super) async fn asked(
    settings: &Settings,
    partitions: &mut Vec<stored::Partition>,
) -> Result<Vec<String>, Unreachable> {
    let (settings, mut known) = (settings.clone(), std::mem::take(partitions));
    let (said, known) = kafka::blocking(move || {
        let said = ask_brokers(&settings, &mut known);
        (said, known)
    })
    .await;
    *partitions = known;
    said
}

/// Fills in what only the brokers know: partitions nobody has spoken of, watermarks. Gives the missing topics.
fn ask_brokers(
    settings: &Settings,
    partitions: &mut Vec<stored::Partition>,
) -> Result<Vec<String>, Unreachable> {
    let away = |error| Unreachable::new(settings, &error);
    let consumer: BaseConsumer = kafka::client(settings).create().map_err(away)?;
    let metadata = consumer.fetch_metadata(None, PATIENCE).map_err(away)?;
    let mut missing = Vec::new();
    for (short, output) in topics::NAMES {
        let name = settings.topics.topic(short);
        let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else {
            missing.push(name);
            continue;
        };
        if output {
            continue;
        }
        for partition in topic.partitions() {
            let number = partition.id();
            let (low, high) =
                kafka::watermarks(&consumer, (&name, number), PATIENCE).map_err(away)?;
            let is_it =
                |known: &&mut stored::Partition| known.topic == name && known.partition == number;
            if let Some(known) = partitions.iter_mut().find(is_it) {
                known.set_watermarks(low, high);
            } else {
                let mut unknown = unowned(&name, number);
                unknown.set_watermarks(low, high);
                partitions.push(unknown);
            }
        }
    }
    partitions.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
    Ok(missing)
}

fn unowned(topic: &str, partition: i32) -> stored::Partition {
    stored::Partition {
        topic: topic.to_owned(),
        partition,
        state: "UNOWNED".to_owned(),
        owner: None,
        position: None,
        low: None,
        high: None,
        lag: None,
        cause: None,
        offset: None,
        since: None,
        committed_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn what_is_applied_while_the_brokers_are_asked_is_no_lag() {
        let before = datetime!(2026-03-01 12:00 UTC);
        let after = datetime!(2026-03-01 12:05 UTC);
        let mut known = [unowned("t", 0), unowned("t", 1)];
        for partition in &mut known {
            (partition.position, partition.committed_at) = (Some(7), Some(before));
        }
        // One record came to partition 0 since, none to the other.
        known[0].set_watermarks(0, 8);
        known[1].set_watermarks(0, 7);
        let mut now = known.clone();
        (now[0].position, now[0].committed_at) = (Some(8), Some(after));
        let mut last_commit = Some(before);
        catch_up(&mut known, &mut last_commit, &now);
        assert_eq!((known[0].lag, known[0].position, last_commit), (Some(0), Some(8), Some(after)));
        // Whoever is behind all the same stays so.
        let mut behind = known.clone();
        behind[1].set_watermarks(0, 9);
        catch_up(&mut behind, &mut last_commit, &now);
        assert_eq!((behind[1].lag, last_commit), (Some(2), Some(after)));
    }
}
