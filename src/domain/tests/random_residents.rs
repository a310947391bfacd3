//! Who is there before a random sequence begins.

use super::super::{
    IdentifierFacts, Membership, MembershipId, NameKey, Place, ProgramId, Registrant, RegistrantId,
    RegistrantKind, State,
};
use super::TODAY;
use super::random::day;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use time::{Date, Duration};
use uuid::Uuid;

/// Those from which most leads on stand more often.
const STATES: [State; 10] = [
    State::Draft,
    State::Enrolled,
    State::Enrolled,
    State::Enrolled,
    State::Paused,
    State::Paused,
    State::Exited,
    State::Exited,
    State::NotEligible,
    State::Duplicated,
];

type Standing = (State, Option<Date>, i32);

/// Registrants who are there before, with memberships in all states, and a household of theirs.
pub(super) fn residents() -> impl Strategy<Value = Vec<Registrant>> {
    let standing = || (select(&STATES[..]), prop::option::of(day()), 1..5_i32);
    let programs = subsequence(vec!["cash", "food", "old"], 1..=3);
    let one = (programs, prop::collection::vec(standing(), 3), prop::bool::weighted(0.2));
    let crowd = prop_oneof![1 => Just(0_usize), 2 => Just(1), 6 => Just(2)];
    let household = prop::option::of((standing(), 0..4_usize, any::<bool>()));
    (prop::collection::vec(one, 2), crowd, household).prop_map(|(people, crowd, household)| {
        let mut residents: Vec<_> = people
            .into_iter()
            .zip(["1", "2"])
            .take(crowd)
            .map(|((programs, standings, disabled), reference)| {
                let mut person = resident(reference, RegistrantKind::Individual);
                person.add_name(NameKey::identifier("NID", reference), IdentifierFacts::default());
                person.disabled = disabled;
                for (code, standing) in programs.iter().zip(standings) {
                    person.memberships.push(membership(&person, reference, code, standing));
                }
                person
            })
            .collect();
        if let Some((standing, head, ended)) = household {
            let mut group = resident("G", RegistrantKind::Group);
            group.memberships.push(membership(&group, "G", "homes", standing));
            for (index, person) in residents.iter().enumerate() {
                let kind = if index == head { "Head" } else { "Child" };
                let place = Place {
                    kinds: vec![kind.to_owned()],
                    start_date: TODAY - Duration::days(9),
                    ended_date: (ended && index == 1).then_some(TODAY),
                };
                group.members.insert(person.registrant_id, place);
            }
            residents.push(group);
        }
        residents
    })
}

fn resident(reference: &str, kind: RegistrantKind) -> Registrant {
    let id = RegistrantId(Uuid::new_v5(&Uuid::NAMESPACE_OID, reference.as_bytes()));
    let mut registrant = Registrant::new(id, kind);
    registrant.add_name(NameKey::reference("registry", reference), IdentifierFacts::default());
    registrant
}

fn membership(
    whose: &Registrant,
    reference: &str,
    code: &str,
    (state, date, version): Standing,
) -> Membership {
    let name = format!("{reference}/{code}");
    let enrollment_date = match state {
        State::Draft => date,
        _ => Some(date.unwrap_or(TODAY)),
    };
    Membership {
        membership_id: MembershipId(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())),
        registrant_id: whose.registrant_id,
        program_id: ProgramId::of(code),
        state,
        spell: 2,
        version,
        enrollment_date,
        exit_date: enrollment_date.filter(|_| state == State::Exited),
    }
}
