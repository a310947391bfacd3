//! Topics of a test: made, written, read whole, cut.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::{PATIENCE, eventually};

/// Topics with the prefix of one test. Names are given without it.
#[derive(Debug, Clone)]
pub(crate) struct Topics {
    brokers: String,
    prefix: String,
}

/// A record to be written.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewRecord {
    /// None: by the key, as Java does.
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<Vec<u8>>,
    /// None: a tombstone.
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since 1970; None: now.
    pub(crate) timestamp: Option<i64>,
}

/// How a transaction ends. Either way a marker follows its records, with an offset of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transaction {
    /// Its records are delivered.
    Committed,
    /// Its records are not delivered to who reads what is committed.
    Aborted,
}

/// A record as it stands in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    /// The value of the last header of that name, as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().rfind(|(key, _)| key == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    fn copied(message: &BorrowedMessage<'_>) -> Self {
        let header =
            |header: Header<'_, &[u8]>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec));
        Self {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: message
                .headers()
                .map(|all| all.iter().map(header).collect())
                .unwrap_or_default(),
        }
    }
}

impl Topics {
    pub(crate) fn new(brokers: &str, prefix: &str) -> Self {
        Self { brokers: brokers.to_owned(), prefix: prefix.to_owned() }
    }

    /// The topic's full name.
    pub(crate) fn full(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    /// Creates a topic; `config` as in `[("cleanup.policy", "compact")]`.
    pub(crate) async fn create(&self, topic: &str, partitions: i32, config: &[(&str, &str)]) {
        let name = self.full(topic);
        let mut new = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        for (key, value) in config {
            new = new.set(key, value);
        }
        let created = self.admin().create_topics([&new], &options()).await.expect("Kafka answers");
        for result in created {
            result.expect("the topic is created");
        }
        // Created, but not known to who asks for its partitions until the broker has heard of it.
        eventually(PATIENCE, "the topic is known", async || {
            let name = name.clone();
            self.blocking(move |consumer| {
                let metadata = consumer.fetch_metadata(Some(&name), PATIENCE).ok()?;
                let known = metadata.topics().first()?.partitions();
                let all = known.len() == partitions as usize;
                (all && known.iter().all(|one| one.leader() >= 0)).then_some(())
            })
            .await
        })
        .await;
    }

    /// Deletes a topic with its records.
    pub(crate) async fn delete(&self, topic: &str) {
        let name = self.full(topic);
        let deleted =
            self.admin().delete_topics(&[&name], &options()).await.expect("Kafka answers");
        for result in deleted {
            result.expect("the topic is deleted");
        }
    }

    /// Deletes what stands before `offset`: it becomes the low watermark.
    pub(crate) async fn delete_before(&self, topic: &str, partition: i32, offset: i64) {
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(&self.full(topic), partition, Offset::Offset(offset))
            .expect("an offset");
        self.admin().delete_records(&offsets, &options()).await.expect("records are deleted");
    }

    /// Writes records in this order and gives (partition, offset) of each, once Kafka has them all.
    pub(crate) async fn produce(&self, topic: &str, records: &[NewRecord]) -> Vec<(i32, i64)> {
        let producer: FutureProducer = self
            .client()
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "5")
            .set("queue.buffering.max.messages", "1000000")
            .set("message.max.bytes", "10000000")
            .create()
            .expect("a producer");
        let topic = self.full(topic);
        let mut sent = Vec::with_capacity(records.len());
        for record in records {
            sent.push(
                producer.send_result(future_record(&topic, record)).map_err(|(error, _)| error),
            );
        }
        let mut coordinates = Vec::with_capacity(records.len());
        for delivery in sent {
            let delivery = delivery.expect("the record is queued").await;
            let delivery = delivery.expect("the producer lives").expect("the record is delivered");
            coordinates.push((delivery.partition, delivery.offset));
        }
        producer.flush(Duration::from_secs(1)).expect("nothing is left to send");
        coordinates
    }

    /// Writes records in one transaction and ends it.
    pub(crate) async fn transact(&self, topic: &str, records: &[NewRecord], how: Transaction) {
        let producer: FutureProducer = self
            .client()
            .set("transactional.id", format!("{}{:016x}", self.prefix, rand::random::<u64>()))
            .create()
            .expect("a producer");
        let starting = producer.clone();
        let started = tokio::task::spawn_blocking(move || {
            starting.init_transactions(PATIENCE)?;
            starting.begin_transaction()
        });
        started.await.expect("no panic").expect("a transaction begins");
        let topic = self.full(topic);
        for record in records {
            let sent = producer.send(future_record(&topic, record), PATIENCE).await;
            sent.expect("the record is delivered");
        }
        let ended = tokio::task::spawn_blocking(move || match how {
            Transaction::Committed => producer.commit_transaction(PATIENCE),
            Transaction::Aborted => producer.abort_transaction(PATIENCE),
        });
        ended.await.expect("no panic").expect("the transaction ends");
    }

    /// Low and high watermark: the first offset that is there, and the one that the next record gets.
    pub(crate) async fn watermarks(&self, topic: &str, partition: i32) -> (i64, i64) {
        let name = self.full(topic);
        self.blocking(move |consumer| {
            consumer.fetch_watermarks(&name, partition, PATIENCE).expect("watermarks")
        })
        .await
    }

    /// All records that a partition holds now, in order.
    pub(crate) async fn read_partition(&self, topic: &str, partition: i32) -> Vec<Record> {
        let name = self.full(topic);
        self.blocking(move |consumer| read(consumer, &name, &[partition])).await
    }

    /// All records that a topic holds now: partition by partition, each in order.
    pub(crate) async fn read(&self, topic: &str) -> Vec<Record> {
        let name = self.full(topic);
        self.blocking(move |consumer| {
            let metadata = consumer.fetch_metadata(Some(&name), PATIENCE).expect("metadata");
            let partitions: Vec<i32> = metadata.topics()[0]
                .partitions()
                .iter()
                .map(rdkafka::metadata::MetadataPartition::id)
                .collect();
            let mut records = read(consumer, &name, &partitions);
            records.sort_by_key(|record| (record.partition, record.offset));
            records
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        look: impl FnOnce(&BaseConsumer) -> T + Send + 'static,
    ) -> T {
        let consumer: BaseConsumer = self
            .client()
            .set("group.id", "unused")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "50")
            .create()
            .expect("a consumer");
        tokio::task::spawn_blocking(move || look(&consumer)).await.expect("the look succeeds")
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("an admin client")
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

fn future_record<'a>(topic: &'a str, record: &'a NewRecord) -> FutureRecord<'a, [u8], [u8]> {
    let mut headers = OwnedHeaders::new();
    for (key, value) in &record.headers {
        headers = headers.insert(Header { key, value: value.as_deref() });
    }
    FutureRecord {
        topic,
        partition: record.partition,
        key: record.key.as_deref(),
        payload: record.value.as_deref(),
        timestamp: record.timestamp,
        headers: Some(headers),
    }
}

fn read(consumer: &BaseConsumer, topic: &str, partitions: &[i32]) -> Vec<Record> {
    let mut assignment = TopicPartitionList::new();
    for partition in partitions {
        assignment.add_partition_offset(topic, *partition, Offset::Beginning).expect("a partition");
    }
    consumer.assign(&assignment).expect("an assignment");
    let (mut records, mut open) = (Vec::new(), partitions.len());
    while open > 0 {
        match consumer.poll(PATIENCE).expect("a record, or the end, in time") {
            Ok(message) => records.push(Record::copied(&message)),
            Err(KafkaError::PartitionEOF(_)) => open -= 1,
            // A topic that was made a moment ago.
            Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownPartition,
            )) => {}
            Err(error) => panic!("{topic} cannot be read: {error}"),
        }
    }
    records
}
