//! The composition root: what commands are made of.

pub mod embedded;
pub mod kafka;
pub mod programs;
pub mod status;
pub mod submit;
pub mod topics;

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
