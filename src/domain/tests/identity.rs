//! Who is meant.

use super::super::{
    IdentifierIn, NameKey, Reason, RegistrantInfo, RegistrantKind, Status, registrant_id,
};
use super::{faults, find, item, known_by, meta, nobody, person, request, world};
use time::macros::date;

fn both(reference: &str, ids: &[&str]) -> RegistrantInfo {
    RegistrantInfo { ids: known_by(ids).ids, ..person(reference) }
}

fn from(source: &str, info: RegistrantInfo) -> RegistrantInfo {
    RegistrantInfo { source: Some(source.to_owned()), ..info }
}

#[test]
fn unnamed() {
    let mut set = world();
    for info in [nobody(), from("registry", nobody())] {
        let decision = request(&mut set, "m-1", info, &[item("cash")]);
        assert_eq!(faults(&decision), [("/registrant", Reason::RegistrantUnnamed)]);
        assert_eq!((decision.registrant_id, decision.items.len()), (None, 0));
    }
}

#[test]
fn named_by_reference_or_by_identifier() {
    let mut set = world();
    let made = request(&mut set, "m-1", both("P-1", &["NID=1", "TAX=9"]), &[]).registrant_id;
    assert_eq!(
        made,
        Some(registrant_id(meta("m-1").recorded_at, "registry", "m-1", "/registrant"))
    );
    for (message_id, info) in [
        ("m-2", person("P-1")),
        ("m-3", known_by(&["NID=1"])),
        ("m-4", known_by(&["TAX=9", "NID=1"])),
        ("m-5", both("P-1", &["TAX=9"])),
        ("m-6", from("registry", person("P-1"))),
    ] {
        let decision = request(&mut set, message_id, info, &[]);
        assert_eq!(
            (decision.registrant_id, decision.status),
            (made, Status::Unchanged),
            "{message_id}"
        );
    }
    let other = request(&mut set, "m-7", known_by(&["TAX=1"]), &[]);
    assert_ne!(other.registrant_id, made, "the type belongs to the name");
    let other = request(&mut set, "m-8", from("other", person("P-1")), &[]);
    assert_ne!(other.registrant_id, made, "and so does the source");
    assert_eq!(set.created().count(), 3);
}

#[test]
fn references_of_several_sources() {
    let mut set = world();
    let made = request(&mut set, "m-1", both("P-1", &["NID=1"]), &[]).registrant_id;
    let added = request(&mut set, "m-2", from("clinic", both("C-7", &["NID=1"])), &[item("cash")]);
    assert_eq!((added.registrant_id, added.status), (made, Status::Applied));
    let alone = request(&mut set, "m-3", from("clinic", person("C-7")), &[item("cash")]);
    assert_eq!((alone.registrant_id, alone.status), (made, Status::Unchanged));
    let registrant = find(&set, "P-1").unwrap();
    assert_eq!(registrant.references.len(), 2);
    // Events name the requesting source's reference if there is one.
    let event = &added.events[0];
    assert_eq!(event.registrant.reference, Some(("registry".to_owned(), "P-1".to_owned())));
}

#[test]
fn else_events_name_the_first_reference_by_source() {
    let mut set = world();
    request(&mut set, "m-1", from("clinic", both("C-7", &["NID=1"])), &[]);
    request(&mut set, "m-2", from("army", both("A-7", &["NID=1"])), &[]);
    let decision = request(&mut set, "m-3", known_by(&["NID=1"]), &[item("cash")]);
    let reference = decision.events[0].registrant.reference.clone();
    assert_eq!(reference, Some(("army".to_owned(), "A-7".to_owned())));
}

#[test]
fn a_second_reference_of_the_same_source_is_a_conflict() {
    let mut set = world();
    request(&mut set, "m-1", both("P-1", &["NID=1"]), &[]);
    let decision = request(&mut set, "m-2", both("P-2", &["NID=1"]), &[item("cash")]);
    assert_eq!(faults(&decision), [("/registrant/reference", Reason::RegistrantIdentityConflict)]);
    assert!(find(&set, "P-2").is_none());
}

#[test]
fn several_registrants() {
    let mut set = world();
    request(&mut set, "m-1", both("P-1", &["NID=1"]), &[]);
    request(&mut set, "m-2", both("P-2", &["NID=2"]), &[]);
    request(&mut set, "m-3", known_by(&["TAX=3"]), &[]);
    let cases = [
        // The reference is known.
        (both("P-1", &["NID=2"]), "/registrant/ids/0", Reason::RegistrantIdentityConflict),
        (both("P-1", &["NID=1", "TAX=3"]), "/registrant/ids/1", Reason::RegistrantIdentityConflict),
        // It is not.
        (both("P-9", &["NID=1", "TAX=3"]), "/registrant/ids", Reason::RegistrantAmbiguous),
        (known_by(&["NID=1", "TAX=3"]), "/registrant/ids", Reason::RegistrantAmbiguous),
        (known_by(&["NEW=0", "TAX=3", "NID=2"]), "/registrant/ids", Reason::RegistrantAmbiguous),
    ];
    for (info, pointer, reason) in cases {
        let decision = request(&mut set, "m-4", info, &[item("cash"), item("none")]);
        assert_eq!(decision.status, Status::Rejected);
        assert_eq!(faults(&decision), [(pointer, reason)]);
        assert_eq!(decision.items, []);
    }
}

#[test]
fn kinds_do_not_change() {
    let mut set = world();
    request(&mut set, "m-1", person("P-1"), &[]);
    let group = RegistrantInfo { kind: RegistrantKind::Group, ..person("P-1") };
    let decision = request(&mut set, "m-2", group, &[item("homes")]);
    assert_eq!(faults(&decision), [("/registrant/kind", Reason::RegistrantKindMismatch)]);
    assert_eq!(decision.status, Status::Rejected);
}

#[test]
fn another_value_of_a_type_takes_the_place_of_the_old_one() {
    let mut set = world();
    let with_expiry = RegistrantInfo {
        ids: vec![IdentifierIn {
            expiry_date: Some(date!(2030 - 01 - 01)),
            ..super::identifier("NID=1")
        }],
        ..person("P-1")
    };
    let made = request(&mut set, "m-1", with_expiry, &[]).registrant_id;
    request(&mut set, "m-2", both("P-1", &["NID=2"]), &[]);
    let (value, facts) = find(&set, "P-1").unwrap().identifiers["NID"].clone();
    assert_eq!(
        (value.as_str(), facts.expiry_date),
        ("2", None),
        "another document, another expiry"
    );
    assert_eq!(set.owner(&NameKey::identifier("NID", "1")), None);
    let freed = request(&mut set, "m-3", known_by(&["NID=1"]), &[]);
    assert_ne!(freed.registrant_id, made, "the old one is free for somebody else");
    assert_eq!(request(&mut set, "m-4", known_by(&["NID=2"]), &[]).registrant_id, made);
}
