//! P9: what Debug prints may end in a log, so it says nothing of a person.

use super::super::{Clearable, IdentifierIn, PhoneNumberIn, Registrant, RegistrantInfo};
use super::{atomic, enrollment, item, person, request, world};

/// Seeded into every field of a person.
const SECRET: &str = "Okello";

#[test]
fn debug_says_nothing_of_a_person() {
    let secret = || Some(SECRET.to_owned());
    let info = RegistrantInfo {
        name: secret(),
        given_name: secret(),
        family_name: secret(),
        addl_name: secret(),
        gender: secret(),
        birth_place: secret(),
        email: secret(),
        address: secret(),
        payment_address: secret(),
        group_kind: secret(),
        ids: vec![IdentifierIn {
            id_type: "NID".to_owned(),
            value: SECRET.to_owned(),
            expiry_date: None,
        }],
        phone_numbers: vec![PhoneNumberIn { phone_no: SECRET.to_owned(), date_collected: None }],
        clear: vec![Clearable::PhoneNumber(format!("+{SECRET}"))],
        ..person(SECRET)
    };
    let command = enrollment(info.clone(), &[item("cash")]);
    let mut set = world();
    let decision = request(&mut set, "m-1", info.clone(), &[item("cash")]);
    let refused = atomic(&mut set, "m-2", info.clone(), &[item("none")]);
    let names: Vec<_> = set.created().flat_map(Registrant::names).collect();
    let said = format!(
        "{info:?} {command:?} {set:?} {decision:?} {refused:?} {names:?} {:?} {:?}",
        info.ids, info.phone_numbers
    );
    assert!(!said.contains(SECRET), "{said}");
    assert!(said.len() > 500);
}
