//! The programs in `examples/`: what a payment system makes of the topics is what the database holds.

mod live;
mod logs;
mod made;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::support::{Kafka, PATIENCE};

/// The consumer in its two languages.
#[derive(Debug, Clone, Copy)]
enum Consumer {
    Rust,
    Python,
}

const CONSUMERS: [Consumer; 2] = [Consumer::Rust, Consumer::Python];

impl Consumer {
    /// The program on these topics.
    async fn command(self, kafka: &Kafka, prefix: &str) -> Command {
        let mut command = match self {
            Self::Rust => Command::new(built().await),
            Self::Python => {
                let mut command = Command::new(python().await);
                command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/payments.py"));
                command
            }
        };
        command
            .args(["--bootstrap-servers", &kafka.brokers, "--prefix", prefix])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// What it prints once it has come to the end, its exit code, and its complaints.
    async fn until_end(self, kafka: &Kafka, prefix: &str) -> (Printed, i32, String) {
        let output = self.command(kafka, prefix).await.arg("--until-end").output();
        let output = tokio::time::timeout(PATIENCE, output).await;
        let output =
            output.unwrap_or_else(|_| panic!("{self:?} comes to the end")).expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code().expect("it ends by itself");
        (Printed::parse(&String::from_utf8(output.stdout).expect("text")), code, said)
    }
}

/// A table of members as a consumer printed it, or as it should have.
#[derive(Debug, Default, PartialEq)]
struct Printed {
    members: BTreeMap<String, Value>,
    seen: BTreeMap<i64, i64>,
}

impl Printed {
    /// Later lines of a membership replace earlier ones; a line cut short is left out.
    fn parse(text: &str) -> Self {
        let mut printed = Self::default();
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let line: Value = serde_json::from_str(line).expect("a JSON object a line");
            if let Some(partition) = line["partition"].as_i64() {
                printed.seen.insert(partition, line["seen_up_to"].as_i64().expect("a number"));
                continue;
            }
            let id = line["membership_id"].as_str().expect("an id").to_owned();
            if line["state"].is_null() {
                printed.members.remove(&id);
            } else {
                printed.members.insert(id, line);
            }
        }
        printed
    }
}

/// The example in Rust, built as the tests are.
async fn built() -> &'static PathBuf {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT
        .get_or_init(|| async {
            let mut cargo = Command::new(env!("CARGO"));
            cargo
                .args(["build", "--quiet", "--example", "payments"])
                .args(["--message-format", "json-render-diagnostics"])
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .stderr(Stdio::inherit());
            let output = cargo.output().await.expect("cargo starts");
            let text = String::from_utf8(output.stdout).expect("text");
            let artifact = text
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                .find(|line| line["target"]["kind"][0] == "example")
                .expect("the example is built");
            PathBuf::from(artifact["executable"].as_str().expect("a program"))
        })
        .await
}

/// A Python that has the packages of the example.
async fn python() -> &'static PathBuf {
    static PYTHON: OnceCell<PathBuf> = OnceCell::const_new();
    PYTHON
        .get_or_init(|| async {
            let mut script =
                Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/python-env"));
            let output = script.stderr(Stdio::inherit()).output().await.expect("it starts");
            assert!(output.status.success(), "scripts/python-env says what is missing");
            PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim())
        })
        .await
}
