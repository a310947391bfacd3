//! The lane of writes: a lane like those of Kafka's partitions, whose source is the open requests. What arrives while a
//! transaction runs shares the next one.

use super::database::Database;
use super::problem::{Code, Problem};
use crate::apply::{self, Applier, Batch, Record, Replied, Reply, Taken};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How often a lane that has nothing to do sees whether an outage is over.
const LOOK: Duration = Duration::from_secs(1);

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
pub(super) struct Lane {
    applier: Applier,
    queue: mpsc::Sender<Taken>,
    max_record_bytes: usize,
}

/// The lane's other end.
#[derive(Debug)]
pub struct Work {
    applier: Applier,
    queue: mpsc::Receiver<Taken>,
    limits: LaneLimits,
    database: Arc<Database>,
    /// What did not fit into the last transaction.
    left: Option<Taken>,
}

impl Lane {
    /// A lane over an applier, and the work that is to be run.
    pub(super) fn new(
        applier: Applier,
        limits: LaneLimits,
        database: Arc<Database>,
    ) -> (Self, Work) {
        let (sender, queue) = mpsc::channel(limits.waiting);
        let applier = applier.without_patience();
        let max_record_bytes = limits.record_bytes;
        let lane = Self { applier: applier.clone(), queue: sender, max_record_bytes };
        (lane, Work { applier, queue, limits, database, left: None })
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
        answer.await.map_err(|_dropped| away())
    }

    /// Has a batch stand from now on, though none of its messages was read yet.
    pub(super) async fn open_batch(&self, source: &str, batch_id: &str) -> Result<(), Problem> {
        Ok(self.applier.open_batch(source, batch_id).await?)
    }

    /// Returns when it takes nothing more.
    pub(super) async fn ends(&self) {
        self.queue.closed().await;
    }
}

fn away() -> Problem {
    Problem::of(Code::Unavailable)
        .because("the request could not be applied; the database may be away")
}

impl Work {
    /// Applies what is asked, until `stop`; then what was taken before.
    pub async fn run(mut self, stop: CancellationToken, hard: CancellationToken) {
        while let Some(first) = self.next(&stop).await {
            let records = self.batch(first);
            if records.is_empty() {
                continue;
            }
            let batch = Batch { records, ..Batch::default() };
            tokio::select! {
                _ = self.applier.apply(batch, &hard) => {}
                // Nobody waits any more for what is given up here. Its connection is closed with it.
                () = self.database.found_away() => {
                    tracing::warn!("http: writes are given up: the database is away");
                }
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
                () = tokio::time::sleep(LOOK) => {
                    if let Err(error) = self.applier.look_again().await {
                        tracing::debug!(%error, "http: the database is still away");
                    }
                }
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
