//! All SQL. Functions over a connection for reads, over a transaction for what must be atomic with something else: the
//! type is the witness. Set-wise, keys sorted, row counts checked.

pub mod batches;
pub mod crashes;
pub mod drains;
pub mod groups;
pub mod inbox;
pub mod intake;
pub mod leases;
pub mod letters;
pub mod letters_list;
pub mod letters_replay;
pub mod letters_runs;
pub mod memberships;
pub mod names;
pub mod operator;
pub mod operator_actions;
pub mod outbox;
pub mod outbox_partitions;
pub mod parked;
pub mod parked_list;
pub mod parked_names;
pub mod partitions;
pub mod programs;
pub mod reads;
pub mod reconcile;
pub mod registrants;
pub mod relay;
pub mod relay_progress;
pub mod status;

mod error;
mod pool;
mod sessions;

pub use error::{Error, Result};
pub use pool::{Options, SCHEMA_VERSION, Unfit, connect, migrate, open, verify};
pub use sessions::Sessions;
