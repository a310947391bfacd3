//! The rules of enrolling: of an enrollment, of an item anywhere, and of the action ENROLL.

use super::{
    Change, Decision, Enrollment, Fault, Membership, Meta, Program, ProgramMembershipIn,
    ProgramState, Reason, Registrant, RegistrantKind, RequestedState, State, WorkingSet,
    conclude::{Decided, Items, Move},
    membership_id,
    overlay::Overlay,
};
use time::Date;

/// Decides an enrollment: who is meant, their facts, then item after item.
pub(super) fn decide(meta: &Meta, enrollment: &Enrollment, set: &mut WorkingSet) -> Decision {
    let mut overlay = Overlay::new(meta, set);
    let who = match overlay.tell(&enrollment.registrant, "/registrant") {
        Err(fault) => return Decision::rejected(vec![fault]),
        Ok((_, false)) => {
            let fault = Fault::at("/registrant/kind", Reason::RegistrantKindMismatch);
            return Decision::rejected(vec![fault]);
        }
        Ok((who, true)) => who,
    };
    let mut items = Items::default();
    enroll_all(&enrollment.program_memberships, "", who, &mut overlay, &mut items);
    let (decision, changes) = items.conclude(overlay, enrollment.atomic);
    set.take(changes);
    decision
}

/// Decides the `program_memberships` that stand at the pointer `at`, one after the other.
pub(super) fn enroll_all(
    program_memberships: &[ProgramMembershipIn],
    at: &str,
    who: usize,
    overlay: &mut Overlay<'_>,
    items: &mut Items,
) {
    for (index, item) in program_memberships.iter().enumerate() {
        let pointer = format!("{at}/program_memberships/{index}");
        let decided = match overlay.program(&item.program) {
            None => Err(vec![Fault::at(format!("{pointer}/program"), Reason::ProgramNotFound)]),
            Some(program) => {
                let meta = overlay.meta;
                let registrant = overlay.now(who);
                target_fits(program, registrant.kind, || format!("{pointer}/program")).and_then(
                    |()| {
                        let asked = Asked { state: item.state, date: item.enrollment_date };
                        enroll(meta, asked, At::Item(&pointer), program, registrant)
                    },
                )
            }
        };
        items.push(pointer, &item.program, Some(who), decided);
    }
}

/// Whether the program is for registrants of this kind.
pub(super) fn target_fits(
    program: &Program,
    kind: RegistrantKind,
    at: impl FnOnce() -> String,
) -> Result<(), Vec<Fault>> {
    if program.target_type == kind {
        return Ok(());
    }
    Err(vec![Fault::at(at(), Reason::ProgramTargetTypeMismatch)])
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) state: RequestedState,
    pub(super) date: Option<Date>,
}

/// Where in its message it is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum At<'a> {
    /// In the item with this pointer.
    Item(&'a str),
    /// In an update, which is one item itself.
    Update,
}

impl At<'_> {
    fn item(self) -> String {
        match self {
            Self::Item(pointer) => pointer.to_owned(),
            Self::Update => String::new(),
        }
    }

    /// The field of the item with this name.
    fn field(self, name: &str) -> String {
        format!("{}/{name}", self.item())
    }

    /// The registrant, where there is a field for it.
    fn registrant(self) -> String {
        match self {
            Self::Item(_) => self.item(),
            Self::Update => self.field("registrant"),
        }
    }

    /// What asks for the state, where there is a field for it.
    pub(super) fn action(self) -> String {
        match self {
            Self::Item(_) => self.item(),
            Self::Update => self.field("action"),
        }
    }
}

/// Enrolls the registrant, or makes a draft, on the copy.
pub(super) fn enroll(
    meta: &Meta,
    asked: Asked,
    at: At<'_>,
    program: &Program,
    registrant: &mut Registrant,
) -> Decided {
    let disabled = registrant.disabled;
    let existing = registrant.memberships.iter_mut().find(|m| m.program_id == program.program_id);
    let Some(membership) = existing else {
        admit(meta, asked.date, at, program, disabled)?;
        let pointer = at.item();
        let membership = Membership {
            membership_id: membership_id(
                meta.recorded_at,
                &meta.source,
                &meta.message_id,
                &pointer,
            ),
            registrant_id: registrant.registrant_id,
            program_id: program.program_id,
            state: asked.state.state(),
            spell: 1,
            version: 1,
            enrollment_date: match asked.state {
                RequestedState::Draft => asked.date,
                RequestedState::Enrolled => Some(asked.date.unwrap_or(meta.today)),
            },
            exit_date: None,
        };
        let change = enrolled(meta, None, membership.clone());
        registrant.memberships.push(membership);
        return Ok(Some(change));
    };
    match (membership.state, asked.state) {
        (State::Enrolled, RequestedState::Enrolled) | (State::Draft, RequestedState::Draft) => {
            same_date(asked.date, at, membership)
        }
        (State::Draft, RequestedState::Enrolled) => {
            admit(meta, asked.date, at, program, disabled)?;
            membership.state = State::Enrolled;
            membership.version += 1;
            membership.enrollment_date =
                Some(asked.date.or(membership.enrollment_date).unwrap_or(meta.today));
            Ok(Some(enrolled(meta, Some(State::Draft), membership.clone())))
        }
        (
            State::Enrolled
            | State::Paused
            | State::Exited
            | State::NotEligible
            | State::Duplicated,
            _,
        ) => Err(vec![Fault::at(at.action(), Reason::StateTransitionInvalid)]),
    }
}

/// Asked for again: unchanged, unless with another date.
pub(super) fn same_date(date: Option<Date>, at: At<'_>, membership: &Membership) -> Decided {
    if date.is_some_and(|date| membership.enrollment_date != Some(date)) {
        let at = at.field("enrollment_date");
        return Err(vec![Fault::at(at, Reason::MembershipAlreadyEnrolled)]);
    }
    Ok(None)
}

/// Every rule that stands against making a member of a registrant, or making one active again.
pub(super) fn admit(
    meta: &Meta,
    date: Option<Date>,
    at: At<'_>,
    program: &Program,
    disabled: bool,
) -> Result<(), Vec<Fault>> {
    let mut faults = Vec::new();
    if program.state == ProgramState::Ended {
        faults.push(Fault::at(at.field("program"), Reason::ProgramEnded));
    }
    if disabled {
        faults.push(Fault::at(at.registrant(), Reason::RegistrantDisabled));
    }
    if date.is_some_and(|date| date > meta.last_date) {
        faults.push(Fault::at(at.field("enrollment_date"), Reason::EnrollmentDateInvalid));
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn enrolled(meta: &Meta, previous_state: Option<State>, membership: Membership) -> Move {
    Move {
        change: match membership.state {
            State::Draft => Change::Drafted,
            _ => Change::Enrolled,
        },
        previous_state,
        effective_date: membership.enrollment_date.unwrap_or(meta.today),
        membership,
        reason: None,
    }
}
