//! Dead letters through the real binary: identical bytes, key and headers, and everything behind them goes on.

use std::collections::HashMap;

use rollcall::contract::wire::{RegistrantKind, RequestResult, RequestedState};
use rollcall::contract::{decode_own, encode};

use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{NewRecord, PATIENCE, Record, Worker, eventually};

/// A record that is no request, with all that a sender can put around it.
fn garbage(number: usize) -> NewRecord {
    let mut value = format!("garbage {number} \u{fffd}").into_bytes();
    value.extend([0, 0xff, 0xc3, 0x28]);
    NewRecord {
        partition: Some(0),
        key: (number % 3 > 0).then(|| vec![0xff, 0xfe, number as u8]),
        value: Some(value),
        headers: vec![
            ("x".to_owned(), Some(vec![0, 0xff])),
            ("ce_type".to_owned(), None),
            ("x".to_owned(), Some(number.to_string().into_bytes())),
            ("rollcall.dlq.id".to_owned(), Some(b"of the sender".to_vec())),
        ],
        timestamp: None,
    }
}

fn good(number: usize) -> NewRecord {
    record(Some(0), &request(number))
}

/// The letters on the topic, by the offset of their record.
async fn letters(stage: &Stage) -> HashMap<i64, Record> {
    let letters = stage.topics.read("dead-letters").await;
    let offset = |letter: &Record| letter.header("rollcall.dlq.offset").unwrap().parse().unwrap();
    letters.into_iter().map(|letter| (offset(&letter), letter)).collect()
}

/// Key, value, names and values of headers, state.
type Row = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<Vec<u8>>, Vec<Option<Vec<u8>>>, String);

/// The letter is the record: on the topic and in the table.
async fn is_kept(stage: &Stage, letter: &Record, offset: i64, sent: &NewRecord) {
    assert_eq!((&letter.key, &letter.value), (&sent.key, &sent.value), "record {offset}");
    assert_eq!(letter.headers[..sent.headers.len()], sent.headers, "its headers come first");
    let ours = &letter.headers[sent.headers.len()..];
    assert!(ours.iter().all(|(name, _)| name.starts_with("rollcall.dlq.")), "{ours:?}");
    for name in [
        "id",
        "class",
        "stage",
        "code",
        "attempts",
        "topic",
        "partition",
        "offset",
        "timestamp",
        "first-failed-at",
        "sequence",
        "generation",
        "build",
    ] {
        let name = format!("rollcall.dlq.{name}");
        assert!(ours.iter().any(|(given, value)| *given == name && value.is_some()), "{name}");
    }
    assert_eq!(letter.header("rollcall.dlq.topic"), Some(&*stage.topics.full(REQUESTS)));
    let row = "SELECT key, value, header_keys, header_values, state FROM dead_letters
               WHERE partition = 0 AND \"offset\" = $1";
    let (key, value, names, values, state): Row =
        sqlx::query_as(row).bind(offset).fetch_one(&stage.db.pool).await.unwrap();
    assert_eq!((&key, &value, &*state), (&sent.key, &sent.value, "OPEN"));
    let headers: Vec<_> = names.into_iter().zip(values).collect();
    let sent: Vec<_> = sent
        .headers
        .iter()
        .map(|(name, value)| (name.clone().into_bytes(), value.clone()))
        .collect();
    assert_eq!(headers, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_garbage_record_in_2000_is_a_letter_and_the_rest_is_applied() {
    let stage = Stage::new().await;
    let records: Vec<NewRecord> =
        (0..4_000).map(|n| if n % 2_000 == 777 { garbage(n) } else { good(n) }).collect();
    stage.topics.produce(REQUESTS, &records).await;
    let worker = Worker::start(&stage.setup);
    stage.prove(4_000).await;
    assert_eq!(stage.number("SELECT count(*) FROM memberships").await, 3_998);
    let letters = letters(&stage).await;
    assert_eq!(letters.len(), 2);
    for offset in [777, 2_777] {
        is_kept(&stage, &letters[&offset], offset, &records[offset as usize]).await;
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_garbage_records_in_a_row_are_letters_and_what_follows_is_applied() {
    let stage = Stage::new().await;
    let records: Vec<NewRecord> =
        (0..2_010).map(|n| if (5..2_005).contains(&n) { garbage(n) } else { good(n) }).collect();
    stage.topics.produce(REQUESTS, &records).await;
    let worker = Worker::start(&stage.setup);
    stage.prove(2_010).await;
    assert_eq!(stage.number("SELECT count(*) FROM memberships").await, 10);
    let letters = letters(&stage).await;
    assert_eq!(letters.len(), 2_000);
    for offset in 5..2_005 {
        let (letter, sent) = (&letters[&offset], &records[offset as usize]);
        assert_eq!((&letter.key, &letter.value), (&sent.key, &sent.value));
        if offset % 100 == 0 {
            is_kept(&stage, letter, offset, sent).await;
        }
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cap_stops_the_partition_and_no_other() {
    let stage = Stage::new().await;
    let mut records: Vec<NewRecord> = (0..10).map(good).collect();
    records.extend((0..2_000).map(garbage));
    stage.topics.produce(REQUESTS, &records).await;
    let setup = stage.setup.clone().with("ROLLCALL_DEAD_LETTER__MAX_CONSECUTIVE", "100");
    let worker = Worker::start(&setup);
    let stopped = eventually(PATIENCE, "the partition is stopped", async || {
        let (_, status) = stage.json(&["status"]).await;
        let partitions = status["partitions"].as_array()?;
        let first = partitions.iter().find(|partition| partition["partition"] == 0)?;
        (first["state"] == "STOPPED").then(|| (first.clone(), status.clone()))
    })
    .await;
    let (partition, status) = stopped;
    assert_eq!(partition["topic"], stage.topics.full(REQUESTS));
    assert_eq!((&partition["offset"], &partition["position"]), (&110.into(), &110.into()));
    assert!(partition["cause"].as_str().unwrap().starts_with("dead_letter_cap"), "{partition}");
    assert_eq!((&status["healthy"], &status["letters"]["open"]), (&false.into(), &100.into()));
    // The other partitions go on.
    stage.topics.produce(REQUESTS, &[record(Some(1), &request(9_999))]).await;
    stage.decided(111).await;
    worker.stop().await;
    // A restart does not walk past it.
    let worker = Worker::start(&setup);
    stage.topics.produce(REQUESTS, &[record(Some(1), &request(10_000))]).await;
    stage.decided(112).await;
    assert_eq!(stage.number("SELECT count(*) FROM dead_letters").await, 100);
    worker.stop().await;
}

/// Every kind of bad record, with class, stage and code of its letter.
fn bad_records() -> Vec<(NewRecord, [&'static str; 3])> {
    let bytes = encode(&request(1)).unwrap();
    let with = |value: Option<Vec<u8>>| NewRecord { value, ..garbage(1) };
    let mut unknown = bytes.clone();
    unknown[5] ^= 0xff;
    let mut magic = bytes.clone();
    magic[1] = 2;
    let mut large = request(2);
    large.registrant.address = Some("a".repeat(1_000));
    let mut large = encode(&large).unwrap();
    large.resize(600 * 1024, 0);
    let mut trailing = bytes.clone();
    trailing.push(0);
    let undecodable = |stage, code| ["undecodable", stage, code];
    vec![
        (garbage(0), undecodable("frame", "unknown_magic")),
        (with(Some(Vec::new())), ["empty_payload", "frame", "empty_payload"]),
        (with(None), ["empty_payload", "frame", "empty_payload"]),
        (with(Some(unknown)), ["unknown_schema", "schema", "unknown_fingerprint"]),
        (with(Some(bytes[..bytes.len() - 3].to_vec())), undecodable("decode", "invalid_avro")),
        (with(Some(bytes[..7].to_vec())), undecodable("frame", "short_header")),
        (with(Some(large)), ["too_large", "frame", "too_large"]),
        (with(Some(magic)), undecodable("frame", "unknown_magic")),
        (with(Some(trailing)), undecodable("decode", "trailing_bytes")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_bad_record_is_a_letter_or_a_rejection() {
    let stage = Stage::new().await;
    let bad = bad_records();
    let (mut kind, mut state) = (request(101), request(102));
    kind.registrant.kind = RegistrantKind::Unknown;
    state.program_memberships[0].state = RequestedState::Unknown;
    let mut records: Vec<NewRecord> = bad.iter().map(|(bad, _)| bad.clone()).collect();
    records.extend([record(Some(0), &kind), record(Some(0), &state), good(103)]);
    // A key that is no UTF-8 is nobody's fault.
    records.push(NewRecord { key: Some(vec![0xff, 0, 0x80]), ..good(104) });
    stage.topics.produce(REQUESTS, &records).await;
    let worker = Worker::start(&stage.setup);
    stage.prove(records.len() as i64).await;
    let outcomes = "SELECT string_agg(convert_from(outcomes, 'UTF8'), '' ORDER BY first_offset) FROM intake_ledger";
    let outcomes: String = sqlx::query_scalar(outcomes).fetch_one(&stage.db.pool).await.unwrap();
    assert_eq!(outcomes, "LLLLLLLLLRRAA");
    let letters = letters(&stage).await;
    for (offset, (sent, expected)) in (0..).zip(&bad) {
        let letter = &letters[&offset];
        let said = ["class", "stage", "code"]
            .map(|name| letter.header(&format!("rollcall.dlq.{name}")).unwrap());
        assert_eq!(said, *expected, "record {offset}");
        is_kept(&stage, letter, offset, sent).await;
    }
    let results: HashMap<String, (Record, RequestResult)> = stage
        .topics
        .read("results")
        .await
        .into_iter()
        .map(|record| {
            let result: RequestResult = decode_own(record.value.as_deref().unwrap()).unwrap();
            (result.message_id.clone(), (record, result))
        })
        .collect();
    for (message_id, pointer) in
        [("m101", "/registrant/kind"), ("m102", "/program_memberships/0/state")]
    {
        let errors = &results[message_id].1.errors;
        assert_eq!(
            (errors[0].code.as_str(), errors[0].pointer.as_str()),
            ("rjct.field.invalid", pointer)
        );
    }
    assert_eq!(results["m104"].0.key, Some(vec![0xff, 0, 0x80]), "a result has its request's key");
    worker.stop().await;
}
