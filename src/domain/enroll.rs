//! The rules of an enrollment.

use super::{
    Change, ChangeEvent, Decision, Enrollment, Fault, ItemDecision, ItemOutcome, Membership, Meta,
    Payee, Program, ProgramMembershipIn, ProgramState, Reason, Registrant, RegistrantKind,
    RequestedState, State, Status, WorkingSet, event::PublishedRegistrant, membership_id,
    registrant_id, resolve::Resolved,
};
use std::collections::BTreeMap;
use time::Date;

/// Decides an enrollment: who is meant, their facts, then item after item.
pub(super) fn decide(meta: &Meta, enrollment: &Enrollment, set: &mut WorkingSet) -> Decision {
    let info = &enrollment.registrant;
    let known = match info.resolve("/registrant", meta, set) {
        Err(fault) => return Decision::rejected(vec![fault]),
        Ok(Resolved::New) => None,
        Ok(Resolved::Known(id)) => set.registrant(id),
    };
    if known.is_some_and(|registrant| registrant.kind != info.kind) {
        return Decision::rejected(vec![Fault::at(
            "/registrant/kind",
            Reason::RegistrantKindMismatch,
        )]);
    }
    // All is decided on a copy: a rejected request leaves nothing behind.
    let mut registrant = known.cloned().unwrap_or_else(|| {
        let id = registrant_id(meta.recorded_at, &meta.source, &meta.message_id, "/registrant");
        Registrant::new(id, info.kind)
    });
    let facts = info.lay_over(meta, &mut registrant);

    let mut faults = Vec::new();
    let mut items = Vec::with_capacity(enrollment.program_memberships.len());
    let mut events = Vec::new();
    for (index, item) in enrollment.program_memberships.iter().enumerate() {
        let pointer = format!("/program_memberships/{index}");
        let decided = enroll(meta, item, &pointer, set, &mut registrant);
        let (outcome, reason) = match decided {
            Ok(Some(event)) => {
                events.push(event);
                (ItemOutcome::Applied, Reason::MembershipChanged)
            }
            Ok(None) => (ItemOutcome::Unchanged, Reason::MembershipUnchanged),
            Err(broken) => {
                let first = broken.first().map_or(Reason::FieldInvalid, |fault| fault.reason);
                faults.extend(broken);
                (ItemOutcome::Rejected, first)
            }
        };
        items.push((pointer, item.program.clone(), outcome, reason));
    }

    let refused = items.iter().filter(|item| item.2 == ItemOutcome::Rejected).count();
    let rejected = refused > 0 && (enrollment.atomic || refused == items.len());
    if rejected {
        for item in items.iter_mut().filter(|item| item.2 != ItemOutcome::Rejected) {
            (item.2, item.3) = (ItemOutcome::Rejected, Reason::RequestAtomic);
        }
        return Decision {
            status: Status::Rejected,
            registrant_id: known.map(|registrant| registrant.registrant_id),
            faults,
            items: describe(items, known, set),
            events: Vec::new(),
        };
    }

    let is_new = known.is_none();
    if facts.published && !is_new && registrant.kind == RegistrantKind::Individual {
        announce_payee(meta, &mut registrant, &mut events);
    }
    let published = published(meta, &registrant);
    let payee = payee(&registrant, &published);
    for event in &mut events {
        event.registrant = published.clone();
        event.payee.clone_from(&payee);
    }
    let status = if refused > 0 {
        Status::Partial
    } else if is_new || facts.any || !events.is_empty() {
        Status::Applied
    } else {
        Status::Unchanged
    };
    let decision = Decision {
        status,
        registrant_id: Some(registrant.registrant_id),
        faults,
        items: describe(items, Some(&registrant), set),
        events,
    };
    let touched: BTreeMap<_, _> = decision
        .events
        .iter()
        .map(|event| (event.membership.membership_id, Some(event.membership.clone())))
        .collect();
    set.put(registrant, facts.any, touched);
    decision
}

/// Decides one item on the copy of the registrant. `Ok(None)`: it already is so.
fn enroll(
    meta: &Meta,
    item: &ProgramMembershipIn,
    pointer: &str,
    set: &WorkingSet,
    registrant: &mut Registrant,
) -> Result<Option<ChangeEvent>, Vec<Fault>> {
    let Some(program) = set.program(&item.program) else {
        return Err(vec![Fault::at(format!("{pointer}/program"), Reason::ProgramNotFound)]);
    };
    if program.target_type != registrant.kind {
        let fault = Fault::at(format!("{pointer}/program"), Reason::ProgramTargetTypeMismatch);
        return Err(vec![fault]);
    }
    let existing = registrant.memberships.iter().position(|m| m.program_id == program.program_id);
    let Some(membership) = existing.and_then(|index| registrant.memberships.get_mut(index)) else {
        refusals(meta, item, pointer, program, registrant.disabled)?;
        let membership = Membership {
            membership_id: membership_id(meta.recorded_at, &meta.source, &meta.message_id, pointer),
            registrant_id: registrant.registrant_id,
            program_id: program.program_id,
            state: item.state.state(),
            spell: 1,
            version: 1,
            enrollment_date: match item.state {
                RequestedState::Draft => item.enrollment_date,
                RequestedState::Enrolled => Some(item.enrollment_date.unwrap_or(meta.today)),
            },
            exit_date: None,
        };
        let event = event(meta, registrant, None, &membership, item.state);
        registrant.memberships.push(membership);
        return Ok(Some(event));
    };
    let other_date =
        item.enrollment_date.is_some_and(|date| membership.enrollment_date != Some(date));
    match (membership.state, item.state) {
        (State::Enrolled, RequestedState::Enrolled) | (State::Draft, RequestedState::Draft) => {
            if other_date {
                let at = format!("{pointer}/enrollment_date");
                return Err(vec![Fault::at(at, Reason::MembershipAlreadyEnrolled)]);
            }
            Ok(None)
        }
        (State::Draft, RequestedState::Enrolled) => {
            refusals(meta, item, pointer, program, registrant.disabled)?;
            membership.state = State::Enrolled;
            membership.version += 1;
            membership.enrollment_date =
                Some(item.enrollment_date.or(membership.enrollment_date).unwrap_or(meta.today));
            let membership = membership.clone();
            Ok(Some(event(meta, registrant, Some(State::Draft), &membership, item.state)))
        }
        (
            State::Enrolled
            | State::Paused
            | State::Exited
            | State::NotEligible
            | State::Duplicated,
            _,
        ) => Err(vec![Fault::at(pointer, Reason::StateTransitionInvalid)]),
    }
}

/// Every rule that stands against making or enrolling a membership.
fn refusals(
    meta: &Meta,
    item: &ProgramMembershipIn,
    pointer: &str,
    program: &Program,
    disabled: bool,
) -> Result<(), Vec<Fault>> {
    let mut faults = Vec::new();
    if program.state == ProgramState::Ended {
        faults.push(Fault::at(format!("{pointer}/program"), Reason::ProgramEnded));
    }
    if disabled {
        faults.push(Fault::at(pointer, Reason::RegistrantDisabled));
    }
    if item.enrollment_date.is_some_and(|date| date > meta.last_date) {
        faults.push(Fault::at(format!("{pointer}/enrollment_date"), Reason::EnrollmentDateInvalid));
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// The event of an enrollment; registrant and payee are filled in at the end of the request.
fn event(
    meta: &Meta,
    registrant: &Registrant,
    previous_state: Option<State>,
    membership: &Membership,
    requested: RequestedState,
) -> ChangeEvent {
    ChangeEvent {
        change: match requested {
            RequestedState::Enrolled => Change::Enrolled,
            RequestedState::Draft => Change::Drafted,
        },
        previous_state,
        membership: membership.clone(),
        present: true,
        effective_date: membership.enrollment_date.unwrap_or(meta.today),
        reason_code: None,
        reason_note: None,
        registrant: unpublished(registrant),
        payee: None,
    }
}

/// Every membership that payments follow and that the request did not move itself says who is paid now.
fn announce_payee(meta: &Meta, registrant: &mut Registrant, events: &mut Vec<ChangeEvent>) {
    let moved: Vec<_> = events.iter().map(|event| event.membership.membership_id).collect();
    let published = unpublished(registrant);
    let mut concerned: Vec<_> = registrant
        .memberships
        .iter_mut()
        .filter(|m| m.state.follows_payee() && !moved.contains(&m.membership_id))
        .collect();
    concerned.sort_by_key(|m| m.membership_id);
    for membership in concerned {
        membership.version += 1;
        events.push(payee_changed(meta.today, membership, published.clone()));
    }
}

fn payee_changed(
    today: Date,
    membership: &Membership,
    registrant: PublishedRegistrant,
) -> ChangeEvent {
    ChangeEvent {
        change: Change::PayeeChanged,
        previous_state: Some(membership.state),
        membership: membership.clone(),
        present: true,
        effective_date: today,
        reason_code: None,
        reason_note: None,
        registrant,
        payee: None,
    }
}

fn unpublished(registrant: &Registrant) -> PublishedRegistrant {
    PublishedRegistrant {
        registrant_id: registrant.registrant_id,
        kind: registrant.kind,
        reference: None,
        ids: Vec::new(),
    }
}

/// The registrant as events name it to everybody.
fn published(meta: &Meta, registrant: &Registrant) -> PublishedRegistrant {
    let reference = registrant
        .references
        .get_key_value(&meta.source)
        .or_else(|| registrant.references.first_key_value());
    PublishedRegistrant {
        registrant_id: registrant.registrant_id,
        kind: registrant.kind,
        reference: reference.map(|(source, value)| (source.clone(), value.clone())),
        ids: registrant
            .identifiers
            .iter()
            .map(|(id_type, (value, _))| (id_type.clone(), value.clone()))
            .collect(),
    }
}

/// An individual is paid itself; a group is paid through its Head.
fn payee(registrant: &Registrant, published: &PublishedRegistrant) -> Option<Payee> {
    (registrant.kind == RegistrantKind::Individual).then(|| Payee {
        registrant: published.clone(),
        payment_address: registrant.payment_address.clone(),
        disabled: registrant.disabled,
    })
}

/// The items as the result tells them: with the membership that there is after the request.
fn describe(
    items: Vec<(String, String, ItemOutcome, Reason)>,
    registrant: Option<&Registrant>,
    set: &WorkingSet,
) -> Vec<ItemDecision> {
    items
        .into_iter()
        .map(|(pointer, program, outcome, reason)| {
            let membership = set.program(&program).and_then(|program| {
                registrant?.memberships.iter().find(|m| m.program_id == program.program_id)
            });
            ItemDecision {
                pointer,
                registrant_id: registrant.map(|registrant| registrant.registrant_id),
                membership: membership.map(|m| (m.membership_id, m.state, m.version)),
                program,
                outcome,
                reason,
            }
        })
        .collect()
}
