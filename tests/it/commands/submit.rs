//! `rollcall submit`: NDJSON and CSV, the same file again, and files with mistakes.

use std::collections::BTreeSet;

use rollcall::contract::wire::{EnrollmentRequest, RequestResult};
use rollcall::contract::{MessageType, Schemas, decode_json, decode_own};
use serde_json::Value;

use super::nowhere;
use crate::stage::{REQUESTS, Stage, command, file, path};
use crate::support::{PATIENCE, Worker, eventually};

fn ndjson(lines: usize) -> String {
    (0..lines)
        .map(|n| {
            format!(
                "{{\"type\":\"EnrollmentRequest\",\"registrant\":{{\"reference\":\"n{n}\",\"kind\":\"INDIVIDUAL\",\"name\":\"Ana {n}\",\
                 \"birthdate\":\"1990-01-31\",\"ids\":[{{\"id_type\":\"NATIONAL\",\"value\":\"{n}\"}}]}},\
                 \"program_memberships\":[{{\"program\":\"CASH\",\"enrollment_date\":\"2026-01-31\"}}]}}\n"
            )
        })
        .collect::<Vec<String>>()
        .concat()
}

fn csv(rows: usize) -> String {
    let rows = (0..rows)
        .map(|n| format!("c{n},\"Doe, {n}\",,1980-02-29,CASH;FOOD,2026-01-31,{n}\n"))
        .collect::<Vec<String>>()
        .concat();
    format!("reference,name,given_name,birthdate,program,enrollment_date,ids.PASSPORT\n{rows}")
}

async fn sent(stage: &Stage) -> Vec<EnrollmentRequest> {
    let records = stage.topics.read(REQUESTS).await;
    records
        .iter()
        .map(|record| {
            let request: EnrollmentRequest = decode_own(record.value.as_deref().unwrap()).unwrap();
            assert_eq!(
                record.key.as_deref(),
                request.registrant.reference.as_deref().map(str::as_bytes)
            );
            request
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_file_again_is_a_run_of_duplicates() {
    let stage = Stage::new().await;
    let (lines, rows) = (file(ndjson(50)), file(csv(40)));
    for _ in 0..2 {
        for (path, format, count) in [(path(&lines), "ndjson", 50), (path(&rows), "csv", 40)] {
            let (code, summary) =
                stage.json(&["submit", path, "--format", format, "--source", "registry"]).await;
            assert_eq!(code, 0, "{summary:#}");
            assert_eq!(
                (&summary["accepted"], &summary["refused"], &summary["total_count"]),
                (&count.into(), &0.into(), &count.into())
            );
        }
    }
    let requests = sent(&stage).await;
    let ids: BTreeSet<&str> = requests.iter().map(|request| &*request.message_id).collect();
    assert_eq!((requests.len(), ids.len()), (180, 90), "the same ids again");
    let batches: BTreeSet<_> =
        requests.iter().map(|r| r.batch.as_ref().unwrap().batch_id.clone()).collect();
    assert_eq!(batches.len(), 2, "a file's hash is its batch");
    assert!(
        requests.iter().all(|r| r
            .batch
            .as_ref()
            .unwrap()
            .total_count
            .is_some_and(|n| n == 50 || n == 40))
    );

    let worker = Worker::start(&stage.setup);
    stage.prove(180).await;
    worker.stop().await;
    assert_eq!(stage.number("SELECT count(*) FROM memberships").await, 50 + 2 * 40);
    let results = stage.topics.read("results").await;
    let duplicates = results.iter().filter(|record| {
        let result: RequestResult = decode_own(record.value.as_deref().unwrap()).unwrap();
        result.duplicate
    });
    assert_eq!((results.len(), duplicates.count()), (180, 90));
}

/// A household, an update of one of them that waits for nobody (there is no such program), and an enrollment, as often
/// as is said.
fn mixed(households: usize) -> String {
    (0..households)
        .map(|n| {
            format!(
                "{{\"type\":\"GroupMembershipRequest\",\"group\":{{\"reference\":\"h{n}\",\"kind\":\"GROUP\"}},\"mode\":\"MERGE\",\
                 \"members\":[{{\"individual\":{{\"reference\":\"p{n}\",\"kind\":\"INDIVIDUAL\"}},\"kinds\":[\"Head\"]}}]}}\n\
                 {{\"type\":\"MembershipUpdateRequest\",\"registrant\":{{\"reference\":\"p{n}\"}},\"program\":\"NONE\",\
                 \"action\":\"PAUSE\",\"reason\":{{\"code\":\"moved\"}}}}\n\
                 {{\"type\":\"EnrollmentRequest\",\"registrant\":{{\"reference\":\"p{n}\",\"kind\":\"INDIVIDUAL\"}},\
                 \"program_memberships\":[{{\"program\":\"CASH\"}}]}}\n"
            )
        })
        .collect::<Vec<String>>()
        .concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_every_kind_go_to_their_topics_with_their_keys() {
    let stage = Stage::new().await;
    let lines = file(mixed(20));
    let arguments = ["submit", path(&lines), "--format", "ndjson", "--source", "registry"];
    let mut ids = BTreeSet::new();
    for _ in 0..2 {
        let (code, summary) = stage.json(&arguments).await;
        assert_eq!((code, &summary["total_count"]), (0, &60.into()), "{summary:#}");
    }
    for (topic, kind, letter) in [
        ("enrollment-requests", MessageType::EnrollmentRequest, 'p'),
        ("membership-updates", MessageType::MembershipUpdateRequest, 'p'),
        ("group-memberships", MessageType::GroupMembershipRequest, 'h'),
    ] {
        let records = stage.topics.read(topic).await;
        let mut keys = BTreeSet::new();
        for record in &records {
            let key = String::from_utf8(record.key.clone().unwrap()).unwrap();
            let said = decode_json(&Schemas::embedded(), record.value.as_deref().unwrap()).unwrap();
            assert_eq!(said["type"], kind.name(), "{topic}");
            assert_eq!(record.header("ce_id"), said["message_id"].as_str());
            assert_eq!(said["batch"]["total_count"], 60);
            ids.insert(said["message_id"].as_str().unwrap().to_owned());
            keys.insert(key);
        }
        let expected: BTreeSet<_> = (0..20).map(|n| format!("{letter}{n}")).collect();
        assert_eq!((records.len(), keys), (40, expected), "{topic}");
    }
    assert_eq!(ids.len(), 60, "the same ids again");

    // Whatever the topic, all of them are decided, each request once.
    let worker = Worker::start(&stage.setup);
    stage.prove(120).await;
    worker.stop().await;
    assert_eq!(stage.number("SELECT count(*) FROM inbox").await, 60);
    assert_eq!(stage.number("SELECT count(*) FROM dead_letters").await, 0);
    let topics = "SELECT count(DISTINCT topic) FROM intake_ledger";
    assert_eq!(stage.number(topics).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_every_kind_are_encoded_and_decoded() {
    let whole = mixed(1).replace(
        "\"type\"",
        "\"message_id\":\"m\",\"source\":\"s\",\"sent_at\":\"2026-01-31T09:00:00Z\",\"type\"",
    );
    let json = file(&whole);
    let (code, hex, stderr) = command(&nowhere(), &["encode", path(&json), "--hex"]).await;
    assert_eq!((code, hex.lines().count()), (0, 3), "{stderr}");
    let hex = file(hex);
    let (code, decoded, stderr) = command(&nowhere(), &["decode", path(&hex)]).await;
    assert_eq!(code, 0, "{stderr}");
    for (given, decoded) in whole.lines().zip(decoded.lines()) {
        let [given, decoded]: [Value; 2] =
            [given, decoded].map(|l| serde_json::from_str(l).unwrap());
        assert_eq!(decoded["type"], given["type"]);
        assert_eq!(decoded["sent_at"], "2026-01-31T09:00:00.000Z");
        assert_eq!(decoded["action"], given["action"]);
        assert_eq!(decoded["reason"]["code"], given["reason"]["code"]);
        assert_eq!(decoded["group"]["reference"], given["group"]["reference"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_checked_without_servers_and_every_error_has_its_line() {
    let good = file(ndjson(3));
    let (code, stdout, stderr) =
        command(&nowhere(), &["submit", path(&good), "--format", "ndjson", "--check", "--json"])
            .await;
    let summary: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (code, &summary["accepted"], &summary["checked"]),
        (0, &3.into(), &true.into()),
        "{stderr}"
    );

    let wrong = file(format!(
        "{}{{\"type\":\"EnrollmentRequest\",\"registrant\":{{\"reference\":\"\",\"kind\":\"PERSON\"}}}}\nno json\n\n\
         {{\"type\":\"NoRequest\"}}\n{{\"type\":\"EnrollmentRequest\",\"registrant\":{{\"kind\":\"INDIVIDUAL\"}},\"colour\":1}}\n",
        ndjson(2)
    ));
    let arguments = ["submit", path(&wrong), "--format", "ndjson", "--check", "--json"];
    let (code, stdout, _) = command(&nowhere(), &arguments).await;
    let summary: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &summary["accepted"], &summary["refused"]), (1, &2.into(), &4.into()));
    let errors: Vec<(u64, &str)> = summary["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["line"].as_u64().unwrap(), e["pointer"].as_str().unwrap()))
        .collect();
    for expected in [(3, "/registrant/kind"), (4, ""), (6, "/type"), (7, "/colour")] {
        assert!(errors.contains(&expected), "{expected:?} is not in {errors:?}");
    }

    let rows = file("reference,colour,program\nr1,red,CASH\n");
    let (code, stdout, _) =
        command(&nowhere(), &["submit", path(&rows), "--format", "csv", "--check"]).await;
    assert_eq!((code, stdout.contains("colour")), (1, true), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_lines_are_named_and_right_ones_are_sent() {
    let stage = Stage::new().await;
    let mixed = file(format!("{}no json\n", ndjson(2)));
    let arguments =
        ["submit", path(&mixed), "--format", "ndjson", "--source", "s", "--batch-id", "b1"];
    let (code, summary) = stage.json(&arguments).await;
    assert_eq!((code, &summary["accepted"], &summary["refused"]), (1, &2.into(), &1.into()));
    assert_eq!((&summary["batch_id"], &summary["errors"][0]["line"]), (&"b1".into(), &3.into()));
    let requests = sent(&stage).await;
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|r| r.source == "s" && r.batch.as_ref().unwrap().batch_id == "b1"));
    // Lines without a source need one.
    let (code, _, _) =
        stage.command(&["submit", path(&file(ndjson(1))), "--format", "ndjson"]).await;
    assert_eq!(code, 1);
    // The topic is missing: say so, do not create it. That it is gone shows a moment after.
    stage.topics.delete(REQUESTS).await;
    eventually(PATIENCE, "the missing topic is named", async || {
        let (code, _, stderr) = stage.command(&arguments).await;
        (code == 2 && stderr.contains("rollcall topics apply")).then_some(())
    })
    .await;
}
