//! Questions to Kafka that block, asked beside the group: which cluster it is, whether the topics are there, where logs
//! begin and end.

use super::Config;
use super::board::Board;
use super::client::{self, KAFKA, Quiet};
use crate::apply::TopicPartition;
use crate::lifecycle::brokers;
use crate::lifecycle::health::Health;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::MetadataTopic;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const TIMEOUT: Duration = Duration::from_secs(5);
const PERIOD: Duration = Duration::from_secs(5);
const PERIOD_IN_OUTAGE: Duration = Duration::from_secs(1);

/// Where a partition's log begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Watermarks {
    pub(super) low: i64,
    pub(super) high: i64,
}

/// Asks Kafka.
pub(super) struct Probe {
    config: Arc<Config>,
    health: Health,
    client: BaseConsumer<Quiet>,
}

impl Probe {
    pub(super) fn new(config: Arc<Config>, health: Health) -> KafkaResult<Self> {
        health.require(KAFKA);
        let client = client::prober(&config)?;
        Ok(Self { config, health, client })
    }

    /// The cluster's id, once a broker has told it.
    pub(super) async fn cluster_id(self: &Arc<Self>) -> Option<String> {
        self.ask(|probe| probe.client.client().fetch_cluster_id(TIMEOUT)).await
    }

    /// Where a partition's log begins and ends now.
    pub(super) async fn watermarks(
        self: &Arc<Self>,
        at: TopicPartition,
    ) -> Result<Watermarks, KafkaError> {
        self.ask(move |probe| probe.watermarks_now(&at)).await
    }

    fn watermarks_now(&self, at: &TopicPartition) -> Result<Watermarks, KafkaError> {
        let (low, high) = self.client.fetch_watermarks(&at.topic, at.partition, TIMEOUT)?;
        Ok(Watermarks { low, high })
    }

    async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> T {
        let probe = Arc::clone(self);
        match tokio::task::spawn_blocking(move || question(&probe)).await {
            Ok(answer) => answer,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Cancelled: the runtime is going down, and this future with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Keeps asking until `token` is cancelled.
    pub(super) async fn run(self: Arc<Self>, board: Arc<Board>, token: CancellationToken) {
        loop {
            let (board, stop) = (Arc::clone(&board), token.clone());
            let round = self.ask(move |probe| probe.round(&board, &stop));
            let Some(well) = token.run_until_cancelled(round).await else {
                return;
            };
            let pause = tokio::time::sleep(if well { PERIOD } else { PERIOD_IN_OUTAGE });
            if token.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    fn round(&self, board: &Board, stop: &CancellationToken) -> bool {
        match self.topics() {
            Ok(()) => self.health.set_ready(KAFKA),
            Err(reason) => {
                self.health.set_not_ready(KAFKA, reason);
                return false;
            }
        }
        for at in board.owned() {
            if stop.is_cancelled() {
                break;
            }
            match self.watermarks_now(&at) {
                Ok(marks) => board.watermarks(&at, marks.low, marks.high),
                Err(error) => {
                    tracing::debug!(%error, topic = &*at.topic, at.partition, "no watermarks");
                }
            }
        }
        true
    }

    fn topics(&self) -> Result<(), String> {
        for topic in &self.config.topics {
            let metadata = self.client.fetch_metadata(Some(topic), TIMEOUT);
            let metadata = metadata.map_err(|error| {
                brokers::add(self.client.client(), &self.config.bootstrap_servers);
                format!("no answer: {error}")
            })?;
            if let Some(error) = metadata.topics().first().and_then(MetadataTopic::error) {
                let code = rdkafka::error::RDKafkaErrorCode::from(error);
                return Err(format!("topic {topic}: {code}"));
            }
        }
        Ok(())
    }
}
