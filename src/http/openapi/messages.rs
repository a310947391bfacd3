//! The messages of the contract as JSON Schema, made from their Avro schemas: what there is said once is said here too.

use crate::contract::{MessageType, embedded_text};
use serde_json::{Map, Value, json};

/// Fields of requests that headers, token and clock say.
const OF_HEADERS: [&str; 5] = ["message_id", "source", "sent_at", "attempt", "actor"];

/// Any text that Postgres takes.
const NO_NUL: &str = "^[^\\u0000]*$";

/// The schemas of all bodies of writes, and of their answer.
pub(super) fn components() -> Map<String, Value> {
    let mut schemas = Map::new();
    let enrollment = record(MessageType::EnrollmentRequest, &mut schemas, false);
    let group = record(MessageType::GroupMembershipRequest, &mut schemas, false);
    let update = record(MessageType::MembershipUpdateRequest, &mut schemas, false);
    let result = record(MessageType::RequestResult, &mut schemas, true);
    // What happened to a membership stands in histories too; all else of an event has its own form there.
    let mut of_events = Map::new();
    record(MessageType::MembershipChanged, &mut of_events, true);
    schemas.extend(of_events.remove_entry("Change"));
    let membership = json!({
        "type": "object",
        "description": "A registrant (with its `kind` it may be new) and a program",
        "properties": {
            "registrant": {"anyOf": [reference("RegistrantInfo"), reference("RegistrantRef")]},
            "program": {"type": "string", "minLength": 1, "maxLength": 1_000, "pattern": NO_NUL},
            "state": {"enum": ["ENROLLED", "DRAFT"], "default": "ENROLLED"},
            "enrollment_date": {"type": ["string", "null"], "format": "date"},
            "batch": {"anyOf": [reference("BatchRef"), {"type": "null"}]},
        },
        "required": ["registrant", "program"],
        "additionalProperties": false,
        "examples": [{"registrant": {"reference": "R-1"}, "program": "CASH", "enrollment_date": "2026-03-01"}],
    });
    let mut action = without(update, &["registrant", "program", "expected_version"]);
    if let Some(symbols) = schemas.get("Action").and_then(|a| a["enum"].as_array()).cloned() {
        let symbols: Vec<_> = symbols.into_iter().filter(|symbol| symbol != "REMOVE").collect();
        action["properties"]["action"] = json!({ "enum": symbols });
    }
    action["examples"] = json!([{"action": "PAUSE", "reason": {"code": "ABSENT"}}]);
    let mut registrant = without(enrollment, &[]);
    registrant["examples"] = json!([{
        "registrant": {"kind": "INDIVIDUAL", "reference": "R-1", "given_name": "Ana"},
        "program_memberships": [{"program": "CASH", "enrollment_date": "2026-03-01"}],
    }]);
    let mut household = without(group, &[]);
    household["examples"] = json!([{
        "group": {"kind": "GROUP", "reference": "H-1"},
        "mode": "MERGE",
        "members": [{"individual": {"kind": "INDIVIDUAL", "reference": "R-1"}, "kinds": ["Head"]}],
        "program_memberships": [{"program": "HOUSE"}],
    }]);
    schemas.extend([
        ("RegistrantRequest".to_owned(), registrant),
        ("GroupRequest".to_owned(), household),
        ("MembershipRequest".to_owned(), membership),
        ("ActionRequest".to_owned(), action),
        ("RequestResult".to_owned(), result),
    ]);
    schemas
}

/// A message without what headers say, and without `more`.
fn without(mut message: Value, more: &[&str]) -> Value {
    let gone = |name: &str| OF_HEADERS.contains(&name) || more.contains(&name);
    if let Some(properties) = message.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| !gone(name));
    }
    if let Some(required) = message.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| !name.as_str().is_some_and(gone));
    }
    message
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// A message; the records and enums in it go to `schemas`. Of what is `answered` every field is there.
fn record(message: MessageType, schemas: &mut Map<String, Value>, answered: bool) -> Value {
    let avro: Value = serde_json::from_str(embedded_text(message)).unwrap_or_default();
    fields(&avro, schemas, answered)
}

fn fields(avro: &Value, schemas: &mut Map<String, Value>, answered: bool) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in avro["fields"].as_array().into_iter().flatten() {
        let name = field["name"].as_str().unwrap_or_default();
        let mut schema = schema(&field["type"], schemas, answered);
        limit(name, &mut schema, answered);
        if let (Some(doc), Some(schema)) = (field.get("doc"), schema.as_object_mut()) {
            schema.insert("description".to_owned(), doc.clone());
        }
        let default = field.get("default");
        if answered || default.is_none() {
            required.push(Value::from(name));
        } else if let (Some(default), Some(schema)) =
            (default.filter(|default| !default.is_null()), schema.as_object_mut())
        {
            schema.insert("default".to_owned(), default.clone());
        }
        properties.insert(name.to_owned(), schema);
    }
    let mut object = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    if let Some(doc) = avro.get("doc") {
        object["description"] = doc.clone();
    }
    object
}

/// The limits of texts (design: reference and id value 1 to 255 characters, ids of batches, other text up to 1,000).
fn limit(name: &str, schema: &mut Value, answered: bool) {
    if answered {
        return;
    }
    match name {
        "ids" | "phone_numbers" | "clear" | "kinds" => schema["maxItems"] = 100.into(),
        "total_count" => schema["minimum"] = 0.into(),
        _ => {}
    }
    if name == "kinds" {
        schema["items"] =
            json!({"type": "string", "minLength": 1, "maxLength": 1_000, "pattern": NO_NUL});
    }
    let text = schema["type"] == "string" || schema["type"] == json!(["string", "null"]);
    if !text || schema.get("format").is_some() {
        return;
    }
    let (least, most) = match name {
        "reference" | "value" | "id_type" => (1, 255),
        "batch_id" => (1, 99),
        "source" => (1, 64),
        "program" | "phone_no" => (1, 1_000),
        _ => (0, 1_000),
    };
    schema["minLength"] = least.into();
    schema["maxLength"] = most.into();
    if name == "batch_id" {
        schema["pattern"] = "^[A-Za-z0-9._~:-]+$".into();
    } else if name == "source" {
        schema["pattern"] = "^[A-Za-z0-9._~-]+$".into();
    } else {
        schema["pattern"] = NO_NUL.into();
    }
}

fn schema(avro: &Value, schemas: &mut Map<String, Value>, answered: bool) -> Value {
    match avro {
        Value::Array(branches) => {
            let Some(branch) = branches.iter().find(|branch| *branch != "null") else {
                return json!({"type": "null"});
            };
            let mut inner = schema(branch, schemas, answered);
            match inner.get("type").cloned() {
                Some(Value::String(name)) => {
                    inner["type"] = json!([name, "null"]);
                    inner
                }
                _ => json!({"anyOf": [inner, {"type": "null"}]}),
            }
        }
        Value::String(name) => match name.as_str() {
            "string" => json!({"type": "string"}),
            "boolean" => json!({"type": "boolean"}),
            "int" => json!({"type": "integer", "format": "int32"}),
            "long" => json!({"type": "integer", "format": "int64"}),
            "bytes" => json!({"type": "string", "pattern": "^([0-9a-f]{2})*$"}),
            named => reference(named.rsplit('.').next().unwrap_or(named)),
        },
        Value::Object(object) => {
            let name = object.get("name").and_then(Value::as_str).unwrap_or_default();
            match (object["type"].as_str(), object.get("logicalType").and_then(Value::as_str)) {
                (Some("record"), _) => {
                    let record = fields(avro, schemas, answered);
                    schemas.entry(name).or_insert(record);
                    reference(name)
                }
                (Some("enum"), _) => {
                    let symbols = object["symbols"].as_array().into_iter().flatten();
                    let symbols: Vec<_> = symbols.filter(|symbol| *symbol != "UNKNOWN").collect();
                    schemas.entry(name).or_insert(json!({ "enum": symbols }));
                    reference(name)
                }
                (Some("array"), _) => {
                    json!({"type": "array", "items": schema(&object["items"], schemas, answered)})
                }
                (_, Some("date")) => json!({"type": "string", "format": "date"}),
                (_, Some("timestamp-millis")) => json!({"type": "string", "format": "date-time"}),
                _ => schema(&object["type"], schemas, answered),
            }
        }
        _ => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_the_messages_without_what_headers_say() {
        let schemas = components();
        let registrant = &schemas["RegistrantRequest"];
        assert_eq!(registrant["required"], json!(["registrant"]));
        assert!(registrant["properties"].get("message_id").is_none());
        let info = &registrant["properties"]["registrant"]["$ref"];
        assert_eq!(*info, reference("RegistrantInfo")["$ref"]);
        let action = &schemas["ActionRequest"]["properties"];
        assert!(action.get("program").is_none());
        assert!(!action["action"]["enum"].as_array().unwrap().contains(&json!("REMOVE")));
        assert_eq!(schemas["RegistrantInfo"]["properties"]["birthdate"]["format"], "date");
        assert!(schemas["RequestResult"]["required"].as_array().unwrap().len() > 10);
        // Every reference leads somewhere.
        let text = Value::Object(schemas.clone()).to_string();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name}");
        }
    }
}
