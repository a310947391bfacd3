//! `rollcall dead-letters`: found and understood, beside a worker.

use rollcall::contract::encode;
use serde_json::{Value, json};

use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{NewRecord, Worker};

/// A request of which the last bytes are missing, with headers that say which one it is.
fn cut_off(number: usize) -> NewRecord {
    let mut bytes = encode(&request(number)).unwrap();
    bytes.truncate(bytes.len() - 3);
    let header = |name: &str, value: &str| (name.to_owned(), Some(value.as_bytes().to_vec()));
    NewRecord {
        partition: Some(2),
        key: Some(format!("seeded-key-{number}").into_bytes()),
        value: Some(bytes),
        headers: vec![
            header("ce_source", "registry"),
            header("ce_id", &format!("m{number}")),
            header("x-note", "seeded note"),
        ],
        timestamp: None,
    }
}

/// A request whose schema nobody knows.
fn of_unknown_schema(number: usize) -> NewRecord {
    let mut bytes = encode(&request(number)).unwrap();
    bytes[2..10].copy_from_slice(&[7; 8]);
    NewRecord { partition: Some(1), value: Some(bytes), ..record(Some(1), &request(number)) }
}

fn ids(list: &Value) -> Vec<&str> {
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["letter_id"].as_str().unwrap())
        .collect()
}

/// A worker, three letters of an unknown schema, and one of a request that was cut off.
async fn staged() -> (Stage, Worker) {
    let stage = Stage::new().await;
    let worker = Worker::start(&stage.setup);
    let (_, list) = stage.json(&["dead-letters", "list"]).await;
    assert_eq!(list, json!({"items": [], "next_cursor": null}));
    let records: Vec<_> = (0..3).map(of_unknown_schema).chain([cut_off(7)]).collect();
    stage.topics.produce(REQUESTS, &records).await;
    stage.prove(4).await;
    (stage, worker)
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_listed_and_grouped() {
    let (stage, worker) = staged().await;
    // Page by page.
    let (code, all) = stage.json(&["dead-letters", "list"]).await;
    assert_eq!((code, ids(&all).len(), &all["next_cursor"]), (0, 4, &Value::Null));
    let (_, first) = stage.json(&["dead-letters", "list", "--limit", "3"]).await;
    let cursor = first["next_cursor"].as_str().expect("a next page");
    let (_, second) =
        stage.json(&["dead-letters", "list", "--limit", "3", "--cursor", cursor]).await;
    assert_eq!([ids(&first), ids(&second)].concat(), ids(&all));

    // By everything there is.
    let full = stage.topics.full(REQUESTS);
    for (filter, found) in [
        (&["--class", "unknown_schema"][..], 3),
        (&["--class", "too_large"], 0),
        (&["--stage", "decode"], 1),
        (&["--code", "invalid_avro"], 1),
        (&["--source", "registry"], 1),
        (&["--source", "other"], 0),
        (&["--topic", REQUESTS], 4),
        (&["--topic", &full, "--partition", "1"], 3),
        (&["--topic", REQUESTS, "--partition", "1", "--offset", "2"], 1),
        (&["--schema", "0707070707070707"], 3),
        (&["--since", "2020-01-01"], 4),
        (&["--since", "2999-01-01T00:00:00Z"], 0),
        (&["--until", "2020-01-01"], 0),
        (&["--state", "DISCARDED"], 0),
        (&["--state", "ALL"], 4),
    ] {
        let (_, list) = stage.json(&[&["dead-letters", "list"], filter].concat()).await;
        assert_eq!(ids(&list).len(), found, "{filter:?}");
    }
    for wrong in [
        &["--class", "none"][..],
        &["--stage", "none"],
        &["--partition", "1"],
        &["--schema", "07"],
        &["--since", "yesterday"],
        &["--cursor", "x"],
        &["--limit", "0"],
    ] {
        let (code, ..) = stage.command(&[&["dead-letters", "list"], wrong].concat()).await;
        assert_eq!(code, 2, "{wrong:?}");
    }

    let (_, groups) = stage.json(&["dead-letters", "groups"]).await;
    let groups = groups["items"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!(
        ["class", "stage", "code", "topic", "schema", "source", "count"]
            .map(|name| &groups[0][name]),
        [
            &json!("unknown_schema"),
            &json!("schema"),
            &json!("unknown_fingerprint"),
            &json!(full),
            &json!("0707070707070707"),
            &Value::Null,
            &json!(3)
        ]
    );
    assert_eq!((&groups[1]["source"], &groups[1]["count"]), (&json!("registry"), &json!(1)));

    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_shown_masked_unless_the_audit_keeps_who_asked() {
    let (stage, worker) = staged().await;
    let full = stage.topics.full(REQUESTS);
    let (_, list) = stage.json(&["dead-letters", "list", "--stage", "decode"]).await;
    let letter = ids(&list)[0];
    let (code, shown) = stage.json(&["dead-letters", "show", letter]).await;
    assert_eq!(code, 0);
    for (name, value) in [
        ("letter_id", json!(letter)),
        ("class", json!("undecodable")),
        ("code", json!("invalid_avro")),
        ("state", json!("OPEN")),
        ("attempts", json!(1)),
        ("topic", json!(full)),
        ("partition", json!(2)),
        ("offset", json!(0)),
        ("source", json!("registry")),
        ("message_id", json!("m7")),
        ("key", json!("***")),
        ("revealed", json!(false)),
        ("actions", json!([])),
    ] {
        assert_eq!(shown[name], value, "{name}");
    }
    assert_eq!(shown["headers"][2], json!({"name": "x-note", "value": "***"}));
    assert!(shown["what_to_do"].as_str().unwrap().contains("sender"), "{shown:#}");
    let decoded = &shown["decoded"];
    assert_eq!(
        (&decoded["type"], &decoded["complete"], &decoded["value"]["message_id"]),
        (&json!("EnrollmentRequest"), &json!(false), &json!("m7")),
        "what could be read is shown: {decoded:#}"
    );
    let text = stage.done(&["dead-letters", "show", letter]).await;
    for (answer, masked) in [(shown.to_string(), true), (text, true)] {
        for seeded in ["Seeded", "seeded", "r7"] {
            assert_eq!(!answer.contains(seeded), masked, "{seeded} in {answer}");
        }
    }

    // And with its values, which the audit keeps.
    let reveal = [
        "dead-letters",
        "show",
        letter,
        "--reveal",
        "--reason",
        "the sender asks",
        "--actor",
        "clerk",
    ];
    let (_, shown) = stage.json(&reveal).await;
    assert_eq!(shown["key"], "seeded-key-7");
    assert_eq!(shown["decoded"]["value"]["registrant"]["name"], "Seeded Name r7");
    let action = &shown["actions"][0];
    assert_eq!(
        (&action["action"], &action["actor"], &action["reason"]),
        (&json!("REVEALED"), &json!("clerk"), &json!("the sender asks"))
    );
    assert_eq!(stage.number("SELECT count(*) FROM dead_letter_actions").await, 1);
    let nobody = "00000000-0000-0000-0000-000000000000";
    assert_eq!(stage.command(&["dead-letters", "show", nobody]).await.0, 1);
    worker.stop().await;
}
