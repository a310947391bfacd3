//! Runs that are killed, resumed and cancelled.

use serde_json::{Value, json};

use super::cut_off;
use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{PATIENCE, Worker, eventually};

const LETTERS: usize = 8;

/// The only run.
async fn run(stage: &Stage) -> Option<Value> {
    let (_, list) = stage.json(&["dead-letters", "runs", "list"]).await;
    let runs = list["items"].as_array().unwrap();
    assert!(runs.len() <= 1, "{list:#}");
    runs.first().cloned()
}

/// A slow replay, once it has looked at some letters.
async fn under_way(stage: &Stage) -> (Worker, String) {
    let replay =
        ["dead-letters", "replay", "--class", "undecodable", "--rate", "1", "--reason", "x"];
    let process = Worker::start_with(&stage.setup, &replay);
    let run_id = eventually(PATIENCE, "the replay is under way", async || {
        let run = run(stage).await?;
        let looked_at = run["counts"]["dead_lettered"].as_u64()?;
        assert_eq!(run["state"], "RUNNING", "{run}");
        (looked_at >= 1).then(|| run["run_id"].as_str().unwrap().to_owned())
    })
    .await;
    (process, run_id)
}

async fn staged() -> (Stage, Worker) {
    let stage = Stage::new().await;
    let worker = Worker::start(&stage.setup);
    let records: Vec<_> = (0..LETTERS).map(cut_off).collect();
    stage.topics.produce(REQUESTS, &records).await;
    stage.decided(LETTERS as i64).await;
    (stage, worker)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_process_is_killed_is_resumed_and_looks_at_each_letter_once() {
    let (stage, worker) = staged().await;
    let (process, run_id) = under_way(&stage).await;
    let resume = ["dead-letters", "runs", "resume", &run_id];
    assert_eq!(stage.command(&resume).await.0, 2, "no reason");
    let resume = [&resume[..], &["--reason", "it was killed", "--actor", "clerk"]].concat();
    assert_eq!(stage.command(&resume).await.0, 1, "it is under way");
    process.kill().await;
    let interrupted = eventually(PATIENCE, "the run is interrupted", async || {
        run(&stage).await.filter(|run| run["state"] == "INTERRUPTED")
    })
    .await;
    assert_eq!(interrupted["selected"], json!(LETTERS));
    // No hurry is needed now.
    sqlx::query("UPDATE dead_letter_runs SET rate = NULL").execute(&stage.db.pool).await.unwrap();
    let (code, done) = stage.json(&resume).await;
    assert_eq!((code, &done["state"]), (1, &json!("DONE")), "letters are left: {done}");
    assert_eq!(done["counts"], json!({"dead_lettered": LETTERS}));
    let twice = "SELECT count(*) FROM dead_letters WHERE attempts <> 2";
    assert_eq!(stage.number(twice).await, 0);
    assert_eq!(stage.command(&resume).await.0, 1, "it has ended");
    let (code, shown) = stage.json(&["dead-letters", "runs", "show", &run_id]).await;
    assert_eq!((code, &shown["state"], &shown["reason"]), (0, &json!("DONE"), &json!("x")));
    let action = &shown["actions"][0];
    assert_eq!(
        [&action["action"], &action["actor"], &action["reason"]],
        [&json!("RUN_RESUMED"), &json!("clerk"), &json!("it was killed")]
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_cancelled_and_what_is_left_stays_as_it_was() {
    let (stage, worker) = staged().await;
    let (mut process, run_id) = under_way(&stage).await;
    let cancel = ["dead-letters", "runs", "cancel", &run_id];
    assert_eq!(stage.command(&cancel).await.0, 2, "no reason");
    let cancel = [&cancel[..], &["--reason", "wrong ones"]].concat();
    let (code, cancelled) = stage.json(&cancel).await;
    assert_eq!((code, &cancelled["state"]), (0, &json!("CANCELLED")));
    assert_eq!(process.exit(PATIENCE).await.code(), Some(1));
    let run = run(&stage).await.unwrap();
    assert_eq!(
        stage.number("SELECT count(*) FROM operator_actions WHERE action = 'RUN_CANCELLED'").await,
        1
    );
    let looked_at = run["counts"]["dead_lettered"].as_u64().unwrap();
    assert!(looked_at < LETTERS as u64, "{run}");
    let tried = "SELECT count(*) FROM dead_letters WHERE attempts = 2";
    assert_eq!(stage.number(tried).await, looked_at as i64);
    assert_eq!(stage.command(&cancel).await.0, 1, "it has ended");
    assert_eq!(
        stage.command(&["dead-letters", "runs", "resume", &run_id, "--reason", "x"]).await.0,
        1
    );
    let nobody = "00000000-0000-0000-0000-000000000000";
    assert_eq!(stage.command(&["dead-letters", "runs", "show", nobody]).await.0, 1);
    assert_eq!(stage.command(&["dead-letters", "preflight", nobody]).await.0, 1);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_again_and_again_replays_each_letter_once() {
    let stage = Stage::new().await;
    let poison = "ALTER TABLE registrants ADD CONSTRAINT no_poison CHECK (name NOT LIKE 'Seeded%')";
    sqlx::query(poison).execute(&stage.db.pool).await.unwrap();
    let worker = Worker::start(&stage.setup);
    let records: Vec<_> = (0..LETTERS).map(|n| record(Some(3), &request(n))).collect();
    stage.topics.produce(REQUESTS, &records).await;
    stage.decided(LETTERS as i64).await;
    // What it commits meanwhile must not get behind the locks of this test.
    worker.stop().await;
    let cure = "ALTER TABLE registrants DROP CONSTRAINT no_poison";
    sqlx::query(cure).execute(&stage.db.pool).await.unwrap();

    // Before the first letter is looked at, before it is applied, before it is noted, before it has its number.
    let stops = [
        "LOCK TABLE dead_letters IN EXCLUSIVE MODE",
        "LOCK TABLE registrants IN EXCLUSIVE MODE",
        "LOCK TABLE dead_letter_run_items IN EXCLUSIVE MODE",
        "SELECT FROM outbox_streams ORDER BY stream FOR UPDATE",
    ];
    let replay = ["dead-letters", "replay", "--class", "failed", "--rate", "1", "--reason", "x"]
        .map(str::to_owned);
    let mut command = replay.to_vec();
    for (round, stop) in stops.into_iter().enumerate() {
        let arguments: Vec<_> = command.iter().map(String::as_str).collect();
        let process = Worker::start_with(&stage.setup, &arguments);
        let goes_on = eventually(PATIENCE, "the replay goes on", async || {
            run(&stage).await.filter(|run| {
                run["state"] == "RUNNING" && run["counts"]["applied"].as_u64() > Some(round as u64)
            })
        })
        .await;
        let mut in_the_way = stage.db.pool.begin().await.unwrap();
        sqlx::query(stop).execute(&mut *in_the_way).await.unwrap();
        eventually(PATIENCE, "it stands still", async || {
            let waits = "SELECT count(*) FROM pg_stat_activity
                         WHERE datname = current_database() AND wait_event_type = 'Lock'";
            (stage.number(waits).await > 0).then_some(())
        })
        .await;
        process.kill().await;
        in_the_way.rollback().await.unwrap();
        eventually(PATIENCE, "the run is interrupted", async || {
            run(&stage).await.filter(|run| run["state"] == "INTERRUPTED")
        })
        .await;
        let run_id = goes_on["run_id"].as_str().unwrap();
        let resume = ["dead-letters", "runs", "resume", run_id, "--reason", "again"];
        command = resume.map(str::to_owned).to_vec();
    }
    sqlx::query("UPDATE dead_letter_runs SET rate = NULL").execute(&stage.db.pool).await.unwrap();
    let resume: Vec<_> = command.iter().map(String::as_str).collect();
    let (code, done) = stage.json(&resume).await;
    assert_eq!((code, &done["counts"]), (0, &json!({"applied": LETTERS})), "{done}");
    let once =
        "SELECT count(*) FROM dead_letter_actions WHERE action = 'REPLAYED' AND outcome = 'A'";
    assert_eq!(stage.number(once).await, LETTERS as i64);
    let history =
        "SELECT count(*) FROM membership_history WHERE channel = 'REPLAY' AND version = 1";
    assert_eq!(stage.number(history).await, LETTERS as i64);
    let worker = Worker::start(&stage.setup);
    stage.prove(LETTERS as i64).await;
    worker.stop().await;
}
