//! What a transaction counts in batches, and the receipts that say it.
//!
//! A batch counts distinct messages: a message belongs to the batch under which it was first taken, a letter's to the
//! batch that it names until the message comes again there. Counts, digest and positions move in the transaction that
//! moves the outcomes (P1); the receipt follows in a transaction of its own.

mod close;
mod count;
mod open;
mod publish;

pub use close::{Closed, close};
pub(super) use count::{Counting, Stored};
pub use publish::Receipts;

use crate::domain::{BatchOutcome, BatchState};
use crate::store::batches::Row;
use time::{Duration, OffsetDateTime};

/// A message of a batch whose outcome is new or another. Whatever changes an outcome says it by these: requests that are
/// applied or evaluated anew, parked records that are drained, letters that are replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change<'a> {
    pub(super) source: &'a str,
    pub(super) batch_id: &'a str,
    pub(super) message_id: &'a str,
    /// What it was counted as; none if it is new to the batch.
    pub(super) old: Option<BatchOutcome>,
    pub(super) new: BatchOutcome,
}

/// What follows from a batch as it stands: whether it is complete, whether a receipt is due, and when. `changed`:
/// something that a receipt says is not what it was.
fn settle(row: &mut Row, changed: bool, now: OffsetDateTime, revise_after: Duration) {
    // A count that does not fit marks the batch, and refuses nobody.
    row.total_count_conflict |= row.total_count.is_some_and(|total| row.tally.seen() > total);
    if row.tally.state(row.total_count, row.closed_at.is_some()) == BatchState::Open {
        return;
    }
    row.completed_at.get_or_insert(now);
    if row.revision == 0 {
        row.due_at.get_or_insert(now);
    } else if changed {
        row.due_at.get_or_insert(now + revise_after);
    }
}

/// Takes a total that was said: the first stands, another marks the batch. Whether it was the first.
fn take_total(row: &mut Row, total_count: i32) -> bool {
    row.total_count_conflict |= row.total_count.is_some_and(|stands| stands != total_count);
    let first = row.total_count.is_none();
    row.total_count.get_or_insert(total_count);
    first
}
