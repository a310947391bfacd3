//! docs/RUNBOOK.md, tried as it is written: every section is read on a scene that is really broken, and is through when
//! each of its commands was run and its **Over** holds.

mod batches;
mod intake;
mod kafka;
mod letters;
mod postgres;
mod restore;

use serde_json::Value;

use crate::stage::{Stage, record, request};
use crate::support::{NewRecord, PATIENCE, Setup, Worker, eventually, shell};

const BOOK: &str = include_str!("../../../docs/RUNBOOK.md");

/// What stands under a heading.
fn section(title: &str) -> &'static str {
    let heading = format!("\n## {title}\n");
    let (_, section) = BOOK.split_once(&heading).unwrap_or_else(|| panic!("no {title}"));
    section.split("\n## ").next().unwrap()
}

/// The lines of the blocks of a section that are in this language.
fn lines(title: &str, language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let blocks = section(title).split(&*fence).skip(1);
    let blocks = blocks.filter_map(|rest| rest.split_once("```"));
    let lines = blocks.flat_map(|(block, _)| block.lines()).map(str::trim);
    lines.filter(|line| !line.is_empty()).collect()
}

/// Somebody who reads a section, to its end.
struct Reader<'a> {
    stage: &'a Stage,
    title: &'static str,
    lines: Vec<&'static str>,
    variables: Vec<(&'static str, String)>,
}

impl<'a> Reader<'a> {
    fn of(stage: &'a Stage, title: &'static str) -> Self {
        let reason = ("REASON", "by the book".to_owned());
        Self { stage, title, lines: lines(title, "sh"), variables: vec![reason] }
    }

    fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.variables.push((name, value.into()));
    }

    /// Runs the next line, which begins like this; gives its exit code and what it said.
    async fn run(&mut self, beginning: &str) -> (i32, String) {
        let line = self.next(beginning);
        self.say(line).await
    }

    /// Runs the next line, which must succeed; gives what it said.
    async fn done(&mut self, beginning: &str) -> String {
        let (code, said) = self.run(beginning).await;
        assert_eq!(code, 0, "{}: {beginning}: {said}", self.title);
        said
    }

    /// The same with `--json` behind it.
    async fn answer(&mut self, beginning: &str) -> (i32, Value) {
        let line = self.next(beginning);
        let (code, said) = self.say(&format!("{line} --json")).await;
        let object = serde_json::from_str(&said);
        (code, object.unwrap_or_else(|error| panic!("{line}: {error}: {said}")))
    }

    fn next(&mut self, beginning: &str) -> &'static str {
        assert!(!self.lines.is_empty(), "{} has no more lines", self.title);
        let line = self.lines.remove(0);
        assert!(line.starts_with(beginning), "{}: {line} is not {beginning}", self.title);
        line
    }

    async fn say(&self, line: &str) -> (i32, String) {
        let variables: Vec<_> =
            self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let output = shell(&self.stage.setup, line, &variables).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (code, stderr) = (output.status.code().unwrap(), text(&output.stderr));
        assert!([0, 1, 3].contains(&code), "{line}: {code}: {stderr}");
        (code, text(&output.stdout))
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        // Whoever stops in the middle has not tried the section.
        assert!(
            self.lines.is_empty() || std::thread::panicking(),
            "{}: not run: {:?}",
            self.title,
            self.lines
        );
    }
}

fn garbage() -> NewRecord {
    NewRecord { partition: Some(0), value: Some(b"garbage".to_vec()), ..NewRecord::default() }
}

/// The enrollments of these numbers, in one partition.
fn enrollments(partition: i32, numbers: std::ops::Range<usize>) -> Vec<NewRecord> {
    numbers.map(|number| record(Some(partition), &request(number))).collect()
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

async fn execute(stage: &Stage, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&stage.db.pool).await.expect(sql);
}

/// Waits until `/readyz` says 503 because of this condition, and `/livez` that there is no reason to restart it.
async fn waits_for(worker: &Worker, condition: &str) {
    eventually(PATIENCE, &format!("the worker waits for {condition}"), async || {
        let (status, body) = worker.get("/readyz").await?;
        let said: Value = serde_json::from_str(&body).ok()?;
        let mut conditions = said["conditions"].as_array()?.iter();
        let waits = conditions.any(|one| one["name"] == condition && one["ready"] == false);
        (status == 503 && waits).then_some(())
    })
    .await;
    let (status, body) = worker.get("/livez").await.expect("HTTP answers in an outage too");
    assert_eq!(status, 200, "{body}");
}

/// Waits until `rollcall status` finds nothing wrong.
async fn healthy(stage: &Stage) {
    eventually(PATIENCE, "status is healthy", async || {
        (stage.command(&["status"]).await.0 == 0).then_some(())
    })
    .await;
}

/// The settings, but partitions of who was killed are given to others sooner than after 45 s.
fn quick(setup: &Setup) -> Setup {
    setup.clone().with("ROLLCALL_KAFKA__PROPERTIES__SESSION_TIMEOUT_MS", "6000")
}

#[test]
fn every_section_is_read_on_a_scene() {
    let scenes = [
        include_str!("batches.rs"),
        include_str!("intake.rs"),
        include_str!("kafka.rs"),
        include_str!("letters.rs"),
        include_str!("postgres.rs"),
        include_str!("restore.rs"),
    ];
    for title in BOOK.lines().filter_map(|line| line.strip_prefix("## ")) {
        let reading = format!("stage, \"{title}\")");
        assert!(scenes.iter().any(|scene| scene.contains(&reading)), "nobody reads: {title}");
        // What a sentence names must stand in a block of some section, or nobody runs it.
        let spans = section(title).split('`').skip(1).step_by(2);
        for command in spans.filter(|span| span.starts_with("rollcall ")) {
            let is_run = BOOK.lines().any(|line| line.trim().starts_with(command));
            assert!(is_run || command == "rollcall run", "only in a sentence: {command}");
        }
    }
}
