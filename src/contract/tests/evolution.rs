//! Senders with another version of a schema: resolved by their own, never read with ours.

use super::{dates, example, schema_json};
use crate::contract::wire::{
    EnrollmentRequest, MembershipState, RegistrantKind, RequestResult, RequestedState,
};
use crate::contract::{Fingerprint, Intake, MessageType, Request, SchemaError, Schemas, take};
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use serde_json::{Value as Json, json};
use time::macros::datetime;

const FILE: &str = "EnrollmentRequest.v2.avsc";

/// Version 2: a new field with a default, no `actor`, a new kind of registrant.
fn second() -> Json {
    let mut schema = schema_json(MessageType::EnrollmentRequest);
    let fields = schema["fields"].as_array_mut().unwrap();
    fields.retain(|field| field["name"] != "actor");
    fields.insert(2, json!({"name": "priority", "type": "int", "default": 5, "doc": "New."}));
    let symbols = find_enum(&mut schema, "RegistrantKind").unwrap();
    symbols.push("COMPANY".into());
    schema
}

fn find_enum<'a>(schema: &'a mut Json, name: &str) -> Option<&'a mut Vec<Json>> {
    if schema["type"] == "enum" && schema["name"] == name {
        return schema["symbols"].as_array_mut();
    }
    match schema {
        Json::Object(fields) => fields.values_mut().find_map(|field| find_enum(field, name)),
        Json::Array(elements) => elements.iter_mut().find_map(|element| find_enum(element, name)),
        _ => None,
    }
}

/// The full example written with `text`, after `change`.
fn written(
    text: &str,
    fingerprint: Fingerprint,
    change: impl Fn(&mut Vec<(String, Value)>),
) -> Vec<u8> {
    let first =
        Schema::parse_str(&schema_json(MessageType::EnrollmentRequest).to_string()).unwrap();
    let second = Schema::parse_str(text).unwrap();
    let bytes = example(MessageType::EnrollmentRequest, "full").bytes;
    let reader = GenericDatumReader::builder(&first).reader_schema(&second).build().unwrap();
    let mut value = reader.read_value(&mut &bytes[10..]).unwrap();
    let Value::Record(fields) = &mut value else { panic!("no record") };
    change(fields);
    let writer = GenericDatumWriter::builder(&second).build().unwrap();
    let body = writer.write_value_to_vec(value).unwrap();
    [&[0xC3, 0x01], fingerprint.as_slice(), &body].concat()
}

fn field<'a>(fields: &'a mut [(String, Value)], name: &str) -> &'a mut Value {
    &mut fields.iter_mut().find(|(field, _)| field == name).unwrap().1
}

fn decoded(schemas: &Schemas, bytes: &[u8]) -> EnrollmentRequest {
    match schemas.decode(Some(bytes), 1_048_576) {
        Ok(Request::Enrollment(request)) => *request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_second_version_is_resolved() {
    let text = second().to_string();
    let mut schemas = Schemas::embedded();
    let fingerprint = schemas.add(FILE, &text).unwrap();
    let version = schemas.version(&fingerprint).unwrap();
    assert_eq!((version.message, version.number), (MessageType::EnrollmentRequest, 2));

    let mut expected = decoded(&schemas, &example(MessageType::EnrollmentRequest, "full").bytes);
    expected.actor = None;
    let bytes = written(&text, fingerprint, |fields| {
        *field(fields, "priority") = Value::Int(9);
    });
    assert!(decoded(&schemas, &bytes) == expected);

    // A worker that does not have the version keeps the record as a letter, to be replayed.
    let letter = Schemas::embedded().decode(Some(&bytes), 1_048_576).unwrap_err();
    assert_eq!((letter.class.as_str(), letter.code), ("unknown_schema", "unknown_fingerprint"));

    for length in 10..bytes.len() {
        let cut = schemas.decode(Some(&bytes[..length]), 1_048_576).unwrap_err();
        assert_eq!(cut.code, "invalid_avro", "{length}");
    }
    let longer = [bytes.as_slice(), b"\0"].concat();
    assert_eq!(schemas.decode(Some(&longer), 1_048_576).unwrap_err().code, "trailing_bytes");
}

#[test]
fn a_new_symbol_is_unknown_and_refused() {
    let text = second().to_string();
    let mut schemas = Schemas::embedded();
    let fingerprint = schemas.add(FILE, &text).unwrap();
    let bytes = written(&text, fingerprint, |fields| {
        let Value::Record(registrant) = field(fields, "registrant") else { panic!("no record") };
        *field(registrant, "kind") = Value::Enum(3, "COMPANY".to_owned());
    });
    assert_eq!(decoded(&schemas, &bytes).registrant.kind, RegistrantKind::Unknown);
    let at = datetime!(2026-02-01 0:00 UTC);
    let Intake::Refused(refused) =
        take(&schemas, (Some(bytes.as_slice()), false), 1_048_576, at, &dates("UTC"))
    else {
        panic!("not refused")
    };
    assert_eq!(refused.faults.len(), 1);
    assert_eq!(refused.faults[0].pointer, "/registrant/kind");
    assert_eq!(refused.faults[0].reason.code(), "rjct.field.invalid");
}

#[test]
fn a_version_without_a_field_of_ours_gets_its_default() {
    let mut schema = schema_json(MessageType::EnrollmentRequest);
    let dropped = ["attempt", "atomic", "batch", "program_memberships"];
    let fields = schema["fields"].as_array_mut().unwrap();
    fields.retain(|field| !dropped.iter().any(|name| field["name"] == *name));
    let text = schema.to_string();
    let mut schemas = Schemas::embedded();
    let fingerprint = schemas.add("EnrollmentRequest.v0.avsc", &text).unwrap();
    let request = decoded(&schemas, &written(&text, fingerprint, |_| {}));
    assert_eq!((request.attempt, request.atomic, request.batch), (1, false, None));
    assert_eq!(request.program_memberships, []);
    assert_eq!(request.actor.as_deref(), Some("clerk-12"));
}

#[test]
fn a_dropped_state_is_enrolled() {
    let mut schema = schema_json(MessageType::EnrollmentRequest);
    let items = schema["fields"].as_array_mut().unwrap();
    let memberships = items.iter_mut().find(|f| f["name"] == "program_memberships").unwrap();
    let fields = memberships["type"]["items"]["fields"].as_array_mut().unwrap();
    fields.retain(|field| field["name"] != "state");
    let text = schema.to_string();
    let mut schemas = Schemas::embedded();
    let fingerprint = schemas.add(FILE, &text).unwrap();
    let request = decoded(&schemas, &written(&text, fingerprint, |_| {}));
    assert!(!request.program_memberships.is_empty());
    assert!(request.program_memberships.iter().all(|m| m.state == RequestedState::Enrolled));
}

#[test]
fn what_cannot_be_read_as_ours_is_not_added() {
    let mut schemas = Schemas::embedded();
    let refused = |schemas: &mut Schemas, schema: &Json| {
        let SchemaError::Unusable { file, problem } =
            schemas.add(FILE, &schema.to_string()).unwrap_err();
        assert_eq!(file, FILE);
        assert!(!problem.is_empty());
    };
    refused(&mut schemas, &json!("no schema"));
    refused(&mut schemas, &json!({"type": "record", "name": "Other", "fields": []}));
    refused(&mut schemas, &json!("string"));
    let mut without_id = schema_json(MessageType::EnrollmentRequest);
    without_id["fields"].as_array_mut().unwrap().retain(|field| field["name"] != "message_id");
    refused(&mut schemas, &without_id);
    let mut other_type = schema_json(MessageType::EnrollmentRequest);
    other_type["fields"][0]["type"] = json!("int");
    refused(&mut schemas, &other_type);
    assert_eq!(schemas.versions().len(), MessageType::ALL.len());
    // The same schema again, however it is laid out, is the version that is there already.
    let again = schema_json(MessageType::EnrollmentRequest).to_string();
    let fingerprint = schemas.add(FILE, &again).unwrap();
    assert_eq!(schemas.version(&fingerprint).unwrap().number, 1);
    assert_eq!(schemas.versions().len(), MessageType::ALL.len());
}

#[test]
fn a_result_that_another_release_stored_is_read() {
    let mut schema = schema_json(MessageType::RequestResult);
    let fields = schema["fields"].as_array_mut().unwrap();
    fields.retain(|field| field["name"] != "batch_id");
    fields.insert(1, json!({"name": "node", "type": "string", "default": "", "doc": "New."}));
    let text = schema.to_string();
    let mut schemas = Schemas::embedded();
    let fingerprint = schemas.add("RequestResult.v2.avsc", &text).unwrap();

    let stored = example(MessageType::RequestResult, "full").bytes;
    let ours: RequestResult = schemas.decode_stored(&stored).unwrap();
    let first = Schema::parse_str(&schema_json(MessageType::RequestResult).to_string()).unwrap();
    let second = Schema::parse_str(&text).unwrap();
    let reader = GenericDatumReader::builder(&first).reader_schema(&second).build().unwrap();
    let value = reader.read_value(&mut &stored[10..]).unwrap();
    let writer = GenericDatumWriter::builder(&second).build().unwrap();
    let body = writer.write_value_to_vec(value).unwrap();
    let theirs = [&[0xC3, 0x01], fingerprint.as_slice(), &body].concat();
    assert!(ours.batch_id.is_some());
    let read: RequestResult = schemas.decode_stored(&theirs).unwrap();
    assert!(read == RequestResult { batch_id: None, ..ours });

    assert!(Schemas::embedded().decode_stored::<RequestResult>(&theirs).is_err(), "not known");
    assert!(schemas.decode_stored::<MembershipState>(&theirs).is_err(), "another message");
    assert!(schemas.decode_stored::<RequestResult>(&theirs[..theirs.len() - 1]).is_err());
    assert!(schemas.decode_stored::<RequestResult>(&theirs[..9]).is_err());
}
