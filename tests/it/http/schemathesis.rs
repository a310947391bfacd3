//! schemathesis asks a whole worker whatever the description of the API allows and forbids, with all checks on.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use super::Client;
use super::tokens::Key;
use crate::examples::python;
use crate::stage::Stage;
use crate::support::{Worker, logs};

const SECRET: &str = "a secret of the tests that is long enough";
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/schemathesis.toml");
const HOOKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/face_hooks.py");
/// Requests that are drawn for each operation, beside those that its schemas have at their edges.
const DRAWN: &str = "5";

/// Ids of a group that is a member and has one.
async fn there(client: &Client) -> Value {
    let body = json!({
        "group": {"kind": "GROUP", "reference": "H-there"},
        "mode": "MERGE",
        "members": [{
            "individual": {"kind": "INDIVIDUAL", "reference": "R-there"},
            "kinds": ["Head"],
            "program_memberships": [{"program": "CASH"}],
        }],
        "program_memberships": [{"program": "HOUSE"}],
    });
    let client = client.clone().with("idempotency-key", "there");
    let made = client.json(hyper::Method::POST, "/v1/groups", &body).await.json();
    let own =
        made["items"].as_array().and_then(|items| items.iter().find(|i| i["program"] == "HOUSE"));
    json!({
        "registrant_id": made["registrant_id"],
        "group_id": made["registrant_id"],
        "membership_id": own.expect("it is a member")["membership_id"],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_as_the_description_says() {
    let stage = Stage::new().await;
    let worker = Worker::start(&stage.setup.clone().with("ROLLCALL_AUTH__HS256_SECRET", SECRET));
    worker.ready().await;
    let scope = "memberships:read memberships:write programs:write ops:read ops:replay";
    let token = Key::secret(SECRET).good("", &json!({"scope": scope, "source": "registry"}));
    let client = Client::new(&worker.url()).with("authorization", &format!("Bearer {token}"));

    let program = python().await.parent().expect("a folder").join("st");
    let report = logs().join("schemathesis.txt");
    let file = std::fs::File::create(&report).expect("a report");
    let folder = tempfile::tempdir().expect("a folder");
    let ended = Command::new(program)
        .args(["--config-file", CONFIG, "run", &format!("{}/openapi.json", worker.url())])
        .args(["--checks", "all", "--seed", "1", "--max-examples", DRAWN, "--continue-on-failure"])
        .env("SCHEMATHESIS_HOOKS", HOOKS)
        .env("ROLLCALL_TOKEN", token)
        .env("ROLLCALL_IDS", there(&client).await.to_string())
        // It keeps files where it runs.
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(file.try_clone().expect("a report"))
        .stderr(file)
        .kill_on_drop(true)
        .status()
        .await
        .expect("it starts");
    assert!(ended.success(), "{}", failures(&report));
    worker.stop().await;
}

/// What it found, from its report.
fn failures(report: &Path) -> String {
    let text = std::fs::read_to_string(report).expect("a report");
    let from = text.find("====").unwrap_or_default();
    format!("{}: {}", report.display(), text.get(from..).unwrap_or(&text))
}
