//! Leases: taken when a partition is assigned, checked against the log, given back when it goes.

use super::Config;
use super::board::{Board, Stop};
use super::owner::{Command, Commands};
use super::probe::{Probe, Watermarks};
use super::suspect::Suspect;
use super::track;
use crate::apply::crashes::Crashes;
use crate::apply::{TopicPartition, leases};
use crate::lifecycle::clock::Clock;
use crate::lifecycle::health::Health;
use crate::lifecycle::retry;
use crate::telemetry::metrics::{self, PartitionState};
use database::Database;
use futures::stream::{FuturesUnordered, StreamExt as _};
use rdkafka::error::KafkaError;
use sqlx::PgPool;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::{OnceCell, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

mod database;

/// The condition of readiness that says that leases and states can be written.
const LEASES: &str = "leases";
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Changes that follow one another this closely are written together.
const GATHER: Duration = Duration::from_millis(50);
/// After a lost lease: whoever took it may be about to find out that the partition is not its own.
const AFTER_LOSS: Duration = Duration::from_millis(500);
/// How soon, and at the most how late, a stopped partition is looked at again.
const RECHECK: Duration = Duration::from_secs(10);
/// How long giving leases back may take at the end.
const RELEASE_WITHIN: Duration = Duration::from_secs(3);

/// What the owner asks for.
#[derive(Debug)]
pub(super) enum Order {
    /// Take the lease, as long as the partition is assigned.
    Take {
        at: TopicPartition,
        generation: u64,
        assigned: CancellationToken,
        /// It was lost a moment ago.
        again: bool,
    },
    /// The partition is not ours any more.
    GiveUp { at: TopicPartition },
}

/// What the task works with.
pub(super) struct Parts {
    pub(super) config: Arc<Config>,
    pub(super) probe: Arc<Probe>,
    pub(super) commands: Commands,
    pub(super) board: Arc<Board>,
    pub(super) health: Health,
    pub(super) clock: Arc<dyn Clock>,
}

/// The lease task.
pub(super) struct Leases {
    parts: Parts,
    database: Database,
    started_at: OffsetDateTime,
    cluster_id: OnceCell<String>,
    /// The fences under which partitions are, or were until they stopped.
    held: Mutex<HashMap<TopicPartition, Uuid>>,
}

/// Why a partition is not read though its lease is taken.
pub(super) enum Unready {
    /// Its log is not the log, or lost records: the cause, and the fence that its lease has.
    Stopped(String, Uuid),
    /// An operator has paused it.
    Paused,
    /// The lease has another fence than it was claimed under.
    TakenAway,
}

/// Under which fence a lease is claimed.
#[derive(Debug, Clone, Copy)]
struct Fence {
    fence: Uuid,
    /// Whether it has been, so that it must still be the lease's.
    is_claimed: bool,
}

impl Fence {
    fn new() -> Self {
        Self { fence: Uuid::new_v4(), is_claimed: false }
    }
}

/// Why a lease could not be taken this time.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Store(#[from] leases::Error),
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    #[error("Postgres does not answer")]
    Silent,
    #[error("Kafka does not tell its cluster id")]
    NoClusterId,
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A lease that is taken and checked.
struct Standing {
    at: TopicPartition,
    generation: u64,
    fence: Uuid,
    start: Start,
}

/// Where a partition is read from, and how.
struct Start {
    position: i64,
    letters: u64,
    suspect: Option<Suspect>,
}

/// Where the ledger stands.
struct Ledger {
    position: Option<i64>,
    letters: u64,
    crashes: Option<Crashes>,
    /// If there are crashes, the partitions at one record of which owners died.
    urgent: Vec<(String, i32)>,
}

impl Leases {
    pub(super) fn new(parts: Parts, pool: PgPool) -> Self {
        let started_at = parts.clock.now();
        parts.health.require(LEASES);
        let database = Database::new(Arc::clone(&parts.config), pool);
        Self { parts, database, started_at, cluster_id: OnceCell::new(), held: Mutex::default() }
    }

    /// Serves the owner until `token` is cancelled, then gives back what is left.
    pub(super) async fn run(
        self,
        mut orders: mpsc::UnboundedReceiver<Order>,
        token: CancellationToken,
    ) {
        let mut taking = FuturesUnordered::new();
        let mut giving = FuturesUnordered::new();
        let mut saying = std::pin::pin!(self.keep_saying());
        let mut ours = HashSet::new();
        loop {
            tokio::select! {
                // So that all that was assigned with a partition is known before its lease is taken.
                biased;
                () = token.cancelled() => break,
                Some(order) = orders.recv() => match order {
                    Order::Take { at, generation, assigned, again } => {
                        ours.insert(at.clone());
                        taking.push(self.take_while_assigned(at, generation, assigned, again));
                    }
                    Order::GiveUp { at } => {
                        ours.remove(&at);
                        let fence = self.held().remove(&at);
                        if let Some(fence) = fence {
                            giving.push(self.release(at, fence));
                        }
                    }
                },
                Some(standing) = taking.next() => {
                    let Some(Standing { at, generation, fence, start }) = standing else {
                        continue;
                    };
                    self.held().insert(at.clone(), fence);
                    let Start { position, letters, mut suspect } = start;
                    if let Some(suspect) = &mut suspect {
                        suspect.urgent.retain(|other| ours.contains(other));
                    }
                    let start = Command::Start { at, generation, fence, position, letters, suspect };
                    self.parts.commands.send(start);
                }
                Some(()) = giving.next() => {}
                () = &mut saying => {}
            }
        }
        // What is under way is not gone on with, and must not keep its turn.
        taking.clear();
        while let Ok(Order::GiveUp { at } | Order::Take { at, .. }) = orders.try_recv() {
            self.parts.board.set(&at, PartitionState::Unowned);
        }
        let end = async {
            let held = std::mem::take(&mut *self.held());
            for (at, fence) in held {
                self.parts.board.set(&at, PartitionState::Unowned);
                giving.push(self.release(at, fence));
            }
            while giving.next().await.is_some() {}
            self.say().await
        };
        if !matches!(timeout(RELEASE_WITHIN, end).await, Ok(Ok(()))) {
            // The next owner takes them anyway.
            tracing::warn!("leases could not be given back");
        }
    }

    /// Takes a lease and checks the log, for as long as the partition is assigned; none once it is not. A lease that was
    /// taken too late is given back, or its rightful owner would be ousted for good.
    async fn take_while_assigned(
        &self,
        at: TopicPartition,
        generation: u64,
        assigned: CancellationToken,
        again: bool,
    ) -> Option<Standing> {
        let claimed = Mutex::new(Fence::new());
        let take = async {
            if again {
                metrics::lease_lost();
                tokio::time::sleep(AFTER_LOSS).await;
            }
            self.take(&at, &claimed).await
        };
        let taken = assigned.run_until_cancelled(take).await;
        let Fence { fence, .. } = claimed.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(start) = taken
            && !assigned.is_cancelled()
        {
            return Some(Standing { at, generation, fence, start });
        }
        self.release(at, fence).await;
        None
    }

    /// Tries until it has the lease and the log fits. A fence that somebody has taken away is not claimed again: what was said
    /// of the partition under it stays void.
    async fn take(&self, at: &TopicPartition, claimed: &Mutex<Fence>) -> Start {
        let mut outage = retry::outage(self.parts.config.retry_max_delay);
        let mut recheck = retry::outage(RECHECK);
        loop {
            let current = *lock(claimed);
            let pause = match self.attempt(at, current).await {
                Ok(Ok(start)) => {
                    let position = start.position;
                    self.parts.health.set_ready(LEASES);
                    self.parts.board.position(at, position);
                    tracing::info!(topic = &*at.topic, at.partition, position, "lease taken");
                    return start;
                }
                Ok(Err(Unready::TakenAway)) => {
                    *lock(claimed) = Fence::new();
                    continue;
                }
                Ok(Err(Unready::Paused)) => {
                    lock(claimed).is_claimed = true;
                    self.parts.board.set(at, PartitionState::Paused);
                    self.parts.health.set_ready(LEASES);
                    recheck.next()
                }
                Ok(Err(Unready::Stopped(cause, fence))) => {
                    // Of another log, the lease was not taken.
                    lock(claimed).is_claimed = fence == current.fence;
                    tracing::error!(topic = &*at.topic, at.partition, cause, "partition stopped");
                    self.parts.board.stop(at, fence, Stop { cause, offset: None });
                    recheck.next()
                }
                Err(error) => {
                    tracing::warn!(%error, topic = &*at.topic, at.partition, "lease not taken yet");
                    self.parts.board.set(at, PartitionState::Waiting);
                    if matches!(error, Trouble::Store(_) | Trouble::Silent) {
                        self.parts.health.set_not_ready(LEASES, error.to_string());
                    }
                    outage.next()
                }
            };
            tokio::time::sleep(pause.unwrap_or(RECHECK)).await;
        }
    }

    /// Where to read from, or why the partition must not be read.
    async fn attempt(
        &self,
        at: &TopicPartition,
        fence: Fence,
    ) -> Result<Result<Start, Unready>, Trouble> {
        let probe = &self.parts.probe;
        let cluster_id = self
            .cluster_id
            .get_or_try_init(|| async { probe.cluster_id().await.ok_or(Trouble::NoClusterId) })
            .await?;
        let now = self.parts.clock.now();
        let ledger = match self.database.claim(at, fence, cluster_id, now).await? {
            Ok(ledger) => ledger,
            Err(unready) => return Ok(Err(unready)),
        };
        // After the position, or another worker's last batches would seem to lie beyond the log.
        let Watermarks { low, high } = probe.watermarks(at.clone()).await?;
        self.parts.board.watermarks(at, low, high);
        let position = match track::judge(ledger.position, low, high) {
            Ok(position) => position,
            Err(cause) => return Ok(Err(Unready::Stopped(cause, fence.fence))),
        };
        let Ledger { letters, crashes, urgent, .. } = ledger;
        let most = self.parts.config.max_records;
        let mut suspect = Suspect::of(crashes.as_ref(), (position, high), most);
        if let Some(suspect) = &mut suspect {
            let at = |(topic, partition): (String, i32)| TopicPartition {
                topic: topic.into(),
                partition,
            };
            suspect.urgent = urgent.into_iter().map(at).collect();
        }
        if let Some(Crashes { times, alone, .. }) = crashes.filter(|_| suspect.is_some()) {
            metrics::crashed();
            tracing::warn!(
                topic = &*at.topic,
                at.partition,
                position,
                times,
                alone,
                "owners were gone without a word at this position: it is gone through apart"
            );
        }
        Ok(Ok(Start { position, letters, suspect }))
    }

    /// Gives a lease back; only a courtesy, so not for ever.
    async fn release(&self, at: TopicPartition, fence: Uuid) {
        for pause in retry::limited(3, RECHECK) {
            match self.database.release(&at, fence).await {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, "a lease could not be given back"),
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Writes the board when it changes, and a sign of life now and then. Never ends.
    async fn keep_saying(&self) {
        loop {
            match self.say().await {
                Ok(()) => self.parts.health.set_ready(LEASES),
                Err(error) => self.parts.health.set_not_ready(LEASES, error.to_string()),
            }
            tokio::select! {
                () = self.parts.board.changed() => tokio::time::sleep(GATHER).await,
                // From now on: what was said of changes is a sign of life too, and puts off only the next one.
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
        }
    }

    async fn say(&self) -> Result<(), Trouble> {
        let Parts { board, clock, commands, .. } = &self.parts;
        self.database.say(board, self.started_at, clock.now()).await?;
        // A fence that is another though the lease is still ours: an operator wants the partition looked at anew.
        let held = self.held().clone();
        for at in self.database.taken_away(&held).await? {
            if let Some(fence) = held.get(&at).copied() {
                commands.send(Command::Lost { at, fence });
            }
        }
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, HashMap<TopicPartition, Uuid>> {
        lock(&self.held)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
