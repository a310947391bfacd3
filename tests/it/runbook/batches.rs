//! A batch that should not have been sent, and an upgrade under load.

use serde_json::{Value, json};

use super::{Reader, enrollments, healthy, lines, text};
use crate::stage::{REQUESTS, Stage, file, path, record, request};
use crate::support::Worker;

/// Files of one line for each of three persons.
fn of_three(line: &str) -> tempfile::NamedTempFile {
    let lines = (0..3).map(|n| line.replace("\"n0\"", &format!("\"n{n}\"")) + "\n");
    file(lines.collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_wrong() {
    let stage = Stage::new().await;
    let worker = Worker::start(&stage.setup);
    let wrong = of_three(
        r#"{"type": "EnrollmentRequest", "registrant": {"reference": "n0", "kind": "INDIVIDUAL"}, "program_memberships": [{"program": "CASH"}]}"#,
    );
    let submit = ["submit", path(&wrong), "--format", "ndjson", "--source", "registry"];
    stage.done(&[&submit[..], &["--batch-id", "wrong"]].concat()).await;
    stage.decided(3).await;
    let mut book = Reader::of(&stage, "A wrong batch was sent");
    book.set("SOURCE", "registry");
    book.set("BATCH", "wrong");
    book.set("TOPIC", REQUESTS);
    book.set("PARTITION", "0");
    book.done("rollcall partitions pause").await;
    // What comes meanwhile, there and elsewhere.
    let meanwhile = [enrollments(0, 3..4), enrollments(1, 4..5)].concat();
    stage.topics.produce(REQUESTS, &meanwhile).await;
    stage.decided(4).await;
    assert_eq!(stage.number("SELECT count(*) FROM inbox WHERE message_id = 'm3'").await, 0);
    book.done("rollcall partitions resume").await;
    stage.decided(5).await;
    let (_, list) = book.answer("rollcall batches list").await;
    assert_eq!((&list["items"][0]["batch_id"], &list["items"][1]), (&json!("wrong"), &Value::Null));
    let (_, shown) = book.answer("rollcall batches show").await;
    assert_eq!(shown["applied_count"], 3);
    let (_, results) = book.answer("rollcall batches results").await;
    assert_eq!(results["items"].as_array().unwrap().len(), 3);
    let membership = "SELECT membership_id::text FROM memberships JOIN names USING (registrant_id)
                      WHERE value = 'n0'";
    book.set("MEMBERSHIP", text(&stage, membership).await);
    assert!(book.done("rollcall history").await.contains("ENROLLED"));
    let undo = of_three(lines("A wrong batch was sent", "json")[0]);
    // Its name says what it holds.
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("undo.ndjson");
    std::fs::copy(undo.path(), &named).unwrap();
    book.set("UNDO", named.to_str().unwrap());
    book.done("rollcall submit").await;
    book.done("rollcall submit").await;
    stage.decided(8).await;
    let (_, shown) = book.answer("rollcall batches show").await;
    assert_eq!((&shown["status"], &shown["applied_count"]), (&json!("COMPLETE"), &json!(3)));
    assert_eq!(stage.number("SELECT count(*) FROM memberships").await, 2, "those of m3 and m4");
    stage.prove(8).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_while_requests_come() {
    const SENDINGS: usize = 10;
    const EACH: usize = 100;
    let stage = Stage::new().await;
    let old = [Worker::start(&stage.setup), Worker::start(&stage.setup)];
    for worker in &old {
        worker.ready().await;
    }
    let mut book = Reader::of(&stage, "Upgrade");
    let sending = async {
        for sending in 0..SENDINGS {
            let numbers = sending * EACH..(sending + 1) * EACH;
            let records: Vec<_> = numbers.map(|number| record(None, &request(number))).collect();
            stage.topics.produce(REQUESTS, &records).await;
            // One after another, so that they come all the time.
            stage.decided(((sending + 1) * EACH) as i64).await;
        }
    };
    let upgrade = async {
        book.done("rollcall config check").await;
        book.done("rollcall migrate").await;
        book.done("rollcall topics verify").await;
        let mut new = Vec::new();
        for worker in old {
            worker.stop().await;
            let worker = Worker::start(&stage.setup);
            worker.ready().await;
            new.push(worker);
        }
        new
    };
    let ((), new) = tokio::join!(sending, upgrade);
    healthy(&stage).await;
    book.done("rollcall status").await;
    let (code, report) = book.answer("rollcall reconcile").await;
    assert_eq!((code, &report["proved"]), (0, &json!(true)), "{report:#}");
    assert_eq!(stage.number("SELECT count(*) FROM memberships").await, (SENDINGS * EACH) as i64);
    for worker in new {
        worker.stop().await;
    }
}
