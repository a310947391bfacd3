//! Tests of bytes, limits and fingerprints.

mod content;
mod dates;
mod evolution;
mod golden;
mod letters;
mod limits;
mod published;
mod refused;
mod shard;

use super::schemas::MessageType;
use super::wire::{EnrollmentRequest, GroupMembershipRequest, MembershipUpdateRequest};
use super::{Dates, Request, embedded_text};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// A line of a golden file.
struct Example {
    name: String,
    value: Json,
    bytes: Vec<u8>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn golden(message: MessageType) -> Vec<Example> {
    let path = root().join(format!("schemas/golden/{}.v1.jsonl", message.name()));
    let text = std::fs::read_to_string(path).unwrap();
    // `lines()` would also take U+0085 and the like only in other languages; the files are cut at `\n` alone.
    let examples: Vec<_> = text
        .split('\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            let line: Json = serde_json::from_str(line).unwrap();
            Example {
                name: line["name"].as_str().unwrap().to_owned(),
                value: line["value"].clone(),
                bytes: hex::decode(line["hex"].as_str().unwrap()).unwrap(),
            }
        })
        .collect();
    assert!(examples.len() >= 3, "{}", message.name());
    examples
}

fn example(message: MessageType, name: &str) -> Example {
    golden(message).into_iter().find(|example| example.name == name).unwrap()
}

/// The fullest example of an enrollment, as JSON.
fn full() -> Json {
    example(MessageType::EnrollmentRequest, "full").value
}

fn enrollment(value: &Json) -> EnrollmentRequest {
    serde_json::from_value(value.clone()).unwrap()
}

/// The request in plain JSON, if it is one.
fn request(message: MessageType, value: &Json) -> Option<Request> {
    let value = value.clone();
    Some(match message {
        MessageType::EnrollmentRequest => {
            Request::Enrollment(serde_json::from_value::<Box<EnrollmentRequest>>(value).ok()?)
        }
        MessageType::MembershipUpdateRequest => {
            Request::Update(serde_json::from_value::<Box<MembershipUpdateRequest>>(value).ok()?)
        }
        MessageType::GroupMembershipRequest => {
            Request::Group(serde_json::from_value::<Box<GroupMembershipRequest>>(value).ok()?)
        }
        _ => unreachable!("no request"),
    })
}

/// `dates.time_zone` and the shipped `dates.max_future`.
fn dates(time_zone: &str) -> Dates {
    Dates {
        time_zone: jiff::tz::TimeZone::get(time_zone).unwrap(),
        max_future: time::Duration::days(366),
    }
}

/// The schema of a message, to be changed.
fn schema_json(message: MessageType) -> Json {
    serde_json::from_str(embedded_text(message)).unwrap()
}
