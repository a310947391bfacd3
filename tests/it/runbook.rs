//! The commands of docs/RUNBOOK.md, run as they stand there on what they are for.

use rollcall::contract::wire::Action;
use serde_json::Value;

use crate::scene::update;
use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{NewRecord, PATIENCE, Worker, eventually, shell};

const RUNBOOK: &str = include_str!("../../docs/RUNBOOK.md");

/// The lines of commands of a section.
fn section(title: &str) -> Vec<&'static str> {
    let heading = format!("\n## {title}\n");
    let (_, section) = RUNBOOK.split_once(&heading).unwrap_or_else(|| panic!("no {title}"));
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```sh").skip(1).filter_map(|rest| rest.split_once("```"));
    let lines = blocks.flat_map(|(block, _)| block.lines()).map(str::trim);
    lines.filter(|line| !line.is_empty()).collect()
}

/// Somebody who reads a section.
struct Reader<'a> {
    stage: &'a Stage,
    lines: Vec<&'static str>,
    variables: Vec<(&'static str, String)>,
}

impl<'a> Reader<'a> {
    fn of(stage: &'a Stage, title: &str) -> Self {
        let reason = ("REASON", "by the book".to_owned());
        Self { stage, lines: section(title), variables: vec![reason] }
    }

    fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.variables.push((name, value.into()));
    }

    /// Runs the next line, which begins like this; gives its exit code and what it said.
    async fn run(&mut self, beginning: &str) -> (i32, String) {
        let line = self.lines.remove(0);
        assert!(line.starts_with(beginning), "{line} is not {beginning}");
        self.say(line).await
    }

    /// The same with `--json` behind it.
    async fn answer(&mut self, beginning: &str) -> (i32, Value) {
        let line = self.lines.remove(0);
        assert!(line.starts_with(beginning), "{line} is not {beginning}");
        let (code, said) = self.say(&format!("{line} --json")).await;
        (
            code,
            serde_json::from_str(&said).unwrap_or_else(|error| panic!("{line}: {error}: {said}")),
        )
    }

    async fn say(&self, line: &str) -> (i32, String) {
        let variables: Vec<_> =
            self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let output = shell(&self.stage.setup, line, &variables).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (code, stderr) = (output.status.code().unwrap(), text(&output.stderr));
        assert!(code == 0 || code == 1, "{line}: {code}: {stderr}");
        (code, text(&output.stdout))
    }

    /// Every line was run.
    fn is_through(&self) {
        assert!(self.lines.is_empty(), "{:?}", self.lines);
    }
}

fn garbage() -> NewRecord {
    NewRecord { partition: Some(0), value: Some(b"garbage".to_vec()), ..NewRecord::default() }
}

async fn in_state(stage: &Stage, partition: i32, state: &'static str) {
    let sql = "SELECT count(*) FROM partition_states WHERE partition = $1 AND state = $2
               AND topic LIKE '%enrollment-requests'";
    eventually(PATIENCE, state, async || {
        let query = sqlx::query_scalar::<_, i64>(sql).bind(partition).bind(state);
        (query.fetch_one(&stage.db.pool).await.ok()? == 1).then_some(())
    })
    .await;
}

async fn text(stage: &Stage, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(&stage.db.pool).await.expect(sql)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_stopped() {
    let mut stage = Stage::new().await;
    stage.setup = stage.setup.with("ROLLCALL_DEAD_LETTER__MAX_CONSECUTIVE", "1");
    let worker = Worker::start(&stage.setup);
    stage.topics.produce(REQUESTS, &[garbage(), garbage(), record(Some(0), &request(1))]).await;
    in_state(&stage, 0, "STOPPED").await;
    let mut begin = Reader::of(&stage, "Where to begin");
    let (code, said) = begin.run("rollcall status").await;
    assert_eq!((code, said.contains("dead_letter_cap")), (1, true), "{said}");
    begin.is_through();
    let mut book = Reader::of(&stage, "A partition is stopped");
    book.set("TOPIC", REQUESTS);
    book.set("PARTITION", "0");
    let (code, said) = book.run("rollcall partitions list").await;
    assert_eq!((code, said.contains("dead_letter_cap")), (0, true), "{said}");
    assert_eq!(book.run("rollcall partitions resume").await.0, 0);
    // The cause was not removed.
    let anew = "SELECT count(*) FROM partition_states WHERE partition = 0 AND state = 'STOPPED'
                AND since > (SELECT max(recorded_at) FROM partition_actions)";
    eventually(PATIENCE, "it stops anew", async || (stage.number(anew).await == 1).then_some(()))
        .await;
    book.set("OFFSET", "1");
    assert_eq!(book.run("rollcall partitions skip").await.0, 0);
    let (code, skipped) = book.answer("rollcall dead-letters list").await;
    assert_eq!((code, &skipped["items"][0]["offset"]), (0, &Value::from(1)));
    stage.decided(3).await;
    in_state(&stage, 0, "RUNNING").await;
    worker.stop().await;

    // Retention takes two records before they are applied.
    let more: Vec<_> = (2..5).map(|number| record(Some(0), &request(number))).collect();
    stage.topics.produce(REQUESTS, &more).await;
    stage.topics.delete_before(REQUESTS, 0, 5).await;
    let worker = Worker::start(&stage.setup);
    in_state(&stage, 0, "STOPPED").await;
    assert_eq!(book.run("rollcall partitions resume").await.0, 0);
    stage.decided(6).await;
    stage.published().await;
    let (code, report) = book.answer("rollcall reconcile").await;
    assert_eq!((code, &report["proved"]), (1, &Value::Bool(false)));
    book.is_through();
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_grow_and_records_that_wait() {
    let mut stage = Stage::new().await;
    stage.setup = stage.setup.with("ROLLCALL_PARKING__GRACE", "1d");
    let poison =
        "ALTER TABLE registrants ADD CONSTRAINT no_poison CHECK (name <> 'Seeded Name r7')";
    sqlx::query(poison).execute(&stage.db.pool).await.unwrap();
    let worker = Worker::start(&stage.setup);
    stage.topics.produce(REQUESTS, &[record(Some(3), &request(7)), garbage()]).await;
    stage.decided(2).await;
    let mut book = Reader::of(&stage, "Dead letters grow");
    let (_, groups) = book.answer("rollcall dead-letters groups").await;
    assert_eq!(groups["items"].as_array().unwrap().len(), 2);
    let (_, list) = book.answer("rollcall dead-letters list").await;
    let of_class = |class: &str| {
        let mut items = list["items"].as_array().unwrap().iter();
        let item = items.find(|item| item["class"] == class).unwrap();
        item["letter_id"].as_str().unwrap().to_owned()
    };
    book.set("LETTER", of_class("failed"));
    book.set("CLASS", "failed");
    let (code, said) = book.run("rollcall dead-letters show").await;
    assert_eq!((code, said.contains("preflight and replay")), (0, true), "{said}");
    // The cause is removed.
    let cure = "ALTER TABLE registrants DROP CONSTRAINT no_poison";
    sqlx::query(cure).execute(&stage.db.pool).await.unwrap();
    let (code, would) = book.answer("rollcall dead-letters preflight").await;
    assert_eq!((code, &would["counts"]["applied"]), (0, &Value::from(1)));
    assert_eq!(book.run("rollcall dead-letters replay").await.0, 0);
    book.set("LETTER", of_class("undecodable"));
    assert_eq!(book.run("rollcall dead-letters discard").await.0, 0);
    book.is_through();
    assert_eq!(stage.number("SELECT count(*) FROM dead_letters WHERE state = 'OPEN'").await, 0);

    // An update of somebody who never comes.
    let mut stray = update("u1", "nobody", "CASH", Action::Pause);
    stray.sent_at = request(0).sent_at;
    let value = rollcall::contract::encode(&stray).unwrap();
    let stray = NewRecord { partition: Some(3), value: Some(value), ..NewRecord::default() };
    stage.topics.produce("membership-updates", &[stray]).await;
    stage.decided(3).await;
    let mut book = Reader::of(&stage, "Records wait");
    let (_, list) = book.answer("rollcall parked list").await;
    book.set("PARKED_ID", list["items"][0]["parked_id"].to_string());
    assert_eq!(book.run("rollcall parked release").await.0, 0);
    book.is_through();
    eventually(PATIENCE, "it is decided", async || {
        let waiting = "SELECT count(*) FROM parked_records WHERE state = 'WAITING'";
        (stage.number(waiting).await == 0).then_some(())
    })
    .await;
    stage.prove(3).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_wrong_and_what_follows_an_upgrade() {
    let stage = Stage::new().await;
    let worker = Worker::start(&stage.setup);
    let lines: String = (0..3)
        .map(|n| {
            format!(
                "{{\"type\":\"EnrollmentRequest\",\"registrant\":{{\"reference\":\"n{n}\",\"kind\":\"INDIVIDUAL\"}},\
                 \"program_memberships\":[{{\"program\":\"CASH\"}}]}}\n"
            )
        })
        .collect();
    let wrong = crate::stage::file(lines);
    let submit =
        ["submit", crate::stage::path(&wrong), "--format", "ndjson", "--source", "registry"];
    stage.done(&[&submit[..], &["--batch-id", "wrong"]].concat()).await;
    stage.decided(3).await;
    let mut book = Reader::of(&stage, "A wrong batch was sent");
    book.set("SOURCE", "registry");
    book.set("BATCH", "wrong");
    let (_, shown) = book.answer("rollcall batches show").await;
    assert_eq!(shown["applied_count"], Value::from(3));
    let (_, results) = book.answer("rollcall batches results").await;
    let membership = results["items"][0]["items"][0]["membership_id"].as_str();
    let any = text(&stage, "SELECT membership_id::text FROM memberships LIMIT 1").await;
    book.set("MEMBERSHIP", membership.unwrap_or(&any));
    assert_eq!(book.run("rollcall history").await.0, 0);
    // The line that stands there, for each of them.
    let (_, line) = RUNBOOK.split_once("```json\n").unwrap();
    let (line, _) = line.split_once("\n```").unwrap();
    let undo: String =
        (0..3).map(|n| line.replace("\"n0\"", &format!("\"n{n}\"")) + "\n").collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("undo.ndjson");
    std::fs::write(&path, undo).unwrap();
    book.set("UNDO", path.to_str().unwrap());
    assert_eq!(book.run("rollcall submit").await.0, 0);
    assert_eq!(book.run("rollcall submit").await.0, 0);
    stage.decided(6).await;
    let (_, shown) = book.answer("rollcall batches show").await;
    assert_eq!(shown["applied_count"], Value::from(3));
    book.is_through();
    assert_eq!(stage.number("SELECT count(*) FROM memberships").await, 0);
    stage.published().await;
    worker.ready().await;

    for title in ["Upgrade", "Postgres is away", "Kafka is away", "Restore from a backup"] {
        let mut book = Reader::of(&stage, title);
        while let Some(line) = book.lines.first().copied() {
            let (code, said) = book.run("rollcall").await;
            assert_eq!(code, 0, "{title}: {line}: {said}");
        }
    }
    worker.stop().await;
}
