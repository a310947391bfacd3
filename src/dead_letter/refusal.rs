//! Why something was not done to letters or runs, in words that say what to do.

use crate::store;
use uuid::Uuid;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such letter.
    #[error("there is no dead letter {0}; see `rollcall dead-letters list`")]
    NoLetter(Uuid),
    /// It was put right before.
    #[error("the letter {0} is not open any more")]
    NotOpen(Uuid),
    /// The selection is another than that of the preflight.
    #[error(
        "the selection is not the one with that digest any more: {selected} letters, digest {digest}"
    )]
    OtherSelection {
        /// Letters that are selected now.
        selected: usize,
        /// Their digest.
        digest: String,
    },
    /// Nothing is selected.
    #[error("no open dead letter is meant")]
    Nothing,
    /// There is no such run.
    #[error("there is no run {0}; see `rollcall dead-letters runs list`")]
    NoRun(Uuid),
    /// It is under way.
    #[error("the run {0} is under way")]
    Running(Uuid),
    /// It has ended.
    #[error("the run {0} has ended: {1}")]
    Ended(Uuid, String),
    /// Something keeps it from being done.
    #[error("it cannot be done now: {0}")]
    Stopped(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
