//! `reconcile` on a real database: what apply writes is proved, and each lie that is seeded there is found, with where
//! it is. A checker that finds nothing proves little.

mod batches;
mod ledger;
mod letters;
mod parked;
mod state;
mod streams;
mod topics;

use std::sync::Arc;

use bytes::Bytes;
use rollcall::app::reconcile::{Options, Report, reconcile};
use rollcall::apply::TopicPartition;
use rollcall::config::Settings;
use rollcall::contract::wire::RequestedState;
use rollcall::lifecycle::clock::ManualClock;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use time::macros::datetime;

use crate::scene::{Scene, enrollment, partition, raw, record};

async fn run(scene: &Scene, settings: &Settings, options: Options) -> Report {
    let clock = ManualClock::new(datetime!(2026-03-02 01:00 UTC));
    reconcile(&scene.pool, settings, &clock, options, &(Arc::new(|_, _| {}) as _))
        .await
        .expect("the servers answer")
}

pub(crate) async fn offline(scene: &Scene) -> Report {
    run(scene, &Settings::default(), Options { offline: true, full: false }).await
}

/// `reconcile` has nothing to say against what stands in the tables.
pub(crate) async fn proves(scene: &Scene) {
    let report = offline(scene).await;
    assert!(report.proved(), "{:#}", report.to_json());
}

async fn execute(scene: &Scene, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&scene.pool).await.expect(sql);
}

/// Records of all outcomes that there are without parking: the ledger of partition 0 reads `AALR`, `D-RR`, `AA`.
async fn seed(scene: &Scene, at: &TopicPartition) {
    Box::pin(apply_seed(scene, at)).await;
}

async fn apply_seed(scene: &Scene, at: &TopicPartition) {
    let fence = scene.lease(at).await;
    let mut draft = enrollment("m1", "r1", "CASH");
    draft.program_memberships[0].state = RequestedState::Draft;
    let refused = enrollment("m3", "r3", "NOWHERE");
    let batch = vec![
        record(at, 0, &draft),
        record(at, 1, &enrollment("m2", "r2", "FOOD")),
        raw(at, 2, None, Some(Bytes::from_static(b"junk"))),
        record(at, 3, &refused),
    ];
    Box::pin(scene.apply(fence, batch)).await;
    let mut again = refused.clone();
    again.attempt = 2;
    let batch = vec![
        record(at, 4, &draft),
        record(at, 6, &enrollment("m1", "r9", "FOOD")),
        record(at, 7, &again),
    ];
    Box::pin(scene.apply(fence, batch)).await;
    let batch = vec![
        record(at, 8, &enrollment("m4", "r1", "CASH")),
        record(at, 9, &enrollment("m5", "r5", "CASH")),
    ];
    Box::pin(scene.apply(fence, batch)).await;
    let other = TopicPartition { partition: 1, ..at.clone() };
    let fence = scene.lease(&other).await;
    Box::pin(scene.apply(fence, vec![record(&other, 7, &enrollment("m6", "r6", "CASH"))])).await;
    let ledger = scene
        .text("SELECT string_agg(convert_from(outcomes, 'UTF8'), ' ' ORDER BY partition, first_offset) FROM intake_ledger")
        .await;
    assert_eq!(ledger, "AALR D-RR AA A");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_apply_writes_is_proved() {
    let scene = Scene::new().await;
    assert!(offline(&scene).await.proved(), "nothing is nothing");
    seed(&scene, &partition(0)).await;
    let report = offline(&scene).await;
    assert!(report.proved(), "{}", report.to_json());
    let checked: Vec<_> = report.checks.iter().map(|check| (check.name, check.checked)).collect();
    assert_eq!(checked[0], ("ledger", 11));
    assert_eq!(checked[2], ("outcomes", 11));
    assert_eq!(checked[5], ("cursors", 60));
    assert!(checked[4].1 > 0 && checked[6].1 > 0 && checked[7].1 > 0, "{checked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn years_of_transactions_are_walked_slice_by_slice() {
    let scene = Scene::new().await;
    seed(&scene, &partition(0)).await;
    // Each ledger row and what belongs to it gets a time of its own.
    execute(
        &scene,
        r#"UPDATE inbox SET recorded_at = ledger.recorded_at + (10 - ledger.first_offset) * interval '17 days'
           FROM intake_ledger AS ledger
           WHERE ledger.topic = inbox.topic AND ledger.partition = inbox.partition
             AND inbox."offset" >= ledger.first_offset AND inbox."offset" < ledger.next_offset;
           UPDATE inbox_attempts SET recorded_at = ledger.recorded_at + (10 - ledger.first_offset) * interval '17 days'
           FROM intake_ledger AS ledger
           WHERE ledger.topic = inbox_attempts.topic AND ledger.partition = inbox_attempts.partition
             AND inbox_attempts."offset" >= ledger.first_offset AND inbox_attempts."offset" < ledger.next_offset;
           UPDATE dead_letters SET first_failed_at = ledger.recorded_at + (10 - ledger.first_offset) * interval '17 days'
           FROM intake_ledger AS ledger
           WHERE ledger.partition = dead_letters.partition
             AND dead_letters."offset" >= ledger.first_offset AND dead_letters."offset" < ledger.next_offset;
           UPDATE intake_ledger SET recorded_at = recorded_at + (10 - first_offset) * interval '17 days'"#,
    )
    .await;
    let report = offline(&scene).await;
    assert!(report.proved(), "{}", report.to_json());
    assert_eq!(report.checks[2].checked, 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_finding_shows_a_value_of_a_person() {
    let scene = Scene::new().await;
    seed(&scene, &partition(0)).await;
    execute(&scene, "DELETE FROM registrants; DELETE FROM membership_history; DELETE FROM inbox")
        .await;
    let said = offline(&scene).await.to_json().to_string();
    assert!(said.contains("an orphan") && said.contains("a state without event"));
    for value in ["r1", "r2", "r5", "Seeded"] {
        assert!(
            !said.contains(&format!("\"{value}")) && !said.contains("Seeded"),
            "{value}: {said}"
        );
    }
}

/// A lie: what is done to the tables, which check finds it, the beginning of what it says, and where.
struct Lie {
    sql: String,
    check: &'static str,
    what: &'static str,
    at: Value,
}

fn lie(check: &'static str, what: &'static str, at: Value, sql: impl Into<String>) -> Lie {
    Lie { sql: sql.into(), check, what, at }
}

fn is_found(report: &Report, lie: &Lie) -> bool {
    report.checks.iter().filter(|check| check.name == lie.check).any(|check| {
        check.findings.iter().any(|finding| {
            let found = serde_json::to_value(finding).expect("a finding is JSON");
            let at = lie.at.as_object().expect("coordinates");
            finding.what.starts_with(lie.what)
                && at.iter().all(|(key, value)| found.get(key) == Some(value))
        })
    })
}

/// Tells each lie by itself, and takes it back.
async fn tell(scene: &Scene, lies: &[Lie]) {
    const TABLES: [&str; 17] = [
        "programs",
        "registrants",
        "names",
        "phone_numbers",
        "memberships",
        "membership_history",
        "inbox",
        "inbox_attempts",
        "intake_ledger",
        "dead_letters",
        "outbox",
        "outbox_runs",
        "group_members",
        "parked_records",
        "parked_names",
        "batches",
        "batch_letters",
    ];
    let mut restore =
        "DELETE FROM relay_cursors; INSERT INTO relay_cursors SELECT * FROM true_relay_cursors;"
            .to_owned();
    execute(scene, "CREATE TABLE true_relay_cursors AS TABLE relay_cursors").await;
    for table in TABLES {
        execute(scene, &format!("CREATE TABLE true_{table} AS TABLE {table}")).await;
        restore += "TRUNCATE {table}; INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM true_{table};"
            .replace("{table}", table)
            .as_str();
    }
    for lie in lies {
        execute(scene, &lie.sql).await;
        let report = offline(scene).await;
        assert!(!report.proved(), "{}", lie.sql);
        assert!(is_found(&report, lie), "{}\n{:#}", lie.sql, report.to_json());
        execute(scene, &restore).await;
    }
    let report = offline(scene).await;
    assert!(report.proved(), "{}", report.to_json());
}
