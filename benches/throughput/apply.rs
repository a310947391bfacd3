//! *apply*: decode, load, decide and save as the worker does them, from memory: what is left of its work without broker,
//! consumer and relay.

use crate::backlog::{Backlog, PARTITIONS};
use crate::bare::BATCH;
use crate::database::Database;
use crate::measure::{Cpu, Measured, Worker};
use crate::options::Options;
use crate::prepare::{MAX_RECORD_BYTES, dates};
use crate::worker::stages;
use anyhow::{Result, ensure};
use bytes::Bytes;
use rollcall::apply::{self, Applier, Batch, Record, Slice, SliceOutcome, TopicPartition};
use rollcall::contract::Schemas;
use rollcall::lifecycle::clock::SystemClock;
use rollcall::lifecycle::health::Health;
use rollcall::telemetry::metrics;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const FENCE: Uuid = Uuid::NAMESPACE_OID;

/// Applies the backlog over so many lanes, each with partitions of its own.
pub(crate) async fn run(options: &Options, backlog: &Backlog, lanes: u32) -> Result<Measured> {
    eprintln!("apply, {lanes} lanes …");
    let topic: Arc<str> = "rollcall.enrollment-requests".into();
    let database = Database::fresh(options, lanes).await?;
    sqlx::query(
        "INSERT INTO partition_leases (topic, partition, fence, owner, cluster_id, group_id, taken_at)
         SELECT $1, p, $2, 'bench', 'bench', 'bench', now() FROM generate_series(0, $3) AS p",
    )
    .bind(&*topic)
    .bind(FENCE)
    .bind(PARTITIONS as i32 - 1)
    .execute(&database.pool)
    .await?;
    let applier = applier(&database);
    let batches: Vec<_> = (0..lanes).map(|lane| batches(backlog, &topic, lane, lanes)).collect();
    let before = figures();
    let wal = database.wal().await?;
    let cpu = Cpu::now(options, std::process::id());
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for batches in batches {
        tasks.spawn(lane(applier.clone(), batches));
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    let seconds = started.elapsed().as_secs_f64();
    let cpu = Cpu::now(options, std::process::id()).since(cpu);
    let (mut stages, transactions) = figures();
    for (stage, seconds) in &mut stages {
        *seconds -= before.0.get(stage).copied().unwrap_or_default();
    }
    let mut measured = database.finish(backlog.records.len(), seconds, cpu, wal).await?;
    measured.worker = Some(Worker {
        wall_seconds: seconds,
        applied_seconds: seconds,
        peak_memory: 0,
        stages,
        transactions: transactions - before.1,
    });
    Ok(measured)
}

/// Stages and transactions of this process so far.
fn figures() -> (std::collections::BTreeMap<String, f64>, f64) {
    static METRICS: OnceLock<Option<metrics::Handle>> = OnceLock::new();
    let handle = METRICS.get_or_init(|| metrics::install().ok());
    stages(&handle.as_ref().map(metrics::Handle::render).unwrap_or_default())
}

fn applier(database: &Database) -> Applier {
    Applier::new(
        database.pool.clone(),
        Arc::new(Schemas::embedded()),
        Arc::new(dates()),
        Arc::new(SystemClock),
        Arc::new(Notify::new()),
        Health::default(),
        apply::Options {
            inbox_retention: time::Duration::days(400),
            stall_after: Duration::from_mins(5),
            retry_max_delay: Duration::from_secs(5),
            takeover_after: Duration::from_secs(10),
            transaction_deadline: Duration::from_mins(1),
            application_name: "rollcall-bench".to_owned(),
            revise_after: time::Duration::seconds(5),
            head_kind: "Head".to_owned(),
            grace: time::Duration::minutes(1),
            shards: PARTITIONS,
            caps: apply::Caps { max_consecutive: 0, max_ratio: 0.0, ratio_window: 1_000 },
            max_record_bytes: MAX_RECORD_BYTES,
            max_bytes: 4 << 20,
        },
    )
}

/// A batch that is not decoded yet.
type Undecoded = (Vec<Slice>, Vec<Record>);

/// The lane's share of the backlog, cut as if all its partitions were read evenly.
fn batches(backlog: &Backlog, topic: &Arc<str>, lane: u32, lanes: u32) -> Vec<Undecoded> {
    let own: Vec<_> =
        backlog.records.iter().filter(|raw| raw.partition as u32 % lanes == lane).collect();
    let cut = |records: &[&crate::backlog::Raw]| {
        let mut slices: Vec<Slice> = Vec::new();
        let mut taken = Vec::with_capacity(records.len());
        for raw in records {
            let at = TopicPartition { topic: Arc::clone(topic), partition: raw.partition };
            match slices.iter_mut().find(|slice| slice.at == at) {
                Some(slice) => slice.next_offset = raw.offset + 1,
                None => slices.push(Slice {
                    at: at.clone(),
                    fence: FENCE,
                    first_offset: raw.offset,
                    next_offset: raw.offset + 1,
                }),
            }
            taken.push(Record {
                at,
                offset: raw.offset,
                timestamp: OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(raw.timestamp),
                key: Some(Bytes::from(raw.key.clone())),
                value: Some(Bytes::from(raw.value.clone())),
                headers: Vec::new(),
            });
        }
        (slices, taken)
    };
    own.chunks(BATCH).map(cut).collect()
}

async fn lane(applier: Applier, batches: Vec<Undecoded>) -> Result<()> {
    let hard = CancellationToken::new();
    for (slices, records) in batches {
        let started = Instant::now();
        let records = records.into_iter().map(|record| applier.take(record)).collect();
        metrics::stage("decode", started.elapsed());
        let outcomes =
            Box::pin(applier.apply(Batch { slices, records, ..Batch::default() }, &hard)).await;
        let committed = outcomes.iter().all(|(_, outcome)| *outcome == SliceOutcome::Committed);
        ensure!(committed, "a batch was not committed");
    }
    Ok(())
}
