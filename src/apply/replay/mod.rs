//! Letters that are applied again, and letters that are given up: by the same transaction as a batch.
//!
//! The letters' rows are locked behind names and registrants, before the inbox, by id: so are those of letters whose
//! record somebody sends again, and nobody replays what another is just resolving.

mod again;
mod letters;
mod save;
mod walk;

pub(super) use again::Closes;
pub(super) use letters::Letters;

use super::outcome::outcome_word;
use super::{Batch, Taken, TopicPartition};
use crate::contract::{LetterClass, Unreadable};
use crate::store::{self, letters_list, letters_replay};
use bytes::Bytes;
use sqlx::{Postgres, Transaction};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use time::OffsetDateTime;
use uuid::Uuid;

/// What is done to letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Their records are applied.
    Replay,
    /// The same, in a transaction that is rolled back.
    Rehearse,
    /// Their requests are refused, finally.
    Discard,
}

/// The letter that a record was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfLetter {
    /// Which.
    pub letter_id: Uuid,
    /// When it became one.
    pub first_failed_at: OffsetDateTime,
    /// When it was last tried.
    pub last_failed_at: OffsetDateTime,
}

/// What becomes of the letters of a batch, who wants it and why.
#[derive(Debug)]
pub struct Replay {
    /// What is done.
    pub deed: Deed,
    /// The run that it is a part of: nothing is done once that is ended.
    pub run_id: Option<Uuid>,
    /// When it was begun.
    pub started_at: OffsetDateTime,
    /// Although the registrant has changed since.
    pub force: bool,
    /// Whether letters that are behind another are left as they are, without a word, because they are tried again.
    pub patient: bool,
    /// Who.
    pub actor: Option<String>,
    /// Why.
    pub reason: Option<String>,
    done: Mutex<Done>,
}

/// What a replay came to so far.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Done {
    /// Each letter that was looked at.
    pub letters: Vec<Replayed>,
    /// Why it cannot go on, if it cannot.
    pub cause: Option<String>,
}

/// What a letter came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Which.
    pub letter_id: Uuid,
    /// How.
    pub fate: Fate,
}

/// How a replay of a letter ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Its request has an outcome (the ledger's byte), and the first code of its result; or the run has noted one before.
    Decided {
        /// Applied, unchanged, partial, rejected, duplicate or parked.
        outcome: u8,
        /// Such as `rjct.program.not_found`.
        code: Option<String>,
    },
    /// It is a letter still.
    Failed(Unreadable),
    /// It was not touched: a stable word.
    Refused(&'static str),
}

impl Fate {
    /// A byte for it: the ledger's, F for what was refused, N for what was no open letter any more.
    pub fn byte(&self) -> u8 {
        match self {
            Self::Decided { outcome, .. } => *outcome,
            Self::Failed(_) => b'L',
            Self::Refused(code) if *code == NOT_OPEN => b'N',
            Self::Refused(_) => b'F',
        }
    }

    /// The same as a word.
    pub fn word(&self) -> &'static str {
        Self::word_of(self.byte())
    }

    /// The word for such a byte: as those who read letters and runs see it.
    pub const fn word_of(byte: u8) -> &'static str {
        match byte {
            b'F' => "refused",
            b'N' => NOT_OPEN,
            byte => outcome_word(byte),
        }
    }

    /// Whether it waits for another, and may be tried again when that one is through.
    pub fn is_behind(&self) -> bool {
        *self == Self::Refused(BEHIND)
    }

    /// Why, if there is a word for it.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Decided { code, .. } => code.as_deref(),
            Self::Failed(cause) => Some(cause.code),
            Self::Refused(code) => Some(code),
        }
    }
}

/// The registrant has changed since the letter.
const CHANGED: &str = "registrant_changed";
/// Somebody else has resolved or discarded the letter.
const NOT_OPEN: &str = "not_open";
/// An earlier record of the same registrant waits.
const BEHIND: &str = "behind_another";

impl Replay {
    /// Something to do to letters.
    pub fn new(deed: Deed, started_at: OffsetDateTime) -> Self {
        Self {
            deed,
            run_id: None,
            started_at,
            force: false,
            patient: false,
            actor: None,
            reason: None,
            done: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it came to since it was last asked.
    pub fn take_done(&self) -> Done {
        std::mem::take(&mut *self.lock())
    }

    pub(super) fn stopped(&self, cause: String) {
        self.lock().cause = Some(cause);
    }
}

impl super::Applier {
    /// The batch of these letters' records.
    pub fn batch_of_letters(
        &self,
        stored: Vec<letters_list::Stored>,
        replay: Arc<Replay>,
    ) -> Batch {
        let records = stored.into_iter().map(|stored| self.taken_of_letter(stored)).collect();
        Batch { replay: Some(replay), alone: true, records, ..Batch::default() }
    }

    fn taken_of_letter(&self, stored: letters_list::Stored) -> Taken {
        let letter = OfLetter {
            letter_id: stored.letter_id,
            first_failed_at: stored.first_failed_at,
            last_failed_at: stored.last_failed_at,
        };
        let headers = stored.header_keys.into_iter().zip(stored.header_values);
        let record = super::Record {
            at: TopicPartition {
                topic: stored.topic.unwrap_or_default().into(),
                partition: stored.partition.unwrap_or_default(),
            },
            offset: stored.offset.unwrap_or_default(),
            timestamp: stored.record_timestamp,
            key: stored.key.map(Bytes::from),
            value: stored.value.map(Bytes::from),
            headers: headers
                .map(|(name, value)| (Bytes::from(name), value.map(Bytes::from)))
                .collect(),
        };
        Taken { letter: Some(letter), ..self.take(record) }
    }
}

/// Whether the run that a batch is a part of goes on.
pub(super) async fn goes_on(
    tx: &mut Transaction<'_, Postgres>,
    batch: &Batch,
) -> store::Result<bool> {
    match batch.replay.as_ref().and_then(|replay| replay.run_id) {
        Some(run_id) => letters_replay::lock_run(tx, run_id).await,
        None => Ok(true),
    }
}

/// The ledger's byte of a letter: one that an operator passed over has its own.
pub(super) const fn byte_of(cause: Unreadable) -> u8 {
    match cause.class {
        LetterClass::Skipped => b'S',
        _ => b'L',
    }
}
