//! What a request says of a registrant, laid over what is stored.

use super::{Clearable, IdentifierFacts, Meta, Registrant, RegistrantInfo};

impl RegistrantInfo {
    /// Lays the facts over `registrant`: absent ones leave what is stored, `clear` empties, identifiers are upserted
    /// by type and phone numbers by number. True if something is new.
    pub(super) fn lay_over(&self, meta: &Meta, registrant: &mut Registrant) -> bool {
        let mut changed = false;
        for field in &self.clear {
            clear(field, registrant, &mut changed);
        }
        set(self.name.as_ref(), &mut registrant.name, &mut changed);
        set(self.given_name.as_ref(), &mut registrant.given_name, &mut changed);
        set(self.family_name.as_ref(), &mut registrant.family_name, &mut changed);
        set(self.addl_name.as_ref(), &mut registrant.addl_name, &mut changed);
        set(self.gender.as_ref(), &mut registrant.gender, &mut changed);
        set(self.birthdate.as_ref(), &mut registrant.birthdate, &mut changed);
        set(self.birth_place.as_ref(), &mut registrant.birth_place, &mut changed);
        set(self.email.as_ref(), &mut registrant.email, &mut changed);
        set(self.address.as_ref(), &mut registrant.address, &mut changed);
        set(self.registration_date.as_ref(), &mut registrant.registration_date, &mut changed);
        set(self.group_kind.as_ref(), &mut registrant.group_kind, &mut changed);
        set(self.is_partial_group.as_ref(), &mut registrant.is_partial_group, &mut changed);
        set(self.payment_address.as_ref(), &mut registrant.payment_address, &mut changed);
        if let Some(disabled) = self.disabled
            && registrant.disabled != disabled
        {
            registrant.disabled = disabled;
            changed = true;
        }
        if let Some(reference) = &self.reference {
            let source = self.reference_source(meta);
            if registrant.references.get(source) != Some(reference) {
                registrant.references.insert(source.to_owned(), reference.clone());
                changed = true;
            }
        }
        for id in &self.ids {
            let stored = registrant.identifiers.get(&id.id_type);
            // Another value is another identifier: it does not inherit the old one's expiry.
            let kept = stored.filter(|(value, _)| *value == id.value).map(|(_, facts)| *facts);
            let facts = IdentifierFacts {
                expiry_date: id.expiry_date.or_else(|| kept.and_then(|facts| facts.expiry_date)),
            };
            if kept != Some(facts) {
                registrant.identifiers.insert(id.id_type.clone(), (id.value.clone(), facts));
                changed = true;
            }
        }
        for phone in &self.phone_numbers {
            let stored = registrant.phone_numbers.get(&phone.phone_no).copied();
            let collected = phone.date_collected.or(stored.flatten());
            if stored != Some(collected) {
                registrant.phone_numbers.insert(phone.phone_no.clone(), collected);
                changed = true;
            }
        }
        changed
    }
}

fn set<T: Clone + PartialEq>(given: Option<&T>, stored: &mut Option<T>, changed: &mut bool) {
    if given.is_some() && given != stored.as_ref() {
        *stored = given.cloned();
        *changed = true;
    }
}

fn clear(field: &Clearable, registrant: &mut Registrant, changed: &mut bool) {
    fn empty<T>(stored: &mut Option<T>, changed: &mut bool) {
        *changed |= stored.take().is_some();
    }
    match field {
        Clearable::Name => empty(&mut registrant.name, changed),
        Clearable::GivenName => empty(&mut registrant.given_name, changed),
        Clearable::FamilyName => empty(&mut registrant.family_name, changed),
        Clearable::AddlName => empty(&mut registrant.addl_name, changed),
        Clearable::Gender => empty(&mut registrant.gender, changed),
        Clearable::Birthdate => empty(&mut registrant.birthdate, changed),
        Clearable::BirthPlace => empty(&mut registrant.birth_place, changed),
        Clearable::Email => empty(&mut registrant.email, changed),
        Clearable::Address => empty(&mut registrant.address, changed),
        Clearable::RegistrationDate => empty(&mut registrant.registration_date, changed),
        Clearable::PaymentAddress => empty(&mut registrant.payment_address, changed),
        Clearable::GroupKind => empty(&mut registrant.group_kind, changed),
        Clearable::IsPartialGroup => empty(&mut registrant.is_partial_group, changed),
        Clearable::Disabled => {
            *changed |= std::mem::take(&mut registrant.disabled);
        }
        Clearable::Identifier(id_type) => {
            *changed |= registrant.identifiers.remove(id_type).is_some();
        }
        Clearable::PhoneNumber(number) => {
            *changed |= registrant.phone_numbers.remove(number).is_some();
        }
    }
}
