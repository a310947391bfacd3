//! The commands as an operator runs them, on real servers.

mod config;
mod files;
mod letters;
mod operator;
mod parked;
mod start;
mod submit;
mod topics;

use std::time::{Duration, Instant};

use crate::stage::{Stage, command, file, path};
use crate::support::{self, Setup, unique_prefix};

/// Nothing listens there.
const NOWHERE: &str = "127.0.0.1:1";
const NO_DATABASE: &str = "postgres://nobody:secret-word@127.0.0.1:1/nothing";

fn nowhere() -> Setup {
    Setup::new(NOWHERE, &unique_prefix(), NO_DATABASE)
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_may_run_again() {
    let db = support::database().await;
    let setup = Setup::new(NOWHERE, "none.", &db.url);
    let (code, _, stderr) = command(&setup, &["status"]).await;
    assert_eq!((code, stderr.contains("rollcall migrate")), (1, true), "{stderr}");
    for _ in 0..2 {
        let (code, stdout, stderr) = command(&setup, &["migrate", "--json"]).await;
        let version = format!(r#"{{"schema_version":{}}}"#, rollcall::store::SCHEMA_VERSION);
        assert_eq!((code, stdout.trim()), (0, version.as_str()), "{stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_away_are_exit_code_3_and_wrong_use_is_2() {
    let setup = nowhere();
    let good = file(
        "{\"type\":\"EnrollmentRequest\",\"source\":\"s\",\"registrant\":{\"reference\":\"r\",\"kind\":\"INDIVIDUAL\"}}\n",
    );
    let programs = file("code,name,target_type,state\nA,A,INDIVIDUAL,ACTIVE\n");
    for arguments in [
        &["migrate"][..],
        &["status"],
        &["reconcile"],
        &["programs", "list"],
        &["programs", "end", "A"],
        &["parked", "list"],
        &["parked", "release", "1", "--reason", "x"],
        &["batches", "list"],
        &["batches", "close", "registry", "b"],
        &["programs", "import", path(&programs)],
        &["topics", "plan"],
        &["topics", "apply"],
        &["topics", "verify"],
        &["submit", path(&good)],
    ] {
        let begun = Instant::now();
        let (code, stdout, stderr) = command(&setup, &[arguments, &["--json"]].concat()).await;
        assert_eq!(code, 3, "{arguments:?}: {stdout}{stderr}");
        assert!(!stderr.contains("secret-word"), "{stderr}");
        let error: serde_json::Value = serde_json::from_str(stderr.trim()).expect("an object");
        assert!(error["error"]["message"].is_string(), "{stderr}");
        assert!(
            begun.elapsed() < Duration::from_secs(45),
            "{arguments:?} took {:?}",
            begun.elapsed()
        );
    }
    for arguments in [
        &["no-such-command"][..],
        &["topics"],
        &["submit"],
        &["batches", "show", "registry"],
        &["status", "--no-such-option"],
        &["submit", "/no/such/file"],
        &["status", "--set", "no.such=key"],
        &["run", "--only", "everything"],
        &["encode", "--type", "NoMessage"],
    ] {
        let (code, stdout, stderr) = command(&setup, arguments).await;
        assert_eq!((code, &*stdout), (2, ""), "{arguments:?}: {stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_how_everything_is_in_one_object() {
    let stage = Stage::new().await;
    // Topics that were made a moment ago may have no leaders yet: then Kafka cannot be asked.
    let status = support::eventually(support::PATIENCE, "Kafka answers", async || {
        let (code, status) = stage.json(&["status"]).await;
        assert_eq!(status["healthy"], false, "no worker runs: {status:#}");
        (code == 1).then_some(status)
    })
    .await;
    for key in [
        "partitions",
        "streams",
        "relay",
        "letters",
        "parked",
        "batches",
        "workers",
        "advice",
        "halts",
        "database",
        "kafka",
        "healthy",
    ] {
        assert!(status.get(key).is_some(), "{key} is missing: {status:#}");
    }
    let worker = support::Worker::start(&stage.setup);
    worker.ready().await;
    let status = support::eventually(support::PATIENCE, "everything is healthy", async || {
        let (code, status) = stage.json(&["status"]).await;
        let running = |partition: &serde_json::Value| partition["state"] == "RUNNING";
        let all_running = status["partitions"].as_array()?.iter().all(running);
        (code == 0 && all_running && status["relay"]["owner"].is_string()).then_some(status)
    })
    .await;
    assert_eq!(status["healthy"], true);
    let partitions = status["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), 3 * 12, "those of all request topics: {partitions:#?}");
    for partition in partitions {
        for key in [
            "topic",
            "partition",
            "state",
            "owner",
            "position",
            "low",
            "high",
            "lag",
            "cause",
            "offset",
            "since",
        ] {
            assert!(partition.get(key).is_some(), "{key} is missing: {partition}");
        }
        assert_eq!(partition["lag"], 0);
    }
    assert_eq!(status["streams"].as_array().unwrap().len(), 48);
    assert_eq!(status["workers"].as_array().unwrap().len(), 1);
    let text = stage.done(&["status"]).await;
    assert!(text.starts_with("Healthy.") && text.contains("RUNNING"), "{text}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_are_imported_listed_and_ended() {
    let stage = Stage::new().await;
    let csv =
        file("code,name,target_type,state\nNEW,New one,GROUP,\nCASH,Cash now,INDIVIDUAL,ACTIVE\n");
    let (code, answer) = stage.json(&["programs", "import", path(&csv)]).await;
    let counts = |created: i32, changed: i32, unchanged: i32| serde_json::json!({"created": created, "changed": changed, "unchanged": unchanged});
    assert_eq!((code, &answer["counts"]), (0, &counts(1, 1, 0)));
    let (_, answer) = stage.json(&["programs", "import", path(&csv)]).await;
    assert_eq!(answer["counts"], counts(0, 0, 2));

    let json =
        file(r#"[{"code":"J","name":"By JSON","target_type":"INDIVIDUAL","state":"ACTIVE"}]"#);
    let (_, answer) = stage.json(&["programs", "import", path(&json)]).await;
    assert_eq!(answer["counts"], counts(1, 0, 0));

    let wrong = file(
        "code,name,target_type,state\nX,X,PERSON,ACTIVE\nY,Y,GROUP,SLEEPING\nZ,Z,GROUP,ACTIVE\nZ,Z,GROUP,ACTIVE\n",
    );
    let (code, answer) = stage.json(&["programs", "import", path(&wrong)]).await;
    let lines: Vec<i64> =
        answer["errors"].as_array().unwrap().iter().map(|e| e["line"].as_i64().unwrap()).collect();
    assert_eq!((code, lines), (1, vec![2, 3, 5]), "{answer:#}");

    let (code, answer) = stage.json(&["programs", "end", "J"]).await;
    assert_eq!((code, &answer["state"], &answer["changed"]), (0, &"ENDED".into(), &true.into()));
    let (_, answer) = stage.json(&["programs", "end", "J"]).await;
    assert_eq!(answer["changed"], false);
    assert_eq!(stage.command(&["programs", "end", "NONE"]).await.0, 1);

    let (_, list) = stage.json(&["programs", "list"]).await;
    assert!(list["next_cursor"].is_null());
    let codes: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| {
            (
                p["code"].as_str().unwrap(),
                p["name"].as_str().unwrap(),
                p["target_type"].as_str().unwrap(),
                p["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert!(codes.contains(&("J", "By JSON", "INDIVIDUAL", "ENDED")), "{codes:?}");
    assert!(codes.contains(&("NEW", "New one", "GROUP", "ACTIVE")), "a state left out is ACTIVE");
    assert_eq!(codes.len(), 6, "Z of the wrong file is not there: {codes:?}");
}
