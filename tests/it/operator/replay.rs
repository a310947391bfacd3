//! Letters that are applied again.

use rollcall::contract::wire::{Action, ResultStatus};
use serde_json::{Value, json};

use super::{UPDATES, act, actions, cut_off, drained, letters, poison, result, shown};
use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::Worker;

/// Everything that a preflight must not change.
async fn everything(stage: &Stage) -> Vec<i64> {
    let mut counts = Vec::new();
    for count in [
        "SELECT count(*) FROM registrants",
        "SELECT count(*) FROM inbox",
        "SELECT count(*) FROM outbox",
        "SELECT count(*) FROM outbox_runs",
        "SELECT count(*) FROM parked_records",
        "SELECT count(*) FROM dead_letter_actions",
        "SELECT sum(attempts) FROM dead_letters",
        "SELECT last_value FROM parked_id_seq",
    ] {
        counts.push(stage.number(count).await);
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_tried_replayed_and_the_queue_behind_it_drains_in_order() {
    let stage = Stage::new().await;
    poison(&stage).await;
    let worker = Worker::start(&stage.setup);
    stage.topics.produce(REQUESTS, &[record(Some(3), &request(7))]).await;
    stage.decided(1).await;
    let behind = [act("u1", "r7", Action::Pause), act("u2", "r7", Action::Resume)];
    stage.topics.produce(UPDATES, &behind).await;
    stage.decided(3).await;
    let letter = &letters(&stage).await[0];

    // As long as the cause is there it would fail, and does.
    let preflight = ["dead-letters", "preflight", "--class", "failed"];
    let before = everything(&stage).await;
    let (code, would) = stage.json(&preflight).await;
    assert_eq!((code, &would["counts"]), (0, &json!({"dead_lettered": 1})), "{would}");
    assert_eq!(
        would["reasons"],
        json!([{"outcome": "dead_lettered", "code": "apply_failed", "count": 1}])
    );
    assert_eq!(everything(&stage).await, before, "a preflight leaves nothing");
    let replay = ["dead-letters", "replay", letter, "--reason", "tried", "--actor", "clerk"];
    assert_eq!(stage.command(&replay[..3]).await.0, 2, "no reason");
    let (code, run) = stage.json(&replay).await;
    assert_eq!((code, &run["state"]), (1, &json!("DONE")), "{run}");
    assert_eq!((&run["selected"], &run["counts"]), (&json!(1), &json!({"dead_lettered": 1})));
    let failed = shown(&stage, letter).await;
    assert_eq!((&failed["state"], &failed["attempts"]), (&json!("OPEN"), &json!(2)));
    assert_eq!(actions(&failed), ["FAILED"]);
    assert_eq!(
        stage.number("SELECT count(*) FROM parked_records WHERE state = 'WAITING'").await,
        2
    );

    // Then it is applied, and who waited for it after it.
    sqlx::query("ALTER TABLE registrants DROP CONSTRAINT no_poison")
        .execute(&stage.db.pool)
        .await
        .unwrap();
    let (_, now) = stage.json(&preflight).await;
    assert_eq!(now["counts"], json!({"applied": 1}));
    assert_ne!(now["digest"], would["digest"], "it was tried meanwhile");
    let [old, new] = [&would, &now].map(|said: &Value| said["digest"].as_str().unwrap());
    let old = [&replay[..], &["--digest", old]].concat();
    assert_eq!(stage.command(&old).await.0, 1, "another selection");
    let (code, run) = stage.json(&[&replay[..], &["--digest", new]].concat()).await;
    assert_eq!((code, &run["counts"]), (0, &json!({"applied": 1})), "{run}");
    assert_eq!(drained(&stage).await, "AA");
    let said = result(&stage, "m7").await;
    assert_eq!((said.status, said.duplicate), (ResultStatus::Succeeded, false));
    assert_eq!(result(&stage, "u2").await.status, ResultStatus::Succeeded);
    let done = shown(&stage, letter).await;
    assert_eq!((&done["state"], &done["outcome"]), (&json!("RESOLVED"), &json!("applied")));
    assert_eq!(actions(&done), ["FAILED", "REPLAYED"]);
    let versions = "SELECT count(*) FROM membership_history
                    WHERE (version, change, channel) IN ((1, 'ENROLLED', 'REPLAY'), (2, 'PAUSED', 'KAFKA'),
                                                         (3, 'RESUMED', 'KAFKA'))";
    assert_eq!(stage.number(versions).await, 3);

    // Nobody replays it twice.
    let (code, _, stderr) = stage.command(&replay).await;
    assert_eq!(code, 1, "{stderr}");
    assert_eq!(stage.number("SELECT count(*) FROM dead_letter_runs").await, 2);
    stage.prove(3).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_at_once_replay_each_letter_once() {
    const LETTERS: usize = 12;
    let stage = Stage::new().await;
    sqlx::query("ALTER TABLE registrants ADD CONSTRAINT no_poison CHECK (name NOT LIKE 'Seeded%')")
        .execute(&stage.db.pool)
        .await
        .unwrap();
    let worker = Worker::start(&stage.setup);
    let records: Vec<_> = (0..LETTERS).map(|n| record(Some(3), &request(n))).collect();
    stage.topics.produce(REQUESTS, &records).await;
    stage.decided(LETTERS as i64).await;
    sqlx::query("ALTER TABLE registrants DROP CONSTRAINT no_poison")
        .execute(&stage.db.pool)
        .await
        .unwrap();
    let replay = ["dead-letters", "replay", "--class", "failed", "--reason", "x"];
    let ((one, _, said), (other, _, also)) =
        tokio::join!(stage.command(&replay), stage.command(&replay));
    assert!([0, 1].contains(&one) && [0, 1].contains(&other), "{said}{also}");
    let once =
        "SELECT count(*) FROM dead_letter_actions WHERE action = 'REPLAYED' AND outcome = 'A'";
    assert_eq!(stage.number(once).await, LETTERS as i64);
    assert_eq!(stage.number("SELECT count(*) FROM membership_history").await, LETTERS as i64);
    let open = "SELECT count(*) FROM dead_letters WHERE state <> 'RESOLVED'";
    assert_eq!(stage.number(open).await, 0);
    stage.prove(LETTERS as i64).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_stays_a_letter_and_keeps_its_history() {
    let stage = Stage::new().await;
    let worker = Worker::start(&stage.setup);
    stage.topics.produce(REQUESTS, &[cut_off(1), cut_off(2)]).await;
    stage.decided(2).await;
    let replay = ["dead-letters", "replay", "--reason", "x"];
    assert_eq!(stage.command(&replay).await.0, 2, "all of them, and nobody said so");
    let (code, run) = stage.json(&[&replay[..], &["--yes"]].concat()).await;
    assert_eq!((code, &run["counts"]), (1, &json!({"dead_lettered": 2})));
    let (code, run) = stage.json(&[&replay[..], &["--code", "invalid_avro"]].concat()).await;
    assert_eq!((code, &run["selected"]), (1, &json!(2)));
    assert_eq!(stage.command(&[&replay[..], &["--code", "none"]].concat()).await.0, 1);
    let letter = &letters(&stage).await[0];
    let shown = shown(&stage, letter).await;
    assert_eq!((&shown["attempts"], actions(&shown)), (&json!(3), vec!["FAILED", "FAILED"]));
    assert_eq!(shown["actions"][1]["code"], "invalid_avro");
    stage.prove(2).await;
    worker.stop().await;
}
