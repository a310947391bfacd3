//! The queues of records that wait, as one batch sees them.

use crate::domain::{NameKey, RegistrantId};
use crate::store::parked_names::Occupant;
use std::collections::{BTreeMap, HashMap};
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

/// The queues behind what the batch mentions: of stored ones only the first each, unless the batch comes out of them.
#[derive(Debug, Default)]
pub(super) struct Queues(pub(super) HashMap<Occupied, BTreeMap<Place, Awaits>>);

impl Queues {
    /// The queues behind `keys`, from what the table says of them.
    pub(super) fn of(keys: Vec<Occupied>, occupants: Vec<Occupant>) -> Self {
        let mut by_row: HashMap<_, _> = keys
            .into_iter()
            .map(|key| {
                let (kind, scope, value) = key.row();
                ((kind.to_owned(), scope, value), key)
            })
            .collect();
        let mut queues = Self::default();
        for occupant in occupants {
            let Some(key) = by_row.get_mut(&occupant.key) else { continue };
            let queue = queues.0.entry(key.clone()).or_default();
            queue.insert(Place::Stored(occupant.parked_id), Awaits::stored(occupant));
        }
        queues
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn first(&self, key: &Occupied) -> Option<(Place, &Awaits)> {
        self.0.get(key)?.first_key_value().map(|(place, awaits)| (*place, awaits))
    }

    pub(super) fn join(&mut self, place: Place, keys: &[Occupied], awaits: &Awaits) {
        for key in keys {
            self.0.entry(key.clone()).or_default().insert(place, awaits.clone());
        }
    }

    /// Nobody goes ahead of this one any more until it has been looked at.
    pub(super) fn make_ready(&mut self, place: Place) {
        for queue in self.0.values_mut() {
            if let Some(awaits) = queue.get_mut(&place) {
                *awaits = Awaits::Predecessor;
            }
        }
    }

    pub(super) fn leave(&mut self, place: Place) {
        self.0.retain(|_, queue| {
            queue.remove(&place);
            !queue.is_empty()
        });
    }
}
