//! Lanes, drains and releases over the same few names: nobody waits in a circle.

use std::sync::atomic::{AtomicBool, Ordering};

use rollcall::app::parked::{Order, release_all};
use rollcall::apply::{Record, TopicPartition};
use rollcall::contract::wire::{Action, BatchRef, IdentifierRef, MembershipUpdateRequest};
use rollcall::store::parked_list::Filter;
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::waiting::Waiting;
use crate::scene::{
    NOW, Scene, batch, carrying, enrollment, identifier, partition, partition_of, record, update,
};
use crate::support::{PATIENCE, eventually};

/// A connection that is no worker's: it is not ended for standing in the way.
pub(super) async fn bystander(scene: &Scene) -> PgConnection {
    let options = scene.pool.connect_options().as_ref().clone().application_name("bystander");
    PgConnection::connect_with(&options).await.unwrap()
}

/// Waits until so many sessions wait for a lock.
pub(super) async fn waiting_for_locks(scene: &Scene, sessions: i64) {
    eventually(PATIENCE, &format!("{sessions} sessions wait for locks"), async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        (scene.number(waiting).await == sessions).then_some(())
    })
    .await;
}

/// How many circles Postgres had to break in this database. Sessions say it when they end, at the latest.
async fn deadlocks(scene: Scene) -> i64 {
    let mut bystander = bystander(&scene).await;
    drop(scene.applier);
    scene.pool.close().await;
    eventually(PATIENCE, "all other sessions have ended", async || {
        let others = "SELECT count(*) FROM pg_stat_activity
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let others: i64 = sqlx::query_scalar(others).fetch_one(&mut bystander).await.ok()?;
        (others == 0).then_some(())
    })
    .await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    sqlx::query_scalar(deadlocks).fetch_one(&mut bystander).await.unwrap()
}

fn also_by(document: &str, update: MembershipUpdateRequest) -> MembershipUpdateRequest {
    let mut update = update;
    let (id_type, value) = ("DOC".to_owned(), document.to_owned());
    update.registrant.ids.push(IdentifierRef { id_type, value });
    update
}

fn of(batch_id: &str) -> BatchRef {
    BatchRef { batch_id: batch_id.to_owned(), total_count: None }
}

/// Holds the batch "b", and so whoever counts something in it.
const HOLD: &str = "SELECT FROM batches WHERE batch_id = 'b' FOR UPDATE";

/// Makes a letter of an enrollment of "r1", who is document 1 too. It would be applied now.
pub(super) async fn failed(w: &mut Waiting) {
    w.sql("ALTER TABLE registrants ADD CONSTRAINT poison CHECK (name <> 'Seeded Name r1')").await;
    let mut failed = enrollment("failed", "r1", "CASH");
    failed.registrant.ids.push(identifier("DOC", "1"));
    let letter = w.enrollment(&failed);
    w.apply(letter).await;
    w.sql("ALTER TABLE registrants DROP CONSTRAINT poison").await;
}

/// `joins`, of the batch "b", sees a letter and has not committed when `again` says the request of the letter: that one
/// waits for names that it need not say.
pub(super) async fn one_sees_a_letter_that_another_closes(
    w: &Waiting,
    joins: Record,
    again: Record,
) {
    let mut bystander = bystander(&w.scene).await;
    let mut tx = bystander.begin().await.unwrap();
    sqlx::query(HOLD).execute(&mut *tx).await.unwrap();
    let join = Box::pin(w.scene.apply(w.fence, vec![joins]));
    let resend = async {
        waiting_for_locks(&w.scene, 1).await;
        Box::pin(w.scene.apply(w.fence, vec![again])).await;
    };
    let go_on = async {
        waiting_for_locks(&w.scene, 2).await;
        tx.rollback().await.unwrap();
    };
    tokio::join!(join, resend, go_on);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_record_that_a_drain_holds_does_not_hold_the_streams() {
    let mut w = Waiting::new().await;
    failed(&mut w).await;
    // All answers go to one stream: that of the key "r1".
    let at = w.updates.0.clone();
    let mut first = update("first", "r2", "CASH", Action::Pause);
    first.batch = Some(of("b"));
    w.apply(carrying(&at, 0, Some("r1"), &first)).await;
    let second = also_by("1", update("second", "r2", "CASH", Action::Resume));
    w.apply(carrying(&at, 1, Some("r1"), &second)).await;
    w.scene.clock.advance(time::Duration::seconds(61));
    // The request of the letter again, without the identifier at which "second" waits.
    let again = w.enrollment(&enrollment("failed", "r1", "CASH"));
    let mut bystander = bystander(&w.scene).await;
    let mut tx = bystander.begin().await.unwrap();
    sqlx::query(HOLD).execute(&mut *tx).await.unwrap();
    let resend = async {
        // The drain has both records, and waits for the batch of the first.
        waiting_for_locks(&w.scene, 1).await;
        w.scene.apply(w.fence, vec![again]).await;
    };
    let go_on = async {
        waiting_for_locks(&w.scene, 2).await;
        tx.rollback().await.unwrap();
    };
    tokio::join!(w.scene.drain(), resend, go_on);
    drop(bystander);
    w.scene.drain().await;
    w.nobody_waits().await;
    assert_eq!(
        w.scene.text("SELECT state || ' ' || outcome FROM dead_letters").await,
        "RESOLVED A"
    );
    assert_eq!(deadlocks(w.scene).await, 0);
}

/// I4, where the queue of a letter is too long to be loaded with what closes it: who joins the letter at another name than
/// those of its request as it is said again.
#[tokio::test(flavor = "multi_thread")]
async fn who_joins_a_letter_while_it_is_closed_is_not_stranded() {
    let mut w = Waiting::new().await;
    failed(&mut w).await;
    let mut behind: Vec<_> =
        (0..210).map(|n| w.update(&format!("behind{n}"), "r1", Action::Pause)).collect();
    let at = w.updates.0.clone();
    let mut first = update("first", "r2", "CASH", Action::Pause);
    first.batch = Some(of("b"));
    behind.push(carrying(&at, 210, Some("r2"), &first));
    w.scene.apply(w.fence, behind).await;
    let mut joins = also_by("1", update("joins", "r3", "CASH", Action::Pause));
    joins.batch = Some(of("b"));
    let joins = carrying(&at, 211, Some("r3"), &joins);
    // The request of the letter again, without the identifier at which "joins" comes to wait.
    let again = w.enrollment(&enrollment("failed", "r1", "CASH"));
    // The resend waits for the identifier, though it does not say it.
    one_sees_a_letter_that_another_closes(&w, joins, again).await;
    w.scene.drain().await;
    let letter = w.scene.text("SELECT state || ' ' || outcome FROM dead_letters").await;
    assert_eq!(letter, "RESOLVED A");
    w.scene.clock.advance(time::Duration::seconds(61));
    w.scene.drain().await;
    w.nobody_waits().await;
}

/// What a lane is given: each name in many records, most of them updates, some by two names.
fn records(lane: i32, round: i64, of_topics: [&TopicPartition; 2]) -> Vec<Record> {
    const EACH: i64 = 6;
    let [enrollments, updates] = of_topics;
    let mut records = Vec::new();
    for n in 0..EACH {
        let (offset, seed) = (round * EACH + n, i64::from(lane) * 31 + round * 7 + n * n * 5);
        let (reference, document) = (format!("r{}", seed % 7), format!("{}", (seed / 3) % 5));
        let action = [Action::Pause, Action::Resume, Action::Exit][(seed % 3) as usize];
        let id = format!("u-{lane}-{offset}");
        let mut act = also_by(&document, update(&id, &reference, "CASH", action));
        act.batch = Some(of(&format!("b{}", seed % 3)));
        records.push(carrying(updates, offset, Some(&reference), &act));
    }
    let mut enroll = enrollment(&format!("e-{lane}-{round}"), &format!("r{}", round % 7), "CASH");
    enroll.registrant.ids.push(identifier("DOC", &format!("{}", (round + 2) % 5)));
    enroll.batch = Some(of(&format!("b{}", round % 3)));
    records.push(record(enrollments, round, &enroll));
    records
}

/// Applies what a lane is given, two transactions a round.
async fn lane(scene: &Scene, number: i32, fence: Uuid, rounds: i64) {
    let topics = [partition(number), partition_of("membership-updates", number)];
    for round in 0..rounds {
        let mut updates = records(number, round, [&topics[0], &topics[1]]);
        let enroll = updates.split_off(updates.len() - 1);
        for records in [updates, enroll] {
            let batch = batch(&scene.applier, fence, records);
            scene.applier.apply(batch, &CancellationToken::new()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_drains_and_releases_never_wait_in_a_circle() {
    const ROUNDS: i64 = 30;
    let scene = Scene::new().await;
    let fence = scene.lease(&partition(0)).await;
    for number in 0..3 {
        scene.lease(&partition(number)).await;
        scene.lease(&partition_of("membership-updates", number)).await;
    }
    sqlx::query("UPDATE partition_leases SET fence = $1")
        .bind(fence)
        .execute(&scene.pool)
        .await
        .unwrap();
    let done = AtomicBool::new(false);
    let lanes = async {
        let lanes = (0..3).map(|number| lane(&scene, number, fence, ROUNDS));
        futures::future::join_all(lanes).await;
        done.store(true, Ordering::Relaxed);
    };
    let drain = async || {
        while !done.load(Ordering::Relaxed) {
            scene.drain().await;
        }
    };
    let release = async {
        let order = Order { actor: None, reason: "a test", at: NOW };
        let mut connection = scene.pool.acquire().await.unwrap();
        while !done.load(Ordering::Relaxed) {
            release_all(&mut connection, Filter::default(), order).await.unwrap();
        }
    };
    tokio::join!(lanes, drain(), drain(), release);
    scene.clock.advance(time::Duration::seconds(61));
    scene.drain().await;
    let waited = scene.number("SELECT count(*) FROM parked_records").await;
    assert!(waited > ROUNDS, "many have waited: {waited}");
    let ledger = scene.ledger().await;
    assert_eq!(ledger.len() as i64, 3 * 7 * ROUNDS, "every record has its outcome");
    assert!(!ledger.contains('L'), "{ledger}");
    let waiting = "SELECT count(*) FROM parked_records WHERE state = 'WAITING'";
    assert_eq!(scene.number(waiting).await, 0);
    assert_eq!(deadlocks(scene).await, 0);
}
