//! Whether batches can be applied at all.

use super::Applier;
use super::disposition::{Failure, is_outage};
use super::divide::CONDITION;
use crate::store;
use tokio_util::sync::CancellationToken;

impl Applier {
    /// Sees whether batches can be applied again, and says so to `/readyz`: for a lane that has nothing to try it with.
    pub async fn look_again(&self) -> store::Result<()> {
        let away = |(name, reason): &(&str, Option<String>)| *name == CONDITION && reason.is_some();
        if !self.health.conditions().iter().any(away) {
            return Ok(());
        }
        let mut connection = self.pool.acquire().await?;
        if store::status::halts(&mut connection).await?.is_empty() {
            self.canary().await?;
            self.health.set_ready(CONDITION);
        }
        Ok(())
    }

    /// Waits after a canary write that failed, if it failed because the system is away: that says nothing of a record
    /// (P6), and what was to be judged by it is tried again. Whether it was that; whoever gives up does not wait for it.
    pub(super) async fn waits_out(&self, error: &store::Error, hard: &CancellationToken) -> bool {
        let is_away = is_outage(error) && self.gives_up_after.is_none();
        if is_away {
            self.health.set_not_ready(CONDITION, error.to_string());
            tracing::warn!(%error, "a batch waits: the system is away");
            tokio::select! {
                () = hard.cancelled() => {}
                () = self.ending.cancelled(), if !self.ending.is_cancelled() => {}
                () = tokio::time::sleep(self.options.retry_max_delay) => {}
            }
        }
        is_away
    }

    /// Whether records at which processes died are better tried later: nothing can be applied now.
    pub(super) async fn spares(&self, failure: &Failure) -> bool {
        let halted = matches!(failure, Failure::Halted(_));
        self.of_suspects && (halted || self.canary().await.is_err())
    }

    /// Whether anything can be written to the tables of a batch.
    pub(super) async fn canary(&self) -> store::Result<()> {
        let mut tx = self.pool.begin().await?;
        store::intake::canary(&mut tx, self.clock.now()).await?;
        tx.rollback().await?;
        Ok(())
    }
}
