//! Topics of a run of its own, filled with the backlog.

use crate::backlog::{Backlog, PARTITIONS};
use anyhow::{Context as _, Result, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_mins(1);

/// What Rollcall writes to.
const OUTPUTS: [&str; 5] =
    ["results", "membership-events", "membership-state", "batch-receipts", "dead-letters"];
/// What it reads.
const INPUTS: [&str; 3] = ["enrollment-requests", "membership-updates", "group-memberships"];

/// The topics of one run.
#[derive(Debug)]
pub(crate) struct Topics {
    brokers: String,
    /// With its dot.
    pub(crate) prefix: String,
}

impl Topics {
    /// Creates them under a prefix that no other run has.
    pub(crate) async fn create(brokers: &str) -> Result<Self> {
        let prefix = format!("b{:016x}.", rand::random::<u64>());
        let topics = Self { brokers: brokers.to_owned(), prefix };
        let names = topics.names();
        let new: Vec<_> = names
            .iter()
            .map(|name| NewTopic::new(name, PARTITIONS as i32, TopicReplication::Fixed(1)))
            .collect();
        for created in topics.admin()?.create_topics(&new, &options()).await? {
            created.map_err(|(topic, error)| anyhow::anyhow!("{topic}: {error}"))?;
        }
        Ok(topics)
    }

    /// Deletes them with their records.
    pub(crate) async fn delete(&self) -> Result<()> {
        let names = self.names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.admin()?.delete_topics(&names, &options()).await?;
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        INPUTS.iter().chain(&OUTPUTS).map(|topic| self.full(topic)).collect()
    }

    /// The full name of a topic.
    pub(crate) fn full(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    /// Sends the backlog and waits until Kafka has it all.
    pub(crate) fn fill(&self, backlog: &Backlog) -> Result<()> {
        let producer: ThreadedProducer<_> = self
            .client()
            .set("enable.idempotence", "true")
            .set("linger.ms", "20")
            .set("batch.size", "262144")
            .set("queue.buffering.max.messages", "200000")
            .create()?;
        let topic = self.full("enrollment-requests");
        for record in &backlog.records {
            loop {
                let message = BaseRecord::<[u8], [u8]>::to(&topic)
                    .partition(record.partition)
                    .key(&record.key)
                    .payload(&record.value)
                    .timestamp(record.timestamp);
                match producer.send(message) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                        producer.flush(Duration::from_millis(50)).ok();
                    }
                    Err((error, _)) => return Err(error.into()),
                }
            }
        }
        producer.flush(PATIENCE)?;
        for (partition, end) in backlog.ends().into_iter().enumerate() {
            let found = self.end("enrollment-requests", partition as i32)?;
            ensure!(found == end, "partition {partition} ends at {found} instead of {end}");
        }
        Ok(())
    }

    /// The offset behind the last record.
    pub(crate) fn end(&self, topic: &str, partition: i32) -> Result<i64> {
        let consumer: BaseConsumer = self.client().create()?;
        let (_, high) = consumer
            .fetch_watermarks(&self.full(topic), partition, PATIENCE)
            .with_context(|| format!("the end of {topic} {partition}"))?;
        Ok(high)
    }

    /// How many records all partitions of a topic hold.
    pub(crate) fn count(&self, topic: &str) -> Result<i64> {
        (0..PARTITIONS as i32).map(|partition| self.end(topic, partition)).sum()
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        Ok(self.client().create()?)
    }

    /// A client's first settings.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}
