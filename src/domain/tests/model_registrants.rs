//! The model's registrants: who is meant, and what is told of them.

use super::super::{Clearable, Meta, NameKind, RegistrantInfo, registrant_id};
use super::model::{Person, Said, Tables};
use std::collections::BTreeSet;

impl Tables {
    /// "Its reference and its identifiers, looked up together."
    pub(super) fn who(
        &self,
        meta: &Meta,
        info: &RegistrantInfo,
        said: &mut Said,
    ) -> Result<Person, Person> {
        let source = info.source.clone().unwrap_or_else(|| meta.source.clone());
        let by_reference = info
            .reference
            .as_ref()
            .and_then(|value| self.names.get(&("REFERENCE", source.clone(), value.clone())));
        let by_id: Vec<_> = info
            .ids
            .iter()
            .map(|id| self.names.get(&("IDENTIFIER", id.id_type.clone(), id.value.clone())))
            .collect();
        let known: BTreeSet<_> =
            by_reference.into_iter().chain(by_id.iter().copied().flatten()).collect();
        let fault =
            match (info.reference.is_none() && info.ids.is_empty(), by_reference, known.len()) {
                (true, ..) => "/registrant RegistrantUnnamed".to_owned(),
                (_, Some(owner), 2..) => {
                    let other =
                        by_id.iter().position(|id| id.is_some_and(|id| id != owner)).unwrap();
                    format!("/registrant/ids/{other} RegistrantIdentityConflict")
                }
                (_, None, 2..) => "/registrant/ids RegistrantAmbiguous".to_owned(),
                (_, None, 1) => {
                    let one = (*known.first().unwrap()).clone();
                    let has_another = self.names.iter().any(|(name, owner)| {
                        *owner == one && name.0 == NameKind::Reference.as_str() && name.1 == source
                    });
                    if info.reference.is_none() || !has_another {
                        return Ok(one);
                    }
                    "/registrant/reference RegistrantIdentityConflict".to_owned()
                }
                (_, Some(owner), _) => return Ok(owner.clone()),
                (_, None, _) => {
                    let made = registrant_id(
                        meta.recorded_at,
                        &meta.source,
                        &meta.message_id,
                        "/registrant",
                    );
                    return Ok(made.0.to_string());
                }
            };
        said.faults.push(fault);
        Err(String::new())
    }

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
            let source = info.source.clone().unwrap_or_else(|| meta.source.clone());
            self.names.insert(("REFERENCE", source, reference.clone()), person.to_owned());
        }
    }
}
