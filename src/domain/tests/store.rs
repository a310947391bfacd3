//! A store of plain maps that takes what a working set says has changed, and nothing more.

use super::super::{
    Command, Membership, MembershipId, Meta, NameKey, Place, Registrant, RegistrantId, WorkingSet,
};
use super::world;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Default, PartialEq)]
pub(super) struct Store {
    registrants: BTreeMap<RegistrantId, Registrant>,
    names: BTreeMap<NameKey, RegistrantId>,
    memberships: BTreeMap<MembershipId, Membership>,
    places: BTreeMap<(RegistrantId, RegistrantId), Place>,
}

impl Store {
    pub(super) fn of(residents: &[Registrant]) -> Self {
        let mut store = Self::default();
        for registrant in residents {
            store.put(registrant);
            let memberships = registrant.memberships.iter().map(|m| (m.membership_id, m.clone()));
            store.memberships.extend(memberships);
            let places = registrant.members.iter();
            let group = registrant.registrant_id;
            store.places.extend(places.map(|(person, place)| ((group, *person), place.clone())));
        }
        store
    }

    /// The set for a batch: those whom its names mean, the groups headed by those of whom it tells, as guests the
    /// heads of groups, and nobody else.
    pub(super) fn load(&self, batch: &[(Meta, Command)]) -> WorkingSet {
        let mut set = world();
        let head = |id: &RegistrantId| self.registrant(id).head("Head");
        let (mut told, mut meant) = (BTreeSet::new(), BTreeSet::new());
        for (meta, command) in batch {
            for (_, info) in command.infos() {
                told.extend(info.names(meta).filter_map(|name| self.names.get(&name)).copied());
            }
            if let Command::Update(update) = command {
                let names = update.registrant.names(meta);
                meant.extend(names.filter_map(|name| self.names.get(&name)).copied());
            }
        }
        let headed = |group: &&RegistrantId| head(group).is_some_and(|head| told.contains(&head));
        meant.extend(self.registrants.keys().filter(headed).copied());
        meant.extend(told);
        for id in &meant {
            if let Some(guest) = head(id).filter(|head| !meant.contains(head)) {
                set.load_guest(self.registrants[&guest].clone());
            }
            set.load_registrant(self.registrant(id));
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
        row.members.clear();
        self.registrants.insert(registrant.registrant_id, row);
    }

    fn registrant(&self, id: &RegistrantId) -> Registrant {
        let mut registrant = self.registrants[id].clone();
        let own = self.memberships.values().filter(|membership| membership.registrant_id == *id);
        registrant.memberships = own.cloned().collect();
        let places = self.places.iter().filter(|((group, _), _)| group == id);
        registrant.members = places.map(|((_, person), place)| (*person, place.clone())).collect();
        registrant
    }

    /// Everybody, with memberships and members.
    pub(super) fn registrants(&self) -> Vec<Registrant> {
        self.registrants.keys().map(|id| self.registrant(id)).collect()
    }
}
