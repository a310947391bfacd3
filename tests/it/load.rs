//! The whole way, from the request topic to the events, through the real binary under load.

use std::time::Duration;

use crate::support::Worker;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_enrollments_have_one_outcome_each_and_sent_again_none_more() {
    let world = World::new().await;
    world.send(0..20_000).await;
    let worker = Worker::start(&world.setup);
    worker.ready().await;
    world.prove().await;
    let outcomes = "SELECT string_agg(DISTINCT byte, '' ORDER BY byte) || count(*)
         FROM intake_ledger, LATERAL regexp_split_to_table(convert_from(outcomes, 'UTF8'), '') AS byte";
    let outcomes_of = async || -> String {
        sqlx::query_scalar(outcomes).fetch_one(world.pool()).await.expect("outcomes")
    };
    assert_eq!(outcomes_of().await, "A20000");
    let events = world.number("SELECT count(*) FROM membership_history").await;

    world.send(0..20_000).await;
    world.prove().await;
    assert_eq!(outcomes_of().await, "AD40000");
    let duplicates = world
        .number(
            "SELECT count(*) FROM intake_ledger,
                 LATERAL regexp_split_to_table(convert_from(outcomes, 'UTF8'), '') AS byte WHERE byte = 'D'",
        )
        .await;
    assert_eq!(duplicates, 20_000);
    assert_eq!(world.number("SELECT count(*) FROM membership_history").await, events);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_gives_leases_back_and_publishes_what_was_committed() {
    let world = World::new().await;
    world.send(0..8_000).await;
    let setup = world.with(&[("ROLLCALL_BATCH__MAX_RECORDS", "100")]);
    let mut worker = Worker::start(&setup);
    world.until_applied(500).await;
    worker.terminate().await;
    let status = worker.exit(Duration::from_secs(25)).await;
    assert!(status.success(), "it ended with {status}");
    let applied = world.applied().await;
    assert!(applied < 8_000, "it was stopped in the middle");
    assert_eq!(world.unpublished().await, 0);
    assert!(world.owners().await.iter().all(String::is_empty), "leases are given back");

    let worker = Worker::start(&setup);
    world.prove().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_ends_at_once_with_a_failure() {
    let world = World::new().await;
    world.send(0..2_000).await;
    // Whoever waits for this lock cannot finish its batch.
    let mut blocker = world.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE").execute(&mut *blocker).await.unwrap();
    let mut worker = Worker::start(&world.setup);
    crate::support::eventually(crate::support::PATIENCE, "a batch waits", async || {
        let waiting = world
            .number(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .await;
        (waiting > 0).then_some(())
    })
    .await;
    worker.terminate().await;
    crate::support::eventually(crate::support::PATIENCE, "it shuts down", async || {
        worker.output().contains("shutting down").then_some(())
    })
    .await;
    worker.terminate().await;
    let status = worker.exit(Duration::from_secs(3)).await;
    assert_eq!(status.code(), Some(1));
    blocker.rollback().await.unwrap();

    let worker = Worker::start(&world.setup);
    world.prove().await;
    worker.stop().await;
}
