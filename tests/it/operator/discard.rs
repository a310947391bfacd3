//! Letters that are given up.

use rollcall::contract::decode_own;
use rollcall::contract::wire::{Action, BatchReceipt, BatchRef, ReceiptStatus, ResultStatus};
use serde_json::json;

use super::{UPDATES, act, actions, cut_off, drained, letters, poison, result, shown};
use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{NewRecord, PATIENCE, Worker, eventually};

async fn last_receipt(stage: &Stage, revision: i32) -> BatchReceipt {
    eventually(PATIENCE, "a receipt", async || {
        let last = stage.topics.read("batch-receipts").await.pop()?;
        let receipt: BatchReceipt = decode_own(last.value.as_deref()?).unwrap();
        (receipt.revision == revision).then_some(receipt)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_given_up_and_the_queue_behind_it_drains() {
    let mut stage = Stage::new().await;
    stage.setup = stage
        .setup
        .with("ROLLCALL_PARKING__GRACE", "1s")
        .with("ROLLCALL_BATCHES__REVISE_AFTER", "0ms");
    poison(&stage).await;
    let worker = Worker::start(&stage.setup);
    let mut enrollment = request(7);
    enrollment.batch = Some(BatchRef { batch_id: "b-1".to_owned(), total_count: Some(1) });
    stage.topics.produce(REQUESTS, &[record(Some(3), &enrollment)]).await;
    stage.decided(1).await;
    stage.topics.produce(UPDATES, &[act("u1", "r7", Action::Pause)]).await;
    stage.decided(2).await;
    assert_eq!(last_receipt(&stage, 1).await.status, ReceiptStatus::CompleteWithHeld);

    let letter = &letters(&stage).await[0];
    let discard = ["dead-letters", "discard", letter];
    assert_eq!(stage.command(&discard).await.0, 2, "no reason");
    assert_eq!(stage.command(&[&discard[..], &["--reason", ""]].concat()).await.0, 2);
    let because = [&discard[..], &["--reason", "moved away", "--actor", "clerk"]].concat();
    let (code, done) = stage.json(&because).await;
    assert_eq!(
        (code, done),
        (0, json!({"letter_id": letter, "state": "DISCARDED", "outcome": "rejected"}))
    );
    let said = result(&stage, "m7").await;
    assert_eq!(
        (said.status, &*said.errors[0].code),
        (ResultStatus::Rejected, "rjct.request.discarded")
    );
    assert_eq!(drained(&stage).await, "R", "nobody of that name came");
    let receipt = last_receipt(&stage, 2).await;
    assert_eq!(
        (receipt.status, receipt.rejected_count, receipt.held_count),
        (ReceiptStatus::Complete, 1, 0)
    );
    let shown = shown(&stage, letter).await;
    assert_eq!((&shown["state"], &shown["outcome"]), (&json!("DISCARDED"), &json!("rejected")));
    let action = &shown["actions"][0];
    assert_eq!(
        [&action["action"], &action["actor"], &action["reason"]],
        [&json!("DISCARDED"), &json!("clerk"), &json!("moved away")]
    );
    assert_eq!(stage.command(&because).await.0, 1, "it is not open any more");
    let nobody = "00000000-0000-0000-0000-000000000000";
    assert_eq!(stage.command(&["dead-letters", "discard", nobody, "--reason", "x"]).await.0, 1);
    stage.prove(2).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_read_is_given_up_too() {
    let stage = Stage::new().await;
    let worker = Worker::start(&stage.setup);
    let nameless = NewRecord { headers: Vec::new(), ..cut_off(2) };
    stage.topics.produce(REQUESTS, &[cut_off(1), nameless, cut_off(3)]).await;
    stage.decided(3).await;
    let open = letters(&stage).await;
    assert_eq!(open.len(), 3);
    // One was answered meanwhile: that stands. Its letter was closed when it came.
    stage.topics.produce(REQUESTS, &[record(Some(3), &request(3))]).await;
    stage.decided(4).await;
    let left = letters(&stage).await;
    assert_eq!(left.len(), 2);
    let again = open.iter().find(|letter| !left.contains(letter)).unwrap();
    let again = shown(&stage, again).await;
    assert_eq!((&again["state"], &again["outcome"]), (&json!("RESOLVED"), &json!("applied")));
    assert_eq!(actions(&again), ["SUPERSEDED"]);
    for letter in &left {
        let (code, done) = stage.json(&["dead-letters", "discard", letter, "--reason", "x"]).await;
        assert_eq!((code, &done["outcome"]), (0, &json!("rejected")));
    }
    let said = result(&stage, "m1").await;
    assert_eq!(
        (said.status, &*said.errors[0].code),
        (ResultStatus::Rejected, "rjct.request.discarded")
    );
    // The sender may say it anew, as after any refusal.
    let mut again = request(1);
    again.attempt = 2;
    stage.topics.produce(REQUESTS, &[record(Some(3), &again)]).await;
    stage.decided(5).await;
    assert_eq!(result(&stage, "m1").await.status, ResultStatus::Succeeded);
    stage.prove(5).await;
    worker.stop().await;
}
