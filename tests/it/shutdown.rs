//! SIGTERM and a second one, under load.

use std::time::Duration;

use crate::backlog::complete;
use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{PATIENCE, Worker, eventually, promptly};

async fn backlog(stage: &Stage, requests: usize) {
    let records: Vec<_> = (0..requests).map(|number| record(None, &request(number))).collect();
    stage.topics.produce(REQUESTS, &records).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_gives_leases_back_and_publishes_what_was_committed() {
    let stage = Stage::new().await;
    backlog(&stage, 8_000).await;
    let setup = stage.setup.clone().with("ROLLCALL_BATCH__MAX_RECORDS", "20");
    let mut worker = Worker::start(&setup);
    promptly(PATIENCE, "it has begun", async || {
        (stage.ledger().await.unwrap() >= 300).then_some(())
    })
    .await;
    worker.terminate().await;
    // The grace.
    let status = worker.exit(Duration::from_secs(25)).await;
    assert_eq!(status.code(), Some(0));
    assert!(stage.ledger().await.unwrap() < 8_000, "it was stopped in the middle");
    let unpublished = "SELECT count(*) FROM relay_cursors AS cursors
        WHERE acked < (SELECT max(first_seq + count - 1) FROM outbox_runs AS runs WHERE runs.stream = cursors.stream)";
    assert_eq!(stage.number(unpublished).await, 0, "what was committed is published");
    let held = "SELECT count(*) FROM partition_leases WHERE owner <> ''";
    assert_eq!(stage.number(held).await, 0, "leases are given back");

    let worker = Worker::start(&stage.setup);
    stage.prove(8_000).await;
    complete(&stage, 8_000).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_ends_at_once_with_a_failure() {
    let stage = Stage::new().await;
    backlog(&stage, 500).await;
    // Whoever waits for this lock cannot finish its batch.
    let mut lock = stage.db.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let mut worker = Worker::start(&stage.setup);
    eventually(PATIENCE, "a batch waits", async || {
        let waiting =
            "SELECT count(*) FROM pg_locks WHERE relation = 'inbox'::regclass AND NOT granted";
        (stage.number(waiting).await > 0).then_some(())
    })
    .await;
    worker.terminate().await;
    eventually(PATIENCE, "it shuts down", async || {
        worker.output().contains("shutting down").then_some(())
    })
    .await;
    worker.terminate().await;
    let status = worker.exit(Duration::from_secs(5)).await;
    assert_eq!(status.code(), Some(1));
    lock.rollback().await.unwrap();

    let worker = Worker::start(&stage.setup);
    stage.prove(500).await;
    complete(&stage, 500).await;
    worker.stop().await;
}
