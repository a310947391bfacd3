//! Processes that die while they work: killed by somebody, or by a record.

use serde_json::json;

use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{PATIENCE, Setup, Worker, eventually};

/// Partitions of who is dead are given to others sooner than after 45 s.
pub(crate) fn quick(stage: &Stage) -> Setup {
    stage.setup.clone().with("ROLLCALL_KAFKA__PROPERTIES__SESSION_TIMEOUT_MS", "6000")
}

/// Enrolls the persons of these numbers in one partition.
async fn send(stage: &Stage, partition: i32, numbers: std::ops::Range<usize>) {
    let records: Vec<_> = numbers.map(|number| record(Some(partition), &request(number))).collect();
    stage.topics.produce(REQUESTS, &records).await;
}

/// Starts workers until one lives to see so many offsets decided; gives it, and how many died.
pub(crate) async fn survivor(stage: &Stage, setup: &Setup, offsets: i64) -> (Worker, usize) {
    for died in 0..10 {
        let mut worker = Worker::start(setup);
        let decided = eventually(PATIENCE, "it dies or decides", async || {
            (stage.ledger().await.ok()? == offsets).then_some(())
        });
        tokio::select! {
            () = decided => return (worker, died),
            status = worker.exit(PATIENCE) => assert!(!status.success()),
        }
    }
    panic!("one after another died");
}

/// The outcomes of each partition that has any.
async fn outcomes(stage: &Stage) -> String {
    let sql = "SELECT string_agg(partition || outcomes, ' ' ORDER BY partition) FROM (
                   SELECT partition, string_agg(convert_from(outcomes, 'UTF8'), '' ORDER BY first_offset) AS outcomes
                   FROM intake_ledger GROUP BY partition) AS each";
    sqlx::query_scalar(sql).fetch_one(&stage.db.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_at_which_the_process_dies_is_found_among_others() {
    let stage = Stage::new().await;
    send(&stage, 0, 0..5).await;
    send(&stage, 1, 5..9).await;
    // Of the same person: it waits for the letter.
    let mut later = request(2);
    later.message_id = "later".to_owned();
    stage.topics.produce(REQUESTS, &[record(Some(0), &later)]).await;
    let setup = quick(&stage).with("FAULT_AT", "abort:apply:m2");
    let (worker, died) = survivor(&stage, &setup, 10).await;
    // Among others; its partition apart; the record alone, three times. Fewer if it happened to be the first of those.
    assert!((3..=6).contains(&died), "{died}");
    assert_eq!(outcomes(&stage).await, "0AALAAK 1AAAA");
    let (_, letters) = stage.json(&["dead-letters", "list"]).await;
    let letter = &letters["items"][0];
    assert_eq!(
        [&letter["class"], &letter["stage"], &letter["code"], &letter["offset"]],
        [&json!("failed"), &json!("apply"), &json!("crashed"), &json!(2)]
    );
    stage.prove(10).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_kills_whoever_decodes_it_is_a_letter_after_three() {
    let stage = Stage::new().await;
    send(&stage, 0, 0..1).await;
    let setup = quick(&stage).with("FAULT_AT", "abort:decode:m0");
    let (worker, died) = survivor(&stage, &setup, 1).await;
    assert_eq!((died, &*outcomes(&stage).await), (3, "0L"));
    let stages = "SELECT count(*) FROM dead_letters WHERE stage = 'decode' AND code = 'crashed'";
    assert_eq!(stage.number(stages).await, 1);
    // What follows is read in the ordinary way.
    send(&stage, 0, 1..3).await;
    stage.prove(3).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_makes_the_program_panic_is_a_letter_and_nobody_dies() {
    let stage = Stage::new().await;
    send(&stage, 0, 0..5).await;
    let worker = Worker::start(&stage.setup.clone().with("FAULT_AT", "panic:apply:m2"));
    stage.prove(5).await;
    assert_eq!(outcomes(&stage).await, "0AALAA");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_killed_leave_healthy_partitions_alone() {
    let stage = Stage::new().await;
    let setup = quick(&stage);
    let mut sent = 0;
    for _ in 0..4 {
        for partition in 0..4 {
            send(&stage, partition, sent..sent + 25).await;
            sent += 25;
        }
        let worker = Worker::start(&setup);
        stage.decided(i64::try_from(sent).unwrap()).await;
        worker.kill().await;
    }
    let worker = Worker::start(&setup);
    send(&stage, 0, sent..sent + 1).await;
    stage.prove(i64::try_from(sent + 1).unwrap()).await;
    assert_eq!(stage.number("SELECT count(*) FROM dead_letters").await, 0);
    let stopped = "SELECT count(*) FROM partition_states WHERE state = 'STOPPED'";
    assert_eq!(stage.number(stopped).await, 0);
    eventually(PATIENCE, "they are trusted", async || {
        let known = "SELECT count(*) FROM partition_crashes WHERE alone > 0 OR under_way > 0 OR crashes > 4";
        (stage.number(known).await == 0).then_some(())
    })
    .await;
    worker.stop().await;
}
