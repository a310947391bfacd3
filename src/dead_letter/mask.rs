//! What is shown of a letter without naming anybody (P9): what is known to be no value of a person, and the shape of the
//! rest.

use crate::contract::MessageType;
use crate::contract::is_source;
use crate::contract::lines::is_batch_id;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Stands for a value that is not shown.
pub(super) const MASKED: &str = "***";

/// Fields of requests that say nothing of a person, if they have the form of a token: a sender can write anything into them.
/// Whatever else there is, also in versions to come, is masked.
const OPEN_FIELDS: [&str; 19] = [
    "type",
    "message_id",
    "source",
    "sent_at",
    "attempt",
    "batch_id",
    "total_count",
    "atomic",
    "program",
    "action",
    "mode",
    "state",
    "kind",
    "kinds",
    "id_type",
    "group_kind",
    "is_partial_group",
    "expected_version",
    "code",
];

/// Masks a request in plain JSON: its fields and lists stay, the values of persons do not.
pub(super) fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if OPEN_FIELDS.contains(&name.as_str()) {
                    mask_text(value);
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(mask),
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => *value = MASKED.into(),
    }
}

/// Masks in an open field what is no token.
fn mask_text(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(mask_text),
        Value::Object(_) => mask(value),
        Value::String(text) if !is_batch_id(text) => *value = MASKED.into(),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether the value of a header may be shown: of those that are known, and only if it has the form that it must have. A
/// sender can write anything into a header.
pub(super) fn is_open_header(name: &str, value: &str) -> bool {
    let of =
        |rule: fn(u8) -> bool| !value.is_empty() && value.len() <= 64 && value.bytes().all(rule);
    match name {
        "ce_specversion" => value == "1.0",
        "ce_id" | "ce_batchid" => is_batch_id(value),
        "ce_source" => is_source(value),
        "ce_time" => OffsetDateTime::parse(value, &Rfc3339).is_ok(),
        "ce_type" => MessageType::ALL.iter().any(|known| value == known.name()),
        "ce_dataschema" => of(|byte| byte.is_ascii_hexdigit()),
        "ce_sequence" => of(|byte| byte.is_ascii_digit()),
        "content-type" => ["application/avro", "application/octet-stream"].contains(&value),
        "traceparent" => of(|byte| byte.is_ascii_hexdigit() || byte == b'-'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_no_value_of_a_person_is_left() {
        let mut request = json!({
            "message_id": "m1", "attempt": 1, "actor": "clerk",
            "registrant": {"reference": "r1", "kind": "INDIVIDUAL", "name": "Seeded", "disabled": true, "email": null,
                           "ids": [{"id_type": "NIN", "value": "123", "expiry_date": "2030-01-01"}]},
            "program_memberships": [{"program": "CASH", "enrollment_date": "2026-01-31"}],
            "added_later": {"anything": "else"},
        });
        mask(&mut request);
        let expected = json!({
            "message_id": "m1", "attempt": 1, "actor": "***",
            "registrant": {"reference": "***", "kind": "INDIVIDUAL", "name": "***", "disabled": "***", "email": null,
                           "ids": [{"id_type": "NIN", "value": "***", "expiry_date": "***"}]},
            "program_memberships": [{"program": "CASH", "enrollment_date": "***"}],
            "added_later": {"anything": "***"},
        });
        assert_eq!(request, expected);
    }

    #[test]
    fn an_open_field_is_shown_in_the_form_of_a_token_only() {
        let mut request = json!({
            "sent_at": "2026-01-31T09:00:00.000Z", "attempt": 2, "program": "Maria da Silva",
            "kinds": ["Head", "Maria da Silva", {"name": "Maria"}], "code": null, "source": "maria@example.org",
            "id_type": {"kind": "NIN", "value": "123"}, "message_id": "+49 151 23",
        });
        mask(&mut request);
        let expected = json!({
            "sent_at": "2026-01-31T09:00:00.000Z", "attempt": 2, "program": "***",
            "kinds": ["Head", "***", {"name": "***"}], "code": null, "source": "***",
            "id_type": {"kind": "NIN", "value": "***"}, "message_id": "***",
        });
        assert_eq!(request, expected);
    }

    #[test]
    fn a_header_is_shown_in_its_own_form_only() {
        for (name, value) in [
            ("ce_specversion", "1.0"),
            ("ce_id", "9d2c4b7e-1"),
            ("ce_source", "registry"),
            ("ce_time", "2026-03-01T12:00:00Z"),
            ("ce_dataschema", "0707070707070707"),
            ("content-type", "application/avro"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ] {
            assert!(is_open_header(name, value), "{name}");
            assert!(!is_open_header(name, "Maria da Silva"), "{name}");
            assert!(!is_open_header("x-name", value));
        }
        for name in ["ce_type", "ce_sequence", "ce_specversion", "content-type", "ce_time"] {
            assert!(!is_open_header(name, "Maria"), "{name}");
        }
    }
}
