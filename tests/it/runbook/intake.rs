//! Records that are not read, or cannot be applied.

use serde_json::{Value, json};

use super::{Reader, enrollments, execute, garbage, healthy, in_state, waits_for};
use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{PATIENCE, Worker, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_stopped() {
    let mut stage = Stage::new().await;
    stage.setup = stage.setup.with("ROLLCALL_DEAD_LETTER__MAX_CONSECUTIVE", "1");
    let worker = Worker::start(&stage.setup);
    stage.topics.produce(REQUESTS, &[garbage(), garbage(), record(Some(0), &request(1))]).await;
    in_state(&stage, 0, "STOPPED").await;
    let mut begin = Reader::of(&stage, "Where to begin");
    let (code, said) = begin.run("rollcall status").await;
    assert_eq!((code, said.contains("dead_letter_cap")), (1, true), "{said}");
    let mut book = Reader::of(&stage, "A partition is stopped");
    book.set("TOPIC", REQUESTS);
    book.set("PARTITION", "0");
    let (code, said) = book.run("rollcall partitions list").await;
    assert_eq!((code, said.contains("dead_letter_cap")), (0, true), "{said}");
    assert_eq!(book.run("rollcall partitions resume").await.0, 0);
    // The cause was not removed.
    let anew = "SELECT count(*) FROM partition_states WHERE partition = 0 AND state = 'STOPPED'
                AND since > (SELECT max(recorded_at) FROM partition_actions)";
    eventually(PATIENCE, "it stops anew", async || (stage.number(anew).await == 1).then_some(()))
        .await;
    book.set("OFFSET", "1");
    assert_eq!(book.run("rollcall partitions skip").await.0, 0);
    let (code, skipped) = book.answer("rollcall dead-letters list").await;
    assert_eq!((code, &skipped["items"][0]["offset"]), (0, &Value::from(1)));
    stage.decided(3).await;
    in_state(&stage, 0, "RUNNING").await;
    worker.stop().await;

    // Retention takes two records before they are applied.
    let more: Vec<_> = (2..5).map(|number| record(Some(0), &request(number))).collect();
    stage.topics.produce(REQUESTS, &more).await;
    stage.topics.delete_before(REQUESTS, 0, 5).await;
    let worker = Worker::start(&stage.setup);
    in_state(&stage, 0, "STOPPED").await;
    assert_eq!(book.run("rollcall partitions resume").await.0, 0);
    stage.decided(6).await;
    stage.published().await;
    let (code, report) = book.answer("rollcall reconcile").await;
    assert_eq!((code, &report["proved"]), (1, &Value::Bool(false)));
    worker.stop().await;
}

/// What is said of these two partitions of the enrollments.
fn of_two(said: &Value, field: &str) -> [Value; 2] {
    let all = said["items"].as_array().or(said["partitions"].as_array()).unwrap();
    let enrollments = |one: &&Value| one["topic"].as_str().unwrap().ends_with(REQUESTS);
    let of = |number: i32| all.iter().filter(enrollments).find(|one| one["partition"] == number);
    [0, 1].map(|number| of(number).unwrap()[field].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn lag_that_grows_and_a_disk_that_is_full() {
    let stage = Stage::new().await;
    let worker = Worker::start(&stage.setup);
    stage.topics.produce(REQUESTS, &enrollments(1, 0..1)).await;
    stage.decided(1).await;
    stage.done(&["partitions", "pause", REQUESTS, "1", "--reason", "the registry is mended"]).await;
    worker.stop().await;
    stage.topics.produce(REQUESTS, &enrollments(0, 1..4)).await;
    stage.topics.produce(REQUESTS, &enrollments(1, 4..7)).await;
    let mut begin = Reader::of(&stage, "Where to begin");
    let (code, said) = begin.run("rollcall status").await;
    assert_eq!((code, said.contains("that no worker has")), (1, true), "{said}");
    let mut book = Reader::of(&stage, "Lag grows");
    book.set("TOPIC", REQUESTS);
    book.set("PARTITION", "1");
    let (code, list) = book.answer("rollcall partitions list").await;
    assert_eq!((code, of_two(&list, "state")), (0, [json!("UNOWNED"), json!("PAUSED")]));
    let worker = Worker::start(&stage.setup);
    stage.decided(4).await;
    let (_, status) = stage.json(&["status"]).await;
    assert_eq!(of_two(&status, "lag"), [0, 3]);
    book.done("rollcall partitions resume").await;
    stage.decided(7).await;
    healthy(&stage).await;
    let (code, status) = book.answer("rollcall status").await;
    assert_eq!((code, of_two(&status, "lag")), (0, [json!(0), json!(0)]));

    execute(
        &stage,
        "CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             RAISE EXCEPTION USING ERRCODE = 'disk_full';
         END $$;
         CREATE TRIGGER disk_full BEFORE INSERT ON inbox EXECUTE FUNCTION disk_full()",
    )
    .await;
    stage.topics.produce(REQUESTS, &enrollments(0, 7..10)).await;
    waits_for(&worker, "postgres").await;
    assert!(worker.output().contains("53100"));
    assert_eq!(stage.ledger().await.unwrap(), 7);
    // There is room again.
    execute(&stage, "DROP TRIGGER disk_full ON inbox").await;
    stage.prove(10).await;
    assert_eq!(stage.number("SELECT count(*) FROM dead_letters").await, 0);
    healthy(&stage).await;
    Reader::of(&stage, "A disk is full").done("rollcall status").await;
    worker.stop().await;
}
