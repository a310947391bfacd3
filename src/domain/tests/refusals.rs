//! What stands against an enrollment.

use super::super::{Reason, RegistrantInfo, State, Status};
use super::{TODAY, faults, find, item, on, person, request, stored, world};
use time::Duration;
use time::macros::date;

#[test]
fn a_disabled_registrant_is_not_enrolled() {
    let mut set = world();
    let disabled = |disabled| RegistrantInfo { disabled: Some(disabled), ..person("P-1") };
    let decision = request(&mut set, "m-1", disabled(true), &[item("cash")]);
    assert_eq!(decision.status, Status::Rejected);
    assert_eq!(faults(&decision), [("/program_memberships/0", Reason::RegistrantDisabled)]);
    assert!(find(&set, "P-1").is_none());
    assert_eq!(request(&mut set, "m-2", disabled(true), &[]).status, Status::Applied);
    let decision = request(&mut set, "m-3", person("P-1"), &[item("cash")]);
    assert_eq!(decision.items[0].reason, Reason::RegistrantDisabled);
    let decision = request(&mut set, "m-4", disabled(false), &[item("cash")]);
    assert_eq!(decision.status, Status::Applied, "the facts come first");
}

#[test]
fn every_broken_rule_of_an_item_is_told() {
    let mut set = world();
    let info = RegistrantInfo { disabled: Some(true), ..person("P-1") };
    let late = TODAY + Duration::days(367);
    let decision = request(&mut set, "m-1", info, &[on(late, item("old"))]);
    assert_eq!(
        faults(&decision),
        [
            ("/program_memberships/0/program", Reason::ProgramEnded),
            ("/program_memberships/0", Reason::RegistrantDisabled),
            ("/program_memberships/0/enrollment_date", Reason::EnrollmentDateInvalid),
        ]
    );
    assert_eq!(decision.items[0].reason, Reason::ProgramEnded, "the first of the item");
}

#[test]
fn dates_reach_as_far_as_max_future() {
    let last = TODAY + Duration::days(366);
    let mut set = world();
    let items = [on(last, item("cash")), on(last.next_day().unwrap(), item("food"))];
    let decision = request(&mut set, "m-1", person("P-1"), &items);
    let at = "/program_memberships/1/enrollment_date";
    assert_eq!(faults(&decision), [(at, Reason::EnrollmentDateInvalid)]);
    let long_ago = on(date!(0001 - 01 - 01), item("food"));
    assert_eq!(request(&mut set, "m-2", person("P-1"), &[long_ago]).status, Status::Applied);
}

#[test]
fn states_from_which_an_enrollment_does_not_lead() {
    for state in [State::Paused, State::Exited, State::NotEligible, State::Duplicated] {
        let mut set = world();
        set.load_registrant(stored("P-1", &[("cash", state, Some(TODAY))]));
        for asked in [item("cash"), super::draft("cash"), on(TODAY, item("cash"))] {
            let decision = request(&mut set, "m-1", person("P-1"), &[asked]);
            assert_eq!(decision.status, Status::Rejected);
            assert_eq!(
                faults(&decision),
                [("/program_memberships/0", Reason::StateTransitionInvalid)]
            );
            assert_eq!(decision.items[0].membership.unwrap().1, Some(state));
        }
    }
}

#[test]
fn a_repeat_is_unchanged_also_in_an_ended_program_and_for_a_disabled_registrant() {
    let mut set = world();
    let mut registrant =
        stored("P-1", &[("old", State::Enrolled, None), ("cash", State::Enrolled, None)]);
    registrant.disabled = true;
    set.load_registrant(registrant);
    let decision = request(&mut set, "m-1", person("P-1"), &[item("old"), item("cash")]);
    assert_eq!(decision.status, Status::Unchanged);
    let decision = request(&mut set, "m-2", person("P-1"), &[item("food"), item("old")]);
    assert_eq!(faults(&decision), [("/program_memberships/0", Reason::RegistrantDisabled)]);
    assert_eq!(decision.status, Status::Partial);
}
