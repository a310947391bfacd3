//! The producer, set so that the order of a partition survives whatever happens (I5).

use super::Config;
use super::board::Board;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use std::sync::Arc;

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
pub(super) struct Deliveries(Arc<Board>);

impl ClientContext for Deliveries {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "Kafka's producer: {message}");
    }

    fn error(&self, error: KafkaError, _reason: &str) {
        tracing::warn!(%error, "Kafka's producer: {error}");
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
        self.0.ended(opaque, bytes, result);
    }
}

/// A producer whose thread notes deliveries on the board.
pub(super) type Producer = ThreadedProducer<Deliveries>;

/// Starts a producer.
pub(super) fn start(config: &Config, board: &Arc<Board>) -> KafkaResult<Producer> {
    client_config(config, FIXED).create_with_context(Deliveries(Arc::clone(board)))
}

/// Ends a producer: what is under way is dropped, and the instance is gone when this returns. Blocks.
pub(super) fn end(producer: Producer) {
    producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
    drop(producer);
}

#[cfg(test)]
mod tests {
    use super::*;

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
