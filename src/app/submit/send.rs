//! The producer of submitted requests.

use super::Error;
use crate::app::kafka::{self, PATIENCE, Unreachable};
use crate::app::topics;
use crate::config::Settings;
use crate::contract::MessageType;
use crate::contract::lines::Line;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long Kafka is waited for, and how much is held meanwhile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// How long the brokers have to answer at all.
    pub(super) connect: Duration,
    /// How long they have to acknowledge a request.
    pub(super) delivery: Duration,
    /// So much waits for them at most; none: as librdkafka has it.
    pub(super) queue_kib: Option<u32>,
}

impl Patience {
    /// Of a command, for which nobody waits but who gave it.
    pub(super) const COMMAND: Self =
        Self { connect: PATIENCE, delivery: Duration::from_mins(2), queue_kib: None };
}

#[derive(Default)]
struct Deliveries {
    acknowledged: AtomicU64,
    failed: Mutex<Option<String>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

/// Sends requests to their topics and counts what is acknowledged.
pub(super) struct Sender {
    producer: BaseProducer<Deliveries>,
    topics: HashMap<MessageType, String>,
    sent: AtomicU64,
    patience: Patience,
}

impl Sender {
    /// A producer, once the brokers have shown the topics of these messages.
    pub(super) fn connect(
        settings: &Settings,
        kinds: &BTreeSet<MessageType>,
        patience: Patience,
    ) -> Result<Self, Error> {
        let away = |error| Unreachable::new(settings, &error);
        let mut config = kafka::client(settings);
        let timeout = patience.delivery.as_millis().to_string();
        let queue = patience.queue_kib.map(|kib| kib.to_string());
        let queue = queue.as_deref().map(|kib| ("queue.buffering.max.kbytes", kib));
        let ours = [("linger.ms", "20"), ("message.timeout.ms", timeout.as_str())];
        for (name, value) in ours.into_iter().chain(queue) {
            if config.get(name).is_none() {
                config.set(name, value);
            }
        }
        // Java's partitioner, so that a registrant's requests meet in one partition whoever sends them; and none
        // twice or out of order when the client tries again.
        config.set("partitioner", "murmur2_random").set("enable.idempotence", "true");
        let producer: BaseProducer<Deliveries> =
            config.create_with_context(Deliveries::default()).map_err(away)?;
        let topics = kinds
            .iter()
            .filter_map(|kind| Some((*kind, settings.topics.topic(topics::of_request(*kind)?))))
            .collect::<HashMap<_, _>>();
        // All topics are asked for: asking for one by name could create it, with other settings.
        let metadata = producer.client().fetch_metadata(None, patience.connect).map_err(away)?;
        for topic in topics.values() {
            if !metadata.topics().iter().any(|there| there.name() == topic) {
                return Err(Error::NoTopic(topic.clone()));
            }
        }
        Ok(Self { producer, topics, sent: AtomicU64::new(0), patience })
    }

    /// Sends a request; waits while the client's queue is full.
    pub(super) fn send(&self, line: &Line) -> Result<(), Error> {
        // A request fits its schema by its types, and its kind was seen in the first look.
        let Some(topic) = self.topics.get(&line.request.message_type()) else {
            return Ok(());
        };
        let Ok(value) = line.request.encode() else {
            return Ok(());
        };
        let header = |key, value| Header { key, value: Some(value) };
        let headers = OwnedHeaders::new_with_capacity(3)
            .insert(header("content-type", "application/avro"))
            .insert(header("ce_id", line.message_id()))
            .insert(header("ce_source", line.source()));
        let mut record = BaseRecord::<str, [u8]>::to(topic).payload(&value).headers(headers);
        if let Some(key) = line.request.key() {
            record = record.key(key);
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        loop {
            self.check()?;
            match self.producer.send(record) {
                Ok(()) => {
                    self.producer.poll(Duration::ZERO);
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    self.producer.poll(Duration::from_millis(100));
                }
                Err((error, _)) => return Err(self.undelivered(error.to_string())),
            }
        }
    }

    /// Waits until everything is acknowledged.
    pub(super) fn finish(&self) -> Result<(), Error> {
        if let Err(error) = self.producer.flush(self.patience.delivery + self.patience.connect) {
            self.check()?;
            return Err(self.undelivered(error.to_string()));
        }
        self.check()
    }

    fn check(&self) -> Result<(), Error> {
        let failed = &self.producer.context().failed;
        let failed = failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        failed.map_or(Ok(()), |problem| Err(self.undelivered(problem)))
    }

    fn undelivered(&self, problem: String) -> Error {
        Error::Undelivered {
            sent: self.sent.load(Ordering::Relaxed),
            acknowledged: self.producer.context().acknowledged.load(Ordering::Relaxed),
            problem,
        }
    }
}
