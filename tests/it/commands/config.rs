//! `rollcall config`: every mistake at once, secrets never.

use serde_json::Value;

use super::nowhere;
use crate::stage::{command, file, path};

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_is_named_at_once_with_where_it_stands() {
    let toml = file("[batch]\nmax_records = 0\nmax_recrods = 5\n[shutdown]\ngrace = \"soon\"\n");
    let setup = nowhere()
        .with("ROLLCALL_BATCH__LINGER", "-1ms")
        .with("ROLLCALL_NOWHERE__KEY", "1")
        .with("ROLLCALL_HTTP__LISTEN", "everywhere");
    let arguments =
        ["config", "check", "--config", path(&toml), "--set", "dates.time_zone=Mars/Olympus"];
    let (code, _, stderr) = command(&setup, &arguments).await;
    assert_eq!(code, 2, "{stderr}");
    let wrong = [
        "batch.max_records",
        "batch.max_recrods",
        "shutdown.grace",
        "batch.linger",
        "ROLLCALL_NOWHERE__KEY",
        "http.listen",
        "dates.time_zone",
    ];
    for key in wrong {
        assert!(
            stderr.to_lowercase().contains(&key.to_lowercase()) || stderr.contains("nowhere.key"),
            "{key}: {stderr}"
        );
    }
    assert!(stderr.contains("7 mistakes") && stderr.contains("\"soon\""), "{stderr}");
    assert!(stderr.contains(path(&toml)), "where a value stands is said: {stderr}");
    // The same stops every other command.
    let (code, stdout, other) =
        command(&setup, &["run", "--config", path(&toml), "--set", "dates.time_zone=Mars/Olympus"])
            .await;
    assert_eq!((code, &*stdout, other), (2, "", stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_shown_with_their_origin_and_without_secrets() {
    let toml = file("[batch]\nmax_records = 500\n");
    let setup = nowhere()
        .with("ROLLCALL_PARKING__GRACE", "90s")
        .with("ROLLCALL_KAFKA__PROPERTIES__SASL.PASSWORD", "secret-word");
    let (code, stdout, stderr) =
        command(&setup, &["config", "show", "--config", path(&toml), "--json"]).await;
    assert_eq!(code, 0, "{stderr}");
    let shown: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(shown["batch"]["max_records"]["value"], 500);
    assert_eq!(shown["parking"]["grace"]["value"], "90s");
    assert_eq!(
        shown["batch"]["max_items"],
        serde_json::json!({"value": 10_000, "from": "default"})
    );
    assert_eq!(shown["parking"]["grace"]["from"], "ROLLCALL_PARKING__GRACE");
    let (code, shown, _) = command(&setup, &["config", "show", "--config", path(&toml)]).await;
    assert_eq!(code, 0);
    assert!(!stdout.contains("secret-word") && !shown.contains("secret-word"), "{shown}");
    // What is shown is a configuration.
    let again = file(&shown);
    let (code, stdout, stderr) =
        command(&nowhere(), &["config", "check", "--config", path(&again), "--json"]).await;
    assert_eq!(code, 0, "{stderr}");
    let checked: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&checked["valid"], &checked["mistakes"]), (&true.into(), &serde_json::json!([])));
}
