//! P10: cutting does not matter. The same records, one by one and cut at random over lanes that run at once and are
//! crashed, leave the same rows, outcomes, versions and events.

mod requests;

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rollcall::apply::{Record, SliceOutcome, TopicPartition};
use tokio_util::sync::CancellationToken;

use crate::scene::{Scene, batch};
use requests::sequence;

/// Sequences that are tried; each is some dozens of records over few registrants, so that they collide.
const SEQUENCES: u64 = 80;
const LANES: i32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn enrollments_cut_over_lanes_with_crashes_leave_what_one_by_one_leaves() {
    Box::pin(same_rows(Kinds::Enrollments, &[SAID, PEOPLE].concat())).await;
}

/// With `parking.grace` zero: nobody waits for what is not there.
#[tokio::test(flavor = "multi_thread")]
async fn all_kinds_cut_over_lanes_with_crashes_leave_what_one_by_one_leaves() {
    Box::pin(same_rows(Kinds::All, &[SAID, PEOPLE].concat())).await;
}

/// With a grace: those that wait are decided in the transaction that frees them, and when it ends.
#[tokio::test(flavor = "multi_thread")]
async fn all_kinds_that_wait_leave_what_one_by_one_they_leave() {
    Box::pin(same_rows(Kinds::Waiting, &[SAID, WAITED, PEOPLE].concat())).await;
}

#[derive(Clone, Copy, PartialEq)]
enum Kinds {
    Enrollments,
    All,
    Waiting,
}

async fn same_rows(kinds: Kinds, queries: &[Query]) {
    let (serial, cut) = if kinds == Kinds::Waiting {
        tokio::join!(Scene::new(), Scene::new())
    } else {
        tokio::join!(Scene::without_grace(), Scene::without_grace())
    };
    for seed in 0..SEQUENCES {
        let mut random = StdRng::seed_from_u64(seed);
        let lanes: Vec<_> =
            (0..LANES).map(|lane| sequence(&mut random, seed, lane, kinds)).collect();
        for records in &lanes {
            one_by_one(&serial, records).await;
        }
        let seeds: Vec<u64> = lanes.iter().map(|_| random.random()).collect();
        let runs = lanes.iter().zip(seeds).map(|(records, seed)| at_random(&cut, records, seed));
        futures::future::join_all(runs).await;
    }
    for scene in [&serial, &cut] {
        scene.drain().await;
        // Graces end.
        scene.clock.advance(time::Duration::hours(1));
        scene.drain().await;
        assert_eq!(
            scene.number("SELECT count(*) FROM parked_records WHERE state = 'WAITING'").await,
            0
        );
        assert_eq!(scene.number("SELECT count(*) FROM parked_names").await, 0);
        crate::reconcile::proves(scene).await;
    }
    let (one, other) = tokio::join!(dump(&serial, queries), dump(&cut, queries));
    for (what, _) in queries {
        let (rows, others) = (&one[what], &other[what]);
        if let Some((left, right)) = rows.iter().zip(others).find(|(a, b)| a != b) {
            panic!("{what}: one by one {left}\ncut {right}");
        }
        assert_eq!(rows.len(), others.len(), "{what}");
        assert!(!rows.is_empty() || *what == "members", "{what}");
    }
}

async fn one_by_one(scene: &Scene, records: &[Record]) {
    let fence = scene.lease(&records[0].at).await;
    for record in records {
        let outcomes = scene.apply(fence, vec![record.clone()]).await;
        assert_eq!(outcomes, [SliceOutcome::Committed]);
    }
}

/// Cuts the records at random; crashes some batches in the middle, sometimes taking the partition over afterwards, and
/// goes on where the ledger ends.
async fn at_random(scene: &Scene, records: &[Record], seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut fence = scene.lease(&records[0].at).await;
    let mut position = 0;
    while position < records.len() {
        let end = (position + random.random_range(1..12)).min(records.len());
        let batch = batch(&scene.applier, fence, records[position..end].to_vec());
        let cancel = CancellationToken::new();
        let crash = random.random_bool(0.3).then(|| random.random_range(0..15_000));
        let apply = scene.applier.apply(batch, &cancel);
        if random.random_bool(0.3) {
            let within = Duration::from_micros(random.random_range(0..30_000));
            drop(tokio::time::timeout(within, scene.drain()).await);
        }
        let outcome = match crash {
            None => Some(apply.await),
            // The future is dropped wherever it is: its connection closes, as a killed worker's does.
            Some(micros) => tokio::time::timeout(Duration::from_micros(micros), apply).await.ok(),
        };
        if let Some(outcomes) = outcome {
            assert_eq!(outcomes[0].1, SliceOutcome::Committed);
            position = end;
            continue;
        }
        if random.random_bool(0.5) {
            fence = scene.lease(&records[0].at).await;
        }
        position = stored_position(scene, &records[0].at).await;
    }
}

/// Where the ledger ends, read under the lease's lock, so that a commit under way is waited for.
async fn stored_position(scene: &Scene, at: &TopicPartition) -> usize {
    let mut tx = scene.pool.begin().await.unwrap();
    sqlx::query(
        "SELECT fence FROM partition_leases WHERE topic = $1 AND partition = $2 FOR UPDATE",
    )
    .bind(&*at.topic)
    .bind(at.partition)
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    let position: i64 = sqlx::query_scalar(
        "SELECT coalesce(max(next_offset), 0) FROM intake_ledger WHERE topic = $1 AND partition = $2",
    )
    .bind(&*at.topic)
    .bind(at.partition)
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    position as usize
}

type Query = (&'static str, &'static str);

/// Who there is, in which state, and what was said of it.
const PEOPLE: &[Query] = &[
    (
        "registrants",
        "SELECT (to_jsonb(t) - 'created_at' - 'updated_at')::text FROM registrants t ORDER BY registrant_id",
    ),
    ("names", "SELECT to_jsonb(t)::text FROM names t ORDER BY kind, scope, value"),
    ("phone_numbers", "SELECT to_jsonb(t)::text FROM phone_numbers t ORDER BY 1"),
    ("members", "SELECT to_jsonb(t)::text FROM group_members t ORDER BY group_id, individual_id"),
    (
        "letters",
        "SELECT to_jsonb(t)::text FROM dead_letters t ORDER BY topic, partition, \"offset\"",
    ),
];

/// Every byte, every answer and every version.
const SAID: &[Query] = &[
    (
        "memberships",
        "SELECT (to_jsonb(t) - 'created_at' - 'updated_at')::text FROM memberships t ORDER BY membership_id",
    ),
    (
        "history",
        "SELECT (to_jsonb(t) - 'recorded_at')::text FROM membership_history t ORDER BY membership_id, version",
    ),
    ("inbox", "SELECT to_jsonb(t)::text FROM inbox t ORDER BY source, message_id"),
    (
        "attempts",
        "SELECT (to_jsonb(t) - 'inbox_attempt_id')::text FROM inbox_attempts t ORDER BY topic, partition, \"offset\", inbox_attempt_id",
    ),
    (
        "ledger",
        "SELECT partition || string_agg(convert_from(outcomes, 'UTF8'), '' ORDER BY first_offset)
         FROM intake_ledger GROUP BY topic, partition ORDER BY topic, partition",
    ),
    (
        "events by membership, in the order of their numbers",
        "SELECT encode(o.key, 'escape') || ' ' || string_agg(o.id::text || md5(o.body) || coalesce(md5(o.state_body), '-'),
             ' ' ORDER BY r.first_seq + o.pos)
         FROM outbox o JOIN outbox_runs r USING (batch, stream)
         WHERE o.stream BETWEEN 1000 AND 1999 GROUP BY o.key ORDER BY o.key",
    ),
    ("results", "SELECT id || md5(body) FROM outbox WHERE stream < 1000 ORDER BY id"),
];

/// Who waited, for what, and what became of it.
const WAITED: &[Query] = &[(
    "parked records",
    "SELECT (to_jsonb(t) - 'parked_id')::text FROM parked_records t ORDER BY topic, partition, \"offset\"",
)];

/// What must not depend on the cutting, as sorted text.
async fn dump(scene: &Scene, queries: &[Query]) -> BTreeMap<&'static str, Vec<String>> {
    let mut dump = BTreeMap::new();
    for &(what, sql) in queries {
        dump.insert(what, sqlx::query_scalar(sql).fetch_all(&scene.pool).await.expect(what));
    }
    let versions: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT max(version) <> count(*) AS gap FROM membership_history GROUP BY membership_id) AS gaps
         WHERE gap",
    )
    .fetch_one(&scene.pool)
    .await
    .unwrap();
    assert_eq!(versions, 0, "versions adjoin");
    let gaps: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT first_seq - lag(first_seq + count, 1, 1::bigint)
             OVER (PARTITION BY stream ORDER BY first_seq) AS gap FROM outbox_runs) AS gaps WHERE gap <> 0",
    )
    .fetch_one(&scene.pool)
    .await
    .unwrap();
    assert_eq!(gaps, 0, "runs adjoin");
    dump
}
