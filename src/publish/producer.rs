//! The producer, set so that the order of a partition survives whatever happens (I5).

use super::Config;
use super::board::Board;
use crate::lifecycle::brokers;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Statistics};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the promises rest on, whatever `kafka.properties` says. Both names of what has two.
const FIXED: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("request.required.acks", ""),
    ("max.in.flight.requests.per.connection", "5"),
    ("max.in.flight", ""),
    // Never: an outage is not an error of the record (P6).
    ("message.timeout.ms", "0"),
    ("delivery.timeout.ms", ""),
    ("message.send.max.retries", "2147483647"),
    ("retries", ""),
    ("enable.gapless.guarantee", "false"),
    ("transactional.id", ""),
    ("linger.ms", "5"),
    ("queue.buffering.max.ms", ""),
    ("compression.type", "lz4"),
    ("compression.codec", ""),
    // How much waits is bounded by the relay, and how large a record may be is the broker's to say.
    ("queue.buffering.max.messages", "0"),
    ("queue.buffering.max.kbytes", "2147483647"),
    ("message.max.bytes", "100000000"),
    // Brokers that it forgets are told to it by us, see `lifecycle::brokers`.
    ("metadata.recovery.strategy", "none"),
    ("statistics.interval.ms", "1000"),
    ("dr_cb", ""),
    ("dr_msg_cb", ""),
];

/// Settings of a client: `kafka.properties` first, but for what `fixed` names.
pub(super) fn client_config(config: &Config, fixed: &[(&str, &str)]) -> ClientConfig {
    let mut client = ClientConfig::new();
    let is_free = |key: &str| !fixed.iter().any(|(name, _)| *name == key);
    for (key, value) in config.properties.iter().filter(|(key, _)| is_free(key)) {
        client.set(key, value);
    }
    for (key, value) in fixed.iter().filter(|(_, value)| !value.is_empty()) {
        client.set(*key, *value);
    }
    client.set("bootstrap.servers", &config.bootstrap_servers);
    client.set_log_level(RDKafkaLogLevel::Warning);
    client
}

/// Where deliveries are noted.
pub(super) struct Deliveries {
    board: Arc<Board>,
    /// The producer knows no broker any more.
    is_lost: AtomicBool,
}

impl ClientContext for Deliveries {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "Kafka's producer: {message}");
    }

    fn error(&self, error: KafkaError, _reason: &str) {
        tracing::warn!(%error, "Kafka's producer: {error}");
    }

    fn stats(&self, statistics: Statistics) {
        if brokers::knows_none(&statistics) {
            self.is_lost.store(true, Ordering::Relaxed);
        }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, delivery: &DeliveryResult<'_>, opaque: usize) {
        let (message, result) = match delivery {
            Ok(message) => (message, Ok(())),
            Err((error, message)) => {
                (message, Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)))
            }
        };
        let bytes = message.key_len() + message.payload_len();
        self.board.ended(opaque, bytes, result);
    }
}

/// A producer whose thread notes deliveries on the board.
pub(super) type Producer = ThreadedProducer<Deliveries>;

/// Starts a producer.
pub(super) fn start(config: &Config, board: &Arc<Board>) -> KafkaResult<Producer> {
    let deliveries = Deliveries { board: Arc::clone(board), is_lost: AtomicBool::new(false) };
    client_config(config, FIXED).create_with_context(deliveries)
}

/// Tells a producer of the brokers if it has forgotten all of them.
pub(super) fn remind(producer: &Producer, bootstrap_servers: &str) {
    let client = producer.client();
    if client.context().is_lost.swap(false, Ordering::Relaxed) {
        tracing::warn!("Kafka's producer has forgotten all brokers: it is told of them");
        brokers::add(client, bootstrap_servers);
    }
}

/// Ends a producer: what is under way is dropped, and the instance is gone when this returns. Blocks.
pub(super) fn end(producer: Producer) {
    producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
    drop(producer);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::mocking::MockCluster;
    use std::time::{Duration, Instant};

    #[test]
    fn a_producer_that_knows_no_broker_is_told_of_them() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let nowhere = Config::new("", "t.", "o");
        let producer = start(&nowhere, &Arc::new(Board::new(std::iter::empty(), 0))).unwrap();
        let ask = |patience| producer.client().fetch_metadata(Some("t"), patience);
        assert!(ask(Duration::from_secs(1)).is_err());
        let until = Instant::now() + Duration::from_mins(1);
        while ask(Duration::from_millis(100)).is_err() {
            assert!(Instant::now() < until, "it never hears of them");
            remind(&producer, &cluster.bootstrap_servers());
        }
    }

    #[test]
    fn properties_do_not_change_what_the_promises_rest_on() {
        let mut config = Config::new("b:1", "t.", "o");
        for (key, value) in
            [("delivery.timeout.ms", "1"), ("acks", "0"), ("client.id", "c"), ("retries", "0")]
        {
            config.properties.insert(key.to_owned(), value.to_owned());
        }
        let client = client_config(&config, FIXED);
        let expected = [
            ("acks", Some("all")),
            ("delivery.timeout.ms", None),
            ("retries", None),
            ("message.timeout.ms", Some("0")),
            ("client.id", Some("c")),
            ("bootstrap.servers", Some("b:1")),
        ];
        for (key, value) in expected {
            assert_eq!(client.get(key), value, "{key}");
        }
    }

    #[tokio::test]
    async fn librdkafka_takes_the_settings() {
        let board = Arc::new(Board::new(std::iter::empty(), 0));
        let producer = start(&Config::new("127.0.0.1:1", "t.", "o"), &board).unwrap();
        tokio::task::spawn_blocking(move || end(producer)).await.unwrap();
    }
}
