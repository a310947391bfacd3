//! "When a published fact of a payee changes (`payment_address`, disabled, ids), each of the DRAFT, ENROLLED or PAUSED
//! memberships concerned gets version + 1 and a `PAYEE_CHANGED` event": nobody is paid at an old address.

use super::super::{
    Change, Clearable, IdentifierIn, ItemOutcome, ProgramId, RegistrantInfo, RegistrantKind, State,
    Status,
};
use super::{TODAY, draft, identifier, item, known_by, membership, person, request, stored, world};
use time::macros::date;

fn pay_to(address: &str) -> RegistrantInfo {
    RegistrantInfo { payment_address: Some(address.to_owned()), ..person("P-1") }
}

#[test]
fn every_membership_that_payments_follow_says_so() {
    for (state, follows) in State::ALL.into_iter().zip([true, true, true, false, false, false]) {
        let mut set = world();
        set.load_registrant(stored("P-1", &[("old", state, Some(date!(2025 - 01 - 01)))]));
        let decision = request(&mut set, "m-1", pay_to("acct:1"), &[]);
        assert_eq!(decision.status, Status::Applied);
        let now = membership(&set, "P-1", "old").unwrap();
        assert_eq!(now.version, if follows { 4 } else { 3 }, "{state:?}");
        assert_eq!(now.state, state);
        assert_eq!(set.updated_memberships().count(), usize::from(follows));
        assert_eq!(decision.events.len(), usize::from(follows), "{state:?}");
        if let [event] = decision.events.as_slice() {
            assert_eq!((event.change, event.previous_state), (Change::PayeeChanged, Some(state)));
            assert_eq!((event.effective_date, &event.reason_code), (TODAY, &None));
            assert_eq!(event.membership, now);
            assert_eq!(event.payee.as_ref().unwrap().payment_address.as_deref(), Some("acct:1"));
        }
    }
}

#[test]
fn the_facts_that_count_and_those_that_do_not() {
    let with_expiry =
        |id: &str| IdentifierIn { expiry_date: Some(date!(2040 - 01 - 01)), ..identifier(id) };
    let clear = |field: &str| RegistrantInfo {
        clear: vec![Clearable::parse(field).unwrap()],
        ..person("P-1")
    };
    let ids = |ids: &[&str]| RegistrantInfo { ids: known_by(ids).ids, ..person("P-1") };
    let cases = [
        (pay_to("acct:1"), true),
        (pay_to("acct:0"), false),
        (clear("payment_address"), true),
        (RegistrantInfo { disabled: Some(true), ..person("P-1") }, true),
        (RegistrantInfo { disabled: Some(false), ..person("P-1") }, false),
        (clear("disabled"), false),
        (ids(&["NID=1"]), false),
        (ids(&["NID=2"]), true),
        (ids(&["TAX=1"]), true),
        (clear("ids.NID"), true),
        (clear("ids.TAX"), false),
        // What is not published with a payee.
        (RegistrantInfo { ids: vec![with_expiry("NID=1")], ..person("P-1") }, false),
        (RegistrantInfo { name: Some("A".to_owned()), ..person("P-1") }, false),
        (
            RegistrantInfo {
                source: Some("clinic".to_owned()),
                ids: known_by(&["NID=1"]).ids,
                ..person("C-1")
            },
            false,
        ),
    ];
    for (index, (info, counts)) in cases.into_iter().enumerate() {
        let mut set = world();
        let start = RegistrantInfo { ids: known_by(&["NID=1"]).ids, ..pay_to("acct:0") };
        request(&mut set, "m-1", start, &[item("cash"), draft("food")]);
        let decision = request(&mut set, "m-2", info, &[]);
        let changed =
            decision.events.iter().filter(|event| event.change == Change::PayeeChanged).count();
        assert_eq!(changed, if counts { 2 } else { 0 }, "case {index}");
        assert_eq!(decision.events.len(), changed);
    }
}

#[test]
fn a_membership_that_the_request_moves_gets_none_beside_it() {
    let mut set = world();
    request(&mut set, "m-1", pay_to("acct:0"), &[draft("cash"), item("food")]);
    let decision = request(&mut set, "m-2", pay_to("acct:1"), &[item("cash")]);
    let cash = ProgramId::of("cash");
    let said: Vec<_> = decision
        .events
        .iter()
        .map(|e| (e.membership.program_id == cash, e.change, e.membership.version))
        .collect();
    assert_eq!(said, [(true, Change::Enrolled, 2), (false, Change::PayeeChanged, 2)]);
    for event in &decision.events {
        let payee = event.payee.as_ref().unwrap();
        assert_eq!(
            payee.payment_address.as_deref(),
            Some("acct:1"),
            "as of the end of the request"
        );
    }
}

#[test]
fn an_unchanged_item_tells_the_version_that_its_payee_made() {
    let mut set = world();
    request(&mut set, "m-1", pay_to("acct:0"), &[item("cash")]);
    let decision = request(&mut set, "m-2", pay_to("acct:1"), &[item("cash"), item("none")]);
    assert_eq!(decision.status, Status::Partial, "facts are kept with a partial request");
    assert_eq!(decision.items[0].outcome, ItemOutcome::Unchanged);
    assert_eq!(decision.items[0].membership.unwrap().2, 2);
    assert_eq!(decision.events.len(), 1);
}

#[test]
fn a_rejected_request_announces_nobody() {
    let mut set = world();
    request(&mut set, "m-1", pay_to("acct:0"), &[item("cash")]);
    let decision = request(&mut set, "m-2", pay_to("acct:1"), &[item("none")]);
    assert_eq!((decision.status, decision.events.len()), (Status::Rejected, 0));
    assert_eq!(membership(&set, "P-1", "cash").unwrap().version, 1);
}

#[test]
fn versions_count_one_by_one() {
    let mut set = world();
    let mut versions = Vec::new();
    let requests = [
        (person("P-1"), vec![draft("cash")]),
        (pay_to("acct:1"), vec![]),
        (pay_to("acct:1"), vec![item("cash")]),
        (RegistrantInfo { disabled: Some(true), ..person("P-1") }, vec![]),
        (pay_to("acct:2"), vec![item("cash")]),
    ];
    for (index, (info, items)) in requests.into_iter().enumerate() {
        let decision = request(&mut set, &format!("m-{index}"), info, &items);
        versions.extend(decision.events.iter().map(|event| event.membership.version));
    }
    assert_eq!(versions, [1, 2, 3, 4, 5]);
}

#[test]
fn facts_of_a_group_do_not_change_who_is_paid_for_it() {
    let mut set = world();
    let group = |info| RegistrantInfo { kind: RegistrantKind::Group, ..info };
    request(&mut set, "m-1", group(person("P-1")), &[item("homes")]);
    let decision = request(&mut set, "m-2", group(pay_to("acct:1")), &[]);
    assert_eq!((decision.status, decision.events.len()), (Status::Applied, 0));
}

#[test]
fn changes_are_announced_in_one_order() {
    let mut set = world();
    let programs = [
        ("cash", State::Enrolled, None),
        ("food", State::Draft, None),
        ("old", State::Paused, None),
    ];
    set.load_registrant(stored("P-1", &programs));
    let one = request(&mut set, "m-1", pay_to("acct:1"), &[]);
    let mut set = world();
    let mut registrant = stored("P-1", &programs);
    registrant.memberships.reverse();
    set.load_registrant(registrant);
    let other = request(&mut set, "m-1", pay_to("acct:1"), &[]);
    assert_eq!(one.events, other.events, "memberships come from the store in no order");
}
