//! What the lease task does in the database. Every step has an end of its own: from a connection that was cut without a
//! word neither an answer comes nor an error.

use super::super::Config;
use super::super::board::Board;
use super::super::suspect;
use super::{Fence, Ledger, Trouble, Unready};
use crate::apply::crashes::{self, Crashes};
use crate::apply::leases::{self, Claim, Taking};
use crate::apply::{Sessions, TopicPartition};
use sqlx::{Connection as _, PgConnection, PgPool, Postgres, Transaction};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use uuid::Uuid;

/// How long a step may take that waits for no lock: longer than a busy server, shorter than an operator's patience.
const STEP: Duration = Duration::from_secs(10);
/// A takeover gives up, and tries anew, after so many times `takeover_after`.
const TAKEOVERS: u32 = 4;
/// Takeovers at once, and as many other things: takeovers wait for locks, each on a connection.
const AT_ONCE: usize = 4;

/// The lease task's own connections, few and beside the pool: however many partitions are taken over, nobody else is
/// left without one.
pub(super) struct Database {
    config: Arc<Config>,
    pool: PgPool,
    sessions: Sessions,
    takeovers: Semaphore,
    errands: Semaphore,
}

impl Database {
    pub(super) fn new(config: Arc<Config>, pool: PgPool) -> Self {
        let (takeovers, errands) = (Semaphore::new(AT_ONCE), Semaphore::new(AT_ONCE));
        Self { config, pool, sessions: Sessions::default(), takeovers, errands }
    }

    /// Takes the lease of a partition; where its ledger stands then, or why the ledger is not of this log.
    pub(super) async fn claim(
        &self,
        at: &TopicPartition,
        Fence { fence, is_claimed: again }: Fence,
        cluster_id: &str,
        now: OffsetDateTime,
    ) -> Result<Result<Ledger, Unready>, Trouble> {
        let Config { owner, group_id, .. } = &*self.config;
        let (topic, partition) = (&*at.topic, at.partition);
        let claim = Claim { topic, partition, fence, again, owner, cluster_id, group_id };
        let _turn = self.takeovers.acquire().await;
        let mut session = self.within(STEP, self.sessions.take(&self.pool)).await?;
        let claimed = self.claim_by(&mut session, claim, now).await?;
        if claimed.is_ok() {
            self.sessions.put(session);
        }
        Ok(claimed)
    }

    async fn claim_by(
        &self,
        session: &mut PgConnection,
        claim: Claim<'_>,
        now: OffsetDateTime,
    ) -> Result<Result<Ledger, Unready>, Trouble> {
        let longest = self.config.takeover_after * TAKEOVERS;
        let mut tx = self.within(STEP, session.begin()).await?;
        let pid = self.within(STEP, leases::wait_for_locks(&mut tx, longest)).await?;
        let taking = Box::pin(self.clearing_the_way(pid, leases::take(&mut tx, claim, now)));
        let silently = match self.within(longest + STEP, taking).await? {
            Taking::Taken { silently } => silently,
            Taking::TakenAway => return Ok(Err(Unready::TakenAway)),
            Taking::OtherLog { cluster_id: known, fence, .. } if known != claim.cluster_id => {
                let cause = format!(
                    "cluster_changed: the ledger is of Kafka cluster {known}, this one is {}",
                    claim.cluster_id
                );
                return Ok(Err(Unready::Stopped(cause, fence)));
            }
            Taking::OtherLog { group_id: known, fence, .. } => {
                let cause = format!(
                    "group_changed: the ledger is of consumer group {known}, this one is {}",
                    claim.group_id
                );
                return Ok(Err(Unready::Stopped(cause, fence)));
            }
        };
        let (topic, partition) = (claim.topic, claim.partition);
        if self.within(STEP, leases::is_paused(&mut tx, topic, partition)).await? {
            self.within(STEP, tx.commit()).await?;
            return Ok(Err(Unready::Paused));
        }
        let position = self.within(STEP, leases::position(&mut tx, topic, partition)).await?;
        let at_most = self.config.caps.memory();
        let letters = leases::trailing_letters(&mut tx, topic, partition, at_most);
        let letters = self.within(STEP, letters).await?;
        let remember = remember(&mut tx, (topic, partition), position, silently);
        let crashes = self.within(STEP, remember).await?;
        let urgent = match &crashes {
            Some(_) => self.within(STEP, crashes::alone(&mut tx)).await?,
            None => Vec::new(),
        };
        self.within(STEP, tx.commit()).await?;
        Ok(Ok(Ledger { position, letters, crashes, urgent }))
    }

    /// Ends the sessions of Rollcall that a takeover waits for, when it waits too long (I3).
    async fn clearing_the_way<T>(&self, pid: i32, takeover: impl Future<Output = T>) -> T {
        let mut takeover = std::pin::pin!(takeover);
        loop {
            if let Ok(taken) = timeout(self.config.takeover_after, &mut takeover).await {
                return taken;
            }
            // The takeover goes on meanwhile: what it waits for may come by itself.
            tokio::select! {
                taken = &mut takeover => return taken,
                cleared = self.clear(pid) => match cleared {
                    Ok(sessions) => {
                        tracing::warn!(sessions, "a takeover ended the sessions in its way");
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a takeover waits, and cannot clear its way");
                    }
                }
            }
        }
    }

    async fn clear(&self, pid: i32) -> Result<i64, Trouble> {
        let _turn = self.errands.acquire().await;
        let mut session = self.within(STEP, self.sessions.take(&self.pool)).await?;
        let name = &self.config.application_name;
        let ended = self.within(STEP, leases::terminate_blockers(&mut session, pid, name)).await?;
        self.sessions.put(session);
        Ok(ended)
    }

    /// Gives a lease back, unless somebody else has it.
    pub(super) async fn release(&self, at: &TopicPartition, fence: Uuid) -> Result<(), Trouble> {
        let _turn = self.errands.acquire().await;
        let mut session = self.within(STEP, self.sessions.take(&self.pool)).await?;
        let nobodys = Uuid::new_v4();
        let release = leases::release(&mut session, &at.topic, at.partition, fence, nobodys);
        self.within(STEP, release).await?;
        self.sessions.put(session);
        Ok(())
    }

    /// Writes a sign of life, and the board.
    pub(super) async fn say(
        &self,
        board: &Board,
        started_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<(), Trouble> {
        let Config { owner, build, .. } = &*self.config;
        let _turn = self.errands.acquire().await;
        let mut session = self.within(STEP, self.sessions.take(&self.pool)).await?;
        self.within(STEP, leases::heartbeat(&mut session, owner, build, started_at, now)).await?;
        self.within(STEP, board.write(&mut session, owner)).await?;
        self.sessions.put(session);
        Ok(())
    }

    /// Those of the partitions whose lease is still this worker's, under another fence.
    pub(super) async fn taken_away(
        &self,
        held: &HashMap<TopicPartition, Uuid>,
    ) -> Result<Vec<TopicPartition>, Trouble> {
        if held.is_empty() {
            return Ok(Vec::new());
        }
        let _turn = self.errands.acquire().await;
        let mut session = self.within(STEP, self.sessions.take(&self.pool)).await?;
        let own = leases::fences_of(&mut session, &self.config.owner);
        let own = self.within(STEP, own).await?;
        self.sessions.put(session);
        let current: HashMap<(&str, i32), Uuid> = own
            .iter()
            .map(|(topic, partition, fence)| ((topic.as_str(), *partition), *fence))
            .collect();
        let is_other = |(at, fence): &(&TopicPartition, &Uuid)| {
            current.get(&(&*at.topic, at.partition)).is_some_and(|current| current != *fence)
        };
        Ok(held.iter().filter(is_other).map(|(at, _)| at.clone()).collect())
    }

    /// A step, with an end to waiting for it.
    async fn within<T, E>(
        &self,
        limit: Duration,
        step: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Trouble>
    where
        Trouble: From<E>,
    {
        let done = match timeout(limit, step).await {
            Ok(done) => done.map_err(Trouble::from),
            Err(_) => Err(Trouble::Silent),
        };
        if done.is_err() {
            self.sessions.clear();
        }
        done
    }
}

/// Puts down that the owner before went without a word, if it did; what is known of those who did so at this position.
async fn remember(
    tx: &mut Transaction<'_, Postgres>,
    (topic, partition): (&str, i32),
    position: Option<i64>,
    silently: bool,
) -> leases::Result<Option<Crashes>> {
    let known = crashes::find(tx, topic, partition).await?;
    let now = suspect::remembered(known.as_ref(), position, silently);
    match &now {
        Some(new) if known.as_ref() != Some(new) => {
            crashes::put(tx, (topic, partition), new).await?;
        }
        None if known.is_some() => crashes::forget(tx, topic, partition).await?,
        Some(_) | None => {}
    }
    Ok(now)
}
