//! A backlog through the real binary: whole, killed again and again, frozen and taken over.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rollcall::contract::decode_own;
use rollcall::contract::wire::{
    MembershipChanged, MembershipState, MembershipStatus, RequestResult, ResultStatus,
};

use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{Record, Worker, eventually, promptly};

/// What is enrolled in the first test.
const ENROLLMENTS: usize = 20_000;
/// Long enough for a debug build on a busy machine.
const LONG: Duration = Duration::from_mins(5);

/// By the consumer's rule "exactly last + 1": the records that a consumer takes, in order. Repeats are ignored, and so
/// are numbers that come too early; the rule must still end at the last number of each partition.
pub(crate) fn taken(records: Vec<Record>) -> Vec<Record> {
    let mut last: HashMap<i32, i64> = HashMap::new();
    let mut greatest: HashMap<i32, i64> = HashMap::new();
    let mut ids: HashMap<(i32, i64), String> = HashMap::new();
    let mut taken = Vec::new();
    for record in records {
        let sequence: i64 = record.header("ce_sequence").unwrap().parse().unwrap();
        let id = record.header("ce_id").unwrap().to_owned();
        let known = ids.entry((record.partition, sequence)).or_insert_with(|| id.clone());
        assert_eq!(*known, id, "a number means one record for ever, however often it is sent");
        let seen = greatest.entry(record.partition).or_default();
        *seen = sequence.max(*seen);
        let next = last.entry(record.partition).or_default();
        if sequence == *next + 1 {
            *next = sequence;
            taken.push(record);
        }
    }
    assert_eq!(last, greatest, "the rule loses nothing");
    taken
}

/// Looks at the topics with a consumer's eyes: every request has one result, every membership its versions 1, 2, 3 …
pub(crate) async fn complete(stage: &Stage, requests: usize) {
    let results = taken(stage.topics.read("results").await);
    let answered: HashSet<String> = results
        .iter()
        .map(|record| decode_own::<RequestResult>(record.value.as_ref().unwrap()).unwrap())
        .map(|result| {
            assert_eq!(result.status, ResultStatus::Succeeded);
            result.message_id
        })
        .collect();
    assert_eq!(answered.len(), requests, "a result for each request");

    let events = taken(stage.topics.read("membership-events").await);
    let mut versions: HashMap<String, i32> = HashMap::new();
    for record in &events {
        let event: MembershipChanged = decode_own(record.value.as_ref().unwrap()).unwrap();
        assert_eq!(record.key.as_deref(), Some(event.membership_id.as_bytes()));
        let version = versions.entry(event.membership_id).or_default();
        *version += 1;
        assert_eq!(*version, event.version);
    }
    assert_eq!(versions.len(), requests, "a membership for each request");
    let states = taken(stage.topics.read("membership-state").await);
    assert_eq!(states.len(), events.len());
    for (record, event) in states.iter().zip(&events) {
        assert_eq!((record.partition, &record.key), (event.partition, &event.key));
        let membership: MembershipState = decode_own(record.value.as_ref().unwrap()).unwrap();
        assert_eq!(membership.state, MembershipStatus::Enrolled);
    }
}

async fn backlog(stage: &Stage, requests: Range<usize>) {
    let records: Vec<_> = requests.map(|number| record(None, &request(number))).collect();
    stage.topics.produce(REQUESTS, &records).await;
}

async fn decided(stage: &Stage) -> i64 {
    stage
        .number("SELECT coalesce(sum(next_offset - first_offset), 0)::bigint FROM intake_ledger")
        .await
}

/// Waits for the end of long work; `Stage::prove` then has nothing left to wait for.
async fn all_decided(stage: &Stage, offsets: i64) {
    eventually(LONG, "everything is decided", async || {
        (decided(stage).await == offsets).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_enrollments_are_decided_once_and_repeats_change_nothing() {
    let stage = Stage::new().await;
    let records: Vec<_> = (0..ENROLLMENTS).map(|number| record(None, &request(number))).collect();
    stage.topics.produce(REQUESTS, &records).await;
    let worker = Worker::start(&stage.setup);
    all_decided(&stage, ENROLLMENTS as i64).await;
    stage.prove(ENROLLMENTS as i64).await;
    complete(&stage, ENROLLMENTS).await;

    stage.topics.produce(REQUESTS, &records).await;
    all_decided(&stage, 2 * ENROLLMENTS as i64).await;
    stage.prove(2 * ENROLLMENTS as i64).await;
    let repeated = "SELECT sum(length(replace(convert_from(outcomes, 'UTF8'), 'A', '')))::bigint FROM intake_ledger";
    assert_eq!(stage.number(repeated).await, ENROLLMENTS as i64);
    let others = "SELECT sum(length(translate(convert_from(outcomes, 'UTF8'), 'AD', '')))::bigint FROM intake_ledger";
    assert_eq!(stage.number(others).await, 0, "applied or duplicate");
    complete(&stage, ENROLLMENTS).await;
    let again = taken(stage.topics.read("results").await)
        .iter()
        .filter(|record| {
            decode_own::<RequestResult>(record.value.as_ref().unwrap()).unwrap().duplicate
        })
        .count();
    assert_eq!(again, ENROLLMENTS);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_kills_over_one_backlog_lose_and_double_nothing() {
    let stage = Stage::new().await;
    // A static member returns to its partitions at once; small batches make for many moments to be killed in.
    let lasting = stage
        .setup
        .clone()
        .with("ROLLCALL_KAFKA__PROPERTIES__GROUP_INSTANCE_ID", "the-worker")
        .with("ROLLCALL_RELAY__LEASE", "1s");
    let setup = lasting.clone().with("ROLLCALL_BATCH__MAX_RECORDS", "30");
    let mut sent = 12_000;
    backlog(&stage, 0..sent).await;
    let mut random = StdRng::seed_from_u64(7);
    for kill in 0..30 {
        let before = decided(&stage).await;
        // However fast the machine is, there is more to do than one life of a worker does.
        if sent as i64 - before < 4_000 {
            backlog(&stage, sent..sent + 6_000).await;
            sent += 6_000;
        }
        let worker = Worker::start(&setup);
        if kill % 3 == 2 {
            // Whatever it is doing, as its host might: most often before it has done anything. No record is at fault.
            worker.ready().await;
            tokio::time::sleep(Duration::from_millis(random.random_range(0..300))).await;
        } else {
            // Killed once it works, at a random distance: sooner than a batch, or several batches on.
            let after = before + random.random_range(1..200);
            promptly(LONG, "the worker goes on", async || {
                (decided(&stage).await >= after).then_some(())
            })
            .await;
        }
        worker.kill().await;
        assert!(decided(&stage).await < sent as i64, "kill {kill} came amid the work");
    }
    let worker = Worker::start(&lasting);
    all_decided(&stage, sent as i64).await;
    stage.prove(sent as i64).await;
    complete(&stage, sent).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_frozen_past_its_session_is_replaced_and_writes_nothing_when_it_thaws() {
    const REQUESTS_SENT: usize = 6_000;
    let stage = Stage::new().await;
    let setup = stage
        .setup
        .clone()
        .with("ROLLCALL_KAFKA__PROPERTIES__SESSION_TIMEOUT_MS", "6000")
        .with("ROLLCALL_DATABASE__TAKEOVER_AFTER", "2s")
        .with("ROLLCALL_RELAY__LEASE", "1s")
        .with("ROLLCALL_BATCH__MAX_RECORDS", "60");
    backlog(&stage, 0..REQUESTS_SENT).await;
    let frozen = Worker::start(&setup);
    promptly(LONG, "the first worker is at work", async || {
        (decided(&stage).await > 200).then_some(())
    })
    .await;
    frozen.pause().await;
    let successor = Worker::start(&setup);
    all_decided(&stage, REQUESTS_SENT as i64).await;
    let fences = "SELECT count(DISTINCT fence) FROM intake_ledger";
    assert!(stage.number(fences).await > 12, "partitions were taken over");
    frozen.resume().await;
    // It has to notice that it was replaced, and then to take its share again.
    eventually(LONG, "both are members", async || {
        let owners = stage.number("SELECT count(DISTINCT owner) FROM partition_leases").await;
        (owners == 2).then_some(())
    })
    .await;
    stage.prove(REQUESTS_SENT as i64).await;
    complete(&stage, REQUESTS_SENT).await;
    frozen.stop().await;
    successor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_retention_took_stop_their_partition_and_no_other() {
    let stage = Stage::new().await;
    let worker = Worker::start(&stage.setup);
    let first: Vec<_> = (0..20).map(|n| record(Some((n % 2) as i32), &request(n))).collect();
    stage.topics.produce(REQUESTS, &first).await;
    all_decided(&stage, 20).await;
    worker.stop().await;
    // While nobody reads, the log of partition 0 loses what had not been applied.
    let more: Vec<_> = (20..40).map(|n| record(Some((n % 2) as i32), &request(n))).collect();
    stage.topics.produce(REQUESTS, &more).await;
    stage.topics.delete_before(REQUESTS, 0, 15).await;
    let worker = Worker::start(&stage.setup);
    all_decided(&stage, 30).await;
    let (topic, cause) = eventually(LONG, "the partition has stopped", async || {
        let (code, status) = stage.json(&["status"]).await;
        let stopped = status["partitions"].as_array()?.iter().find(|p| p["state"] == "STOPPED")?;
        assert_eq!(code, 1, "not healthy");
        assert_eq!(
            (stopped["partition"].as_i64(), stopped["position"].as_i64()),
            (Some(0), Some(10))
        );
        Some((stopped["topic"].as_str()?.to_owned(), stopped["cause"].as_str()?.to_owned()))
    })
    .await;
    assert_eq!(topic, stage.topics.full(REQUESTS));
    assert!(cause.contains("records_lost") && cause.contains("15"), "{cause}");
    // The log is looked at again and again, which changes nothing of what is said.
    let said = "SELECT said.since || ' ' || said.fence || ' ' || lease.fence
                FROM partition_states AS said JOIN partition_leases AS lease USING (topic, partition)
                WHERE said.state = 'STOPPED'";
    let looked = "SELECT lease.taken_at::text
                  FROM partition_states AS said JOIN partition_leases AS lease USING (topic, partition)
                  WHERE said.state = 'STOPPED'";
    let text =
        async |sql| -> String { sqlx::query_scalar(sql).fetch_one(&stage.db.pool).await.unwrap() };
    let before = text(said).await;
    for _ in 0..2 {
        let last = text(looked).await;
        eventually(LONG, "it is looked at again", async || {
            (text(looked).await != last).then_some(())
        })
        .await;
    }
    assert_eq!(text(said).await, before);
    assert!(!worker.is_ready().await);
    assert_eq!(
        stage.number("SELECT max(next_offset) FROM intake_ledger WHERE partition = 0").await,
        10
    );
    worker.stop().await;
}
