//! The limits of a `RegistrantInfo` and a `RegistrantRef`.

use super::text::Checker;
use crate::contract::wire::{
    RegistrantInfo as Given, RegistrantKind as GivenKind, RegistrantRef as GivenRef,
};
use crate::domain::{
    Clearable, IdentifierIn, PhoneNumberIn, Reason, RegistrantInfo, RegistrantKind, RegistrantRef,
};
use std::collections::HashSet;
use std::fmt::Arguments;

/// Checks what a request says of a registrant; none when its kind is none that the contract knows.
pub(super) fn info(
    mut given: Given,
    at: Arguments<'_>,
    check: &mut Checker,
) -> Option<RegistrantInfo> {
    given.ids = check.facts(given.ids, format_args!("{at}/ids"));
    given.phone_numbers = check.facts(given.phone_numbers, format_args!("{at}/phone_numbers"));
    given.clear = check.facts(given.clear, format_args!("{at}/clear"));
    reference_limits(given.source.as_deref(), given.reference.as_deref(), at, check);
    for (field, value) in [
        ("name", &given.name),
        ("given_name", &given.given_name),
        ("family_name", &given.family_name),
        ("addl_name", &given.addl_name),
        ("gender", &given.gender),
        ("birth_place", &given.birth_place),
        ("email", &given.email),
        ("address", &given.address),
        ("payment_address", &given.payment_address),
        ("group_kind", &given.group_kind),
    ] {
        check.optional(value.as_deref(), format_args!("{at}/{field}"));
    }
    let clear = cleared(&given, at, check);
    let ids = identifiers(&given, at, check);
    let phone_numbers = phone_numbers(&given, at, check);
    let birthdate = check.date(given.birthdate, format_args!("{at}/birthdate"));
    let registration_date =
        check.date(given.registration_date, format_args!("{at}/registration_date"));
    let kind = match given.kind {
        GivenKind::Individual => RegistrantKind::Individual,
        GivenKind::Group => RegistrantKind::Group,
        GivenKind::Unknown => {
            check.fault(format_args!("{at}/kind"), Reason::FieldInvalid);
            return None;
        }
    };
    Some(RegistrantInfo {
        source: given.source,
        reference: given.reference,
        ids,
        kind,
        name: given.name,
        given_name: given.given_name,
        family_name: given.family_name,
        addl_name: given.addl_name,
        gender: given.gender,
        birthdate,
        birth_place: given.birth_place,
        email: given.email,
        address: given.address,
        registration_date,
        payment_address: given.payment_address,
        disabled: given.disabled,
        phone_numbers,
        group_kind: given.group_kind,
        is_partial_group: given.is_partial_group,
        clear,
    })
}

/// Checks how an update names a registrant. Nothing is stored by it, so a type of identifier may stand more than once.
pub(super) fn reference(given: GivenRef, at: Arguments<'_>, check: &mut Checker) -> RegistrantRef {
    reference_limits(given.source.as_deref(), given.reference.as_deref(), at, check);
    let ids = check.facts(given.ids, format_args!("{at}/ids"));
    for (index, id) in ids.iter().enumerate() {
        check.name(&id.id_type, format_args!("{at}/ids/{index}/id_type"));
        check.name(&id.value, format_args!("{at}/ids/{index}/value"));
    }
    RegistrantRef {
        source: given.source,
        reference: given.reference,
        ids: ids.into_iter().map(|id| (id.id_type, id.value)).collect(),
    }
}

fn reference_limits(
    source: Option<&str>,
    reference: Option<&str>,
    at: Arguments<'_>,
    check: &mut Checker,
) {
    if let Some(source) = source {
        check.source(source, format_args!("{at}/source"));
    }
    if let Some(reference) = reference {
        check.name(reference, format_args!("{at}/reference"));
    }
}

/// What is emptied: known fields, and none that the request gives too.
fn cleared(given: &Given, at: Arguments<'_>, check: &mut Checker) -> Vec<Clearable> {
    let mut clear = Vec::with_capacity(given.clear.len());
    for (index, text) in given.clear.iter().enumerate() {
        check.optional(Some(text), format_args!("{at}/clear/{index}"));
        match Clearable::parse(text) {
            Some(field) if !gives(given, &field) => clear.push(field),
            _ => check.fault(format_args!("{at}/clear/{index}"), Reason::FieldInvalid),
        }
    }
    clear
}

fn gives(given: &Given, field: &Clearable) -> bool {
    match field {
        Clearable::Name => given.name.is_some(),
        Clearable::GivenName => given.given_name.is_some(),
        Clearable::FamilyName => given.family_name.is_some(),
        Clearable::AddlName => given.addl_name.is_some(),
        Clearable::Gender => given.gender.is_some(),
        Clearable::Birthdate => given.birthdate.is_some(),
        Clearable::BirthPlace => given.birth_place.is_some(),
        Clearable::Email => given.email.is_some(),
        Clearable::Address => given.address.is_some(),
        Clearable::RegistrationDate => given.registration_date.is_some(),
        Clearable::PaymentAddress => given.payment_address.is_some(),
        Clearable::Disabled => given.disabled.is_some(),
        Clearable::GroupKind => given.group_kind.is_some(),
        Clearable::IsPartialGroup => given.is_partial_group.is_some(),
        Clearable::Identifier(id_type) => given.ids.iter().any(|id| id.id_type == *id_type),
        Clearable::PhoneNumber(number) => {
            given.phone_numbers.iter().any(|phone| phone.phone_no == *number)
        }
    }
}

/// Identifiers: upserted by type, so a type stands once.
fn identifiers(given: &Given, at: Arguments<'_>, check: &mut Checker) -> Vec<IdentifierIn> {
    let mut types = HashSet::with_capacity(given.ids.len());
    let mut ids = Vec::with_capacity(given.ids.len());
    for (index, id) in given.ids.iter().enumerate() {
        check.name(&id.id_type, format_args!("{at}/ids/{index}/id_type"));
        check.name(&id.value, format_args!("{at}/ids/{index}/value"));
        if !types.insert(&id.id_type) {
            check.fault(format_args!("{at}/ids/{index}/id_type"), Reason::FieldInvalid);
        }
        let expiry_date = check.date(id.expiry_date, format_args!("{at}/ids/{index}/expiry_date"));
        ids.push(IdentifierIn {
            id_type: id.id_type.clone(),
            value: id.value.clone(),
            expiry_date,
        });
    }
    ids
}

/// Phone numbers: upserted by number, so a number stands once.
fn phone_numbers(given: &Given, at: Arguments<'_>, check: &mut Checker) -> Vec<PhoneNumberIn> {
    let mut numbers = HashSet::with_capacity(given.phone_numbers.len());
    let mut phones = Vec::with_capacity(given.phone_numbers.len());
    for (index, phone) in given.phone_numbers.iter().enumerate() {
        check.required(&phone.phone_no, format_args!("{at}/phone_numbers/{index}/phone_no"));
        if !numbers.insert(&phone.phone_no) {
            check.fault(format_args!("{at}/phone_numbers/{index}/phone_no"), Reason::FieldInvalid);
        }
        let date_collected = check
            .date(phone.date_collected, format_args!("{at}/phone_numbers/{index}/date_collected"));
        phones.push(PhoneNumberIn { phone_no: phone.phone_no.clone(), date_collected });
    }
    phones
}
