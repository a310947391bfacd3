//! What apache-avro's ways between bytes and types cost: by way of its `Value`, straight through serde (what Rollcall
//! does), and with resolution from another version.
//!
//! `cargo bench --bench avro`; see `docs/decisions/0004-avro-path.md`.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Schema, from_value, to_value};
use rollcall::contract::wire::{EnrollmentRequest, MembershipChanged};
use rollcall::contract::{MessageType, embedded_text};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// As large as most: one identifier, one phone number, one program.
const ENROLLMENT: &str = r#"{
    "message_id": "2026-02-000123", "source": "civil-registry", "sent_at": "2026-01-31T09:30:00.123Z",
    "batch": {"batch_id": "b-2026-02", "total_count": 2000},
    "registrant": {"reference": "P-0012345", "kind": "INDIVIDUAL",
        "ids": [{"id_type": "NATIONAL_ID", "value": "AB1234567"}],
        "name": "Amina Yusuf Okello", "given_name": "Amina", "family_name": "Okello", "gender": "Female",
        "birthdate": "1984-02-29", "payment_address": "momo:256700000001",
        "phone_numbers": [{"phone_no": "+256700000001"}]},
    "program_memberships": [{"program": "cash-2026", "enrollment_date": "2026-02-01"}]}"#;

/// The event of that enrollment.
const CHANGED: &str = r#"{
    "event_id": "28f9b46a-446e-5e8c-8dc8-ebf4f9906427", "membership_id": "019c1363-4f9c-8f8d-beb1-176a6e0d2ff7",
    "version": 1, "change": "ENROLLED", "state": "ENROLLED", "spell": 1,
    "program": {"program_id": "ca90628f-9019-5e42-94de-a4bce01064b6", "code": "cash-2026", "name": "Cash 2026"},
    "registrant": {"registrant_id": "019c1363-4f9c-887b-9122-c2354848e028", "kind": "INDIVIDUAL",
        "source": "civil-registry", "reference": "P-0012345", "ids": [{"id_type": "NATIONAL_ID", "value": "AB1234567"}]},
    "payee": {"registrant_id": "019c1363-4f9c-887b-9122-c2354848e028", "kind": "INDIVIDUAL",
        "source": "civil-registry", "reference": "P-0012345", "ids": [{"id_type": "NATIONAL_ID", "value": "AB1234567"}],
        "payment_address": "momo:256700000001", "disabled": false},
    "enrollment_date": "2026-02-01", "effective_date": "2026-02-01", "source": "civil-registry",
    "message_id": "2026-02-000123", "batch_id": "b-2026-02",
    "occurred_at": "2026-01-31T09:30:00.123Z", "recorded_at": "2026-01-31T09:30:02.250Z"}"#;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    println!("{:<20} {:<28} {:>9} {:>7}", "message", "way", "µs/record", "ratio");
    measure::<EnrollmentRequest>(MessageType::EnrollmentRequest, ENROLLMENT)?;
    measure::<MembershipChanged>(MessageType::MembershipChanged, CHANGED)
}

fn measure<T: Serialize + DeserializeOwned>(
    message: MessageType,
    json: &str,
) -> Result<(), Failure> {
    let schema = Schema::parse_str(embedded_text(message))?;
    let mut other: serde_json::Value = serde_json::from_str(embedded_text(message))?;
    if let Some(fields) = other["fields"].as_array_mut() {
        fields.push(serde_json::json!({"name": "added", "type": "int", "default": 0}));
    }
    let other = Schema::parse_str(&other.to_string())?;

    let typed: T = serde_json::from_str(json)?;
    let plain = GenericDatumReader::builder(&schema).human_readable(false).build()?;
    let resolving = GenericDatumReader::builder(&other).reader_schema(&schema).build()?;
    let writer = GenericDatumWriter::builder(&schema).human_readable(false).build()?;
    let bytes = writer.write_ser_to_vec(&typed)?;
    let mut foreign = bytes.clone();
    foreign.push(0);

    let straight = time(|| plain.read_deser::<T>(&mut black_box(&bytes[..])).is_ok());
    let by_value = time(|| {
        let value = plain.read_value(&mut black_box(&bytes[..]));
        value.and_then(|value| from_value::<T>(&value)).is_ok()
    });
    let resolved = time(|| {
        let value = resolving.read_value(&mut black_box(&foreign[..]));
        value.and_then(|value| from_value::<T>(&value)).is_ok()
    });
    let again = time(|| {
        let value = resolving.read_value(&mut black_box(&foreign[..]));
        let ours = value.and_then(|value| writer.write_value_to_vec(value));
        ours.and_then(|ours| plain.read_deser::<T>(&mut &ours[..])).is_ok()
    });
    let written = time(|| writer.write_ser_to_vec(black_box(&typed)).is_ok());
    let written_by_value = time(|| {
        let value = to_value(black_box(&typed)).and_then(|value| value.resolve(&schema));
        value.and_then(|value| writer.write_value_to_vec(value)).is_ok()
    });
    let name = message.name();
    println!("{name}: {} bytes", bytes.len());
    for (way, took, base) in [
        ("decode: serde", straight, straight),
        ("decode: Value, from_value", by_value, straight),
        ("resolve: Value, from_value", resolved, straight),
        ("resolve: Value, bytes, serde", again, straight),
        ("encode: serde", written, written),
        ("encode: to_value, Value", written_by_value, written),
    ] {
        let ratio = took.as_secs_f64() / base.as_secs_f64();
        println!("{name:<20} {way:<28} {:>9.2} {ratio:>7.1}", took.as_secs_f64() * 1e6);
    }
    Ok(())
}

/// The time of one call: the best of many short runs, since others use the machine too. A way that fails is no way.
fn time(call: impl Fn() -> bool) -> Duration {
    const CALLS: u32 = 2_000;
    if !call() {
        return Duration::MAX;
    }
    let run = || {
        let begun = Instant::now();
        for _ in 0..CALLS {
            black_box(call());
        }
        begun.elapsed() / CALLS
    };
    (0..60).map(|_| run()).min().unwrap_or_default()
}
