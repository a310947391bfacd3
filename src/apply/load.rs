//! Load: claim every name, lock every registrant that one belongs to, then read.

use super::batch::Taken;
use super::disposition::Failure;
use crate::contract::Intake;
use crate::domain::{
    Command, IdentifierFacts, Meta, NameKey, RegistrantId, RegistrantInfo, WorkingSet,
    registrant_id,
};
use crate::store;
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
}

/// What a command mentions.
#[derive(Debug, Default)]
struct Mentioned<'a> {
    /// Each name with the owner that its first mention would give it.
    names: BTreeMap<NameKey, (Uuid, Option<Date>)>,
    programs: BTreeSet<&'a str>,
}

impl<'a> Mentioned<'a> {
    fn command(&mut self, meta: &Meta, command: &'a Command) {
        for (pointer, info) in command.infos() {
            self.info(meta, info, &pointer);
        }
        self.programs.extend(command.programs());
    }

    fn info(&mut self, meta: &Meta, info: &RegistrantInfo, pointer: &str) {
        let owner = registrant_id(meta.recorded_at, &meta.source, &meta.message_id, pointer).0;
        if let Some(reference) = &info.reference {
            let name = NameKey::reference(info.reference_source(meta), reference);
            self.names.entry(name).or_insert((owner, None));
        }
        for id in &info.ids {
            let name = NameKey::identifier(&id.id_type, &id.value);
            self.names.entry(name).or_insert((owner, id.expiry_date));
        }
    }
}

/// Loads what the commands among `records` need. `also` are names to lock though no command mentions them, because an
/// earlier run of this transaction found that it gives them up.
pub(super) async fn load(
    tx: &mut Transaction<'_, Postgres>,
    records: impl Iterator<Item = &Taken>,
    also: &BTreeSet<NameKey>,
) -> Result<Loaded, Failure> {
    let mut mentioned = Mentioned::default();
    for taken in records {
        if let Intake::Command { meta, command, .. } = &taken.intake {
            mentioned.command(meta, command);
        }
    }
    let mut loaded = Loaded::default();
    let mut owners = BTreeSet::new();
    for stored in claim(tx, &mentioned, also).await? {
        let owner = stored.registrant_id.ok_or(INCONSISTENT_NAME)?;
        owners.insert(owner);
        let standing = Standing { owner, expiry_date: stored.expiry_date, held: true };
        loaded.names.insert(stored.key, standing);
    }
    for (key, (owner, expiry_date)) in mentioned.names {
        let claimed = Standing { owner, expiry_date, held: true };
        loaded.names.entry(key).or_insert(claimed);
    }
    let program_ids = if owners.is_empty() {
        Vec::new()
    } else {
        let owners: Vec<_> = owners.into_iter().collect();
        registrants(tx, &owners, &mut loaded).await?
    };
    let codes: Vec<_> = mentioned.programs.into_iter().collect();
    if !codes.is_empty() || !program_ids.is_empty() {
        for program in store::programs::for_batch(tx, &codes, &program_ids).await? {
            loaded.set.load_program(program);
        }
    }
    Ok(loaded)
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
    for (key, (owner, expiry_date)) in &mentioned.names {
        claims.push(key, Some(*owner), *expiry_date);
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

/// Locks registrants, then reads them with all that hangs on them; gives the programs of their memberships.
async fn registrants(
    tx: &mut Transaction<'_, Postgres>,
    ids: &[Uuid],
    loaded: &mut Loaded,
) -> Result<Vec<Uuid>, Failure> {
    store::registrants::lock(tx, ids).await?;
    let mut registrants: HashMap<_, _> = store::registrants::read(tx, ids)
        .await?
        .into_iter()
        .map(|registrant| (registrant.registrant_id.0, registrant))
        .collect();
    for name in store::names::of_registrants(tx, ids).await? {
        let owner = name.registrant_id.ok_or(INCONSISTENT_NAME)?;
        loaded.names.entry(name.key.clone()).or_insert(Standing {
            owner,
            expiry_date: name.expiry_date,
            held: false,
        });
        if let Some(registrant) = registrants.get_mut(&owner) {
            registrant.add_name(name.key, IdentifierFacts { expiry_date: name.expiry_date });
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
    for registrant in registrants.into_values() {
        loaded.set.load_registrant(registrant);
    }
    Ok(programs.into_iter().collect())
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
