//! The lane of writes: a lane like those of Kafka's partitions, whose source is the open requests. What arrives while a
//! transaction runs shares the next one.

use super::problem::{Code, Problem};
use crate::apply::{self, Applier, Batch, Record, Replied, Reply, Taken};
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, PgPool};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

/// Who waits for longer asks whether the database is there.
const PATIENCE: Duration = Duration::from_millis(250);
/// It must answer within this time; together a caller hears of an outage within a second.
const ANSWER: Duration = Duration::from_millis(600);

/// How much one transaction takes, and how much may wait for it.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the keys of the settings, as they describe them")]
pub struct LaneLimits {
    pub waiting: usize,
    pub records: usize,
    pub items: usize,
    pub record_bytes: usize,
}

/// Where writes go; clones share it.
#[derive(Debug, Clone)]
pub struct Lane {
    applier: Applier,
    queue: mpsc::Sender<Taken>,
    max_record_bytes: usize,
    database: Arc<Database>,
}

/// The lane's other end.
#[derive(Debug)]
pub struct Work {
    applier: Applier,
    queue: mpsc::Receiver<Taken>,
    limits: LaneLimits,
    /// What did not fit into the last transaction.
    left: Option<Taken>,
}

/// Whether the database answers; asked by one at a time, for all.
#[derive(Debug)]
struct Database {
    pool: PgPool,
    last: Mutex<Option<(Instant, bool)>>,
}

impl Lane {
    /// A lane over an applier, and the work that is to be run.
    pub fn new(applier: Applier, pool: PgPool, limits: LaneLimits) -> (Self, Work) {
        let (sender, queue) = mpsc::channel(limits.waiting);
        let applier = applier.without_patience();
        let database = Arc::new(Database { pool, last: Mutex::default() });
        let lane = Self {
            applier: applier.clone(),
            queue: sender,
            max_record_bytes: limits.record_bytes,
            database,
        };
        (lane, Work { applier, queue, limits, left: None })
    }

    /// Has a request applied, and waits for its answer.
    pub(super) async fn ask(&self, record: Record) -> Result<Replied, Problem> {
        if record.value.as_ref().is_some_and(|value| value.len() > self.max_record_bytes) {
            return Err(Problem::of(Code::PayloadTooLarge)
                .because("the request is larger than consume.max_record_bytes allows"));
        }
        let (reply, answer) = Reply::new();
        let taken = Taken { reply: Some(reply), ..self.applier.take(record) };
        self.queue.try_send(taken).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Problem::of(Code::TooManyRequests).because("too many writes wait already")
            }
            mpsc::error::TrySendError::Closed(_) => {
                Problem::of(Code::Unavailable).because("the worker shuts down")
            }
        })?;
        tokio::select! {
            answer = answer => answer.map_err(|_dropped| away()),
            () = self.database.found_away() => Err(away()),
        }
    }
}

fn away() -> Problem {
    Problem::of(Code::Unavailable)
        .because("the request could not be applied; the database may be away")
}

impl Database {
    /// Returns when the database has been asked in vain.
    async fn found_away(&self) {
        loop {
            tokio::time::sleep(PATIENCE).await;
            let mut last = self.last.lock().await;
            let fresh = last.filter(|(asked, _)| asked.elapsed() < PATIENCE);
            let answers = match fresh {
                Some((_, answers)) => answers,
                None => self.answers().await,
            };
            *last = Some((fresh.map_or_else(Instant::now, |(asked, _)| asked), answers));
            if !answers {
                return;
            }
        }
    }

    /// A connection of its own tells an outage from a pool that is busy.
    async fn answers(&self) -> bool {
        let options = self.pool.connect_options();
        let asked = async {
            let connection = PgConnection::connect_with(&options).await?;
            connection.close().await
        };
        matches!(tokio::time::timeout(ANSWER, asked).await, Ok(Ok(())))
    }
}

impl Work {
    /// Applies what is asked, until `stop`; then what was taken before.
    pub async fn run(mut self, stop: CancellationToken, hard: CancellationToken) {
        while let Some(first) = self.next(&stop).await {
            let records = self.batch(first);
            if !records.is_empty() {
                self.applier.apply(Batch { records, ..Batch::default() }, &hard).await;
            }
        }
    }

    async fn next(&mut self, stop: &CancellationToken) -> Option<Taken> {
        if self.left.is_some() {
            return self.left.take();
        }
        loop {
            tokio::select! {
                taken = self.queue.recv() => return taken,
                () = stop.cancelled(), if !self.queue.is_closed() => self.queue.close(),
            }
        }
    }

    /// What has come, as much as one transaction takes; without those that nobody waits for any more: who has heard
    /// that the database is away asks again.
    fn batch(&mut self, first: Taken) -> Vec<Taken> {
        let mut items = apply::items(&first);
        let mut records = vec![first];
        while records.len() < self.limits.records
            && let Ok(taken) = self.queue.try_recv()
        {
            items += apply::items(&taken);
            if items > self.limits.items {
                self.left = Some(taken);
                break;
            }
            records.push(taken);
        }
        records.retain(|taken| taken.reply.as_ref().is_some_and(|reply| !reply.is_forsaken()));
        records
    }
}
