//! The programs of the demo.

use crate::domain::{Program, ProgramId, ProgramState, RegistrantKind};

/// The one that children are enrolled in.
pub(super) const SCHOOL: &str = "SCHOOL-MEALS";
/// Those that take members.
pub(super) const OPEN: &[&str] = &["CASH-TRANSFER", "FOOD-AID", "HEALTH-COVER", "PENSION"];
/// One that took members once.
pub(super) const ENDED: &str = "FLOOD-RELIEF-2019";
/// One that does not exist: a mistyped code.
pub(super) const UNKNOWN: &str = "CASH-TRANSFR";

/// The one that households are enrolled in.
pub(super) const HOUSEHOLDS: &str = "HOUSEHOLD-GRANT";

const ALL: [(&str, &str, ProgramState); 6] = [
    ("CASH-TRANSFER", "Cash transfer", ProgramState::Active),
    (SCHOOL, "School meals", ProgramState::Active),
    ("FOOD-AID", "Food aid", ProgramState::Active),
    ("HEALTH-COVER", "Health cover", ProgramState::Active),
    ("PENSION", "Social pension", ProgramState::Active),
    (ENDED, "Flood relief 2019", ProgramState::Ended),
];

/// All programs that there are.
pub(super) fn all() -> Vec<Program> {
    let program = |code: &str, name: &str, target_type, state| Program {
        program_id: ProgramId::of(code),
        code: code.to_owned(),
        name: name.to_owned(),
        target_type,
        state,
    };
    let of_people = ALL
        .iter()
        .map(|(code, name, state)| program(code, name, RegistrantKind::Individual, *state));
    let of_households =
        program(HOUSEHOLDS, "Household grant", RegistrantKind::Group, ProgramState::Active);
    of_people.chain([of_households]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_enrolled_in_are_there_and_the_unknown_one_is_not() {
        let active: Vec<_> =
            all().into_iter().filter(|one| one.state == ProgramState::Active).collect();
        let has = |code: &str| active.iter().any(|program| program.code == code);
        assert!(has(SCHOOL) && OPEN.iter().all(|code| has(code)));
        assert!(!has(ENDED) && all().iter().all(|program| program.code != UNKNOWN));
    }
}
