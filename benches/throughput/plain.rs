//! *plain*: the worker's consumer settings and its decoding, into one table by upsert, and nothing else: what a sink
//! does.

use crate::backlog::{Backlog, PARTITIONS};
use crate::bare::BATCH;
use crate::database::Database;
use crate::kafka::Topics;
use crate::measure::{Cpu, Measured};
use crate::options::Options;
use crate::prepare::{MAX_RECORD_BYTES, dates};
use anyhow::{Context as _, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use rollcall::contract::{self, Intake, Schemas};
use rollcall::domain::{Command, Enrollment, Meta};
use sqlx::{Executor as _, PgPool};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

/// As many as the worker has lanes.
const LANES: u32 = 2;

type Batch = Vec<(OffsetDateTime, Vec<u8>)>;

/// Reads the backlog into the table.
pub(crate) async fn run(options: &Options, backlog: &Backlog) -> Result<Measured> {
    eprintln!("plain …");
    let topics = Topics::create(&options.kafka).await?;
    topics.fill(backlog)?;
    let database = Database::fresh(options, LANES).await?;
    database
        .pool
        .execute(
            "CREATE TABLE plain (
                 source text, reference text, program text, id_type text, id_value text, name text,
                 given_name text, family_name text, gender text, birthdate date,
                 payment_address text, enrollment_date date, message_id text,
                 sent_at timestamptz, PRIMARY KEY (source, reference, program))",
        )
        .await?;
    let wal = database.wal().await?;
    let cpu = Cpu::now(options, std::process::id());
    let started = Instant::now();
    let (sender, receiver) = mpsc::channel(2);
    let receiver = Arc::new(Mutex::new(receiver));
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        lanes.spawn(lane(database.pool.clone(), Arc::clone(&receiver)));
    }
    let consumer = consumer(&topics)?;
    let total = backlog.records.len();
    let reader = tokio::task::spawn_blocking(move || read(&consumer, total, &sender));
    reader.await??;
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    let seconds = started.elapsed().as_secs_f64();
    let cpu = Cpu::now(options, std::process::id()).since(cpu);
    topics.delete().await?;
    database.finish(total, seconds, cpu, wal).await
}

/// With the settings of `rollcall::consume`.
fn consumer(topics: &Topics) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = topics
        .client()
        .set("group.id", format!("{}plain", topics.prefix))
        .set("fetch.wait.max.ms", "100")
        .set("fetch.queue.backoff.ms", "20")
        .set("queued.min.messages", "5000")
        .set("queued.max.messages.kbytes", "512")
        .set("check.crcs", "true")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .create()?;
    let mut partitions = TopicPartitionList::new();
    let topic = topics.full("enrollment-requests");
    for partition in 0..PARTITIONS as i32 {
        partitions.add_partition_offset(&topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&partitions)?;
    Ok(consumer)
}

fn read(consumer: &BaseConsumer, total: usize, batches: &mpsc::Sender<Batch>) -> Result<()> {
    let mut batch = Batch::with_capacity(BATCH);
    for n in 1..=total {
        let message =
            consumer.poll(Duration::from_secs(30)).context("the backlog ends too early")??;
        let millis = message.timestamp().to_millis().unwrap_or_default();
        let timestamp = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)?;
        batch.push((timestamp, message.payload().unwrap_or_default().to_vec()));
        if batch.len() == BATCH || n == total {
            let full = std::mem::replace(&mut batch, Batch::with_capacity(BATCH));
            batches.blocking_send(full)?;
        }
    }
    Ok(())
}

async fn lane(pool: PgPool, batches: Arc<Mutex<mpsc::Receiver<Batch>>>) -> Result<()> {
    let schemas = Schemas::embedded();
    let dates = dates();
    loop {
        let Some(batch) = batches.lock().await.recv().await else {
            return Ok(());
        };
        // One row a key: an upsert cannot touch a row twice.
        let mut rows = BTreeMap::new();
        for (timestamp, value) in batch {
            match contract::take(
                &schemas,
                (Some(&value), false),
                MAX_RECORD_BYTES,
                timestamp,
                &dates,
            ) {
                Intake::Command { meta, command: Command::Enroll(said), .. } => {
                    let program = said.program_memberships.first().map(|item| item.program.clone());
                    rows.insert((said.registrant.reference.clone(), program), (meta, said));
                }
                Intake::Command { .. } => bail!("only enrollments are made up for this run"),
                Intake::Refused(_) | Intake::Letter(_) | Intake::Condemned { .. } => {
                    bail!("a made-up request is refused")
                }
            }
        }
        upsert(&pool, rows.values()).await?;
    }
}

async fn upsert(
    pool: &PgPool,
    rows: impl Iterator<Item = &(Meta, Enrollment)> + Clone,
) -> Result<()> {
    let texts = |column: fn(&Meta, &Enrollment) -> Option<String>| -> Vec<Option<String>> {
        rows.clone().map(|(meta, said)| column(meta, said)).collect()
    };
    let dates = |column: fn(&Enrollment) -> Option<time::Date>| -> Vec<Option<time::Date>> {
        rows.clone().map(|(_, said)| column(said)).collect()
    };
    let sent: Vec<OffsetDateTime> = rows.clone().map(|(meta, _)| meta.sent_at).collect();
    sqlx::query(
        "INSERT INTO plain SELECT * FROM UNNEST(
             $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
             $8::text[], $9::text[], $10::date[], $11::text[], $12::date[], $13::text[],
             $14::timestamptz[])
         ON CONFLICT (source, reference, program) DO UPDATE SET
             id_type = excluded.id_type, id_value = excluded.id_value, name = excluded.name,
             given_name = excluded.given_name, family_name = excluded.family_name,
             gender = excluded.gender, birthdate = excluded.birthdate,
             payment_address = excluded.payment_address,
             enrollment_date = excluded.enrollment_date, message_id = excluded.message_id,
             sent_at = excluded.sent_at",
    )
    .bind(texts(|meta, _| Some(meta.source.clone())))
    .bind(texts(|_, said| said.registrant.reference.clone()))
    .bind(texts(|_, said| Some(said.program_memberships.first()?.program.clone())))
    .bind(texts(|_, said| Some(said.registrant.ids.first()?.id_type.clone())))
    .bind(texts(|_, said| Some(said.registrant.ids.first()?.value.clone())))
    .bind(texts(|_, said| said.registrant.name.clone()))
    .bind(texts(|_, said| said.registrant.given_name.clone()))
    .bind(texts(|_, said| said.registrant.family_name.clone()))
    .bind(texts(|_, said| said.registrant.gender.clone()))
    .bind(dates(|said| said.registrant.birthdate))
    .bind(texts(|_, said| said.registrant.payment_address.clone()))
    .bind(dates(|said| said.program_memberships.first()?.enrollment_date))
    .bind(texts(|meta, _| Some(meta.message_id.clone())))
    .bind(sent)
    .execute(pool)
    .await?;
    Ok(())
}
