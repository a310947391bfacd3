//! What the bench is told.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// The runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Run {
    Bare,
    Apply,
    Rollcall,
    Naive,
    Plain,
}

/// Measures Rollcall's throughput. `scripts/bench` starts the servers and passes them here.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of a command line")]
pub(crate) struct Options {
    /// Distinct enrollments; a tenth as many records more hit memberships that are there already.
    #[arg(long, default_value_t = 300_000)]
    pub(crate) records: usize,
    /// Only these runs.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Run>,
    /// All runs in turn, as often; medians are printed.
    #[arg(long, default_value_t = 1)]
    pub(crate) rounds: usize,
    /// Writes everything as JSON.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Instead: Rollcall with `records` and with three times as many, for its memory.
    #[arg(long)]
    pub(crate) backlogs: bool,
    /// Runs `rollcall reconcile --full` over everything that Rollcall wrote, before it is thrown away.
    #[arg(long)]
    pub(crate) reconcile: bool,
    /// Instead: Rollcall on empty tables and with so many memberships already there.
    #[arg(long, value_name = "MEMBERSHIPS")]
    pub(crate) preload: Option<u64>,
    /// Instead: Rollcall with enrollments, and with as many records of all kinds: 60 % enrollments, 30 % updates, 10 %
    /// households of five.
    #[arg(long)]
    pub(crate) mixed: bool,
    /// Instead: single enrollments over HTTP: how long one takes, also while `records` drain, and how many a second.
    #[arg(long)]
    pub(crate) http: bool,
    /// A setting of the worker's, as `ROLLCALL_APPLY__LANES=1`; may be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) settings: Vec<String>,
    /// Where the worker's log goes.
    #[arg(long, default_value = "target/bench-worker.log")]
    pub(crate) worker_log: PathBuf,
    /// Brokers.
    #[arg(long)]
    pub(crate) kafka: String,
    /// The broker's process, for its CPU time.
    #[arg(long)]
    pub(crate) kafka_pid: Option<u32>,
    /// The broker's version, to be printed.
    #[arg(long, default_value = "unknown")]
    pub(crate) kafka_version: String,
    /// A database of the server whose user may create databases.
    #[arg(long)]
    pub(crate) postgres: String,
    /// The postmaster, for the server's CPU time.
    #[arg(long)]
    pub(crate) postgres_pid: Option<u32>,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// Whether this run is asked for.
    pub(crate) fn wants(&self, run: Run) -> bool {
        self.only.is_empty() || self.only.contains(&run)
    }

    /// The worker's settings, name and value.
    pub(crate) fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().filter_map(|setting| setting.split_once('='))
    }
}
