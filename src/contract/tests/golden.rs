//! Every golden message, both ways; what Rust writes is left for the other languages' readers.

use super::{Example, example, golden, root};
use crate::contract::wire::{
    BatchReceipt, EnrollmentRequest, GroupMembershipRequest, MembershipChanged, MembershipState,
    MembershipUpdateRequest, RequestResult,
};
use crate::contract::{Message, MessageType, Request, Schemas, decode_own, encode};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// JSON to type to bytes and JSON; `decode` is the way back that the worker takes.
fn both_ways<T: Message + PartialEq>(decode: impl Fn(&[u8]) -> Option<T>) {
    let mut written = Vec::new();
    for Example { name, value, bytes } in golden(T::TYPE) {
        let at = format!("{}: {name}", T::TYPE.name());
        let from_json: T =
            serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{at}: {e}"));
        let from_text: T = serde_json::from_str(&value.to_string()).unwrap();
        let from_bytes = decode(&bytes).unwrap_or_else(|| panic!("{at}: cannot be decoded"));
        assert!(from_json == from_bytes && from_text == from_bytes, "{at}: JSON and bytes differ");
        let encoded = encode(&from_json).unwrap();
        assert_eq!(hex::encode(&encoded), hex::encode(&bytes), "{at}");
        assert_eq!(serde_json::to_value(&from_bytes).unwrap(), value, "{at}");
        let mut terse = value.clone();
        drop_nulls(&mut terse);
        assert!(
            serde_json::from_value::<T>(terse).unwrap() == from_json,
            "{at}: nulls may be left out"
        );
        written.extend((encoded.len() as u32).to_be_bytes());
        written.extend(encoded);
    }
    let directory = root().join("target/golden-from-rust");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join(format!("{}.v1.bin", T::TYPE.name())), written).unwrap();
}

fn drop_nulls(value: &mut Json) {
    match value {
        Json::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Json::Array(elements) => elements.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn decode(bytes: &[u8]) -> Option<Request> {
    Schemas::embedded().decode(Some(bytes), 1_048_576).ok()
}

#[test]
fn enrollment_requests() {
    both_ways::<EnrollmentRequest>(|bytes| match decode(bytes)? {
        Request::Enrollment(request) => Some(*request),
        _ => None,
    });
}

#[test]
fn membership_update_requests() {
    both_ways::<MembershipUpdateRequest>(|bytes| match decode(bytes)? {
        Request::Update(request) => Some(*request),
        _ => None,
    });
}

#[test]
fn group_membership_requests() {
    both_ways::<GroupMembershipRequest>(|bytes| match decode(bytes)? {
        Request::Group(request) => Some(*request),
        _ => None,
    });
}

#[test]
fn published_messages() {
    both_ways::<RequestResult>(|bytes| decode_own(bytes).ok());
    both_ways::<MembershipChanged>(|bytes| decode_own(bytes).ok());
    both_ways::<MembershipState>(|bytes| decode_own(bytes).ok());
    both_ways::<BatchReceipt>(|bytes| decode_own(bytes).ok());
}

#[test]
fn unknown_fields_are_no_message() {
    for message in MessageType::ALL.into_iter().filter(|message| message.is_request()) {
        let mut value = example(message, "full").value;
        assert!(super::request(message, &value).is_some());
        value["colour"] = Json::from("red");
        assert!(super::request(message, &value).is_none(), "{}", message.name());
    }
    let mut value = super::full();
    value["registrant"]["colour"] = Json::from("red");
    assert!(super::request(MessageType::EnrollmentRequest, &value).is_none());
}

#[test]
fn own_messages_are_read_to_their_end() {
    let bytes = example(MessageType::RequestResult, "full").bytes;
    assert!(decode_own::<RequestResult>(&[bytes.as_slice(), b"\0"].concat()).is_err());
    assert!(decode_own::<RequestResult>(&bytes[..bytes.len() - 1]).is_err());
    assert!(decode_own::<MembershipState>(&bytes).is_err());
    assert!(decode_own::<RequestResult>(&[]).is_err());
}

#[test]
fn fingerprints_are_those_of_the_published_file() {
    let text = std::fs::read_to_string(root().join("schemas/fingerprints.json")).unwrap();
    let published: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
    let schemas = Schemas::embedded();
    let embedded: BTreeMap<_, _> = schemas
        .versions()
        .into_iter()
        .map(|version| {
            let name = format!("{}.v{}", version.message.name(), version.number);
            (name, hex::encode(version.fingerprint))
        })
        .collect();
    assert_eq!(embedded, published);
    for message in MessageType::ALL {
        assert_eq!(MessageType::parse(message.name()), Some(message));
        let schema = apache_avro::Schema::parse_str(super::embedded_text(message)).unwrap();
        let own = schema.fingerprint::<apache_avro::rabin::Rabin>().bytes;
        let alias: [u8; 8] = own.try_into().unwrap();
        let version = schemas.version(&alias).expect("what apache-avro writes into headers");
        assert_eq!(version.message, message);
    }
}

#[test]
fn senders_with_apache_avro_are_understood() {
    let Example { bytes, .. } = example(MessageType::EnrollmentRequest, "full");
    let text = super::embedded_text(MessageType::EnrollmentRequest);
    let schema = apache_avro::Schema::parse_str(text).unwrap();
    let alias = schema.fingerprint::<apache_avro::rabin::Rabin>().bytes;
    assert_ne!(alias, bytes[2..10], "apache-avro got it right: the aliases can go");
    let theirs = [&bytes[..2], &alias, &bytes[10..]].concat();
    assert!(decode(&theirs) == decode(&bytes) && decode(&theirs).is_some());
}
