//! The metrics: declared once in `declared`, recorded by small typed functions.
//!
//! No id, key or error text is ever a label (P9). `docs/METRICS.md` is made from the declarations.
#![expect(clippy::disallowed_macros, reason = "this is the module that owns the macros")]

mod declared;

use std::time::Duration;

use ::metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

pub use declared::{ALL, Kind, Metric};
use declared::{
    APPLY_TRANSACTION, BUILD_INFO, CRASHES, DEAD_LETTERS_OPEN, HALTS, HTTP_REQUEST, INTAKE_LAG,
    LAST_COMMIT, LEASES_LOST, OUTBOX_OLDEST, OUTBOX_PENDING, PARKED, PARTITION_STATE, RECORDS,
    RELAY_PUBLISHED, STAGE, TRANSACTION_RETRIES,
};

/// What a partition does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionState {
    /// Records are applied.
    Running,
    /// Waits for a server or a lease.
    Waiting,
    /// Paused by an operator.
    Paused,
    /// Stopped for a cause.
    Stopped,
    /// Not ours.
    Unowned,
}

impl PartitionState {
    const ALL: [Self; 5] =
        [Self::Running, Self::Waiting, Self::Paused, Self::Stopped, Self::Unowned];

    /// The name in labels and JSON, such as `RUNNING`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Waiting => "WAITING",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
            Self::Unowned => "UNOWNED",
        }
    }
}

/// Renders what was recorded.
#[derive(Clone)]
pub struct Handle(PrometheusHandle);

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

impl Handle {
    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Gathers recorded values, so that they take no more memory when nobody asks for them.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for metric in ALL {
        if !metric.buckets.is_empty() {
            let name = Matcher::Full(metric.name.to_owned());
            builder = builder.set_buckets_for_metric(name, metric.buckets)?;
        }
    }
    Ok(builder)
}

fn describe_all() {
    for metric in ALL {
        match metric.kind {
            Kind::Counter => ::metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => ::metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => ::metrics::describe_histogram!(metric.name, metric.help),
        }
    }
}

/// Begins recording; until then the functions below do nothing.
///
/// The caller runs [`Handle::upkeep`] every few seconds.
///
/// # Errors
/// Recording has begun before.
pub fn install() -> Result<Handle, BuildError> {
    let handle = builder()?.install_recorder()?;
    describe_all();
    gauge!(BUILD_INFO.name, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    // There before anything happens, so that alerts see it grow.
    counter!(CRASHES.name).increment(0);
    Ok(Handle(handle))
}

/// Counts records that came to an outcome.
pub fn records(topic: &str, outcome: &'static str, count: u64) {
    counter!(RECORDS.name, "topic" => topic.to_owned(), "outcome" => outcome).increment(count);
}

/// Sets how many records of a partition are not applied yet.
pub fn intake_lag(topic: &str, partition: i32, records: u64) {
    let (topic, partition) = (topic.to_owned(), partition.to_string());
    gauge!(INTAKE_LAG.name, "topic" => topic, "partition" => partition).set(float(records));
}

/// Sets what a partition does: 1 for this state, 0 for the others.
pub fn partition_state(topic: &str, partition: i32, state: PartitionState) {
    for each in PartitionState::ALL {
        gauge!(
            PARTITION_STATE.name,
            "topic" => topic.to_owned(),
            "partition" => partition.to_string(),
            "state" => each.name()
        )
        .set(if each == state { 1.0 } else { 0.0 });
    }
}

/// Sets when a batch was committed last.
pub fn last_commit(at: time::OffsetDateTime) {
    let seconds = Duration::try_from(at - time::OffsetDateTime::UNIX_EPOCH).unwrap_or_default();
    gauge!(LAST_COMMIT.name).set(seconds.as_secs_f64());
}

/// Records how long an apply transaction took, from BEGIN to the answer to COMMIT.
pub fn apply_transaction(took: Duration) {
    histogram!(APPLY_TRANSACTION.name).record(took.as_secs_f64());
}

/// Records how long a batch spent in a stage: decode, load, decide, save, commit, publish.
pub fn stage(stage: &'static str, took: Duration) {
    histogram!(STAGE.name, "stage" => stage).record(took.as_secs_f64());
}

/// Counts a transaction that was run again, by cause.
pub fn transaction_retry(cause: &'static str) {
    counter!(TRANSACTION_RETRIES.name, "cause" => cause).increment(1);
}

/// Counts a lease that somebody else took.
pub fn lease_lost() {
    counter!(LEASES_LOST.name).increment(1);
}

/// Counts a partition with records to apply whose owner was gone without a word, or who was while it drained the queue.
pub fn crashed() {
    counter!(CRASHES.name).increment(1);
}

/// Sets how many reasons there are for which nothing is applied or published.
pub fn halts(count: usize) {
    gauge!(HALTS.name).set(float(count as u64));
}

/// Sets the age of the oldest record that is not published; zero if there is none.
pub fn outbox_oldest_unpublished(age: Duration) {
    gauge!(OUTBOX_OLDEST.name).set(age.as_secs_f64());
}

/// Sets how many records are not published.
pub fn outbox_pending(records: u64) {
    gauge!(OUTBOX_PENDING.name).set(float(records));
}

/// Counts records that Kafka acknowledged.
pub fn relay_published(topic: &str, count: u64) {
    counter!(RELAY_PUBLISHED.name, "topic" => topic.to_owned()).increment(count);
}

/// Sets how many letters of a class are open.
pub fn dead_letters_open(class: &str, letters: u64) {
    gauge!(DEAD_LETTERS_OPEN.name, "class" => class.to_owned()).set(float(letters));
}

/// Sets how many records are parked.
pub fn parked(records: u64) {
    gauge!(PARKED.name).set(float(records));
}

/// Records how long an HTTP request took; `route` is the pattern, never the path.
pub fn http_request(method: &str, route: &str, status: u16, took: Duration) {
    histogram!(
        HTTP_REQUEST.name,
        "method" => method.to_owned(),
        "route" => route.to_owned(),
        "status" => status.to_string()
    )
    .record(took.as_secs_f64());
}

#[expect(clippy::cast_precision_loss, reason = "a gauge shows sizes, 2^53 is beyond all of them")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
