//! `rollcall encode` and `rollcall decode`: there and back.

use serde_json::Value;

use super::nowhere;
use crate::stage::{command, file, path, request};
use rollcall::contract::{MessageType, embedded_text, encode};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_decoded_can_be_encoded_to_the_same_bytes() {
    let setup = nowhere();
    let requests: Vec<Vec<u8>> = (0..3).map(|n| encode(&request(n)).unwrap()).collect();
    let lines: Vec<String> = requests.iter().map(hex::encode).collect();
    let hex = lines.join("\n") + "\n";
    let (code, json, stderr) = command(&setup, &["decode", path(&file(&hex))]).await;
    assert_eq!(code, 0, "{stderr}");
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (&lines[1]["type"], &lines[1]["message_id"], &lines[1]["registrant"]["reference"]),
        (&"EnrollmentRequest".into(), &"m1".into(), &"r1".into())
    );
    let (code, again, stderr) = command(&setup, &["encode", path(&file(&json)), "--hex"]).await;
    assert_eq!((code, again), (0, hex), "{stderr}");

    // One message has raw bytes; with --json there is one object.
    let raw = file(&requests[0]);
    let (code, stdout, _) = command(&setup, &["decode", path(&raw), "--json"]).await;
    let list: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, list["items"].as_array().unwrap().len()), (0, 1));
    let back = file("");
    let one = file(list["items"][0].to_string());
    let (code, _, stderr) = command(&setup, &["encode", path(&one), "--output", path(&back)]).await;
    assert_eq!((code, std::fs::read(back.path()).unwrap()), (0, requests[0].clone()), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_the_folder_are_listed_beside_our_own() {
    let folder = tempfile::tempdir().unwrap();
    let text = embedded_text(MessageType::EnrollmentRequest).replacen("\"atomic\"", "\"whole\"", 1);
    std::fs::write(folder.path().join("EnrollmentRequest.v2.avsc"), text).unwrap();
    let setup = nowhere().with("ROLLCALL_SCHEMAS__DIRECTORY", folder.path().to_str().unwrap());
    let (code, stdout, stderr) = command(&setup, &["schemas", "list", "--json"]).await;
    assert_eq!(code, 0, "{stderr}");
    let list: Value = serde_json::from_str(&stdout).unwrap();
    let versions = list["items"].as_array().unwrap().iter();
    let from = |version: &Value| (version["version"].clone(), version["from"].clone());
    let enrollments: Vec<_> =
        versions.filter(|version| version["name"] == "EnrollmentRequest").map(from).collect();
    assert_eq!(enrollments, [(1.into(), "embedded".into()), (2.into(), "directory".into())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_the_answer_no() {
    let setup = nowhere();
    for (bytes, class) in [
        (&b"no Avro"[..], "undecodable"),
        (b"", "empty_payload"),
        (b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08 body", "unknown_schema"),
    ] {
        let (code, stdout, stderr) =
            command(&setup, &["decode", path(&file(bytes)), "--json"]).await;
        let said: Value = serde_json::from_str(stderr.trim()).unwrap();
        assert_eq!((code, &*stdout, &said["error"]["class"]), (1, "", &class.into()), "{stderr}");
    }
    let wrong = file("{\"type\":\"EnrollmentRequest\",\"message_id\":7}\n{}\n");
    let (code, stdout, stderr) = command(&setup, &["encode", path(&wrong), "--hex"]).await;
    assert_eq!((code, &*stdout), (1, ""));
    assert!(stderr.contains("line 1 /message_id") && stderr.contains("line 2 /type"), "{stderr}");
}
