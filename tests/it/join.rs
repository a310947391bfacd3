//! Workers that join and leave, leases that are taken late, and a log that has lost records.

use std::cell::Cell;
use std::time::Duration;

use crate::support::{PATIENCE, Worker, eventually, rollcall};
use crate::world::{REQUESTS, World, shared_out};

/// Sends more whenever the workers are about to run dry, until told that it is enough.
async fn feed(world: &World, enough: &Cell<bool>) {
    let mut sent: u32 = 0;
    while !enough.get() {
        if i64::from(sent) - world.applied().await < 1_500 {
            world.send(sent..sent + 500).await;
            sent += 500;
        }
        // Not to ask the database all the time.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_and_three_workers_join_and_leave_under_load() {
    let world = World::new().await;
    let setup = world.with(&[("ROLLCALL_BATCH__MAX_RECORDS", "50")]);
    let enough = Cell::new(false);
    let comings_and_goings = async {
        let first = Worker::start(&setup);
        shared_out(&world, 1).await;
        let second = Worker::start(&setup);
        shared_out(&world, 2).await;
        let third = Worker::start(&setup);
        shared_out(&world, 3).await;
        first.stop().await;
        shared_out(&world, 2).await;
        let first = Worker::start(&setup);
        shared_out(&world, 3).await;
        let (second, third) = tokio::join!(second.stop(), third.stop());
        let ((), ()) = (second, third);
        shared_out(&world, 1).await;
        enough.set(true);
        first
    };
    let (last, ()) = tokio::join!(comings_and_goings, feed(&world, &enough));
    world.prove().await;
    last.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_somebody_else_took_is_taken_again() {
    let world = World::new().await;
    world.send(0..3_000).await;
    let worker = Worker::start(&world.with(&[("ROLLCALL_BATCH__MAX_RECORDS", "50")]));
    world.until_applied(300).await;
    for _ in 0..3 {
        sqlx::query(
            "UPDATE partition_leases SET fence = gen_random_uuid(), owner = 'late' WHERE partition IN (3, 7)",
        )
        .execute(world.pool())
        .await
        .unwrap();
        eventually(PATIENCE, "it has its leases again", async || {
            (!world.owners().await.contains(&"late".to_owned())).then_some(())
        })
        .await;
    }
    world.prove().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_taken_after_the_partitions_had_gone_are_given_back() {
    let world = World::new().await;
    world.send(0..240).await;
    let first = Worker::start(&world.setup);
    world.settled().await;
    first.stop().await;
    // Not a session of Rollcall, so nobody ends it: takeovers wait.
    let mut lock = world.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM partition_leases ORDER BY partition FOR UPDATE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let waiting = async |at_least: i64| {
        eventually(PATIENCE, "takeovers wait", async || {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                       AND wait_event_type = 'Lock' AND query LIKE '%partition_leases%'";
            (world.number(sql).await >= at_least).then_some(())
        })
        .await;
    };
    let first = Worker::start(&world.setup);
    waiting(1).await;
    let second = Worker::start(&world.setup);
    // The second has joined once it has been assigned what the first still waits for.
    eventually(PATIENCE, "the second has joined", async || {
        let owners = "SELECT count(DISTINCT owner) FROM partition_states WHERE state <> 'UNOWNED'";
        (world.number(owners).await >= 2).then_some(())
    })
    .await;
    lock.rollback().await.unwrap();
    shared_out(&world, 2).await;
    world.send(240..1_440).await;
    world.prove().await;
    shared_out(&world, 2).await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_whose_records_retention_took_is_stopped_and_the_others_go_on() {
    let world = World::new().await;
    world.send(0..240).await;
    let worker = Worker::start(&world.setup);
    world.prove().await;
    worker.stop().await;
    // 20 in each partition are applied; of the next 20 in partition 5 the first three go.
    world.send(240..480).await;
    world.topics.delete_before(REQUESTS, 5, 23).await;

    let worker = Worker::start(&world.setup);
    let cause = eventually(PATIENCE, "partition 5 is stopped", async || {
        let (state, cause) = world.state(5).await?;
        if state == "STOPPED" { cause } else { None }
    })
    .await;
    assert!(cause.starts_with("records_lost: "), "{cause}");
    assert!(cause.contains("23") && cause.contains("20"), "it says where: {cause}");
    world.until_applied(240 + 220).await;
    let (status, body) = worker.get("/readyz").await.unwrap();
    assert_eq!(status, 503);
    assert!(body.contains("records_lost"), "{body}");

    let output = rollcall(&world.setup, &["status", "--json"]).await;
    assert_eq!(output.status.code(), Some(1), "not healthy: {output:?}");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let partitions = said["partitions"].as_array().unwrap();
    let stopped: Vec<_> = partitions.iter().filter(|one| one["state"] == "STOPPED").collect();
    assert_eq!(stopped.len(), 1);
    assert_eq!((&stopped[0]["partition"], &stopped[0]["position"]), (&5.into(), &20.into()));
    assert_eq!(stopped[0]["cause"], cause);

    // Not skipped: nothing of partition 5 was taken, and its position stands; the others still work.
    world.send(480..720).await;
    world.until_applied(240 + 2 * 220).await;
    let position = "SELECT max(next_offset) FROM intake_ledger WHERE partition = 5";
    assert_eq!(world.number(position).await, 20);
    worker.stop().await;
}
