//! What the relay says of itself.

use crate::store::{self, relay_progress};
use sqlx::PgPool;

/// A look at the relay, for metrics, readiness and `status`; renewed every few seconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RelayStats {
    /// Whether this relay leads.
    pub leading: bool,
    /// Records committed and not yet acknowledged by Kafka, counted for every topic; whoever leads.
    pub pending_records: i64,
    /// Seconds since the oldest of them was committed; 0 if there is none.
    pub oldest_unpublished_seconds: f64,
    /// Why nothing is published, if this relay knows a cause: an outage, a missing topic, `database_behind_topics`.
    pub trouble: Option<String>,
}

/// Reads the figures of the database.
pub(super) async fn pending(pool: &PgPool) -> store::Result<relay_progress::Pending> {
    let mut db = pool.acquire().await?;
    relay_progress::pending(&mut db).await
}
