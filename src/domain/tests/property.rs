//! Random sequences: against the model, and however they are cut (P10).

use super::super::{
    ChangeEvent, Command, MembershipId, Meta, Missing, Patience, ProgramId, Registrant, Verdict,
    decide,
};
use super::model::Tables;
use super::random::{LONGEST, requests};
use super::random_residents::residents;
use super::store::Store;
use super::words::in_words;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Every second request may wait.
const fn patience(index: usize) -> Patience {
    if index.is_multiple_of(2) { Patience::Waits } else { Patience::Over }
}

/// Decides the requests in batches that begin at the marks; every batch is loaded anew and saved.
fn run(
    residents: &[Registrant],
    requests: &[(Meta, Command)],
    marks: &[bool],
) -> (Vec<Verdict>, Store) {
    let mut store = Store::of(residents);
    let mut verdicts = Vec::new();
    let mut rest = requests;
    while !rest.is_empty() {
        let done = requests.len() - rest.len();
        let begins = |index: &usize| marks.get(*index).copied().unwrap_or(false);
        let next = (done + 1..requests.len()).find(begins).unwrap_or(requests.len());
        let (batch, after) = rest.split_at(next - done);
        let mut set = store.load(batch);
        for (meta, command) in batch {
            verdicts.push(decide(meta, command, &mut set, patience(verdicts.len())));
        }
        store.save(&set);
        rest = after;
    }
    (verdicts, store)
}

fn code(program_id: ProgramId) -> String {
    let codes = ["cash", "food", "old", "homes"];
    codes.into_iter().find(|code| ProgramId::of(code) == program_id).unwrap().to_owned()
}

/// "Events of one membership carry version 1, 2, 3 … without a gap" (P4).
fn versions_adjoin(residents: &[Registrant], verdicts: &[Verdict]) {
    let mut versions: BTreeMap<MembershipId, i32> = residents
        .iter()
        .flat_map(|registrant| &registrant.memberships)
        .map(|membership| (membership.membership_id, membership.version))
        .collect();
    let events = verdicts.iter().flat_map(|verdict| match verdict {
        Verdict::Decided(decision) => decision.events.as_slice(),
        Verdict::Waits(_) => &[],
    });
    for ChangeEvent { membership, .. } in events {
        let last = versions.entry(membership.membership_id).or_insert(0);
        *last += 1;
        assert_eq!(membership.version, *last, "{membership:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn decisions_are_those_of_the_model(residents in residents(), requests in requests()) {
        let (verdicts, store) = run(&residents, &requests, &[]);
        let mut model = Tables::default();
        for registrant in &residents {
            model.settle(registrant);
        }
        for (index, ((meta, command), verdict)) in requests.iter().zip(&verdicts).enumerate() {
            let said = model.request(meta, command, patience(index));
            prop_assert_eq!(in_words(verdict, code), said);
        }
        versions_adjoin(&residents, &verdicts);
        let mut stands = Tables::default();
        for registrant in &store.registrants() {
            stands.settle(registrant);
        }
        prop_assert_eq!(stands, model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, ..ProptestConfig::default() })]

    #[test]
    fn cutting_does_not_matter(
        residents in residents(),
        requests in requests(),
        marks in prop::collection::vec(any::<bool>(), LONGEST),
    ) {
        let whole = run(&residents, &requests, &[]);
        for marks in [marks, vec![true; LONGEST]] {
            let (verdicts, store) = run(&residents, &requests, &marks);
            prop_assert_eq!(&verdicts, &whole.0);
            prop_assert!(store == whole.1, "the rows differ");
        }
    }
}

/// The generator must reach what it is there for.
#[test]
fn random_requests_meet() {
    use proptest::strategy::{Strategy as _, ValueTree as _};
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..2_000 {
        let residents = residents().new_tree(&mut runner).unwrap().current();
        let requests = requests().new_tree(&mut runner).unwrap().current();
        for verdict in run(&residents, &requests, &[]).0 {
            let decision = match verdict {
                Verdict::Decided(decision) => decision,
                Verdict::Waits(Missing::Registrant) => {
                    *seen.entry("waits for a registrant".to_owned()).or_default() += 1;
                    continue;
                }
                Verdict::Waits(Missing::Membership(_)) => {
                    *seen.entry("waits for a membership".to_owned()).or_default() += 1;
                    continue;
                }
            };
            *seen.entry(format!("{:?}", decision.status)).or_default() += 1;
            for fault in &decision.faults {
                *seen.entry(format!("{:?}", fault.reason)).or_default() += 1;
            }
            for event in &decision.events {
                *seen.entry(format!("{:?}", event.change)).or_default() += 1;
            }
        }
    }
    for expected in [
        "Applied",
        "Unchanged",
        "Partial",
        "Rejected",
        "Enrolled",
        "Drafted",
        "PayeeChanged",
        "ProgramNotFound",
        "ProgramEnded",
        "ProgramTargetTypeMismatch",
        "RegistrantUnnamed",
        "RegistrantAmbiguous",
        "RegistrantDisabled",
        "RegistrantIdentityConflict",
        "RegistrantKindMismatch",
        "MembershipAlreadyEnrolled",
        "StateTransitionInvalid",
        "EnrollmentDateInvalid",
        "waits for a registrant",
        "waits for a membership",
        "Paused",
        "Resumed",
        "Exited",
        "NotEligible",
        "Duplicated",
        "Reset",
        "Reenrolled",
        "Corrected",
        "Removed",
        "RegistrantNotFound",
        "MembershipNotFound",
        "ExitDateInvalid",
        "VersionConflict",
        "GroupMemberDuplicate",
        "GroupHeadNotUnique",
        "GroupMemberDatesInvalid",
        "GroupSelfMember",
    ] {
        assert!(seen.get(expected).is_some_and(|count| *count >= 10), "{expected}: {seen:?}");
    }
}
