//! The queues of records that wait, as one batch sees them.

use crate::domain::{NameKey, NameKind, RegistrantId};
use crate::store::parked_names::Occupant;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use time::{Duration, OffsetDateTime};

/// What a record that waits occupies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Occupied {
    Name(NameKey),
    Registrant(RegistrantId),
}

impl Occupied {
    /// Kind, scope and value, as the table has them.
    pub(super) fn row(&self) -> (&'static str, String, String) {
        match self {
            Self::Name(name) => (name.kind.as_str(), name.scope.clone(), name.value.clone()),
            Self::Registrant(id) => ("REGISTRANT", String::new(), id.0.to_string()),
        }
    }

    /// What one who is stored occupies.
    pub(super) fn of_row(row: &Occupant) -> Option<Self> {
        if row.kind == "REGISTRANT" {
            return Some(Self::Registrant(RegistrantId(row.value.parse().ok()?)));
        }
        let kind = NameKind::parse(&row.kind)?;
        Some(Self::Name(NameKey { kind, scope: row.scope.clone(), value: row.value.clone() }))
    }
}

/// A place in the queues: those that are stored come before those of this batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// With its number.
    Stored(i64),
    /// The answer at this place of the batch, which waits.
    New(usize),
}

/// What a record waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Awaits {
    /// A registrant with one of its names.
    Registrant,
    /// A membership of its registrant in this program.
    Membership(String),
    /// Its turn: for those before it, or, where nobody is, to be looked at.
    Predecessor,
    /// To be replayed or discarded, as a letter, or said again: source and `message_id`.
    Replay(Vec<u8>, Vec<u8>),
}

impl Awaits {
    fn stored(occupant: Occupant) -> Self {
        match (occupant.why.as_deref(), occupant.program) {
            (Some("REGISTRANT"), _) => Self::Registrant,
            (Some("MEMBERSHIP"), Some(program)) => Self::Membership(program),
            (Some(_), _) => Self::Predecessor,
            (None, _) => Self::Replay(
                occupant.source.unwrap_or_default(),
                occupant.message_id.unwrap_or_default(),
            ),
        }
    }

    /// When who waits since then is decided as things stand; none while somebody is before it.
    pub(super) fn end_of_grace(
        &self,
        since: OffsetDateTime,
        grace: Duration,
    ) -> Option<OffsetDateTime> {
        matches!(self, Self::Registrant | Self::Membership(_)).then(|| since + grace)
    }

    /// The word in SQL.
    pub(super) const fn why(&self) -> &'static str {
        match self {
            Self::Registrant => "REGISTRANT",
            Self::Membership(_) => "MEMBERSHIP",
            Self::Predecessor | Self::Replay(..) => "BEHIND",
        }
    }

    /// Of the membership.
    pub(super) fn program(&self) -> Option<&str> {
        match self {
            Self::Membership(program) => Some(program),
            Self::Registrant | Self::Predecessor | Self::Replay(..) => None,
        }
    }
}

/// A record in the queues.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) awaits: Awaits,
    keys: Vec<Occupied>,
}

impl Entry {
    /// Whether it waits at this key.
    pub(super) fn is_at(&self, key: &Occupied) -> bool {
        self.keys.contains(key)
    }
}

/// The queues behind what the batch mentions, with all who are before somebody in them. Where nobody can go ahead of the
/// first of a queue, it may be the only one that is known.
#[derive(Debug, Default)]
pub(super) struct Queues {
    at: HashMap<Occupied, BTreeSet<Place>>,
    entries: BTreeMap<Place, Entry>,
}

impl Queues {
    /// The queues, from what the table says of them.
    pub(super) fn of(occupants: Vec<Occupant>) -> Self {
        let mut queues = Self::default();
        for occupant in occupants {
            let Some(key) = Occupied::of_row(&occupant) else { continue };
            let place = Place::Stored(occupant.parked_id);
            queues.join(place, std::slice::from_ref(&key), &Awaits::stored(occupant));
        }
        queues
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether it waits, or is a letter.
    pub(super) fn contains(&self, place: Place) -> bool {
        self.entries.contains_key(&place)
    }

    /// Who is in the queue behind this key before `place`, in order.
    pub(super) fn before(
        &self,
        key: &Occupied,
        place: Place,
    ) -> impl Iterator<Item = (Place, &Entry)> + '_ {
        let queue = self.at.get(key).into_iter().flat_map(move |queue| queue.range(..place));
        queue.filter_map(|place| Some((*place, self.entries.get(place)?)))
    }

    /// Who is before this one at any of its keys.
    pub(super) fn predecessors<'q>(
        &'q self,
        place: Place,
        entry: &'q Entry,
    ) -> impl Iterator<Item = (Place, &'q Entry)> + 'q {
        entry.keys.iter().flat_map(move |key| self.before(key, place))
    }

    /// It waits at these keys too.
    pub(super) fn join(&mut self, place: Place, keys: &[Occupied], awaits: &Awaits) {
        let entry = self
            .entries
            .entry(place)
            .or_insert_with(|| Entry { awaits: awaits.clone(), keys: Vec::new() });
        entry.awaits.clone_from(awaits);
        for key in keys {
            if self.at.entry(key.clone()).or_default().insert(place) {
                entry.keys.push(key.clone());
            }
        }
    }

    /// Everybody in the queue behind this name waits for the registrant too; gives those of this batch.
    pub(super) fn meet(&mut self, name: &Occupied, registrant: &Occupied) -> Vec<usize> {
        let places: Vec<_> = self.at.get(name).into_iter().flatten().copied().collect();
        let mut new = Vec::new();
        for place in places {
            if let Some(awaits) = self.entries.get(&place).map(|entry| entry.awaits.clone()) {
                self.join(place, std::slice::from_ref(registrant), &awaits);
            }
            if let Place::New(answer) = place {
                new.push(answer);
            }
        }
        new
    }

    /// Nobody goes ahead of this one any more until it has been looked at.
    pub(super) fn make_ready(&mut self, place: Place) {
        if let Some(entry) = self.entries.get_mut(&place) {
            entry.awaits = Awaits::Predecessor;
        }
    }

    /// It waits no longer; gives who is first now where it was.
    pub(super) fn leave(&mut self, place: Place) -> BTreeSet<Place> {
        let mut firsts = BTreeSet::new();
        for key in self.entries.remove(&place).into_iter().flat_map(|entry| entry.keys) {
            if let Some(queue) = self.at.get_mut(&key) {
                queue.remove(&place);
                firsts.extend(queue.first());
            }
        }
        firsts
    }
}
