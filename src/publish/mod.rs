//! The relay: from the outbox to Kafka.
//!
//! One relay leads (a lease in the database with a random fence); others stand by. The leader reads the runs of many
//! streams, hands their records to the producer with the shard as the partition, and moves a cursor a topic over the
//! unbroken beginning of what Kafka acknowledged; a cursor moves only with the lease, in the same statement.
//!
//! Guarantees: in each output partition, number n + 1 is written after number n (P4), whatever fails between: after a
//! failed delivery everything from the first unacknowledged number is sent again (I5). A consumer that takes exactly
//! last + 1 misses nothing. Repeats happen, with the same ids and numbers.
//!
//! Knowingly accepted: a leader that was frozen and thawed after another took over may still write the few records
//! that its producer had queued; they are repeats, with numbers that consumers have passed.

mod board;
mod check;
mod config;
mod envelope;
mod error;
mod heads;
mod lane;
mod pokes;
mod produce;
mod producer;
mod relay;
mod route;
mod session;
mod stats;
mod upkeep;

pub use check::{Verdict, check_topics};
pub use config::{Config, PartitionSettings};
pub use error::Error;
pub use pokes::Pokes;
pub use relay::Relay;
pub use stats::RelayStats;
pub use upkeep::{Upkeep, maintain_partitions};
