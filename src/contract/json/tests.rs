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
