//! Records that fail for good while they are applied.

use super::batch::{Batch, Taken, TopicPartition};
use super::park::names_of;
use crate::contract::{Identity, Intake, LetterClass, LetterStage, Unreadable};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A record whose decoding made the program fail.
pub(super) const PANICKED: Unreadable = Unreadable {
    class: LetterClass::Failed,
    stage: LetterStage::Decode,
    code: "panicked",
    detail: "the program failed while it decoded the record; report it with the letter",
};

/// Whether the record already is a letter.
pub(super) const fn is_letter(taken: &Taken) -> bool {
    matches!(taken.intake, Intake::Letter(_) | Intake::Condemned { .. })
}

/// How many records in a row each partition has lost to failures for good: the other half of the cap on dead letters,
/// whose first half counts what cannot be decoded.
#[derive(Debug, Default)]
pub(super) struct Condemned(Mutex<HashMap<TopicPartition, u64>>);

impl Condemned {
    fn counts(&self) -> MutexGuard<'_, HashMap<TopicPartition, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more; false if the cap (0: none) does not accept it.
    pub(super) fn accept(&self, part: &Batch, cap: u64) -> bool {
        let mut counts = self.counts();
        part.records.iter().all(|taken| {
            let count = counts.entry(taken.record.at.clone()).or_default();
            *count += 1;
            cap == 0 || *count <= cap
        })
    }

    /// A record that was applied ends the row.
    pub(super) fn applied(&self, part: &Batch) {
        let mut counts = self.counts();
        if counts.is_empty() {
            return;
        }
        for taken in part.records.iter().filter(|taken| !is_letter(taken)) {
            counts.remove(&taken.record.at);
        }
    }
}

/// Makes a record a letter of class `failed`. Its code is the same for all: what Postgres said is in the log, reduced
/// to SQLSTATE and constraint.
pub(super) fn condemn(taken: &mut Taken) {
    let (identity, names) = match &taken.intake {
        Intake::Command { meta, command, .. } => (Identity::of(meta), names_of(meta, command)),
        Intake::Refused(refused) => (refused.identity.clone(), Vec::new()),
        Intake::Letter(_) | Intake::Condemned { .. } => return,
    };
    let cause = Unreadable {
        class: LetterClass::Failed,
        stage: LetterStage::Apply,
        code: "apply_failed",
        detail: "the request fails alone, twice the same way, while other writes succeed",
    };
    taken.intake = Intake::Condemned { identity, names, cause };
}
