//! Reading what Rollcall publishes, as a sender and a payment system would, until every record is answered.

use super::Error;
use super::household::Story;
use super::outcome::{Fate, events};
use super::record::Shown;
use crate::app::kafka;
use crate::config::Settings;
use crate::contract::decode_own;
use crate::contract::wire::{BatchReceipt, MembershipChanged, RequestResult, ResultStatus};
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
pub(super) struct Heard {
    pub(super) fates: BTreeMap<Fate, u64>,
    pub(super) events: u64,
    promised: u64,
    held: u64,
    letters: u64,
    pub(super) result: Option<Shown>,
    pub(super) event: Option<Shown>,
    pub(super) letter: Option<Shown>,
    pub(super) story: Story,
    /// Of the whole batch, household and all.
    pub(super) receipt: Option<(BatchReceipt, Shown)>,
}

impl Heard {
    /// Nothing yet.
    pub(super) fn of(story: Story) -> Self {
        Self {
            fates: BTreeMap::new(),
            events: 0,
            promised: 0,
            held: 0,
            letters: 0,
            result: None,
            event: None,
            letter: None,
            story,
            receipt: None,
        }
    }

    fn answered(&self) -> u64 {
        self.fates.values().sum()
    }

    /// Whether so many records are answered, with all that the answers promise.
    pub(super) fn complete(&self, records: u64) -> bool {
        self.answered() >= records && self.events >= self.promised && self.held >= self.letters
    }
}

/// Reads results, events, letters and receipts.
pub(super) struct Listener<'a> {
    consumer: BaseConsumer,
    /// The full names of the topics of results, events, receipts; what is read besides is a letter.
    topics: [String; 3],
    records: u64,
    bar: &'a ProgressBar,
    stop: &'a CancellationToken,
    deadline: Instant,
}

impl<'a> Listener<'a> {
    /// Of a batch of so many records.
    pub(super) fn new(
        settings: &Settings,
        records: u64,
        bar: &'a ProgressBar,
        stop: &'a CancellationToken,
    ) -> Result<Self, Error> {
        let failed = |error: rdkafka::error::KafkaError| Error::Kafka(error.to_string());
        // Assigned, not subscribed: no group, so nothing to wait for.
        let consumer: BaseConsumer = kafka::client(settings)
            .set("group.id", "rollcall-demo-listener")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "50")
            .create()
            .map_err(failed)?;
        let topic = |name| settings.topics.topic(name);
        let topics = ["results", "membership-events", "batch-receipts"].map(topic);
        let letters = topic("dead-letters");
        let mut partitions = TopicPartitionList::new();
        for topic in topics.iter().chain([&letters]) {
            for partition in 0..settings.topics.partitions {
                partitions
                    .add_partition_offset(topic, partition, Offset::Beginning)
                    .map_err(failed)?;
            }
        }
        consumer.assign(&partitions).map_err(failed)?;
        let deadline = Instant::now() + PATIENCE;
        Ok(Self { consumer, topics, records, bar, stop, deadline })
    }

    /// Reads until it is `enough`. Blocks.
    pub(super) fn hear(
        &self,
        heard: &mut Heard,
        enough: impl Fn(&Heard) -> bool,
    ) -> Result<(), Error> {
        let [results, changes, receipts] = &self.topics;
        while !enough(heard) {
            if self.stop.is_cancelled() {
                return Err(Error::Ended);
            }
            if Instant::now() > self.deadline {
                let (records, answered) = (self.records, heard.answered());
                return Err(Error::Unanswered { records, answered });
            }
            match self.consumer.poll(POLL) {
                Some(Ok(message)) if message.topic() == results => heard.result(&message),
                Some(Ok(message)) if message.topic() == changes => heard.event(&message),
                Some(Ok(message)) if message.topic() == receipts => heard.receipt(&message),
                Some(Ok(message)) => heard.letter(&message),
                // librdkafka mends what it can by itself; the deadline is for the rest.
                Some(Err(_)) | None => {}
            }
            self.bar.set_position(heard.answered());
        }
        Ok(())
    }
}

impl Heard {
    fn result(&mut self, message: &BorrowedMessage<'_>) {
        let Ok(result) = decode_own::<RequestResult>(message.payload().unwrap_or_default()) else {
            return self.count(Fate::Unexpected);
        };
        if self.story.result(&result) {
            return;
        }
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
        let event = decode_own::<MembershipChanged>(message.payload().unwrap_or_default()).ok();
        if event.as_ref().is_some_and(|event| self.story.event(event)) {
            return;
        }
        self.events += 1;
        if let (None, Some(event)) = (&self.event, event) {
            self.event = Shown::of_message(message, &event);
        }
    }

    fn receipt(&mut self, message: &BorrowedMessage<'_>) {
        let receipt = decode_own::<BatchReceipt>(message.payload().unwrap_or_default()).ok();
        let shown = receipt.as_ref().and_then(|receipt| Shown::of_message(message, receipt));
        self.receipt = receipt.zip(shown);
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
