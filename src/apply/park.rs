//! Records that wait (P8): who is behind whom, and who may go ahead.

use super::answer::Walk;
use super::batch::Record;
use super::queues::{Awaits, Occupied, Place};
use crate::contract::Identity;
use crate::domain::{
    Action, Command, Decision, Meta, Missing, NameKey, Patience, RegistrantId, Verdict, WorkingSet,
    decide, refused_at_once,
};
use crate::store::parked_names::Keys;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use time::OffsetDateTime;

/// What becomes of the queues by an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Parking {
    /// Nothing.
    #[default]
    None,
    /// It waits.
    Waits {
        awaits: Awaits,
        occupied: Vec<Occupied>,
        /// When it is looked at; none: when the one before is through.
        due: Option<OffsetDateTime>,
    },
    /// It waited, and is through.
    Through(Place),
    /// It failed for good: it occupies its names until it is replayed or discarded; under its number if it had waited.
    Failed { occupied: Vec<Occupied>, waited: Option<i64> },
}

impl Parking {
    /// Whether it came out of the queue.
    pub(super) const fn has_waited(&self) -> bool {
        matches!(self, Self::Through(_) | Self::Failed { waited: Some(_), .. })
    }
}

/// A record that came out of the queue and goes on waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PutOff {
    pub(super) awaits: Awaits,
    pub(super) due: Option<OffsetDateTime>,
    pub(super) occupied: Vec<Occupied>,
}

/// What else a batch does to the queues.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// Stored records to be looked at again, because what they wait for may have come.
    pub(super) woken: BTreeSet<i64>,
    /// Names that got a registrant while somebody waited for it.
    pub(super) met: BTreeMap<NameKey, RegistrantId>,
    pub(super) put_off: BTreeMap<i64, PutOff>,
    /// Letters whose request was said again and decided, with the place of that answer.
    pub(super) superseded: Vec<(i64, usize)>,
}

impl Moves {
    pub(super) fn is_empty(&self) -> bool {
        self.woken.is_empty()
            && self.met.is_empty()
            && self.put_off.is_empty()
            && self.superseded.is_empty()
    }
}

/// Every name that a command mentions.
pub(super) fn names_of(meta: &Meta, command: &Command) -> Vec<NameKey> {
    let mut names: Vec<NameKey> =
        command.infos().flat_map(|(_, info)| info.names(meta).collect::<Vec<_>>()).collect();
    if let Command::Update(update) = command {
        names.extend(update.registrant.names(meta));
    }
    names
}

/// What a command occupies: its names, and whom they mean.
pub(super) fn occupied(meta: &Meta, command: &Command, set: &WorkingSet) -> Vec<Occupied> {
    named(&names_of(meta, command), set)
}

/// These names, and whom they mean.
pub(super) fn named(names: &[NameKey], set: &WorkingSet) -> Vec<Occupied> {
    let registrants: BTreeSet<_> = names.iter().filter_map(|name| set.owner(name)).collect();
    let names: BTreeSet<_> = names.iter().cloned().collect();
    let names = names.into_iter().map(Occupied::Name);
    names.chain(registrants.into_iter().map(Occupied::Registrant)).collect()
}

/// Whether one of the names is the key, or means the registrant that it is.
fn means(mut names: impl Iterator<Item = NameKey>, key: &Occupied, set: &WorkingSet) -> bool {
    names.any(|name| match key {
        Occupied::Name(key) => name == *key,
        Occupied::Registrant(id) => set.owner(&name) == Some(*id),
    })
}

/// Whether the command would create what the first of the queue behind `key` waits for.
fn brings(
    meta: &Meta,
    command: &Command,
    key: &Occupied,
    awaits: &Awaits,
    set: &WorkingSet,
) -> bool {
    match awaits {
        Awaits::Predecessor => false,
        Awaits::Replay(source, message_id) => {
            meta.source.as_bytes() == source && meta.message_id.as_bytes() == message_id
        }
        Awaits::Registrant => command.infos().any(|(_, info)| means(info.names(meta), key, set)),
        Awaits::Membership(program) => match command {
            Command::Update(update) => {
                update.action == Action::Enroll
                    && update.membership_id.is_none()
                    && update.program == *program
                    && means(update.registrant.names(meta), key, set)
            }
            Command::Enroll(enrollment) => {
                enrollment.program_memberships.iter().any(|item| item.program == *program)
                    && means(enrollment.registrant.names(meta), key, set)
            }
            Command::Group(change) => {
                let members =
                    change.members.iter().map(|m| (&m.individual, &m.program_memberships));
                std::iter::once((&change.group, &change.program_memberships)).chain(members).any(
                    |(info, items)| {
                        items.iter().any(|item| item.program == *program)
                            && means(info.names(meta), key, set)
                    },
                )
            }
        },
    }
}

/// A command on its way to be decided or parked.
pub(super) enum Turn {
    /// It is decided.
    Decided(Decision),
    /// It waits.
    Waits(Awaits, Vec<Occupied>),
}

/// Those whom a record goes ahead of.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// They wait for what it brings.
    waiting: BTreeSet<Place>,
    /// Letters of the same request.
    letters: BTreeSet<i64>,
}

impl<'a> Walk<'a> {
    /// Decides a command, unless it must wait for an earlier one or for what it names. One that has its `place` already
    /// has waited for what it names.
    pub(super) fn decide_or_park(
        &mut self,
        meta: &Meta,
        command: &Command,
        record: &Record,
        place: Option<Place>,
    ) -> Turn {
        // Over HTTP somebody waits for the answer: what is missing is missing.
        let over = place.is_some() || self.grace.is_zero() || record.is_http();
        let patience = if over { Patience::Over } else { Patience::Waits };
        let place = place.unwrap_or(Place::New(self.answers.len()));
        match self.turn(meta, command, place, patience) {
            Ok(decision) => Turn::Decided(decision),
            Err(awaits) => match refused_at_once(meta, command, &self.set) {
                Some(decision) => Turn::Decided(decision),
                None => Turn::Waits(awaits, occupied(meta, command, &self.set)),
            },
        }
    }

    /// Decides a command if it is its turn: if nobody is before its `place` in a queue, or only such as wait for what it
    /// brings, and who is behind those. Else what it waits for.
    pub(super) fn turn(
        &mut self,
        meta: &Meta,
        command: &Command,
        place: Place,
        patience: Patience,
    ) -> Result<Decision, Awaits> {
        let passed = self.passes(meta, command, place).ok_or(Awaits::Predecessor)?;
        match decide(meta, command, &mut self.set, patience) {
            Verdict::Decided(decision) => {
                self.went_ahead(&passed.waiting);
                // Of what came out of the queue others may be behind, whom this batch does not know.
                let ahead = !(passed.waiting.is_empty() && passed.letters.is_empty());
                if ahead || self.queues.contains(place) {
                    self.met(meta, command);
                }
                for letter in passed.letters {
                    self.moves.superseded.push((letter, self.answers.len()));
                    self.closed(letter);
                }
                Ok(decision)
            }
            Verdict::Waits(missing) => Err(awaited(&missing, command)),
        }
    }

    /// Whom a command goes ahead of at its `place`; none if it must not.
    pub(super) fn passes(&self, meta: &Meta, command: &Command, place: Place) -> Option<Passed> {
        let mut passed = Passed::default();
        if self.queues.is_empty() {
            return Some(passed);
        }
        let keys = occupied(meta, command, &self.set);
        if keys.iter().all(|key| self.queues.before(key, place).next().is_none()) {
            return Some(passed);
        }
        let barred = self.barred(meta, command, &keys, place);
        for (before, entry) in keys.iter().flat_map(|key| self.queues.before(key, place)) {
            if barred.contains(&before) {
                return None;
            }
            match (before, &entry.awaits) {
                (_, Awaits::Predecessor) => {}
                (Place::Stored(letter), Awaits::Replay(..)) => {
                    passed.letters.insert(letter);
                }
                _ => {
                    passed.waiting.insert(before);
                }
            }
        }
        Some(passed)
    }

    /// Those before `place` whom a command that names `keys` may not go ahead of. "Only a record that would create what the
    /// first of a queue waits for goes ahead of it": and so of those who wait for nobody else than that first. In the order
    /// of places it is known of each key, by the time that it is asked, whether all at it so far may be passed.
    fn barred(
        &self,
        meta: &Meta,
        command: &Command,
        keys: &[Occupied],
        place: Place,
    ) -> BTreeSet<Place> {
        let mut barred = BTreeSet::new();
        let mut so_far: HashMap<&Occupied, bool> = HashMap::new();
        for (before, entry) in self.queues.entries_before(place) {
            let may = if entry.awaits == Awaits::Predecessor {
                let mut seen = entry.keys().filter_map(|key| so_far.get(key)).peekable();
                // Nobody is before it: it is to be looked at.
                seen.peek().is_some() && seen.all(|may| *may)
            } else {
                let mut shared = keys.iter().filter(|key| entry.is_at(key));
                shared.any(|key| brings(meta, command, key, &entry.awaits, &self.set))
            };
            for key in entry.keys() {
                *so_far.entry(key).or_insert(true) &= may;
            }
            if !may {
                barred.insert(before);
            }
        }
        barred
    }

    /// Those that it went ahead of are looked at again, right after it if they are loaded: what they wait for may have
    /// come. Until then nobody else goes ahead of them, as nobody would had they been looked at at once (P10).
    fn went_ahead(&mut self, ahead_of: &BTreeSet<Place>) {
        for place in ahead_of {
            self.queues.make_ready(*place);
            self.freed.may_go_on(*place);
            match place {
                Place::Stored(parked_id) => {
                    self.moves.woken.insert(*parked_id);
                }
                Place::New(answer) if self.freed.is_left() => {
                    let now = self.recorded_at;
                    if let Some(Parking::Waits { awaits, due, .. }) =
                        self.answers.get_mut(*answer).map(|answer| &mut answer.parking)
                    {
                        *awaits = Awaits::Predecessor;
                        *due = Some(now);
                    }
                }
                Place::New(_) => {}
            }
        }
    }

    /// Whoever waits at a name that means somebody now waits for that registrant: later records may name it otherwise.
    fn met(&mut self, meta: &Meta, command: &Command) {
        for name in names_of(meta, command) {
            let Some(owner) = self.set.owner(&name) else { continue };
            let registrant = Occupied::Registrant(owner);
            for answer in self.queues.meet(&Occupied::Name(name.clone()), &registrant) {
                if let Some(Parking::Waits { occupied, .. }) =
                    self.answers.get_mut(answer).map(|answer| &mut answer.parking)
                {
                    occupied.push(registrant.clone());
                }
            }
            self.moves.met.insert(name, owner);
        }
    }

    /// The answer to a record that waits: HELD, and a place in the queues.
    pub(super) fn parked(
        &mut self,
        record: &'a Record,
        identity: &Identity,
        (awaits, occupied): (Awaits, Vec<Occupied>),
    ) -> Parking {
        self.queues.join(Place::New(self.answers.len()), &occupied, &awaits);
        let due = awaits.end_of_grace(self.recorded_at, self.grace);
        tracing::debug!(?record, ?identity, why = awaits.why(), "a record waits");
        Parking::Waits { awaits, occupied, due }
    }
}

fn awaited(missing: &Missing, command: &Command) -> Awaits {
    match (missing, command) {
        (Missing::Membership(_), Command::Update(update)) => {
            Awaits::Membership(update.program.clone())
        }
        _ => Awaits::Registrant,
    }
}

/// The rows of `keys`, each occupied by `parked_id`.
pub(super) fn rows<'k>(keys: impl IntoIterator<Item = (&'k Occupied, i64)>) -> Keys {
    let mut rows = Keys::default();
    for (key, parked_id) in keys {
        rows.push(key.row());
        rows.parked_ids.push(parked_id);
    }
    rows
}
