//! Letters that are applied again, and letters that are given up: by the same transaction as a batch.
//!
//! The letters' rows are locked behind names and registrants, before the inbox, by id: so are those of letters whose
//! record somebody sends again, and nobody replays what another is just resolving.

mod again;
mod save;
mod walk;

use again::Again;

use super::answer::Answer;
use super::disposition::Failure;
use super::load::Loaded;
use super::outcome::outcome_word;
use super::park::{Moves, names_of};
use super::{Batch, Taken, TopicPartition};
use crate::contract::{Intake, LetterClass, Unreadable};
use crate::store::{self, letters_list, letters_replay};
use bytes::Bytes;
use sqlx::{Postgres, Transaction};
use std::collections::{BTreeSet, HashSet};
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
    /// The number under which it occupies its names.
    pub parked_id: Option<i64>,
    /// When it became one.
    pub first_failed_at: OffsetDateTime,
}

/// What becomes of the letters of a batch, who wants it and why.
#[derive(Debug)]
pub struct Replay {
    /// What is done.
    pub deed: Deed,
    /// The run that it is a part of: nothing is done once that is ended.
    pub run_id: Option<Uuid>,
    /// When that run was started: what it changed itself since is no change.
    pub started_at: OffsetDateTime,
    /// Although the registrant has changed since.
    pub force: bool,
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
    /// Its request has an outcome (the ledger's byte), and the first code of its result.
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
    /// A byte for it: the ledger's, or F for what was refused.
    pub const fn byte(&self) -> u8 {
        match self {
            Self::Decided { outcome, .. } => *outcome,
            Self::Failed(_) => b'L',
            Self::Refused(_) => b'F',
        }
    }

    /// The same as a word.
    pub const fn word(&self) -> &'static str {
        match self.byte() {
            b'F' => "refused",
            byte => outcome_word(byte),
        }
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
            parked_id: stored.parked_id,
            first_failed_at: stored.first_failed_at,
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

/// The letters that a transaction has to do with: locked, behind names and registrants.
#[derive(Debug)]
pub(super) struct Letters<'a> {
    replay: Option<&'a Replay>,
    records: Vec<&'a Taken>,
    /// What became of those that the batch is of.
    pub(super) replayed: Vec<Replayed>,
    again: Again,
}

impl<'a> Letters<'a> {
    /// Locks the letters of a batch and leaves those out of `records` that nothing is to be done to.
    pub(super) async fn begin(
        tx: &mut Transaction<'_, Postgres>,
        replay: Option<&'a Replay>,
        loaded: &Loaded,
        records: &mut Vec<&'a Taken>,
    ) -> Result<Self, Failure> {
        let mut letters =
            Self { replay, records: Vec::new(), replayed: Vec::new(), again: Again::default() };
        let Some(replay) = replay else { return Ok(letters) };
        let mut ids: Vec<_> =
            records.iter().filter_map(|taken| Some(taken.letter.as_ref()?.letter_id)).collect();
        ids.sort_unstable();
        let open: HashSet<_> = letters_replay::lock_open(tx, &ids).await?.into_iter().collect();
        let changed = if replay.force || replay.deed == Deed::Discard {
            HashSet::new()
        } else {
            changed(tx, replay, loaded, records).await?
        };
        records.retain(|taken| {
            let Some(letter) = &taken.letter else { return false };
            let why = match letter.letter_id {
                id if !open.contains(&id) => NOT_OPEN,
                id if changed.contains(&id) => CHANGED,
                _ => return true,
            };
            let fate = Fate::Refused(why);
            letters.replayed.push(Replayed { letter_id: letter.letter_id, fate });
            false
        });
        letters.records.clone_from(records);
        Ok(letters)
    }

    /// Locks the letters whose records are sent again by these; `any` says whether there are open ones at all.
    pub(super) async fn sent_again(
        &mut self,
        tx: &mut Transaction<'_, Postgres>,
        any: bool,
        records: &[&Taken],
    ) -> Result<(), Failure> {
        if any && self.replay.is_none() {
            self.again = Again::find(tx, records).await?;
        }
        Ok(())
    }

    /// Writes what became of them: before batches and streams, as what waits.
    pub(super) async fn save(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        answers: &[Answer<'_>],
        moves: &Moves,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        self.again.save(tx, answers, moves, now).await?;
        match self.replay {
            Some(replay) => replay.save(tx, &self.records, &self.replayed, now).await,
            None => Ok(()),
        }
    }

    /// Whether nothing of it is to be left.
    pub(super) fn is_rehearsed(&self) -> bool {
        self.replay.is_some_and(|replay| replay.deed == Deed::Rehearse)
    }

    /// It is done: whoever wants it hears what came of it.
    pub(super) fn did(self) {
        if let Some(replay) = self.replay {
            replay.lock().letters.extend(self.replayed);
        }
    }
}

/// Letters whose registrants have changed since.
async fn changed(
    tx: &mut Transaction<'_, Postgres>,
    replay: &Replay,
    loaded: &Loaded,
    records: &[&Taken],
) -> Result<HashSet<Uuid>, Failure> {
    let mut asked = letters_replay::Since::default();
    for taken in records {
        let (Some(letter), Intake::Command { meta, command, .. }) = (&taken.letter, &taken.intake)
        else {
            continue;
        };
        let names = names_of(meta, command);
        let owners: BTreeSet<_> =
            names.iter().filter_map(|name| loaded.set.owner(name)).map(|id| id.0).collect();
        for owner in owners {
            asked.letter_ids.push(letter.letter_id);
            asked.registrant_ids.push(owner);
            asked.failed.push(letter.first_failed_at);
            asked.topics.push(&taken.record.at.topic);
            asked.partitions.push(taken.record.at.partition);
            asked.offsets.push(taken.record.offset);
        }
    }
    if asked.letter_ids.is_empty() {
        return Ok(HashSet::new());
    }
    let changed = letters_replay::changed_since(tx, &asked, replay.started_at).await?;
    Ok(changed.into_iter().collect())
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
