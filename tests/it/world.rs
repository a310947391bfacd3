//! A migrated database, its topics and programs, made by the real binary; and the proof that nothing was lost, doubled
//! or misnumbered between them, whatever happened to the workers meanwhile.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use rollcall::contract::wire::{MembershipChanged, MembershipState, RequestResult};
use rollcall::contract::{decode_own, encode};
use sqlx::PgPool;

use crate::scene::enrollment;
use crate::support::{
    self, NewRecord, Record, Setup, TestDb, Topics, eventually, rollcall, unique_prefix,
};

pub(crate) const REQUESTS: &str = "enrollment-requests";
pub(crate) const PARTITIONS: i32 = 12;
/// Time for a backlog on a slow machine.
pub(crate) const LOAD: Duration = Duration::from_mins(4);

pub(crate) struct World {
    pub(crate) db: TestDb,
    pub(crate) topics: Topics,
    pub(crate) setup: Setup,
    /// How often each message was sent.
    sent: Mutex<HashMap<String, usize>>,
}

/// An output topic as a consumer sees it that takes a record only if its number is exactly the last one + 1.
struct Taken {
    records: Vec<Record>,
    /// Partition to the last number taken.
    last: BTreeMap<i32, i64>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let db = support::database().await;
        let prefix = unique_prefix();
        let kafka = support::kafka().await;
        // Short, so that what a killed worker held is soon free; the heartbeats stay far below.
        let setup = Setup::new(&kafka.brokers, &prefix, &db.url)
            .with("ROLLCALL_RELAY__LEASE", "1s")
            .with("ROLLCALL_KAFKA__PROPERTIES__SESSION_TIMEOUT_MS", "6000")
            .with("ROLLCALL_KAFKA__PROPERTIES__HEARTBEAT_INTERVAL_MS", "500");
        let file = tempfile::Builder::new().suffix(".csv").tempfile().expect("a file");
        let programs = "code,name,target_type,state\nCASH,Cash,INDIVIDUAL,ACTIVE\nFOOD,Food,INDIVIDUAL,ACTIVE\n";
        std::fs::write(file.path(), programs).expect("a file");
        let path = file.path().to_str().expect("a path of text");
        for arguments in [&["migrate"][..], &["topics", "apply"], &["programs", "import", path]] {
            let output = rollcall(&setup, arguments).await;
            assert!(output.status.success(), "{arguments:?}: {output:?}");
        }
        Self { db, topics: kafka.topics(&prefix), setup, sent: Mutex::default() }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.db.pool
    }

    /// The world's settings and more of them.
    pub(crate) fn with(&self, more: &[(&str, &str)]) -> Setup {
        more.iter().fold(self.setup.clone(), |setup, (name, value)| setup.with(name, value))
    }

    /// The settings of a static member of the group: restarted, it has its partitions again at once.
    pub(crate) fn member(&self, name: &str) -> Setup {
        self.setup.clone().with("ROLLCALL_KAFKA__PROPERTIES__GROUP_INSTANCE_ID", name)
    }

    /// Enrolls the persons of these numbers, all partitions in turn.
    pub(crate) async fn send(&self, numbers: std::ops::Range<u32>) -> Vec<(i32, i64)> {
        let record = |number: u32| {
            let (message, reference) = (format!("m{number}"), format!("r{number}"));
            *self.sent.lock().unwrap().entry(message.clone()).or_default() += 1;
            let program = if number.is_multiple_of(3) { "FOOD" } else { "CASH" };
            let request = enrollment(&message, &reference, program);
            NewRecord {
                partition: Some(i32::try_from(number).unwrap() % PARTITIONS),
                key: Some(reference.into_bytes()),
                value: Some(encode(&request).expect("it fits its schema")),
                ..NewRecord::default()
            }
        };
        let records: Vec<_> = numbers.map(record).collect();
        self.topics.produce(REQUESTS, &records).await
    }

    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.pool()).await.expect(sql)
    }

    /// How many offsets the ledger holds.
    pub(crate) async fn applied(&self) -> i64 {
        self.number(
            "SELECT COALESCE(sum(next_offset - first_offset), 0)::bigint FROM intake_ledger",
        )
        .await
    }

    /// Waits until the ledger holds at least so many offsets.
    pub(crate) async fn until_applied(&self, count: i64) {
        eventually(LOAD, "so much is applied", async || {
            (self.applied().await >= count).then_some(())
        })
        .await;
    }

    fn count_sent(&self) -> i64 {
        i64::try_from(self.sent.lock().unwrap().values().sum::<usize>()).unwrap()
    }

    /// Waits until everything that was sent is applied and published.
    pub(crate) async fn settled(&self) {
        self.until_applied(self.count_sent()).await;
        eventually(LOAD, "everything is published", async || {
            (self.unpublished().await == 0).then_some(())
        })
        .await;
    }

    /// How many records wait for the relay.
    pub(crate) async fn unpublished(&self) -> i64 {
        self.number(
            "SELECT COALESCE(sum(last - acked), 0)::bigint FROM relay_cursors
             JOIN (SELECT stream, max(first_seq + count - 1) AS last FROM outbox_runs GROUP BY stream) AS runs
             USING (stream)",
        )
        .await
    }

    /// What the partition's owner says of it: state and cause.
    pub(crate) async fn state(&self, partition: i32) -> Option<(String, Option<String>)> {
        sqlx::query_as("SELECT state, cause FROM partition_states WHERE partition = $1")
            .bind(partition)
            .fetch_optional(self.pool())
            .await
            .expect("states")
    }

    /// Owners of leases, partition by partition; empty where nobody's.
    pub(crate) async fn owners(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT owner FROM partition_leases ORDER BY partition")
            .fetch_all(self.pool())
            .await
            .expect("leases")
    }

    /// Every record one outcome, results and events complete, numbers and versions without a gap.
    pub(crate) async fn prove(&self) {
        self.settled().await;
        self.prove_ledger().await;
        self.prove_results().await;
        self.prove_events().await;
        let output = rollcall(&self.setup, &["reconcile"]).await;
        // A command that is not there yet is no proof of anything.
        let missing = String::from_utf8_lossy(&output.stderr).contains("unrecognized subcommand");
        assert!(output.status.success() || missing, "reconcile: {output:?}");
    }

    async fn prove_ledger(&self) {
        let rows: Vec<(i32, i64, i64)> = sqlx::query_as(
            "SELECT partition, first_offset, next_offset FROM intake_ledger ORDER BY partition, first_offset",
        )
        .fetch_all(self.pool())
        .await
        .unwrap();
        let mut positions = BTreeMap::new();
        for (partition, first, next) in rows {
            let position = positions.entry(partition).or_insert(0);
            assert_eq!(*position, first, "the ledger of partition {partition} adjoins");
            assert!(first < next);
            *position = next;
        }
        for (partition, position) in positions {
            let (_, high) = self.topics.watermarks(REQUESTS, partition).await;
            assert_eq!(position, high, "the ledger of partition {partition} is complete");
        }
    }

    async fn prove_results(&self) {
        let mut answers: HashMap<String, (usize, usize)> = HashMap::new();
        for record in self.take("results").await {
            let result: RequestResult = decode_own(record.value.as_deref().unwrap()).unwrap();
            let (all, first) = answers.entry(result.message_id).or_default();
            *all += 1;
            *first += usize::from(!result.duplicate);
        }
        for (message, times) in &*self.sent.lock().unwrap() {
            let (all, first) = answers.remove(message).unwrap_or_default();
            assert_eq!((all, first), (*times, 1), "the answers to {message}");
        }
        assert!(answers.is_empty(), "answers to what nobody sent");
    }

    async fn prove_events(&self) {
        let (events, states) =
            (self.take("membership-events").await, self.take("membership-state").await);
        let mut versions: HashMap<String, i32> = HashMap::new();
        for record in &events {
            let event: MembershipChanged = decode_own(record.value.as_deref().unwrap()).unwrap();
            let version = versions.entry(event.membership_id).or_default();
            *version += 1;
            assert_eq!(event.version, *version, "versions of a membership count up from 1");
        }
        let mut latest: HashMap<String, i32> = HashMap::new();
        for record in &states {
            let state: MembershipState = decode_own(record.value.as_deref().unwrap()).unwrap();
            latest.insert(state.membership_id, state.version);
        }
        assert_eq!(latest, versions, "events and states say the same");
        let rows: HashMap<String, i32> =
            sqlx::query_as("SELECT membership_id::text, version FROM memberships")
                .fetch_all(self.pool())
                .await
                .unwrap()
                .into_iter()
                .collect();
        assert_eq!(versions, rows, "and so do the rows");
        assert_eq!(rows.len(), self.sent.lock().unwrap().len(), "a membership a person");
        let history = self.number("SELECT count(*) FROM membership_history").await;
        assert_eq!(usize::try_from(history).unwrap(), events.len());
        let numbers = |records: &[Record]| -> HashSet<(i32, Option<String>)> {
            let number = |record: &Record| record.header("ce_sequence").map(str::to_owned);
            records.iter().map(|record| (record.partition, number(record))).collect()
        };
        assert_eq!(numbers(&events), numbers(&states), "events and states share their numbers");
    }

    /// What a consumer takes from an output topic; everything that the database has numbered must be there.
    async fn take(&self, topic: &str) -> Vec<Record> {
        let taken = take(self.topics.read(topic).await, topic);
        let base: i16 = if topic == "results" { 0 } else { 1_000 };
        let runs: Vec<(i32, i64)> = sqlx::query_as(
            "SELECT (stream - $1)::int, max(first_seq + count - 1) FROM outbox_runs
             WHERE stream >= $1 AND stream < $1 + 1000 GROUP BY 1",
        )
        .bind(base)
        .fetch_all(self.pool())
        .await
        .unwrap();
        assert_eq!(taken.last, runs.into_iter().collect(), "{topic} is complete");
        taken.records
    }
}

/// Keeps what is exactly the last number + 1. What is not must be a repetition of what was taken, or come again.
fn take(records: Vec<Record>, topic: &str) -> Taken {
    let mut taken = Taken { records: Vec::new(), last: BTreeMap::new() };
    let mut ids: HashMap<(i32, i64), Option<String>> = HashMap::new();
    for record in records {
        let number: i64 = record.header("ce_sequence").expect("a number").parse().expect("digits");
        let last = taken.last.entry(record.partition).or_default();
        // A number stands for one record for ever, however often it is sent.
        let id = record.header("ce_id").map(str::to_owned);
        let known = ids.entry((record.partition, number)).or_insert_with(|| id.clone());
        assert_eq!(*known, id, "{topic}/{}: number {number} means one record", record.partition);
        if number == *last + 1 {
            *last = number;
            taken.records.push(record);
        }
    }
    taken
}

/// Waits until each of these workers has at least one of the leases, and all leases are theirs.
pub(crate) async fn shared_out(world: &World, workers: usize) {
    eventually(support::PATIENCE, "all workers have partitions", async || {
        let owners = world.owners().await;
        let distinct: HashSet<_> = owners.iter().filter(|owner| !owner.is_empty()).collect();
        let all = owners.len() == usize::try_from(PARTITIONS).unwrap();
        (all && distinct.len() == workers && owners.iter().all(|owner| !owner.is_empty()))
            .then_some(())
    })
    .await;
}
