//! P6: an outage is not an error of the message. A server is away for 20 s in mid-load.

use std::time::{Duration, Instant};

use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{self, NewRecord, PATIENCE, Worker, eventually, promptly};

const AWAY: Duration = Duration::from_secs(20);
const RECORDS: usize = 4_000;

fn load(from: usize, to: usize) -> Vec<NewRecord> {
    (from..to).map(|number| record(None, &request(number))).collect()
}

/// A worker in the middle of its load: it has begun and is far from the end.
async fn in_mid_load(stage: &Stage) -> Worker {
    stage.topics.produce(REQUESTS, &load(0, RECORDS)).await;
    // Small batches, so that there is a middle.
    let worker = Worker::start(&stage.setup.clone().with("ROLLCALL_BATCH__MAX_RECORDS", "20"));
    promptly(PATIENCE, "the worker has begun", async || {
        stage.ledger().await.ok().filter(|decided| *decided > 0)
    })
    .await;
    worker
}

/// The worker says that it is not ready, and says so until the server is back.
async fn not_ready_for_a_while(worker: &Worker) {
    let begun = Instant::now();
    eventually(AWAY / 2, "the worker says that it is not ready", async || {
        let (status, _) = worker.get("/readyz").await?;
        (status == 503).then_some(())
    })
    .await;
    eventually(AWAY * 2, "20 s are over", async || {
        let (status, body) = worker.get("/readyz").await.expect("HTTP answers in an outage too");
        assert_eq!(status, 503, "{body}");
        let (status, body) = worker.get("/livez").await.expect("HTTP answers in an outage too");
        assert_eq!(status, 200, "an outage is no reason to restart: {body}");
        (begun.elapsed() >= AWAY).then_some(())
    })
    .await;
}

async fn goes_on_by_itself(stage: &Stage, worker: Worker) {
    worker.ready().await;
    stage.prove(2 * RECORDS as i64).await;
    assert_eq!(stage.number("SELECT count(*) FROM dead_letters").await, 0);
    assert_eq!(stage.number("SELECT count(*) FROM memberships").await, 2 * RECORDS as i64);
    assert_eq!(stage.topics.read("dead-letters").await, []);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_away_for_20_seconds_costs_nothing_but_time() {
    let postgres = support::own_postgres().await;
    let stage = Stage::on(support::kafka().await, postgres.database().await).await;
    let worker = in_mid_load(&stage).await;
    postgres.stop().await;
    // Senders do not wait for it.
    stage.topics.produce(REQUESTS, &load(RECORDS, 2 * RECORDS)).await;
    not_ready_for_a_while(&worker).await;
    postgres.start().await;
    goes_on_by_itself(&stage, worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_away_for_20_seconds_costs_nothing_but_time() {
    let kafka = support::own_kafka().await;
    let stage = Stage::on(&kafka, support::database().await).await;
    let worker = in_mid_load(&stage).await;
    kafka.stop().await;
    not_ready_for_a_while(&worker).await;
    kafka.start().await;
    stage.topics.produce(REQUESTS, &load(RECORDS, 2 * RECORDS)).await;
    goes_on_by_itself(&stage, worker).await;
}
