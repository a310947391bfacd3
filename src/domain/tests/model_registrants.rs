//! The model's registrants: who is meant, and what is told of them.

use super::super::{Clearable, Meta, RegistrantInfo, registrant_id};
use super::model::{Names, Person, Tables};
use std::collections::BTreeSet;

fn source(meta: &Meta, info: &RegistrantInfo) -> String {
    info.source.clone().unwrap_or_else(|| meta.source.clone())
}

/// Every name that an info mentions.
pub(super) fn mentioned(meta: &Meta, info: &RegistrantInfo) -> Vec<(&'static str, String, String)> {
    let reference = info.reference.iter().map(|r| ("REFERENCE", source(meta, info), r.clone()));
    let ids = info.ids.iter().map(|id| ("IDENTIFIER", id.id_type.clone(), id.value.clone()));
    reference.chain(ids).collect()
}

/// "Its reference and its identifiers, looked up together", or what is broken.
pub(super) fn who(
    names: &Names,
    meta: &Meta,
    info: &RegistrantInfo,
    at: &str,
) -> Result<Person, String> {
    let owners: Vec<_> =
        mentioned(meta, info).into_iter().map(|name| (name.0, names.get(&name))).collect();
    let by_reference = owners.iter().find(|(kind, _)| *kind == "REFERENCE").and_then(|o| o.1);
    let by_id: Vec<_> =
        owners.iter().filter(|(kind, _)| *kind == "IDENTIFIER").map(|o| o.1).collect();
    let known: BTreeSet<_> = owners.iter().filter_map(|(_, owner)| *owner).collect();
    match (owners.is_empty(), by_reference, known.len()) {
        (true, ..) => Err(format!("{at} RegistrantUnnamed")),
        (_, Some(owner), 2..) => {
            let other = by_id.iter().position(|id| id.is_some_and(|id| id != owner)).unwrap();
            Err(format!("{at}/ids/{other} RegistrantIdentityConflict"))
        }
        (_, None, 2..) => Err(format!("{at}/ids RegistrantAmbiguous")),
        (_, None, 1) => {
            let one = (*known.first().unwrap()).clone();
            let has_another = names.iter().any(|(name, owner)| {
                *owner == one && name.0 == "REFERENCE" && name.1 == source(meta, info)
            });
            if info.reference.is_some() && has_another {
                return Err(format!("{at}/reference RegistrantIdentityConflict"));
            }
            Ok(one)
        }
        (_, Some(owner), _) => Ok(owner.clone()),
        (_, None, _) => {
            let made = registrant_id(meta.recorded_at, &meta.source, &meta.message_id, at);
            Ok(made.0.to_string())
        }
    }
}

impl Tables {
    /// "Absent optional fields leave what is stored."
    pub(super) fn tell(&mut self, meta: &Meta, info: &RegistrantInfo, person: &str) {
        let mut put = |field: String, value: Option<String>| {
            let place = (person.to_owned(), field);
            match value {
                Some(value) => self.facts.insert(place, value),
                None => self.facts.remove(&place),
            };
        };
        let mut dropped = Vec::new();
        for field in &info.clear {
            match field {
                Clearable::Name => put("name".to_owned(), None),
                Clearable::PaymentAddress => put("payment_address".to_owned(), None),
                Clearable::Disabled => put("disabled".to_owned(), None),
                Clearable::PhoneNumber(number) => put(format!("phone_numbers.{number}"), None),
                Clearable::Identifier(id_type) => {
                    put(format!("ids.{id_type}"), None);
                    dropped.push(id_type.clone());
                }
                _ => unreachable!("not generated"),
            }
        }
        for (field, value) in [("name", &info.name), ("payment_address", &info.payment_address)] {
            if value.is_some() {
                put(field.to_owned(), value.clone());
            }
        }
        if let Some(disabled) = info.disabled {
            put("disabled".to_owned(), disabled.then(|| "true".to_owned()));
        }
        for phone in &info.phone_numbers {
            let place = (person.to_owned(), format!("phone_numbers.{}", phone.phone_no));
            match phone.date_collected {
                Some(day) => drop(self.facts.insert(place, day.to_string())),
                None => drop(self.facts.entry(place).or_default()),
            }
        }
        self.names.retain(|name, owner| {
            owner != person || name.0 != "IDENTIFIER" || !dropped.contains(&name.1)
        });
        for id in &info.ids {
            let place = (person.to_owned(), format!("ids.{}", id.id_type));
            let name = ("IDENTIFIER", id.id_type.clone(), id.value.clone());
            if !self.names.contains_key(&name) {
                self.names.retain(|old, owner| {
                    owner != person || (old.0, &old.1) != ("IDENTIFIER", &id.id_type)
                });
                self.facts.remove(&place);
                self.names.insert(name, person.to_owned());
            }
            if let Some(day) = id.expiry_date {
                self.facts.insert(place, day.to_string());
            }
        }
        if let Some(reference) = &info.reference {
            self.names
                .insert(("REFERENCE", source(meta, info), reference.clone()), person.to_owned());
        }
    }
}
