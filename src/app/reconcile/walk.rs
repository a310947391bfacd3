//! The steps: what is read in which order, and handed to the comparisons.

use super::broker::Broker;
use super::history::{self, Tally};
use super::ledger::LedgerWalk;
use super::output::{self, Output};
use super::report::{Check, Finding};
use super::streams::{self, BUCKET, Numbers, RunWalk};
use super::{Unchecked, Watch, letters, outcomes, undelivered};
use crate::config::Settings;
use crate::store::reconcile as read;
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::sync::Arc;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Rows of a page, where rows are small.
pub(super) const PAGE: usize = 20_000;
/// Rows of a page of the ledger: a row can speak of thousands of offsets.
pub(super) const LEDGER_PAGE: i64 = 500;
/// Records of a slice of time.
const SLICE: i64 = 50_000;
/// No transaction lasts longer: time-outs end it long before.
const LONGEST_TRANSACTION: Duration = Duration::minutes(10);

/// What all steps need.
pub(super) struct Walk<'a> {
    pub(super) pool: &'a PgPool,
    pub(super) settings: &'a Settings,
    pub(super) start: OffsetDateTime,
    pub(super) watch: &'a Watch,
}

type Done<T> = Result<T, Unchecked>;

impl Walk<'_> {
    fn cut(&self) -> OffsetDateTime {
        self.start - LONGEST_TRANSACTION
    }

    pub(super) async fn connect(&self) -> Done<Arc<Broker>> {
        let settings = self.settings.clone();
        blocking(move || Ok(Arc::new(Broker::connect(&settings)?))).await
    }

    /// The ledger's rows against each other, and against the ends of the partitions where Kafka is asked.
    pub(super) async fn ledger(
        &self,
        broker: Option<&Arc<Broker>>,
    ) -> Done<(Check, Check, LedgerWalk)> {
        let (mut check, mut accepted) = (Check::new("ledger"), Check::new("lost"));
        let mut walk = LedgerWalk::default();
        let mut after = (String::new(), -1, -1);
        loop {
            let mut connection = self.pool.acquire().await?;
            let key = (after.0.as_str(), after.1, after.2);
            let rows = read::ledger_after(&mut connection, key, LEDGER_PAGE).await?;
            drop(connection);
            let Some(last) = rows.last() else { break };
            after = (last.topic.clone(), last.partition, last.first_offset);
            for row in &rows {
                walk.row(row, &mut check, &mut accepted);
            }
            (self.watch)("ledger", 0);
        }
        if let Some(broker) = broker {
            let (broker, extents) = (Arc::clone(broker), walk.extents.clone());
            check = blocking(move || {
                for extent in &extents {
                    let Some((low, high)) = broker.watermarks(&extent.topic, extent.partition)?
                    else {
                        continue;
                    };
                    extent.judge(low, high, &mut check);
                }
                Ok(check)
            })
            .await?;
        }
        Ok((check, accepted, walk))
    }

    /// The ledger's bytes, and what letters and parked records came to, against what stands for them, slice by slice of
    /// time.
    pub(super) async fn outcomes(&self, latest: Option<OffsetDateTime>) -> Done<Check> {
        let mut check = Check::new("outcomes");
        // What is cleared away during the walk was a day from it at the start.
        let kept_since = self.start - self.settings.inbox.retention + Duration::DAY;
        let until = latest.max(Some(self.start)).unwrap_or(self.start) + Duration::MICROSECOND;
        let mut from = OffsetDateTime::UNIX_EPOCH;
        let mut width = Duration::DAY;
        while from < until {
            let end = until.min(from + width);
            let is_least = width <= Duration::MICROSECOND;
            let limit = if is_least { i64::MAX } else { SLICE };
            let mut tx = read::snapshot(self.pool).await?;
            let offsets = read::offsets_between(&mut tx, from, end).await?;
            let said = if offsets > limit as u64 {
                None
            } else {
                let said = read::said_between(&mut tx, from, end, limit).await?;
                Some(said).filter(|said| is_least || (said.len() as i64) < limit)
            };
            let Some(said) = said else {
                tx.rollback().await?;
                width = Duration::MICROSECOND.max(width / 4);
                continue;
            };
            let ledger = read::ledger_between(&mut tx, from, end).await?;
            let kept = from.max(kept_since);
            let unanswered = read::unanswered_between(&mut tx, kept, end, SLICE).await?;
            tx.rollback().await?;
            for came in &unanswered {
                check.find(letters::unanswered(came));
            }
            let looked_at = said.len() as u64;
            let open = outcomes::compare(&ledger, said, kept_since, &mut check);
            let mut connection = self.pool.acquire().await?;
            let places = open.strays.iter().map(outcomes::place).collect();
            let bytes = read::bytes_at(&mut connection, &places).await?;
            for (said, byte) in open.strays.iter().zip(bytes) {
                if let Some(finding) = outcomes::stray(said, byte) {
                    check.find(finding);
                }
            }
            let places = open.letters.iter();
            let places = places.map(|at| (at.topic.as_str(), at.partition, at.offset)).collect();
            let letters = read::letters_at(&mut connection, &places).await?;
            for (place, letter) in open.letters.iter().zip(letters) {
                if let Some(finding) = outcomes::letter(place, letter.as_deref()) {
                    check.find(finding);
                }
            }
            drop(connection);
            (self.watch)("outcomes", looked_at);
            from = end;
            if offsets.max(looked_at) < SLICE as u64 / 4 {
                width = Duration::days(1_000).min(width * 2);
            }
        }
        Ok(check)
    }

    /// Offsets that were never delivered, read again.
    pub(super) async fn undelivered(
        &self,
        broker: Option<Arc<Broker>>,
    ) -> Done<(Check, Option<Arc<Broker>>)> {
        const NAME: &str = "undelivered";
        let Some(broker) = broker else {
            return Ok((Check::skipped(NAME, "--offline"), None));
        };
        let mut check = Check::new(NAME);
        let mut after = (String::new(), -1, -1);
        loop {
            let mut connection = self.pool.acquire().await?;
            let key = (after.0.as_str(), after.1, after.2);
            let rows = read::ledger_with_after(&mut connection, b'-', key, LEDGER_PAGE).await?;
            drop(connection);
            let Some(last) = rows.last() else { break };
            after = (last.topic.clone(), last.partition, last.first_offset);
            let stretches = undelivered::stretches(&rows);
            let broker = Arc::clone(&broker);
            check = blocking(move || {
                undelivered::read_again(&broker, &stretches, &mut check)?;
                Ok(check)
            })
            .await?;
            (self.watch)(NAME, 0);
        }
        Ok((check, Some(broker)))
    }

    /// Runs against each other and against the outbox; gives what was numbered, by stream.
    pub(super) async fn runs(&self) -> Done<(Check, BTreeMap<i16, Numbers>)> {
        let mut check = Check::new("runs");
        let mut connection = self.pool.acquire().await?;
        let mut walk = RunWalk::new(self.cut(), &read::outbox_ranges(&mut connection).await?);
        // Batches after this one may have rows that were committed after their runs were looked for.
        let last_batch = read::last_batch(&mut connection).await?;
        let mut after = (i16::MIN, i64::MIN);
        loop {
            let page = read::runs_after(&mut connection, after, PAGE as i64 / 4).await?;
            let Some(last) = page.last() else { break };
            after = (last.stream, last.first_seq);
            // Asked after the rows were counted: a range that is there now was there then.
            let ranges = read::outbox_ranges(&mut connection).await?;
            for run in &page {
                walk.run(run, &ranges, &mut check);
            }
            (self.watch)("runs", page.len() as u64);
        }
        for range in read::outbox_ranges(&mut connection).await? {
            let mut low = range.low;
            while low < range.high && last_batch.is_some_and(|last| low <= last) {
                let bucket = low.div_euclid(BUCKET);
                let high = range.high.min((bucket + 1) * BUCKET);
                // A quick sum first. More rows than numbers are a cause to look closely, no finding yet: a batch may
                // have been committed after its runs were walked.
                let rows = read::outbox_rows(&mut connection, low, high).await?;
                let more = |(stream, rows): &(i16, i64)| {
                    *rows > walk.rows.get(&(bucket, *stream)).copied().unwrap_or(0)
                };
                if rows.iter().any(more) {
                    for orphan in read::unnumbered(&mut connection, low, high).await? {
                        let what = format!(
                            "rows of batch {} have no run: they are never published",
                            orphan.batch
                        );
                        check.find(Finding { stream: Some(orphan.stream), ..Finding::new(what) });
                    }
                }
                low = high;
            }
        }
        Ok((check, walk.numbers))
    }

    /// Cursors against runs; gives the output partitions with their cursors.
    pub(super) async fn cursors(&self) -> Done<(Check, Vec<Output>)> {
        let mut check = Check::new("cursors");
        let mut connection = self.pool.acquire().await?;
        let rows = read::cursors(&mut connection).await?;
        streams::cursors(&rows, &mut check);
        let outputs = rows
            .iter()
            .filter_map(|row| {
                let topic = row.topic.as_deref()?;
                Some(Output::new(
                    row.stream,
                    &self.settings.topics.prefix,
                    topic,
                    row.shard?,
                    row.acked?,
                ))
            })
            .collect();
        Ok((check, outputs))
    }

    /// State against history against numbers.
    pub(super) async fn history(
        &self,
        numbers: &BTreeMap<i16, Numbers>,
        references: &mut Check,
    ) -> Done<Check> {
        let mut check = Check::new("history");
        let shards = crate::store::outbox::shards(&mut *self.pool.acquire().await?).await?;
        let mut tally = Tally::new(self.cut(), shards);
        let mut limit = PAGE;
        let mut after = Uuid::nil();
        loop {
            // One snapshot for both tables: a change and its state are of one transaction.
            let mut tx = read::snapshot(self.pool).await?;
            let mut memberships = read::memberships_after(&mut tx, after, limit as i64).await?;
            let mut changes = read::history_after(&mut tx, after, limit as i64).await?;
            tx.rollback().await?;
            let bound = history::bound(&memberships, &changes, limit);
            if bound == Some(Uuid::nil()) {
                limit *= 4;
                continue;
            }
            if let Some(bound) = bound {
                memberships.retain(|row| row.membership_id <= bound);
                changes.retain(|row| row.membership_id <= bound);
            }
            history::compare(&memberships, &changes, &mut check, references);
            history::owners(&memberships, references);
            tally.count(&changes);
            (self.watch)("history", changes.len() as u64);
            let Some(bound) = bound else { break };
            after = bound;
        }
        let mut connection = self.pool.acquire().await?;
        for shard in 0..shards {
            let stream = crate::store::outbox::StreamKind::Membership.stream(shard);
            let before = numbers.get(&stream).copied().unwrap_or_default();
            let next = read::last_number(&mut connection, stream).await? + 1;
            tally.judge(shard as usize, stream, before, next, &mut check);
        }
        Ok(check)
    }

    /// Names and phone numbers against registrants. Each page is one statement, so one snapshot; registrants never go.
    pub(super) async fn references(&self, check: &mut Check) -> Done<()> {
        let mut connection = self.pool.acquire().await?;
        let mut after = (String::new(), String::new(), String::new());
        loop {
            let key = (after.0.as_str(), after.1.as_str(), after.2.as_str());
            let page = read::names_after(&mut connection, key, PAGE as i64).await?;
            check.checked += page.len() as u64;
            (self.watch)("references", page.len() as u64);
            for name in page.iter().filter(|name| !name.has_registrant) {
                let what = match name.registrant_id {
                    None => "a name without owner: a claim that outlived its transaction",
                    Some(_) => "an orphan: the owner of a name does not exist",
                };
                check.find(Finding {
                    registrant_id: name.registrant_id,
                    // The value is a person's (P9); who gave it is not.
                    source: (name.kind == "REFERENCE").then(|| name.scope.clone()),
                    ..Finding::new(what)
                });
            }
            let Some(last) = page.into_iter().next_back() else {
                break;
            };
            after = (last.kind, last.scope, last.value);
        }
        let mut after = (Uuid::nil(), String::new());
        loop {
            let page = read::phone_numbers_after(&mut connection, (after.0, &after.1), PAGE as i64)
                .await?;
            check.checked += page.len() as u64;
            (self.watch)("references", page.len() as u64);
            for phone in page.iter().filter(|phone| !phone.has_registrant) {
                check.find(Finding {
                    registrant_id: Some(phone.registrant_id),
                    ..Finding::new("an orphan: the owner of a phone number does not exist")
                });
            }
            let Some(last) = page.into_iter().next_back() else {
                break;
            };
            after = (last.registrant_id, last.phone_no);
        }
        Ok(())
    }

    /// Output topics counted.
    pub(super) async fn output(
        &self,
        broker: Option<Arc<Broker>>,
        outputs: Vec<Output>,
        full: bool,
    ) -> Done<Check> {
        const NAME: &str = "output";
        let Some(broker) = broker else {
            return Ok(Check::skipped(NAME, "--offline"));
        };
        let watch = Arc::clone(self.watch);
        let (mut check, counted) = blocking(move || {
            let mut check = Check::new(NAME);
            let counted = output::count(&broker, outputs, full, &mut check, |records| {
                watch(NAME, records);
            })?;
            Ok((check, counted))
        })
        .await?;
        let mut connection = self.pool.acquire().await?;
        for counted in &counted {
            let last = read::last_number(&mut connection, counted.output.stream).await?;
            output::judge(counted, last, &mut check);
        }
        Ok(check)
    }
}

/// Does what blocks on a thread for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Done<T> + Send + 'static) -> Done<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) => Err(Unchecked::BrokenOff(ended)),
    }
}
