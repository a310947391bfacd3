//! Reading what Rollcall publishes, as a sender and a payment system would, until every record is answered.

use super::Error;
use super::outcome::{Fate, events};
use super::record::Shown;
use crate::app::kafka;
use crate::config::Settings;
use crate::contract::decode_own;
use crate::contract::wire::{MembershipChanged, RequestResult, ResultStatus};
use indicatif::ProgressBar;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const POLL: Duration = Duration::from_millis(50);
/// Far longer than the slowest machine takes; a hang has to end.
const PATIENCE: Duration = Duration::from_mins(2);

/// What was read.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) fates: BTreeMap<Fate, u64>,
    pub(super) events: u64,
    promised: u64,
    held: u64,
    letters: u64,
    pub(super) result: Option<Shown>,
    pub(super) event: Option<Shown>,
    pub(super) letter: Option<Shown>,
}

impl Heard {
    fn answered(&self) -> u64 {
        self.fates.values().sum()
    }

    fn complete(&self, records: u64) -> bool {
        self.answered() >= records && self.events >= self.promised && self.held >= self.letters
    }
}

/// Reads results, events and letters until `records` records are answered. Blocks.
pub(super) fn listen(
    settings: &Settings,
    records: u64,
    bar: &ProgressBar,
    stop: &CancellationToken,
) -> Result<Heard, Error> {
    let failed = |error: rdkafka::error::KafkaError| Error::Kafka(error.to_string());
    // Assigned, not subscribed: no group, so nothing to wait for.
    let consumer: BaseConsumer = kafka::client(settings)
        .set("group.id", "rollcall-demo-listener")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "50")
        .create()
        .map_err(failed)?;
    let [results, changes, letters] =
        ["results", "membership-events", "dead-letters"].map(|name| settings.topics.topic(name));
    let mut partitions = TopicPartitionList::new();
    for topic in [&results, &changes, &letters] {
        for partition in 0..settings.topics.partitions {
            partitions.add_partition_offset(topic, partition, Offset::Beginning).map_err(failed)?;
        }
    }
    consumer.assign(&partitions).map_err(failed)?;
    let mut heard = Heard::default();
    let deadline = Instant::now() + PATIENCE;
    while !heard.complete(records) {
        if stop.is_cancelled() {
            return Err(Error::Ended);
        }
        if Instant::now() > deadline {
            return Err(Error::Unanswered { records, answered: heard.answered() });
        }
        match consumer.poll(POLL) {
            Some(Ok(message)) if message.topic() == results => heard.result(&message),
            Some(Ok(message)) if message.topic() == changes => heard.event(&message),
            Some(Ok(message)) => heard.letter(&message),
            // librdkafka mends what it can by itself; the deadline is for the rest.
            Some(Err(_)) | None => {}
        }
        bar.set_position(heard.answered());
    }
    Ok(heard)
}

impl Heard {
    fn result(&mut self, message: &BorrowedMessage<'_>) {
        let Ok(result) = decode_own::<RequestResult>(message.payload().unwrap_or_default()) else {
            return self.count(Fate::Unexpected);
        };
        self.promised += events(&result);
        if result.status == ResultStatus::Held {
            self.held += 1;
        }
        let Some(fate) = Fate::of(&result) else { return };
        self.count(fate);
        // One that says why, with a place in the request.
        if fate == Fate::EndedProgram && self.result.is_none() {
            self.result = Shown::of_message(message, &result);
        }
    }

    fn event(&mut self, message: &BorrowedMessage<'_>) {
        self.events += 1;
        if self.event.is_none()
            && let Ok(event) =
                decode_own::<MembershipChanged>(message.payload().unwrap_or_default())
        {
            self.event = Shown::of_message(message, &event);
        }
    }

    fn letter(&mut self, message: &BorrowedMessage<'_>) {
        self.letters += 1;
        self.count(Fate::Undecodable);
        // Text tells more at a glance than half a request.
        let is_text = std::str::from_utf8(message.payload().unwrap_or_default()).is_ok();
        if self.letter.is_none() || is_text {
            self.letter = Shown::of_bytes(message);
        }
    }

    fn count(&mut self, fate: Fate) {
        *self.fates.entry(fate).or_default() += 1;
    }
}
