//! The programs in `examples/`: what a payment system makes of the topics is what the database holds.

mod households;
mod live;
mod logs;
mod made;
#[path = "../../../examples/payments.rs"]
#[expect(dead_code, reason = "its main is another program's")]
mod payments;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use clap::Parser as _;
use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::process::{Child, Command};
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
    /// Starts the program on these topics; it prints to the file.
    async fn start(self, kafka: &Kafka, prefix: &str, more: &[&str]) -> (Child, NamedTempFile) {
        let arguments =
            [&["--bootstrap-servers", &kafka.brokers, "--prefix", prefix], more].concat();
        let file = NamedTempFile::new().expect("a file");
        let mut command = match self {
            Self::Rust => {
                let mut command = Command::new(std::env::current_exe().expect("this program"));
                command
                    .args(["--exact", "examples::consumer_process", "--nocapture"])
                    .env("CONSUMER_PROCESS_ARGUMENTS", arguments.join(" "))
                    .env("CONSUMER_PROCESS_OUTPUT", file.path())
                    .env("RUST_BACKTRACE", "0")
                    .stdout(Stdio::null());
                command
            }
            Self::Python => {
                let mut command = Command::new(python().await);
                command
                    .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/payments.py"))
                    .args(arguments)
                    .stdout(file.reopen().expect("the file"));
                command
            }
        };
        command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        (command.spawn().expect("it starts"), file)
    }

    /// What it prints once it has come to the end, whether it is content, and its complaints.
    async fn until_end(self, kafka: &Kafka, prefix: &str) -> (Printed, bool, String) {
        let (child, file) = self.start(kafka, prefix, &["--until-end"]).await;
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        let output = output.unwrap_or_else(|_| panic!("{self:?} comes to the end"));
        let output = output.expect("its status");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (Printed::read(&file), output.status.success(), said)
    }
}

/// Not a test of its own: the example in Rust, in a process of its own.
#[test]
fn consumer_process() -> anyhow::Result<()> {
    let (Some(arguments), Some(output)) =
        (variable("CONSUMER_PROCESS_ARGUMENTS"), variable("CONSUMER_PROCESS_OUTPUT"))
    else {
        return Ok(());
    };
    let options =
        payments::Options::parse_from(["payments"].into_iter().chain(arguments.split(' ')));
    let mut output = std::fs::File::create(output)?;
    payments::run(&options, &mut output)
}

#[expect(clippy::disallowed_methods, reason = "how a test speaks to its own process")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A table of members as a consumer printed it, or as it should have.
#[derive(Debug, Default, PartialEq)]
struct Printed {
    members: BTreeMap<String, Value>,
    seen: BTreeMap<i64, i64>,
}

impl Printed {
    fn read(file: &NamedTempFile) -> Self {
        Self::parse(&std::fs::read_to_string(file.path()).expect("text"))
    }

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

/// A Python that has the packages of the tests.
pub(crate) async fn python() -> &'static PathBuf {
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
