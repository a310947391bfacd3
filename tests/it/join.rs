//! Workers that join and leave while more comes in, and leases that are taken late.

use std::cell::Cell;
use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

use crate::backlog::complete;
use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{PATIENCE, Worker, eventually};

/// Enrolls the persons of these numbers, in all partitions in turn.
async fn send(stage: &Stage, numbers: Range<usize>) {
    let records: Vec<_> = numbers
        .map(|number| record(Some(i32::try_from(number % 12).unwrap()), &request(number)))
        .collect();
    stage.topics.produce(REQUESTS, &records).await;
}

/// Owners of the leases of all request topics; empty where nobody's.
async fn owners(stage: &Stage) -> Vec<String> {
    sqlx::query_scalar("SELECT owner FROM partition_leases")
        .fetch_all(&stage.db.pool)
        .await
        .expect("leases")
}

/// Waits until all leases are taken, by so many workers.
async fn shared_out(stage: &Stage, workers: usize) {
    eventually(PATIENCE, &format!("{workers} workers share all partitions"), async || {
        let owners = owners(stage).await;
        let distinct: HashSet<_> = owners.iter().collect();
        (owners.len() == 3 * 12 && distinct.len() == workers && !owners.contains(&String::new()))
            .then_some(())
    })
    .await;
}

/// Sends more whenever the workers are about to run dry, until told that it is enough; gives how much it sent.
async fn feed(stage: &Stage, enough: &Cell<bool>) -> usize {
    let mut sent = 0;
    while !enough.get() {
        let applied = usize::try_from(stage.ledger().await.unwrap()).unwrap();
        if sent - applied < 1_500 {
            send(stage, sent..sent + 500).await;
            sent += 500;
        }
        // Not to ask the database all the time.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn two_and_three_workers_join_and_leave_under_load() {
    let stage = Stage::new().await;
    let setup = stage.setup.clone().with("ROLLCALL_BATCH__MAX_RECORDS", "50");
    let enough = Cell::new(false);
    let comings_and_goings = async {
        let first = Worker::start(&setup);
        shared_out(&stage, 1).await;
        let second = Worker::start(&setup);
        shared_out(&stage, 2).await;
        let third = Worker::start(&setup);
        shared_out(&stage, 3).await;
        first.stop().await;
        shared_out(&stage, 2).await;
        let first = Worker::start(&setup);
        shared_out(&stage, 3).await;
        tokio::join!(second.stop(), third.stop());
        shared_out(&stage, 1).await;
        enough.set(true);
        first
    };
    let (last, sent) = tokio::join!(comings_and_goings, feed(&stage, &enough));
    stage.prove(i64::try_from(sent).unwrap()).await;
    complete(&stage, sent).await;
    last.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_somebody_else_took_is_taken_again() {
    let stage = Stage::new().await;
    send(&stage, 0..3_000).await;
    let worker = Worker::start(&stage.setup.clone().with("ROLLCALL_BATCH__MAX_RECORDS", "50"));
    eventually(PATIENCE, "it has begun", async || {
        (stage.ledger().await.unwrap() >= 300).then_some(())
    })
    .await;
    let mut sent = 3_000;
    for _ in 0..3 {
        sqlx::query(
            "UPDATE partition_leases SET fence = gen_random_uuid(), owner = 'late'
             WHERE topic LIKE '%enrollment-requests' AND partition IN (3, 7)",
        )
        .execute(&stage.db.pool)
        .await
        .unwrap();
        // It hears of it when it writes: there is something to write, however fast it was so far.
        send(&stage, sent..sent + 240).await;
        sent += 240;
        eventually(PATIENCE, "it has its leases again", async || {
            (!owners(&stage).await.contains(&"late".to_owned())).then_some(())
        })
        .await;
    }
    stage.prove(sent as i64).await;
    complete(&stage, sent).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_taken_after_the_partitions_had_gone_are_given_back() {
    let stage = Stage::new().await;
    send(&stage, 0..240).await;
    let first = Worker::start(&stage.setup);
    stage.prove(240).await;
    first.stop().await;
    // Not a session of Rollcall, so nobody ends it: takeovers wait.
    let mut lock = stage.db.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM partition_leases ORDER BY partition FOR UPDATE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let waiting = async |at_least: i64| {
        eventually(PATIENCE, "takeovers wait", async || {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                       AND wait_event_type = 'Lock' AND query LIKE '%partition_leases%'";
            (stage.number(sql).await >= at_least).then_some(())
        })
        .await;
    };
    let first = Worker::start(&stage.setup);
    waiting(1).await;
    let second = Worker::start(&stage.setup);
    // The second has joined once it has been assigned what the first still waits for.
    eventually(PATIENCE, "the second has joined", async || {
        let owners = "SELECT count(DISTINCT owner) FROM partition_states WHERE state <> 'UNOWNED'";
        (stage.number(owners).await >= 2).then_some(())
    })
    .await;
    lock.rollback().await.unwrap();
    shared_out(&stage, 2).await;
    send(&stage, 240..1_440).await;
    stage.prove(1_440).await;
    complete(&stage, 1_440).await;
    shared_out(&stage, 2).await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn takeovers_that_wait_leave_connections_for_everybody_else() {
    let stage = Stage::new().await;
    let first = Worker::start(&stage.setup);
    shared_out(&stage, 1).await;
    first.stop().await;
    let mut lock = stage.db.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM partition_leases ORDER BY partition FOR UPDATE")
        .execute(&mut *lock)
        .await
        .unwrap();
    // The least that a pool may have, and nobody gives up waiting.
    let setup = stage
        .setup
        .clone()
        .with("ROLLCALL_DATABASE__MAX_CONNECTIONS", "4")
        .with("ROLLCALL_DATABASE__TAKEOVER_AFTER", "1h");
    let worker = Worker::start(&setup);
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                   AND wait_event_type = 'Lock' AND query LIKE '%partition_leases%'";
    eventually(PATIENCE, "takeovers wait", async || {
        (stage.number(waiting).await >= 4).then_some(())
    })
    .await;
    let now: time::OffsetDateTime =
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&stage.db.pool).await.unwrap();
    eventually(PATIENCE, "it gives signs of life", async || {
        let seen = sqlx::query_scalar("SELECT count(*) FROM workers WHERE seen_at > $1").bind(now);
        let seen: i64 = seen.fetch_one(&stage.db.pool).await.ok()?;
        (seen == 1).then_some(())
    })
    .await;
    assert_eq!(stage.number(waiting).await, 4, "the others wait for their turn");
    lock.rollback().await.unwrap();
    shared_out(&stage, 1).await;
    send(&stage, 0..120).await;
    stage.prove(120).await;
    worker.stop().await;
}
