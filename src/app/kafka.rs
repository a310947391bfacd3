//! What commands share in talking to Kafka.

use crate::config::Settings;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use std::time::{Duration, Instant};
use tokio::task::JoinError;

/// How long a command waits for an answer of the brokers.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Before a partition without a leader is asked for again.
const PAUSE: Duration = Duration::from_millis(50);

/// Kafka could not be asked. Holds librdkafka's words, which name brokers and topics, never a record.
#[derive(Debug, Clone, thiserror::Error)]
#[error("Kafka at {servers} cannot be reached: {problem}")]
pub struct Unreachable {
    /// `kafka.bootstrap_servers`.
    pub servers: String,
    /// What librdkafka says.
    pub problem: String,
}

impl Unreachable {
    /// The error of asking the brokers of `settings`.
    pub fn new(settings: &Settings, error: &KafkaError) -> Self {
        Self { servers: settings.kafka.bootstrap_servers.clone(), problem: error.to_string() }
    }
}

/// A client's configuration: the brokers and what `kafka.properties` says.
pub fn client(settings: &Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &settings.kafka.bootstrap_servers);
    for (name, value) in settings.kafka.properties.iter() {
        config.set(name, value);
    }
    config
}

/// The first offset that is there and the next that will be given. Where a partition has no leader, as one that was just
/// made, it is waited for: `patience` at most. To be asked of a consumer that nothing is assigned to.
pub(super) fn watermarks(
    consumer: &BaseConsumer,
    (topic, partition): (&str, i32),
    patience: Duration,
) -> Result<(i64, i64), KafkaError> {
    let until = Instant::now() + patience;
    loop {
        match consumer.fetch_watermarks(topic, partition, patience) {
            Err(error) if is_without_leader(&error) && Instant::now() < until => {
                // Nothing comes, so this is a pause.
                consumer.poll(PAUSE);
            }
            done => return done,
        }
    }
}

fn is_without_leader(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{LeaderNotAvailable, NotLeaderForPartition};
    matches!(error.rdkafka_error_code(), Some(LeaderNotAvailable | NotLeaderForPartition))
}

/// Does what waits for the brokers on a thread for that: signals are heard meanwhile, and a server's other work goes on.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await.map_err(JoinError::try_into_panic) {
        Ok(done) => done,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The runtime ends, and this with it.
        Err(Err(_cancelled)) => std::future::pending().await,
    }
}
