//! What commands share in talking to Kafka.

use crate::config::Settings;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use std::time::Duration;
use tokio::task::JoinError;

/// How long a command waits for an answer of the brokers.
pub const PATIENCE: Duration = Duration::from_secs(15);

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

/// Does what waits for the brokers on a thread for that: signals are heard meanwhile, and a server's other work goes on.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await.map_err(JoinError::try_into_panic) {
        Ok(done) => done,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The runtime ends, and this with it.
        Err(Err(_cancelled)) => std::future::pending().await,
    }
}
