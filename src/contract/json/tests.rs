//! The golden messages, and what does not fit.

use super::*;
use serde_json::json;

#[test]
fn golden_messages_go_through_json_both_ways() {
    for kind in MessageType::ALL {
        let path =
            format!("{}/schemas/golden/{}.v1.jsonl", env!("CARGO_MANIFEST_DIR"), kind.name());
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let golden: Value = serde_json::from_str(line).unwrap();
            let bytes = hex::decode(golden["hex"].as_str().unwrap()).unwrap();
            let mut decoded = decode_json(&Schemas::embedded(), &bytes).unwrap();
            assert_eq!(decoded["type"], kind.name());
            decoded.as_object_mut().unwrap().remove("type");
            assert_eq!(decoded, golden["value"]);
            // What has UNKNOWN in it is refused as input.
            if !golden["value"].to_string().contains("UNKNOWN") {
                assert_eq!(encode_json(kind, decoded), Ok(bytes), "{}", golden["name"]);
            }
        }
    }
}

#[test]
fn every_misfit_is_found_with_its_pointer() {
    let value = json!({
        "message_id": 1, "sent_at": "today", "attempt": 5_000_000_000_i64, "colour": "red",
        "registrant": {"kind": "PERSON", "birthdate": "2026-02-30", "ids": [{"id_type": "N", "value": "1", "x": 0}, 3]},
        "program_memberships": [{"state": "UNKNOWN"}], "batch": [], "a b": 1,
    });
    let found = misfits(MessageType::EnrollmentRequest, &value);
    let mut at: Vec<_> = found.iter().map(|misfit| misfit.pointer.as_str()).collect();
    at.sort_unstable();
    assert_eq!(
        at,
        [
            "/?",
            "/attempt",
            "/batch",
            "/colour",
            "/message_id",
            "/program_memberships/0/program",
            "/program_memberships/0/state",
            "/registrant/birthdate",
            "/registrant/ids/0/x",
            "/registrant/ids/1",
            "/registrant/kind",
            "/sent_at",
            "/source",
        ]
    );
    let unsupported = found.iter().filter(|m| m.reason == Reason::FieldUnsupported).count();
    assert_eq!(unsupported, 3);
}

/// As people and HTTP clients write them: what has a default is left out, and no union has a tag.
#[test]
fn short_forms_of_every_request_are_whole() {
    let head = json!({"message_id": "m", "source": "s", "sent_at": "2026-01-31T11:00:00+02:00"});
    for (kind, body, filled) in [
        (
            MessageType::EnrollmentRequest,
            json!({"registrant": {"reference": "P", "kind": "INDIVIDUAL", "birthdate": "1984-02-29"},
                "program_memberships": [{"program": "CASH"}]}),
            [("/atomic", json!(false)), ("/program_memberships/0/state", json!("ENROLLED"))],
        ),
        (
            MessageType::MembershipUpdateRequest,
            json!({"registrant": {"ids": [{"id_type": "N", "value": "1"}]}, "program": "CASH", "action": "EXIT",
                "exit_date": "2026-02-28", "reason": {"code": "moved"}, "expected_version": 3}),
            [("/registrant/reference", Value::Null), ("/reason/note", Value::Null)],
        ),
        (
            MessageType::GroupMembershipRequest,
            json!({"group": {"reference": "H", "kind": "GROUP"}, "mode": "REPLACE", "members": [
                {"individual": {"reference": "P", "kind": "INDIVIDUAL"}, "kinds": ["Head"], "ended_date": "2026-01-01"}]}),
            [("/members/0/start_date", Value::Null), ("/members/0/program_memberships", json!([]))],
        ),
    ] {
        let mut given = head.clone();
        given.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        assert_eq!(misfits(kind, &given), [], "{}", kind.name());
        let request = request_from_json(kind, given.clone()).unwrap();
        assert_eq!(request.message_type(), kind);
        let bytes = encode_json(kind, given.clone()).unwrap();
        assert_eq!(request.encode().unwrap(), bytes);
        let whole = decode_json(&Schemas::embedded(), &bytes).unwrap();
        assert_eq!((&whole["attempt"], &whole["batch"]), (&json!(1), &Value::Null));
        assert_eq!(whole["sent_at"], "2026-01-31T09:00:00.000Z");
        for (pointer, value) in filled {
            assert_eq!(whole.pointer(pointer), Some(&value), "{} {pointer}", kind.name());
        }
        // Everything that was given stands in the whole form as it was given.
        for (name, value) in body.as_object().unwrap() {
            assert!(holds(&whole[name], value), "{} {name}", kind.name());
        }
    }
}

/// Whether `whole` has all that `part` has.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(name, value)| whole.get(name).is_some_and(|whole| holds(whole, value))),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(a, b)| holds(a, b))
        }
        _ => whole == part,
    }
}

#[test]
fn misfits_of_updates_and_groups_are_found_as_deep_as_they_stand() {
    let pointers = |kind, value: Value| {
        let mut found: Vec<_> = misfits(kind, &value).into_iter().map(|m| m.pointer).collect();
        found.sort_unstable();
        found
    };
    let update = json!({
        "message_id": "m", "source": "s", "sent_at": "2026-01-31T09:00:00Z", "program": null,
        "registrant": {"kind": "GROUP", "ids": [{"id_type": "N", "value": "1", "expiry_date": "2030-01-01"}]},
        "action": "REVERT", "exit_date": {"date": "2026-01-31"}, "effective_date": 20_000,
        "reason": "moved", "expected_version": "1", "atomic": true,
    });
    assert_eq!(
        pointers(MessageType::MembershipUpdateRequest, update),
        [
            "/action",
            "/atomic",
            "/effective_date",
            "/exit_date",
            "/expected_version",
            "/program",
            "/reason",
            "/registrant/ids/0/expiry_date",
            "/registrant/kind",
        ]
    );
    let group = json!({
        "message_id": "m", "source": "s", "sent_at": "2026-01-31T09:00:00Z", "mode": "UNKNOWN",
        "group": {"reference": 7, "kind": "GROUP"}, "members": [
            {"individual": {"kind": "PERSON"}, "kinds": "Head", "start_date": "2026-13-01"},
            {"individual": {"kind": "INDIVIDUAL"}, "kinds": [1], "program_memberships": [{"state": "PAUSED"}]},
        ],
    });
    assert_eq!(
        pointers(MessageType::GroupMembershipRequest, group),
        [
            "/group/reference",
            "/members/0/individual/kind",
            "/members/0/kinds",
            "/members/0/start_date",
            "/members/1/kinds/0",
            "/members/1/program_memberships/0/program",
            "/members/1/program_memberships/0/state",
            "/mode",
        ]
    );
}
