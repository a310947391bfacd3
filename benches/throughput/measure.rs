//! What is measured of a run.

use crate::options::Options;
use crate::process;
use crate::proof::Proof;
use serde::Serialize;
use std::collections::BTreeMap;

/// The figures of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measured {
    /// Records of the backlog.
    pub(crate) records: usize,
    /// Program memberships that the records are about.
    pub(crate) items: usize,
    /// Rows that stand in the tables afterwards.
    pub(crate) rows: i64,
    /// Rows by table.
    pub(crate) tables: BTreeMap<String, i64>,
    /// Bytes of results and bodies, to compare runs by.
    pub(crate) body_bytes: i64,
    /// How long it took.
    pub(crate) seconds: f64,
    /// CPU seconds of the client: the worker, or this bench.
    pub(crate) client_cpu: f64,
    /// CPU seconds of Postgres.
    pub(crate) postgres_cpu: f64,
    /// CPU seconds of Kafka.
    pub(crate) kafka_cpu: f64,
    /// Bytes of write-ahead log.
    pub(crate) wal_bytes: i64,
    /// Of Rollcall only.
    pub(crate) worker: Option<Worker>,
    /// Of Rollcall's rows, where it is asked for.
    pub(crate) proof: Option<Proof>,
}

/// What is measured of the worker only.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Worker {
    /// From the start of its process instead of its first lease.
    pub(crate) wall_seconds: f64,
    /// Until the last record was applied, from the first lease.
    pub(crate) applied_seconds: f64,
    /// Resident memory at its highest, in bytes.
    pub(crate) peak_memory: u64,
    /// Seconds by stage, summed over lanes.
    pub(crate) stages: BTreeMap<String, f64>,
    /// Transactions that committed.
    pub(crate) transactions: f64,
}

impl Measured {
    pub(crate) fn records_per_second(&self) -> f64 {
        self.records as f64 / self.seconds
    }

    pub(crate) fn items_per_second(&self) -> f64 {
        self.items as f64 / self.seconds
    }

    pub(crate) fn rows_per_second(&self) -> f64 {
        self.rows as f64 / self.seconds
    }

    /// CPU seconds for 100,000 records.
    pub(crate) fn per_100k(&self, cpu: f64) -> f64 {
        cpu * 100_000.0 / self.records as f64
    }
}

/// CPU seconds of everybody at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    pub(crate) client: f64,
    pub(crate) postgres: f64,
    pub(crate) kafka: f64,
}

impl Cpu {
    /// Now; `client` is the worker, or this process itself.
    pub(crate) fn now(options: &Options, client: u32) -> Self {
        Self {
            client: process::cpu(client),
            postgres: options.postgres_pid.map_or(0.0, process::cpu),
            kafka: options.kafka_pid.map_or(0.0, process::cpu),
        }
    }

    /// What was used since.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            client: self.client - before.client,
            postgres: self.postgres - before.postgres,
            kafka: self.kafka - before.kafka,
        }
    }
}
