//! Items, outcomes and status of an enrollment.

use super::super::{Change, ItemOutcome, Reason, RegistrantInfo, RegistrantKind, State, Status};
use super::{TODAY, atomic, faults, find, item, membership, on, person, request, world};
use time::macros::date;

#[test]
fn a_new_registrant_is_enrolled() {
    let mut set = world();
    let decision = request(
        &mut set,
        "m-1",
        person("P-1"),
        &[item("cash"), on(date!(2026 - 01 - 01), item("food"))],
    );
    assert_eq!((decision.status, faults(&decision)), (Status::Applied, vec![]));
    let registrant = find(&set, "P-1").unwrap();
    assert_eq!(decision.registrant_id, Some(registrant.registrant_id));
    let dates: Vec<_> = registrant.memberships.iter().map(|m| m.enrollment_date).collect();
    assert_eq!(
        dates,
        [Some(TODAY), Some(date!(2026 - 01 - 01))],
        "a missing date is that of sent_at"
    );
    for (index, event) in decision.events.iter().enumerate() {
        let membership = &registrant.memberships[index];
        assert_eq!((event.change, event.previous_state), (Change::Enrolled, None));
        assert_eq!(event.membership, *membership);
        assert_eq!(
            (membership.state, membership.version, membership.spell),
            (State::Enrolled, 1, 1)
        );
        assert_eq!(Some(event.effective_date), membership.enrollment_date);
        assert_eq!(event.registrant.reference, Some(("registry".to_owned(), "P-1".to_owned())));
        assert_eq!(event.payee.as_ref().unwrap().registrant, event.registrant);
        let item = &decision.items[index];
        assert_eq!(item.pointer, format!("/program_memberships/{index}"));
        assert_eq!(item.membership, Some((membership.membership_id, Some(State::Enrolled), 1)));
        assert_eq!((item.outcome, item.reason), (ItemOutcome::Applied, Reason::MembershipChanged));
    }
    assert_eq!(set.created().count(), 1);
    assert_eq!(set.inserted_memberships().count(), 2);
    assert_eq!(set.updated_memberships().count() + set.changed().count(), 0);
}

#[test]
fn rules_of_a_program() {
    let cases = [
        ("none", Reason::ProgramNotFound),
        ("old", Reason::ProgramEnded),
        ("homes", Reason::ProgramTargetTypeMismatch),
    ];
    for (program, reason) in cases {
        let mut set = world();
        let decision = request(&mut set, "m-1", person("P-1"), &[item(program)]);
        assert_eq!(decision.status, Status::Rejected, "{program}: every item is refused");
        assert_eq!(faults(&decision), [("/program_memberships/0/program", reason)]);
        assert_eq!((decision.items[0].reason, decision.items[0].registrant_id), (reason, None));
        assert!(find(&set, "P-1").is_none(), "a rejected request leaves no registrant behind");

        let decision = request(&mut set, "m-2", person("P-1"), &[item(program), item("cash")]);
        assert_eq!(decision.status, Status::Partial);
        assert_eq!(decision.items[0].outcome, ItemOutcome::Rejected);
        assert_eq!(decision.items[1].outcome, ItemOutcome::Applied);
        assert_eq!(decision.items[0].registrant_id, decision.registrant_id);
        assert_eq!(decision.events.len(), 1);

        let decision = request(&mut set, "m-3", person("P-1"), &[item("cash"), item(program)]);
        assert_eq!(decision.status, Status::Partial, "unchanged and refused");
        assert_eq!(decision.events, []);
    }
}

#[test]
fn groups_are_enrolled_in_programs_for_groups() {
    let mut set = world();
    let group = RegistrantInfo { kind: RegistrantKind::Group, ..person("G-1") };
    let decision = request(&mut set, "m-1", group, &[item("homes"), item("cash")]);
    assert_eq!(decision.status, Status::Partial);
    assert_eq!(decision.items[1].reason, Reason::ProgramTargetTypeMismatch);
    assert_eq!(decision.events[0].payee, None, "a group without a Head is paid to nobody");
    assert_eq!(decision.events[0].registrant.kind, RegistrantKind::Group);
}

#[test]
fn an_atomic_request_is_applied_whole_or_not_at_all() {
    let mut set = world();
    let items = [item("cash"), item("none"), item("food"), item("old")];
    let decision = atomic(&mut set, "m-1", person("P-1"), &items);
    assert_eq!(decision.status, Status::Rejected);
    let reasons: Vec<_> = decision.items.iter().map(|item| (item.outcome, item.reason)).collect();
    assert_eq!(
        reasons,
        [
            Reason::RequestAtomic,
            Reason::ProgramNotFound,
            Reason::RequestAtomic,
            Reason::ProgramEnded
        ]
        .map(|reason| (ItemOutcome::Rejected, reason))
    );
    assert!(
        decision.items.iter().all(|item| item.membership.is_none() && item.registrant_id.is_none())
    );
    assert_eq!(
        faults(&decision),
        [
            ("/program_memberships/1/program", Reason::ProgramNotFound),
            ("/program_memberships/3/program", Reason::ProgramEnded),
        ]
    );
    let decision = atomic(&mut set, "m-2", person("P-1"), &[item("cash"), item("food")]);
    assert_eq!((decision.status, decision.events.len()), (Status::Applied, 2));
    let decision = atomic(&mut set, "m-3", person("P-1"), &[item("cash"), item("old")]);
    assert_eq!(decision.status, Status::Rejected);
    assert_eq!(decision.items[0].reason, Reason::RequestAtomic, "what would be unchanged, too");
    let stands = membership(&set, "P-1", "cash").unwrap();
    let told = Some((stands.membership_id, Some(State::Enrolled), 1));
    assert_eq!(decision.items[0].membership, told, "the membership that there is");
    assert_eq!(decision.registrant_id, Some(stands.registrant_id));
    let decision = atomic(&mut set, "m-4", person("P-1"), &[item("cash"), item("food")]);
    assert_eq!(decision.status, Status::Unchanged);
}

#[test]
fn a_repeat_is_unchanged_unless_the_date_is_another() {
    let day = date!(2026 - 02 - 02);
    let mut set = world();
    request(&mut set, "m-1", person("P-1"), &[on(day, item("cash"))]);
    for (message_id, repeat) in [("m-2", item("cash")), ("m-3", on(day, item("cash")))] {
        let decision = request(&mut set, message_id, person("P-1"), &[repeat]);
        assert_eq!(decision.status, Status::Unchanged);
        let item = &decision.items[0];
        assert_eq!(
            (item.outcome, item.reason),
            (ItemOutcome::Unchanged, Reason::MembershipUnchanged)
        );
        assert_eq!(item.membership.unwrap().2, 1);
    }
    let decision = request(&mut set, "m-4", person("P-1"), &[on(TODAY, item("cash"))]);
    let at = "/program_memberships/0/enrollment_date";
    assert_eq!(decision.status, Status::Rejected);
    assert_eq!(faults(&decision), [(at, Reason::MembershipAlreadyEnrolled)]);
    assert_eq!(membership(&set, "P-1", "cash").unwrap().enrollment_date, Some(day));
}

#[test]
fn the_second_of_a_program_named_twice_meets_what_the_first_left() {
    let mut set = world();
    let items = [
        item("cash"),
        item("cash"),
        on(TODAY, item("cash")),
        on(date!(2026 - 01 - 01), item("cash")),
    ];
    let decision = request(&mut set, "m-1", person("P-1"), &items);
    let outcomes: Vec<_> = decision.items.iter().map(|item| (item.outcome, item.reason)).collect();
    assert_eq!(
        outcomes,
        [
            (ItemOutcome::Applied, Reason::MembershipChanged),
            (ItemOutcome::Unchanged, Reason::MembershipUnchanged),
            (ItemOutcome::Unchanged, Reason::MembershipUnchanged),
            (ItemOutcome::Rejected, Reason::MembershipAlreadyEnrolled),
        ]
    );
    assert_eq!((decision.status, decision.events.len()), (Status::Partial, 1));
}

#[test]
fn a_request_without_items_tells_about_a_registrant() {
    let mut set = world();
    let decision = request(&mut set, "m-1", person("P-1"), &[]);
    assert_eq!((decision.status, decision.items.len()), (Status::Applied, 0));
    assert_eq!(request(&mut set, "m-2", person("P-1"), &[]).status, Status::Unchanged);
    assert_eq!(atomic(&mut set, "m-3", person("P-1"), &[]).status, Status::Unchanged);
    let named = RegistrantInfo { name: Some("A".to_owned()), ..person("P-1") };
    assert_eq!(request(&mut set, "m-4", named.clone(), &[]).status, Status::Applied);
    assert_eq!(request(&mut set, "m-5", named, &[]).status, Status::Unchanged);
}

#[test]
fn a_fact_makes_an_otherwise_unchanged_request_applied() {
    let mut set = world();
    request(&mut set, "m-1", person("P-1"), &[item("cash")]);
    let named = RegistrantInfo { email: Some("a@example.org".to_owned()), ..person("P-1") };
    let decision = request(&mut set, "m-2", named, &[item("cash")]);
    assert_eq!((decision.status, decision.events.len()), (Status::Applied, 0));
    assert_eq!(decision.items[0].outcome, ItemOutcome::Unchanged);
}
