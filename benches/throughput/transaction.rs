//! Prepared rows, a column an element, by the statements of the store.

use crate::prepare::Prepared;
use anyhow::Result;
use rollcall::domain::{Membership, Registrant, State};
use rollcall::lifecycle::clock::{Clock as _, SystemClock};
use rollcall::store::{inbox, intake, memberships, outbox, registrants};
use sqlx::{Postgres, Transaction};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The topic of history, inbox and ledger.
const TOPIC: &str = "rollcall.enrollment-requests";

/// What one transaction writes.
#[derive(Debug, Default)]
pub(crate) struct Rows<'a> {
    batch: i64,
    names: Names<'a>,
    registrants: Vec<&'a Registrant>,
    memberships: Vec<&'a Membership>,
    history: memberships::History<'a>,
    inbox: inbox::Rows<'a>,
    outbox: outbox::Rows<'a>,
    /// Streams, first numbers, counts.
    runs: (Vec<i16>, Vec<i64>, Vec<i32>),
    ledger: intake::LedgerRows<'a>,
}

/// Names, a column an element. Rollcall's own statement also looks for names that are taken.
#[derive(Debug, Default)]
struct Names<'a> {
    kinds: Vec<&'a str>,
    scopes: Vec<&'a str>,
    values: Vec<&'a str>,
    owners: Vec<Uuid>,
}

impl Names<'_> {
    async fn insert(&self, tx: &mut Transaction<'_, Postgres>) -> Result<()> {
        sqlx::query(
            "INSERT INTO names (kind, scope, value, registrant_id)
             SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::uuid[])",
        )
        .bind(&self.kinds)
        .bind(&self.scopes)
        .bind(&self.values)
        .bind(&self.owners)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

/// The next number of each stream: counted here, so that no connection waits for another's lock.
#[derive(Debug, Default)]
pub(crate) struct Numbers(BTreeMap<i16, i64>);

impl<'a> Rows<'a> {
    /// The rows of these records, without numbers and positions. They are sorted as the worker sorts them.
    pub(crate) fn of(records: &'a [Prepared], batch: i64) -> Self {
        let mut rows = Self { batch, ..Self::default() };
        let mut keys: Vec<_> = records
            .iter()
            .filter_map(|record| record.created.as_ref())
            .flat_map(|(made, names)| names.iter().map(|name| (name, made.registrant_id.0)))
            .collect();
        keys.sort();
        for (name, owner) in keys {
            rows.names.kinds.push(name.kind.as_str());
            rows.names.scopes.push(&name.scope);
            rows.names.values.push(&name.value);
            rows.names.owners.push(owner);
        }
        rows.registrants.extend(records.iter().filter_map(|r| Some(&r.created.as_ref()?.0)));
        rows.registrants.sort_by_key(|made| made.registrant_id);
        rows.memberships
            .extend(records.iter().flat_map(|r| &r.events).map(|event| &event.change.membership));
        rows.memberships.sort_by_key(|made| made.membership_id);
        for record in records {
            rows.history_of(record);
        }
        let mut sorted: Vec<_> = records.iter().collect();
        sorted.sort_by_key(|record| &record.meta.message_id);
        for record in sorted {
            rows.inbox_of(record);
        }
        rows.outbox_of(records);
        rows
    }

    /// With numbers and positions.
    pub(crate) fn numbered(mut self, records: &'a [Prepared], numbers: &mut Numbers) -> Self {
        let mut counts: BTreeMap<i16, i32> = BTreeMap::new();
        for stream in &self.outbox.streams {
            *counts.entry(*stream).or_default() += 1;
        }
        for (stream, count) in counts {
            let next = numbers.0.entry(stream).or_insert(1);
            self.runs.0.push(stream);
            self.runs.1.push(*next);
            self.runs.2.push(count);
            *next += i64::from(count);
        }
        let mut slices: BTreeMap<i32, (i64, Vec<u8>)> = BTreeMap::new();
        for record in records {
            let slice =
                slices.entry(record.partition).or_insert_with(|| (record.offset, Vec::new()));
            slice.1.extend_from_slice(record.outcome.as_bytes());
        }
        for (partition, (first, outcomes)) in slices {
            self.ledger.topics.push(TOPIC);
            self.ledger.partitions.push(partition);
            self.ledger.first_offsets.push(first);
            self.ledger.next_offsets.push(first + outcomes.len() as i64);
            self.ledger.fences.push(Uuid::NAMESPACE_OID);
            self.ledger.outcomes.push(outcomes);
        }
        self
    }

    fn history_of(&mut self, record: &'a Prepared) {
        let rows = &mut self.history;
        for event in &record.events {
            let membership = &event.change.membership;
            rows.membership_ids.push(membership.membership_id.0);
            rows.versions.push(membership.version);
            rows.changes.push(event.change.change.as_str());
            rows.previous_states.push(event.change.previous_state.map(State::as_str));
            rows.states.push(Some(membership.state.as_str()));
            rows.spells.push(membership.spell);
            rows.registrant_ids.push(membership.registrant_id.0);
            rows.program_ids.push(membership.program_id.0);
            rows.enrollment_dates.push(membership.enrollment_date);
            rows.exit_dates.push(None);
            rows.effective_dates.push(event.change.effective_date);
            rows.reason_codes.push(None);
            rows.reason_notes.push(None);
            rows.sources.push(&record.meta.source);
            rows.message_ids.push(&record.meta.message_id);
            rows.actors.push(None);
            rows.batch_ids.push(None);
            rows.topics.push(Some(TOPIC));
            rows.partitions.push(Some(record.partition));
            rows.offsets.push(Some(record.offset));
            rows.occurred.push(record.meta.sent_at);
            rows.channels.push("KAFKA");
        }
    }

    fn inbox_of(&mut self, record: &'a Prepared) {
        let rows = &mut self.inbox;
        rows.sources.push(&record.meta.source);
        rows.message_ids.push(&record.meta.message_id);
        rows.attempts.push(record.meta.attempt);
        rows.fingerprints.push(&record.fingerprint.0);
        rows.statuses.push("SUCCEEDED");
        rows.outcomes.push(record.outcome);
        rows.results.push(&record.result);
        rows.batch_ids.push(None);
        rows.topics.push(Some(TOPIC));
        rows.partitions.push(Some(record.partition));
        rows.offsets.push(Some(record.offset));
        rows.channels.push("KAFKA");
    }

    fn outbox_of(&mut self, records: &'a [Prepared]) {
        let mut sorted = Vec::with_capacity(records.len() * 2);
        for record in records {
            let result = (record.result_id, &record.key, &record.result, None);
            sorted.push((record.result_stream, result, record));
            for event in &record.events {
                let said = (event.id, &event.key, &event.body, event.state_body.as_deref());
                sorted.push((event.stream, said, record));
            }
        }
        sorted.sort_by_key(|row| row.0);
        let rows = &mut self.outbox;
        for (stream, (id, key, body, state_body), record) in sorted {
            let position = match (rows.streams.last(), rows.positions.last()) {
                (Some(last), Some(position)) if *last == stream => position + 1,
                _ => 0,
            };
            rows.streams.push(stream);
            rows.positions.push(position);
            rows.ids.push(id);
            rows.keys.push(Some(key));
            rows.causes.push(&record.meta.message_id);
            rows.traceparents.push(None);
            rows.bodies.push(Some(body));
            rows.state_bodies.push(state_body);
        }
    }

    /// Writes them; the caller commits.
    pub(crate) async fn write(&self, tx: &mut Transaction<'_, Postgres>) -> Result<()> {
        let now = SystemClock.now();
        if !self.registrants.is_empty() {
            self.names.insert(tx).await?;
            registrants::insert(tx, &self.registrants, now).await?;
            memberships::insert(tx, self.memberships.iter().copied(), now).await?;
            memberships::insert_history(tx, &self.history, now).await?;
        }
        inbox::insert(tx, &self.inbox, now).await?;
        outbox::insert(tx, self.batch, &self.outbox).await?;
        if !self.runs.0.is_empty() {
            let (streams, firsts, counts) = &self.runs;
            sqlx::query(
                "INSERT INTO outbox_runs (stream, first_seq, count, batch, recorded_at)
                 SELECT run.*, $4, $5 FROM UNNEST($1::smallint[], $2::bigint[], $3::int[]) AS run",
            )
            .bind(streams)
            .bind(firsts)
            .bind(counts)
            .bind(self.batch)
            .bind(now)
            .execute(&mut **tx)
            .await?;
            intake::insert_ledger(tx, &self.ledger, now).await?;
        }
        Ok(())
    }
}
