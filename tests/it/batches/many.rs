//! A large batch over all partitions and two workers.

use rollcall::contract::wire::ReceiptStatus;
use serde_json::Value;

use super::{counts, digest, of_batch, receipt, receipts};
use crate::stage::{REQUESTS, Stage, record};
use crate::support::Worker;

/// Requests in the batch.
const MANY: usize = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_over_two_workers_get_exactly_one_receipt() {
    let stage = Stage::new().await;
    for part in 0..10 {
        let numbers = part * MANY / 10..(part + 1) * MANY / 10;
        let records: Vec<_> = numbers
            .map(|n| record(Some((n % 12) as i32), &of_batch(n, "large", Some(MANY as i32))))
            .collect();
        stage.topics.produce(REQUESTS, &records).await;
    }
    let workers = [Worker::start(&stage.setup), Worker::start(&stage.setup)];
    stage.decided(MANY as i64).await;
    let said = receipt(&stage, "large", 1).await;
    assert_eq!(said.status, ReceiptStatus::Complete);
    assert_eq!(counts(&said), [MANY as i32, 0, 0, 0, 0]);
    let ids: Vec<_> = (0..MANY).map(|n| format!("m{n}")).collect();
    assert_eq!(said.digest.0, digest(ids.iter().map(|id| (id.as_str(), "applied"))));
    assert_eq!(said.positions.len(), 12);
    stage.published().await;
    // Every number of the membership streams is an event of this batch, so it ends where they end.
    let last = "SELECT count(*) FROM batches, UNNEST(positions) WITH ORDINALITY AS last (sequence, shard)
                WHERE sequence = (SELECT max(first_seq + count - 1) FROM outbox_runs WHERE stream = 999 + shard)";
    assert_eq!(stage.number(last).await, 12);
    assert_eq!(receipts(&stage, "large").await.len(), 1);
    let open = "SELECT count(*) FROM batches WHERE due_at IS NOT NULL OR revision <> 1";
    assert_eq!(stage.number(open).await, 0, "nothing more is to be said");
    // The batch has more messages than a page of the proof.
    stage.prove(MANY as i64).await;
    let lie = "UPDATE batches SET digest = set_byte(digest, 31, get_byte(digest, 31) # 1)";
    sqlx::query(lie).execute(&stage.db.pool).await.unwrap();
    let (code, report) = stage.json(&["reconcile", "--offline"]).await;
    assert_eq!((code, &report["proved"]), (1, &Value::Bool(false)), "{report:#}");
    for worker in workers {
        worker.stop().await;
    }
}
