//! The working set: everything that the commands of one batch name, loaded and locked, changed in memory.
//!
//! It indexes names too, so that a name given by one record resolves in the next.

use super::{
    IdentifierFacts, Membership, MembershipId, NameKey, Place, Program, ProgramId, Registrant,
    RegistrantId, conclude::Changes,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkingSet {
    /// `groups.head_kind`: the kind of member to whom a group is paid.
    head_kind: String,
    programs: HashMap<String, Program>,
    program_codes: HashMap<ProgramId, String>,
    registrants: HashMap<RegistrantId, Registrant>,
    /// Heads of groups whom no command names: read for what payees are published with, never changed.
    guests: HashMap<RegistrantId, Registrant>,
    names: HashMap<NameKey, RegistrantId>,
    /// The groups of which each person is the head.
    headed: HashMap<RegistrantId, BTreeSet<RegistrantId>>,
    created: Vec<RegistrantId>,
    changed: BTreeSet<RegistrantId>,
    stored_memberships: HashSet<MembershipId>,
    touched_memberships: BTreeMap<MembershipId, Option<Membership>>,
    stored_places: HashSet<(RegistrantId, RegistrantId)>,
    touched_places: BTreeSet<(RegistrantId, RegistrantId)>,
}

impl Default for WorkingSet {
    fn default() -> Self {
        Self::new("Head")
    }
}

impl WorkingSet {
    /// An empty set; members of the kind `head_kind` are heads of their groups.
    pub fn new(head_kind: &str) -> Self {
        Self {
            head_kind: head_kind.to_owned(),
            programs: HashMap::new(),
            program_codes: HashMap::new(),
            registrants: HashMap::new(),
            guests: HashMap::new(),
            names: HashMap::new(),
            headed: HashMap::new(),
            created: Vec::new(),
            changed: BTreeSet::new(),
            stored_memberships: HashSet::new(),
            touched_memberships: BTreeMap::new(),
            stored_places: HashSet::new(),
            touched_places: BTreeSet::new(),
        }
    }

    /// The kind of member to whom a group is paid.
    pub fn head_kind(&self) -> &str {
        &self.head_kind
    }

    /// Adds a program.
    pub fn load_program(&mut self, program: Program) {
        self.program_codes.insert(program.program_id, program.code.clone());
        self.programs.insert(program.code.clone(), program);
    }

    /// Adds a registrant with its names, phone numbers, memberships and members as they are stored.
    pub fn load_registrant(&mut self, registrant: Registrant) {
        let id = registrant.registrant_id;
        for (name, _) in registrant.names() {
            self.names.insert(name, id);
        }
        self.stored_memberships.extend(registrant.memberships.iter().map(|m| m.membership_id));
        self.stored_places.extend(registrant.members.keys().map(|member| (id, *member)));
        if let Some(head) = registrant.head(&self.head_kind) {
            self.headed.entry(head).or_default().insert(id);
        }
        self.registrants.insert(id, registrant);
    }

    /// Adds the head of a loaded group, for what payees are published with; its memberships may be missing.
    pub fn load_guest(&mut self, registrant: Registrant) {
        self.guests.insert(registrant.registrant_id, registrant);
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

    /// The person that payments of a group may go to: a registrant, or a head whom no command names.
    pub fn person(&self, registrant_id: RegistrantId) -> Option<&Registrant> {
        self.registrants.get(&registrant_id).or_else(|| self.guests.get(&registrant_id))
    }

    /// The groups of which this person is the head, by id.
    pub fn headed_by(&self, person: RegistrantId) -> impl Iterator<Item = RegistrantId> + '_ {
        self.headed.get(&person).into_iter().flatten().copied()
    }

    /// Who has this name.
    pub fn owner(&self, name: &NameKey) -> Option<RegistrantId> {
        self.names.get(name).copied()
    }

    /// Takes over what a request changed. No name goes from one registrant to another in one request: whom a name
    /// means is looked up over what stood before it.
    pub(super) fn take(&mut self, changes: Option<Changes>) {
        let Some(changes) = changes else { return };
        self.touched_memberships.extend(changes.memberships);
        for (registrant, told) in changes.registrants {
            self.put(registrant, told);
        }
    }

    fn put(&mut self, registrant: Registrant, facts_changed: bool) {
        let id = registrant.registrant_id;
        let before = self.registrants.remove(&id);
        self.put_places(before.as_ref(), &registrant);
        match &before {
            None => {
                for (name, _) in registrant.names() {
                    self.names.insert(name, id);
                }
                self.created.push(id);
            }
            Some(before) if facts_changed => {
                for (name, _) in before.names() {
                    self.names.remove(&name);
                }
                for (name, _) in registrant.names() {
                    self.names.insert(name, id);
                }
                self.changed.insert(id);
            }
            Some(_) => {}
        }
        self.registrants.insert(id, registrant);
    }

    /// Notes which places in a group differ, and who heads it now.
    fn put_places(&mut self, before: Option<&Registrant>, now: &Registrant) {
        let id = now.registrant_id;
        for (member, place) in &now.members {
            if before.and_then(|before| before.members.get(member)) != Some(place) {
                self.touched_places.insert((id, *member));
            }
        }
        let (was, is) =
            (before.and_then(|before| before.head(&self.head_kind)), now.head(&self.head_kind));
        if was == is {
            return;
        }
        if let Some(was) = was
            && let Some(groups) = self.headed.get_mut(&was)
        {
            groups.remove(&id);
            // No empty entries: two sets that say the same are equal.
            if groups.is_empty() {
                self.headed.remove(&was);
            }
        }
        if let Some(is) = is {
            self.headed.entry(is).or_default().insert(id);
        }
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

    /// Places in groups made by the batch, by group and person.
    pub fn inserted_places(
        &self,
    ) -> impl Iterator<Item = (RegistrantId, RegistrantId, &Place)> + '_ {
        self.places(|stored| !stored)
    }

    /// Stored places in groups that the batch changed, by group and person.
    pub fn updated_places(
        &self,
    ) -> impl Iterator<Item = (RegistrantId, RegistrantId, &Place)> + '_ {
        self.places(|stored| stored)
    }

    fn places(
        &self,
        wanted: impl Fn(bool) -> bool,
    ) -> impl Iterator<Item = (RegistrantId, RegistrantId, &Place)> {
        self.touched_places.iter().filter_map(move |key| {
            if !wanted(self.stored_places.contains(key)) {
                return None;
            }
            let (group, person) = *key;
            Some((group, person, self.registrants.get(&group)?.members.get(&person)?))
        })
    }
}
