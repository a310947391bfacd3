//! Reading from Kafka, by itself: no group, no commits.

use crate::app::kafka::{self, Unreachable};
use crate::config::Settings;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Without a word for longer, Kafka is away.
const PATIENCE: Duration = Duration::from_secs(30);

/// A consumer that is told what to read. Its methods block.
pub(super) struct Broker {
    consumer: BaseConsumer,
    servers: String,
    /// How many partitions each topic has.
    topics: HashMap<String, i32>,
}

impl Broker {
    /// Connects, and asks for the topics.
    pub(super) fn connect(settings: &Settings) -> Result<Self, Unreachable> {
        let away = |error: KafkaError| Unreachable::new(settings, &error);
        let mut config = kafka::client(settings);
        // A group is needed for the client's sake; nothing joins or commits it.
        config
            .set("group.id", format!("{}-reconcile", settings.kafka.group_id))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest")
            // Only what is there is read. A fetch that waits at a partition's end would hold up the next partition.
            .set("fetch.wait.max.ms", "10")
            .set("queued.max.messages.kbytes", "4096");
        let consumer: BaseConsumer = config.create().map_err(away)?;
        let metadata = consumer.fetch_metadata(None, PATIENCE).map_err(away)?;
        let topics = metadata
            .topics()
            .iter()
            .map(|topic| (topic.name().to_owned(), topic.partitions().len() as i32))
            .collect();
        Ok(Self { consumer, servers: settings.kafka.bootstrap_servers.clone(), topics })
    }

    /// The first offset that is there and the next that will be given; none if there is no such partition.
    pub(super) fn watermarks(
        &self,
        topic: &str,
        partition: i32,
    ) -> Result<Option<(i64, i64)>, Unreachable> {
        if self.topics.get(topic).is_none_or(|partitions| *partitions <= partition) {
            return Ok(None);
        }
        let marks = kafka::watermarks(&self.consumer, (topic, partition), PATIENCE);
        marks.map(Some).map_err(|error| self.away(&error))
    }

    /// Hands over what stands from offset `from` to before `until`, in order.
    pub(super) fn read(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        until: i64,
        mut record: impl FnMut(&BorrowedMessage<'_>),
    ) -> Result<(), Unreachable> {
        let mut assignment = TopicPartitionList::new();
        assignment
            .add_partition_offset(topic, partition, Offset::Offset(from))
            .and_then(|()| self.consumer.assign(&assignment))
            .map_err(|error| self.away(&error))?;
        let mut heard = Instant::now();
        loop {
            match self.consumer.poll(Duration::from_millis(500)) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    // What an earlier assignment had fetched is told apart by its place.
                    if message.topic() != topic
                        || message.partition() != partition
                        || message.offset() < from
                    {
                        continue;
                    }
                    if message.offset() >= until {
                        break;
                    }
                    record(&message);
                    if message.offset() + 1 == until {
                        break;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(at))) if at == partition => break,
                Some(Err(KafkaError::MessageConsumption(code))) if passes(code) => {}
                // The end of another partition belongs to an earlier assignment.
                Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                Some(Err(error)) => return Err(self.away(&error)),
            }
            if heard.elapsed() > PATIENCE {
                let problem = format!("{topic} {partition} gives nothing");
                return Err(Unreachable { servers: self.servers.clone(), problem });
            }
        }
        self.consumer.unassign().map_err(|error| self.away(&error))
    }

    fn away(&self, error: &KafkaError) -> Unreachable {
        Unreachable { servers: self.servers.clone(), problem: error.to_string() }
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("servers", &self.servers).finish_non_exhaustive()
    }
}

/// Errors after which librdkafka goes on by itself.
fn passes(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::Resolve
    )
}
