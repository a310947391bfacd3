//! The task that says receipts when they are due.

use crate::contract::{
    self, encode, shard,
    wire::{BatchReceipt, Bytes, ReceiptPosition, ReceiptStatus},
};
use crate::domain::{BatchOutcome, BatchState};
use crate::lifecycle::{clock::Clock, retry};
use crate::store::{
    self,
    batches::{self, Row},
    outbox::{self, StreamKind},
};
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often the database is asked where nobody pokes: another worker's commits, a batch that was closed.
const POLL: Duration = Duration::from_secs(1);
/// Receipts of one transaction.
const AT_ONCE: i64 = 500;
/// The namespace of receipts' own ids.
const RECEIPTS: Uuid = Uuid::from_u128(0x6d0a_31f8_52c9_5be4_9a47_c1e0_837b_24d6);

/// Says receipts. Any number of workers may have one: a batch under lock is said once.
#[derive(Debug)]
pub struct Receipts {
    pool: PgPool,
    clock: Arc<dyn Clock>,
    poke: Arc<Notify>,
    wake: Arc<Notify>,
    shards: u32,
    retry_max_delay: Duration,
}

/// Why receipts could not be said.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Unfit(#[from] contract::Unfit),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What a look at the database came to.
enum Turn {
    /// So many receipts were said at once: there may be more.
    Full,
    /// Nothing more is due until then, if ever.
    Idle(Option<OffsetDateTime>),
}

impl Receipts {
    /// A task that looks when `poke` is notified, and every second; it pokes the relay by `wake`.
    pub fn new(
        pool: PgPool,
        clock: Arc<dyn Clock>,
        (poke, wake): (Arc<Notify>, Arc<Notify>),
        shards: u32,
        retry_max_delay: Duration,
    ) -> Self {
        Self { pool, clock, poke, wake, shards, retry_max_delay }
    }

    /// Runs until told to end. Outages are waited for (P6).
    pub async fn run(self, stop: CancellationToken) {
        let mut pauses = retry::outage(self.retry_max_delay);
        loop {
            let pause = match stop.run_until_cancelled(self.turn()).await {
                None => return,
                Some(Ok(Turn::Full)) => Duration::ZERO,
                Some(Ok(Turn::Idle(next))) => {
                    pauses = retry::outage(self.retry_max_delay);
                    next.map_or(POLL, |next| self.until(next).min(POLL))
                }
                Some(Err(trouble)) => {
                    tracing::warn!(%trouble, "receipts of batches wait");
                    pauses.next().unwrap_or(self.retry_max_delay)
                }
            };
            tokio::select! {
                () = self.poke.notified() => {}
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    fn until(&self, next: OffsetDateTime) -> Duration {
        // What is due already waits for a halt to end.
        Duration::try_from(next - self.clock.now()).unwrap_or(POLL)
    }

    async fn turn(&self) -> Result<Turn, Trouble> {
        let mut tx = self.pool.begin().await?;
        let ticket = store::intake::ticket(&mut tx, true).await?;
        let now = self.clock.now();
        let due = match ticket.halt {
            // What forbids applying forbids this too.
            Some(_) => Vec::new(),
            None => batches::lock_due(&mut tx, now, AT_ONCE).await?,
        };
        if due.is_empty() {
            let next = batches::next_due(&mut tx).await?;
            tx.rollback().await?;
            return Ok(Turn::Idle(next));
        }
        let mut receipts = Vec::with_capacity(due.len());
        for batch in &due {
            let Some((state, receipt)) = receipt(batch) else { continue };
            let key = format!("{}/{}", batch.source, batch.batch_id);
            let id = Uuid::new_v5(&RECEIPTS, format!("{key}/{}", receipt.revision).as_bytes());
            let stream = StreamKind::BatchReceipts.stream(shard(key.as_bytes(), self.shards));
            let said = batches::Said {
                source: &batch.source,
                batch_id: &batch.batch_id,
                state,
                revision: receipt.revision,
            };
            receipts.push((stream, id, key, encode(&receipt)?, said));
        }
        receipts.sort_by_key(|(stream, ..)| *stream);
        let mut counts: BTreeMap<i16, i32> = BTreeMap::new();
        let mut rows = outbox::Rows::default();
        for (stream, id, key, body, _) in &receipts {
            let count = counts.entry(*stream).or_default();
            rows.streams.push(*stream);
            rows.positions.push(*count);
            rows.ids.push(*id);
            rows.keys.push(Some(key.as_bytes()));
            // A receipt has many causes, so it names none.
            rows.causes.push("");
            rows.traceparents.push(None);
            rows.bodies.push(Some(body));
            rows.state_bodies.push(None);
            *count += 1;
        }
        outbox::insert(&mut tx, ticket.batch, &rows).await?;
        let (streams, counts): (Vec<i16>, Vec<i32>) = counts.into_iter().unzip();
        outbox::lock_streams(&mut tx, &streams).await?;
        outbox::append_runs(&mut tx, ticket.batch, &streams, &counts, now).await?;
        let said: Vec<_> = receipts.iter().map(|(.., said)| *said).collect();
        batches::said(&mut tx, &said, now).await?;
        tx.commit().await?;
        self.wake.notify_one();
        tracing::debug!(receipts = said.len(), "receipts of batches were said");
        Ok(if due.len() as i64 == AT_ONCE { Turn::Full } else { Turn::Idle(None) })
    }
}

/// The receipt of a batch as it stands; none while more may come.
fn receipt(batch: &Row) -> Option<(BatchState, BatchReceipt)> {
    let state = batch.tally.state(batch.total_count, batch.closed_at.is_some());
    let status = match state {
        BatchState::Open => return None,
        BatchState::Complete => ReceiptStatus::Complete,
        BatchState::CompleteWithHeld => ReceiptStatus::CompleteWithHeld,
        BatchState::Incomplete => ReceiptStatus::Incomplete,
    };
    let positions = batch.positions.iter().enumerate().filter(|(_, last)| **last > 0);
    let receipt = BatchReceipt {
        source: batch.source.clone(),
        batch_id: batch.batch_id.clone(),
        status,
        revision: batch.revision + 1,
        total_count: batch.total_count,
        applied_count: batch.tally.count(BatchOutcome::Applied),
        unchanged_count: batch.tally.count(BatchOutcome::Unchanged),
        partial_count: batch.tally.count(BatchOutcome::Partial),
        rejected_count: batch.tally.count(BatchOutcome::Rejected),
        held_count: batch.tally.count(BatchOutcome::Held),
        first_at: batch.first_at.into(),
        completed_at: batch.completed_at.map(Into::into),
        digest: Bytes(batch.tally.digest.0.to_vec()),
        positions: positions
            .map(|(partition, sequence)| ReceiptPosition {
                partition: partition as i32,
                sequence: *sequence,
            })
            .collect(),
    };
    Some((state, receipt))
}
