//! Save: releases before takes, then what was said, then numbers, then the ledger.

use super::answer::{Answer, Write};
use super::batch::{Passing, Slice};
use super::disposition::Failure;
use super::load::Loaded;
use super::outbound::Outbound;
use super::outcome::outcome_symbol;
use super::park::Moves;
use super::receipts::Counting;
use super::replay::Letters;
use crate::domain::Registrant;
use crate::store::{self, inbox, memberships::History};
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;

/// What one transaction writes.
pub(super) struct Save<'a, 'b> {
    pub(super) loaded: &'b Loaded,
    pub(super) answers: &'b [Answer<'a>],
    pub(super) moves: &'b Moves,
    pub(super) outbound: &'b Outbound<'a>,
    pub(super) counting: &'b Counting<'b>,
    pub(super) slices: &'b [Slice],
    pub(super) letters: &'b Letters<'a>,
    /// Who has the one record passed over, if that is what it is.
    pub(super) passing: Option<&'b Passing>,
    pub(super) batch: i64,
    pub(super) recorded_at: OffsetDateTime,
}

/// How requests come that an operator has applied again, or gives up.
const REPLAY: &str = "REPLAY";

impl Save<'_, '_> {
    /// Names, registrants, memberships.
    pub(super) async fn state(&self, tx: &mut Transaction<'_, Postgres>) -> Result<(), Failure> {
        let changes = self.loaded.name_changes();
        if !changes.released.is_empty() {
            let mut rows = store::names::Rows::default();
            for key in &changes.released {
                rows.push(key, None, None);
            }
            store::names::release(tx, &rows).await?;
        }
        if !changes.updated.is_empty() {
            let mut rows = store::names::Rows::default();
            for (key, owner, expiry_date) in &changes.updated {
                rows.push(key, Some(*owner), *expiry_date);
            }
            store::names::update(tx, &rows).await?;
        }
        let set = &self.loaded.set;
        let mut created: Vec<_> = set.created().collect();
        created.sort_by_key(|registrant| registrant.registrant_id);
        let known: Vec<_> = set.changed().collect();
        if !created.is_empty() {
            store::registrants::insert(tx, &created, self.recorded_at).await?;
        }
        if !known.is_empty() {
            store::registrants::update(tx, &known, self.recorded_at).await?;
        }
        let all: Vec<&Registrant> = created.iter().chain(&known).copied().collect();
        store::registrants::replace_phone_numbers(tx, &known, &all).await?;
        let removed: Vec<_> = set.removed_memberships().map(|id| id.0).collect();
        if !removed.is_empty() {
            store::memberships::delete(tx, &removed).await?;
        }
        let head_kind = set.head_kind();
        store::groups::update(tx, set.updated_places(), head_kind, self.recorded_at).await?;
        store::groups::insert(tx, set.inserted_places(), head_kind, self.recorded_at).await?;
        store::memberships::update(tx, set.updated_memberships(), self.recorded_at).await?;
        store::memberships::insert(tx, set.inserted_memberships(), self.recorded_at).await?;
        Ok(())
    }

    /// History and inbox: with [`Self::state`] all that a request can fail by.
    pub(super) async fn facts(&self, tx: &mut Transaction<'_, Postgres>) -> Result<(), Failure> {
        let history = self.history();
        if !history.membership_ids.is_empty() {
            store::memberships::insert_history(tx, &history, self.recorded_at).await?;
        }
        let new = self.inbox(|write| write == Write::Insert);
        if !new.is_empty() {
            inbox::insert(tx, &new, self.recorded_at).await?;
        }
        let anew = self.inbox(|write| matches!(write, Write::Replace(_)));
        if !anew.is_empty() {
            let previous = self.replaced();
            inbox::replace(tx, &anew, &previous, self.recorded_at).await?;
        }
        let kept = self.inbox(|write| write == Write::Keep);
        if !kept.is_empty() {
            inbox::keep(tx, &kept, self.recorded_at).await?;
        }
        Ok(())
    }

    /// History, inbox, letters, outbox, queues, batches, numbers, ledger. Whether a receipt is due.
    pub(super) async fn said(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        shards: u32,
    ) -> Result<bool, Failure> {
        self.facts(tx).await?;
        self.outbound.insert(tx, self.batch, self.recorded_at).await?;
        // Before batches and streams: records that wait may be locked by a drain, which goes on to these.
        super::queue::save(tx, self.answers, self.moves, self.recorded_at).await?;
        self.letters.save(tx, self.answers, self.moves, self.recorded_at).await?;
        let locked = self.counting.lock(tx, shards, self.recorded_at).await?;
        let first = self.outbound.number(tx, self.batch, self.recorded_at).await?;
        let events = self.outbound.events(&first);
        let due = self.counting.save(tx, locked, events, self.recorded_at).await?;
        self.ledger(tx).await?;
        if let Some(passing) = self.passing {
            passing.save(tx, self.slices, self.recorded_at).await?;
        }
        Ok(due)
    }

    /// The answers that are written so, by key.
    fn sorted(&self, written: impl Fn(Write) -> bool) -> Vec<&Answer<'_>> {
        let mut answers: Vec<_> =
            self.answers.iter().filter(|answer| written(answer.write)).collect();
        answers.sort_by_key(|answer| {
            answer.identity.as_ref().map(|identity| (&identity.source, &identity.message_id))
        });
        answers
    }

    fn replaced(&self) -> Vec<i32> {
        self.sorted(|write| matches!(write, Write::Replace(_)))
            .iter()
            .filter_map(|answer| match answer.write {
                Write::Replace(attempt) => Some(attempt),
                Write::None | Write::Insert | Write::Keep => None,
            })
            .collect()
    }

    fn inbox(&self, written: impl Fn(Write) -> bool) -> inbox::Rows<'_> {
        let mut rows = inbox::Rows::default();
        for answer in self.sorted(written) {
            let (Some(identity), Some(fingerprint), Some(result)) =
                (&answer.identity, &answer.fingerprint, &answer.result)
            else {
                continue;
            };
            rows.sources.push(&identity.source);
            rows.message_ids.push(&identity.message_id);
            rows.attempts.push(identity.attempt);
            rows.fingerprints.push(&fingerprint.0);
            rows.statuses.push(answer.status);
            rows.outcomes.push(outcome_symbol(answer.outcome));
            rows.results.push(result);
            rows.batch_ids.push(self.counting.batch_of(identity));
            let (topic, partition, offset) = answer.record.coordinates();
            rows.channels.push(Self::channel(answer));
            rows.topics.push(topic);
            rows.partitions.push(partition);
            rows.offsets.push(offset);
        }
        rows
    }

    /// How its request came; what a replay frees came as it did.
    fn channel(answer: &Answer<'_>) -> &'static str {
        if answer.of_letter.is_some() { REPLAY } else { answer.record.channel() }
    }

    fn history(&self) -> History<'_> {
        let mut rows = History::default();
        for answer in self.answers {
            let Some(meta) = answer.meta else { continue };
            for event in &answer.events {
                let membership = &event.membership;
                rows.membership_ids.push(membership.membership_id.0);
                rows.versions.push(membership.version);
                rows.changes.push(event.change.as_str());
                rows.previous_states.push(event.previous_state.map(crate::domain::State::as_str));
                rows.states.push(event.present.then(|| membership.state.as_str()));
                rows.spells.push(membership.spell);
                rows.registrant_ids.push(membership.registrant_id.0);
                rows.program_ids.push(membership.program_id.0);
                rows.enrollment_dates.push(membership.enrollment_date);
                rows.exit_dates.push(membership.exit_date);
                rows.effective_dates.push(event.effective_date);
                rows.reason_codes.push(event.reason_code.as_deref());
                rows.reason_notes.push(event.reason_note.as_deref());
                rows.sources.push(&meta.source);
                rows.message_ids.push(&meta.message_id);
                rows.actors.push(meta.actor.as_deref());
                rows.batch_ids.push(meta.batch.as_ref().map(|batch| batch.batch_id.as_str()));
                let (topic, partition, offset) = answer.record.coordinates();
                rows.channels.push(Self::channel(answer));
                rows.topics.push(topic);
                rows.partitions.push(partition);
                rows.offsets.push(offset);
                rows.occurred.push(meta.sent_at);
                let payee = event.payee.as_ref().map(|payee| payee.registrant.registrant_id.0);
                rows.payee_ids.push(payee);
            }
        }
        rows
    }

    /// One byte an offset: what became of its record, or that none was delivered (P2).
    async fn ledger(&self, tx: &mut Transaction<'_, Postgres>) -> Result<(), Failure> {
        let mut slices: Vec<_> = self.slices.iter().collect();
        slices.sort_by(|a, b| a.at.cmp(&b.at));
        let mut rows = store::intake::LedgerRows::default();
        for slice in slices {
            let mut outcomes = vec![b'-'; (slice.next_offset - slice.first_offset) as usize];
            // What came out of the queue was parked when its byte was written.
            let here =
                |answer: &&Answer<'_>| answer.record.at == slice.at && !answer.parking.has_waited();
            for answer in self.answers.iter().filter(here) {
                let at = usize::try_from(answer.record.offset - slice.first_offset).ok();
                if let Some(byte) = at.and_then(|at| outcomes.get_mut(at)) {
                    *byte = answer.outcome;
                }
            }
            rows.topics.push(&slice.at.topic);
            rows.partitions.push(slice.at.partition);
            rows.first_offsets.push(slice.first_offset);
            rows.next_offsets.push(slice.next_offset);
            rows.fences.push(slice.fence);
            rows.outcomes.push(outcomes);
        }
        if rows.topics.is_empty() {
            return Ok(());
        }
        Ok(store::intake::insert_ledger(tx, &rows, self.recorded_at).await?)
    }
}
