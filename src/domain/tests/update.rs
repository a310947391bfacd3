//! Updates: the table of states and actions, cell by cell, and the sentences around it.

use super::super::{
    Action, Change, Command, Decision, ItemOutcome, Membership, Missing, Patience, Reason,
    Registrant, RegistrantRef, State, Status, Update, Verdict, WorkingSet, decide,
};
use super::{TODAY, apply, faults, find, item, membership, meta, person, request, stored, world};
use time::macros::date;
use time::{Date, Duration};

const ENTERED: Date = date!(2026 - 01 - 05);
const LEFT: Date = date!(2026 - 02 - 06);
const TOO_FAR: Date = date!(2028 - 01 - 01);

fn update(action: Action) -> Update {
    Update {
        registrant: RegistrantRef {
            source: None,
            reference: Some("P-1".to_owned()),
            ids: Vec::new(),
        },
        program: "cash".to_owned(),
        action,
        enrollment_date: None,
        exit_date: None,
        effective_date: None,
        reason: None,
        expected_version: None,
        membership_id: None,
    }
}

/// P-1 in `cash` since `ENTERED`, in this state.
fn standing(state: State) -> WorkingSet {
    let mut set = world();
    set.load_registrant(standing_in("cash", state));
    set
}

fn standing_in(program: &str, state: State) -> Registrant {
    let mut registrant = stored("P-1", &[(program, state, Some(ENTERED))]);
    if state == State::Exited {
        registrant.memberships[0].exit_date = Some(LEFT);
    }
    registrant
}

fn done(set: &mut WorkingSet, update: Update) -> Decision {
    apply(set, "u-1", &Command::Update(update))
}

/// What it comes to for a member in this state: the membership after it, or the fault.
fn outcome(state: State, update: Update) -> Result<Membership, (String, Reason)> {
    let mut set = standing(state);
    let decision = done(&mut set, update);
    match decision.faults.first() {
        Some(fault) => Err((fault.pointer.clone(), fault.reason)),
        None => Ok(membership(&set, "P-1", "cash").unwrap()),
    }
}

#[test]
fn every_action_from_every_state() {
    use Action as A;
    use State::{Draft, Duplicated, Enrolled, Exited, NotEligible, Paused};
    // Unchanged `=`, refused `x`, or the change and the state after it; columns as in `State::ALL`.
    let table: [(Action, [&str; 6]); 10] = [
        (A::Enroll, ["Enrolled", "=", "x", "x", "x", "x"]),
        (A::Pause, ["x", "Paused", "=", "x", "x", "x"]),
        (A::Resume, ["x", "=", "Resumed", "x", "x", "x"]),
        (A::Exit, ["Exited", "Exited", "Exited", "=", "x", "x"]),
        (A::MarkNotEligible, ["NotEligible", "NotEligible", "NotEligible", "x", "=", "x"]),
        (A::MarkDuplicated, ["Duplicated", "Duplicated", "Duplicated", "x", "x", "="]),
        (A::ResetToDraft, ["=", "x", "x", "x", "Reset", "Reset"]),
        (A::Reenroll, ["x", "=", "x", "Reenrolled", "x", "x"]),
        (A::Correct, ["=", "=", "=", "=", "=", "="]),
        (A::Remove, ["Removed", "Removed", "Removed", "Removed", "Removed", "Removed"]),
    ];
    assert_eq!(table.map(|row| row.0), Action::ALL);
    for (action, row) in table {
        for (state, expected) in State::ALL.into_iter().zip(row) {
            let mut set = standing(state);
            let decision = done(&mut set, update(action));
            let cell = format!("{action:?} of {state:?}");
            let [item] = decision.items.as_slice() else { panic!("{cell}") };
            assert_eq!((&*item.pointer, &*item.program), ("", "cash"), "{cell}");
            let now = membership(&set, "P-1", "cash");
            if expected == "x" {
                assert_eq!(decision.status, Status::Rejected, "{cell}");
                assert_eq!(faults(&decision), [("/action", Reason::StateTransitionInvalid)]);
                continue;
            }
            if expected == "=" {
                assert_eq!(
                    (decision.status, item.outcome),
                    (Status::Unchanged, ItemOutcome::Unchanged)
                );
                assert_eq!(item.membership.unwrap().2, 3, "{cell}");
                continue;
            }
            assert_eq!(decision.status, Status::Applied, "{cell}");
            let [event] = decision.events.as_slice() else { panic!("{cell}") };
            assert_eq!(format!("{:?}", event.change), expected, "{cell}");
            assert_eq!((event.previous_state, event.membership.version), (Some(state), 4));
            let after = match expected {
                "Enrolled" | "Resumed" | "Reenrolled" => Some(Enrolled),
                "Paused" => Some(Paused),
                "Exited" => Some(Exited),
                "NotEligible" => Some(NotEligible),
                "Duplicated" => Some(Duplicated),
                "Reset" => Some(Draft),
                _ => None,
            };
            assert_eq!(now.as_ref().map(|now| now.state), after, "{cell}");
            assert_eq!(event.present, after.is_some(), "{cell}");
            if let Some(now) = now {
                assert_eq!(event.membership, now, "{cell}");
            }
        }
    }
}

#[test]
fn spells_and_dates() {
    let reenrolled = outcome(State::Exited, update(Action::Reenroll)).unwrap();
    assert_eq!((reenrolled.spell, reenrolled.enrollment_date), (2, Some(TODAY)));
    assert_eq!(reenrolled.exit_date, None, "a new spell has no end yet");
    let on = |enrollment_date| Update {
        enrollment_date: Some(enrollment_date),
        ..update(Action::Reenroll)
    };
    assert_eq!(outcome(State::Exited, on(LEFT)).unwrap().enrollment_date, Some(LEFT));
    let refused = Err(("/enrollment_date".to_owned(), Reason::EnrollmentDateInvalid));
    assert_eq!(outcome(State::Exited, on(LEFT - Duration::DAY)), refused);
    assert_eq!(outcome(State::Exited, on(TOO_FAR)), refused);
    assert_eq!(outcome(State::Enrolled, on(ENTERED)).unwrap().version, 3);
    let other = Err(("/enrollment_date".to_owned(), Reason::MembershipAlreadyEnrolled));
    assert_eq!(outcome(State::Enrolled, on(LEFT)), other);
    let draft = outcome(State::NotEligible, update(Action::ResetToDraft)).unwrap();
    assert_eq!(draft.enrollment_date, Some(ENTERED), "RESET_TO_DRAFT keeps the enrollment date");
}

#[test]
fn exits() {
    let on = |exit_date| Update { exit_date: Some(exit_date), ..update(Action::Exit) };
    assert_eq!(outcome(State::Paused, update(Action::Exit)).unwrap().exit_date, Some(TODAY));
    assert_eq!(outcome(State::Enrolled, on(ENTERED)).unwrap().exit_date, Some(ENTERED));
    let refused = Err(("/exit_date".to_owned(), Reason::ExitDateInvalid));
    assert_eq!(outcome(State::Enrolled, on(ENTERED - Duration::DAY)), refused);
    assert_eq!(outcome(State::Enrolled, on(TOO_FAR)), refused);
    assert_eq!(outcome(State::Exited, on(LEFT)).unwrap().version, 3);
    let again = Err(("/action".to_owned(), Reason::StateTransitionInvalid));
    assert_eq!(outcome(State::Exited, on(TODAY)), again, "CORRECT is for that");
}

#[test]
fn corrections() {
    let dates = |enrollment_date, exit_date| Update {
        enrollment_date,
        exit_date,
        ..update(Action::Correct)
    };
    let day = Duration::DAY;
    for state in State::ALL {
        let now = outcome(state, dates(Some(ENTERED - day), None)).unwrap();
        assert_eq!((now.state, now.version), (state, 4));
        assert_eq!(now.enrollment_date, Some(ENTERED - day));
        assert_eq!(outcome(state, dates(Some(ENTERED), None)).unwrap().version, 3);
        let left = outcome(state, dates(None, Some(TODAY)));
        match state {
            State::Exited => assert_eq!(left.unwrap().exit_date, Some(TODAY)),
            _ => assert_eq!(left, Err(("/exit_date".to_owned(), Reason::ExitDateInvalid))),
        }
    }
    let bad_entry = Err(("/enrollment_date".to_owned(), Reason::EnrollmentDateInvalid));
    let bad_exit = Err(("/exit_date".to_owned(), Reason::ExitDateInvalid));
    assert_eq!(outcome(State::Exited, dates(Some(LEFT + day), None)), bad_entry);
    assert_eq!(outcome(State::Exited, dates(None, Some(ENTERED - day))), bad_exit);
    assert_eq!(outcome(State::Exited, dates(Some(TODAY), Some(LEFT))), bad_exit);
    assert_eq!(outcome(State::Exited, dates(None, Some(TOO_FAR))), bad_exit);
    assert_eq!(outcome(State::Enrolled, dates(Some(TOO_FAR), None)), bad_entry);
    let decision = done(&mut standing(State::Enrolled), dates(Some(TOO_FAR), Some(TOO_FAR)));
    assert_eq!(decision.faults.len(), 2, "every broken rule is told");
}

#[test]
fn an_ended_program_and_a_disabled_registrant() {
    for (action, from, barred) in [
        (Action::Enroll, State::Draft, true),
        (Action::Resume, State::Paused, true),
        (Action::Reenroll, State::Exited, true),
        (Action::Pause, State::Enrolled, false),
        (Action::Exit, State::Enrolled, false),
        (Action::MarkNotEligible, State::Enrolled, false),
        (Action::ResetToDraft, State::NotEligible, false),
        (Action::Remove, State::Enrolled, false),
        // What already holds.
        (Action::Enroll, State::Enrolled, false),
        (Action::Resume, State::Enrolled, false),
        (Action::Reenroll, State::Enrolled, false),
    ] {
        let mut set = world();
        let mut registrant = standing_in("old", from);
        registrant.disabled = true;
        set.load_registrant(registrant);
        let decision = done(&mut set, Update { program: "old".to_owned(), ..update(action) });
        let expected =
            [("/program", Reason::ProgramEnded), ("/registrant", Reason::RegistrantDisabled)];
        let expected = if barred { &expected[..] } else { &[] };
        assert_eq!(faults(&decision), expected, "{action:?} of {from:?}");
    }
}

#[test]
fn effective_dates_and_reasons() {
    let given = date!(2026 - 03 - 01);
    let dated = |action| Update {
        enrollment_date: (action != Action::Exit).then_some(given),
        exit_date: (action == Action::Exit).then_some(given),
        ..update(action)
    };
    for (asked, from, expected) in [
        (update(Action::Pause), State::Enrolled, TODAY),
        (update(Action::Enroll), State::Draft, ENTERED),
        (dated(Action::Enroll), State::Draft, given),
        (dated(Action::Reenroll), State::Exited, given),
        (dated(Action::Exit), State::Enrolled, given),
        (dated(Action::Correct), State::Enrolled, given),
        (Update { exit_date: Some(given), ..update(Action::Correct) }, State::Exited, given),
    ] {
        for (said, expected) in [(None, expected), (Some(TOO_FAR), TOO_FAR)] {
            let asked = Update {
                effective_date: said,
                reason: Some(("moved".to_owned(), Some("to the coast".to_owned()))),
                ..asked.clone()
            };
            let decision = done(&mut standing(from), asked.clone());
            let event = &decision.events[0];
            assert_eq!(event.effective_date, expected, "{asked:?}");
            let reason = (event.reason_code.as_deref(), event.reason_note.as_deref());
            assert_eq!(reason, (Some("moved"), Some("to the coast")));
        }
    }
}

#[test]
fn a_removed_member_begins_anew() {
    let mut set = standing(State::Enrolled);
    let old = membership(&set, "P-1", "cash").unwrap();
    let id = old.membership_id;
    let decision = done(&mut set, update(Action::Remove));
    assert_eq!(decision.events[0].membership, Membership { version: 4, ..old });
    assert_eq!(decision.events[0].change, Change::Removed);
    assert_eq!(decision.items[0].membership, Some((id, None, 4)), "what was removed");
    assert_eq!(set.removed_memberships().collect::<Vec<_>>(), [id]);
    request(&mut set, "m-2", person("P-1"), &[item("cash")]);
    let new = membership(&set, "P-1", "cash").unwrap();
    assert_ne!(new.membership_id, id);
    assert_eq!((new.version, new.spell), (1, 1));
}

#[test]
fn expected_versions() {
    let expecting = |action, version| Update { expected_version: Some(version), ..update(action) };
    let conflict = [("/expected_version", Reason::VersionConflict)];
    for (action, version) in
        [(Action::Pause, 2), (Action::Pause, 0), (Action::Enroll, 0), (Action::Resume, 4)]
    {
        let decision = done(&mut standing(State::Enrolled), expecting(action, version));
        assert_eq!(faults(&decision), conflict, "also where nothing would change");
    }
    let decision = done(&mut standing(State::Enrolled), expecting(Action::Pause, 3));
    assert_eq!(decision.status, Status::Applied);
    for (action, version, expected) in [
        (Action::Enroll, 0, None),
        (Action::Enroll, 1, Some(conflict[0])),
        (Action::Pause, 1, Some(conflict[0])),
        (Action::Pause, 0, Some(("", Reason::MembershipNotFound))),
    ] {
        let mut set = world();
        set.load_registrant(stored("P-1", &[]));
        let decision = done(&mut set, expecting(action, version));
        assert_eq!(faults(&decision), expected.into_iter().collect::<Vec<_>>(), "{action:?}");
    }
    for program in ["none", "homes"] {
        let asked = Update { program: program.to_owned(), ..expecting(Action::Pause, 1) };
        assert_eq!(faults(&done(&mut standing(State::Enrolled), asked)), conflict, "{program}");
    }
}

#[test]
fn what_is_named_by_its_id_is_no_other_in_its_place() {
    let mut set = standing(State::Draft);
    let id = membership(&set, "P-1", "cash").unwrap().membership_id;
    let of = |action, id| Update { membership_id: Some(id), ..update(action) };
    assert_eq!(done(&mut set, of(Action::Enroll, id)).status, Status::Applied);
    assert_eq!(done(&mut set, of(Action::Pause, id)).status, Status::Applied);
    assert_eq!(done(&mut set, of(Action::Remove, id)).status, Status::Applied);
    for there in [false, true] {
        if there {
            request(&mut set, "m-2", person("P-1"), &[item("cash")]);
        }
        let before = set.clone();
        for action in Action::ALL {
            let decision =
                decide(&meta("u-2"), &Command::Update(of(action, id)), &mut set, Patience::Waits);
            let Verdict::Decided(decision) = decision else { panic!("{action:?} waits") };
            assert_eq!(faults(&decision), [("", Reason::MembershipNotFound)], "{action:?}");
            let first = Update { expected_version: Some(1), ..of(action, id) };
            let conflict = [("/expected_version", Reason::VersionConflict)];
            assert_eq!(faults(&done(&mut set, first)), conflict, "{action:?}: of the other one");
        }
        assert_eq!(set, before);
    }
}

#[test]
fn what_waits_and_for_what() {
    let decided = |set: &mut WorkingSet, update: &Update| {
        decide(&meta("u-1"), &Command::Update(update.clone()), set, Patience::Waits)
    };
    let mut set = world();
    for action in Action::ALL {
        assert_eq!(decided(&mut set, &update(action)), Verdict::Waits(Missing::Registrant));
    }
    let decision = done(&mut set, update(Action::Enroll));
    assert_eq!(faults(&decision), [("/registrant", Reason::RegistrantNotFound)]);
    assert!(decision.items.is_empty() && decision.registrant_id.is_none());

    set.load_registrant(stored("P-1", &[]));
    let id = find(&set, "P-1").unwrap().registrant_id;
    for action in Action::ALL.into_iter().filter(|action| *action != Action::Enroll) {
        let asked = Update { expected_version: Some(7), ..update(action) };
        let waits = Verdict::Waits(Missing::Membership(id));
        assert_eq!(decided(&mut set, &asked), waits, "whatever version it expects");
        assert_eq!(faults(&done(&mut set, update(action))), [("", Reason::MembershipNotFound)]);
    }
    for (program, reason) in
        [("none", Reason::ProgramNotFound), ("homes", Reason::ProgramTargetTypeMismatch)]
    {
        let asked = Update { program: program.to_owned(), ..update(Action::Pause) };
        let Verdict::Decided(decision) = decided(&mut set, &asked) else { panic!("{program}") };
        assert_eq!(faults(&decision), [("/program", reason)], "waits for nobody");
        assert_eq!(decision.items[0].registrant_id, Some(id));
    }
    let decision = decided(&mut set, &update(Action::Enroll));
    assert!(matches!(decision, Verdict::Decided(decision) if decision.status == Status::Applied));
}

#[test]
fn whom_an_update_means() {
    let mut set = world();
    let named = |reference: &str, id: &str| super::RegistrantInfo {
        ids: super::known_by(&[id]).ids,
        ..person(reference)
    };
    request(&mut set, "m-1", named("P-1", "NID=1"), &[item("cash")]);
    request(&mut set, "m-2", named("P-2", "TAX=2"), &[item("cash")]);
    let by = |reference: Option<&str>, ids: &[(&str, &str)]| {
        let owned = |(id_type, value): &(&str, &str)| ((*id_type).to_owned(), (*value).to_owned());
        Update {
            registrant: RegistrantRef {
                source: None,
                reference: reference.map(str::to_owned),
                ids: ids.iter().map(owned).collect(),
            },
            ..update(Action::Pause)
        }
    };
    let nid = ("NID", "1");
    for (asked, expected) in [
        (by(None, &[nid]), Ok("P-1")),
        (by(None, &[nid, ("TAX", "9")]), Ok("P-1")),
        (by(Some("P-2"), &[nid]), Ok("P-2")),
        (by(Some("P-9"), &[nid]), Err(("/registrant", Reason::RegistrantNotFound))),
        (by(None, &[nid, ("TAX", "2")]), Err(("/registrant/ids", Reason::RegistrantAmbiguous))),
        (by(None, &[]), Err(("/registrant", Reason::RegistrantUnnamed))),
        (
            Update { program: "none".to_owned(), ..by(None, &[]) },
            Err(("/registrant", Reason::RegistrantUnnamed)),
        ),
    ] {
        let decision = done(&mut set.clone(), asked);
        let meant = decision.registrant_id;
        match expected {
            Ok(reference) => {
                assert_eq!(meant, Some(find(&set, reference).unwrap().registrant_id));
            }
            Err(fault) => {
                assert_eq!((faults(&decision), meant), (vec![fault], None));
                assert!(decision.items.is_empty());
            }
        }
    }
}
