//! What cannot be read becomes a letter with class, stage and code; never a panic, never half a request.

use super::{dates, example};
use crate::contract::wire::Millis;
use crate::contract::{Intake, MessageType, Request, Schemas, Unreadable, named_fingerprint, take};
use crate::domain::Command;
use proptest::prelude::*;
use std::sync::LazyLock;
use time::macros::datetime;

const MAX: usize = 1_048_576;
static SCHEMAS: LazyLock<Schemas> = LazyLock::new(Schemas::embedded);

fn refusal(value: Option<&[u8]>) -> (&'static str, &'static str, &'static str) {
    let Unreadable { class, stage, code, detail } = SCHEMAS.decode(value, MAX).unwrap_err();
    assert!(!detail.is_empty());
    (class.as_str(), stage.as_str(), code)
}

fn full() -> Vec<u8> {
    example(MessageType::EnrollmentRequest, "full").bytes
}

#[test]
fn frames() {
    let full = full();
    let empty = ("empty_payload", "frame", "empty_payload");
    assert_eq!(refusal(None), empty);
    assert_eq!(refusal(Some(b"")), empty);
    let magic = ("undecodable", "frame", "unknown_magic");
    for bytes in
        [&b"{\"source\": 1}"[..], b"\0\0\0\0\x07abc", b"x", b"\xC3\x02abcdefghij", b"Obj\x01"]
    {
        assert_eq!(refusal(Some(bytes)), magic);
    }
    for length in 1..10 {
        let short = ("undecodable", "frame", "short_header");
        assert_eq!(refusal(Some(&full[..length])), short, "{length}");
    }
    let letter = SCHEMAS.decode(Some(&full), full.len() - 1).unwrap_err();
    assert_eq!((letter.class.as_str(), letter.stage.as_str()), ("too_large", "frame"));
    assert!(SCHEMAS.decode(Some(&full), full.len()).is_ok());
}

#[test]
fn schemas() {
    let mut unknown = full();
    unknown[5] ^= 1;
    assert_eq!(refusal(Some(&unknown)), ("unknown_schema", "schema", "unknown_fingerprint"));
    assert_eq!(
        named_fingerprint(&unknown).as_ref().map(<[u8; 8]>::as_slice),
        Some(&unknown[2..10])
    );
    assert_eq!(named_fingerprint(&unknown[..9]), None);
    assert_eq!(named_fingerprint(b"0123456789abcdef"), None);
    for message in MessageType::ALL.into_iter().filter(|message| !message.is_request()) {
        let bytes = example(message, "full").bytes;
        assert_eq!(refusal(Some(&bytes)), ("unknown_schema", "schema", "not_a_request"));
    }
}

#[test]
fn truncated_anywhere_or_too_long() {
    for message in MessageType::ALL.into_iter().filter(|message| message.is_request()) {
        let bytes = example(message, "full").bytes;
        for length in 10..bytes.len() {
            let damaged = ("undecodable", "decode", "invalid_avro");
            assert_eq!(refusal(Some(&bytes[..length])), damaged, "{} {length}", message.name());
        }
        for tail in [&b"\0"[..], b"\0\0\0\0\0\0\0\0\0\0\0", &bytes] {
            let longer = [bytes.as_slice(), tail].concat();
            assert_eq!(refusal(Some(&longer)), ("undecodable", "decode", "trailing_bytes"));
        }
    }
}

#[test]
fn damaged_anywhere() {
    let bytes = full();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            // Some flips make another valid request (a letter of a name); none may panic or hang.
            drop(SCHEMAS.decode(Some(&damaged), MAX));
        }
    }
}

/// A zigzag varint as Avro writes longs.
pub(super) fn long(value: i64) -> Vec<u8> {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

#[test]
fn counts_and_lengths_that_cannot_be() {
    let minimal = example(MessageType::EnrollmentRequest, "minimal").bytes;
    let (all_but_last, last) = minimal.split_at(minimal.len() - 1);
    assert_eq!(last, [0], "the end of `program_memberships`");
    let damaged = ("undecodable", "decode", "invalid_avro");
    for count in [1, 1 << 20, 1 << 31, 1 << 40, i64::MAX, i64::MAX - 1, -(1 << 40), i64::MIN, -1] {
        // A count of elements, alone and as a block of a size that is not there either.
        let counted = [all_but_last, &long(count)].concat();
        assert_eq!(refusal(Some(&counted)), damaged, "{count}");
        let sized = [all_but_last, &long(count), &long(1 << 40)].concat();
        assert_eq!(refusal(Some(&sized)), damaged, "{count}");
        // The length of `message_id`, the first field.
        let named = [&minimal[..10], &long(count), &minimal[11..]].concat();
        assert_ne!(long(count), minimal[10..11]);
        assert!(SCHEMAS.decode(Some(&named), MAX).is_err(), "{count}");
    }
    // A varint that never ends.
    let endless = [all_but_last, &[0xff; 40]].concat();
    assert_eq!(refusal(Some(&endless)), damaged);
}

#[test]
fn blocks_with_a_size_are_read() {
    let minimal = example(MessageType::EnrollmentRequest, "minimal").bytes;
    let item = [&b"\x08cash"[..], b"\x02", b"\0"].concat();
    let start = &minimal[..minimal.len() - 1];
    let plain = [start, &long(1), &item, &[0]].concat();
    let sized = [start, &long(-1), &long(item.len() as i64), &item, &[0]].concat();
    let (plain, sized) = (SCHEMAS.decode(Some(&plain), MAX), SCHEMAS.decode(Some(&sized), MAX));
    assert!(plain == sized);
    let Ok(Request::Enrollment(request)) = plain else { panic!("not decoded") };
    assert_eq!(request.program_memberships.len(), 1);
}

#[test]
fn text_must_be_utf_8() {
    let minimal = example(MessageType::EnrollmentRequest, "minimal").bytes;
    let mut broken = minimal;
    broken[11] = 0xff;
    assert_eq!(refusal(Some(&broken)), ("undecodable", "decode", "invalid_avro"));
}

#[test]
fn the_schema_decides_the_type() {
    let mut commands = Vec::new();
    for message in MessageType::ALL.into_iter().filter(|message| message.is_request()) {
        let bytes = example(message, "full").bytes;
        let at = datetime!(2026-02-01 0:00 UTC);
        let Intake::Command { meta, command, .. } =
            take(&SCHEMAS, (Some(bytes.as_slice()), false), MAX, at, &dates("UTC"))
        else {
            panic!("{} is no command", message.name())
        };
        assert_eq!((meta.source.as_str(), meta.recorded_at), ("civil-registry", at));
        commands.push(match command {
            Command::Enroll(_) => MessageType::EnrollmentRequest,
            Command::Update(_) => MessageType::MembershipUpdateRequest,
            Command::Group(_) => MessageType::GroupMembershipRequest,
        });
    }
    assert_eq!(commands, MessageType::ALL[..3]);
}

#[test]
fn times_out_of_reach_are_faults() {
    for millis in [i64::MIN, i64::MAX, 0, -1, 253_402_300_799_999] {
        let time = Millis(millis).time();
        assert_eq!(time.is_some(), (-1..=0).contains(&millis), "{millis}");
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(garbage in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(SCHEMAS.decode(Some(&garbage), MAX));
        for message in MessageType::ALL {
            let version = SCHEMAS.versions().into_iter().find(|v| v.message == message).unwrap();
            let bytes = [&[0xC3, 0x01], version.fingerprint.as_slice(), &garbage].concat();
            drop(SCHEMAS.decode(Some(&bytes), MAX));
        }
    }

    #[test]
    fn spliced_messages_never_panic(at in 10_usize..200, cut in 0_usize..20, put in prop::collection::vec(any::<u8>(), 0..20)) {
        let full = full();
        let spliced = [&full[..at], &put, &full[(at + cut).min(full.len())..]].concat();
        let at = datetime!(2026-02-01 0:00 UTC);
        let _ = take(&SCHEMAS, (Some(spliced.as_slice()), false), MAX, at, &dates("UTC"));
    }
}
