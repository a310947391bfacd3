//! The relay on a real Kafka and a real Postgres: protocols' I5 and I6, takeover, topics ahead of the database.

mod broker;
mod leaders;
mod partitions;
mod published;

use std::sync::Arc;
use std::time::Duration;

use rollcall::publish::{Config, Relay, RelayStats};
use sqlx::{PgPool, Postgres, Transaction};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{self, Kafka, PATIENCE, Record, TestDb, Topics, eventually};

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
        include_str!("../../../migrations/0001_intake.sql"),
        include_str!("../../../migrations/0002_outbox.sql"),
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
