//! Processes that die while they work: killed by somebody, or by a record.

use rollcall::contract::encode;
use rollcall::contract::wire::{Action, MembershipUpdateRequest, Millis};
use rollcall::lifecycle::clock::{Clock as _, SystemClock};
use serde_json::json;

use crate::scene::update;
use crate::stage::{REQUESTS, Stage, command, record, request};
use crate::support::{NewRecord, PATIENCE, Setup, Worker, eventually, promptly};

/// Partitions of who is dead are given to others sooner than after 45 s.
pub(crate) fn quick(stage: &Stage) -> Setup {
    stage.setup.clone().with("ROLLCALL_KAFKA__PROPERTIES__SESSION_TIMEOUT_MS", "6000")
}

/// Enrolls the persons of these numbers in one partition.
async fn send(stage: &Stage, partition: i32, numbers: std::ops::Range<usize>) {
    let records: Vec<_> = numbers.map(|number| record(Some(partition), &request(number))).collect();
    stage.topics.produce(REQUESTS, &records).await;
}

/// Starts processes until one lives to see `done`; gives it, and how many died.
pub(crate) async fn survivor_of(
    start: impl Fn() -> Worker,
    done: impl AsyncFn() -> bool,
) -> (Worker, usize) {
    for died in 0..10 {
        let mut worker = start();
        let decided =
            eventually(PATIENCE, "it dies or decides", async || done().await.then_some(()));
        tokio::select! {
            () = decided => return (worker, died),
            status = worker.exit(PATIENCE) => assert!(!status.success()),
        }
    }
    panic!("one after another died");
}

/// Starts workers until one lives to see so many offsets decided; gives it, and how many died.
pub(crate) async fn survivor(stage: &Stage, setup: &Setup, offsets: i64) -> (Worker, usize) {
    let done = async || stage.ledger().await.is_ok_and(|decided| decided == offsets);
    survivor_of(|| Worker::start(setup), done).await
}

/// Starts workers until one lives to see the first partition stopped; gives it, and why the partition is.
async fn stopped(stage: &Stage, setup: &Setup) -> (Worker, String) {
    let sql = "SELECT cause FROM partition_states WHERE state = 'STOPPED' AND partition = 0";
    let cause = async || {
        let cause: Option<String> =
            sqlx::query_scalar(sql).fetch_optional(&stage.db.pool).await.unwrap();
        cause
    };
    let (worker, _) = survivor_of(|| Worker::start(setup), async || cause().await.is_some()).await;
    (worker, cause().await.unwrap())
}

/// A pause of whom the enrollment of this number enrolls.
fn pause(number: usize, message_id: &str) -> NewRecord {
    let reference = format!("r{number}");
    let request = MembershipUpdateRequest {
        sent_at: Millis::from(SystemClock.now()),
        ..update(message_id, &reference, "CASH", Action::Pause)
    };
    NewRecord {
        partition: Some(0),
        key: Some(reference.into_bytes()),
        value: Some(encode(&request).unwrap()),
        ..NewRecord::default()
    }
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
async fn a_cap_holds_for_such_letters_too_and_a_skip_does_not_decode_them() {
    let stage = Stage::new().await;
    let garbage =
        NewRecord { partition: Some(0), value: Some(b"garbage".to_vec()), ..NewRecord::default() };
    stage.topics.produce(REQUESTS, &[garbage]).await;
    send(&stage, 0, 1..3).await;
    let setup = quick(&stage)
        .with("FAULT_AT", "abort:decode:m1")
        .with("ROLLCALL_DEAD_LETTER__MAX_CONSECUTIVE", "1");
    let (worker, cause) = stopped(&stage, &setup).await;
    assert!(cause.starts_with("dead_letter_cap"), "{cause}");
    // The command would die of it too.
    let skip =
        ["partitions", "skip", REQUESTS, "0", "1", "--reason", "it kills", "--actor", "clerk"];
    let (code, stdout, stderr) = command(&setup, &skip).await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    stage.prove(3).await;
    assert_eq!(outcomes(&stage).await, "0LSA");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_others_fail_too_the_partition_stops_instead() {
    let stage = Stage::new().await;
    send(&stage, 0, 0..1).await;
    let only = "ALTER TABLE phone_numbers ADD CONSTRAINT no_canary CHECK (phone_no = '') NOT VALID";
    sqlx::query(only).execute(&stage.db.pool).await.unwrap();
    let setup = quick(&stage).with("FAULT_AT", "abort:apply:m0");
    let (worker, cause) = stopped(&stage, &setup).await;
    assert!(cause.starts_with("crashed: and a canary write fails too"), "{cause}");
    assert_eq!(stage.number("SELECT count(*) FROM dead_letters").await, 0);
    worker.stop().await;
}

/// Those whom a batch frees are decided in its transaction: neither the batch nor the healthy ones among them are blamed.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_record_that_kills_who_frees_it_is_found_and_nothing_else_is_lost() {
    let stage = Stage::new().await;
    let mut updates: Vec<_> = (0..4).map(|n| pause(n, &format!("p{n}"))).collect();
    updates.push(pause(2, "later"));
    stage.topics.produce("membership-updates", &updates).await;
    let setup = quick(&stage).with("ROLLCALL_PARKING__GRACE", "1h");
    let worker = Worker::start(&setup);
    stage.decided(5).await;
    worker.stop().await;
    send(&stage, 0, 0..4).await;
    let resolved = "SELECT count(*) FROM parked_records WHERE state = 'RESOLVED'";
    let faulty = setup.clone().with("FAULT_AT", "abort:drain:p2");
    let (worker, died) =
        survivor_of(|| Worker::start(&faulty), async || stage.number(resolved).await == 4).await;
    // The batch; perhaps that again, if its end was seen late; three times alone.
    assert!((3..=6).contains(&died), "{died}");
    stage.prove(9).await;
    let changed = "SELECT string_agg(message_id, ' ' ORDER BY message_id) FROM membership_history";
    let changed: String = sqlx::query_scalar(changed).fetch_one(&stage.db.pool).await.unwrap();
    assert_eq!(changed, "m0 m1 m2 m3 p0 p1 p3");
    let letters =
        "SELECT string_agg(code || ' ' || convert_from(message_id, 'UTF8'), ' ') FROM dead_letters";
    let letters: String = sqlx::query_scalar(letters).fetch_one(&stage.db.pool).await.unwrap();
    assert_eq!(letters, "crashed p2");
    let (_, list) = stage.json(&["dead-letters", "list"]).await;
    let letter = list["items"][0]["letter_id"].as_str().unwrap();
    stage
        .done(&["dead-letters", "discard", letter, "--reason", "it kills", "--actor", "a", "--yes"])
        .await;
    eventually(PATIENCE, "who waited behind it is through", async || {
        (stage.number(resolved).await == 5).then_some(())
    })
    .await;
    stage.prove(9).await;
    eventually(PATIENCE, "all are trusted", async || {
        let known = "SELECT (SELECT count(*) FROM drains) + (SELECT count(*) FROM parked_crashes)";
        (stage.number(known).await == 0).then_some(())
    })
    .await;
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

/// What is known of the first partition's owners that were gone without a word.
async fn alone(stage: &Stage) -> Option<i32> {
    sqlx::query_scalar("SELECT alone FROM partition_crashes WHERE partition = 0 AND crashes > 0")
        .fetch_optional(&stage.db.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_killed_before_the_record_is_tried_clears_it() {
    let stage = Stage::new().await;
    send(&stage, 0, 0..1).await;
    let setup = quick(&stage).with("FAULT_AT", "abort:apply:m0");
    for _ in 0..2 {
        let mut worker = Worker::start(&setup);
        assert!(!worker.exit(PATIENCE).await.success());
    }
    let worker = Worker::start(&setup);
    promptly(PATIENCE, "two were lost at the record", async || {
        (alone(&stage).await == Some(2)).then_some(())
    })
    .await;
    worker.kill().await;
    let (worker, died) = survivor(&stage, &setup, 1).await;
    assert_eq!((died, &*outcomes(&stage).await), (3, "0L"), "three more, all of its own");
    stage.prove(1).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_killed_while_a_halt_stands_blames_no_record() {
    let stage = Stage::new().await;
    send(&stage, 0, 0..1).await;
    let setup = quick(&stage);
    let halt = "INSERT INTO halts (name, cause, since) VALUES ('test', 'a test', now())";
    sqlx::query(halt).execute(&stage.db.pool).await.unwrap();
    for life in 0..5 {
        let worker = Worker::start(&setup);
        let waits = if life == 0 { "a batch waits" } else { "could not be noted yet" };
        eventually(PATIENCE, "it waits", async || worker.output().contains(waits).then_some(()))
            .await;
        worker.kill().await;
    }
    sqlx::query("DELETE FROM halts").execute(&stage.db.pool).await.unwrap();
    let worker = Worker::start(&setup);
    stage.prove(1).await;
    assert_eq!(outcomes(&stage).await, "0A");
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
