//! What an operator types, on a database without Kafka.

use std::process::Stdio;

use rollcall::config::account;
use serde_json::{Value, json};
use sqlx::Row as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::http::operator::staged;
use crate::scene::Scene;
use crate::stage::command;
use crate::support::{PATIENCE, Setup, Worker, eventually, signal};

fn setup(scene: &Scene) -> Setup {
    Setup::new("127.0.0.1:1", "none.", &scene.database.url)
}

async fn json_of(setup: &Setup, arguments: &[&str]) -> (i32, Value) {
    let (code, stdout, stderr) = command(setup, &[arguments, &["--json"]].concat()).await;
    let said = if stdout.is_empty() { &stderr } else { &stdout };
    (code, serde_json::from_str(said).unwrap_or_else(|_| panic!("{arguments:?}: {said}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_letters_is_given_up_by_somebody() {
    let scene = staged().await;
    let setup = setup(&scene).with("LOGNAME", "night-shift");
    let discard = ["dead-letters", "discard", "--reason", "the sender sends them again"];
    let (code, said) = json_of(&setup, &discard).await;
    assert_eq!((code, &said["error"]["code"]), (2, &json!("not-confirmed")), "{said}");
    let group = [&discard[..], &["--class", "undecodable"]].concat();
    let (code, said) = json_of(&setup, &[&group[..], &["--digest", "00"]].concat()).await;
    assert_eq!((code, &said["error"]["code"]), (1, &json!("other-selection")));
    let (code, done) = json_of(&setup, &group).await;
    assert_eq!((code, done), (0, json!({"selected": 3, "counts": {"rejected": 3}})));
    let (code, said) = json_of(&setup, &group).await;
    assert_eq!((code, &said["error"]["code"]), (1, &json!("nothing")), "none is left");
    let audit = "SELECT count(*) FROM dead_letter_actions
                 WHERE action = 'DISCARDED' AND actor = 'night-shift' AND reason LIKE 'the sender%'";
    assert_eq!(scene.number(audit).await, 3);
    // Without a name in the environment it is the account's.
    let setup = setup.with("LOGNAME", "").with("USER", "");
    let (code, _) = json_of(&setup, &[&discard[..], &["--yes"]].concat()).await;
    assert_eq!(code, 0);
    let actor =
        scene.text("SELECT actor FROM dead_letter_actions ORDER BY action_id DESC LIMIT 1").await;
    assert!(!actor.is_empty() && account().is_some(), "{actor}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_said_at_once() {
    let away = Setup::new("127.0.0.1:1", "none.", "postgres://nobody@127.0.0.1:1/none");
    let letter = "00000000-0000-0000-0000-000000000000";
    for arguments in [
        &["dead-letters", "list"][..],
        &["dead-letters", "preflight"],
        &["dead-letters", "replay", "--yes", "--reason", "x"],
        &["dead-letters", "discard", letter, "--reason", "x"],
        &["dead-letters", "runs", "resume", letter, "--reason", "x"],
        &["status"],
        &["reconcile", "--offline"],
    ] {
        let (code, said) = json_of(&away, arguments).await;
        assert_eq!(
            (code, &said["error"]["code"]),
            (3, &json!("database-away")),
            "{arguments:?}: {said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_session_is_cut_is_interrupted_unless_somebody_has_taken_it() {
    for is_taken in [false, true] {
        let scene = staged().await;
        let setup = setup(&scene);
        let replay =
            ["dead-letters", "replay", "--class", "undecodable", "--rate", "1", "--reason", "x"];
        let mut process = Worker::start_with(&setup, &replay);
        let mut other = scene.pool.acquire().await.unwrap();
        let cut =
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON oid = database
                   WHERE locktype = 'advisory' AND datname = current_database() AND granted";
        eventually(PATIENCE, "the run is held", async || {
            if is_taken {
                // Whoever resumes it waits for the lock, and has it in the moment in which it is free.
                let run =
                    scene.text("SELECT coalesce(max(run_id::text), '') FROM dead_letter_runs");
                let run = Some(run.await).filter(|run| !run.is_empty())?;
                let take = "SELECT pg_advisory_lock(hashtextextended($1, 0))";
                let take = sqlx::query(take).bind(run).execute(&mut *other);
                let (taken, ended) = tokio::join!(take, async {
                    waits_for_a_run(&scene).await;
                    sqlx::query(cut).fetch_all(&scene.pool).await.unwrap()
                });
                taken.unwrap();
                return ended.first().filter(|row| row.get::<bool, _>(0)).map(|_| ());
            }
            let ended = sqlx::query(cut).fetch_all(&scene.pool).await.unwrap();
            ended.first().filter(|row| row.get::<bool, _>(0)).map(|_| ())
        })
        .await;
        assert_eq!(process.exit(PATIENCE).await.code(), Some(3));
        let run = "SELECT state || ': ' || coalesce(cause, '-') FROM dead_letter_runs";
        let expected = if is_taken {
            "RUNNING: -"
        } else {
            "INTERRUPTED: the session that held the run was cut"
        };
        assert_eq!(scene.text(run).await, expected);
    }
}

/// Waits until somebody waits for a run that another session holds.
async fn waits_for_a_run(scene: &Scene) {
    let waiting = "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database
                   WHERE locktype = 'advisory' AND datname = current_database() AND NOT granted";
    eventually(PATIENCE, "somebody waits for the run", async || {
        (scene.number(waiting).await == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_is_watched_until_it_is_enough() {
    let scene = staged().await;
    let setup = setup(&scene);
    let mut process = Worker::start_with(&setup, &["status", "--watch", "1", "--json"]);
    let pages = eventually(PATIENCE, "it is said twice", async || {
        let pages: Vec<Value> = process
            .output()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|page: &Value| page.get("healthy").is_some())
            .collect();
        (pages.len() >= 2).then_some(pages)
    })
    .await;
    signal("INT", process.pid()).await;
    // The brokers are away: that could not be checked.
    assert_eq!(process.exit(PATIENCE).await.code(), Some(3));
    let last = pages.last().unwrap();
    assert!(last["last_commit"].is_string(), "{last:#}");
    let groups = last["letters"]["groups"].as_array().unwrap();
    let of = |group: &Value| (group["class"].clone(), group["count"].clone());
    let expected = [(json!("undecodable"), json!(3)), (json!("failed"), json!(1))];
    assert_eq!(groups.iter().map(of).collect::<Vec<_>>(), expected);
    let (_, text, _) = command(&setup, &["status"]).await;
    for words in [
        "Not healthy.",
        "Last commit: ",
        "3 undecodable (invalid_avro) in",
        "1 failed (apply_failed) in",
        "rollcall dead-letters groups",
        "Start one: rollcall run.",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_with_its_reader() {
    let scene = staged().await;
    let mut watch = setup(&scene).command(&["status", "--watch", "1", "--json"]);
    let mut watch =
        watch.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let page = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("a page").unwrap();
    assert!(page.is_some_and(|page| page.contains("\"healthy\":false")));
    drop(lines);
    let ended =
        tokio::time::timeout(PATIENCE, watch.wait()).await.expect("nobody reads it").unwrap();
    assert_eq!(ended.code(), Some(3), "the brokers are away, as in every page");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_named_must_be_open() {
    let scene = staged().await;
    let setup = setup(&scene);
    let (_, list) = json_of(&setup, &["dead-letters", "list", "--class", "failed"]).await;
    let letter = list["items"][0]["letter_id"].as_str().unwrap().to_owned();
    let (_, open) = json_of(&setup, &["dead-letters", "show", &letter]).await;
    assert!(open["what_to_do"].as_str().unwrap().starts_with("Remove the cause"), "{open:#}");
    // What the audit keeps must say something.
    for blank in [" ", "\t\n"] {
        for verb in ["replay", "discard"] {
            let (code, ..) =
                command(&setup, &["dead-letters", verb, &letter, "--reason", blank]).await;
            assert_eq!(code, 2, "{verb}");
        }
    }
    assert_eq!(scene.number("SELECT count(*) FROM dead_letter_actions").await, 0);
    let because = ["--reason", "it is mended"];
    let (code, _) =
        json_of(&setup, &[&["dead-letters", "replay", &letter], &because[..]].concat()).await;
    assert_eq!(code, 0);
    let nobody = "00000000-0000-0000-0000-000000000000";
    for verb in ["preflight", "replay", "discard"] {
        let because = if verb == "preflight" { &[][..] } else { &because[..] };
        for (named, why) in [(letter.as_str(), "not-open"), (nobody, "not-found")] {
            let (code, said) =
                json_of(&setup, &[&["dead-letters", verb, named], because].concat()).await;
            assert_eq!((code, &said["error"]["code"]), (1, &json!(why)), "{verb}: {said}");
        }
    }
    let (_, closed) = json_of(&setup, &["dead-letters", "show", &letter]).await;
    assert_eq!(closed["what_to_do"], "Nothing: it was put right.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_was_left_out_says_so() {
    let scene = staged().await;
    let (code, report) = json_of(&setup(&scene), &["reconcile", "--offline"]).await;
    assert_eq!((code, &report["proved"]), (0, &json!(true)), "{report:#}");
    let checks = report["checks"].as_array().unwrap();
    let skipped: Vec<_> =
        checks.iter().filter(|check| check["skipped"] == true).map(|c| c["name"].clone()).collect();
    assert_eq!(skipped, [json!("undelivered"), json!("output")]);
    let (_, text, _) = command(&setup(&scene), &["reconcile", "--offline"]).await;
    assert_eq!(text.lines().last(), Some("proved, but for what was left out: undelivered, output"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sees_the_values_of_a_history_stands_in_the_audit() {
    let scene = staged().await;
    let replay = ["dead-letters", "replay", "--class", "failed", "--reason", "it is mended"];
    assert_eq!(command(&setup(&scene), &replay).await.0, 0);
    let membership = scene.text("SELECT membership_id::text FROM memberships").await;
    let (code, masked) = json_of(&setup(&scene), &["history", &membership]).await;
    assert_eq!(code, 0);
    assert_eq!(scene.number("SELECT count(*) FROM operator_actions").await, 0);
    let reveal = ["history", &membership, "--reveal", "--reason", "asked", "--actor", "clerk"];
    let (code, shown) = json_of(&setup(&scene), &reveal).await;
    assert_eq!(code, 0);
    assert!(!masked.to_string().contains("\"r7\"") && shown.to_string().contains("\"r7\""));
    let audit =
        "SELECT action || ' ' || subject || ' ' || actor || ' ' || reason FROM operator_actions";
    assert_eq!(scene.text(audit).await, format!("HISTORY_REVEALED {membership} clerk asked"));
}
