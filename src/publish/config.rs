//! What the relay must be told.

use std::collections::BTreeMap;
use std::time::Duration;

/// Settings of the relay and of the outbox's partitions; filled by the composition root.
#[derive(Debug, Clone)]
pub struct Config {
    /// `kafka.bootstrap_servers`.
    pub bootstrap_servers: String,
    /// `kafka.properties.*`: set first, so that what the promises rest on cannot be changed by them.
    pub properties: BTreeMap<String, String>,
    /// `topics.prefix`, with its dot.
    pub topic_prefix: String,
    /// `events.source`: the beginning of `ce_source`.
    pub events_source: String,
    /// The worker's name, for the lease.
    pub owner: String,
    /// How often the outbox is looked at when nobody pokes.
    pub poll_interval: Duration,
    /// How long a lease holds without renewal; it is renewed three times as often.
    pub lease: Duration,
    /// Records handed to the producer and not yet acknowledged, at the most (and a batch more).
    pub max_in_flight_records: usize,
    /// The same in bytes of keys and values.
    pub max_in_flight_bytes: usize,
    /// The longest pause before what was refused is sent again.
    pub retry_max: Duration,
    /// How often [`super::RelayStats`] are renewed.
    pub stats_interval: Duration,
    /// The outbox's partitions.
    pub partitions: PartitionSettings,
}

/// Settings of the outbox's partitions.
#[derive(Debug, Clone, Copy)]
pub struct PartitionSettings {
    /// Batches a partition (`outbox.partition_batches`).
    pub batches: i64,
    /// Batches ahead of the last one for which partitions must be there (`outbox.create_ahead`).
    pub create_ahead: i64,
    /// How long published rows are kept at least (`outbox.keep`).
    pub keep: Duration,
    /// How often this is looked after.
    pub interval: Duration,
}

impl Default for PartitionSettings {
    fn default() -> Self {
        Self {
            batches: 100_000,
            create_ahead: 200_000,
            keep: Duration::from_hours(24),
            interval: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// The defaults, for these servers and topics.
    pub fn new(bootstrap_servers: &str, topic_prefix: &str, owner: &str) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.to_owned(),
            properties: BTreeMap::new(),
            topic_prefix: topic_prefix.to_owned(),
            events_source: "urn:rollcall".to_owned(),
            owner: owner.to_owned(),
            poll_interval: Duration::from_millis(100),
            lease: Duration::from_secs(6),
            max_in_flight_records: 6_000,
            max_in_flight_bytes: 8 << 20,
            retry_max: Duration::from_secs(10),
            stats_interval: Duration::from_secs(2),
            partitions: PartitionSettings::default(),
        }
    }

    /// The full name of a topic.
    pub fn full_topic(&self, topic: &str) -> String {
        format!("{}{topic}", self.topic_prefix)
    }
}
