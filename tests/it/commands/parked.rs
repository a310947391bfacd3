//! `rollcall parked`, beside a worker.

use rollcall::contract::encode;
use rollcall::contract::wire::{Action, Millis};
use rollcall::lifecycle::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::scene::update;
use crate::stage::{Stage, record, request};
use crate::support::{self, NewRecord, PATIENCE, eventually};

const UPDATES: &str = "membership-updates";

/// The record of an update that is sent now.
fn act(message_id: &str, reference: &str, action: Action) -> NewRecord {
    let mut request = update(message_id, reference, "CASH", action);
    request.sent_at = Millis::from(SystemClock.now());
    NewRecord {
        partition: Some(3),
        key: Some(reference.as_bytes().to_vec()),
        value: Some(encode(&request).expect("a request that fits its schema")),
        ..NewRecord::default()
    }
}

fn column(list: &Value, name: &str) -> Vec<Value> {
    list["items"].as_array().unwrap().iter().map(|item| item[name].clone()).collect()
}

/// Waits until so many records are through; gives their outcomes by message.
async fn through(stage: &Stage, count: usize) -> Vec<(String, String)> {
    eventually(PATIENCE, "released records are decided", async || {
        let through: Vec<(String, String)> = sqlx::query_as(
            "SELECT message_id, outcome FROM parked_records WHERE state = 'RESOLVED' ORDER BY parked_id",
        )
        .fetch_all(&stage.db.pool)
        .await
        .ok()?;
        (through.len() == count).then_some(through)
    })
    .await
}

/// A worker, and records of whom nobody has heard; u4 is behind u1.
async fn waiting() -> (Stage, support::Worker) {
    let mut stage = Stage::new().await;
    stage.setup = stage.setup.with("ROLLCALL_PARKING__GRACE", "1d");
    let worker = support::Worker::start(&stage.setup);
    worker.ready().await;
    let records = [
        act("u1", "seeded-one", Action::Pause),
        act("u2", "seeded-two", Action::Pause),
        act("u3", "seeded-three", Action::Pause),
        act("u4", "seeded-one", Action::Resume),
        act("u5", "seeded-five", Action::Pause),
    ];
    stage.topics.produce(UPDATES, &records).await;
    stage.decided(5).await;
    (stage, worker)
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_wait_are_listed() {
    let (stage, worker) = waiting().await;

    let (code, list) = stage.json(&["parked", "list"]).await;
    assert_eq!((code, &list["next_cursor"]), (0, &Value::Null));
    let first = &list["items"][0];
    let fields: Vec<_> = first.as_object().unwrap().keys().map(String::as_str).collect();
    let mut all = [
        "parked_id",
        "source",
        "message_id",
        "attempt",
        "batch_id",
        "why",
        "program",
        "topic",
        "partition",
        "offset",
        "parked_at",
        "due_at",
        "released",
    ];
    all.sort_unstable();
    assert_eq!(fields, all, "keys, values and names are not shown");
    assert_eq!(
        (
            &first["source"],
            &first["message_id"],
            &first["attempt"],
            &first["partition"],
            &first["offset"]
        ),
        (&json!("registry"), &json!("u1"), &json!(1), &json!(3), &json!(0))
    );
    assert_eq!(
        column(&list, "why"),
        ["REGISTRANT", "REGISTRANT", "REGISTRANT", "BEHIND", "REGISTRANT"]
    );
    assert_eq!(column(&list, "due_at").iter().filter(|due| due.is_null()).count(), 1);

    // Page by page.
    let (_, one) = stage.json(&["parked", "list", "--limit", "3"]).await;
    let cursor = one["next_cursor"].as_str().expect("a next page");
    let (_, two) = stage.json(&["parked", "list", "--limit", "3", "--cursor", cursor]).await;
    let pages = [column(&one, "message_id"), column(&two, "message_id")].concat();
    assert_eq!((pages, &two["next_cursor"]), (column(&list, "message_id"), &Value::Null));
    // By what they came with; the topic with or without prefix.
    let full = format!("{}{UPDATES}", stage.setup.prefix);
    for (filter, found) in [
        (&["--topic", UPDATES][..], 5),
        (&["--topic", &full, "--partition", "3"], 5),
        (&["--topic", UPDATES, "--partition", "3", "--offset", "2"], 1),
        (&["--topic", UPDATES, "--partition", "2"], 0),
        (&["--topic", "enrollment-requests"], 0),
        (&["--source", "registry"], 5),
        (&["--source", "regist"], 0),
    ] {
        let (_, list) = stage.json(&[&["parked", "list"], filter].concat()).await;
        assert_eq!(column(&list, "parked_id").len(), found, "{filter:?}");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_wait_are_released() {
    let (stage, worker) = waiting().await;
    let (_, list) = stage.json(&["parked", "list"]).await;
    let ids: Vec<String> = column(&list, "parked_id").iter().map(Value::to_string).collect();
    for wrong in [
        &["parked", "list", "--partition", "3"][..],
        &["parked", "list", "--topic", UPDATES, "--offset", "3"],
        &["parked", "list", "--cursor", "x"],
        &["parked", "release", "--reason", "x"],
        &["parked", "release", &ids[0]],
        &["parked", "release", &ids[0], "--reason", ""],
        &["parked", "release", &ids[0], "--source", "registry", "--reason", "x"],
        &["parked", "release", "--source", "registry", "--reason", "x"],
    ] {
        assert_eq!(stage.command(wrong).await.0, 2, "{wrong:?}");
    }
    let (_, _, stderr) =
        stage.command(&["parked", "release", "--source", "registry", "--reason", "x"]).await;
    assert!(stderr.contains("5 waiting records") && stderr.contains("--yes"), "{stderr}");
    assert_eq!(stage.number("SELECT count(*) FROM parked_records WHERE released").await, 0);

    // One is decided as things stand.
    let release = ["parked", "release", &ids[1], "--reason", "it never came", "--actor", "clerk"];
    let (code, done) = stage.json(&release).await;
    assert_eq!(
        (code, done),
        (0, json!({"counts": {"released": 1, "released_before": 0}, "behind": 0}))
    );
    assert_eq!(through(&stage, 1).await, [("u2".to_owned(), "R".to_owned())]);
    let by = "SELECT count(*) FROM parked_records
              WHERE released AND message_id = 'u2' AND released_by = 'clerk' AND released_reason = 'it never came'";
    assert_eq!(stage.number(by).await, 1);
    let (code, done) = stage.json(&release).await;
    assert_eq!((code, &done["counts"]["released"]), (1, &json!(0)), "it waits no longer");
    assert_eq!(stage.command(&["parked", "release", "999999", "--reason", "x"]).await.0, 1);

    // One behind another stays there, and is decided after it, with its membership there by then.
    let (code, done) = stage.json(&["parked", "release", &ids[3], "--reason", "now"]).await;
    assert_eq!((code, &done["behind"]), (0, &json!(1)));
    let (code, done) = stage.json(&["parked", "release", &ids[3], "--reason", "again"]).await;
    assert_eq!((code, done["counts"].clone()), (0, json!({"released": 0, "released_before": 1})));
    let mut enrollment = request(1);
    enrollment.registrant.reference = Some("seeded-one".to_owned());
    stage.topics.produce(crate::stage::REQUESTS, &[record(Some(3), &enrollment)]).await;
    let outcomes = through(&stage, 3).await;
    assert_eq!(outcomes[2], ("u4".to_owned(), "A".to_owned()), "{outcomes:?}");
    let again =
        "SELECT count(*) FROM parked_records WHERE message_id = 'u4' AND released_reason = 'now'";
    assert_eq!(stage.number(again).await, 1, "the first reason stands");

    // All of a partition.
    let release =
        ["parked", "release", "--topic", UPDATES, "--partition", "3", "--reason", "x", "--yes"];
    let text = stage.done(&release).await;
    assert!(text.contains("2 waiting records are released"), "{text}");
    through(&stage, 5).await;
    let text = stage.done(&["parked", "list"]).await;
    assert!(text.contains("No record waits"), "{text}");
    stage.prove(6).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_who_waits_and_behind_which_letter() {
    let mut stage = Stage::new().await;
    stage.setup = stage.setup.with("ROLLCALL_PARKING__GRACE", "1s");
    sqlx::query(
        "ALTER TABLE registrants ADD CONSTRAINT no_poison CHECK (name <> 'Seeded Name r7')",
    )
    .execute(&stage.db.pool)
    .await
    .unwrap();
    let worker = support::Worker::start(&stage.setup);
    worker.ready().await;
    let (_, status) = stage.json(&["status"]).await;
    assert_eq!(status["parked"], json!({"count": 0, "by_why": {}, "oldest": null}));
    stage.topics.produce(crate::stage::REQUESTS, &[record(Some(3), &request(7))]).await;
    stage.decided(1).await;
    let records = [act("u1", "r7", Action::Pause), act("u2", "r7", Action::Resume)];
    stage.topics.produce(UPDATES, &records).await;
    stage.decided(3).await;
    let letter: String = sqlx::query_scalar("SELECT letter_id::text FROM dead_letters")
        .fetch_one(&stage.db.pool)
        .await
        .unwrap();
    let (_, status) = stage.json(&["status"]).await;
    let parked = &status["parked"];
    assert_eq!((&parked["count"], &parked["by_why"]), (&json!(2), &json!({"BEHIND": 2})));
    let oldest = &parked["oldest"];
    assert_eq!(
        (&oldest["offset"], &oldest["why"], &oldest["letter_id"]),
        (&json!(0), &json!("BEHIND"), &json!(letter))
    );
    let behind = format!("behind the dead letter {letter}");
    assert!(!status["advice"].to_string().contains(&behind), "not yet: {status:#}");
    // Releasing does not let it go ahead of the letter.
    let (code, done) =
        stage.json(&["parked", "release", "--source", "registry", "--yes", "--reason", "x"]).await;
    assert_eq!((code, &done["behind"]), (0, &json!(2)));
    sqlx::query("UPDATE parked_records SET parked_at = parked_at - interval '1 hour'")
        .execute(&stage.db.pool)
        .await
        .unwrap();
    let (_, status) = stage.json(&["status"]).await;
    assert_eq!(status["parked"]["count"], 2);
    assert!(status["advice"].to_string().contains(&behind), "{status:#}");
    assert!(stage.command(&["status"]).await.1.contains("Records waiting: 2 (2 BEHIND)"));
    worker.stop().await;
}
