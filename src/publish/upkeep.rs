//! The outbox's partitions: made ahead of their use, dropped when all they hold is published (I6).

use super::PartitionSettings;
use crate::store::outbox_partitions::{self as partitions, Partition};
use crate::store::{Error, Result};
use sqlx::{PgConnection, PgPool};
use std::time::Duration;

/// What a round of maintenance did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Partitions made.
    pub created: u32,
    /// Partitions dropped.
    pub dropped: u32,
    /// Partitions detached and attached again, because a batch was still being written to them.
    pub kept: u32,
}

/// Longer than any transaction may last: a detachment waits for those that are open.
const DETACH_PATIENCE: Duration = Duration::from_mins(1);
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Makes partitions ahead, ends what an earlier round left half done, drops what is no longer needed.
///
/// Safe to run at any time by anybody: two rounds never run at once, and a crash between any two steps is put right by
/// the next round.
pub async fn maintain_partitions(pool: &PgPool, settings: &PartitionSettings) -> Result<Upkeep> {
    // A connection of its own, which goes with the lock and the limits that it was given.
    let mut db = pool.acquire().await?.detach();
    let mut done = Upkeep::default();
    if !partitions::lock(&mut db).await? {
        return Ok(done);
    }
    partitions::limit(&mut db, LOCK_PATIENCE, DETACH_PATIENCE).await?;
    let last_batch = partitions::last_batch(&mut db).await?;
    let mut end = partitions::end(&mut db).await?;
    while end <= last_batch + settings.create_ahead {
        partitions::create(&mut db, end, end + settings.batches.max(1)).await?;
        end += settings.batches.max(1);
        done.created += 1;
    }
    let all = partitions::list(&mut db).await?;
    // The last partition has no end here, and is never dropped.
    for (partition, next) in all.iter().zip(all.iter().skip(1)) {
        let range = Range { first: partition.first, end: next.first };
        if range.end <= last_batch || !partition.attached {
            retire(&mut db, *partition, range, settings.keep, &mut done).await?;
        }
    }
    Ok(done)
}

#[derive(Clone, Copy)]
struct Range {
    first: i64,
    end: i64,
}

async fn retire(
    db: &mut PgConnection,
    partition: Partition,
    range: Range,
    keep: Duration,
    done: &mut Upkeep,
) -> Result<()> {
    if partition.detaching {
        partitions::finish_detach(db, range.first).await?;
    } else if partition.attached {
        if partitions::is_unpublished(db, range.first, range.end).await?
            || !partitions::is_older_than(db, range.first, keep).await?
        {
            return Ok(());
        }
        // I6: transactions that began before may still write to it: detaching waits for them.
        wait_free(partitions::detach(db, range.first).await)?;
    }
    // Look again: what those wrote is not published, nor old.
    if partitions::is_unpublished(db, range.first, range.end).await?
        || !partitions::is_older_than(db, range.first, keep).await?
    {
        partitions::attach(db, range.first, range.end).await?;
        done.kept += 1;
    } else {
        partitions::drop_detached(db, range.first).await?;
        done.dropped += 1;
    }
    Ok(())
}

/// A time-out leaves the detachment begun; the next round ends it.
fn wait_free(detached: Result<()>) -> Result<()> {
    if let Err(Error::Database { sqlstate, .. }) = &detached
        && (sqlstate == "57014" || sqlstate == "55P03")
    {
        tracing::info!("an outbox partition is still being written to; its detachment waits");
    }
    detached
}
