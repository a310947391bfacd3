//! The fingerprint of the content (P7): what is the same request said again, and what is not.

use super::{example, request};
use crate::contract::{ALGORITHM, ContentFingerprint, MessageType};
use serde_json::{Value as Json, json};

const REQUESTS: [MessageType; 3] = [
    MessageType::EnrollmentRequest,
    MessageType::MembershipUpdateRequest,
    MessageType::GroupMembershipRequest,
];

fn fingerprint(message: MessageType, value: &Json) -> Option<ContentFingerprint> {
    request(message, value).map(|request| ContentFingerprint::of(&request))
}

fn pointers(at: &str, value: &Json, found: &mut Vec<String>) {
    let mut child = |name: &str, value: &Json| {
        found.push(format!("{at}/{name}"));
        pointers(&format!("{at}/{name}"), value, found);
    };
    match value {
        Json::Object(fields) => fields.iter().for_each(|(name, value)| child(name, value)),
        Json::Array(elements) => {
            elements.iter().enumerate().for_each(|(index, value)| child(&index.to_string(), value));
        }
        _ => {}
    }
}

/// Other values that may fit where `value` stands.
fn others(value: &Json) -> Vec<Json> {
    let mut others =
        vec![Json::Null, json!(true), json!(false), json!(7), json!("2001-02-03"), json!("x")];
    others.extend(["GROUP", "DRAFT", "REMOVE", "REPLACE"].map(Json::from));
    match value {
        Json::String(text) => others.push(json!(format!("{text}x"))),
        Json::Array(elements) => {
            others.push(json!([]));
            others.push(elements.iter().skip(1).cloned().collect());
            others.push(elements.iter().chain(elements.first()).cloned().collect());
            others.push(elements.iter().rev().cloned().collect());
        }
        _ => {}
    }
    others.retain(|other| other != value);
    others
}

fn is_content(pointer: &str) -> bool {
    let top = pointer.split('/').nth(1).unwrap();
    !["message_id", "sent_at", "attempt", "batch"].contains(&top)
}

#[test]
fn every_single_change_differs_and_nothing_else_counts() {
    for message in REQUESTS {
        let base = example(message, "full").value;
        let of_base = fingerprint(message, &base).unwrap();
        let mut all = Vec::new();
        pointers("", &base, &mut all);
        let mut changes = 0;
        for pointer in all {
            let stood = base.pointer(&pointer).unwrap();
            for other in others(stood) {
                let mut varied = base.clone();
                *varied.pointer_mut(&pointer).unwrap() = other.clone();
                let Some(found) = fingerprint(message, &varied) else {
                    continue;
                };
                changes += 1;
                let means_the_same = (pointer.ends_with("/source")
                    && pointer != "/source"
                    && (other.is_null() && *stood == base["source"]))
                    || request(message, &varied) == request(message, &base);
                let same = found == of_base;
                assert_eq!(
                    same,
                    means_the_same || !is_content(&pointer),
                    "{} {pointer}: {stood:.40} to {other:.40}",
                    message.name()
                );
            }
        }
        assert!(changes > 40, "{}: {changes}", message.name());
    }
}

#[test]
fn what_is_default_may_be_said_or_left_out() {
    let message = MessageType::EnrollmentRequest;
    let terse = json!({
        "message_id": "m", "source": "s", "sent_at": "2026-01-01T00:00:00Z",
        "registrant": {"kind": "INDIVIDUAL", "reference": "P"},
        "program_memberships": [{"program": "cash"}],
    });
    let explicit = json!({
        "message_id": "m", "source": "s", "sent_at": "2026-01-01T00:00:00Z", "attempt": 1,
        "batch": null, "actor": null, "atomic": false,
        "registrant": {"kind": "INDIVIDUAL", "source": "s", "reference": "P", "ids": [], "name": null,
            "disabled": null, "phone_numbers": [], "clear": []},
        "program_memberships": [{"program": "cash", "state": "ENROLLED", "enrollment_date": null}],
    });
    assert_eq!(fingerprint(message, &terse), fingerprint(message, &explicit));

    let message = MessageType::GroupMembershipRequest;
    let member = |kinds: Json| {
        json!({
            "message_id": "m", "source": "s", "sent_at": "2026-01-01T00:00:00Z",
            "group": {"kind": "GROUP", "reference": "G"}, "mode": "MERGE",
            "members": [{"individual": {"kind": "INDIVIDUAL", "reference": "P"}, "kinds": kinds}],
        })
    };
    let none = fingerprint(message, &member(Json::Null));
    assert!(none.is_some());
    assert_ne!(
        none,
        fingerprint(message, &member(json!([]))),
        "no kinds given is not none of them"
    );
}

#[test]
fn absent_is_not_false_empty_or_another_place() {
    let message = MessageType::EnrollmentRequest;
    let with = |registrant: Json| {
        let value = json!({
            "message_id": "m", "source": "s", "sent_at": "2026-01-01T00:00:00Z",
            "registrant": registrant,
        });
        fingerprint(message, &value).unwrap()
    };
    let all = [
        with(json!({"kind": "INDIVIDUAL"})),
        with(json!({"kind": "INDIVIDUAL", "disabled": false})),
        with(json!({"kind": "INDIVIDUAL", "disabled": true})),
        with(json!({"kind": "INDIVIDUAL", "is_partial_group": false})),
        with(json!({"kind": "INDIVIDUAL", "name": ""})),
        with(json!({"kind": "INDIVIDUAL", "name": "a"})),
        with(json!({"kind": "INDIVIDUAL", "given_name": "a"})),
        with(json!({"kind": "INDIVIDUAL", "source": "a"})),
        with(json!({"kind": "INDIVIDUAL", "reference": "a"})),
        with(json!({"kind": "INDIVIDUAL", "clear": ["name"]})),
        with(json!({"kind": "INDIVIDUAL", "ids": [{"id_type": "ab", "value": "c"}]})),
        with(json!({"kind": "INDIVIDUAL", "ids": [{"id_type": "a", "value": "bc"}]})),
        with(json!({"kind": "INDIVIDUAL", "phone_numbers": [{"phone_no": "a"}]})),
    ];
    for (index, one) in all.iter().enumerate() {
        assert!(!all[index + 1..].contains(one), "{index}");
    }
}

/// Stored fingerprints are compared after an upgrade: a change here is a new [`ALGORITHM`].
#[test]
fn the_algorithm_stays_what_it_is() {
    assert_eq!(ALGORITHM, 1);
    let said: Vec<_> = REQUESTS
        .into_iter()
        .map(|message| {
            let of_full = fingerprint(message, &example(message, "full").value).unwrap();
            format!("{}: {}", message.name(), hex::encode(of_full.0))
        })
        .collect();
    insta::assert_snapshot!("content_fingerprints", said.join("\n"));
}

#[test]
fn fingerprints_of_another_algorithm_never_differ() {
    let message = MessageType::EnrollmentRequest;
    let one = fingerprint(message, &example(message, "full").value).unwrap();
    let two = fingerprint(message, &example(message, "minimal").value).unwrap();
    assert!(!one.differs(&one.0) && one.differs(&two.0));
    let mut newer = two.0;
    newer[0] = ALGORITHM + 1;
    assert!(!one.differs(&newer) && !one.differs(&[]));
}
