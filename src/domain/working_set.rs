//! The working set: everything that the commands of one batch name, loaded and locked, changed in memory.
//!
//! It indexes names too, so that a name given by one record resolves in the next.

use super::{
    IdentifierFacts, Membership, MembershipId, NameKey, Program, ProgramId, Registrant,
    RegistrantId,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A name as it stands in the table, or is to stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameRow {
    /// The name.
    pub key: NameKey,
    /// Who has it.
    pub registrant_id: RegistrantId,
    /// What is kept beside it.
    pub facts: IdentifierFacts,
}

/// What a batch works on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkingSet {
    programs: HashMap<String, Program>,
    program_codes: HashMap<ProgramId, String>,
    registrants: HashMap<RegistrantId, Registrant>,
    names: HashMap<NameKey, RegistrantId>,
    created: Vec<RegistrantId>,
    changed: BTreeSet<RegistrantId>,
    stored_memberships: HashSet<MembershipId>,
    touched_memberships: BTreeMap<MembershipId, Option<Membership>>,
}

impl WorkingSet {
    /// Adds a program.
    pub fn load_program(&mut self, program: Program) {
        self.program_codes.insert(program.program_id, program.code.clone());
        self.programs.insert(program.code.clone(), program);
    }

    /// Adds a registrant with its names, phone numbers and memberships as they are stored.
    pub fn load_registrant(&mut self, registrant: Registrant) {
        for (name, _) in registrant.names() {
            self.names.insert(name, registrant.registrant_id);
        }
        self.stored_memberships.extend(registrant.memberships.iter().map(|m| m.membership_id));
        self.registrants.insert(registrant.registrant_id, registrant);
    }

    /// The program with this code.
    pub fn program(&self, code: &str) -> Option<&Program> {
        self.programs.get(code)
    }

    /// The program with this id, if it was loaded.
    pub fn program_by_id(&self, program_id: ProgramId) -> Option<&Program> {
        self.programs.get(self.program_codes.get(&program_id)?)
    }

    /// The registrant with this id.
    pub fn registrant(&self, registrant_id: RegistrantId) -> Option<&Registrant> {
        self.registrants.get(&registrant_id)
    }

    /// Who has this name.
    pub fn owner(&self, name: &NameKey) -> Option<RegistrantId> {
        self.names.get(name).copied()
    }

    /// Takes over a registrant as a request leaves it, with the memberships that the request touched (none: removed).
    pub(super) fn put(
        &mut self,
        registrant: Registrant,
        facts_changed: bool,
        touched: impl IntoIterator<Item = (MembershipId, Option<Membership>)>,
    ) {
        let registrant_id = registrant.registrant_id;
        self.touched_memberships.extend(touched);
        let Some(before) = self.registrants.get(&registrant_id) else {
            for (name, _) in registrant.names() {
                self.names.insert(name, registrant_id);
            }
            self.created.push(registrant_id);
            self.registrants.insert(registrant_id, registrant);
            return;
        };
        if facts_changed {
            for (name, _) in before.names() {
                self.names.remove(&name);
            }
            for (name, _) in registrant.names() {
                self.names.insert(name, registrant_id);
            }
            self.changed.insert(registrant_id);
        }
        self.registrants.insert(registrant_id, registrant);
    }

    /// Registrants made by the batch, in the order of their making.
    pub fn created(&self) -> impl Iterator<Item = &Registrant> {
        self.created.iter().filter_map(|id| self.registrants.get(id))
    }

    /// Stored registrants whose facts the batch changed, by id.
    pub fn changed(&self) -> impl Iterator<Item = &Registrant> {
        let created: HashSet<_> = self.created.iter().copied().collect();
        self.changed
            .iter()
            .filter(move |id| !created.contains(id))
            .filter_map(|id| self.registrants.get(id))
    }

    /// Memberships made by the batch that are there at its end, by id.
    pub fn inserted_memberships(&self) -> impl Iterator<Item = &Membership> {
        self.touched_memberships
            .iter()
            .filter(|(id, _)| !self.stored_memberships.contains(id))
            .filter_map(|(_, membership)| membership.as_ref())
    }

    /// Stored memberships that the batch changed, by id.
    pub fn updated_memberships(&self) -> impl Iterator<Item = &Membership> {
        self.touched_memberships
            .iter()
            .filter(|(id, _)| self.stored_memberships.contains(id))
            .filter_map(|(_, membership)| membership.as_ref())
    }

    /// Stored memberships that the batch removed, by id.
    pub fn removed_memberships(&self) -> impl Iterator<Item = MembershipId> {
        self.touched_memberships
            .iter()
            .filter(|(id, membership)| membership.is_none() && self.stored_memberships.contains(id))
            .map(|(id, _)| *id)
    }
}
