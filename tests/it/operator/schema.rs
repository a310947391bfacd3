//! A schema that senders use before it is put here.

use rollcall::contract::wire::Action;
use rollcall::contract::{MessageType, Schemas, embedded_text, encode};
use serde_json::{Value, json};

use super::{UPDATES, act, drained};
use crate::scene::item;
use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{NewRecord, Worker};

/// Version 2 of the enrollment: one more field, at the end.
fn second_version() -> String {
    let mut schema: Value =
        serde_json::from_str(embedded_text(MessageType::EnrollmentRequest)).unwrap();
    let added = json!({"name": "desk", "type": ["null", "string"], "default": null});
    schema["fields"].as_array_mut().unwrap().push(added);
    schema.to_string()
}

/// An enrollment as a sender of version 2 writes it.
fn of_second_version(number: usize) -> NewRecord {
    let fingerprint =
        Schemas::embedded().add("EnrollmentRequest.v2.avsc", &second_version()).unwrap();
    let mut bytes = encode(&request(number)).unwrap();
    bytes[2..10].copy_from_slice(&fingerprint);
    // The first branch of its union: null.
    bytes.push(0);
    NewRecord { value: Some(bytes), ..record(Some(3), &request(number)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_a_schema_that_came_too_early_are_replayed_when_it_is_there() {
    const LETTERS: usize = 1_200;
    let mut stage = Stage::new().await;
    stage.setup = stage.setup.with("ROLLCALL_PARKING__GRACE", "1d");
    let worker = Worker::start(&stage.setup);
    let records: Vec<_> = (0..LETTERS).map(of_second_version).collect();
    stage.topics.produce(REQUESTS, &records).await;
    stage.decided(LETTERS as i64).await;
    // Later records of the same persons: r1 is to be paused, which waits; r5 got another membership meanwhile.
    stage.topics.produce(UPDATES, &[act("u1", "r1", Action::Pause)]).await;
    let mut food = request(100_005);
    food.registrant = request(5).registrant;
    food.program_memberships = vec![item("FOOD")];
    stage.topics.produce(REQUESTS, &[record(Some(3), &food)]).await;
    stage.decided(LETTERS as i64 + 2).await;
    let meant = ["--class", "unknown_schema", "--topic", REQUESTS];
    let (_, groups) = stage.json(&[&["dead-letters", "groups"], &meant[..]].concat()).await;
    assert_eq!(groups["items"][0]["count"], json!(LETTERS));
    worker.stop().await;

    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("EnrollmentRequest.v2.avsc"), second_version()).unwrap();
    let directory = directory.path().to_str().unwrap();
    let setup = stage.setup.clone().with("ROLLCALL_SCHEMAS__DIRECTORY", directory);
    stage.setup = setup;
    let worker = Worker::start(&stage.setup);
    let preflight = [&["dead-letters", "preflight"], &meant[..]].concat();
    let (_, would) = stage.json(&preflight).await;
    assert_eq!(would["counts"], json!({"applied": LETTERS - 1, "refused": 1}), "{would:#}");
    assert_eq!(stage.number("SELECT count(*) FROM memberships").await, 1, "nothing is left of it");
    let digest = would["digest"].as_str().unwrap();
    let replay = [
        &["dead-letters", "replay"],
        &meant[..],
        &["--digest", digest, "--reason", "the schema is there", "--actor", "clerk"],
    ]
    .concat();
    let (code, run) = stage.json(&replay).await;
    assert_eq!(
        (code, &run["counts"]),
        (1, &json!({"applied": LETTERS - 1, "refused": 1})),
        "{run:#}"
    );
    assert_eq!(drained(&stage).await, "A", "r1 is paused after all");

    // The one whose registrant has changed since, although it has.
    let (_, list) = stage.json(&["dead-letters", "list"]).await;
    let left = list["items"][0]["letter_id"].as_str().unwrap();
    let replay = ["dead-letters", "replay", left, "--reason", "looked at"];
    let (code, run) = stage.json(&replay).await;
    assert_eq!((code, &run["counts"]), (1, &json!({"refused": 1})));
    let (code, run) = stage.json(&[&replay[..], &["--force"]].concat()).await;
    assert_eq!((code, &run["counts"]), (0, &json!({"applied": 1})));
    assert_eq!(stage.number("SELECT count(*) FROM memberships").await, LETTERS as i64 + 1);
    let paused = "SELECT count(*) FROM memberships WHERE state = 'PAUSED' AND version = 2";
    assert_eq!(stage.number(paused).await, 1);
    stage.prove(LETTERS as i64 + 2).await;
    worker.stop().await;
}
