//! What a batch publishes: rows of the outbox by stream, numbered last.

use super::answer::Answer;
use super::batch::Record;
use super::disposition::Failure;
use crate::contract::{self, Identity, Provenance, encode, named_fingerprint, shard};
use crate::domain::{WorkingSet, event_id};
use crate::store::{
    self, letters,
    outbox::{self, StreamKind},
};
use crate::telemetry::TraceParent;
use sqlx::{Postgres, Transaction};
use std::borrow::Cow;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// A record to publish.
struct Row<'a> {
    stream: i16,
    /// The place of the answer whose event it is; none for a result.
    event_of: Option<usize>,
    id: Uuid,
    key: Option<Cow<'a, [u8]>>,
    cause: String,
    traceparent: Option<&'a str>,
    body: Vec<u8>,
    state_body: Option<Vec<u8>>,
}

/// The number that an event got.
#[derive(Debug, Clone, Copy)]
pub(super) struct EventNumber {
    /// The place of its answer.
    pub(super) answer: usize,
    /// Of the membership stream.
    pub(super) shard: usize,
    pub(super) sequence: i64,
}

/// A dead letter to store and publish.
struct Letter<'a> {
    stream: i16,
    answer: usize,
    record: &'a Record,
}

/// Everything that a batch publishes, sorted by stream; within a stream in the order of arrival.
pub(super) struct Outbound<'a> {
    rows: Vec<Row<'a>>,
    letters: Vec<Letter<'a>>,
    letter_rows: letters::Rows<'a>,
    published_letters: letters::OutboxRows<'a>,
    counts: BTreeMap<i16, i32>,
}

/// A membership's program that was not loaded with it: an event would be lost.
const UNKNOWN_PROGRAM: store::Error =
    store::Error::Inconsistent { table: "memberships", column: "program_id" };

/// The key by which a record without one is spread.
fn shard_of(record: &Record, shards: u32) -> u32 {
    if let Some(key) = &record.key {
        return shard(key, shards);
    }
    let coordinates = format!("{}-{}-{}", record.at.topic, record.at.partition, record.offset);
    shard(coordinates.as_bytes(), shards)
}

fn traceparent(record: &Record) -> Option<&str> {
    let header = record.header("traceparent")?;
    TraceParent::parse(header).ok()?;
    std::str::from_utf8(header).ok()
}

impl<'a> Outbound<'a> {
    /// Encodes what the answers say.
    pub(super) fn build(
        answers: &[Answer<'a>],
        set: &WorkingSet,
        shards: u32,
        recorded_at: OffsetDateTime,
    ) -> Result<Self, Failure> {
        let mut rows = Vec::with_capacity(answers.len() * 2);
        let mut letters = Vec::new();
        for (index, answer) in answers.iter().enumerate() {
            let record = answer.record;
            let traceparent = traceparent(record);
            if let (Some(body), Some(identity)) = (&answer.result, &answer.identity) {
                rows.push(Row {
                    stream: StreamKind::Results.stream(shard_of(record, shards)),
                    event_of: None,
                    id: answer.result_id,
                    key: record.key.as_deref().map(Cow::Borrowed),
                    cause: identity.shown_message_id().to_owned(),
                    traceparent,
                    body: body.clone(),
                    state_body: None,
                });
            }
            if let Some(meta) = answer.meta {
                for event in &answer.events {
                    let program = set.program_by_id(event.program_id()).ok_or(UNKNOWN_PROGRAM)?;
                    let from = Provenance { meta, recorded_at };
                    let changed = contract::change(event, program, from);
                    let body = encode(&changed)?;
                    let key = changed.membership_id.clone().into_bytes();
                    let state = contract::state(changed).map(|state| encode(&state)).transpose()?;
                    rows.push(Row {
                        stream: StreamKind::Membership.stream(shard(&key, shards)),
                        event_of: Some(index),
                        id: event_id(event.membership.membership_id, event.membership.version),
                        key: Some(Cow::Owned(key)),
                        cause: meta.message_id.clone(),
                        traceparent,
                        body,
                        state_body: state,
                    });
                }
            }
            // One that was a letter before is one again, and no new one.
            if answer.letter.is_some() && answer.of_letter.is_none() {
                let stream = StreamKind::DeadLetters.stream(shard_of(record, shards));
                letters.push(Letter { stream, answer: index, record });
            }
        }
        rows.sort_by_key(|row| row.stream);
        letters.sort_by_key(|letter| letter.stream);
        let mut counts = BTreeMap::new();
        for stream in rows.iter().map(|row| row.stream).chain(letters.iter().map(|l| l.stream)) {
            *counts.entry(stream).or_insert(0) += 1;
        }
        let mut outbound = Self {
            rows,
            letters,
            letter_rows: letters::Rows::default(),
            published_letters: letters::OutboxRows::default(),
            counts,
        };
        outbound.letters(answers, recorded_at);
        Ok(outbound)
    }

    /// Inserts rows and letters.
    pub(super) async fn insert(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        batch: i64,
        recorded_at: OffsetDateTime,
    ) -> Result<(), Failure> {
        if !self.rows.is_empty() {
            outbox::insert(tx, batch, &self.outbox_rows()).await?;
        }
        if !self.letters.is_empty() {
            letters::insert(tx, &self.letter_rows, recorded_at).await?;
            letters::publish(tx, batch, &self.published_letters).await?;
        }
        Ok(())
    }

    /// Under the lock of the streams, the numbers of what was inserted: each stream's first.
    pub(super) async fn number(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        batch: i64,
        recorded_at: OffsetDateTime,
    ) -> Result<BTreeMap<i16, i64>, Failure> {
        let (streams, counts): (Vec<i16>, Vec<i32>) = self.counts.iter().unzip();
        if streams.is_empty() {
            return Ok(BTreeMap::new());
        }
        outbox::lock_streams(tx, &streams).await?;
        Ok(outbox::append_runs(tx, batch, &streams, &counts, recorded_at).await?)
    }

    /// The events with their numbers, by each stream's first.
    pub(super) fn events(&self, first: &BTreeMap<i16, i64>) -> impl Iterator<Item = EventNumber> {
        let mut position = Positions::default();
        self.rows.iter().filter_map(move |row| {
            let place = position.next(row.stream);
            Some(EventNumber {
                answer: row.event_of?,
                shard: usize::try_from(row.stream - StreamKind::Membership.stream(0)).ok()?,
                sequence: first.get(&row.stream)? + i64::from(place),
            })
        })
    }

    fn outbox_rows(&self) -> outbox::Rows<'_> {
        let mut columns = outbox::Rows::default();
        let mut position = Positions::default();
        for row in &self.rows {
            columns.streams.push(row.stream);
            columns.positions.push(position.next(row.stream));
            columns.ids.push(row.id);
            columns.keys.push(row.key.as_deref());
            columns.causes.push(&row.cause);
            columns.traceparents.push(row.traceparent);
            columns.bodies.push(Some(&row.body));
            columns.state_bodies.push(row.state_body.as_deref());
        }
        columns
    }

    fn letters(&mut self, answers: &[Answer<'a>], recorded_at: OffsetDateTime) {
        let mut position = Positions::default();
        for (index, letter) in self.letters.iter().enumerate() {
            let Some(answer) = answers.get(letter.answer) else { continue };
            let Some((letter_id, cause)) = &answer.letter else { continue };
            let record = letter.record;
            let rows = &mut self.letter_rows;
            rows.letter_ids.push(*letter_id);
            rows.classes.push(cause.class.as_str());
            rows.stages.push(cause.stage.as_str());
            rows.codes.push(cause.code);
            rows.details.push(cause.detail);
            rows.attempts.push(1);
            rows.topics.push(&record.at.topic);
            rows.partitions.push(record.at.partition);
            rows.offsets.push(record.offset);
            rows.record_timestamps.push(record.timestamp);
            rows.keys.push(record.key.as_deref());
            rows.values.push(record.value.as_deref());
            let said = answer.identity.as_ref();
            let of = |said: Option<&str>, header| {
                said.map(|text| text.as_bytes().to_vec())
                    .or_else(|| record.header(header).map(<[u8]>::to_vec))
            };
            rows.sources.push(of(said.map(Identity::shown_source), "ce_source"));
            rows.message_ids.push(of(said.map(Identity::shown_message_id), "ce_id"));
            rows.batch_ids.push(of(said.and_then(|said| said.batch_id.as_deref()), "ce_batchid"));
            rows.schemas.push(
                record.value.as_deref().and_then(named_fingerprint).map(|print| print.to_vec()),
            );
            let published = &mut self.published_letters;
            published.streams.push(letter.stream);
            published.positions.push(position.next(letter.stream));
            published.letter_ids.push(*letter_id);
            published.keys.push(record.key.as_deref());
            published.bodies.push(record.value.as_deref());
            for (name, value) in &record.headers {
                rows.headers.push(index as i32, name, value.as_deref());
                published.headers.push(index as i32, name, value.as_deref());
            }
            for (name, value) in provenance(record, *letter_id, cause, recorded_at) {
                let name = format!("rollcall.dlq.{name}");
                published.headers.push(index as i32, name.as_bytes(), Some(value.as_bytes()));
            }
        }
    }
}

/// What a letter's own headers say; the numbers are added when it is published.
fn provenance(
    record: &Record,
    letter_id: Uuid,
    cause: &contract::Unreadable,
    recorded_at: OffsetDateTime,
) -> [(&'static str, String); 11] {
    let time = |time: OffsetDateTime| {
        let millis = time.replace_nanosecond(u32::from(time.millisecond()) * 1_000_000);
        millis.unwrap_or(time).format(&Rfc3339).unwrap_or_default()
    };
    [
        ("id", letter_id.to_string()),
        ("class", cause.class.as_str().to_owned()),
        ("stage", cause.stage.as_str().to_owned()),
        ("code", cause.code.to_owned()),
        ("attempts", "1".to_owned()),
        ("topic", record.at.topic.to_string()),
        ("partition", record.at.partition.to_string()),
        ("offset", record.offset.to_string()),
        ("timestamp", time(record.timestamp)),
        ("first-failed-at", time(recorded_at)),
        ("build", env!("CARGO_PKG_VERSION").to_owned()),
    ]
}

/// Places within the runs of streams; the rows come sorted by stream.
#[derive(Default)]
struct Positions {
    stream: i16,
    next: i32,
}

impl Positions {
    fn next(&mut self, stream: i16) -> i32 {
        if self.stream != stream {
            *self = Self { stream, next: 0 };
        }
        self.next += 1;
        self.next - 1
    }
}
