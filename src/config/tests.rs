//! The layers, the mistakes and the annotated file.

use std::{fs, path::PathBuf, time::Duration};

use super::*;

fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    pairs.into_iter()
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rollcall.toml");
    fs::write(&path, text).unwrap();
    (directory, path)
}

fn flags(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    env(pairs).collect()
}

fn mistakes(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let (_directory, path) = file(text);
    let error = Settings::load(Some(&path), env(variables), &[]).unwrap_err();
    error.mistakes.iter().map(ToString::to_string).collect()
}

#[test]
fn the_annotated_file_equals_the_defaults() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/rollcall.toml");
    let from_file = Settings::load(Some(&path), env(&[]), &[]).unwrap();
    let without = Settings::load(None, env(&[]), &[]).unwrap();
    let values = |loaded: &Loaded| -> Vec<_> {
        loaded.entries().into_iter().map(|entry| (entry.key, entry.value)).collect()
    };
    assert_eq!(values(&from_file), values(&without));
    // Every key stands in the file, none only by luck of its default.
    for entry in from_file.entries() {
        assert_ne!(entry.origin, "default", "{} is missing in config/rollcall.toml", entry.key);
    }
}

#[test]
fn later_layers_win() {
    let (_directory, path) = file("[batch]\nmax_records = 1\nmax_items = 1\nlinger = \"1s\"\n");
    let variables =
        env(&[("ROLLCALL_BATCH__MAX_RECORDS", "2"), ("ROLLCALL_BATCH__MAX_ITEMS", "2")]);
    let loaded =
        Settings::load(Some(&path), variables, &flags(&[("batch.max_records", "3")])).unwrap();
    let batch = &loaded.settings.batch;
    assert_eq!((batch.max_records, batch.max_items), (3, 2));
    assert_eq!(batch.linger, Duration::from_secs(1));
    assert_eq!(batch.max_bytes, 4 << 20);
    let json = loaded.to_json();
    assert_eq!(json["batch"]["max_records"]["from"], "the command line");
    assert_eq!(json["batch"]["max_items"]["from"], "ROLLCALL_BATCH__MAX_ITEMS");
    assert_eq!(json["batch"]["linger"]["from"], path.display().to_string());
    assert_eq!(json["batch"]["max_bytes"]["from"], "default");
    assert_eq!(json["batch"]["max_bytes"]["value"], "4MiB");
}

#[test]
fn our_own_database_variable_wins_over_the_common_one() {
    let pairs =
        [("ROLLCALL_DATABASE__URL", "postgres://ours/x"), ("DATABASE_URL", "postgres://common/x")];
    let loaded = Settings::load(None, env(&pairs), &[]).unwrap();
    assert_eq!(loaded.settings.require_database().unwrap().expose_secret(), "postgres://ours/x");
    let loaded = Settings::load(None, env(&pairs[1..]), &[]).unwrap();
    assert_eq!(loaded.settings.database.url.expose_secret(), "postgres://common/x");
    let error = Settings::default().require_database().unwrap_err().to_string();
    assert!(error.contains("database.url") && error.contains("DATABASE_URL="), "{error}");
}

#[test]
fn properties_come_from_every_layer() {
    let (_directory, path) =
        file("[kafka.properties]\n\"session.timeout.ms\" = 6000\nclient.rack = \"a\"\n");
    let variables = env(&[
        ("ROLLCALL_KAFKA__PROPERTIES__SASL_PASSWORD", "hunter2"),
        ("ROLLCALL_KAFKA__PROPERTIES__SSL__CA", "x"),
    ]);
    let overrides = flags(&[("kafka.properties.client.rack", "b")]);
    let loaded = Settings::load(Some(&path), variables, &overrides).unwrap();
    let properties: Vec<_> = loaded.settings.kafka.properties.iter().collect();
    let expected = [
        ("client.rack", "b"),
        ("sasl.password", "hunter2"),
        ("session.timeout.ms", "6000"),
        ("ssl_ca", "x"),
    ];
    assert_eq!(properties, expected);
    for shown in [loaded.to_toml(), loaded.to_json().to_string(), format!("{loaded:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn every_mistake_is_reported_at_once() {
    let text = "nonsense = 1\n[empty]\n[parking]\n[batch]\nmax_record = 5\nmax_bytes = \"4MB\"\n[http]\nlisten = \
                \"0.0.0.0:8080\"\n[dates]\ntime_zone = \"Mars/Olympus\"\n[log]\nformat = [1]\n\
                [kafka.properties]\n\"group.id\" = \"x\"\n[dead_letter]\nmax_ratio = 2\n";
    let variables = [
        ("ROLLCALL_BATCH__MAX_RECORDS", "many"),
        ("ROLLCALL_TYPO", "x"),
        ("DATABASE_URL", "mysql://me:hunter2@db/x"),
        ("ROLLCALL_CACHE", "/tmp"),
        ("PATH", "/bin"),
    ];
    let found = mistakes(text, &variables);
    let all = found.join("\n");
    assert!(!all.contains("hunter2"), "{all}");
    let expected = "batch.max_records = \"many\" (from ROLLCALL_BATCH__MAX_RECORDS): a whole \
                    number from 1 to 20000";
    assert!(found.iter().any(|mistake| mistake == expected), "{all}");
    for key in [
        "batch.max_bytes = \"4MB\"",
        "batch.max_record (",
        "nonsense (",
        "empty (",
        "typo (from ROLLCALL_TYPO)",
        "http.listen = \"0.0.0.0:8080\" (from",
        "dates.time_zone = \"Mars/Olympus\"",
        "log.format = a list or table",
        "kafka.properties.group.id",
        "dead_letter.max_ratio = \"2\"",
        "database.url = [redacted]",
    ] {
        assert!(found.iter().any(|mistake| mistake.starts_with(key)), "{key} not in\n{all}");
    }
    assert_eq!(found.len(), 12, "{all}");
}

#[test]
fn keys_of_callers_come_from_one_place() {
    let text = "[auth]\njwks_file = \"/keys.json\"\n";
    let url = ("ROLLCALL_AUTH__JWKS_URL", "https://example.org/keys");
    let found = mistakes(text, &[url]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("auth.jwks_file = \"/keys.json\" (from "), "{found:?}");
    let second = "auth.jwks_url = \"https://example.org/keys\" (from ROLLCALL_AUTH__JWKS_URL): nothing, as auth.jwks_file";
    assert!(found[1].starts_with(second), "{found:?}");
    assert!(Settings::load(None, env(&[url]), &[]).is_ok());
}

#[test]
fn a_file_that_is_no_toml_shows_no_line_of_it() {
    let found = mistakes("[database]\nurl = hunter2\n", &[("ROLLCALL_BATCH__LINGER", "soon")]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("line 2") && !found[0].contains("hunter2"), "{found:?}");
}

#[test]
fn a_file_that_is_missing_is_named() {
    let error = Settings::load(Some(Path::new("/nowhere/x.toml")), env(&[]), &[]).unwrap_err();
    assert!(error.to_string().contains("/nowhere/x.toml"));
}

#[test]
fn what_is_shown_can_be_loaded() {
    let overrides = flags(&[("kafka.properties.client.rack", "b"), ("apply.lanes", "4")]);
    let first = Settings::load(None, env(&[]), &overrides).unwrap();
    let (_directory, path) = file(&first.to_toml());
    let second = Settings::load(Some(&path), env(&[]), &[]).unwrap();
    assert_eq!(second.settings.apply.lanes, 4);
    let values =
        |loaded: &Loaded| loaded.entries().into_iter().map(|e| e.value).collect::<Vec<_>>();
    assert_eq!(values(&first), values(&second));
}

#[test]
fn topics_carry_the_prefix() {
    assert_eq!(Settings::default().topics.topic("results"), "rollcall.results");
}
