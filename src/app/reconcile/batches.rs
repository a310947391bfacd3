//! What batches count against the inbox, and against the letters that they hold.

use super::Unchecked;
use super::report::{Check, Finding};
use super::walk::Walk;
use crate::domain::{BatchOutcome, Tally};
use crate::store::batches::{Place, Row};
use crate::store::reconcile::{self as read, BatchMessage};
use time::Duration;

/// Messages of a page.
const PAGE: usize = 20_000;

impl Walk<'_> {
    /// Counts and digests, batch by batch, each under a snapshot of its own: outcomes and counters move in the same
    /// transactions. Batches older than the inbox cannot be counted again.
    pub(super) async fn batches(&self) -> Result<Check, Unchecked> {
        let mut check = Check::new("batches");
        let kept_since = self.start - self.settings.inbox.retention + Duration::DAY;
        let mut older = 0;
        let mut after = (String::new(), String::new());
        loop {
            let mut tx = read::snapshot(self.pool).await?;
            let Some(next) = read::batch_after(&mut tx, (&after.0, &after.1)).await? else { break };
            after = next;
            let name = (after.0.as_str(), after.1.as_str());
            let row = read::batch(&mut tx, name).await?;
            if row.as_ref().is_some_and(|row| row.first_at < kept_since) {
                older += 1;
                continue;
            }
            let mut counted = Counted::default();
            let mut last = Place::START;
            loop {
                let page = read::batch_messages_after(&mut tx, name, &last, PAGE as i64).await?;
                (self.watch)("batches", page.len() as u64);
                let whole = page.len() < PAGE;
                last = counted.add(page).unwrap_or(last);
                if whole {
                    break;
                }
            }
            tx.rollback().await?;
            judge(name, row.as_ref(), &counted, &mut check);
        }
        if older > 0 {
            check.note =
                Some(format!("{older} batches are older than the inbox: not counted again"));
        }
        Ok(check)
    }
}

/// What a batch should say.
#[derive(Debug, Default)]
struct Counted {
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
}

fn judge(
    (source, batch_id): (&str, &str),
    row: Option<&Row>,
    counted: &Counted,
    check: &mut Check,
) {
    check.checked += counted.tally.seen() as u64;
    let mut find = |what: String| {
        check.find(Finding {
            source: Some(source.to_owned()),
            batch_id: Some(batch_id.to_owned()),
            ..Finding::new(what)
        });
    };
    let Some(row) = row else {
        return find("the inbox has messages of a batch that is not counted".to_owned());
    };
    for outcome in BatchOutcome::ALL {
        let (says, are) = (row.tally.count(outcome), counted.tally.count(outcome));
        if says != are {
            find(format!("the batch counts {says} {}, there are {are}", outcome.word()));
        }
    }
    if row.letters_held != counted.letters {
        let (says, are) = (row.letters_held, counted.letters);
        find(format!("the batch counts {says} held letters, there are {are}"));
    }
    if row.tally.digest != counted.tally.digest {
        find("the digest is not that of the outcomes".to_owned());
    }
}
