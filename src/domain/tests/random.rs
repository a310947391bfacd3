//! Random requests over few registrants, names and programs, so that they meet.

use super::super::{
    Clearable, Command, Enrollment, IdentifierFacts, IdentifierIn, Membership, MembershipId, Meta,
    NameKey, PhoneNumberIn, ProgramId, ProgramMembershipIn, Registrant, RegistrantId,
    RegistrantInfo, RegistrantKind, RequestedState, State,
};
use super::{TODAY, meta, nobody};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use time::{Date, Duration};
use uuid::Uuid;

const CODES: [&str; 5] = ["cash", "food", "old", "homes", "none"];

fn day() -> impl Strategy<Value = Date> {
    prop_oneof![
        6 => (-2_i64..3).prop_map(|days| TODAY + Duration::days(days)),
        1 => Just(TODAY + Duration::days(366)),
        1 => Just(TODAY + Duration::days(400)),
    ]
}

fn kind() -> impl Strategy<Value = RegistrantKind> {
    prop_oneof![9 => Just(RegistrantKind::Individual), 1 => Just(RegistrantKind::Group)]
}

fn item() -> impl Strategy<Value = ProgramMembershipIn> {
    let program = prop_oneof![8 => select(&CODES[..2]), 3 => select(&CODES[2..])];
    let state = prop_oneof![2 => Just(RequestedState::Enrolled), 1 => Just(RequestedState::Draft)];
    (program, state, prop::option::weighted(0.4, day())).prop_map(
        |(program, state, enrollment_date)| ProgramMembershipIn {
            program: program.to_owned(),
            state,
            enrollment_date,
        },
    )
}

/// What the contract's limits let through: a type or number once, and not cleared as well.
fn info() -> impl Strategy<Value = RegistrantInfo> {
    let source = prop::option::weighted(0.2, select(&["registry", "clinic"][..]));
    let reference = prop::option::weighted(0.7, select(&["1", "2", "3"][..]));
    let names = (source, reference, subsequence(vec!["NID", "TAX"], 0..=2), any::<bool>());
    let values = (select(&["1", "2", "3"][..]), select(&["1", "2"][..]), prop::option::of(day()));
    let clear = subsequence(
        vec!["name", "payment_address", "disabled", "ids.NID", "ids.TAX", "phone_numbers.1"],
        0..=2,
    );
    let text = || prop::option::weighted(0.3, select(&["a", "b"][..]));
    let facts = (text(), text(), prop::option::weighted(0.2, any::<bool>()));
    let phone = prop::option::weighted(0.2, prop::option::of(day()));
    (names, values, kind(), facts, phone, prop_oneof![2 => Just(Vec::new()), 1 => clear]).prop_map(
        |(
            (source, reference, types, reverse),
            (first, second, expiry),
            kind,
            (name, pay, disabled),
            phone,
            clear,
        )| {
            let mut info = nobody();
            info.kind = kind;
            info.source = source.map(str::to_owned);
            info.reference = reference.map(str::to_owned);
            info.ids = types
                .iter()
                .zip([first, second])
                .map(|(id_type, value)| IdentifierIn {
                    id_type: (*id_type).to_owned(),
                    value: value.to_owned(),
                    expiry_date: expiry,
                })
                .collect();
            if reverse {
                info.ids.reverse();
            }
            info.name = name.map(str::to_owned);
            info.payment_address = pay.map(str::to_owned);
            info.disabled = disabled;
            info.phone_numbers = phone
                .map(|date_collected| PhoneNumberIn { phone_no: "1".to_owned(), date_collected })
                .into_iter()
                .collect();
            info.clear = clear
                .into_iter()
                .filter(|field| !gives(&info, field))
                .filter_map(Clearable::parse)
                .collect();
            info
        },
    )
}

fn gives(info: &RegistrantInfo, field: &str) -> bool {
    match field {
        "name" => info.name.is_some(),
        "payment_address" => info.payment_address.is_some(),
        "disabled" => info.disabled.is_some(),
        "phone_numbers.1" => !info.phone_numbers.is_empty(),
        _ => info.ids.iter().any(|id| field == format!("ids.{}", id.id_type)),
    }
}

/// A sequence of requests, each with what it says of itself.
pub(super) fn requests() -> impl Strategy<Value = Vec<(Meta, Command)>> {
    let one = (info(), prop::collection::vec(item(), 0..4), any::<bool>(), any::<bool>(), 0_i64..3);
    prop::collection::vec(one, 1..14).prop_map(|requests| {
        requests
            .into_iter()
            .enumerate()
            .map(|(index, (registrant, program_memberships, atomic, clinic, days))| {
                let mut meta = meta(&format!("m-{index}"));
                if clinic && index % 3 == 0 {
                    meta.source = "clinic".to_owned();
                }
                meta.sent_at += Duration::days(days);
                meta.today += Duration::days(days);
                meta.last_date += Duration::days(days);
                meta.recorded_at += Duration::milliseconds(index as i64);
                (meta, Command::Enroll(Enrollment { atomic, registrant, program_memberships }))
            })
            .collect()
    })
}

/// Registrants who are there before, with memberships in states that no enrollment leads to.
pub(super) fn residents() -> impl Strategy<Value = Vec<Registrant>> {
    let membership = (select(&State::ALL[..]), prop::option::of(day()), 1..5_i32);
    let programs = subsequence(vec!["cash", "food", "old"], 0..=3);
    let one = (programs, prop::collection::vec(membership, 3), any::<bool>());
    prop::collection::vec(one, 0..3).prop_map(|residents| {
        let names = [("1", "1"), ("2", "2")];
        residents
            .into_iter()
            .zip(names)
            .map(|((programs, memberships, disabled), (reference, nid))| {
                let id = RegistrantId(Uuid::new_v5(&Uuid::NAMESPACE_OID, reference.as_bytes()));
                let mut registrant = Registrant::new(id, RegistrantKind::Individual);
                registrant.add_name(
                    NameKey::reference("registry", reference),
                    IdentifierFacts::default(),
                );
                registrant.add_name(NameKey::identifier("NID", nid), IdentifierFacts::default());
                registrant.disabled = disabled;
                for (code, (state, enrollment_date, version)) in programs.iter().zip(memberships) {
                    let name = format!("{reference}/{code}");
                    registrant.memberships.push(Membership {
                        membership_id: MembershipId(Uuid::new_v5(
                            &Uuid::NAMESPACE_URL,
                            name.as_bytes(),
                        )),
                        registrant_id: id,
                        program_id: ProgramId::of(code),
                        state,
                        spell: 2,
                        version,
                        enrollment_date: match state {
                            State::Draft => enrollment_date,
                            _ => Some(enrollment_date.unwrap_or(TODAY)),
                        },
                        exit_date: None,
                    });
                }
                registrant
            })
            .collect()
    })
}
