//! The rdkafka client: its settings, and what it does in a rebalance.

use super::Config;
use super::owner::{Command, Commands};
use crate::apply::TopicPartition;
use crate::lifecycle::brokers;
use crate::lifecycle::health::Health;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, Offset, Statistics, TopicPartitionList};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The condition of readiness that says whether brokers answer.
pub(super) const KAFKA: &str = "kafka";

/// The client that is in the group.
pub(super) type Client = BaseConsumer<Context>;

/// Records fetched ahead a partition, beyond which librdkafka waits.
const FETCH_AHEAD: &str = "5000";

/// How often statistics say where each log ended.
const STATISTICS_MILLIS: &str = "1000";

/// What of librdkafka's the user may set, then what correctness rests on.
fn settings(config: &Config) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("session.timeout.ms", "45000")
        // A member learns of a rebalance by its heartbeats.
        .set("heartbeat.interval.ms", "1000")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.queue.backoff.ms", "20")
        .set("queued.min.messages", FETCH_AHEAD)
        .set(
            "queued.max.messages.kbytes",
            (config.fetch_queue / 1024).max(1).to_string(),
        )
        .set("reconnect.backoff.max.ms", "2000")
        // A topic that is created, or that grows, after the start is noticed by this.
        .set("topic.metadata.refresh.interval.ms", "5000")
        // librdkafka's own way back to forgotten brokers can end half-way, and is then never begun again (seen: a broker
        // stopped for 9 s). Ours is in `brokers`.
        .set("metadata.recovery.strategy", "none")
        // Its default of ten minutes is how long a coordinator that was lost in an outage can stay unknown.
        .set("coordinator.query.interval.ms", "5000")
        .set("check.crcs", "true");
    client.set_log_level(RDKafkaLogLevel::Warning);
    for (name, value) in config.properties.iter() {
        client.set(name, value);
        if name == "debug" {
            client.set_log_level(RDKafkaLogLevel::Debug);
        }
    }
    client
        .set("bootstrap.servers", &config.bootstrap_servers)
        .set("client.id", &config.owner)
        .set("allow.auto.create.topics", "false")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed");
    client
}

/// The client that takes part in the group; `wake` is called when it has something to say.
pub(super) fn member(
    config: &Config,
    context: Context,
    wake: impl Fn() + Send + Sync + 'static,
) -> KafkaResult<Arc<Client>> {
    let mut client: Client = settings(config)
        .set("group.id", &config.group_id)
        // Where a log ends in offsets that are never delivered, its end is the only word of them.
        .set("enable.partition.eof", "true")
        .set("statistics.interval.ms", STATISTICS_MILLIS)
        .set("group.protocol", "classic")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .create_with_context(context)?;
    client.set_nonempty_callback(wake);
    Ok(Arc::new(client))
}

/// A client beside the group, for questions that block.
pub(super) fn prober(config: &Config) -> KafkaResult<BaseConsumer<Quiet>> {
    settings(config).create_with_context(Quiet)
}

/// A client whose errors are seen in its answers.
#[derive(Debug)]
pub(super) struct Quiet;

/// librdkafka's lines: about brokers and the group, nothing of a record.
fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{line}"),
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
            tracing::info!(target: "librdkafka", facility, "{line}");
        }
        _ => tracing::warn!(target: "librdkafka", facility, "{line}"),
    }
}

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: KafkaError, _reason: &str) {
        tracing::debug!(%error, "Kafka, beside the group");
    }
}

impl ConsumerContext for Quiet {}

/// Does in a rebalance what must be done at once, and hands over the rest.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) commands: Commands,
    pub(super) health: Health,
    /// Counts callbacks: a poll that served one says no more than a poll that found nothing.
    pub(super) served: AtomicU64,
}

impl Context {
    pub(super) fn new(commands: Commands, health: Health) -> Self {
        Self { commands, health, served: AtomicU64::new(0) }
    }

    fn count(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.count();
        log(level, facility, line);
    }

    fn stats(&self, statistics: Statistics) {
        self.count();
        if brokers::knows_none(&statistics) {
            self.commands.send(Command::BrokersForgotten);
        }
        let mut ends = Vec::new();
        for (topic, statistics) in statistics.topics {
            let topic: Arc<str> = topic.into();
            for (partition, statistics) in statistics.partitions {
                if statistics.eof_offset >= 0 {
                    let at = TopicPartition { topic: Arc::clone(&topic), partition };
                    ends.push((at, statistics.eof_offset));
                }
            }
        }
        self.commands.send(Command::Ends(ends));
    }

    fn error(&self, error: KafkaError, _reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.health.set_not_ready(KAFKA, "no broker answers");
            tracing::warn!("no Kafka broker answers; librdkafka goes on trying");
        } else {
            tracing::debug!(%error, "Kafka");
        }
    }
}

impl ConsumerContext for Context {
    /// While the assign call is outstanding librdkafka ignores rebalances, so nothing here waits for anything: assign
    /// with an offset of our own (never the group's), pause, hand over. rdkafka's default drops the errors.
    fn rebalance(&self, client: &Client, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        self.count();
        let cooperative = matches!(client.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let done = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let assigned = assign(client, list, cooperative);
            self.commands.send(Command::Assigned(partitions(list)));
            assigned
        } else {
            self.commands.send(Command::Revoked(partitions(list)));
            if cooperative { client.incremental_unassign(list) } else { client.unassign() }
        };
        if let Err(error) = done {
            self.commands.send(Command::Failed(error));
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        self.count();
        if let Err(error) = result {
            // A courtesy for lag tools: the position is in the ledger (P1).
            tracing::debug!(%error, "group offsets were not committed");
        }
    }
}

fn assign(client: &Client, list: &mut TopicPartitionList, cooperative: bool) -> KafkaResult<()> {
    list.set_all_offsets(Offset::Beginning)?;
    if cooperative {
        client.incremental_assign(list)?;
    } else {
        client.assign(list)?;
    }
    client.pause(list)
}

fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let elements = list.elements();
    let one = elements.iter().map(|element| TopicPartition {
        topic: element.topic().into(),
        partition: element.partition(),
    });
    one.collect()
}
