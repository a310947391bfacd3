//! The last number of each output partition, read from Kafka.

use super::producer::client_config;
use super::route::{Kind, Route};
use super::{Config, Error};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The greatest number found at the end of a partition, behind its generation: they compare in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Head {
    pub(super) generation: i64,
    pub(super) sequence: i64,
}

/// How far back the first look goes: what a relay may have sent again lies close together, and the greatest counts.
const FIRST_LOOK: i64 = 256;
const REQUEST: Duration = Duration::from_secs(5);

const FIXED: &[(&str, &str)] = &[
    // Partitions are assigned by hand; the group exists nowhere.
    ("group.id", "rollcall-relay-check"),
    ("enable.auto.commit", "false"),
    ("enable.partition.eof", "true"),
    ("auto.offset.reset", "error"),
    ("fetch.wait.max.ms", "10"),
    ("isolation.level", "read_committed"),
    ("group.instance.id", ""),
];

/// A look at Kafka that must end by a deadline.
pub(super) struct Look<'a> {
    consumer: BaseConsumer,
    deadline: Instant,
    cancel: &'a CancellationToken,
}

impl<'a> Look<'a> {
    /// Blocks when used: not for a thread of the runtime.
    pub(super) fn new(
        config: &Config,
        patience: Duration,
        cancel: &'a CancellationToken,
    ) -> Result<Self, Error> {
        let consumer = client_config(config, FIXED).create()?;
        Ok(Self { consumer, deadline: Instant::now() + patience, cancel })
    }

    fn check_time(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if Instant::now() >= self.deadline { Err(Error::timed_out()) } else { Ok(()) }
    }

    /// Fails unless the brokers are one of these clusters; none are known before anything was read.
    pub(super) fn require_cluster(&self, known: &[String]) -> Result<(), Error> {
        let Some(first) = known.first() else { return Ok(()) };
        let here = self.consumer.client().fetch_cluster_id(REQUEST);
        let here = here.ok_or_else(Error::timed_out)?;
        if known.contains(&here) {
            return Ok(());
        }
        Err(Error::OtherCluster { known: first.clone(), here })
    }

    /// Fails unless every topic has a partition for each of its routes.
    pub(super) fn require_topics(&self, routes: &[Route]) -> Result<(), Error> {
        let metadata = self.consumer.fetch_metadata(None, REQUEST)?;
        let mut wanted: BTreeMap<&str, i32> = BTreeMap::new();
        for route in routes {
            let partitions = wanted.entry(&route.full_topic).or_default();
            *partitions = (*partitions).max(route.partition + 1);
        }
        let mut problems = Vec::new();
        for (topic, wanted) in wanted {
            let found = metadata.topics().iter().find(|found| found.name() == topic);
            match found.map_or(0, |found| found.partitions().len() as i32) {
                0 => problems.push(format!("the topic {topic} does not exist")),
                found if found < wanted => {
                    problems.push(format!(
                        "the topic {topic} has {found} partitions, at least {wanted} are needed"
                    ));
                }
                _ => {}
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Topics { problems }) }
    }

    /// The heads of one topic, by partition; none for a partition without a numbered record.
    pub(super) fn heads(
        &self,
        topic: &str,
        kind: Kind,
        partitions: &[i32],
    ) -> Result<BTreeMap<i32, Head>, Error> {
        let mut open = BTreeMap::new();
        for &partition in partitions {
            self.check_time()?;
            let (low, high) = self.consumer.fetch_watermarks(topic, partition, REQUEST)?;
            if high > low {
                open.insert(partition, (low, high));
            }
        }
        let mut heads = BTreeMap::new();
        let mut back = FIRST_LOOK;
        while !open.is_empty() {
            let from = |(low, high): (i64, i64)| low.max(high.saturating_sub(back));
            self.read(
                topic,
                kind,
                &open.iter().map(|(p, marks)| (*p, (from(*marks), marks.1))).collect(),
                &mut heads,
            )?;
            // Compaction and transactions leave gaps: where nothing was found, look further back.
            open.retain(|partition, marks| {
                !heads.contains_key(partition) && from(*marks) > marks.0
            });
            back = back.saturating_mul(16);
        }
        Ok(heads)
    }

    /// Reads each partition from its first offset to before its second.
    fn read(
        &self,
        topic: &str,
        kind: Kind,
        ranges: &BTreeMap<i32, (i64, i64)>,
        heads: &mut BTreeMap<i32, Head>,
    ) -> Result<(), Error> {
        let mut assignment = TopicPartitionList::new();
        for (partition, (from, _)) in ranges {
            assignment.add_partition_offset(topic, *partition, Offset::Offset(*from))?;
        }
        self.consumer.assign(&assignment)?;
        let mut unread = ranges.clone();
        while !unread.is_empty() {
            self.check_time()?;
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    if let Some(head) = head(&message, kind) {
                        let best = heads.entry(message.partition()).or_insert(head);
                        *best = (*best).max(head);
                    }
                    unread.retain(|partition, (_, high)| {
                        *partition != message.partition() || message.offset() + 1 < *high
                    });
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    unread.remove(&partition);
                }
                // In an outage librdkafka goes on by itself, until the deadline.
                None
                | Some(Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::OperationTimedOut,
                ))) => {}
                Some(Err(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn head(message: &BorrowedMessage<'_>, kind: Kind) -> Option<Head> {
    let (sequence, generation) = kind.number_headers();
    let headers = message.headers()?;
    // A letter may carry headers of the same name from before; the last ones are Rollcall's.
    let number = |name: &str| {
        let value = headers.iter().filter(|header| header.key == name).last()?.value?;
        std::str::from_utf8(value).ok()?.parse().ok()
    };
    Some(Head { generation: number(generation)?, sequence: number(sequence)? })
}
