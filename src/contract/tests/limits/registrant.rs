//! What a request says of registrants, wherever it does.

use super::{
    Json, MessageType, faults_with, json, limit, limit_name, limit_required, limit_source,
    limit_text,
};

/// Where a `RegistrantInfo` stands.
const INFOS: [(MessageType, &str); 3] = [
    (MessageType::EnrollmentRequest, "/registrant"),
    (MessageType::GroupMembershipRequest, "/group"),
    (MessageType::GroupMembershipRequest, "/members/0/individual"),
];

/// As many facts as a list may have, and one more.
fn lists(fact: impl Fn(usize) -> Json) -> (Json, Json) {
    let list = |count| Json::from((0..count).map(&fact).collect::<Vec<_>>());
    (list(100), list(101))
}

#[test]
fn references_and_identifiers() {
    for (message, at) in INFOS {
        limit_source(message, &format!("{at}/source"));
        for field in ["reference", "ids/0/id_type", "ids/0/value"] {
            limit_name(message, &format!("{at}/{field}"));
        }
        let ids = format!("{at}/ids");
        let (most, too_many) = lists(|n| json!({"id_type": n.to_string(), "value": "1"}));
        limit(message, &ids, &[json!([]), most], &[too_many]);
        let twice = json!([{"id_type": "A", "value": "1"}, {"id_type": "B", "value": "1"}, {"id_type": "A", "value": "2"}]);
        let expected = (format!("{ids}/2/id_type"), "rjct.field.invalid");
        assert_eq!(faults_with(message, &ids, twice), [expected]);
    }
}

#[test]
fn other_text() {
    for (message, at) in INFOS {
        for field in [
            "name",
            "given_name",
            "family_name",
            "addl_name",
            "gender",
            "birth_place",
            "email",
            "address",
            "payment_address",
            "group_kind",
        ] {
            limit_text(message, &format!("{at}/{field}"));
        }
        let phones = format!("{at}/phone_numbers");
        limit_required(message, &format!("{phones}/0/phone_no"));
        let (most, too_many) = lists(|n| json!({"phone_no": n.to_string()}));
        limit(message, &phones, &[json!([]), most], &[too_many]);
        let twice = json!([{"phone_no": "1"}, {"phone_no": "1"}]);
        let expected = (format!("{phones}/1/phone_no"), "rjct.field.invalid");
        assert_eq!(faults_with(message, &phones, twice), [expected]);
        let kinds = ["INDIVIDUAL".into(), "GROUP".into()];
        limit(message, &format!("{at}/kind"), &kinds, &["UNKNOWN".into()]);
    }
}

#[test]
fn what_is_cleared() {
    for (message, at) in INFOS {
        cleared(message, at);
    }
}

fn cleared(message: MessageType, at: &str) {
    let all = [
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
    ];
    let with = |clear: Json| {
        let info = json!({"kind": "INDIVIDUAL", "reference": "P-1", "clear": clear});
        faults_with(message, at, info)
    };
    let named = ["ids.NATIONAL_ID", "ids.with.dots", "phone_numbers.+256 700.1"];
    assert_eq!(with(all.into_iter().chain(named).collect()), []);
    let many = |count| (0..count).map(|n| format!("ids.{n}")).collect::<Json>();
    assert_eq!(with(many(100)), []);
    assert_eq!(with(many(101)), [(format!("{at}/clear"), "rjct.field.invalid")]);

    let unknown = [
        "",
        "nme",
        "ids",
        "ids.",
        "phone_numbers",
        "phone_numbers.",
        "kind",
        "reference",
        "source",
        "Name",
        " name",
        "memberships.x",
        "clear",
        "ids\0.x",
        "name\0",
    ];
    for field in unknown {
        let found = with(json!(["email", field]));
        assert!(!found.is_empty(), "{field}");
        let expected = (format!("{at}/clear/1"), "rjct.field.invalid");
        assert!(found.iter().all(|fault| *fault == expected), "{field}: {found:?}");
    }
    let given = [
        ("name", json!("x")),
        ("given_name", json!("x")),
        ("family_name", json!("x")),
        ("addl_name", json!("x")),
        ("gender", json!("x")),
        ("birthdate", json!("2000-01-01")),
        ("birth_place", json!("x")),
        ("email", json!("")),
        ("address", json!("x")),
        ("registration_date", json!("2000-01-01")),
        ("payment_address", json!("x")),
        ("disabled", json!(false)),
        ("group_kind", json!("x")),
        ("is_partial_group", json!(true)),
        ("ids", json!([{"id_type": "T", "value": "1"}])),
        ("phone_numbers", json!([{"phone_no": "T"}])),
    ];
    for (field, value) in given {
        let mut both = json!({"kind": "INDIVIDUAL", "reference": "P-1"});
        both[field] = value;
        both["clear"] = match field {
            "ids" | "phone_numbers" => json!([format!("{field}.U"), format!("{field}.T")]),
            _ => json!(["ids.NATIONAL_ID", field]),
        };
        let expected = (format!("{at}/clear/1"), "rjct.field.invalid");
        assert_eq!(faults_with(message, at, both), [expected], "{field}");
    }
}
