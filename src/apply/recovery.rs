//! Whether batches can be applied at all.

use super::Applier;
use super::divide::CONDITION;
use crate::store;

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

    /// Whether anything can be written to the tables of a batch.
    pub(super) async fn canary(&self) -> store::Result<()> {
        let mut tx = self.pool.begin().await?;
        store::intake::canary(&mut tx, self.clock.now()).await?;
        tx.rollback().await?;
        Ok(())
    }
}
