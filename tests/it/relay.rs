//! The relay on a real Kafka and a real Postgres: protocols' I5 and I6, takeover, topics ahead of the database.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rollcall::publish::{
    Config, Error, PartitionSettings, Relay, RelayStats, Verdict, check_topics, maintain_partitions,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Postgres, Transaction};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{self, Kafka, NewRecord, PATIENCE, Record, TestDb, Topics, eventually};

const TOPICS: [&str; 5] =
    ["results", "membership-events", "membership-state", "batch-receipts", "dead-letters"];
const RESULTS: i16 = 0;
const MEMBERSHIP: i16 = 1000;
const LETTERS: i16 = 3000;

struct Ground {
    db: TestDb,
    topics: Topics,
    config: Config,
}

async fn ground() -> Ground {
    ground_on(support::kafka().await).await
}

async fn ground_on(kafka: &Kafka) -> Ground {
    let db = support::database().await;
    for migration in [
        include_str!("../../migrations/0001_intake.sql"),
        include_str!("../../migrations/0002_outbox.sql"),
    ] {
        sqlx::raw_sql(migration).execute(&db.pool).await.unwrap();
    }
    let prefix = support::unique_prefix();
    let topics = kafka.topics(&prefix);
    for topic in TOPICS {
        topics.create(topic, 12, &[]).await;
    }
    let mut config = Config::new(&kafka.brokers, &prefix, "test");
    config.lease = Duration::from_secs(2);
    config.retry_max = Duration::from_millis(500);
    config.stats_interval = Duration::from_millis(50);
    Ground { db, topics, config }
}

#[expect(clippy::disallowed_methods, reason = "a test is its own supervisor")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

struct Running {
    task: JoinHandle<()>,
    poke: Arc<Notify>,
    stats: watch::Receiver<RelayStats>,
    stop: CancellationToken,
    hard: CancellationToken,
}

fn start(config: &Config, pool: &PgPool) -> Running {
    let poke = Arc::new(Notify::new());
    let (relay, stats) = Relay::new(config.clone(), pool.clone(), Arc::clone(&poke));
    let (stop, hard) = (CancellationToken::new(), CancellationToken::new());
    let task = spawn(relay.run(stop.clone(), hard.clone()));
    Running { task, poke, stats, stop, hard }
}

impl Running {
    async fn leads(&mut self) {
        let leading = self.stats.wait_for(|stats| stats.leading);
        tokio::time::timeout(PATIENCE, leading).await.expect("it leads in time").unwrap();
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it ends in time").unwrap();
    }

    async fn abort(self) {
        self.hard.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it ends in time").unwrap();
    }
}

/// Writes the rows of one batch as apply does, without numbers, and gives the number of the batch.
async fn insert_rows(
    tx: &mut Transaction<'_, Postgres>,
    stream: i16,
    count: i32,
    body: usize,
) -> i64 {
    sqlx::query_scalar(
        "WITH batch AS MATERIALIZED (SELECT nextval('outbox_batch_seq') AS number),
         rows AS (
             INSERT INTO outbox (batch, stream, pos, id, key, cause, traceparent, body, state_body)
             SELECT number, $1, pos, gen_random_uuid(), convert_to('key-' || pos % 5, 'UTF8'), 'm-' || pos, NULL,
                    '\\xc3010102030405060708'::bytea
                        || convert_to(repeat(md5(pos::text), $3 / 32), 'UTF8'),
                    CASE WHEN $1 >= 1000 AND pos % 7 <> 3 THEN '\\xc301aabbccddeeff0011'::bytea END
             FROM batch, generate_series(0, $2 - 1) AS pos
         )
         SELECT number FROM batch",
    )
    .bind(stream)
    .bind(count)
    .bind(i32::try_from(body).unwrap())
    .fetch_one(&mut **tx)
    .await
    .unwrap()
}

/// Gives the rows of a batch their numbers, last in the transaction.
async fn insert_run(tx: &mut Transaction<'_, Postgres>, stream: i16, count: i32, batch: i64) {
    sqlx::query("SELECT FROM outbox_streams WHERE stream = $1 FOR UPDATE")
        .bind(stream)
        .execute(&mut **tx)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO outbox_runs (stream, first_seq, count, batch, recorded_at)
         SELECT $1, COALESCE(max(first_seq + count), 1), $2, $3, clock_timestamp()
         FROM outbox_runs WHERE stream = $1",
    )
    .bind(stream)
    .bind(count)
    .bind(batch)
    .execute(&mut **tx)
    .await
    .unwrap();
}

async fn seed(pool: &PgPool, stream: i16, count: i32) {
    let mut tx = pool.begin().await.unwrap();
    let batch = insert_rows(&mut tx, stream, count, 64).await;
    insert_run(&mut tx, stream, count, batch).await;
    tx.commit().await.unwrap();
}

async fn all_published(pool: &PgPool) {
    eventually(PATIENCE, "everything is acknowledged", async || {
        let open: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM relay_cursors AS cursors
             WHERE acked < (SELECT max(first_seq + count - 1) FROM outbox_runs AS runs
                            WHERE runs.stream = cursors.stream)",
        )
        .fetch_one(pool)
        .await
        .ok()?;
        (open == 0).then_some(())
    })
    .await;
}

/// The consumer's rule: takes exactly last + 1, ignores all others. What it has taken of a partition.
fn consume(records: &[Record]) -> Vec<&Record> {
    let mut taken: Vec<&Record> = Vec::new();
    for record in records {
        let sequence: usize = record.header("ce_sequence").unwrap().parse().unwrap();
        if sequence == taken.len() + 1 {
            taken.push(record);
        } else if let Some(first) = taken.get(sequence.wrapping_sub(1)) {
            assert_eq!(
                (first.header("ce_id"), &first.key, &first.value),
                (record.header("ce_id"), &record.key, &record.value),
                "a repeat is the same record"
            );
        }
    }
    taken
}

/// Every record of the stream is taken by a consumer, with its own id. Gives all that the partition holds.
async fn nothing_is_lost(ground: &Ground, stream: i16, topic: &str, partition: i32) -> Vec<Record> {
    let records = ground.topics.read_partition(topic, partition).await;
    is_complete(&records, &expected_ids(ground, stream).await);
    records
}

fn is_complete(records: &[Record], expected: &[String]) {
    let taken: Vec<String> =
        consume(records).iter().map(|record| record.header("ce_id").unwrap().to_owned()).collect();
    assert_eq!(taken, expected);
}

async fn expected_ids(ground: &Ground, stream: i16) -> Vec<String> {
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar(
        "SELECT id FROM outbox_runs JOIN outbox USING (batch, stream) WHERE stream = $1 ORDER BY first_seq, pos",
    )
    .bind(stream)
    .fetch_all(&ground.db.pool)
    .await
    .unwrap();
    ids.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn everything_is_published_in_order_with_its_headers() {
    let ground = ground().await;
    let pool = &ground.db.pool;
    for shard in 0..12 {
        for count in [1, 30, 400] {
            seed(pool, RESULTS + shard, count).await;
            seed(pool, MEMBERSHIP + shard, count).await;
        }
    }
    let mut relay = start(&ground.config, pool);
    all_published(pool).await;
    seed(pool, MEMBERSHIP + 4, 3).await;
    relay.poke.notify_one();
    all_published(pool).await;
    let calm = relay.stats.wait_for(|stats| stats.leading && stats.pending_records == 0);
    tokio::time::timeout(PATIENCE, calm).await.unwrap().unwrap();
    relay.stop().await;

    let prefix = &ground.config.topic_prefix;
    let (results, events, states) = (
        ground.topics.read("results").await,
        ground.topics.read("membership-events").await,
        ground.topics.read("membership-state").await,
    );
    for shard in 0..12_i16 {
        let partition = i32::from(shard);
        let of = |records: &[Record]| -> Vec<Record> {
            records.iter().filter(|record| record.partition == partition).cloned().collect()
        };
        let (results, events, states) = (of(&results), of(&events), of(&states));
        is_complete(&results, &expected_ids(&ground, RESULTS + shard).await);
        let expected = expected_ids(&ground, MEMBERSHIP + shard).await;
        is_complete(&events, &expected);
        is_complete(&states, &expected);
        assert_eq!(events.len(), states.len());
        for (event, state) in events.iter().zip(&states) {
            assert_eq!(
                (&event.key, event.header("ce_sequence"), event.header("ce_id")),
                (&state.key, state.header("ce_sequence"), state.header("ce_id")),
            );
        }
        let event = &events[3];
        assert_eq!(
            event.header("ce_source").unwrap(),
            format!("urn:rollcall/{prefix}membership-events/{shard}")
        );
        assert_eq!(event.header("ce_dataschema"), Some("0102030405060708"));
        assert_eq!(event.header("ce_subject").map(str::as_bytes), event.key.as_deref());
        assert!(event.header("ce_sequence").is_some_and(|sequence| sequence.len() == 20));
        assert!(
            states
                .iter()
                .any(|state| state.value.is_none() && state.header("ce_dataschema").is_none())
        );
    }
    let leases: i64 =
        sqlx::query_scalar("SELECT count(*) FROM relay_lease").fetch_one(pool).await.unwrap();
    assert_eq!(leases, 0, "the lease was given back");
}

#[tokio::test]
async fn what_was_committed_before_the_stop_is_published() {
    let ground = ground().await;
    let mut relay =
        start(&Config { poll_interval: PATIENCE, ..ground.config.clone() }, &ground.db.pool);
    relay.leads().await;
    for _ in 0..20 {
        seed(&ground.db.pool, RESULTS, 100).await;
    }
    relay.stop().await;
    let records = nothing_is_lost(&ground, RESULTS, "results", 0).await;
    assert_eq!(records.len(), 2_000, "an undisturbed relay does not repeat");
}

#[tokio::test]
async fn a_letter_leaves_with_its_own_headers_first_and_its_bytes() {
    let ground = ground().await;
    let mut tx = ground.db.pool.begin().await.unwrap();
    let letters = "INSERT INTO outbox (batch, stream, pos, id, key, cause, body, header_keys, header_values)
         SELECT nextval('outbox_batch_seq'), 3000, 0, gen_random_uuid(), NULL, '', body,
                ARRAY['a', 'a', 'rollcall.dlq.id']::bytea[], ARRAY['\\x00ff', NULL, '\\x41']::bytea[]
         FROM (VALUES ('\\x'::bytea), (NULL), ('\\x00ff80')) AS bodies (body)
         RETURNING batch";
    let batches: Vec<i64> = sqlx::query_scalar(letters).fetch_all(&mut *tx).await.unwrap();
    for batch in batches {
        insert_run(&mut tx, LETTERS, 1, batch).await;
    }
    tx.commit().await.unwrap();
    let relay = start(&ground.config, &ground.db.pool);
    all_published(&ground.db.pool).await;
    relay.stop().await;

    let records = ground.topics.read_partition("dead-letters", 0).await;
    let values: Vec<Option<&[u8]>> = records.iter().map(|record| record.value.as_deref()).collect();
    assert_eq!(values, [Some(&b""[..]), None, Some(&[0, 0xff, 0x80][..])]);
    assert!(records.iter().all(|record| record.key.is_none()));
    let expected = [
        ("a", Some(&[0, 0xff][..])),
        ("a", None),
        ("rollcall.dlq.id", Some(b"A")),
        ("rollcall.dlq.sequence", Some(b"00000000000000000002")),
        ("rollcall.dlq.generation", Some(b"1")),
    ];
    let headers = records[1].headers.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
    assert_eq!(headers.collect::<Vec<_>>(), expected);
}

#[expect(clippy::disallowed_methods, reason = "how a test speaks to its own process")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Not a test of its own: the relay in a process of its own, for the tests that kill and freeze it.
#[tokio::test]
async fn relay_process() {
    let (Some(url), Some(brokers), Some(prefix)) = (
        variable("RELAY_PROCESS_DATABASE"),
        variable("RELAY_PROCESS_BROKERS"),
        variable("RELAY_PROCESS_PREFIX"),
    ) else {
        return;
    };
    let config =
        Config { lease: Duration::from_secs(2), ..Config::new(&brokers, &prefix, "process") };
    let pool = PgPool::connect(&url).await.unwrap();
    let (relay, _) = Relay::new(config, pool, Arc::new(Notify::new()));
    relay.run(CancellationToken::new(), CancellationToken::new()).await;
}

fn start_process(ground: &Ground) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "relay::relay_process"])
        .env("RELAY_PROCESS_DATABASE", &ground.db.url)
        .env("RELAY_PROCESS_BROKERS", &ground.config.bootstrap_servers)
        .env("RELAY_PROCESS_PREFIX", &ground.config.topic_prefix)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn signal(name: &str, child: &Child) {
    let pid = child.id().unwrap().to_string();
    let status = Command::new("kill").args(["-s", name, &pid]).status().await.unwrap();
    assert!(status.success());
}

async fn records_in(ground: &Ground, topic: &str, partition: i32, at_least: i64) {
    eventually(PATIENCE, "records are in Kafka", async || {
        (ground.topics.watermarks(topic, partition).await.1 >= at_least).then_some(())
    })
    .await;
}

#[tokio::test]
async fn killed_between_send_and_cursor_it_repeats_and_loses_nothing() {
    let ground = ground().await;
    let pool = &ground.db.pool;
    seed(pool, RESULTS, 50).await;
    // Cursors cannot move while this transaction is open, so the kill is always between.
    let mut tx = pool.begin().await.unwrap();
    sqlx::query("SELECT FROM relay_cursors FOR UPDATE").execute(&mut *tx).await.unwrap();
    let mut process = start_process(&ground);
    records_in(&ground, "results", 0, 50).await;
    process.kill().await.unwrap();
    // What the killed session was waiting to do must not happen after all.
    sqlx::query(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
         WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.rollback().await.unwrap();

    seed(pool, RESULTS, 50).await;
    let relay = start(&ground.config, pool);
    all_published(pool).await;
    relay.stop().await;
    let records = nothing_is_lost(&ground, RESULTS, "results", 0).await;
    assert_eq!(records.len(), 150, "the first 50 twice");
}

#[tokio::test]
async fn a_frozen_leader_is_replaced_and_does_no_harm_when_it_wakes() {
    let ground = ground().await;
    let pool = &ground.db.pool;
    let process = start_process(&ground);
    seed(pool, RESULTS, 500).await;
    all_published(pool).await;
    for _ in 0..20 {
        seed(pool, RESULTS, 500).await;
    }
    signal("STOP", &process).await;

    let mut relay = start(&ground.config, pool);
    relay.leads().await;
    seed(pool, RESULTS, 500).await;
    all_published(pool).await;
    let fence: uuid::Uuid =
        sqlx::query_scalar("SELECT fence FROM relay_lease").fetch_one(pool).await.unwrap();
    signal("CONT", &process).await;
    for _ in 0..20 {
        seed(pool, RESULTS, 100).await;
        relay.poke.notify_one();
    }
    all_published(pool).await;
    let after: uuid::Uuid =
        sqlx::query_scalar("SELECT fence FROM relay_lease").fetch_one(pool).await.unwrap();
    assert_eq!(fence, after, "the one that woke did not take the lease");
    relay.stop().await;
    drop(process);
    nothing_is_lost(&ground, RESULTS, "results", 0).await;
}

/// A way to the database that can be blocked: connections stay open and nothing passes.
async fn blockable(db: &TestDb) -> (PgPool, watch::Sender<bool>) {
    let options: PgConnectOptions = db.url.parse().unwrap();
    let server = (options.get_host().to_owned(), options.get_port());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (block, blocked) = watch::channel(false);
    spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&server).await else {
                continue;
            };
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            spawn(pass(from_client, to_server, blocked.clone()));
            spawn(pass(from_server, to_client, blocked.clone()));
        }
    });
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(1));
    (pool.connect_with(options.host("127.0.0.1").port(port)).await.unwrap(), block)
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut blocked: watch::Receiver<bool>) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if blocked.wait_for(|blocked| !blocked).await.is_err()
            || to.write_all(&buffer[..length]).await.is_err()
        {
            return;
        }
    }
}

#[tokio::test]
async fn a_leader_cut_off_from_its_database_stands_by() {
    let ground = ground().await;
    let (cut_off, block) = blockable(&ground.db).await;
    let mut first = start(&ground.config, &cut_off);
    first.leads().await;
    block.send(true).unwrap();
    let mut second = start(&ground.config, &ground.db.pool);
    second.leads().await;
    first.stats.wait_for(|stats| !stats.leading).await.unwrap();
    seed(&ground.db.pool, RESULTS, 100).await;
    all_published(&ground.db.pool).await;
    block.send(false).unwrap();
    second.stop().await;
    first.leads().await;
    seed(&ground.db.pool, RESULTS, 100).await;
    all_published(&ground.db.pool).await;
    first.stop().await;
    let records = nothing_is_lost(&ground, RESULTS, "results", 0).await;
    assert_eq!(records.len(), 200);
}

async fn set_largest_record(ground: &Ground, topic: &str, bytes: usize) {
    let (name, bytes) = (ground.topics.full(topic), bytes.to_string());
    let admin: AdminClient<DefaultClientContext> = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &ground.config.bootstrap_servers)
        .create()
        .unwrap();
    let change = AlterConfig::new(ResourceSpecifier::Topic(&name)).set("max.message.bytes", &bytes);
    for result in admin.alter_configs([&change], &AdminOptions::new()).await.unwrap() {
        result.unwrap();
    }
}

#[tokio::test]
async fn a_record_refused_in_the_middle_is_overtaken_by_none() {
    let ground = ground().await;
    let pool = &ground.db.pool;
    set_largest_record(&ground, "results", 20_000).await;
    let mut relay = start(&ground.config, pool);
    relay.leads().await;
    for round in 0..10 {
        let mut tx = pool.begin().await.unwrap();
        for stream in [RESULTS, RESULTS + 1] {
            // One batch of one stream has a record that is too large, small ones before and behind it.
            let batch = insert_rows(&mut tx, stream, 200, 64).await;
            if round == 3 && stream == RESULTS {
                let bytes: Vec<u8> = (0..60_000).map(|_| rand::random()).collect();
                sqlx::query(
                    "UPDATE outbox SET body = $1 WHERE batch = $2 AND stream = $3 AND pos = 77",
                )
                .bind(bytes)
                .bind(batch)
                .bind(stream)
                .execute(&mut *tx)
                .await
                .unwrap();
            }
            insert_run(&mut tx, stream, 200, batch).await;
        }
        tx.commit().await.unwrap();
        relay.poke.notify_one();
    }
    let acked = async |stream: i16| -> i64 {
        let cursor =
            sqlx::query_scalar("SELECT acked FROM relay_cursors WHERE stream = $1").bind(stream);
        cursor.fetch_one(pool).await.unwrap()
    };
    // The other partition goes on; this one stands before the refused record, and stays there.
    eventually(PATIENCE, "the healthy stream is published", async || {
        (acked(RESULTS + 1).await == 2_000 && acked(RESULTS).await == 677).then_some(())
    })
    .await;
    set_largest_record(&ground, "results", 1_000_000).await;
    all_published(pool).await;
    relay.stop().await;
    nothing_is_lost(&ground, RESULTS, "results", 0).await;
    nothing_is_lost(&ground, RESULTS + 1, "results", 1).await;
}

#[tokio::test]
async fn a_broker_that_dies_in_the_middle_costs_nothing_but_time() {
    let kafka = support::own_kafka().await;
    let ground = ground_on(&kafka).await;
    let pool = &ground.db.pool;
    let mut relay = start(&ground.config, pool);
    relay.leads().await;
    for round in 0..30_i16 {
        for shard in 0..4 {
            seed(pool, MEMBERSHIP + shard, 200).await;
        }
        relay.poke.notify_one();
        match round {
            8 => kafka.kill().await,
            14 => kafka.start().await,
            18 => kafka.pause().await,
            22 => kafka.resume().await,
            _ => {}
        }
    }
    all_published(pool).await;
    relay.stop().await;
    for shard in 0..4_i16 {
        for topic in ["membership-events", "membership-state"] {
            nothing_is_lost(&ground, MEMBERSHIP + shard, topic, i32::from(shard)).await;
        }
    }
}

#[tokio::test]
async fn topics_ahead_of_the_database_halt_everything() {
    let ground = ground().await;
    let pool = &ground.db.pool;
    seed(pool, RESULTS + 3, 10).await;
    let headers = |sequence: i32| {
        let text = |name: &str, value: String| (name.to_owned(), Some(value.into_bytes()));
        vec![text("ce_sequence", format!("{sequence:020}")), text("ce_generation", "1".to_owned())]
    };
    let record = |sequence| NewRecord {
        partition: Some(3),
        value: Some(b"v".to_vec()),
        headers: headers(sequence),
        ..NewRecord::default()
    };
    // A topic that has just been made may not have its leaders yet: that is an outage, not a verdict.
    let check = async || {
        eventually(PATIENCE, "Kafka answers", async || {
            check_topics(&ground.config, pool, &CancellationToken::new()).await.ok()
        })
        .await
    };
    assert_eq!(check().await, Verdict::Fine);
    // 11 was published, but its commit is lost; a repeat of 10 came behind it.
    ground.topics.produce("results", &[record(9), record(10), record(11), record(10)]).await;
    let Verdict::Ahead { cause } = check().await else { panic!("the topic is ahead") };
    assert!(
        cause.contains("results partition 3 holds number 11") && cause.contains("only 10"),
        "{cause}"
    );
    let halt = "SELECT cause FROM halts WHERE name = 'database_behind_topics'";
    let halted: Option<String> = sqlx::query_scalar(halt).fetch_optional(pool).await.unwrap();
    assert_eq!(halted.as_deref(), Some(cause.as_str()));

    let mut relay = start(&ground.config, pool);
    let said = relay.stats.wait_for(|stats| stats.trouble.is_some());
    let said = tokio::time::timeout(PATIENCE, said).await.unwrap().unwrap().clone();
    assert!(said.trouble.unwrap().contains("database_behind_topics"));
    assert_eq!(ground.topics.watermarks("results", 3).await.1, 4, "nothing is published");

    // Put right (here: the lost number is given again), it goes on by itself, and the halt is lifted.
    seed(pool, RESULTS + 3, 1).await;
    all_published(pool).await;
    let halted: Option<String> = sqlx::query_scalar(halt).fetch_optional(pool).await.unwrap();
    assert_eq!(halted, None);
    relay.stop().await;
}

#[tokio::test]
async fn missing_and_small_topics_are_refused_by_name() {
    let ground = ground().await;
    ground.topics.delete("results").await;
    let mut config = ground.config.clone();
    // While a topic comes or goes, Kafka's answers vary: what counts is the last word.
    let refused = async |config: &Config, word: &str| {
        eventually(PATIENCE, "the check refuses the topics", async || {
            let refused = check_topics(config, &ground.db.pool, &CancellationToken::new()).await;
            let text = refused.as_ref().err()?.to_string();
            (matches!(refused, Err(Error::Topics { .. })) && text.contains(word)).then_some(text)
        })
        .await
    };
    let text = refused(&config, "results does not exist").await;
    assert!(text.contains("rollcall topics apply"), "{text}");

    config.topic_prefix = support::unique_prefix();
    let small = support::kafka().await.topics(&config.topic_prefix);
    for topic in TOPICS {
        small.create(topic, 3, &[]).await;
    }
    refused(&config, "results has 3 partitions, at least 12 are needed").await;
}

const EAGER: PartitionSettings = PartitionSettings {
    batches: 100_000,
    create_ahead: 150_000,
    keep: Duration::ZERO,
    interval: Duration::from_millis(100),
};

async fn partitions(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'outbox'::regclass
         ORDER BY length(inhrelid::regclass::text), 1",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

async fn next_batch(pool: &PgPool, batch: i64) {
    let set = sqlx::query("SELECT setval('outbox_batch_seq', $1, false)").bind(batch);
    set.execute(pool).await.unwrap();
}

#[tokio::test]
async fn partitions_are_made_ahead_and_dropped_when_all_is_published() {
    let ground = ground().await;
    let pool = &ground.db.pool;
    seed(pool, RESULTS, 10).await;
    let done = maintain_partitions(pool, &EAGER).await.unwrap();
    assert_eq!((done.created, done.dropped), (1, 0));
    next_batch(pool, 100_001).await;
    seed(pool, RESULTS, 10).await;
    let done = maintain_partitions(pool, &EAGER).await.unwrap();
    assert_eq!((done.created, done.dropped), (1, 0), "what is not published stays");

    let kept = PartitionSettings { keep: PATIENCE, ..EAGER };
    let mut config = ground.config.clone();
    config.partitions = kept;
    let relay = start(&config, pool);
    all_published(pool).await;
    relay.stop().await;
    assert_eq!(maintain_partitions(pool, &kept).await.unwrap().dropped, 0, "nor what is young");
    assert_eq!(maintain_partitions(pool, &EAGER).await.unwrap().dropped, 1);
    assert_eq!(partitions(pool).await, ["outbox_100000", "outbox_200000"]);
}

#[tokio::test]
async fn a_partition_dropped_while_a_batch_writes_to_it_loses_no_event() {
    let ground = ground().await;
    let pool = &ground.db.pool;
    maintain_partitions(pool, &EAGER).await.unwrap();
    seed(pool, RESULTS, 10).await;
    // I6: a slow batch has its number and its rows in the old partition, and is not committed.
    let mut slow = pool.begin().await.unwrap();
    let batch = insert_rows(&mut slow, RESULTS, 10, 64).await;
    next_batch(pool, 100_001).await;
    seed(pool, RESULTS + 1, 10).await;
    let mut config = ground.config.clone();
    config.partitions = EAGER;
    let relay = start(&config, pool);
    eventually(PATIENCE, "the detachment waits for the slow batch", async || {
        let waiting: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                            AND query LIKE 'ALTER TABLE outbox DETACH%' AND wait_event_type = 'Lock')",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        waiting.then_some(())
    })
    .await;
    // Meanwhile other batches go on at once.
    tokio::time::timeout(Duration::from_secs(5), seed(pool, RESULTS + 1, 10)).await.unwrap();
    insert_run(&mut slow, RESULTS, 10, batch).await;
    slow.commit().await.unwrap();

    all_published(pool).await;
    let records = ground.topics.read_partition("results", 0).await;
    assert_eq!(consume(&records).len(), 20, "the slow batch's records left too");
    eventually(PATIENCE, "the partition is dropped after all", async || {
        let all = partitions(pool).await;
        (!all.contains(&"outbox_0".to_owned())).then_some(())
    })
    .await;
    relay.stop().await;
}

#[tokio::test]
async fn a_crash_in_the_middle_of_dropping_is_put_right() {
    let ground = ground().await;
    let pool = &ground.db.pool;
    maintain_partitions(pool, &EAGER).await.unwrap();
    seed(pool, RESULTS, 10).await;
    next_batch(pool, 100_001).await;
    sqlx::raw_sql("ALTER TABLE outbox DETACH PARTITION outbox_0 CONCURRENTLY")
        .execute(pool)
        .await
        .unwrap();
    // Not published: it comes back.
    assert_eq!(maintain_partitions(pool, &EAGER).await.unwrap().kept, 1);
    assert!(partitions(pool).await.contains(&"outbox_0".to_owned()));
    let relay = start(&ground.config, pool);
    all_published(pool).await;
    relay.abort().await;
    sqlx::raw_sql("ALTER TABLE outbox DETACH PARTITION outbox_0 CONCURRENTLY")
        .execute(pool)
        .await
        .unwrap();
    assert_eq!(maintain_partitions(pool, &EAGER).await.unwrap().dropped, 1);
    let left: Option<String> =
        sqlx::query_scalar("SELECT to_regclass('outbox_0')::text").fetch_one(pool).await.unwrap();
    assert_eq!(left, None);
}
