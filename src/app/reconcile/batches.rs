//! What batches count against the inbox, and against the letters that they hold.

use super::Unchecked;
use super::report::{Check, Finding};
use super::walk::Walk;
use crate::domain::{BatchOutcome, Tally};
use crate::store::batches::{Batch, Place};
use crate::store::reconcile::{self as read, BatchMessage};
use time::Duration;

/// Messages of a page.
const PAGE: usize = 20_000;

impl Walk<'_> {
    /// Counts and digests, batch by batch. Batches older than the inbox cannot be counted again.
    pub(super) async fn batches(&self) -> Result<Check, Unchecked> {
        let mut check = Check::new("batches");
        let kept_since = self.start - self.settings.inbox.retention + Duration::DAY;
        let mut older = 0;
        let mut after = (String::new(), String::new());
        loop {
            let mut connection = self.pool.acquire().await?;
            let next = read::batch_after(&mut connection, (&after.0, &after.1)).await?;
            let Some(next) = next else { break };
            after = next;
            let name @ (source, batch_id) = (after.0.as_str(), after.1.as_str());
            let batch = read::batch(&mut connection, name).await?;
            drop(connection);
            if batch.is_some_and(|batch| batch.row.first_at < kept_since) {
                older += 1;
                continue;
            }
            let mut counted = self.count(name, true).await?;
            for page_by_page in [true, true, false] {
                if counted.misfits().is_empty() {
                    break;
                }
                counted = self.count(name, page_by_page).await?;
            }
            check.checked += counted.tally.seen() as u64;
            for what in counted.misfits() {
                check.find(Finding {
                    source: Some(source.to_owned()),
                    batch_id: Some(batch_id.to_owned()),
                    ..Finding::new(what)
                });
            }
        }
        if older > 0 {
            check.note =
                Some(format!("{older} batches are older than the inbox: not counted again"));
        }
        Ok(check)
    }

    /// A batch counted. Page by page, each under a snapshot of its own, a message that moves meanwhile may be missed or
    /// counted twice, and the digest does not fit then. Under one snapshot that cannot be, since outcomes and counters
    /// move in the same transactions; but with many messages that lasts.
    async fn count(&self, name: (&str, &str), page_by_page: bool) -> Result<Counted, Unchecked> {
        let mut counted = Counted::default();
        let mut last = Place::START;
        let mut tx = read::snapshot(self.pool).await?;
        loop {
            let page = read::batch_messages_after(&mut tx, name, &last, PAGE as i64).await?;
            (self.watch)("batches", page.len() as u64);
            let is_last = page.len() < PAGE;
            last = counted.add(page).unwrap_or(last);
            if is_last {
                counted.batch = read::batch(&mut tx, name).await?;
                tx.rollback().await?;
                return Ok(counted);
            }
            if page_by_page {
                tx.rollback().await?;
                tx = read::snapshot(self.pool).await?;
            }
        }
    }
}

/// What a batch says, and what it should say.
#[derive(Debug, Default)]
struct Counted {
    batch: Option<Batch>,
    tally: Tally,
    letters: i32,
}

impl Counted {
    /// Counts a page; gives the place of its last message.
    fn add(&mut self, page: Vec<BatchMessage>) -> Option<Place> {
        let mut last = None;
        for message in page {
            let byte = message.outcome.bytes().next();
            self.letters += i32::from(byte == Some(b'L'));
            if let Some(outcome) = byte.and_then(BatchOutcome::of_byte) {
                self.tally.change(&message.message_id, None, outcome);
            }
            let BatchMessage { message_id, recorded_at, .. } = message;
            last = Some(Place { recorded_at, message_id });
        }
        last
    }

    /// What does not fit, in words.
    fn misfits(&self) -> Vec<String> {
        let Some(Batch { row, state, .. }) = &self.batch else {
            // Without messages it has been cleared away since it was looked for.
            let is_lost = self.tally.seen() > 0;
            let lost = "the inbox has messages of a batch that is not counted";
            return is_lost.then(|| lost.to_owned()).into_iter().collect();
        };
        let mut misfits = Vec::new();
        for outcome in BatchOutcome::ALL {
            let (says, are) = (row.tally.count(outcome), self.tally.count(outcome));
            if says != are {
                misfits
                    .push(format!("the batch counts {says} {}, there are {are}", outcome.word()));
            }
        }
        if row.letters_held != self.letters {
            let (says, are) = (row.letters_held, self.letters);
            misfits.push(format!("the batch counts {says} held letters, there are {are}"));
        }
        if row.tally.digest != self.tally.digest {
            misfits.push("the digest is not that of the outcomes".to_owned());
        }
        let is = row.tally.state(row.total_count, row.closed_at.is_some()).as_str();
        if row.due_at.is_none() && state != is {
            misfits
                .push(format!("{state} was said of the batch, it is {is}, and no receipt is due"));
        }
        misfits
    }
}
