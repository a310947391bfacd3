//! Records that come out of the queue: in the transaction that frees them, or in the drain's (P8, P10).

use super::answer::{Answer, Walk, Write};
use super::batch::{Taken, Waiting};
use super::disposition::Failure;
#[cfg(debug_assertions)]
use super::fault;
use super::park::{Parking, PutOff, occupied};
use super::queue::is_unknown;
use super::queues::{Awaits, Occupied, Place};
use crate::contract::{Identity, Intake};
use crate::domain::{Decision, NameKey, Patience};
use std::collections::{BTreeMap, BTreeSet};

/// The waiting records that a batch can look at.
#[derive(Debug, Default)]
pub(super) struct Freed<'a> {
    /// Those that are loaded.
    loaded: BTreeMap<Place, &'a Taken>,
    /// Stored ones, and letters, all of whose queues are loaded.
    whole: BTreeSet<i64>,
    /// Whose turn may have come.
    ready: BTreeSet<Place>,
    /// Stored ones whose turn may have come, but who are not loaded.
    pub(super) missing: BTreeSet<i64>,
    /// Letters that were closed though their queues are not loaded.
    pub(super) closed: BTreeSet<i64>,
    /// Whether all is left to the drain.
    alone: bool,
}

impl<'a> Freed<'a> {
    /// For a batch that arrived: `stored` are looked at when they are freed, `whole` says whose queues are known.
    pub(super) fn by_batch(stored: &[&'a Taken], whole: &BTreeSet<i64>, alone: bool) -> Self {
        let loaded = by_place(stored);
        Self { loaded, whole: whole.clone(), alone, ..Self::default() }
    }

    /// For a batch that comes out of the queue: each is looked at.
    pub(super) fn due(stored: &[&'a Taken], alone: bool) -> Self {
        let loaded = by_place(stored);
        let ready = loaded.keys().copied().collect();
        Self { loaded, ready, alone, ..Self::default() }
    }

    /// A record of the batch waits.
    pub(super) fn waits(&mut self, place: Place, taken: &'a Taken) {
        self.loaded.insert(place, taken);
    }

    /// Whether all is left to the drain.
    pub(super) fn is_left(&self) -> bool {
        self.alone
    }

    /// Its turn may have come.
    pub(super) fn may_go_on(&mut self, place: Place) {
        if !self.alone {
            self.ready.insert(place);
        }
    }
}

fn by_place<'a>(stored: &[&'a Taken]) -> BTreeMap<Place, &'a Taken> {
    let place =
        |taken: &&'a Taken| Some((Place::Stored(taken.waiting.as_ref()?.parked_id), *taken));
    stored.iter().filter_map(place).collect()
}

impl<'a> Walk<'a> {
    /// Looks at those whose turn may have come, in the order of their places, until nobody's has.
    pub(super) fn look_again(&mut self) -> Result<(), Failure> {
        while let Some(place) = self.freed.ready.pop_first() {
            match (self.freed.loaded.get(&place), place) {
                (Some(taken), _) => {
                    if let Some(answer) = self.waited(place, taken)? {
                        self.give(answer);
                    }
                }
                (None, Place::Stored(parked_id)) if !self.freed.whole.contains(&parked_id) => {
                    self.freed.missing.insert(parked_id);
                }
                // It is through already, or a letter.
                (None, _) => {}
            }
        }
        Ok(())
    }

    /// A letter was closed: whoever is behind it comes first, which is known if its queues are.
    pub(super) fn closed(&mut self, letter: i64) {
        let place = Place::Stored(letter);
        if self.freed.whole.contains(&letter) {
            self.leave(place);
        } else {
            self.queues.make_ready(place);
            self.freed.closed.insert(letter);
            self.freed.may_go_on(place);
        }
    }

    fn leave(&mut self, place: Place) {
        self.freed.loaded.remove(&place);
        for first in self.queues.leave(place) {
            self.freed.may_go_on(first);
        }
    }

    /// Decides a record that waited, if it is its turn; none if it goes on waiting.
    fn waited(&mut self, place: Place, taken: &'a Taken) -> Result<Option<Answer<'a>>, Failure> {
        let record = &taken.record;
        let of_letter = taken.waiting.as_ref().and_then(|waiting| waiting.letter_id);
        if let Place::Stored(parked_id) = place {
            if is_unknown(taken) {
                // The drain knows what to do.
                self.moves.woken.insert(parked_id);
                return Ok(None);
            }
            self.moves.woken.remove(&parked_id);
        }
        let registrants = self.registrants_created(record);
        let (identity, content, decision, meta) = match &taken.intake {
            Intake::Letter(cause) => {
                let identity = taken.waiting.as_ref().and_then(|waiting| waiting.identity.clone());
                let answer = Answer { of_letter, ..self.letter(record, *cause, identity)? };
                return Ok(Some(self.failed(answer, place, &[])));
            }
            Intake::Condemned { identity, names, cause } => {
                let answer = self.letter(record, *cause, Some(identity.clone()))?;
                let answer = Answer { of_letter, ..answer };
                return Ok(Some(self.failed(answer, place, names)));
            }
            // Limits were narrowed while it waited.
            Intake::Refused(refused) => {
                let decision = Decision::rejected(refused.faults.clone());
                (refused.identity.clone(), refused.content, decision, None)
            }
            Intake::Command { meta, command, content } => {
                let (since, released) = match &taken.waiting {
                    Some(Waiting { parked_at, released, .. }) => (*parked_at, *released),
                    None => (self.recorded_at, false),
                };
                let over = released || record.is_http() || since + self.grace <= self.recorded_at;
                let patience = if over { Patience::Over } else { Patience::Waits };
                match self.turn(meta, command, place, patience) {
                    Ok(decision) => {
                        #[cfg(debug_assertions)]
                        fault::strike("drain", &taken.intake);
                        (Identity::of(meta), *content, decision, Some(meta))
                    }
                    Err(awaits) => {
                        let due = awaits.end_of_grace(since, self.grace);
                        let occupied = occupied(meta, command, &self.set);
                        self.put_off(place, PutOff { awaits, due, occupied });
                        return Ok(None);
                    }
                }
            }
        };
        self.leave(place);
        let key = match &taken.intake {
            Intake::Command { meta, .. } => (meta.source.as_str(), meta.message_id.as_str()),
            Intake::Refused(refused) => {
                (refused.identity.source.as_str(), refused.identity.message_id.as_str())
            }
            Intake::Letter(_) | Intake::Condemned { .. } => return Ok(None),
        };
        // One that was held by this batch stands nowhere yet, unless it was said anew.
        let write = match self.inbox.get(&key) {
            Some(known) => known.stored_attempt.map_or(Write::Insert, Write::Replace),
            None => Write::Replace(identity.attempt),
        };
        let mut answer =
            self.decision(record, (identity, content.fingerprint), decision, write, meta)?;
        answer.parking = Parking::Through(place);
        answer.of_letter = of_letter;
        answer.created = self.has_created(&answer, registrants);
        self.remember(key, &answer);
        Ok(Some(answer))
    }

    /// It goes on waiting.
    fn put_off(&mut self, place: Place, off: PutOff) {
        self.queues.join(place, &off.occupied, &off.awaits);
        match place {
            Place::Stored(parked_id) => {
                self.moves.put_off.insert(parked_id, off);
            }
            Place::New(answer) => {
                let answer = self.answers.get_mut(answer);
                if let Some(Parking::Waits { awaits, due, occupied }) =
                    answer.map(|answer| &mut answer.parking)
                {
                    (*awaits, *due) = (off.awaits, off.due);
                    let more: Vec<Occupied> =
                        off.occupied.into_iter().filter(|key| !occupied.contains(key)).collect();
                    occupied.extend(more);
                }
            }
        }
    }

    /// A record that failed for good after it waited: what it occupied it occupies still, as a letter.
    fn failed(&mut self, mut answer: Answer<'a>, place: Place, names: &[NameKey]) -> Answer<'a> {
        self.freed.loaded.remove(&place);
        let (source, message_id) = match &answer.identity {
            Some(who) => (who.source.as_bytes().to_vec(), who.message_id.as_bytes().to_vec()),
            None => Default::default(),
        };
        let occupied: Vec<_> = names.iter().cloned().map(Occupied::Name).collect();
        self.queues.join(place, &occupied, &Awaits::Replay(source, message_id));
        let waited = match place {
            Place::Stored(parked_id) => Some(parked_id),
            Place::New(_) => None,
        };
        answer.parking = Parking::Failed { occupied, waited };
        answer
    }
}
