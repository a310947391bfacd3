//! A store of plain maps that takes what a working set says has changed, and nothing more.

use super::super::{
    Command, Membership, MembershipId, Meta, NameKey, Registrant, RegistrantId, WorkingSet,
};
use super::world;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Default, PartialEq)]
pub(super) struct Store {
    registrants: BTreeMap<RegistrantId, Registrant>,
    names: BTreeMap<NameKey, RegistrantId>,
    memberships: BTreeMap<MembershipId, Membership>,
}

impl Store {
    pub(super) fn of(residents: &[Registrant]) -> Self {
        let mut store = Self::default();
        for registrant in residents {
            store.put(registrant);
            let memberships = registrant.memberships.iter().map(|m| (m.membership_id, m.clone()));
            store.memberships.extend(memberships);
        }
        store
    }

    /// The set for a batch: those whom its names mean, and nobody else.
    pub(super) fn load(&self, batch: &[(Meta, Command)]) -> WorkingSet {
        let mut set = world();
        let mut meant = BTreeSet::new();
        let mut told = BTreeSet::new();
        for (meta, command) in batch {
            for (_, info) in command.infos() {
                told.extend(info.names(meta).filter_map(|name| self.names.get(&name)));
            }
            if let Command::Update(update) = command {
                meant
                    .extend(update.registrant.names(meta).filter_map(|name| self.names.get(&name)));
            }
        }
        meant.extend(&told);
        let head = |id: &RegistrantId| self.registrants[id].head(set.head_kind());
        let headed =
            self.registrants.keys().filter(|id| head(id).is_some_and(|h| told.contains(&h)));
        meant.extend(headed);
        let guests = meant.iter().filter_map(|id| head(id)).filter(|head| !meant.contains(head));
        let guests: BTreeSet<_> = guests.collect();
        for id in guests {
            set.load_guest(self.registrants[&id].clone());
        }
        for id in meant {
            let mut registrant = self.registrants[id].clone();
            let of_whom = |membership: &&Membership| membership.registrant_id == *id;
            registrant.memberships = self.memberships.values().filter(of_whom).cloned().collect();
            set.load_registrant(registrant);
        }
        set
    }

    /// Releases before takes, as the database does it.
    pub(super) fn save(&mut self, set: &WorkingSet) {
        for registrant in set.changed() {
            self.names.retain(|_, owner| *owner != registrant.registrant_id);
            assert!(
                self.registrants.contains_key(&registrant.registrant_id),
                "changed, but not stored"
            );
        }
        for registrant in set.created() {
            assert!(!self.registrants.contains_key(&registrant.registrant_id), "made twice");
        }
        for registrant in set.created().chain(set.changed()) {
            self.put(registrant);
        }
        for (group, person, place) in set.inserted_places() {
            let old = self.places.insert((group, person), place.clone());
            assert!(old.is_none(), "a place inserted twice");
        }
        for (group, person, place) in set.updated_places() {
            let old = self.places.insert((group, person), place.clone());
            assert!(old.is_some(), "a place updated, but not stored");
        }
        for id in set.removed_memberships() {
            assert!(self.memberships.remove(&id).is_some(), "removed, but not stored");
        }
        for membership in set.updated_memberships() {
            let old = self.memberships.insert(membership.membership_id, membership.clone());
            assert!(old.is_some_and(|old| old.version < membership.version), "not an update");
        }
        for membership in set.inserted_memberships() {
            let old = self.memberships.insert(membership.membership_id, membership.clone());
            assert!(old.is_none(), "inserted twice");
        }
    }

    fn put(&mut self, registrant: &Registrant) {
        for (name, _) in registrant.names() {
            let owner = self.names.insert(name, registrant.registrant_id);
            assert!(owner.is_none(), "a name of two registrants");
        }
        let mut row = registrant.clone();
        row.memberships.clear();
        self.registrants.insert(registrant.registrant_id, row);
    }

    /// Everybody, with memberships.
    pub(super) fn registrants(&self) -> Vec<Registrant> {
        self.registrants
            .values()
            .map(|row| {
                let mut registrant = row.clone();
                let of_whom = |m: &&Membership| m.registrant_id == row.registrant_id;
                registrant.memberships =
                    self.memberships.values().filter(of_whom).cloned().collect();
                registrant
            })
            .collect()
    }
}
