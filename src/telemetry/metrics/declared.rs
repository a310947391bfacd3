//! Every metric: name, kind, labels, meaning.

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values by size.
    Histogram,
}

/// A declared metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name in Prometheus.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
    pub help: &'static str,
    /// Upper bounds of a histogram's buckets, in seconds.
    pub buckets: &'static [f64],
}

/// From a fraction of a millisecond to half a minute.
const SECONDS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

macro_rules! metrics {
    ($( $id:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal $buckets:expr; )*) => {
        $(
            pub(super) const $id: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
                buckets: $buckets,
            };
        )*

        /// All metrics.
        pub const ALL: &[Metric] = &[$($id),*];
    };
}

metrics! {
    RECORDS: Counter "rollcall_records_total" ["topic", "outcome"]
        "Records that came to an outcome." &[];
    INTAKE_LAG: Gauge "rollcall_intake_lag_records" ["topic", "partition"]
        "Records of a partition that are not applied yet." &[];
    PARTITION_STATE: Gauge "rollcall_partition_state" ["topic", "partition", "state"]
        "1 for the state of a partition, 0 for the others." &[];
    LAST_COMMIT: Gauge "rollcall_last_commit_timestamp_seconds" []
        "When a batch was committed last, in seconds since 1970." &[];
    APPLY_TRANSACTION: Histogram "rollcall_apply_transaction_seconds" []
        "How long a transaction took that applied a batch." SECONDS;
    STAGE: Histogram "rollcall_stage_seconds" ["stage"]
        "How long a batch spent in a stage." SECONDS;
    TRANSACTION_RETRIES: Counter "rollcall_transaction_retries_total" ["cause"]
        "Transactions that were run again." &[];
    LEASES_LOST: Counter "rollcall_leases_lost_total" []
        "Leases of partitions that another worker took." &[];
    CRASHES: Counter "rollcall_crashes_total" []
        "Partitions with records to apply, and drains of the queue, whose worker was gone without a word." &[];
    HALTS: Gauge "rollcall_halts" []
        "Reasons for which nothing is applied or published." &[];
    OUTBOX_OLDEST: Gauge "rollcall_outbox_oldest_unpublished_seconds" []
        "Age of the oldest record that is not published." &[];
    OUTBOX_PENDING: Gauge "rollcall_outbox_pending_records" []
        "Records that are not published." &[];
    RELAY_PUBLISHED: Counter "rollcall_relay_published_total" ["topic"]
        "Records that Kafka acknowledged." &[];
    DEAD_LETTERS_OPEN: Gauge "rollcall_dead_letters_open" ["class"]
        "Dead letters that are open." &[];
    PARKED: Gauge "rollcall_parked_records" []
        "Records that wait for an earlier one." &[];
    HTTP_REQUEST: Histogram "rollcall_http_request_duration_seconds" ["method", "route", "status"]
        "How long an HTTP request took." SECONDS;
    BUILD_INFO: Gauge "rollcall_build_info" ["version"]
        "Always 1; says which version runs." &[];
}
