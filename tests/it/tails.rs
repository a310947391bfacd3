//! Logs that end in offsets which are never delivered: markers of transactions, records of aborted ones.

use std::ops::Range;

use rollcall::apply::{Batch, Slice, SliceOutcome};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::scene::{Scene, partition};
use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{NewRecord, PATIENCE, Transaction, Worker, eventually};

fn requests(partition: i32, numbers: Range<usize>) -> Vec<NewRecord> {
    numbers.map(|number| record(Some(partition), &request(number))).collect()
}

/// Waits until `status` says this of a partition: its position, the end of its log, what lies between.
async fn stands(stage: &Stage, partition: i64, position: i64) {
    let what = format!("partition {partition} stands at {position}");
    eventually(PATIENCE, &what, async || {
        let (_, status) = stage.json(&["status"]).await;
        let partitions = status["partitions"].as_array()?;
        let said = partitions.iter().find(|said| said["partition"] == partition)?;
        let expected: [Value; 4] = ["RUNNING".into(), position.into(), position.into(), 0.into()];
        (["state", "position", "high", "lag"].map(|field| said[field].clone()) == expected)
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_ends_in_markers_is_passed_over_to_its_end() {
    let stage = Stage::new().await;
    let worker = Worker::start(&stage.setup);
    let transact = async |partition, numbers, how| {
        stage.topics.transact(REQUESTS, &requests(partition, numbers), how).await;
    };
    // Ten records and the marker of their commit; then three that are taken back, with their marker.
    transact(0, 0..10, Transaction::Committed).await;
    stage.decided(11).await;
    transact(0, 10..13, Transaction::Aborted).await;
    stage.decided(15).await;
    // A log without any record that is delivered.
    transact(1, 13..14, Transaction::Aborted).await;
    stage.prove(17).await;
    assert_eq!(stage.number("SELECT count(*) FROM inbox").await, 10);
    stands(&stage, 0, 15).await;
    stands(&stage, 1, 2).await;
    worker.stop().await;

    // Retention takes all of it: nothing was lost.
    stage.topics.delete_before(REQUESTS, 0, 15).await;
    // What comes while nobody reads is the first thing after a seek, and the end too.
    transact(0, 14..16, Transaction::Aborted).await;
    let worker = Worker::start(&stage.setup);
    stage.prove(20).await;
    stands(&stage, 0, 18).await;
    stage.topics.produce(REQUESTS, &requests(0, 20..25)).await;
    stage.prove(25).await;
    let bytes = "SELECT string_agg(convert_from(outcomes, 'UTF8'), '' ORDER BY first_offset)
                 FROM intake_ledger WHERE partition = 0";
    let bytes: String = sqlx::query_scalar(bytes).fetch_one(&stage.db.pool).await.unwrap();
    assert_eq!(bytes, "AAAAAAAAAA--------AAAAA");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_between_markers_are_never_taken_for_a_gap() {
    const ROUNDS: usize = 30;
    let stage = Stage::new().await;
    let worker = Worker::start(&stage.setup);
    worker.ready().await;
    // The end of the log is reached again and again, and moves, while statistics come once a second.
    for round in 0..ROUNDS {
        let first = round * 4;
        let (delivered, last) = (requests(0, first..first + 3), requests(0, first + 3..first + 4));
        stage.topics.transact(REQUESTS, &delivered, Transaction::Committed).await;
        stage.topics.produce(REQUESTS, &last).await;
    }
    stage.prove(ROUNDS as i64 * 5).await;
    assert_eq!(stage.number("SELECT count(*) FROM inbox").await, ROUNDS as i64 * 4);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_without_a_record_are_entered_beside_others() {
    let scene = Scene::new().await;
    let fence = scene.lease(&partition(0)).await;
    let other = scene.lease(&partition(1)).await;
    let slice = |number, fence, first_offset, next_offset| Slice {
        at: partition(number),
        fence,
        first_offset,
        next_offset,
    };
    // A new log, a fence that is gone, and once more behind the first.
    let batches = [
        vec![slice(0, fence, 7, 10), slice(1, Uuid::new_v4(), 0, 2)],
        vec![slice(0, fence, 10, 11)],
    ];
    let mut outcomes = Vec::new();
    for slices in batches {
        let batch = Batch { slices, ..Batch::default() };
        let done = scene.applier.apply(batch, &CancellationToken::new()).await;
        outcomes.extend(done.into_iter().map(|(slice, outcome)| (slice.at.partition, outcome)));
    }
    outcomes.sort_by_key(|(partition, _)| *partition);
    let expected =
        [(0, SliceOutcome::Committed), (0, SliceOutcome::Committed), (1, SliceOutcome::Fenced)];
    assert_eq!(outcomes, expected);
    let ledger = "SELECT string_agg(first_offset || convert_from(outcomes, 'UTF8'), ' ' ORDER BY first_offset)
                  FROM intake_ledger";
    assert_eq!(scene.text(ledger).await, "7--- 10-");
    // A failure of one of them stops its own partition only.
    sqlx::query("ALTER TABLE intake_ledger ADD CONSTRAINT broken CHECK (partition <> 1) NOT VALID")
        .execute(&scene.pool)
        .await
        .unwrap();
    let slices = vec![slice(0, fence, 11, 12), slice(1, other, 0, 2)];
    let batch = Batch { slices, ..Batch::default() };
    let mut outcomes = scene.applier.apply(batch, &CancellationToken::new()).await;
    outcomes.sort_by_key(|(slice, _)| slice.at.partition);
    assert_eq!(outcomes[0].1, SliceOutcome::Committed);
    assert!(
        matches!(&outcomes[1].1, SliceOutcome::Stopped { offset: 0, cause } if cause.contains("23514")),
        "{outcomes:?}"
    );
}
