//! The relay's life: standing by, checking, leading, and again.

use super::board::Board;
use super::check::{Verdict, check_topics};
use super::producer;
use super::session::{End, Session, Tools};
use super::stats::{RelayStats, pending};
use super::upkeep::maintain_partitions;
use super::{Config, Error, pokes};
use crate::lifecycle::retry;
use crate::store;
use crate::store::relay::{Claim, feeds, is_lease_free, plan_anew, release_lease, take_lease};
use sqlx::PgPool;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The relay of a worker. Any number of workers may run one: the database says which leads.
#[derive(Debug)]
pub struct Relay {
    config: Config,
    pool: PgPool,
    poke: Arc<Notify>,
    stats: watch::Sender<RelayStats>,
}

/// How a try to lead ended.
enum Turn {
    /// Told to end.
    Over,
    /// Another leads: look again after a while.
    Standby,
    /// Something failed: the same again after a pause.
    Failed(String),
    /// The same again at once.
    Again,
}

impl Relay {
    /// A relay that looks at the outbox when `poke` is notified, and every `config.poll_interval`.
    pub fn new(
        config: Config,
        pool: PgPool,
        poke: Arc<Notify>,
    ) -> (Self, watch::Receiver<RelayStats>) {
        let (stats, seen) = watch::channel(RelayStats::default());
        (Self { config, pool, poke, stats }, seen)
    }

    /// Runs until told to end: at `stop` a leader publishes what has been committed, saves its cursors and gives the
    /// lease back; at `hard` it returns at once. Outages are waited for (P6).
    pub async fn run(self, stop: CancellationToken, hard: CancellationToken) {
        tokio::select! {
            () = self.take_turns(&stop, &hard) => {}
            () = self.watch_progress() => {}
            () = hard.cancelled() => {}
        }
    }

    async fn take_turns(&self, stop: &CancellationToken, hard: &CancellationToken) {
        let mut previous = None;
        let mut pauses = retry::outage(self.config.retry_max);
        loop {
            let pause = match self.turn(&mut previous, stop, hard).await {
                Turn::Over => return,
                Turn::Again => Duration::ZERO,
                Turn::Standby => self.config.lease / 3,
                Turn::Failed(trouble) => {
                    tracing::warn!("the relay cannot publish: {trouble}");
                    self.stats.send_modify(|stats| stats.trouble = Some(trouble));
                    pauses.next().unwrap_or(self.config.retry_max)
                }
            };
            if pause.is_zero() {
                pauses = retry::outage(self.config.retry_max);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn turn(
        &self,
        previous: &mut Option<Uuid>,
        stop: &CancellationToken,
        hard: &CancellationToken,
    ) -> Turn {
        // A relay that does not lead has nothing to finish: it need not wait for Kafka to be asked.
        let Some(claimed) = stop.run_until_cancelled(self.claim(previous, hard)).await else {
            return Turn::Over;
        };
        match claimed {
            Ok(Some((fence, asked))) => {
                let turn = self.lead(fence, asked, stop, hard).await;
                self.stats.send_modify(|stats| stats.leading = false);
                turn
            }
            Ok(None) => Turn::Standby,
            Err(Error::Cancelled) => Turn::Over,
            Err(error) => Turn::Failed(error.to_string()),
        }
    }

    /// Takes the lease if it is free, and the topics are not ahead of the database.
    async fn claim(
        &self,
        previous: &mut Option<Uuid>,
        hard: &CancellationToken,
    ) -> Result<Option<(Uuid, Instant)>, Error> {
        let fence = Uuid::new_v4();
        let claim = Claim {
            fence,
            previous: *previous,
            owner: &self.config.owner,
            lease: self.config.lease,
        };
        {
            let mut db = self.pool.acquire().await.map_err(store::Error::from)?;
            if !is_lease_free(&mut db, claim).await? {
                return Ok(None);
            }
        }
        // Before the lease is taken, because it takes a while; what others publish meanwhile is in the database too.
        if let Verdict::Ahead { cause } = check_topics(&self.config, &self.pool, hard).await? {
            return Err(Error::Behind { cause });
        }
        let asked = Instant::now();
        let mut db = self.pool.acquire().await.map_err(store::Error::from)?;
        if !take_lease(&mut db, claim).await? {
            return Ok(None);
        }
        *previous = Some(fence);
        Ok(Some((fence, asked)))
    }

    async fn lead(
        &self,
        fence: Uuid,
        asked: Instant,
        stop: &CancellationToken,
        hard: &CancellationToken,
    ) -> Turn {
        tracing::info!("the relay leads");
        self.stats.send_modify(|stats| (stats.leading, stats.trouble) = (true, None));
        let tools = Tools { config: &self.config, poke: &self.poke, stop, hard };
        let ended = tokio::select! {
            ended = self.publish(tools, fence, asked) => ended,
            never = self.keep_partitions() => match never {},
            never = Box::pin(pokes::listen(&self.pool, &self.poke)) => match never {},
        };
        match ended {
            Ok(End::Aborted) => Turn::Over,
            Ok(End::Flushed) => {
                if let Err(error) = self.release(fence).await {
                    tracing::warn!("the relay's lease could not be given back: {error}");
                }
                Turn::Over
            }
            Ok(End::LeaseLost) => {
                tracing::warn!("the relay has lost its lease and stands by");
                Turn::Again
            }
            Ok(End::ProducerFailed(code)) => {
                Turn::Failed(format!("Kafka's producer failed: {code}"))
            }
            Err(error) => Turn::Failed(error.to_string()),
        }
    }

    async fn publish(&self, tools: Tools<'_>, fence: Uuid, asked: Instant) -> Result<End, Error> {
        let mut db = self.pool.acquire().await.map_err(store::Error::from)?.detach();
        plan_anew(&mut db).await?;
        // After the lease was taken: nobody else moves them now.
        let mut feeds = feeds(&mut db).await?;
        feeds.retain(|feed| super::route::Kind::of(&feed.topic).is_some());
        let low = self.config.max_in_flight_records / 2;
        let board = Arc::new(Board::new(feeds.iter().map(|feed| feed.acked), low));
        let producer = producer::start(&self.config, &board)?;
        let session = Session::new(tools, fence, asked, (&producer, board, db), &feeds);
        let ended = session.lead().await;
        // What is under way is dropped, and the instance gone, before another one can start (I5).
        if tokio::task::spawn_blocking(move || producer::end(producer)).await.is_err() {
            tracing::error!("Kafka's producer did not end in order");
        }
        Ok(ended?)
    }

    async fn release(&self, fence: Uuid) -> store::Result<()> {
        let mut db = self.pool.acquire().await?;
        release_lease(&mut db, fence).await
    }

    async fn keep_partitions(&self) -> std::convert::Infallible {
        loop {
            match maintain_partitions(&self.pool, &self.config.partitions).await {
                Ok(done) if done == super::Upkeep::default() => {}
                Ok(done) => tracing::info!(
                    created = done.created,
                    dropped = done.dropped,
                    kept = done.kept,
                    "outbox partitions were looked after"
                ),
                Err(error) => {
                    tracing::warn!("outbox partitions could not be looked after: {error}");
                }
            }
            tokio::time::sleep(self.config.partitions.interval).await;
        }
    }

    async fn watch_progress(&self) {
        loop {
            // An outage is seen by the turns; the last figures stand meanwhile.
            if let Ok(pending) = pending(&self.pool).await {
                self.stats.send_modify(|stats| {
                    stats.pending_records = pending.records;
                    stats.oldest_unpublished_seconds = pending.oldest_seconds;
                });
            }
            tokio::time::sleep(self.config.stats_interval).await;
        }
    }
}
