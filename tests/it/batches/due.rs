//! When receipts are said, by a clock that moves when it is told.

use std::sync::Arc;
use std::time::Duration;

use rollcall::apply::{Receipts, TopicPartition};
use rollcall::contract::decode_own;
use rollcall::contract::wire::{BatchReceipt, BatchRef, EnrollmentRequest, ReceiptStatus};
use rollcall::lifecycle::clock::ManualClock;
use time::macros::datetime;
use tokio_util::sync::CancellationToken;

use super::counts;
use crate::scene::{Scene, applier_with, batch, enrollment, partition, record};
use crate::support::{PATIENCE, eventually};

struct Said {
    scene: Scene,
    clock: Arc<ManualClock>,
    stop: CancellationToken,
    at: TopicPartition,
}

impl Said {
    async fn new() -> Self {
        let mut scene = Scene::new().await;
        let clock = Arc::new(ManualClock::new(datetime!(2026-03-02 00:00 UTC)));
        scene.applier = applier_with(scene.pool.clone(), Arc::clone(&clock) as _);
        Self { scene, clock, stop: CancellationToken::new(), at: partition(0) }
    }

    /// The task that says receipts, to be run beside the test.
    fn task(&self) -> impl Future<Output = ()> + use<> {
        let receipts = Receipts::new(
            self.scene.pool.clone(),
            Arc::clone(&self.clock) as _,
            Default::default(),
            12,
            Duration::from_secs(1),
        );
        receipts.run(self.stop.clone())
    }

    /// Applies one request at this offset, in a transaction of its own.
    async fn apply(&self, offset: i64, request: &EnrollmentRequest) {
        let fence = self.scene.lease(&self.at).await;
        let records = vec![record(&self.at, offset, request)];
        let batch = batch(&self.scene.applier, fence, records);
        Box::pin(self.scene.applier.apply(batch, &CancellationToken::new())).await;
    }

    /// The receipts in the outbox, once there are so many.
    async fn receipts(&self, number: usize) -> Vec<BatchReceipt> {
        eventually(PATIENCE, &format!("{number} receipts"), async || {
            let bodies = "SELECT body FROM outbox WHERE stream BETWEEN 2000 AND 2011 ORDER BY batch, stream, pos";
            let bodies: Vec<Vec<u8>> =
                sqlx::query_scalar(bodies).fetch_all(&self.scene.pool).await.ok()?;
            let receipts: Vec<_> = bodies.iter().map(|body| decode_own(body).unwrap()).collect();
            (receipts.len() >= number).then_some(receipts)
        })
        .await
    }
}

fn refused(n: usize, batch_id: &str, total_count: i32) -> EnrollmentRequest {
    EnrollmentRequest {
        batch: Some(BatchRef { batch_id: batch_id.to_owned(), total_count: Some(total_count) }),
        ..enrollment(&format!("{batch_id}-{n}"), &format!("r{n}"), "NOWHERE")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_finished_batch_are_gathered_into_one_revision() {
    let said = Said::new().await;
    let test = async {
        let first: Vec<_> = (0..3).map(|n| refused(n, "a", 3)).collect();
        for (offset, request) in (0..).zip(&first) {
            said.apply(offset, request).await;
        }
        let receipts = said.receipts(1).await;
        assert_eq!((receipts[0].revision, counts(&receipts[0])), (1, [0, 0, 0, 3, 0]));
        // The program is there when the requests are evaluated anew.
        let sql = "INSERT INTO programs SELECT gen_random_uuid(), 'NOWHERE', 'Now there', target_type, state, created_at, updated_at
                   FROM programs WHERE code = 'CASH'";
        sqlx::query(sql).execute(&said.scene.pool).await.unwrap();
        for (offset, request) in (3..).zip(&first) {
            said.clock.advance(time::Duration::SECOND);
            said.apply(offset, &EnrollmentRequest { attempt: 2, ..request.clone() }).await;
        }
        // Another batch is said by the next look, so that has been; the revision was not due yet.
        said.apply(6, &refused(9, "b", 1)).await;
        let receipts = said.receipts(2).await;
        assert_eq!((&*receipts[1].batch_id, receipts.len()), ("b", 2));
        said.clock.advance(time::Duration::seconds(3));
        let receipts = said.receipts(3).await;
        let last = &receipts[2];
        assert_eq!((&*last.batch_id, last.revision, counts(last)), ("a", 2, [3, 0, 0, 0, 0]));
        assert_eq!(last.status, ReceiptStatus::Complete);
        assert_eq!(last.positions.iter().map(|p| p.sequence).sum::<i64>(), 3);
        let idle = "SELECT count(*) FROM batches WHERE due_at IS NULL";
        assert_eq!(said.scene.number(idle).await, 2, "nothing more is due");
        said.stop.cancel();
    };
    tokio::join!(test, said.task());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_forbids_receipts_too() {
    let said = Said::new().await;
    said.apply(0, &refused(0, "a", 1)).await;
    let halt = "INSERT INTO halts (name, cause, since) VALUES ('test', 'a test', now())";
    sqlx::query(halt).execute(&said.scene.pool).await.unwrap();
    let test = async {
        // Each look takes a number: several have been taken, and nothing was said.
        let looks = async || said.scene.number("SELECT last_value FROM outbox_batch_seq").await;
        let before = looks().await;
        eventually(PATIENCE, "some looks", async || (looks().await > before + 1).then_some(()))
            .await;
        assert_eq!(said.scene.number("SELECT count(*) FROM batches WHERE due_at IS NULL").await, 0);
        sqlx::query("DELETE FROM halts").execute(&said.scene.pool).await.unwrap();
        assert_eq!(said.receipts(1).await[0].revision, 1);
        said.stop.cancel();
    };
    tokio::join!(test, said.task());
}
