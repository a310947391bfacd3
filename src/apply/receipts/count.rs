//! The changes of a transaction, from its answers, and their way into the rows of the batches.

use super::{Change, settle, take_total};
use crate::apply::answer::{Answer, Write};
use crate::apply::disposition::Failure;
use crate::apply::outbound::EventNumber;
use crate::apply::park::Parking;
use crate::contract::Identity;
use crate::domain::BatchOutcome;
use crate::store::batches::{self, Row};
use sqlx::{Postgres, Transaction};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Source and message id.
type Key<'a> = (&'a str, &'a str);
/// Source and batch id.
type Name<'a> = (&'a str, &'a str);

/// What the inbox knew of a message before the transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::apply) struct Stored {
    /// How its batch counts it.
    pub(in crate::apply) outcome: Option<BatchOutcome>,
    /// The batch under which it was first taken.
    pub(in crate::apply) batch_id: Option<String>,
}

/// A letter that names its message and batch.
#[derive(Debug, Clone, Copy)]
struct Letter<'a> {
    batch_id: &'a str,
    id: Uuid,
    /// Its message comes later in this transaction, in another batch.
    taken_here: bool,
}

/// What one transaction says of batches.
#[derive(Debug, Default)]
pub(in crate::apply) struct Counting<'a> {
    pub(in crate::apply) changes: Vec<Change<'a>>,
    letters: BTreeMap<Key<'a>, Letter<'a>>,
    /// Letters of records that were parked: counted as held already, and taken out of the inbox now.
    failed: BTreeMap<Key<'a>, Letter<'a>>,
    totals: Vec<(Name<'a>, i32)>,
    /// Where the messages belong that are new, or that have events.
    belongs: HashMap<Key<'a>, Option<&'a str>>,
    /// Batches whose messages have events.
    moved: BTreeSet<Name<'a>>,
    answers: &'a [Answer<'a>],
    revise_after: Duration,
}

/// Batches under lock, with what is to be counted in them.
#[derive(Debug, Default)]
pub(in crate::apply) struct Locked<'a> {
    /// As they stood when they were locked.
    before: Vec<Row>,
    rows: Vec<Row>,
    changes: Vec<Change<'a>>,
}

/// The batch that a record names; none if it names none by the rules, or nobody could ask for it.
fn named(identity: &Identity) -> Option<&str> {
    identity.batch_id.as_deref().filter(|_| identity.shown_source() == identity.source)
}

impl<'a> Counting<'a> {
    /// Walks over the answers in their order. Nothing at all if no record has to do with a batch.
    pub(in crate::apply) fn of(
        answers: &'a [Answer<'a>],
        stored: &'a HashMap<Key<'_>, Stored>,
        revise_after: Duration,
    ) -> Self {
        let mut counting = Self { answers, revise_after, ..Self::default() };
        let names = |answer: &Answer<'_>| answer.identity.as_ref().and_then(named).is_some();
        if answers.iter().any(names) || stored.values().any(|stored| stored.batch_id.is_some()) {
            for answer in answers {
                counting.answer(answer, stored);
            }
        }
        counting
    }

    fn answer(&mut self, answer: &'a Answer<'_>, stored: &'a HashMap<Key<'_>, Stored>) {
        let Some(identity) = &answer.identity else { return };
        let key = (identity.source.as_str(), identity.message_id.as_str());
        let named = named(identity);
        let stored = stored.get(&key);
        // Of a letter whose sender could not be told before it is known now to which batch it belongs.
        let held = answer.of_letter.filter(|_| answer.outcome == b'L');
        let belongs = if let Some(id) = answer.letter.as_ref().map(|(id, _)| *id).or(held) {
            let waited = matches!(answer.parking, Parking::Failed { waited: Some(_), .. });
            self.letter(key, named, (id, waited), stored)
        } else if let Some(stored) = stored {
            let belongs = stored.batch_id.as_deref();
            if !answer.events.is_empty() {
                self.belongs.insert(key, belongs);
            }
            belongs
        } else {
            let new = !self.belongs.contains_key(&key);
            let belongs = *self.belongs.entry(key).or_insert(named);
            if new {
                self.taken(key, belongs);
            }
            belongs
        };
        let Some(batch_id) = belongs else { return };
        if !answer.events.is_empty() {
            self.moved.insert((key.0, batch_id));
        }
        if let Some(total_count) = identity.total_count.filter(|_| named == belongs) {
            self.totals.push(((key.0, batch_id), total_count));
        }
        let old = match answer.write {
            Write::Insert => None,
            Write::Replace(_) => stored.and_then(|stored| stored.outcome),
            Write::None | Write::Keep => return,
        };
        let new = BatchOutcome::of_byte(answer.outcome);
        if let Some(new) = new.filter(|new| old != Some(*new)) {
            let (source, message_id) = key;
            self.changes.push(Change { source, batch_id, message_id, old, new });
        }
    }

    /// A letter is held, a message once, unless its message was taken: then only if it has `waited` till now. Gives the
    /// batch to which it belongs.
    fn letter(
        &mut self,
        key: Key<'a>,
        named: Option<&'a str>,
        (id, waited): (Uuid, bool),
        stored: Option<&'a Stored>,
    ) -> Option<&'a str> {
        if let Some(stored) = stored {
            let batch_id = stored.batch_id.as_deref()?;
            if waited {
                self.failed.insert(key, Letter { batch_id, id, taken_here: false });
            }
            return Some(batch_id);
        }
        if let Some(belongs) = self.belongs.get(&key) {
            return *belongs;
        }
        let batch_id = named?;
        let letter = Letter { batch_id, id, taken_here: false };
        Some(self.letters.entry(key).or_insert(letter).batch_id)
    }

    /// A message is new: a letter of it, earlier in this transaction, is held no longer, if it is of the same batch.
    fn taken(&mut self, key: Key<'a>, belongs: Option<&str>) {
        if let Some(letter) = self.letters.get_mut(&key) {
            if Some(letter.batch_id) == belongs {
                self.letters.remove(&key);
            } else {
                letter.taken_here = true;
            }
        }
    }

    /// The batch under which a message is to stand in the inbox.
    pub(in crate::apply) fn batch_of(&self, identity: &Identity) -> Option<&'a str> {
        let key = (identity.source.as_str(), identity.message_id.as_str());
        self.belongs.get(&key).copied().flatten()
    }

    /// Locks the batches concerned, by key: after the inbox, before the streams. Says what is to be counted in them,
    /// which only the lock makes sure.
    pub(in crate::apply) async fn lock(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        shards: u32,
        recorded_at: OffsetDateTime,
    ) -> Result<Locked<'a>, Failure> {
        let mut changes = self.changes.clone();
        let mut letters = self.unheard(tx, self.letters.clone()).await?;
        let of = |change: &Change<'a>| (change.source, change.batch_id);
        let held = |(key, letter): (&Key<'a>, &Letter<'a>)| (key.0, letter.batch_id);
        let opened: BTreeSet<Name<'_>> =
            changes.iter().map(of).chain(letters.iter().map(held)).collect();
        let mut concerned = opened.clone();
        concerned.extend(self.totals.iter().map(|(name, _)| *name));
        concerned.extend(&self.moved);
        concerned.extend(self.failed.iter().map(held));
        if concerned.is_empty() {
            return Ok(Locked::default());
        }
        if !opened.is_empty() {
            let (sources, batch_ids): (Vec<_>, Vec<_>) = opened.into_iter().unzip();
            batches::open(tx, &sources, &batch_ids, shards, recorded_at).await?;
        }
        let (sources, batch_ids): (Vec<_>, Vec<_>) = concerned.into_iter().unzip();
        let before = batches::lock(tx, &sources, &batch_ids).await?;
        let mut rows = before.clone();
        release(tx, &mut changes, &mut rows).await?;
        // Somebody else may have taken or held the same message before the lock was ours.
        letters = self.unheard(tx, letters).await?;
        if !letters.is_empty() || !self.failed.is_empty() {
            let held = letters.iter().chain(&self.failed).map(|(key, letter)| (*key, *letter));
            hold(tx, &held.collect(), &mut rows, recorded_at).await?;
            changes.extend(letters.iter().map(|(key, letter)| Change {
                source: key.0,
                batch_id: letter.batch_id,
                message_id: key.1,
                old: None,
                new: BatchOutcome::Held,
            }));
        }
        Ok(Locked { before, rows, changes })
    }

    /// Those letters whose messages nobody knows yet.
    async fn unheard(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        letters: BTreeMap<Key<'a>, Letter<'a>>,
    ) -> Result<BTreeMap<Key<'a>, Letter<'a>>, Failure> {
        if letters.is_empty() {
            return Ok(letters);
        }
        let (sources, message_ids): (Vec<_>, Vec<_>) = letters.keys().copied().unzip();
        let here: Vec<_> = letters.values().map(|letter| letter.taken_here).collect();
        let unheard: BTreeSet<_> =
            batches::unheard(tx, &sources, &message_ids, &here).await?.into_iter().collect();
        let letters = letters.into_iter().enumerate();
        Ok(letters.filter(|(place, _)| unheard.contains(place)).map(|(_, letter)| letter).collect())
    }

    /// Counts and saves what has changed, once the events have their numbers. Whether a receipt is due.
    pub(in crate::apply) async fn save(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        locked: Locked<'a>,
        events: impl Iterator<Item = EventNumber>,
        now: OffsetDateTime,
    ) -> Result<bool, Failure> {
        let Locked { before, mut rows, changes } = locked;
        if rows.is_empty() {
            return Ok(false);
        }
        let places: HashMap<Name<'_>, usize> =
            before.iter().enumerate().map(|(place, row)| (name_of(row), place)).collect();
        let place = |name: Name<'_>| places.get(&name).copied().unwrap_or(usize::MAX);
        for change in &changes {
            if let Some(row) = rows.get_mut(place((change.source, change.batch_id))) {
                row.tally.change(change.message_id, change.old, change.new);
            }
        }
        for (name, total_count) in &self.totals {
            if let Some(row) = rows.get_mut(place(*name)) {
                take_total(row, *total_count);
            }
        }
        for event in events {
            let answer = self.answers.get(event.answer);
            let Some(identity) = answer.and_then(|answer| answer.identity.as_ref()) else {
                continue;
            };
            let Some(batch_id) = self.batch_of(identity) else { continue };
            let row = rows.get_mut(place((&identity.source, batch_id)));
            if let Some(last) = row.and_then(|row| row.positions.get_mut(event.shard)) {
                *last = event.sequence.max(*last);
            }
        }
        let mut due = false;
        let mut changed = Vec::new();
        for (mut row, before) in rows.into_iter().zip(&before) {
            let differs = row.tally != before.tally
                || row.total_count != before.total_count
                || row.positions != before.positions;
            settle(&mut row, differs, now, self.revise_after);
            if before.tally.seen() == 0 && row.tally.seen() > 0 {
                // It may have been opened before any of its messages came.
                row.first_at = now;
            }
            if row != *before {
                due |= row.due_at != before.due_at;
                changed.push(row);
            }
        }
        if !changed.is_empty() {
            batches::save(tx, &changed, now).await?;
        }
        Ok(due)
    }
}

/// Keeps letters that are counted as held.
async fn hold(
    tx: &mut Transaction<'_, Postgres>,
    letters: &BTreeMap<Key<'_>, Letter<'_>>,
    rows: &mut [Row],
    recorded_at: OffsetDateTime,
) -> Result<(), Failure> {
    let mut kept = batches::Letters::default();
    for ((source, message_id), letter) in letters {
        kept.sources.push(source);
        kept.message_ids.push(message_id);
        kept.batch_ids.push(letter.batch_id);
        kept.letter_ids.push(letter.id);
        count_letters(rows, (source, letter.batch_id), 1);
    }
    Ok(batches::hold_letters(tx, &kept, recorded_at).await?)
}

/// New messages that a letter had held move from held to their outcomes. Looked for only in batches that have letters.
async fn release(
    tx: &mut Transaction<'_, Postgres>,
    changes: &mut [Change<'_>],
    rows: &mut [Row],
) -> Result<(), Failure> {
    let with_letters: BTreeSet<Name<'_>> =
        rows.iter().filter(|row| row.letters_held > 0).map(name_of).collect();
    if with_letters.is_empty() {
        return Ok(());
    }
    let mut new: Vec<_> = changes
        .iter_mut()
        .filter(|change| change.old.is_none())
        .filter(|change| with_letters.contains(&(change.source, change.batch_id)))
        .collect();
    let sources: Vec<_> = new.iter().map(|change| change.source).collect();
    let message_ids: Vec<_> = new.iter().map(|change| change.message_id).collect();
    let batch_ids: Vec<_> = new.iter().map(|change| change.batch_id).collect();
    let mut released = Vec::new();
    for place in batches::release_letters(tx, &sources, &message_ids, &batch_ids).await? {
        if let Some(change) = new.get_mut(place) {
            change.old = Some(BatchOutcome::Held);
            released.push((change.source, change.batch_id));
        }
    }
    for name in released {
        count_letters(rows, name, -1);
    }
    Ok(())
}

fn name_of(row: &Row) -> Name<'_> {
    (&row.source, &row.batch_id)
}

fn count_letters(rows: &mut [Row], name: Name<'_>, by: i32) {
    if let Some(row) = rows.iter_mut().find(|row| name_of(row) == name) {
        row.letters_held += by;
    }
}
