//! A whole small Rollcall for one test: topics and schema made by the real commands, programs, requests to send, and
//! the proof in the end.

use rollcall::contract::encode;
use rollcall::contract::wire::{EnrollmentRequest, Millis};
use rollcall::lifecycle::clock::{Clock as _, SystemClock};
use serde_json::Value;

use crate::scene::{PROGRAMS, enrollment};
use crate::support::{
    self, Kafka, NewRecord, PATIENCE, Setup, TestDb, Topics, eventually, rollcall,
};

/// The topic of requests, without prefix.
pub(crate) const REQUESTS: &str = "enrollment-requests";

pub(crate) struct Stage {
    pub(crate) db: TestDb,
    pub(crate) topics: Topics,
    pub(crate) setup: Setup,
}

impl Stage {
    /// On the shared servers.
    pub(crate) async fn new() -> Self {
        Self::on(support::kafka().await, support::database().await).await
    }

    /// On these servers.
    pub(crate) async fn on(kafka: &Kafka, db: TestDb) -> Self {
        let prefix = support::unique_prefix();
        let stage = Self {
            topics: kafka.topics(&prefix),
            setup: Setup::new(&kafka.brokers, &prefix, &db.url),
            db,
        };
        stage.done(&["migrate"]).await;
        stage.done(&["topics", "apply"]).await;
        let programs = PROGRAMS
            .iter()
            .map(|(code, target, state)| {
                format!("{code},Program {code},{},{}\n", target.as_str(), state.as_str())
            })
            .collect::<Vec<String>>()
            .concat();
        let file = file(format!("code,name,target_type,state\n{programs}"));
        stage.done(&["programs", "import", path(&file), "--format", "csv"]).await;
        stage
    }

    /// Runs a command that must succeed; gives what it says on stdout.
    pub(crate) async fn done(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.command(arguments).await;
        assert_eq!(code, 0, "rollcall {arguments:?}: {stdout}{stderr}");
        stdout
    }

    /// Runs a command; gives its exit code, stdout and stderr.
    pub(crate) async fn command(&self, arguments: &[&str]) -> (i32, String, String) {
        command(&self.setup, arguments).await
    }

    /// Runs a command with `--json`; gives its exit code and the one object on stdout.
    pub(crate) async fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let (code, stdout, stderr) = self.command(&[arguments, &["--json"]].concat()).await;
        let object = serde_json::from_str(&stdout);
        (code, object.unwrap_or_else(|error| panic!("{arguments:?}: {error}: {stdout}{stderr}")))
    }

    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.db.pool).await.expect(sql)
    }

    /// How many offsets stand in the ledger.
    pub(crate) async fn ledger(&self) -> sqlx::Result<i64> {
        let sum = "SELECT COALESCE(sum(next_offset - first_offset), 0)::bigint FROM intake_ledger";
        sqlx::query_scalar(sum).fetch_one(&self.db.pool).await
    }

    /// Waits until this many offsets stand in the ledger, for as long as there are more and more.
    pub(crate) async fn decided(&self, offsets: i64) {
        let mut decided = -1;
        while decided < offsets {
            let what = format!("something is decided: {decided} of {offsets} are");
            decided = eventually(PATIENCE, &what, async || {
                self.ledger().await.ok().filter(|now| *now > decided)
            })
            .await;
        }
        assert_eq!(decided, offsets);
    }

    /// Waits until Kafka has acknowledged everything that was committed.
    pub(crate) async fn published(&self) {
        eventually(PATIENCE, "everything is published", async || {
            let open = "SELECT count(*) FROM relay_cursors AS cursors
                        WHERE acked < (SELECT max(first_seq + count - 1) FROM outbox_runs AS runs
                                       WHERE runs.stream = cursors.stream)";
            let open: i64 = sqlx::query_scalar(open).fetch_one(&self.db.pool).await.ok()?;
            (open == 0).then_some(())
        })
        .await;
    }

    /// Every one of so many offsets has one outcome, everything is published, and `rollcall reconcile` proves it.
    pub(crate) async fn prove(&self, offsets: i64) {
        self.decided(offsets).await;
        self.published().await;
        let (code, report) = self.json(&["reconcile"]).await;
        assert_eq!((code, &report["proved"]), (0, &Value::Bool(true)), "{report:#}");
    }
}

/// Runs a command; gives its exit code, stdout and stderr.
pub(crate) async fn command(setup: &Setup, arguments: &[&str]) -> (i32, String, String) {
    let output = rollcall(setup, arguments).await;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().expect("it ends by itself"), text(output.stdout), text(output.stderr))
}

/// A file with this content, gone when dropped.
pub(crate) fn file(content: impl AsRef<[u8]>) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(&file, content).expect("it can be written");
    file
}

pub(crate) fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().expect("a path of ASCII")
}

/// An enrollment that is sent now: a worker refuses what was sent before its inbox begins.
pub(crate) fn request(number: usize) -> EnrollmentRequest {
    EnrollmentRequest {
        sent_at: Millis::from(SystemClock.now()),
        ..enrollment(&format!("m{number}"), &format!("r{number}"), "CASH")
    }
}

/// The record of a request, keyed as the contract says.
pub(crate) fn record(partition: Option<i32>, request: &EnrollmentRequest) -> NewRecord {
    NewRecord {
        partition,
        key: request.registrant.reference.clone().map(String::into_bytes),
        value: Some(encode(request).expect("a request that fits its schema")),
        ..NewRecord::default()
    }
}
