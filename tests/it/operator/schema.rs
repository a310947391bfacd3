//! A schema that senders use before it is put here.

use std::time::Instant;

use rollcall::contract::wire::Action;
use rollcall::contract::{MessageType, Schemas, embedded_text, encode};
use serde_json::{Value, json};

use super::{UPDATES, act, drained};
use crate::scene::item;
use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{NewRecord, Worker};

/// Version 2 of the enrollment: one more field, at the end.
pub(crate) fn second_version() -> String {
    let mut schema: Value =
        serde_json::from_str(embedded_text(MessageType::EnrollmentRequest)).unwrap();
    let added = json!({
        "name": "desk", "type": ["null", "string"], "default": null, "doc": "Where it was asked for.",
    });
    schema["fields"].as_array_mut().unwrap().push(added);
    schema.to_string()
}

/// Enrollments as a sender of version 2 writes them: two of each person, CASH with an even number, then FOOD.
pub(crate) fn of_second_version(numbers: std::ops::Range<usize>) -> Vec<NewRecord> {
    let fingerprint =
        Schemas::embedded().add("EnrollmentRequest.v2.avsc", &second_version()).unwrap();
    let record_of = |number: usize| {
        let mut said = request(number);
        said.registrant = request(number / 2).registrant;
        said.program_memberships =
            vec![item(if number.is_multiple_of(2) { "CASH" } else { "FOOD" })];
        let mut bytes = encode(&said).unwrap();
        bytes[2..10].copy_from_slice(&fingerprint);
        // The first branch of its union: null.
        bytes.push(0);
        NewRecord { value: Some(bytes), ..record(Some(3), &said) }
    };
    numbers.map(record_of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_a_schema_that_came_too_early_are_replayed_when_it_is_there() {
    const LETTERS: usize = 40_000;
    const PAUSED: usize = 300;
    let mut stage = Stage::new().await;
    stage.setup = stage.setup.with("ROLLCALL_PARKING__GRACE", "1d");
    let worker = Worker::start(&stage.setup);
    stage.topics.produce(REQUESTS, &of_second_version(0..LETTERS)).await;
    stage.decided(LETTERS as i64).await;
    // Later records of the same persons: some are to be paused and go on, which waits; r5 got a membership meanwhile.
    let later = (10..10 + PAUSED).flat_map(|n| {
        let person = format!("r{n}");
        let pause = act(&format!("pause{n}"), &person, Action::Pause);
        [pause, act(&format!("resume{n}"), &person, Action::Resume)]
    });
    stage.topics.produce(UPDATES, &later.collect::<Vec<_>>()).await;
    let mut food = request(100_005);
    food.registrant = request(5).registrant;
    food.program_memberships = vec![item("FOOD")];
    stage.topics.produce(REQUESTS, &[record(Some(3), &food)]).await;
    let all = (LETTERS + 2 * PAUSED + 1) as i64;
    stage.decided(all).await;
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
    let mut begun = Instant::now();
    let preflight = [&["dead-letters", "preflight"], &meant[..]].concat();
    let (_, would) = stage.json(&preflight).await;
    // The second letter of who is to be paused comes behind that.
    let counts = json!({"applied": LETTERS - 2 - PAUSED, "parked": PAUSED, "refused": 2});
    assert_eq!(would["counts"], counts, "{would:#}");
    assert_eq!(stage.number("SELECT count(*) FROM memberships").await, 1, "nothing is left of it");
    let tried = begun.elapsed();
    begun = Instant::now();
    let digest = would["digest"].as_str().unwrap();
    let replay = [
        &["dead-letters", "replay"],
        &meant[..],
        &["--digest", digest, "--reason", "the schema is there", "--actor", "clerk"],
    ]
    .concat();
    let (code, run) = stage.json(&replay).await;
    assert_eq!((code, &run["counts"]), (1, &counts), "{run:#}");
    let replayed = begun.elapsed();
    assert_eq!(
        drained(&stage).await,
        "A".repeat(3 * PAUSED),
        "in the end all are paused and go on"
    );
    let drained = begun.elapsed();
    eprintln!(
        "{LETTERS} letters: preflight {tried:.1?}, replay {replayed:.1?}, with the queues behind {drained:.1?}"
    );

    // Those whose registrant has changed since, although it has.
    let (_, list) = stage.json(&["dead-letters", "list"]).await;
    let left = list["items"].as_array().unwrap();
    let mut came = Vec::new();
    for letter in left {
        let letter = letter["letter_id"].as_str().unwrap();
        let replay = ["dead-letters", "replay", letter, "--reason", "looked at"];
        let (code, run) = stage.json(&replay).await;
        assert_eq!((code, &run["counts"]), (1, &json!({"refused": 1})));
        let (code, run) = stage.json(&[&replay[..], &["--force"]].concat()).await;
        assert_eq!(code, 0, "{run}");
        came.extend(run["counts"].as_object().unwrap().keys().cloned());
    }
    came.sort_unstable();
    assert_eq!(came, ["applied", "unchanged"]);
    assert_eq!(stage.number("SELECT count(*) FROM memberships").await, LETTERS as i64);
    let in_order = "SELECT count(*) FROM (
                        SELECT FROM membership_history GROUP BY membership_id
                        HAVING string_agg(change, ' ' ORDER BY version) = 'ENROLLED PAUSED RESUMED'
                    ) AS gone_through";
    assert_eq!(stage.number(in_order).await, PAUSED as i64);
    stage.prove(all).await;
    worker.stop().await;
}
