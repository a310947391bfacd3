//! What can go wrong around publishing.

use crate::store;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Why topics could not be checked, or the relay cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed: wait and try again.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Kafka did not answer, or not in time: wait and try again.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// Output topics are not there, or too small.
    #[error("{}; run `rollcall topics apply`", .problems.join("; "))]
    Topics {
        /// One sentence a topic.
        problems: Vec<String>,
    },
    /// Topics are ahead of the database.
    #[error("database_behind_topics: {cause}")]
    Behind {
        /// Topic, partition and both numbers.
        cause: String,
    },
    /// The brokers are another cluster than the one whose records the ledger holds.
    #[error("cluster_changed: the ledger is of Kafka cluster {known}, this one is {here}")]
    OtherCluster {
        /// The ledger's.
        known: String,
        /// Who answered.
        here: String,
    },
    /// The check was cancelled by shutdown.
    #[error("cancelled by shutdown")]
    Cancelled,
}

impl Error {
    /// Kafka did not answer in time.
    pub(super) const fn timed_out() -> Self {
        Self::Kafka(KafkaError::Global(RDKafkaErrorCode::OperationTimedOut))
    }
}
