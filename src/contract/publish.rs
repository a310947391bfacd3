//! Decisions and changes to the messages that are published.

use super::intake::Identity;
use super::wire::{
    Change as WireChange, Held, HeldWhy, IdentifierRef, MembershipChanged, MembershipState,
    MembershipStatus, Outcome, Payee as WirePayee, ProgramRef, PublishedRegistrant, RegistrantKind,
    RequestResult, ResultError, ResultItem, ResultStatus,
};
use crate::domain::{
    self, Change, ChangeEvent, Decision, Fault, ItemOutcome, Meta, Payee, Program, Reason, State,
    Status, event_id,
};
use time::OffsetDateTime;
use uuid::Uuid;

/// Where a change comes from, as its event says it.
#[derive(Debug, Clone, Copy)]
pub struct Provenance<'a> {
    /// The request.
    pub meta: &'a Meta,
    /// The time of the transaction.
    pub recorded_at: OffsetDateTime,
}

/// Errors that a result lists at most, so that it is never larger than what Kafka takes; the items tell of all.
const MAX_ERRORS: usize = 2_000;

/// The result of a decided request.
pub fn result(
    identity: &Identity,
    decision: &Decision,
    recorded_at: OffsetDateTime,
) -> RequestResult {
    RequestResult {
        message_id: identity.shown_message_id().to_owned(),
        source: identity.shown_source().to_owned(),
        attempt: identity.attempt,
        batch_id: identity.batch_id.clone(),
        status: published_status(decision.status),
        r#final: true,
        duplicate: false,
        held: None::<Held>,
        registrant_id: decision.registrant_id.map(|id| id.0.to_string()),
        recorded_at: recorded_at.into(),
        errors: decision
            .faults
            .iter()
            .take(MAX_ERRORS)
            .map(|fault| ResultError {
                pointer: fault.pointer.clone(),
                code: fault.reason.code().to_owned(),
                detail: fault.reason.detail().to_owned(),
            })
            .collect(),
        items: decision.items.iter().map(item).collect(),
    }
}

/// The result of a request that is refused for these reasons before anything decides about it.
pub fn refused(
    identity: &Identity,
    faults: impl IntoIterator<Item = (String, Reason)>,
    recorded_at: OffsetDateTime,
) -> RequestResult {
    let fault = |(pointer, reason): (String, Reason)| Fault::at(&pointer, reason);
    let decision = Decision::rejected(faults.into_iter().map(fault).collect());
    result(identity, &decision, recorded_at)
}

/// The result of a request that a letter holds, as far as that is known of one that may be unreadable.
pub fn dead_lettered(
    (source, message_id): (&str, &str),
    batch_id: Option<String>,
    letter_id: Option<Uuid>,
    recorded_at: OffsetDateTime,
) -> RequestResult {
    RequestResult {
        message_id: message_id.to_owned(),
        source: source.to_owned(),
        attempt: 1,
        batch_id,
        status: ResultStatus::Held,
        r#final: false,
        duplicate: false,
        held: Some(Held {
            why: HeldWhy::DeadLettered,
            letter_id: letter_id.map(|id| id.to_string()),
        }),
        registrant_id: None,
        recorded_at: recorded_at.into(),
        errors: Vec::new(),
        items: Vec::new(),
    }
}

fn item(item: &domain::ItemDecision) -> ResultItem {
    let (membership_id, state, version) = match item.membership {
        Some((id, state, version)) => (Some(id.0.to_string()), state.map(status), Some(version)),
        None => (None, None, None),
    };
    ResultItem {
        pointer: item.pointer.clone(),
        program: item.program.clone(),
        registrant_id: item.registrant_id.map(|id| id.0.to_string()),
        membership_id,
        state,
        version,
        outcome: match item.outcome {
            ItemOutcome::Applied => Outcome::Applied,
            ItemOutcome::Unchanged => Outcome::Unchanged,
            ItemOutcome::Rejected => Outcome::Rejected,
        },
        code: item.reason.code().to_owned(),
    }
}

/// The event of a change.
pub fn change(event: &ChangeEvent, program: &Program, from: Provenance<'_>) -> MembershipChanged {
    let membership = &event.membership;
    MembershipChanged {
        event_id: event_id(membership.membership_id, membership.version).to_string(),
        membership_id: membership.membership_id.0.to_string(),
        version: membership.version,
        change: symbol(event.change),
        previous_state: event.previous_state.map(status),
        state: event.present.then(|| status(membership.state)),
        spell: membership.spell,
        program: program_ref(program),
        registrant: registrant(&event.registrant),
        payee: event.payee.as_ref().map(payee),
        enrollment_date: membership.enrollment_date.map(Into::into),
        exit_date: membership.exit_date.map(Into::into),
        effective_date: event.effective_date.into(),
        reason_code: event.reason_code.clone(),
        source: from.meta.source.clone(),
        message_id: from.meta.message_id.clone(),
        batch_id: from.meta.batch.as_ref().map(|batch| batch.batch_id.clone()),
        occurred_at: from.meta.sent_at.into(),
        recorded_at: from.recorded_at.into(),
    }
}

/// The state after a change: the facts of its event as of now; none after a removal.
pub fn state(changed: MembershipChanged) -> Option<MembershipState> {
    Some(MembershipState {
        state: changed.state?,
        membership_id: changed.membership_id,
        version: changed.version,
        event_id: changed.event_id,
        spell: changed.spell,
        program: changed.program,
        registrant: changed.registrant,
        payee: changed.payee,
        enrollment_date: changed.enrollment_date,
        exit_date: changed.exit_date,
        effective_date: changed.effective_date,
        reason_code: changed.reason_code,
        source: changed.source,
        message_id: changed.message_id,
        batch_id: changed.batch_id,
        occurred_at: changed.occurred_at,
        recorded_at: changed.recorded_at,
    })
}

fn program_ref(program: &Program) -> ProgramRef {
    ProgramRef {
        program_id: program.program_id.0.to_string(),
        code: program.code.clone(),
        name: program.name.clone(),
    }
}

fn registrant(given: &domain::PublishedRegistrant) -> PublishedRegistrant {
    let (source, reference) = given.reference.clone().unzip();
    PublishedRegistrant {
        registrant_id: given.registrant_id.0.to_string(),
        kind: kind(given.kind),
        source,
        reference,
        ids: ids(given),
    }
}

fn payee(given: &Payee) -> WirePayee {
    let (source, reference) = given.registrant.reference.clone().unzip();
    WirePayee {
        registrant_id: given.registrant.registrant_id.0.to_string(),
        kind: kind(given.registrant.kind),
        source,
        reference,
        ids: ids(&given.registrant),
        payment_address: given.payment_address.clone(),
        disabled: given.disabled,
    }
}

fn ids(given: &domain::PublishedRegistrant) -> Vec<IdentifierRef> {
    given
        .ids
        .iter()
        .map(|(id_type, value)| IdentifierRef { id_type: id_type.clone(), value: value.clone() })
        .collect()
}

const fn kind(kind: domain::RegistrantKind) -> RegistrantKind {
    match kind {
        domain::RegistrantKind::Individual => RegistrantKind::Individual,
        domain::RegistrantKind::Group => RegistrantKind::Group,
    }
}

/// The status of a result, for a decision.
pub const fn published_status(status: Status) -> ResultStatus {
    match status {
        Status::Applied | Status::Unchanged => ResultStatus::Succeeded,
        Status::Partial => ResultStatus::Partial,
        Status::Rejected => ResultStatus::Rejected,
    }
}

const fn status(state: State) -> MembershipStatus {
    match state {
        State::Draft => MembershipStatus::Draft,
        State::Enrolled => MembershipStatus::Enrolled,
        State::Paused => MembershipStatus::Paused,
        State::Exited => MembershipStatus::Exited,
        State::NotEligible => MembershipStatus::NotEligible,
        State::Duplicated => MembershipStatus::Duplicated,
    }
}

const fn symbol(change: Change) -> WireChange {
    match change {
        Change::Enrolled => WireChange::Enrolled,
        Change::Drafted => WireChange::Drafted,
        Change::Paused => WireChange::Paused,
        Change::Resumed => WireChange::Resumed,
        Change::Exited => WireChange::Exited,
        Change::NotEligible => WireChange::NotEligible,
        Change::Duplicated => WireChange::Duplicated,
        Change::Reset => WireChange::Reset,
        Change::Reenrolled => WireChange::Reenrolled,
        Change::Corrected => WireChange::Corrected,
        Change::Removed => WireChange::Removed,
        Change::PayeeChanged => WireChange::PayeeChanged,
    }
}
