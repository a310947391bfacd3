//! *http*: single enrollments over HTTP, beside bare commits of the same rows and beside one transaction a request.

mod client;

use crate::backlog::Backlog;
use crate::database::Database;
use crate::kafka::Topics;
use crate::options::Options;
use crate::prepare::{Prepared, prepare};
use crate::report::Report;
use crate::transaction::{Numbers, Rows};
use crate::worker::{self, Process};
use anyhow::{Result, ensure};
use client::{Client, bodies};
use serde::Serialize;
use sqlx::{Acquire as _, PgPool, Postgres, pool::PoolConnection};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Requests at light load, one after the other.
const LIGHT: usize = 5_000;
/// How many of each kind come in turn, so that what else the machine does hits both alike.
const TURN: usize = 50;
/// The first of each kind are not counted: connections, statements and caches are new to them.
const WARM: usize = 200;
/// Callers at once.
const CALLERS: usize = 64;
/// Their requests, all together.
const MANY: usize = 40_000;
/// As many where each has a transaction of its own.
const SINGLE: usize = 10_000;
/// At most so many are measured beside a backlog.
const BESIDE: usize = 100_000;

/// How long single ones took.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Latency {
    pub(crate) count: usize,
    /// Milliseconds.
    pub(crate) p50: f64,
    /// Milliseconds.
    pub(crate) p99: f64,
    /// Milliseconds.
    pub(crate) max: f64,
}

impl Latency {
    fn of(mut took: Vec<Duration>) -> Result<Self> {
        took.drain(..WARM.min(took.len()));
        took.sort_unstable();
        let at = |share: f64| {
            let index = (took.len() as f64 * share) as usize;
            took.get(index.min(took.len().saturating_sub(1))).map(|d| d.as_secs_f64() * 1e3)
        };
        let (Some(p50), Some(p99), Some(max)) = (at(0.5), at(0.99), at(1.0)) else {
            anyhow::bail!("too few were measured")
        };
        Ok(Self { count: took.len(), p50, p99, max })
    }
}

/// A kind of single ones beside its baseline, measured in turn.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Pair {
    /// A commit of the prepared rows on one connection.
    pub(crate) bare: Latency,
    /// A request over one connection.
    pub(crate) http: Latency,
}

/// All figures of the face.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    pub(crate) light: Pair,
    /// While a backlog drains from Kafka.
    pub(crate) beside: Pair,
    /// Requests a second of many callers.
    pub(crate) shared: f64,
    /// The same with a transaction for each request.
    pub(crate) single: f64,
    /// Commits a second of the prepared rows, a transaction each, over eight connections and without HTTP.
    pub(crate) naive: f64,
}

/// What a goal is about: name, value, goal, whether it is reached.
pub(crate) type Goal = (&'static str, f64, &'static str, bool);

impl Figures {
    /// The goals of the face.
    pub(crate) fn goals(&self) -> [Goal; 8] {
        let (light, drain) = (&self.light, &self.beside);
        let slow = light.http.p99 / light.bare.p99;
        // Measured in turn, so that what the drain does to the disk hits both.
        let slower = drain.http.p99 / drain.bare.p99;
        let shared = self.shared / self.single;
        [
            ("HTTP / bare commit, p50", light.http.p50 / light.bare.p50, "", true),
            ("HTTP / bare commit, p99", slow, "≤ 3", slow <= 3.0),
            ("both in a drain, p50", drain.http.p50 / drain.bare.p50, "", true),
            ("both in a drain, p99", slower, "≤ 6", slower <= 6.0),
            ("HTTP in a drain / quiet commit, p50", drain.http.p50 / light.bare.p50, "", true),
            ("HTTP in a drain / quiet commit, p99", drain.http.p99 / light.bare.p99, "", true),
            ("64 callers / a transaction each", shared, "≥ 4", shared >= 4.0),
            ("64 callers / naive without HTTP", self.shared / self.naive, "", true),
        ]
    }

    /// Prints what was measured.
    pub(crate) fn print(&self) {
        println!("{:<36} {:>8} {:>9} {:>9} {:>9}", "milliseconds", "count", "p50", "p99", "max");
        for (name, latency) in [
            ("bare commit", &self.light.bare),
            ("HTTP", &self.light.http),
            ("bare commit while a backlog drains", &self.beside.bare),
            ("HTTP while a backlog drains", &self.beside.http),
        ] {
            let Latency { count, p50, p99, max } = latency;
            println!("{name:<36} {count:>8} {p50:>9.2} {p99:>9.2} {max:>9.2}");
        }
        println!("\n{:<36} {:>8}", "a second", "");
        for (name, rate) in [
            ("HTTP, 64 callers", self.shared),
            ("HTTP, 64 callers, a transaction each", self.single),
            ("naive, 8 connections, no HTTP", self.naive),
        ] {
            println!("{name:<36} {rate:>8.0}");
        }
    }
}

/// Measures the face.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> Result<()> {
    let people = Backlog::make(LIGHT.max(MANY) + WARM)?;
    let prepared = prepare(&people)?;
    let light = light(options, &people, prepared).await?;
    let beside = beside(options, prepared).await?;
    let shared = many(options, &people, MANY, None).await?;
    let single = many(options, &people, SINGLE, Some("ROLLCALL_BATCH__MAX_RECORDS=1")).await?;
    let some = prepared.get(..MANY).unwrap_or(prepared);
    let naive = crate::naive::run(options, some).await?.records_per_second();
    report.face = Some(Figures { light, beside, shared, single, naive });
    Ok(())
}

/// One connection that commits prepared rows, one record a time.
struct Bare {
    connection: PoolConnection<Postgres>,
    numbers: Numbers,
    next: usize,
    took: Vec<Duration>,
}

impl Bare {
    async fn new(pool: &PgPool) -> Result<Self> {
        let connection = pool.acquire().await?;
        Ok(Self { connection, numbers: Numbers::default(), next: 0, took: Vec::new() })
    }

    async fn commit(&mut self, prepared: &'static [Prepared]) -> Result<()> {
        let record = prepared.get(self.next..=self.next).unwrap_or_default();
        ensure!(!record.is_empty(), "too few rows are prepared");
        self.next += 1;
        let rows = Rows::of(record, self.next as i64).numbered(record, &mut self.numbers);
        let started = Instant::now();
        let mut tx = self.connection.begin().await?;
        rows.write(&mut tx).await?;
        tx.commit().await?;
        self.took.push(started.elapsed());
        Ok(())
    }
}

/// Requests one after the other, and commits one after the other, in turn.
async fn light(options: &Options, people: &Backlog, prepared: &'static [Prepared]) -> Result<Pair> {
    eprintln!("http, one caller …");
    let bodies = bodies(people.records.iter().take(LIGHT + WARM))?;
    let database = Database::fresh(options, 2).await?;
    let other = Database::fresh(options, 2).await?;
    let topics = Topics::create(&options.kafka).await?;
    let mut process = worker::start(options, &topics, &database.url, None)?;
    let mut client = Client::ready(&mut process).await?;
    let mut bare = Bare::new(&other.pool).await?;
    let mut took = Vec::with_capacity(bodies.len());
    for turn in bodies.chunks(TURN) {
        for body in turn {
            let started = Instant::now();
            client.post(body).await?;
            took.push(started.elapsed());
        }
        for _ in turn {
            bare.commit(prepared).await?;
        }
    }
    let pair =
        Pair { bare: Latency::of(std::mem::take(&mut bare.took))?, http: Latency::of(took)? };
    drop(bare);
    end(process, topics, [database, other]).await?;
    Ok(pair)
}

/// The same while a backlog drains: the requests' persons are others than the backlog's.
async fn beside(options: &Options, prepared: &'static [Prepared]) -> Result<Pair> {
    eprintln!("http, one caller, while {} records drain …", options.records);
    let all = Backlog::make(options.records + BESIDE)?;
    let mut backlog = Backlog::make(options.records)?;
    let others = all.records.get(backlog.records.len()..).unwrap_or_default();
    let bodies = bodies(others.iter().take(BESIDE))?;
    let total = backlog.records.len() as i64;
    let database = Database::fresh(options, 2).await?;
    let other = Database::fresh(options, 2).await?;
    let topics = Topics::create(&options.kafka).await?;
    topics.fill(&backlog)?;
    backlog.records.clear();
    let mut process = worker::start(options, &topics, &database.url, None)?;
    let mut client = Client::ready(&mut process).await?;
    let mut bare = Bare::new(&other.pool).await?;
    let mut took = Vec::new();
    for (turn, bodies) in bodies.chunks(TURN).enumerate() {
        let applied: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(next_offset - first_offset), 0)::bigint FROM intake_ledger",
        )
        .fetch_one(&database.pool)
        .await?;
        if applied >= total {
            ensure!(turn > 20, "the backlog was drained before much could be measured");
            break;
        }
        for body in bodies {
            let started = Instant::now();
            client.post(body).await?;
            took.push(started.elapsed());
        }
        for _ in bodies {
            if bare.next < prepared.len() {
                bare.commit(prepared).await?;
            }
        }
    }
    let pair =
        Pair { bare: Latency::of(std::mem::take(&mut bare.took))?, http: Latency::of(took)? };
    drop(bare);
    end(process, topics, [database, other]).await?;
    Ok(pair)
}

/// Requests a second of many callers, each asking again when it is answered.
async fn many(
    options: &Options,
    people: &Backlog,
    requests: usize,
    setting: Option<&str>,
) -> Result<f64> {
    eprintln!("http, {CALLERS} callers {} …", setting.unwrap_or_default());
    let bodies: Arc<Vec<_>> = Arc::new(bodies(people.records.iter().take(requests + WARM))?);
    let database = Database::fresh(options, 2).await?;
    let topics = Topics::create(&options.kafka).await?;
    let mut process = worker::start(options, &topics, &database.url, setting)?;
    let mut first = Client::ready(&mut process).await?;
    for body in bodies.iter().take(WARM) {
        first.post(body).await?;
    }
    let mut clients = Vec::with_capacity(CALLERS);
    for _ in 0..CALLERS {
        clients.push(Client::connect(process.http).await?);
    }
    let next = Arc::new(AtomicUsize::new(WARM));
    let mut callers = JoinSet::new();
    let started = Instant::now();
    for mut client in clients {
        let (bodies, next) = (Arc::clone(&bodies), Arc::clone(&next));
        callers.spawn(async move {
            while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                client.post(body).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    let seconds = started.elapsed().as_secs_f64();
    let made: i64 =
        sqlx::query_scalar("SELECT count(*) FROM memberships").fetch_one(&database.pool).await?;
    ensure!(made > 0 && bodies.len() == requests + WARM, "{made} memberships were made");
    end(process, topics, [database]).await?;
    Ok(requests as f64 / seconds)
}

async fn end<const N: usize>(
    process: Process,
    topics: Topics,
    databases: [Database; N],
) -> Result<()> {
    process.stop().await?;
    topics.delete().await?;
    for database in databases {
        database.drop().await?;
    }
    Ok(())
}
