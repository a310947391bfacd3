//! "Absent optional fields leave what is stored; `ids` are upserted by type, phone numbers by number; `clear` empties."

use super::super::{
    Clearable, IdentifierIn, NameKey, PhoneNumberIn, Registrant, RegistrantInfo, Status,
};
use super::{find, identifier, nobody, person, request, world};
use time::macros::date;

fn phone(number: &str, date_collected: Option<time::Date>) -> PhoneNumberIn {
    PhoneNumberIn { phone_no: number.to_owned(), date_collected }
}

fn full() -> RegistrantInfo {
    let text = |text: &str| Some(text.to_owned());
    RegistrantInfo {
        ids: vec![
            IdentifierIn { expiry_date: Some(date!(2030 - 01 - 01)), ..identifier("NID=1") },
            identifier("TAX=2"),
        ],
        name: text("a"),
        given_name: text("b"),
        family_name: text("c"),
        addl_name: text("d"),
        gender: text("e"),
        birthdate: Some(date!(1984 - 02 - 29)),
        birth_place: text("f"),
        email: text("g"),
        address: text("h"),
        registration_date: Some(date!(2025 - 11 - 03)),
        payment_address: text("i"),
        disabled: Some(true),
        phone_numbers: vec![phone("+1", Some(date!(2024 - 01 - 01))), phone("+2", None)],
        group_kind: text("j"),
        is_partial_group: Some(true),
        ..person("P-1")
    }
}

fn after(requests: &[RegistrantInfo]) -> Registrant {
    let mut set = world();
    for (index, info) in requests.iter().enumerate() {
        let decision = request(&mut set, &format!("m-{index}"), info.clone(), &[]);
        assert_eq!(decision.status, Status::Applied, "{index}");
    }
    find(&set, "P-1").unwrap().clone()
}

#[test]
fn what_is_given_is_stored() {
    let stored = after(&[full()]);
    let texts = [
        &stored.name,
        &stored.given_name,
        &stored.family_name,
        &stored.addl_name,
        &stored.gender,
        &stored.birth_place,
        &stored.email,
        &stored.address,
        &stored.payment_address,
        &stored.group_kind,
    ];
    let said: Vec<_> = texts.iter().map(|text| text.as_deref().unwrap()).collect();
    assert_eq!(said, ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    assert_eq!(stored.birthdate, Some(date!(1984 - 02 - 29)));
    assert_eq!(stored.registration_date, Some(date!(2025 - 11 - 03)));
    assert_eq!((stored.disabled, stored.is_partial_group), (true, Some(true)));
    assert_eq!(stored.identifiers["NID"].1.expiry_date, Some(date!(2030 - 01 - 01)));
    assert_eq!(stored.identifiers["TAX"].0, "2");
    assert_eq!(stored.phone_numbers["+1"], Some(date!(2024 - 01 - 01)));
    assert_eq!(stored.phone_numbers["+2"], None);
}

#[test]
fn absent_leaves() {
    let mut set = world();
    request(&mut set, "m-0", full(), &[]);
    let decision = request(&mut set, "m-2", person("P-1"), &[]);
    assert_eq!(decision.status, Status::Unchanged);
    assert_eq!(request(&mut set, "m-3", full(), &[]).status, Status::Unchanged);
    assert!(*find(&set, "P-1").unwrap() == after(&[full()]));
}

#[test]
fn each_fact_is_laid_over_by_itself() {
    type Change = fn(&mut RegistrantInfo);
    let changes: [Change; 18] = [
        |info| info.name = Some("z".to_owned()),
        |info| info.given_name = Some("z".to_owned()),
        |info| info.family_name = Some("z".to_owned()),
        |info| info.addl_name = Some("z".to_owned()),
        |info| info.gender = Some("z".to_owned()),
        |info| info.birthdate = Some(date!(2000 - 01 - 01)),
        |info| info.birth_place = Some("z".to_owned()),
        |info| info.email = Some("z".to_owned()),
        |info| info.address = Some("z".to_owned()),
        |info| info.registration_date = Some(date!(2000 - 01 - 01)),
        |info| info.payment_address = Some("z".to_owned()),
        |info| info.disabled = Some(false),
        |info| info.group_kind = Some("z".to_owned()),
        |info| info.is_partial_group = Some(false),
        |info| info.ids = vec![identifier("TAX=z")],
        |info| info.phone_numbers = vec![phone("+3", None)],
        |info| info.ids[0].expiry_date = Some(date!(2031 - 01 - 01)),
        |info| info.phone_numbers[1].date_collected = Some(date!(2025 - 01 - 01)),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        // Only the one fact, except where the change is to a part of what is there.
        let mut alone = if index < 16 { person("P-1") } else { full() };
        change(&mut alone);
        let mut expected = full();
        change(&mut expected);
        let laid_over = after(&[full(), alone]);
        if !(14..16).contains(&index) {
            let mut whole = after(&[expected]);
            whole.identifiers.clone_from(&laid_over.identifiers);
            assert!(laid_over == whole, "change {index}");
        }
    }
}

#[test]
fn identifiers_are_upserted_by_type_and_keep_their_expiry() {
    let again =
        RegistrantInfo { ids: vec![identifier("NID=1"), identifier("NEW=3")], ..person("P-1") };
    let stored = after(&[full(), again]);
    let ids: Vec<_> = stored
        .identifiers
        .iter()
        .map(|(id_type, (value, facts))| (id_type.as_str(), value.as_str(), facts.expiry_date))
        .collect();
    assert_eq!(
        ids,
        [("NEW", "3", None), ("NID", "1", Some(date!(2030 - 01 - 01))), ("TAX", "2", None)]
    );
}

#[test]
fn phone_numbers_are_upserted_by_number_and_keep_their_day() {
    let again = RegistrantInfo {
        phone_numbers: vec![
            phone("+1", None),
            phone("+2", Some(date!(2025 - 05 - 05))),
            phone("+3", None),
        ],
        ..person("P-1")
    };
    let stored = after(&[full(), again]);
    let numbers: Vec<_> = stored.phone_numbers.iter().map(|(n, day)| (n.as_str(), *day)).collect();
    let expected =
        [("+1", Some(date!(2024 - 01 - 01))), ("+2", Some(date!(2025 - 05 - 05))), ("+3", None)];
    assert_eq!(numbers, expected);
}

#[test]
fn clear_empties() {
    let fields = [
        "name",
        "given_name",
        "family_name",
        "addl_name",
        "gender",
        "birthdate",
        "birth_place",
        "email",
        "address",
        "registration_date",
        "payment_address",
        "disabled",
        "group_kind",
        "is_partial_group",
        "ids.NID",
        "ids.TAX",
        "phone_numbers.+1",
        "phone_numbers.+2",
    ];
    let clear: Vec<_> = fields.iter().map(|field| Clearable::parse(field).unwrap()).collect();
    let cleared = RegistrantInfo { clear: clear.clone(), ..person("P-1") };
    let all = after(&[full(), cleared.clone()]);
    let mut empty = after(&[person("P-1")]);
    // But for the id, which is of another request.
    empty.registrant_id = all.registrant_id;
    assert!(all == empty);

    let mut set = world();
    request(&mut set, "m-1", full(), &[]);
    request(&mut set, "m-2", cleared.clone(), &[]);
    assert_eq!(set.owner(&NameKey::identifier("NID", "1")), None);
    assert_eq!(request(&mut set, "m-3", cleared, &[]).status, Status::Unchanged, "empty already");

    for (field, one) in fields.iter().zip(clear) {
        let mut set = world();
        request(&mut set, "m-1", full(), &[]);
        let before = find(&set, "P-1").unwrap().clone();
        let only = RegistrantInfo { clear: vec![one], ..person("P-1") };
        assert_eq!(request(&mut set, "m-2", only, &[]).status, Status::Applied, "{field}");
        let emptied = find(&set, "P-1").unwrap();
        assert!(*emptied != before && *emptied != empty, "{field}");
    }
}

#[test]
fn clearing_an_identifier_while_another_is_given() {
    let mut set = world();
    request(&mut set, "m-1", full(), &[]);
    let info = RegistrantInfo {
        ids: vec![identifier("TAX=2")],
        clear: vec![Clearable::parse("ids.NID").unwrap()],
        ..nobody()
    };
    assert_eq!(request(&mut set, "m-2", info, &[]).status, Status::Applied);
    let types: Vec<_> = find(&set, "P-1").unwrap().identifiers.keys().cloned().collect();
    assert_eq!(types, ["TAX"]);
}
