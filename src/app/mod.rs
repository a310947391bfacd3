//! The composition root: what commands are made of.

pub mod demo;
pub mod embedded;
pub mod kafka;
pub mod letters;
pub mod parked;
pub mod partitions;
pub mod programs;
pub mod reconcile;
pub mod run;
pub mod status;
pub mod submit;
pub mod topics;
pub mod worker;

mod face;
mod wiring;

/// A part of the worker, for `run --only`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Part {
    /// Consumer and lanes: takes requests from Kafka and applies them.
    Consume,
    /// Publishes the outbox.
    Relay,
    /// Serves HTTP.
    Http,
}

impl Part {
    /// What a worker is made of if nothing else is said.
    pub const ALL: [Self; 3] = [Self::Consume, Self::Relay, Self::Http];
}
