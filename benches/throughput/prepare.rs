//! The rows that Rollcall will write, made beforehand in memory by its own contract and rules.

use crate::backlog::{Backlog, PARTITIONS, Raw};
use crate::people::{HOUSEHOLDS, PROGRAMS};
use anyhow::{Context as _, Result, bail};
use rollcall::contract::{
    self, ContentFingerprint, Dates, Identity, Intake, Provenance, Schemas, encode, shard,
};
use rollcall::domain::{
    ChangeEvent, Meta, NameKey, Patience, Program, ProgramId, ProgramState, Registrant,
    RegistrantKind, Status, Verdict, WorkingSet, decide, event_id,
};
use rollcall::lifecycle::clock::{Clock as _, SystemClock};
use rollcall::store::outbox::StreamKind;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Everything that is written because of one record.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Vec<u8>,
    pub(crate) meta: Meta,
    pub(crate) fingerprint: ContentFingerprint,
    pub(crate) outcome: &'static str,
    pub(crate) result: Vec<u8>,
    pub(crate) result_id: Uuid,
    pub(crate) result_stream: i16,
    /// The registrant, if the record made it, and its names.
    pub(crate) created: Option<(Registrant, Vec<NameKey>)>,
    pub(crate) events: Vec<Event>,
}

/// An event as it goes to history and outbox.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) change: ChangeEvent,
    pub(crate) id: Uuid,
    pub(crate) key: Vec<u8>,
    pub(crate) stream: i16,
    pub(crate) body: Vec<u8>,
    pub(crate) state_body: Option<Vec<u8>>,
}

/// Larger values do not occur here.
pub(crate) const MAX_RECORD_BYTES: usize = 1 << 20;

/// How dates are read, as in the worker's default.
pub(crate) fn dates() -> Dates {
    Dates { time_zone: jiff::tz::TimeZone::UTC, max_future: Duration::days(366) }
}

/// The programs as they stand in the database.
pub(crate) fn programs() -> Vec<Program> {
    let program = |(code, name): (&str, &str), target_type| Program {
        program_id: ProgramId(Uuid::new_v5(&Uuid::NAMESPACE_OID, code.as_bytes())),
        code: code.to_owned(),
        name: name.to_owned(),
        target_type,
        state: ProgramState::Active,
    };
    let mut all: Vec<_> =
        PROGRAMS.into_iter().map(|one| program(one, RegistrantKind::Individual)).collect();
    all.push(program(HOUSEHOLDS, RegistrantKind::Group));
    all
}

/// Decides the whole backlog. The rows live as long as the process: every run borrows them.
pub(crate) fn prepare(backlog: &Backlog) -> Result<&'static [Prepared]> {
    let schemas = Schemas::embedded();
    let dates = dates();
    let recorded_at = SystemClock.now();
    let mut set = WorkingSet::default();
    for program in programs() {
        set.load_program(program);
    }
    let mut all = Vec::with_capacity(backlog.records.len());
    for raw in &backlog.records {
        all.push(one(raw, &schemas, &dates, recorded_at, &mut set)?);
    }
    Ok(Vec::leak(all))
}

fn one(
    raw: &Raw,
    schemas: &Schemas,
    dates: &Dates,
    recorded_at: OffsetDateTime,
    set: &mut WorkingSet,
) -> Result<Prepared> {
    let timestamp =
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(raw.timestamp) * 1_000_000)?;
    let intake =
        contract::take(schemas, (Some(&raw.value), false), MAX_RECORD_BYTES, timestamp, dates);
    let Intake::Command { meta, command, content } = intake else {
        bail!("a made-up request is refused: {intake:?}")
    };
    let Verdict::Decided(decision) = decide(&meta, &command, set, Patience::Over) else {
        bail!("a made-up request waits for somebody")
    };
    let outcome = match decision.status {
        Status::Applied => "A",
        Status::Unchanged => "U",
        Status::Partial | Status::Rejected => bail!("a made-up request is refused"),
    };
    let identity = Identity::of(&meta);
    let result = encode(&contract::result(&identity, &decision, recorded_at))?;
    let mut events = Vec::with_capacity(decision.events.len());
    for change in decision.events {
        let program = set.program_by_id(change.program_id()).context("an unknown program")?;
        let from = Provenance { meta: &meta, recorded_at };
        let changed = contract::change(&change, program, from);
        let key = changed.membership_id.clone().into_bytes();
        events.push(Event {
            id: event_id(change.membership.membership_id, change.membership.version),
            stream: StreamKind::Membership.stream(shard(&key, PARTITIONS)),
            key,
            body: encode(&changed)?,
            state_body: contract::state(changed).map(|state| encode(&state)).transpose()?,
            change,
        });
    }
    let created = decision
        .registrant_id
        .filter(|_| outcome == "A")
        .and_then(|id| set.registrant(id))
        .map(|made| (made.clone(), made.names().map(|(name, _)| name).collect()));
    Ok(Prepared {
        partition: raw.partition,
        offset: raw.offset,
        key: raw.key.clone(),
        result_id: Uuid::new_v5(&Uuid::NAMESPACE_OID, meta.message_id.as_bytes()),
        result_stream: StreamKind::Results.stream(shard(&raw.key, PARTITIONS)),
        meta,
        fingerprint: content.fingerprint,
        outcome,
        result,
        created,
        events,
    })
}
