//! Drafts, sentence by sentence.

use super::super::{Change, Reason, RegistrantInfo, State, Status};
use super::{TODAY, draft, faults, item, membership, on, person, request, stored, world};
use time::macros::date;

#[test]
fn a_draft_without_a_date_has_none() {
    let mut set = world();
    let decision = request(&mut set, "m-1", person("P-1"), &[draft("cash")]);
    let made = membership(&set, "P-1", "cash").unwrap();
    assert_eq!((made.state, made.enrollment_date, made.version), (State::Draft, None, 1));
    let event = &decision.events[0];
    assert_eq!((event.change, event.previous_state), (Change::Drafted, None));
    assert_eq!(event.effective_date, TODAY, "else the date of sent_at");
}

#[test]
fn enrolling_a_draft_keeps_its_date_else_takes_that_of_sent_at() {
    let (kept, given) = (date!(2026 - 01 - 05), date!(2026 - 02 - 06));
    for (drafted, enrolled, expected) in [
        (draft("cash"), item("cash"), TODAY),
        (on(kept, draft("cash")), item("cash"), kept),
        (draft("cash"), on(given, item("cash")), given),
        (on(kept, draft("cash")), on(given, item("cash")), given),
    ] {
        let mut set = world();
        request(&mut set, "m-1", person("P-1"), &[drafted]);
        let draft = membership(&set, "P-1", "cash").unwrap();
        let decision = request(&mut set, "m-2", person("P-1"), &[enrolled]);
        let membership = membership(&set, "P-1", "cash").unwrap();
        assert_eq!(membership.enrollment_date, Some(expected));
        assert_eq!(membership.membership_id, draft.membership_id);
        assert_eq!(
            (membership.state, membership.version, membership.spell),
            (State::Enrolled, 2, 1)
        );
        let event = &decision.events[0];
        assert_eq!((event.change, event.previous_state), (Change::Enrolled, Some(State::Draft)));
        assert_eq!(event.effective_date, expected);
    }
}

#[test]
fn a_draft_asked_for_again() {
    let day = date!(2026 - 01 - 05);
    let mut set = world();
    request(&mut set, "m-1", person("P-1"), &[on(day, draft("cash")), draft("food")]);
    let again = [on(day, draft("cash")), draft("cash"), draft("food")];
    assert_eq!(request(&mut set, "m-2", person("P-1"), &again).status, Status::Unchanged);
    let at = "/program_memberships/0/enrollment_date";
    for (message_id, other) in
        [("m-3", on(TODAY, draft("cash"))), ("m-4", on(TODAY, draft("food")))]
    {
        let decision = request(&mut set, message_id, person("P-1"), &[other]);
        assert_eq!(faults(&decision), [(at, Reason::MembershipAlreadyEnrolled)]);
    }
}

#[test]
fn a_draft_too_is_refused_in_an_ended_program_and_for_a_disabled_registrant() {
    let mut set = world();
    let decision = request(&mut set, "m-1", person("P-1"), &[draft("old")]);
    assert_eq!(faults(&decision), [("/program_memberships/0/program", Reason::ProgramEnded)]);
    let disabled = RegistrantInfo { disabled: Some(true), ..person("P-1") };
    let decision = request(&mut set, "m-2", disabled, &[draft("cash")]);
    assert_eq!(faults(&decision), [("/program_memberships/0", Reason::RegistrantDisabled)]);
}

#[test]
fn a_draft_is_not_enrolled_where_a_new_member_would_not_be() {
    let mut set = world();
    set.load_registrant(stored("P-1", &[("old", State::Draft, None)]));
    let decision = request(&mut set, "m-1", person("P-1"), &[item("old")]);
    assert_eq!(faults(&decision), [("/program_memberships/0/program", Reason::ProgramEnded)]);
    let again = request(&mut set, "m-2", person("P-1"), &[draft("old")]);
    assert_eq!(again.status, Status::Unchanged, "a repeat is unchanged also there");

    let mut set = world();
    let mut registrant = stored("P-1", &[("cash", State::Draft, None)]);
    registrant.disabled = true;
    set.load_registrant(registrant);
    let decision = request(&mut set, "m-1", person("P-1"), &[item("cash")]);
    assert_eq!(faults(&decision), [("/program_memberships/0", Reason::RegistrantDisabled)]);
    assert_eq!(request(&mut set, "m-2", person("P-1"), &[draft("cash")]).status, Status::Unchanged);
    let late = on(date!(2030 - 01 - 01), item("cash"));
    let enabled = RegistrantInfo { disabled: Some(false), ..person("P-1") };
    let decision = request(&mut set, "m-3", enabled, &[late]);
    let at = "/program_memberships/0/enrollment_date";
    assert_eq!(faults(&decision), [(at, Reason::EnrollmentDateInvalid)]);
}

#[test]
fn draft_and_enrollment_in_one_request_are_two_changes() {
    let mut set = world();
    let decision = request(&mut set, "m-1", person("P-1"), &[draft("cash"), item("cash")]);
    assert_eq!(decision.status, Status::Applied);
    let said: Vec<_> = decision.events.iter().map(|e| (e.change, e.membership.version)).collect();
    assert_eq!(said, [(Change::Drafted, 1), (Change::Enrolled, 2)]);
    let told: Vec<_> = decision.items.iter().map(|item| item.membership.unwrap().2).collect();
    assert_eq!(told, [2, 2], "items tell the membership as the request leaves it");
    assert_eq!(set.inserted_memberships().next().unwrap().version, 2);
}

#[test]
fn an_enrolled_member_is_not_made_a_draft() {
    let mut set = world();
    let decision = request(&mut set, "m-1", person("P-1"), &[item("cash"), draft("cash")]);
    assert_eq!(faults(&decision), [("/program_memberships/1", Reason::StateTransitionInvalid)]);
    assert_eq!(membership(&set, "P-1", "cash").unwrap().state, State::Enrolled);
}
