//! What a request is decided on: copies of those whom it concerns, over the working set. Rejected, it leaves nothing
//! behind.

use super::{
    Fault, Meta, NameKey, Program, Registrant, RegistrantId, RegistrantInfo, RegistrantKind,
    WorkingSet, registrant_id, resolve::Resolved,
};
use std::collections::{BTreeMap, HashMap};

/// A registrant whom a request concerns.
#[derive(Debug)]
pub(super) struct Copy<'a> {
    /// As it stood before the request; none: the request makes it.
    pub(super) before: Option<&'a Registrant>,
    /// As the request leaves it.
    pub(super) now: Registrant,
    /// Whether the request told something new of it.
    pub(super) told: bool,
}

impl Copy<'_> {
    /// Whether there is something to write down but memberships.
    pub(super) fn changed(&self) -> bool {
        self.told || self.before.is_none_or(|before| before.members != self.now.members)
    }
}

/// Copies over the working set.
#[derive(Debug)]
pub(super) struct Overlay<'a> {
    pub(super) meta: &'a Meta,
    set: &'a WorkingSet,
    copies: Vec<Copy<'a>>,
    places: BTreeMap<RegistrantId, usize>,
    /// Names that the request has given so far, of use where it tells of more than one.
    given: HashMap<NameKey, RegistrantId>,
}

impl<'a> Overlay<'a> {
    /// Nobody is copied yet.
    pub(super) fn new(meta: &'a Meta, set: &'a WorkingSet) -> Self {
        Self { meta, set, copies: Vec::new(), places: BTreeMap::new(), given: HashMap::new() }
    }

    /// Finds out whom `info`, which stands at the pointer `at`, means, and lays it over the copy. Gives the copy's
    /// number, and whether the info's kind is the registrant's.
    pub(super) fn tell(&mut self, info: &RegistrantInfo, at: &str) -> Result<(usize, bool), Fault> {
        let who = match info.resolve(at, self.meta, self)? {
            Resolved::Known(id) => self.copy(id),
            Resolved::New => None,
        };
        let who = who.unwrap_or_else(|| self.make(info.kind, at));
        let copy = &mut self.copies[who];
        copy.told |= info.lay_over(self.meta, &mut copy.now);
        Ok((who, copy.now.kind == info.kind))
    }

    /// Lets the names of `info` mean this registrant for what the request says after it.
    pub(super) fn give_names(&mut self, info: &RegistrantInfo, who: usize) {
        let id = self.copies[who].now.registrant_id;
        self.given.extend(info.names(self.meta).map(|name| (name, id)));
    }

    fn make(&mut self, kind: RegistrantKind, at: &str) -> usize {
        let meta = self.meta;
        let id = registrant_id(meta.recorded_at, &meta.source, &meta.message_id, at);
        self.push(Copy { before: None, now: Registrant::new(id, kind), told: true })
    }

    /// The number of this registrant's copy, made if need be; none if nobody is loaded under this id.
    pub(super) fn copy(&mut self, id: RegistrantId) -> Option<usize> {
        if let Some(place) = self.places.get(&id) {
            return Some(*place);
        }
        let before = self.set.registrant(id)?;
        Some(self.push(Copy { before: Some(before), now: before.clone(), told: false }))
    }

    fn push(&mut self, copy: Copy<'a>) -> usize {
        self.places.insert(copy.now.registrant_id, self.copies.len());
        self.copies.push(copy);
        self.copies.len() - 1
    }

    /// Whether the request has a copy of this registrant.
    pub(super) fn has_copy(&self, id: RegistrantId) -> bool {
        self.places.contains_key(&id)
    }

    /// The copies, in the order of their making.
    pub(super) fn copies(&self) -> &[Copy<'a>] {
        &self.copies
    }

    /// The same, to be taken over.
    pub(super) fn into_copies(self) -> Vec<Copy<'a>> {
        self.copies
    }

    /// The registrant with this number, as the request leaves it.
    pub(super) fn now(&mut self, who: usize) -> &mut Registrant {
        &mut self.copies[who].now
    }

    /// The working set below.
    pub(super) const fn set(&self) -> &'a WorkingSet {
        self.set
    }

    /// The program with this code.
    pub(super) fn program(&self, code: &str) -> Option<&'a Program> {
        self.set.program(code)
    }

    /// Who has this name, or had it before the request.
    pub(super) fn owner(&self, name: &NameKey) -> Option<RegistrantId> {
        // Few requests give names that they use again: most need no second hash.
        let given = if self.given.is_empty() { None } else { self.given.get(name).copied() };
        given.or_else(|| self.set.owner(name))
    }

    /// A registrant, or a head whom no command names, as the request leaves it.
    pub(super) fn person(&self, id: RegistrantId) -> Option<&Registrant> {
        match self.places.get(&id) {
            Some(place) => Some(&self.copies[*place].now),
            None => self.set.person(id),
        }
    }
}
