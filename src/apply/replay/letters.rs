//! The letters that a transaction has to do with: what is known of them, their locks, what becomes of them.

use super::again::Again;
use super::{CHANGED, Deed, Fate, NOT_OPEN, Replay, Replayed};
use crate::apply::Taken;
use crate::apply::answer::Answer;
use crate::apply::disposition::Failure;
use crate::apply::load::Loaded;
use crate::apply::park::{Moves, names_of};
use crate::apply::queues::Occupied;
use crate::contract::Intake;
use crate::store::{self, letters_replay};
use sqlx::{Postgres, Transaction};
use std::collections::{BTreeSet, HashMap, HashSet};
use time::OffsetDateTime;
use uuid::Uuid;

/// The letters that a transaction has to do with: locked, behind names and registrants.
#[derive(Debug, Default)]
pub(in crate::apply) struct Letters<'a> {
    /// What is done to letters, where the records are theirs.
    pub(in crate::apply) replay: Option<&'a Replay>,
    pub(super) records: Vec<&'a Taken>,
    /// Under which those of the batch occupy their names.
    pub(super) numbers: HashMap<Uuid, i64>,
    /// What became of those that the batch is of.
    pub(super) replayed: Vec<Replayed>,
    /// What those occupy from now on that could not be read before, and fail now that they are applied.
    pub(super) occupy: Vec<(Uuid, Vec<Occupied>)>,
    /// What became of some by this very transaction before: the answer to its commit was lost.
    noted: Vec<Replayed>,
    pub(super) again: Again,
}

fn letter_ids(records: &[&Taken]) -> Vec<Uuid> {
    let mut ids: Vec<_> =
        records.iter().filter_map(|taken| Some(taken.letter.as_ref()?.letter_id)).collect();
    ids.sort_unstable();
    ids
}

fn letter_id(taken: &Taken) -> Option<Uuid> {
    taken.letter.as_ref().map(|letter| letter.letter_id)
}

impl<'a> Letters<'a> {
    /// What is known of the letters of a batch before anything is locked. Leaves those out of `records` that this run has
    /// been through with; the others that occupy their names come in the order of their queues.
    pub(in crate::apply) async fn begin(
        tx: &mut Transaction<'_, Postgres>,
        replay: Option<&'a Replay>,
        records: &mut Vec<&'a Taken>,
    ) -> Result<Self, Failure> {
        let mut letters = Self { replay, ..Self::default() };
        let Some(replay) = replay else { return Ok(letters) };
        let ids = letter_ids(records);
        if let Some(run_id) = replay.run_id {
            letters.note(letters_replay::noted(tx, run_id, &ids).await?);
            let noted: HashSet<_> = letters.noted.iter().map(|noted| noted.letter_id).collect();
            records.retain(|taken| letter_id(taken).is_some_and(|id| !noted.contains(&id)));
        }
        letters.numbers = letters_replay::numbers(tx, &ids).await?.into_iter().collect();
        let number = |taken: &Taken| letters.numbers.get(&letter_id(taken)?);
        let mut numbered: Vec<_> =
            records.iter().copied().filter(|taken| number(taken).is_some()).collect();
        numbered.sort_by_key(|taken| number(taken));
        let places = records.iter_mut().filter(|taken| number(taken).is_some());
        for (place, taken) in places.zip(numbered) {
            *place = taken;
        }
        Ok(letters)
    }

    fn note(&mut self, noted: Vec<letters_replay::Noted>) {
        self.noted.extend(noted.into_iter().map(|noted| {
            let outcome = noted.outcome.bytes().next().unwrap_or(b'F');
            let fate = Fate::Decided { outcome, code: noted.code };
            Replayed { letter_id: noted.letter_id, fate }
        }));
    }

    /// The numbers of those that may give up what they occupy: that is to be locked, so that whoever joins them meanwhile
    /// is seen (I4). Not of those that fail again, and whose names may be what makes them.
    pub(in crate::apply) fn leaving(&self, records: &[&Taken]) -> Vec<i64> {
        let leaves = |taken: &&&Taken| match taken.intake {
            Intake::Command { .. } | Intake::Refused(_) => true,
            Intake::Letter(_) | Intake::Condemned { .. } => {
                self.replay.is_some_and(|replay| replay.deed == Deed::Discard)
            }
        };
        let number = |taken: &&Taken| self.numbers.get(&letter_id(taken)?).copied();
        records.iter().filter(leaves).filter_map(number).collect()
    }

    /// Locks the letters of a batch and leaves those out of `records` that nothing is to be done to.
    pub(in crate::apply) async fn lock(
        &mut self,
        tx: &mut Transaction<'_, Postgres>,
        loaded: &Loaded,
        records: &mut Vec<&'a Taken>,
    ) -> Result<(), Failure> {
        let Some(replay) = self.replay else { return Ok(()) };
        let ids = letter_ids(records);
        let open: HashMap<_, _> = letters_replay::lock_open(tx, &ids).await?.into_iter().collect();
        if open.iter().any(|(id, number)| self.numbers.get(id) != number.as_ref()) {
            // Somebody else has tried it meanwhile.
            return Err(store::Error::Changed("a letter").into());
        }
        if replay.deed == Deed::Discard && open.len() < ids.len() {
            let by = (replay.actor.as_deref(), replay.reason.as_deref());
            self.note(letters_replay::given_up(tx, &ids, by, replay.started_at).await?);
        }
        let noted: HashSet<_> = self.noted.iter().map(|noted| noted.letter_id).collect();
        let changed = if replay.force || replay.deed == Deed::Discard {
            HashSet::new()
        } else {
            self.changed(tx, replay, loaded, records).await?
        };
        records.retain(|taken| {
            let Some(letter_id) = letter_id(taken) else { return false };
            let why = match letter_id {
                id if noted.contains(&id) => return false,
                id if !open.contains_key(&id) => NOT_OPEN,
                id if changed.contains(&id) => CHANGED,
                _ => return true,
            };
            self.replayed.push(Replayed { letter_id, fate: Fate::Refused(why) });
            false
        });
        self.records.clone_from(records);
        Ok(())
    }

    /// Those whose registrants have changed since.
    async fn changed(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        replay: &Replay,
        loaded: &Loaded,
        records: &[&Taken],
    ) -> Result<HashSet<Uuid>, Failure> {
        let mut asked = letters_replay::Since::default();
        for taken in records {
            let (Some(letter), Intake::Command { meta, command, .. }) =
                (&taken.letter, &taken.intake)
            else {
                continue;
            };
            let names = names_of(meta, command);
            let owners: BTreeSet<_> =
                names.iter().filter_map(|name| loaded.set.owner(name)).map(|id| id.0).collect();
            let number = self.numbers.get(&letter.letter_id).copied();
            // Who occupies names was applied, and failed, when it was its turn: until then it was no late one.
            let failed = number.map_or(letter.first_failed_at, |_| letter.last_failed_at);
            for owner in owners {
                asked.letter_ids.push(letter.letter_id);
                asked.registrant_ids.push(owner);
                asked.failed.push(failed);
                asked.topics.push(&taken.record.at.topic);
                asked.partitions.push(taken.record.at.partition);
                asked.offsets.push(taken.record.offset);
                asked.numbers.push(number);
            }
        }
        if asked.letter_ids.is_empty() {
            return Ok(HashSet::new());
        }
        let changed = letters_replay::changed_since(tx, &asked, replay.run_id).await?;
        Ok(changed.into_iter().collect())
    }

    /// Locks the letters whose records are sent again by these; `any` says whether there are open ones at all.
    pub(in crate::apply) async fn sent_again(
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
    pub(in crate::apply) async fn save(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        answers: &[Answer<'_>],
        moves: &Moves,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        self.again.save(tx, answers, moves, now).await?;
        super::save::waited(tx, answers, now).await?;
        match self.replay {
            Some(replay) => self.save_replayed(tx, replay, now).await,
            None => Ok(()),
        }
    }

    /// Whether nothing of it is to be left.
    pub(in crate::apply) fn is_rehearsed(&self) -> bool {
        self.replay.is_some_and(|replay| replay.deed == Deed::Rehearse)
    }

    /// It is done: whoever wants it hears what came of it.
    pub(in crate::apply) fn did(self) {
        if let Some(replay) = self.replay {
            let mut done = replay.lock();
            if replay.deed == Deed::Rehearse {
                // Those that came before once more come to the same, or to what is known by now.
                let again: HashSet<_> = self.replayed.iter().map(|of| of.letter_id).collect();
                done.letters.retain(|known| !again.contains(&known.letter_id));
            }
            done.letters.extend(self.noted);
            done.letters.extend(self.replayed);
        }
    }
}
