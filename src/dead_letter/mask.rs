//! What is shown of a letter without naming anybody (P9): what is known to be no value of a person, and the shape of the
//! rest.

use serde_json::Value;

/// Stands for a value that is not shown.
pub(super) const MASKED: &str = "***";

/// Fields of requests that say nothing of a person. Whatever else there is, also in versions to come, is masked.
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

/// Headers that say nothing of a person.
const OPEN_HEADERS: [&str; 10] = [
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_time",
    "ce_batchid",
    "ce_dataschema",
    "ce_sequence",
    "content-type",
    "traceparent",
];

/// Masks a request in plain JSON: its fields and lists stay, the values of persons do not.
pub(super) fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if !OPEN_FIELDS.contains(&name.as_str()) {
                    mask(value);
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(mask),
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => *value = MASKED.into(),
    }
}

/// Whether the value of a header may be shown.
pub(super) fn is_open_header(name: &str) -> bool {
    OPEN_HEADERS.contains(&name)
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
        assert!(is_open_header("ce_id") && !is_open_header("x-name"));
    }
}
