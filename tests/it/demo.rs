//! `rollcall demo` through the real binary: what it shows, and that nothing of it is left behind.

use crate::support::{self, PATIENCE, eventually};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Output, Stdio};
use tokio::process::{Child, Command};

/// A demo that keeps its temporary files in a directory of its own, so that one sees what is left of them.
struct Demo {
    temp: tempfile::TempDir,
}

impl Demo {
    fn new() -> Self {
        let temp = tempfile::Builder::new().prefix("demo-").tempdir().expect("a directory");
        // Postgres runs as somebody else when we are root.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(temp.path(), open).expect("opened");
        Self { temp }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ROLLCALL_") {
                command.env_remove(name);
            }
        }
        command
            .arg("demo")
            .args(arguments)
            .env_remove("DATABASE_URL")
            .env_remove("RUST_LOG")
            .env("TMPDIR", self.temp.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn once(&self, arguments: &[&str]) -> Output {
        let output = self.command(&[&["--once"], arguments].concat()).output();
        let output = tokio::time::timeout(PATIENCE * 2, output).await.expect("the demo ends");
        output.expect("the demo starts")
    }

    /// No file, and no process that works on one.
    async fn nothing_is_left(&self) {
        let path = self.temp.path();
        eventually(PATIENCE, "nothing is left behind", async || {
            let files = std::fs::read_dir(path).expect("a directory").count();
            (files == 0 && processes(path) == 0).then_some(())
        })
        .await;
    }
}

/// How many processes have the path in their command line.
fn processes(path: &Path) -> usize {
    let path = path.to_string_lossy().into_owned();
    std::fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| String::from_utf8_lossy(line).contains(&path))
        .count()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn every_record_comes_to_the_outcome_that_was_sown_and_it_is_proved() {
    let demo = Demo::new();
    let output = demo.once(&["--json", "--records", "500"]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");

    let lines = report["outcomes"].as_array().expect("outcomes");
    let mut outcomes = BTreeMap::new();
    for line in lines {
        assert_eq!(line["sent"], line["records"], "{line}");
        *outcomes.entry(line["outcome"].as_str().expect("a name")).or_insert(0) +=
            line["records"].as_u64().expect("a number");
    }
    let expected = [
        ("applied", 482),
        ("dead_lettered", 1),
        ("duplicate", 4),
        ("partial", 3),
        ("rejected", 3 + 2 + 1),
        ("unchanged", 4),
    ];
    assert_eq!(outcomes, BTreeMap::from(expected));
    assert_eq!(report["as_sown"], true);
    assert_eq!(report["reconcile"]["proved"], true, "{}", report["reconcile"]);
    assert!(report["events"].as_u64() >= Some(outcomes["applied"]));
    for (shown, header) in
        [("result", "ce_sequence"), ("event", "ce_sequence"), ("letter", "rollcall.dlq.class")]
    {
        let headers = report[shown]["headers"].as_array().expect("headers");
        assert!(headers.iter().any(|one| one["key"] == header), "{shown}: {headers:?}");
    }
    let steps = report["household"].as_array().expect("a household");
    let steps: Vec<_> = steps
        .iter()
        .map(|step| {
            let said = ["status", "final", "change", "version"].map(|name| &step[name]);
            (json!(said), step["payee"]["reference"].as_str())
        })
        .collect();
    let (head, other) = (Some("HH-110000-1"), Some("HH-110000-2"));
    let expected = [
        (json!(["HELD", false, null, null]), None),
        (json!(["SUCCEEDED", true, "ENROLLED", 1]), head),
        (json!(["SUCCEEDED", true, "PAUSED", 2]), head),
        (json!(["SUCCEEDED", true, "PAYEE_CHANGED", 3]), None),
        (json!(["SUCCEEDED", true, "PAYEE_CHANGED", 4]), other),
    ];
    assert_eq!(steps, expected);
    let receipt = &report["receipt"]["value"];
    // The household has four messages; what was delivered twice or under a used id is no other message.
    let counts = [
        "total_count",
        "applied_count",
        "unchanged_count",
        "partial_count",
        "rejected_count",
        "held_count",
    ];
    assert_eq!(
        json!(counts.map(|name| &receipt[name])),
        json!([499, 486, 4, 3, 5, 1]),
        "{receipt}"
    );
    assert_eq!(
        (&receipt["status"], &receipt["revision"]),
        (&json!("COMPLETE_WITH_HELD"), &json!(1))
    );
    demo.nothing_is_left().await;
}

#[tokio::test]
async fn the_page_fits_a_terminal_and_nothing_disturbs_it() {
    let demo = Demo::new();
    let output = demo.once(&["--records", "100"]).await;
    let (page, notes) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{page}{notes}");
    assert!(page.contains("Reconcile: proved"), "{page}");
    assert!(page.contains("session.timeout.ms=6000"), "{page}");
    for shown in ["HELD, not final", "PAYEE_CHANGED 3  nobody", "Its receipt: COMPLETE_WITH_HELD"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    for line in page.lines() {
        assert!(line.chars().count() <= 115, "{line}");
    }
    assert!(page.lines().count() <= 80, "{page}");
    assert_eq!(notes.trim(), "Ended; nothing is left behind.");
    demo.nothing_is_left().await;
}

async fn shown(child: &mut Child) -> String {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let read = async {
        let mut page = String::new();
        while let Some(line) = lines.next_line().await.expect("readable") {
            page.push_str(&line);
            page.push('\n');
            if line.contains("/metrics") {
                break;
            }
        }
        page
    };
    tokio::time::timeout(PATIENCE * 2, read).await.expect("the page comes")
}

async fn ends_at(signal: &str) {
    let demo = Demo::new();
    let mut child = demo.command(&["--records", "100"]).spawn().expect("the demo starts");
    let page = shown(&mut child).await;
    assert!(page.contains("rollcall submit"), "{page}");
    support::signal(signal, child.id().expect("it runs")).await;
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("the demo ends");
    assert!(status.expect("a status").success());
    demo.nothing_is_left().await;
}

#[tokio::test]
async fn it_stays_up_until_ctrl_c() {
    ends_at("INT").await;
}

#[tokio::test]
async fn it_ends_at_sigterm_too() {
    ends_at("TERM").await;
}

#[tokio::test]
async fn a_signal_in_the_middle_leaves_nothing_either() {
    let demo = Demo::new();
    let mut child = demo.command(&[]).spawn().expect("the demo starts");
    // Processes on its files tell that it has begun.
    eventually(PATIENCE, "Postgres starts", async || {
        (processes(demo.temp.path()) > 0).then_some(())
    })
    .await;
    support::signal("INT", child.id().expect("it runs")).await;
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("the demo ends");
    assert!(status.expect("a status").success());
    demo.nothing_is_left().await;
}
