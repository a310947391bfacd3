//! Load: claim every name, lock every registrant that one belongs to, then read.

use super::batch::Taken;
use super::disposition::Failure;
use super::mentioned::{Mention, Mentioned};
use super::queues::{Occupied, Queues};
use crate::contract::Intake;
use crate::domain::{
    IdentifierFacts, NameKey, Registrant, RegistrantId, RegistrantKind, WorkingSet,
};
use crate::store::{self, parked_names::Occupant};
use sqlx::{Postgres, Transaction};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use time::Date;
use uuid::Uuid;

/// A name as the table has it within this transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) owner: Uuid,
    pub(super) expiry_date: Option<Date>,
    /// Claimed by this transaction or locked in the order of names: it may be changed.
    pub(super) held: bool,
}

/// Everything that a batch works on.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) set: WorkingSet,
    /// The names of the batch and all names of the registrants that it concerns.
    pub(super) names: BTreeMap<NameKey, Standing>,
    /// Every registrant that is locked.
    pub(super) registrants: Vec<Uuid>,
}

/// What is to be locked though no command mentions it, because an earlier run of this transaction found that it must.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Also {
    /// Names that would be given up.
    pub(super) names: BTreeSet<NameKey>,
    /// Groups that got one of the batch's persons as their head meanwhile.
    pub(super) registrants: BTreeSet<Uuid>,
    /// Waiting records, and letters, whose turn may come by what the batch does: whole queues.
    pub(super) parked: BTreeSet<i64>,
    /// Letters that are closed though their queues are not loaded: what they occupy is locked, so that whoever joins them
    /// meanwhile is seen when they leave (I4).
    pub(super) closed: BTreeSet<i64>,
}

impl Also {
    pub(super) fn extend(&mut self, more: Self) {
        self.names.extend(more.names);
        self.registrants.extend(more.registrants);
        self.parked.extend(more.parked);
        self.closed.extend(more.closed);
    }
}

/// Whom these names mean, though they are not claimed: what made a record fail must not make its letter fail.
async fn owners_of(
    tx: &mut Transaction<'_, Postgres>,
    names: &BTreeSet<&NameKey>,
) -> Result<Vec<Uuid>, Failure> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut asked = store::names::Rows::default();
    for name in names {
        asked.push(name, None, None);
    }
    let stored = store::names::read_locked(tx, &asked).await?;
    Ok(stored.into_iter().filter_map(|name| name.registrant_id).collect())
}

/// Loads what the commands among `records` need, what those numbered `leaving` occupy, and `also`.
pub(super) async fn load<'t>(
    tx: &mut Transaction<'_, Postgres>,
    records: impl Iterator<Item = &'t Taken>,
    head_kind: &str,
    leaving: Vec<i64>,
    also: &Also,
) -> Result<Loading, Failure> {
    let mut mentioned = Mentioned::default();
    let mut waits_for = leaving;
    let mut failed = BTreeSet::new();
    for taken in records {
        waits_for.extend(taken.waiting.as_ref().map(|waiting| waiting.parked_id));
        match &taken.intake {
            Intake::Command { meta, command, .. } => mentioned.command(meta, command),
            Intake::Condemned { names, .. } => failed.extend(names),
            Intake::Refused(_) | Intake::Letter(_) => {}
        }
    }
    let mut loaded = Loaded { set: WorkingSet::new(head_kind), ..Loaded::default() };
    waits_for.extend(also.parked.union(&also.closed));
    let mut owners = mentioned.waiting(tx, &waits_for).await?;
    owners.extend(owners_of(tx, &failed).await?);
    let mut told_of = BTreeSet::new();
    for stored in claim(tx, &mentioned, &also.names).await? {
        let owner = stored.registrant_id.ok_or(INCONSISTENT_NAME)?;
        owners.insert(owner);
        if mentioned.names.get(&stored.key).is_some_and(|mention| mention.told_of) {
            told_of.insert(owner);
        }
        let standing = Standing { owner, expiry_date: stored.expiry_date, held: true };
        loaded.names.insert(stored.key, standing);
    }
    for (key, Mention { owner, expiry_date, .. }) in mentioned.names {
        let claimed = Standing { owner, expiry_date, held: true };
        loaded.names.entry(key).or_insert(claimed);
    }
    let program_ids = if owners.is_empty() {
        Vec::new()
    } else {
        let told_of: Vec<_> = told_of.into_iter().collect();
        // Read before the locks, so that all registrants are locked in one order, and again behind them.
        let headed = store::groups::headed_by(tx, &told_of).await?;
        owners.extend(headed.iter().chain(&also.registrants));
        let owners: Vec<_> = owners.into_iter().collect();
        store::registrants::lock(tx, &owners).await?;
        let mut unlocked = store::groups::headed_by(tx, &told_of).await?;
        unlocked.retain(|group| owners.binary_search(group).is_err());
        if !unlocked.is_empty() {
            let registrants = unlocked.into_iter().collect();
            return Ok(Loading::Again(Also { registrants, ..Also::default() }));
        }
        let programs = registrants(tx, &owners, &mut loaded).await?;
        loaded.registrants = owners;
        programs
    };
    let codes: Vec<_> = mentioned.programs.into_iter().collect();
    if !codes.is_empty() || !program_ids.is_empty() {
        for program in store::programs::for_batch(tx, &codes, &program_ids).await? {
            loaded.set.load_program(program);
        }
    }
    Ok(Loading::Done(Box::new(loaded)))
}

/// The queues behind what is loaded. For a batch that comes out of them: all up to `last`. Else the first of each; but all
/// of all of them where one of those may be passed, or may leave, because it is among `emptied` or a letter whose request
/// is said again: then it matters who is behind whom.
pub(super) async fn queues(
    tx: &mut Transaction<'_, Postgres>,
    loaded: &Loaded,
    last: Option<i64>,
    emptied: &BTreeSet<i64>,
    said: impl Fn(&[u8], &[u8]) -> bool,
) -> Result<Queues, Failure> {
    if loaded.names.is_empty() || !store::parked_names::any(tx).await? {
        return Ok(Queues::default());
    }
    let names = loaded.names.iter().filter(|(_, standing)| standing.held);
    let names = names.map(|(name, _)| Occupied::Name(name.clone()));
    let registrants = loaded.registrants.iter().map(|id| Occupied::Registrant(RegistrantId(*id)));
    let mut keys = store::parked_names::Keys::default();
    for key in names.chain(registrants) {
        keys.push(key.row());
    }
    if let Some(last) = last {
        return Ok(Queues::of(store::parked_names::queues(tx, &keys, last).await?));
    }
    let firsts = store::parked_names::firsts(tx, &keys).await?;
    let moves = |first: &Occupant| match (&first.why, &first.source, &first.message_id) {
        (Some(why), ..) => why != "BEHIND",
        (None, Some(source), Some(message_id)) => said(source, message_id),
        (None, ..) => false,
    };
    if firsts.iter().any(|first| moves(first) || emptied.contains(&first.parked_id)) {
        return Ok(Queues::of(store::parked_names::queues(tx, &keys, i64::MAX).await?));
    }
    Ok(Queues::of(firsts))
}

/// What loading came to.
pub(super) enum Loading {
    /// All is there.
    Done(Box<Loaded>),
    /// The transaction must run again with these locked too.
    Again(Also),
}

const INCONSISTENT_NAME: store::Error =
    store::Error::Inconsistent { table: "names", column: "registrant_id" };

/// Claims the names; gives those that were there before, locked.
async fn claim(
    tx: &mut Transaction<'_, Postgres>,
    mentioned: &Mentioned<'_>,
    also: &BTreeSet<NameKey>,
) -> Result<Vec<store::names::Stored>, Failure> {
    if mentioned.names.is_empty() {
        return Ok(Vec::new());
    }
    let mut claims = store::names::Rows::default();
    for (key, mention) in &mentioned.names {
        claims.push(key, Some(mention.owner), mention.expiry_date);
    }
    let taken = store::names::claim(tx, &claims).await?;
    if taken.is_empty() && also.is_empty() {
        return Ok(Vec::new());
    }
    // Only these: most names of a batch are new, and this transaction's own.
    let all: BTreeSet<_> = taken.iter().chain(also).collect();
    let mut asked = store::names::Rows::default();
    for key in all {
        asked.push(key, None, None);
    }
    store::names::lock(tx, &asked).await?;
    let stored = store::names::read_locked(tx, &asked).await?;
    let found = stored.iter().filter(|row| mentioned.names.contains_key(&row.key)).count();
    if found == taken.len() {
        Ok(stored)
    } else {
        // One was given up between the claim and the lock.
        Err(store::Error::Changed("a name").into())
    }
}

/// Reads locked registrants with all that hangs on them, and the heads of the groups among them; gives the programs of
/// their memberships.
async fn registrants(
    tx: &mut Transaction<'_, Postgres>,
    ids: &[Uuid],
    loaded: &mut Loaded,
) -> Result<Vec<Uuid>, Failure> {
    let mut registrants = read(tx, ids).await?;
    for registrant in registrants.values() {
        for (key, facts) in registrant.names() {
            let owner = registrant.registrant_id.0;
            let standing = Standing { owner, expiry_date: facts.expiry_date, held: false };
            loaded.names.entry(key).or_insert(standing);
        }
    }
    for (owner, number, collected) in store::registrants::phone_numbers(tx, ids).await? {
        if let Some(registrant) = registrants.get_mut(&owner) {
            registrant.phone_numbers.insert(number, collected);
        }
    }
    let mut programs = HashSet::new();
    for membership in store::memberships::of_registrants(tx, ids).await? {
        programs.insert(membership.program_id.0);
        if let Some(registrant) = registrants.get_mut(&membership.registrant_id.0) {
            registrant.memberships.push(membership);
        }
    }
    members(tx, &mut registrants, &mut loaded.set).await?;
    for registrant in registrants.into_values() {
        loaded.set.load_registrant(registrant);
    }
    Ok(programs.into_iter().collect())
}

/// Registrants with their names.
async fn read(
    tx: &mut Transaction<'_, Postgres>,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Registrant>, Failure> {
    let mut registrants: HashMap<_, _> = store::registrants::read(tx, ids)
        .await?
        .into_iter()
        .map(|registrant| (registrant.registrant_id.0, registrant))
        .collect();
    for name in store::names::of_registrants(tx, ids).await? {
        let owner = name.registrant_id.ok_or(INCONSISTENT_NAME)?;
        if let Some(registrant) = registrants.get_mut(&owner) {
            registrant.add_name(name.key, IdentifierFacts { expiry_date: name.expiry_date });
        }
    }
    Ok(registrants)
}

/// Reads the members of the groups among `registrants`, and their heads, whose published facts cannot change while their
/// groups are locked.
async fn members(
    tx: &mut Transaction<'_, Postgres>,
    registrants: &mut HashMap<Uuid, Registrant>,
    set: &mut WorkingSet,
) -> Result<(), Failure> {
    let is_group = |registrant: &&Registrant| registrant.kind == RegistrantKind::Group;
    let groups: Vec<_> =
        registrants.values().filter(is_group).map(|group| group.registrant_id.0).collect();
    if groups.is_empty() {
        return Ok(());
    }
    for (group, member, place) in store::groups::members(tx, &groups).await? {
        if let Some(group) = registrants.get_mut(&group.0) {
            group.members.insert(member, place);
        }
    }
    let heads: BTreeSet<_> = groups
        .iter()
        .filter_map(|group| registrants.get(group)?.head(set.head_kind()))
        .map(|head| head.0)
        .filter(|head| !registrants.contains_key(head))
        .collect();
    if !heads.is_empty() {
        let heads: Vec<_> = heads.into_iter().collect();
        for guest in read(tx, &heads).await?.into_values() {
            set.load_guest(guest);
        }
    }
    Ok(())
}

/// What is to be done to the table of names so that it says what the working set says.
#[derive(Debug, Default)]
pub(super) struct NameChanges {
    pub(super) released: Vec<NameKey>,
    pub(super) updated: Vec<(NameKey, Uuid, Option<Date>)>,
    /// Names that would change though they are not held: the transaction must run again with them locked.
    pub(super) unheld: BTreeSet<NameKey>,
}

impl Loaded {
    /// Compares the table with the working set.
    pub(super) fn name_changes(&self) -> NameChanges {
        let mut changes = NameChanges::default();
        for (key, standing) in &self.names {
            let owner = self.set.owner(key);
            let facts = owner.and_then(|owner| self.facts(owner, key));
            let same = owner == Some(RegistrantId(standing.owner))
                && facts.map(|facts| facts.expiry_date) == Some(standing.expiry_date);
            if same {
                continue;
            }
            if !standing.held {
                changes.unheld.insert(key.clone());
            }
            match owner {
                Some(owner) => {
                    let expiry_date = facts.and_then(|facts| facts.expiry_date);
                    changes.updated.push((key.clone(), owner.0, expiry_date));
                }
                None => changes.released.push(key.clone()),
            }
        }
        changes
    }

    fn facts(&self, owner: RegistrantId, key: &NameKey) -> Option<IdentifierFacts> {
        let registrant = self.set.registrant(owner)?;
        Some(match key.kind {
            crate::domain::NameKind::Reference => IdentifierFacts::default(),
            crate::domain::NameKind::Identifier => {
                registrant.identifiers.get(&key.scope).map(|(_, facts)| *facts)?
            }
        })
    }
}
