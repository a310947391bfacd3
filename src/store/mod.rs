//! All SQL. Functions over a connection for reads, over a transaction for what must be atomic with something else: the
//! type is the witness. Set-wise, keys sorted, row counts checked.

pub mod outbox_partitions;
pub mod relay;
pub mod relay_progress;

mod error;

pub use error::{Error, Result};
