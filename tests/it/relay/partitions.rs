//! Partitions of the outbox: made ahead, dropped when all is published (I6).

use std::time::Duration;

use rollcall::publish::{PartitionSettings, maintain_partitions};
use sqlx::PgPool;

use super::{RESULTS, all_published, consume, ground, insert_rows, insert_run, seed, start};
use crate::support::{PATIENCE, eventually};

const EAGER: PartitionSettings = PartitionSettings {
    batches: 100_000,
    create_ahead: 150_000,
    keep: Duration::ZERO,
    interval: Duration::from_millis(100),
};

async fn partitions(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'outbox'::regclass
         ORDER BY length(inhrelid::regclass::text), 1",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

async fn next_batch(pool: &PgPool, batch: i64) {
    let set = sqlx::query("SELECT setval('outbox_batch_seq', $1, false)").bind(batch);
    set.execute(pool).await.unwrap();
}

#[tokio::test]
async fn partitions_are_made_ahead_and_dropped_when_all_is_published() {
    let ground = ground().await;
    let pool = &ground.db.pool;
    seed(pool, RESULTS, 10).await;
    let done = maintain_partitions(pool, &EAGER).await.unwrap();
    assert_eq!((done.created, done.dropped), (1, 0));
    next_batch(pool, 100_001).await;
    seed(pool, RESULTS, 10).await;
    let done = maintain_partitions(pool, &EAGER).await.unwrap();
    assert_eq!((done.created, done.dropped), (1, 0), "what is not published stays");

    let kept = PartitionSettings { keep: PATIENCE, ..EAGER };
    let mut config = ground.config.clone();
    config.partitions = kept;
    let relay = start(&config, pool);
    all_published(pool).await;
    relay.stop().await;
    assert_eq!(maintain_partitions(pool, &kept).await.unwrap().dropped, 0, "nor what is young");
    // One round at a time: the server may not have noticed yet that the last one is over.
    eventually(PATIENCE, "the old partition is dropped", async || {
        (maintain_partitions(pool, &EAGER).await.unwrap().dropped == 1).then_some(())
    })
    .await;
    assert_eq!(partitions(pool).await, ["outbox_100000", "outbox_200000"]);
}

#[tokio::test]
async fn a_partition_dropped_while_a_batch_writes_to_it_loses_no_event() {
    let ground = ground().await;
    let pool = &ground.db.pool;
    maintain_partitions(pool, &EAGER).await.unwrap();
    seed(pool, RESULTS, 10).await;
    // I6: a slow batch has its number and its rows in the old partition, and is not committed.
    let mut slow = pool.begin().await.unwrap();
    let batch = insert_rows(&mut slow, RESULTS, 10, 64).await;
    next_batch(pool, 100_001).await;
    seed(pool, RESULTS + 1, 10).await;
    let mut config = ground.config.clone();
    config.partitions = EAGER;
    let relay = start(&config, pool);
    eventually(PATIENCE, "the detachment waits for the slow batch", async || {
        let waiting: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                            AND query LIKE 'ALTER TABLE outbox DETACH%' AND wait_event_type = 'Lock')",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        waiting.then_some(())
    })
    .await;
    // Meanwhile other batches go on at once.
    tokio::time::timeout(Duration::from_secs(5), seed(pool, RESULTS + 1, 10)).await.unwrap();
    insert_run(&mut slow, RESULTS, 10, batch).await;
    slow.commit().await.unwrap();

    all_published(pool).await;
    let records = ground.topics.read_partition("results", 0).await;
    assert_eq!(consume(&records).len(), 20, "the slow batch's records left too");
    eventually(PATIENCE, "the partition is dropped after all", async || {
        let all = partitions(pool).await;
        (!all.contains(&"outbox_0".to_owned())).then_some(())
    })
    .await;
    relay.stop().await;
}

#[tokio::test]
async fn a_crash_in_the_middle_of_dropping_is_put_right() {
    let ground = ground().await;
    let pool = &ground.db.pool;
    maintain_partitions(pool, &EAGER).await.unwrap();
    seed(pool, RESULTS, 10).await;
    next_batch(pool, 100_001).await;
    sqlx::raw_sql("ALTER TABLE outbox DETACH PARTITION outbox_0 CONCURRENTLY")
        .execute(pool)
        .await
        .unwrap();
    // Not published: it comes back.
    assert_eq!(maintain_partitions(pool, &EAGER).await.unwrap().kept, 1);
    assert!(partitions(pool).await.contains(&"outbox_0".to_owned()));
    let relay = start(&ground.config, pool);
    all_published(pool).await;
    relay.abort().await;
    sqlx::raw_sql("ALTER TABLE outbox DETACH PARTITION outbox_0 CONCURRENTLY")
        .execute(pool)
        .await
        .unwrap();
    assert_eq!(maintain_partitions(pool, &EAGER).await.unwrap().dropped, 1);
    let left: Option<String> =
        sqlx::query_scalar("SELECT to_regclass('outbox_0')::text").fetch_one(pool).await.unwrap();
    assert_eq!(left, None);
}
