//! *rollcall*: the real binary, from a backlog to the last event that Kafka acknowledged.

use crate::backlog::Backlog;
use crate::database::Database;
use crate::kafka::Topics;
use crate::measure::{Cpu, Measured, Worker};
use crate::options::Options;
use crate::{preload, process, proof};
use anyhow::{Context as _, Result, bail, ensure};
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

/// Without progress for so long, the run is given up.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs the worker over the backlog; with `preload`, on tables that hold so many memberships already.
pub(crate) async fn run(
    options: &Options,
    backlog: &Backlog,
    preload: Option<u64>,
) -> Result<Measured> {
    eprintln!("rollcall …");
    let database = Database::fresh(options, 2).await?;
    if let Some(memberships) = preload {
        preload::fill(&database, memberships).await?;
    }
    let before = database.count().await?;
    let topics = Topics::create(&options.kafka).await?;
    topics.fill(backlog)?;
    let wal = database.wal().await?;
    let others = Cpu::now(options, std::process::id());
    let started = Instant::now();
    let started_at = now(&database.pool).await?;
    let mut process = start(options, &topics, &database.url, None)?;
    let pid = process.pid;
    let ended = wait(&database.pool, backlog, &mut process).await;
    let mut cpu = Cpu::now(options, pid);
    cpu = Cpu { client: cpu.client, ..cpu.since(Cpu { client: 0.0, ..others }) };
    let peak_memory = process::peak_memory(pid).unwrap_or_default();
    let metrics = metrics(process.http).await;
    process.stop().await?;
    let ended = ended.with_context(|| format!("see {}", options.worker_log.display()))?;
    let took = started.elapsed();
    let (stages, transactions) = stages(&metrics.unwrap_or_default());
    let since = |from: OffsetDateTime, to: OffsetDateTime| (to - from).as_seconds_f64();
    let worker = Worker {
        wall_seconds: since(started_at, ended.published),
        applied_seconds: since(ended.taken, ended.applied),
        peak_memory,
        stages,
        transactions,
    };
    ensure!(worker.wall_seconds <= took.as_secs_f64() + 1.0, "the clocks differ");
    verify(&database.pool, backlog, &topics).await?;
    let proof = if options.reconcile {
        Some(proof::run(options, &topics, &database.url).await?)
    } else {
        None
    };
    topics.delete().await?;
    let seconds = since(ended.taken, ended.published);
    let mut measured = database.finish(backlog.records.len(), seconds, cpu, wal).await?;
    for (table, rows) in &before.0 {
        if let Some(after) = measured.tables.get_mut(table) {
            *after -= rows;
        }
    }
    measured.rows = measured.tables.values().sum();
    measured.body_bytes -= before.1;
    measured.items = backlog.items;
    measured.worker = Some(worker);
    measured.proof = proof;
    Ok(measured)
}

async fn now(pool: &PgPool) -> Result<OffsetDateTime> {
    Ok(sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(pool).await?)
}

/// The worker's process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) pid: u32,
    /// The port that its HTTP face listens on.
    pub(crate) http: u16,
}

impl Process {
    /// An error when it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the worker ended with {status}"),
            None => Ok(()),
        }
    }

    /// SIGTERM, then an end in order.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let script = format!("kill -s TERM {}", self.pid);
        Command::new("/bin/sh").args(["-c", &script]).status().await?;
        match tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await {
            Ok(status) => {
                let status = status?;
                ensure!(status.success(), "the worker ended with {status}");
            }
            Err(_) => self.child.kill().await?,
        }
        Ok(())
    }
}

/// The binary, with the settings of this run and no others.
pub(crate) fn command(options: &Options, topics: &Topics, database_url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ROLLCALL_") {
            command.env_remove(name);
        }
    }
    command
        .env("ROLLCALL_KAFKA__BOOTSTRAP_SERVERS", &options.kafka)
        .env("ROLLCALL_KAFKA__GROUP_ID", format!("{}rollcall", topics.prefix))
        .env("ROLLCALL_TOPICS__PREFIX", &topics.prefix)
        .env("DATABASE_URL", database_url)
        .envs(options.settings())
        .kill_on_drop(true);
    command
}

/// Starts it, with one more setting than the caller asked for.
pub(crate) fn start(
    options: &Options,
    topics: &Topics,
    database_url: &str,
    setting: Option<&str>,
) -> Result<Process> {
    let log = std::fs::File::create(&options.worker_log)
        .with_context(|| options.worker_log.display().to_string())?;
    let http = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let child = command(options, topics, database_url)
        .arg("run")
        .env("ROLLCALL_HTTP__LISTEN", format!("127.0.0.1:{http}"))
        .envs(setting.and_then(|setting| setting.split_once('=')))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("the worker does not start")?;
    let pid = child.id().context("the worker has just started")?;
    Ok(Process { child, pid, http })
}

/// When things happened, by the clocks of worker and server, which are one machine's.
#[derive(Debug)]
struct Ended {
    taken: OffsetDateTime,
    applied: OffsetDateTime,
    published: OffsetDateTime,
}

/// Waits until every offset is in the ledger and every number acknowledged.
async fn wait(pool: &PgPool, backlog: &Backlog, process: &mut Process) -> Result<Ended> {
    let total = backlog.records.len() as i64;
    let (mut last, mut moved) = ((0, 0), Instant::now());
    let mut applied_at = None;
    loop {
        let state: (i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT coalesce(sum(next_offset - first_offset), 0)::bigint FROM intake_ledger),
                    sum(cursor.acked)::bigint,
                    sum(coalesce(run.first_seq + run.count - 1, 0) - cursor.acked)::bigint
             FROM relay_cursors AS cursor
             LEFT JOIN LATERAL (
                 SELECT first_seq, count FROM outbox_runs WHERE stream = cursor.stream
                 ORDER BY first_seq DESC LIMIT 1) AS run ON true",
        )
        .fetch_one(pool)
        .await?;
        let (applied, acked, open) = state;
        if applied == total && applied_at.is_none() {
            let last = "SELECT max(recorded_at) FROM intake_ledger";
            applied_at = Some(sqlx::query_scalar(last).fetch_one(pool).await?);
        }
        if applied == total && open == 0 {
            break;
        }
        if (applied, acked) != last {
            (last, moved) = ((applied, acked), Instant::now());
        }
        process.check()?;
        if moved.elapsed() > PATIENCE {
            bail!("no progress: {applied} of {total} applied, {acked} acknowledged, {open} open");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let published = now(pool).await?;
    let taken = sqlx::query_scalar("SELECT min(taken_at) FROM partition_leases");
    Ok(Ended {
        taken: taken.fetch_one(pool).await?,
        applied: applied_at.unwrap_or(published),
        published,
    })
}

/// A fast run that did the wrong thing is worth nothing.
async fn verify(pool: &PgPool, backlog: &Backlog, topics: &Topics) -> Result<()> {
    let outcomes: String = sqlx::query_scalar(
        "SELECT string_agg(convert_from(outcomes, 'UTF8'), '') FROM intake_ledger",
    )
    .fetch_one(pool)
    .await?;
    let count = |byte| outcomes.chars().filter(|outcome| *outcome == byte).count();
    let fresh = backlog.records.len() - backlog.hits;
    ensure!(
        (count('A'), count('U')) == (fresh, backlog.hits),
        "{} applied and {} unchanged instead of {fresh} and {}",
        count('A'),
        count('U'),
        backlog.hits
    );
    for (topic, expected) in [
        ("results", backlog.records.len()),
        ("membership-events", backlog.events),
        ("membership-state", backlog.events),
    ] {
        let found = topics.count(topic)?;
        ensure!(found >= expected as i64, "{topic} holds {found} records instead of {expected}");
    }
    Ok(())
}

/// The sums of `rollcall_stage_seconds`, and how many transactions were committed.
pub(crate) fn stages(metrics: &str) -> (BTreeMap<String, f64>, f64) {
    let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse().ok());
    let mut stages = BTreeMap::new();
    let mut transactions = 0.0;
    for line in metrics.lines() {
        if let Some(rest) = line.strip_prefix("rollcall_stage_seconds_sum{stage=\"") {
            let stage = rest.split('"').next().unwrap_or_default();
            stages.insert(stage.to_owned(), value(line).unwrap_or_default());
        } else if line.starts_with("rollcall_apply_transaction_seconds_count") {
            transactions = value(line).unwrap_or_default();
        }
    }
    (stages, transactions)
}

async fn metrics(http: u16) -> Result<String> {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", http)).await?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").await?;
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut answer)).await??;
    Ok(answer)
}
