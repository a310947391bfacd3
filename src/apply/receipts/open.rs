//! Opening: a batch is there from when its upload was taken, before the first of its messages is read.

use crate::apply::Applier;
use crate::store::{self, batches};

impl Applier {
    /// Has a batch stand, empty if none of its messages was seen yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_batch(&self, source: &str, batch_id: &str) -> store::Result<()> {
        let mut tx = self.pool.begin().await?;
        let now = self.clock.now();
        batches::open(&mut tx, &[source], &[batch_id], self.options.shards, now).await?;
        Ok(tx.commit().await?)
    }
}
