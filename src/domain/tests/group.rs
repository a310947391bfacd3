//! Groups and their members, sentence by sentence.

use super::super::{
    Command, Decision, GroupChange, GroupMode, ItemOutcome, MemberIn, Place, ProgramMembershipIn,
    Reason, RegistrantInfo, RegistrantKind, Status, WorkingSet,
};
use super::{
    TODAY, apply, faults, find, item, known_by, membership, nobody, person, request, world,
};
use time::macros::date;
use time::{Date, Duration};

pub(super) fn group(reference: &str) -> RegistrantInfo {
    RegistrantInfo { kind: RegistrantKind::Group, ..person(reference) }
}

/// A member with these kinds, if any are given.
pub(super) fn member(individual: RegistrantInfo, kinds: Option<&[&str]>) -> MemberIn {
    MemberIn {
        individual,
        kinds: kinds.map(|kinds| kinds.iter().map(|kind| (*kind).to_owned()).collect()),
        start_date: None,
        ended_date: None,
        program_memberships: Vec::new(),
    }
}

pub(super) fn ended(on: Date, member: MemberIn) -> MemberIn {
    MemberIn { ended_date: Some(on), ..member }
}

pub(super) fn merge(members: &[MemberIn]) -> GroupChange {
    GroupChange {
        atomic: false,
        group: group("G-1"),
        mode: GroupMode::Merge,
        members: members.to_vec(),
        program_memberships: Vec::new(),
    }
}

pub(super) fn change(set: &mut WorkingSet, message_id: &str, change: GroupChange) -> Decision {
    apply(set, message_id, &Command::Group(change))
}

fn place(set: &WorkingSet, reference: &str) -> Place {
    let person = find(set, reference).unwrap().registrant_id;
    find(set, "G-1").unwrap().members[&person].clone()
}

fn stands(kinds: &[&str], start_date: Date, ended_date: Option<Date>) -> Place {
    let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    Place { kinds, start_date, ended_date }
}

#[test]
fn group_and_members_in_one_request() {
    let mut set = world();
    let with = |items: &[ProgramMembershipIn], member: MemberIn| MemberIn {
        program_memberships: items.to_vec(),
        ..member
    };
    let request = GroupChange {
        program_memberships: vec![item("homes"), item("cash")],
        ..merge(&[
            with(&[item("cash"), item("none")], member(person("P-1"), Some(&["Head"]))),
            with(&[item("food")], member(person("P-2"), None)),
        ])
    };
    let decision = change(&mut set, "m-1", request.clone());
    let said: Vec<_> =
        decision.items.iter().map(|item| (item.pointer.as_str(), item.outcome)).collect();
    assert_eq!(
        said,
        [
            ("/members/0/program_memberships/0", ItemOutcome::Applied),
            ("/members/0/program_memberships/1", ItemOutcome::Rejected),
            ("/members/1/program_memberships/0", ItemOutcome::Applied),
            ("/program_memberships/0", ItemOutcome::Applied),
            ("/program_memberships/1", ItemOutcome::Rejected),
        ]
    );
    assert_eq!(decision.status, Status::Partial, "refused memberships are refused one by one");
    let group = find(&set, "G-1").unwrap();
    assert_eq!(decision.registrant_id, Some(group.registrant_id));
    let whose = find(&set, "P-2").unwrap().registrant_id;
    assert_eq!(decision.items[2].registrant_id, Some(whose));
    assert_eq!(place(&set, "P-1"), stands(&["Head"], TODAY, None));
    assert_eq!(place(&set, "P-2"), stands(&[], TODAY, None));
    assert_eq!(set.inserted_places().count(), 2);
    let atomic = GroupChange { atomic: true, ..request };
    let decision = change(&mut world(), "m-1", atomic);
    assert_eq!((decision.status, decision.registrant_id), (Status::Rejected, None));
    assert_eq!(decision.items[0].reason, Reason::RequestAtomic);
}

#[test]
fn merge_keeps_and_replace_ends_who_is_not_named() {
    let mut set = world();
    let start = date!(2026 - 01 - 05);
    let first =
        MemberIn { start_date: Some(start), ..member(person("P-1"), Some(&["b", "a", "b"])) };
    let members = [first, member(person("P-2"), None), ended(start, member(person("P-3"), None))];
    change(&mut set, "m-1", merge(&members));
    assert_eq!(place(&set, "P-1"), stands(&["a", "b"], start, None), "sorted, each once");
    assert_eq!(place(&set, "P-3"), stands(&[], start, Some(start)), "one who has ended");

    let again = merge(&[member(person("P-1"), None)]);
    assert_eq!(change(&mut set, "m-2", again.clone()).status, Status::Unchanged);
    let replace = GroupChange { mode: GroupMode::Replace, ..again };
    assert_eq!(change(&mut set, "m-3", replace.clone()).status, Status::Applied);
    assert_eq!(place(&set, "P-1"), stands(&["a", "b"], start, None));
    assert_eq!(place(&set, "P-2"), stands(&[], TODAY, Some(TODAY)));
    assert_eq!(place(&set, "P-3"), stands(&[], start, Some(start)), "had ended before");
    assert_eq!(change(&mut set, "m-4", replace).status, Status::Unchanged);
}

#[test]
fn who_has_ended_is_a_member_again() {
    let mut set = world();
    let start = date!(2026 - 01 - 05);
    let first = MemberIn { start_date: Some(start), ..member(person("P-1"), Some(&["Head"])) };
    change(&mut set, "m-1", merge(&[first]));
    let later = TODAY + Duration::days(30);
    change(&mut set, "m-2", merge(&[ended(later, member(person("P-1"), None))]));
    assert_eq!(place(&set, "P-1"), stands(&["Head"], start, Some(later)), "whatever its day");
    assert_eq!(find(&set, "G-1").unwrap().head("Head"), None);
    change(&mut set, "m-3", merge(&[member(person("P-1"), None)]));
    assert_eq!(place(&set, "P-1"), stands(&[], TODAY, None), "with the kinds given and no others");
    change(&mut set, "m-4", merge(&[member(person("P-1"), Some(&["Head"]))]));
    assert_eq!(place(&set, "P-1"), stands(&["Head"], TODAY, None), "kinds given replace");
}

#[test]
fn one_head() {
    let head = |reference| member(person(reference), Some(&["Head"]));
    let refused = [("/members", Reason::GroupHeadNotUnique)];
    let mut set = world();
    let decision = change(&mut set, "m-1", merge(&[head("P-1"), head("P-2")]));
    assert_eq!(faults(&decision), refused);
    change(&mut set, "m-2", merge(&[head("P-1")]));
    let decision = change(&mut set, "m-3", merge(&[head("P-2")]));
    assert_eq!(faults(&decision), refused, "the end state counts");
    let handed = merge(&[head("P-2"), member(person("P-1"), Some(&[]))]);
    assert_eq!(change(&mut set, "m-4", handed).status, Status::Applied);
    let replaced = GroupChange { mode: GroupMode::Replace, ..merge(&[head("P-3")]) };
    assert_eq!(change(&mut set, "m-5", replaced).status, Status::Applied);
    let group = find(&set, "G-1").unwrap();
    assert_eq!(group.head("Head"), Some(find(&set, "P-3").unwrap().registrant_id));
}

#[test]
fn rules_of_naming_kind_and_dates_all_at_once() {
    let mut set = world();
    request(&mut set, "m-1", person("P-1"), &[]);
    request(&mut set, "m-2", group("G-2"), &[item("homes")]);
    let far = TODAY + Duration::days(400);
    let new = |id: &str| RegistrantInfo { ids: known_by(&[id]).ids, ..nobody() };
    let members = [
        member(nobody(), None),
        member(person("G-1"), None),
        member(person("P-1"), None),
        member(person("P-1"), None),
        member(new("NID=1"), None),
        member(new("NID=1"), None),
        member(person("G-2"), None),
        member(group("P-4"), None),
        ended(TODAY, MemberIn { start_date: Some(far), ..member(person("P-5"), None) }),
    ];
    let decision = change(&mut set, "m-3", merge(&members));
    let at = |index: usize, rest: &str| format!("/members/{index}/{rest}");
    let expected = [
        (at(0, "individual"), Reason::RegistrantUnnamed),
        (at(1, "individual"), Reason::GroupSelfMember),
        (at(3, "individual"), Reason::GroupMemberDuplicate),
        (at(5, "individual"), Reason::GroupMemberDuplicate),
        (at(6, "individual/kind"), Reason::RegistrantKindMismatch),
        (at(7, "individual/kind"), Reason::RegistrantKindMismatch),
        (at(8, "ended_date"), Reason::GroupMemberDatesInvalid),
        (at(8, "start_date"), Reason::GroupMemberDatesInvalid),
    ];
    let expected: Vec<_> = expected.iter().map(|(at, reason)| (at.as_str(), *reason)).collect();
    assert_eq!(faults(&decision), expected);
    assert!(decision.items.is_empty());
    for info in [person("G-9"), group("P-1")] {
        let decision = change(&mut set, "m-4", GroupChange { group: info, ..merge(&[]) });
        assert_eq!(faults(&decision), [("/group/kind", Reason::RegistrantKindMismatch)]);
    }
}

#[test]
fn a_default_start_is_never_later_than_the_end() {
    for days in [-3, 0, 3] {
        let mut set = world();
        let end = TODAY + Duration::days(days);
        change(&mut set, "m-1", merge(&[ended(end, member(person("P-1"), None))]));
        assert_eq!(place(&set, "P-1"), stands(&[], TODAY.min(end), Some(end)));
    }
    let mut set = world();
    change(&mut set, "m-1", merge(&[member(person("P-1"), None)]));
    let early = ended(TODAY - Duration::DAY, member(person("P-1"), None));
    let decision = change(&mut set, "m-2", merge(&[early]));
    let at = "/members/0/ended_date";
    assert_eq!(faults(&decision), [(at, Reason::GroupMemberDatesInvalid)]);
}

#[test]
fn members_facts_and_names_are_kept() {
    let mut set = world();
    let info = RegistrantInfo {
        name: Some("A".to_owned()),
        ids: known_by(&["NID=1"]).ids,
        ..person("P-1")
    };
    change(&mut set, "m-1", merge(&[member(info, None)]));
    assert_eq!(find(&set, "P-1").unwrap().name.as_deref(), Some("A"));
    let decision = request(&mut set, "m-2", known_by(&["NID=1"]), &[item("cash")]);
    assert_eq!(decision.registrant_id, Some(find(&set, "P-1").unwrap().registrant_id));
    assert!(membership(&set, "P-1", "cash").is_some());
    let told = GroupChange {
        group: RegistrantInfo { group_kind: Some("household".to_owned()), ..group("G-1") },
        ..merge(&[])
    };
    assert_eq!(change(&mut set, "m-3", told.clone()).status, Status::Applied);
    assert_eq!(change(&mut set, "m-4", told).status, Status::Unchanged);
}
