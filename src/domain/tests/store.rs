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
        for (meta, Command::Enroll(request)) in batch {
            meant.extend(request.registrant.names(meta).filter_map(|name| self.names.get(&name)));
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
