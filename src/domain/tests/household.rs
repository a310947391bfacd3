//! Households, and what the payment system sees of them: "nobody keeps paying the old head".

use super::super::{
    Change, Command, Decision, GroupChange, GroupMode, RegistrantInfo, State, Status, WorkingSet,
};
use super::group::{change, ended, group, member, merge};
use super::{TODAY, find, item, membership, person, request, world};

fn pay(reference: &str, address: &str) -> RegistrantInfo {
    RegistrantInfo { payment_address: Some(address.to_owned()), ..person(reference) }
}

/// G-1 in `homes`, with P-1 as Head and P-2.
fn household() -> WorkingSet {
    let mut set = world();
    let head = member(pay("P-1", "acct:1"), Some(&["Head"]));
    let request = GroupChange {
        program_memberships: vec![item("homes")],
        ..merge(&[head, member(pay("P-2", "acct:2"), None)])
    };
    let decision = change(&mut set, "m-1", request);
    assert_eq!(seen(&decision), [(Change::Enrolled, 1, Some("acct:1"))]);
    set
}

/// What events say: the change, the version, where to pay.
fn seen(decision: &Decision) -> Vec<(Change, i32, Option<&str>)> {
    let said = decision.events.iter().map(|event| {
        let pay = event.payee.as_ref().and_then(|payee| payee.payment_address.as_deref());
        (event.change, event.membership.version, pay)
    });
    said.collect()
}

#[test]
fn the_heads_death() {
    let mut set = household();
    let died = merge(&[ended(TODAY, member(person("P-1"), None))]);
    let decision = change(&mut set, "m-2", died);
    assert_eq!(seen(&decision), [(Change::PayeeChanged, 2, None)], "no Head: hold payment");
    let event = &decision.events[0];
    assert_eq!((event.payee.as_ref(), event.effective_date), (None, TODAY));
    assert_eq!((event.previous_state, &event.reason_code), (Some(State::Enrolled), &None));
    let next = merge(&[member(person("P-2"), Some(&["Head"]))]);
    let decision = change(&mut set, "m-3", next);
    assert_eq!(seen(&decision), [(Change::PayeeChanged, 3, Some("acct:2"))]);
}

#[test]
fn another_head_in_one_request_is_one_change() {
    let mut set = household();
    let members =
        [member(person("P-1"), Some(&["Spouse"])), member(pay("P-2", "acct:9"), Some(&["Head"]))];
    let decision = change(&mut set, "m-2", merge(&members));
    assert_eq!(seen(&decision), [(Change::PayeeChanged, 2, Some("acct:9"))]);
}

#[test]
fn a_published_fact_of_the_head_changes_by_an_enrollment() {
    let mut set = household();
    let decision = request(&mut set, "m-2", pay("P-1", "acct:3"), &[item("cash")]);
    assert_eq!(
        seen(&decision),
        [(Change::Enrolled, 1, Some("acct:3")), (Change::PayeeChanged, 2, Some("acct:3"))],
        "the group's comes after the request's own"
    );
    let group = find(&set, "G-1").unwrap();
    assert_eq!(decision.events[1].registrant.registrant_id, group.registrant_id);
    assert_eq!(membership(&set, "G-1", "homes").unwrap().version, 2);
    let unpaid = request(&mut set, "m-3", pay("P-2", "acct:4"), &[]);
    assert_eq!((unpaid.status, unpaid.events.len()), (Status::Applied, 0));
}

#[test]
fn a_household_splits() {
    let mut set = household();
    let new = GroupChange {
        group: group("G-2"),
        program_memberships: vec![item("homes")],
        ..merge(&[member(person("P-2"), Some(&["Head"]))])
    };
    let decision = change(&mut set, "m-2", new);
    assert_eq!(seen(&decision), [(Change::Enrolled, 1, Some("acct:2"))]);
    let stays = GroupChange { mode: GroupMode::Replace, ..merge(&[member(person("P-1"), None)]) };
    let decision = change(&mut set, "m-3", stays);
    assert_eq!((decision.status, decision.events.len()), (Status::Applied, 0), "paid as before");
}

#[test]
fn the_head_of_two_groups() {
    let mut set = household();
    let second = GroupChange {
        group: group("G-2"),
        program_memberships: vec![item("homes")],
        ..merge(&[member(person("P-1"), Some(&["Head"]))])
    };
    change(&mut set, "m-2", second);
    request(&mut set, "m-3", person("P-1"), &[item("cash")]);
    let told = merge(&[member(pay("P-1", "acct:5"), None)]);
    let decision = change(&mut set, "m-4", told);
    assert_eq!(decision.events.len(), 3, "the person's own membership and both groups'");
    assert!(seen(&decision).iter().all(|(change, version, pay)| {
        (*change, *version, *pay) == (Change::PayeeChanged, 2, Some("acct:5"))
    }));
    let ids: Vec<_> = decision.events.iter().map(|e| e.membership.membership_id).collect();
    assert!(ids.is_sorted());
}

#[test]
fn own_memberships_of_members_who_end_stay() {
    let mut set = household();
    request(&mut set, "m-2", person("P-2"), &[item("cash")]);
    let none = GroupChange { mode: GroupMode::Replace, ..merge(&[]) };
    let decision = change(&mut set, "m-3", none);
    assert_eq!(seen(&decision), [(Change::PayeeChanged, 2, None)]);
    assert_eq!(membership(&set, "P-2", "cash").unwrap().version, 1);
    assert_eq!(set.inserted_places().count(), 2, "what is not stored yet is inserted as it ends");
    let command = Command::Group(merge(&[]));
    assert_eq!(super::apply(&mut set, "m-4", &command).status, Status::Unchanged);
}
