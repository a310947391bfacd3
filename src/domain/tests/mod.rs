//! Tests of the rules. The words in quotes are those of the contract.

mod batch;
mod drafts;
mod enroll;
mod facts;
mod group;
mod household;
mod identity;
mod ids;
mod model;
mod model_groups;
mod model_items;
mod model_registrants;
mod payee;
mod privacy;
mod property;
mod random;
mod random_residents;
mod refusals;
mod store;
mod update;
mod words;

use super::{
    Command, Decision, Enrollment, IdentifierFacts, IdentifierIn, Membership, MembershipId, Meta,
    NameKey, Patience, Program, ProgramId, ProgramMembershipIn, ProgramState, Reason, Registrant,
    RegistrantId, RegistrantInfo, RegistrantKind, RequestedState, State, Verdict, WorkingSet,
    decide,
};
use time::macros::{date, datetime};
use time::{Date, Duration};
use uuid::Uuid;

const TODAY: Date = date!(2026 - 03 - 10);

/// What request `message_id` of `registry` says of itself.
fn meta(message_id: &str) -> Meta {
    let sent_at = datetime!(2026-03-10 9:00 UTC);
    Meta {
        source: "registry".to_owned(),
        message_id: message_id.to_owned(),
        attempt: 1,
        sent_at,
        today: TODAY,
        last_date: TODAY + Duration::days(366),
        recorded_at: sent_at + Duration::seconds(1),
        actor: None,
        batch: None,
    }
}

/// An individual of whom nothing is said, not even a name.
fn nobody() -> RegistrantInfo {
    RegistrantInfo {
        source: None,
        reference: None,
        ids: Vec::new(),
        kind: RegistrantKind::Individual,
        name: None,
        given_name: None,
        family_name: None,
        addl_name: None,
        gender: None,
        birthdate: None,
        birth_place: None,
        email: None,
        address: None,
        registration_date: None,
        payment_address: None,
        disabled: None,
        phone_numbers: Vec::new(),
        group_kind: None,
        is_partial_group: None,
        clear: Vec::new(),
    }
}

/// The individual that `registry` calls so.
fn person(reference: &str) -> RegistrantInfo {
    RegistrantInfo { reference: Some(reference.to_owned()), ..nobody() }
}

/// An individual known by identifiers, `type=value` each.
fn known_by(ids: &[&str]) -> RegistrantInfo {
    RegistrantInfo { ids: ids.iter().map(|id| identifier(id)).collect(), ..nobody() }
}

fn identifier(text: &str) -> IdentifierIn {
    let (id_type, value) = text.split_once('=').unwrap();
    IdentifierIn { id_type: id_type.to_owned(), value: value.to_owned(), expiry_date: None }
}

fn item(program: &str) -> ProgramMembershipIn {
    ProgramMembershipIn {
        program: program.to_owned(),
        state: RequestedState::Enrolled,
        enrollment_date: None,
    }
}

fn draft(program: &str) -> ProgramMembershipIn {
    ProgramMembershipIn { state: RequestedState::Draft, ..item(program) }
}

fn on(date: Date, item: ProgramMembershipIn) -> ProgramMembershipIn {
    ProgramMembershipIn { enrollment_date: Some(date), ..item }
}

/// Programs `cash` and `food`, `old` that has ended, `homes` for groups.
fn world() -> WorkingSet {
    let mut set = WorkingSet::default();
    for (code, target_type, state) in [
        ("cash", RegistrantKind::Individual, ProgramState::Active),
        ("food", RegistrantKind::Individual, ProgramState::Active),
        ("old", RegistrantKind::Individual, ProgramState::Ended),
        ("homes", RegistrantKind::Group, ProgramState::Active),
    ] {
        set.load_program(Program {
            program_id: ProgramId::of(code),
            code: code.to_owned(),
            name: code.to_uppercase(),
            target_type,
            state,
        });
    }
    set
}

/// A stored individual with this reference of `registry`, and memberships (program, state, enrollment date).
fn stored(reference: &str, memberships: &[(&str, State, Option<Date>)]) -> Registrant {
    let registrant_id = RegistrantId(Uuid::new_v5(&Uuid::NAMESPACE_OID, reference.as_bytes()));
    let mut registrant = Registrant::new(registrant_id, RegistrantKind::Individual);
    registrant.add_name(NameKey::reference("registry", reference), IdentifierFacts::default());
    for (code, state, enrollment_date) in memberships {
        let name = format!("{reference}/{code}");
        registrant.memberships.push(Membership {
            membership_id: MembershipId(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())),
            registrant_id,
            program_id: ProgramId::of(code),
            state: *state,
            spell: 1,
            version: 3,
            enrollment_date: *enrollment_date,
            exit_date: None,
        });
    }
    registrant
}

fn enrollment(registrant: RegistrantInfo, items: &[ProgramMembershipIn]) -> Command {
    Command::Enroll(Enrollment { atomic: false, registrant, program_memberships: items.to_vec() })
}

/// Decides request `message_id`; a rejected one must leave nothing behind.
fn request(
    set: &mut WorkingSet,
    message_id: &str,
    registrant: RegistrantInfo,
    items: &[ProgramMembershipIn],
) -> Decision {
    apply(set, message_id, &enrollment(registrant, items))
}

/// The same, refused as a whole if one item is.
fn atomic(
    set: &mut WorkingSet,
    message_id: &str,
    registrant: RegistrantInfo,
    items: &[ProgramMembershipIn],
) -> Decision {
    let program_memberships = items.to_vec();
    apply(
        set,
        message_id,
        &Command::Enroll(Enrollment { atomic: true, registrant, program_memberships }),
    )
}

fn apply(set: &mut WorkingSet, message_id: &str, command: &Command) -> Decision {
    let before = set.clone();
    let Verdict::Decided(decision) = decide(&meta(message_id), command, set, Patience::Over) else {
        panic!("{message_id} waits for nobody");
    };
    if matches!(decision.status, super::Status::Rejected | super::Status::Unchanged) {
        assert!(*set == before, "{message_id} left something behind");
        assert_eq!(decision.events, []);
    }
    decision
}

/// The membership that the registrant with this reference has in a program.
fn membership(set: &WorkingSet, reference: &str, program: &str) -> Option<Membership> {
    let registrant = find(set, reference)?;
    let program_id = ProgramId::of(program);
    registrant.memberships.iter().find(|m| m.program_id == program_id).cloned()
}

fn find<'a>(set: &'a WorkingSet, reference: &str) -> Option<&'a Registrant> {
    set.registrant(set.owner(&NameKey::reference("registry", reference))?)
}

/// Pointers and reasons of a decision's faults.
fn faults(decision: &Decision) -> Vec<(&str, Reason)> {
    decision.faults.iter().map(|fault| (fault.pointer.as_str(), fault.reason)).collect()
}
