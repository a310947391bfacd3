//! Made-up people, made by combination. The same number gives the same person.

use super::names::NAMES;
use super::programs::{OPEN, SCHOOL};
use crate::contract::wire::{
    Day, PhoneNumber, ProgramMembershipIn, RegistrantIdentifier, RegistrantInfo, RegistrantKind,
    RequestedState,
};
use time::{Date, Duration};

/// So many people in a row have names of different scripts or regions.
pub(super) const SCRIPTS: u32 = NAMES.len() as u32;

/// Spreads numbers over what can be chosen, so that neighbours differ.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    /// A number below `below`; Knuth's multiplicative generator, good enough for names.
    fn roll(&mut self, below: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below.max(1)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.get(self.roll(from.len() as u64) as usize).copied().unwrap_or_default()
    }
}

/// A person and the programs to enroll in.
pub(super) struct Person {
    pub(super) info: RegistrantInfo,
    pub(super) memberships: Vec<ProgramMembershipIn>,
}

/// The person with this number, as of `today`.
pub(super) fn person(number: u32, today: Date) -> Person {
    let mut dice = Dice(u64::from(number) ^ 0x5eed_0000);
    dice.roll(2);
    let names = &NAMES[number as usize % NAMES.len()];
    let (given, family) = (dice.pick(names.given), dice.pick(names.family));
    let name =
        if names.family_first { format!("{family} {given}") } else { format!("{given} {family}") };
    let age = Duration::days(365 * (6 + dice.roll(75) as i64) + dice.roll(365) as i64);
    let is_child = age < Duration::days(365 * 18);
    let expiry = Duration::days(180 + dice.roll(3_000) as i64);
    let payment_address = match dice.roll(3) {
        0 => format!("bank:DEMO{:012}", 40_000_000 + u64::from(number) * 97),
        1 => format!("mobile:+999{:09}", 700_000_000 + u64::from(number) * 31),
        _ => format!("card:{:016}", 9_990_000_000_000_000 + u64::from(number) * 7),
    };
    let phone = PhoneNumber {
        phone_no: format!("+999{:09}", 700_000_000 + u64::from(number) * 31),
        date_collected: Some(Day::from(today - Duration::days(dice.roll(700) as i64))),
    };
    let info = RegistrantInfo {
        reference: Some(format!("HH-{:05}-{}", 10_000 + number / 4, number % 4 + 1)),
        ids: vec![RegistrantIdentifier {
            id_type: "NATIONAL_ID".to_owned(),
            value: format!("{:04}-{:04}-{:02}", 1_000 + number % 9_000, number, dice.roll(100)),
            expiry_date: Some(Day::from(today + expiry)),
        }],
        kind: RegistrantKind::Individual,
        name: Some(name),
        given_name: Some(given.to_owned()),
        family_name: Some(family.to_owned()),
        gender: Some(if dice.roll(2) == 0 { "female" } else { "male" }.to_owned()),
        birthdate: Some(Day::from(today - age)),
        birth_place: Some(dice.pick(names.places).to_owned()),
        address: Some(format!("{} {}", dice.pick(names.places), 1 + dice.roll(200))),
        registration_date: Some(Day::from(today - Duration::days(dice.roll(400) as i64))),
        payment_address: Some(payment_address),
        phone_numbers: if is_child { Vec::new() } else { vec![phone] },
        ..RegistrantInfo::default()
    };
    let program = if is_child { SCHOOL } else { dice.pick(OPEN) };
    let enrolled_on = today - Duration::days(dice.roll(30) as i64);
    let mut memberships = vec![membership(program, enrolled_on)];
    // Every fourth is in two programs.
    let second = dice.pick(OPEN);
    if dice.roll(4) == 0 && second != program {
        memberships.push(membership(second, enrolled_on));
    }
    Person { info, memberships }
}

/// An enrollment in a program since a day.
pub(super) fn membership(program: &str, since: Date) -> ProgramMembershipIn {
    ProgramMembershipIn {
        program: program.to_owned(),
        state: RequestedState::Enrolled,
        enrollment_date: Some(Day::from(since)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn people_are_the_same_each_time_and_no_two_share_a_reference_or_identifier() {
        let today = time::macros::date!(2026 - 06 - 30);
        let mut references = HashSet::new();
        let mut ids = HashSet::new();
        for number in 0..20_000 {
            let (one, again) = (person(number, today), person(number, today));
            assert!(one.info == again.info && one.memberships == again.memberships);
            assert!(references.insert(one.info.reference.unwrap()));
            assert!(ids.insert(one.info.ids[0].value.clone()));
            assert!(one.info.birthdate.unwrap() < Day::from(today));
            let programs: HashSet<_> = one.memberships.iter().map(|one| &one.program).collect();
            assert_eq!(programs.len(), one.memberships.len());
        }
    }
}
