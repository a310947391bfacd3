//! What the records of a batch name: the names to be claimed, the programs to be read.

use super::disposition::Failure;
use super::queues::Occupied;
use crate::domain::{Command, Meta, NameKey, RegistrantInfo, registrant_id};
use crate::store;
use sqlx::{Postgres, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use time::Date;
use uuid::Uuid;

/// What a command mentions.
#[derive(Debug, Default)]
pub(super) struct Mentioned<'a> {
    pub(super) names: BTreeMap<NameKey, Mention>,
    pub(super) programs: BTreeSet<&'a str>,
}

/// How a name is mentioned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mention {
    /// The owner that its first mention would give it.
    pub(super) owner: Uuid,
    pub(super) expiry_date: Option<Date>,
    /// Whether facts are told of whoever has it: who is paid for the groups that this person heads may change.
    pub(super) told_of: bool,
}

impl<'a> Mentioned<'a> {
    pub(super) fn command(&mut self, meta: &Meta, command: &'a Command) {
        for (pointer, info) in command.infos() {
            self.info(meta, info, &pointer);
        }
        if let Command::Update(update) = command {
            // Nobody gets a name by it; it is claimed so that whoever gives it an owner waits for this transaction.
            let owner =
                registrant_id(meta.recorded_at, &meta.source, &meta.message_id, "/registrant").0;
            for name in update.registrant.names(meta) {
                self.names.entry(name).or_insert(Mention {
                    owner,
                    expiry_date: None,
                    told_of: false,
                });
            }
        }
        self.programs.extend(command.programs());
    }

    /// What waiting records and letters occupy, besides what is mentioned: whoever joins their queues meanwhile must be
    /// seen when they leave (I4). Gives the registrants.
    pub(super) async fn waiting(
        &mut self,
        tx: &mut Transaction<'_, Postgres>,
        parked_ids: &[i64],
    ) -> Result<BTreeSet<Uuid>, Failure> {
        let mut registrants = BTreeSet::new();
        if parked_ids.is_empty() {
            return Ok(registrants);
        }
        for occupant in store::parked_names::of(tx, parked_ids).await? {
            match Occupied::of_row(&occupant) {
                Some(Occupied::Registrant(id)) => {
                    registrants.insert(id.0);
                }
                Some(Occupied::Name(name)) => {
                    let nobody = Mention { owner: Uuid::nil(), expiry_date: None, told_of: false };
                    self.names.entry(name).or_insert(nobody);
                }
                None => {}
            }
        }
        Ok(registrants)
    }

    fn info(&mut self, meta: &Meta, info: &RegistrantInfo, pointer: &str) {
        let owner = registrant_id(meta.recorded_at, &meta.source, &meta.message_id, pointer).0;
        let mut mention = |name, expiry_date| {
            let first = Mention { owner, expiry_date, told_of: true };
            self.names.entry(name).or_insert(first).told_of = true;
        };
        if let Some(reference) = &info.reference {
            mention(NameKey::reference(info.reference_source(meta), reference), None);
        }
        for id in &info.ids {
            mention(NameKey::identifier(&id.id_type, &id.value), id.expiry_date);
        }
    }
}
