//! Waking between processes: who commits tells the leading relay, wherever that runs.
//!
//! Not in the transactions that are applied: a NOTIFY takes a lock at commit that all of the database shares. One
//! connection a process tells of commits, many at once, and one of the leader hears of them. A word that gets lost costs
//! `relay.poll_interval`, nothing else.

use super::RelayStats;
use crate::store::{self, relay as outbox};
use sqlx::{PgConnection, PgPool};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// What is committed within this time after a word was sent goes with the next one.
const TOGETHER: Duration = Duration::from_millis(20);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// A server that takes longer to answer is away.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Tells of commits.
#[derive(Debug)]
pub struct Pokes {
    /// Where to.
    pub pool: PgPool,
    /// Notified after each commit of this process.
    pub committed: Arc<Notify>,
    /// Pokes the relay of this process, if it has one; and whether that one leads, so that nobody else need hear.
    pub relay: Option<(Arc<Notify>, watch::Receiver<RelayStats>)>,
}

impl Pokes {
    /// Runs until told to end.
    pub async fn run(self, stop: CancellationToken) {
        if let Some(never) = stop.run_until_cancelled(self.tell_on()).await {
            match never {}
        }
    }

    async fn tell_on(&self) -> Infallible {
        let mut session = None;
        loop {
            self.committed.notified().await;
            if let Some((relay, stats)) = &self.relay {
                relay.notify_one();
                if stats.borrow().leading {
                    continue;
                }
            }
            if matches!(timeout(ANSWER_WITHIN, self.tell(&mut session)).await, Ok(Ok(()))) {
                sleep(TOGETHER).await;
            } else {
                // The lanes say that Postgres is away.
                session = None;
                sleep(PAUSE).await;
            }
        }
    }

    async fn tell(&self, session: &mut Option<PgConnection>) -> store::Result<()> {
        let connection = match session {
            Some(connection) => connection,
            None => session.insert(self.pool.acquire().await?.detach()),
        };
        outbox::tell_of_commit(connection).await
    }
}

/// Pokes the relay when another process tells of a commit. Never ends.
pub(super) async fn listen(pool: &PgPool, poke: &Notify) -> Infallible {
    loop {
        if let Ok(mut commits) = outbox::hear_of_commits(pool).await {
            // What was told before it listened.
            poke.notify_one();
            while commits.recv().await.is_ok() {
                poke.notify_one();
            }
        }
        sleep(PAUSE).await;
    }
}
