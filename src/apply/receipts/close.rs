//! Closing: the sender says that nothing more comes.

use super::{settle, take_total};
use crate::store::{
    self,
    batches::{self, Row},
};
use sqlx::{Connection as _, PgConnection};
use time::{Duration, OffsetDateTime};

/// What closing came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The batch as it stands now.
    pub batch: Row,
    /// Whether it had been closed before.
    pub before: bool,
}

/// Closes a batch; with a total, if the sender knows one. The receipt follows from a worker. None if nobody ever named
/// the batch.
///
/// # Errors
/// When the database fails.
pub async fn close(
    connection: &mut PgConnection,
    (source, batch_id): (&str, &str),
    total_count: Option<i32>,
    now: OffsetDateTime,
    revise_after: Duration,
) -> store::Result<Option<Closed>> {
    let mut tx = connection.begin().await?;
    let Some(mut batch) = batches::lock(&mut tx, &[source], &[batch_id]).await?.pop() else {
        return Ok(None);
    };
    let first_total = total_count.is_some_and(|total| take_total(&mut batch, total));
    let before = batch.closed_at.is_some();
    batch.closed_at.get_or_insert(now);
    settle(&mut batch, first_total, now, revise_after);
    batches::save(&mut tx, std::slice::from_ref(&batch), now).await?;
    tx.commit().await?;
    Ok(Some(Closed { batch, before }))
}
