//! Random requests over few registrants, names and programs, so that they meet.

use super::super::{
    Action, Clearable, Command, Enrollment, GroupChange, GroupMode, IdentifierIn, MemberIn, Meta,
    PhoneNumberIn, ProgramMembershipIn, RegistrantInfo, RegistrantKind, RegistrantRef,
    RequestedState, Update,
};
use super::{TODAY, meta, nobody};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use time::{Date, Duration};

/// The longest sequence.
pub(super) const LONGEST: usize = 9;

pub(super) const CODES: [&str; 5] = ["cash", "food", "old", "homes", "none"];

pub(super) fn day() -> impl Strategy<Value = Date> {
    prop_oneof![
        6 => (-2_i64..3).prop_map(|days| TODAY + Duration::days(days)),
        1 => Just(TODAY + Duration::days(366)),
        1 => Just(TODAY + Duration::days(400)),
    ]
}

fn kind() -> impl Strategy<Value = RegistrantKind> {
    prop_oneof![9 => Just(RegistrantKind::Individual), 1 => Just(RegistrantKind::Group)]
}

/// For an individual mostly, or for a group.
fn item(group: bool) -> impl Strategy<Value = ProgramMembershipIn> {
    let fits = if group { &CODES[3..4] } else { &CODES[..2] };
    let program = prop_oneof![8 => select(fits), 3 => select(&CODES[2..])];
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

/// The same of a group: few, so that requests meet in them.
fn group_info() -> impl Strategy<Value = RegistrantInfo> {
    let kind =
        prop_oneof![15 => Just(RegistrantKind::Group), 1 => Just(RegistrantKind::Individual)];
    (info(), select(&["G", "H"][..]), kind, 0..10).prop_map(|(info, reference, kind, rare)| {
        match rare {
            0 => RegistrantInfo { kind, ..info },
            _ => RegistrantInfo {
                kind,
                source: None,
                reference: Some(reference.to_owned()),
                ids: Vec::new(),
                ..info
            },
        }
    })
}

/// A member whom nothing speaks against, mostly.
fn member() -> impl Strategy<Value = MemberIn> {
    let whom = (info(), select(&["1", "2", "3", "4", "G"][..]), 0..8);
    let kinds = subsequence(vec!["Child", "Head", "Head"], 0..=2);
    let dates = (prop::option::weighted(0.2, day()), prop::option::weighted(0.2, day()));
    let items = prop::collection::vec(item(false), 0..2);
    (whom, prop::option::weighted(0.6, kinds), dates, items).prop_map(
        |((mut info, reference, rare), kinds, (start_date, ended_date), program_memberships)| {
            if rare > 0 {
                info.kind = RegistrantKind::Individual;
                (info.source, info.reference) = (None, Some(reference.to_owned()));
                info.ids.retain(|id| id.value == reference);
            }
            let kinds = kinds.map(|kinds| kinds.iter().map(|kind| (*kind).to_owned()).collect());
            MemberIn { individual: info, kinds, start_date, ended_date, program_memberships }
        },
    )
}

fn group() -> impl Strategy<Value = Command> {
    let mode = prop_oneof![2 => Just(GroupMode::Merge), 1 => Just(GroupMode::Replace)];
    let members = prop::collection::vec(member(), 0..3);
    let items = prop::collection::vec(item(true), 0..2);
    (group_info(), mode, members, items, any::<bool>()).prop_map(
        |(group, mode, members, program_memberships, atomic)| {
            Command::Group(GroupChange { atomic, group, mode, members, program_memberships })
        },
    )
}

/// Actions that seldom find a state from which they lead on.
const RARE: [Action; 7] = [
    Action::Pause,
    Action::Resume,
    Action::Exit,
    Action::ResetToDraft,
    Action::Reenroll,
    Action::Reenroll,
    Action::Correct,
];

fn update() -> impl Strategy<Value = Command> {
    let reference = prop_oneof![
        14 => select(&["1", "2", "1", "2", "1", "2", "3"][..]).prop_map(Some),
        4 => select(&["G", "G", "H"][..]).prop_map(Some),
        3 => Just(None),
    ];
    let ids = prop::collection::vec((select(&["NID", "TAX"][..]), select(&["1", "2"][..])), 0..3);
    let program = prop_oneof![12 => select(&CODES[..2]), 3 => select(&CODES[2..])];
    let dates = (prop::option::of(day()), prop::option::of(day()));
    let said = prop::option::weighted(0.3, (day(), prop::option::of(Just("note".to_owned()))));
    let expected = prop::option::weighted(0.1, 0..4_i32);
    let action = prop_oneof![
        1 => select(&Action::ALL[..]),
        1 => select(&RARE[..]),
    ];
    let what = (program, action);
    (reference, ids, what, dates, said, expected).prop_map(
        |(
            reference,
            ids,
            (program, action),
            (enrollment_date, exit_date),
            said,
            expected_version,
        )| {
            // A group's memberships are in the program for groups, mostly.
            let of_group = matches!(reference, Some("G" | "H")) && program != "none";
            let own = |(id_type, value): (&str, &str)| (id_type.to_owned(), value.to_owned());
            Command::Update(Update {
                registrant: RegistrantRef {
                    source: None,
                    reference: reference.map(str::to_owned),
                    ids: ids.into_iter().map(own).collect(),
                },
                program: if of_group { "homes" } else { program }.to_owned(),
                action,
                enrollment_date: enrollment_date.filter(|_| action.takes_enrollment_date()),
                exit_date: exit_date.filter(|_| action.takes_exit_date()),
                effective_date: said.as_ref().map(|said| said.0),
                reason: said.map(|said| ("moved".to_owned(), said.1)),
                expected_version,
                membership_id: None,
            })
        },
    )
}

fn enroll() -> impl Strategy<Value = Command> {
    let individual = (info(), prop::collection::vec(item(false), 0..4));
    let group = (group_info(), prop::collection::vec(item(true), 0..3));
    let one = prop_oneof![6 => individual.boxed(), 1 => group.boxed()];
    (one, any::<bool>()).prop_map(|((registrant, program_memberships), atomic)| {
        Command::Enroll(Enrollment { atomic, registrant, program_memberships })
    })
}

/// A sequence of requests, each with what it says of itself and whether it may wait.
pub(super) fn requests() -> impl Strategy<Value = Vec<(Meta, Command)>> {
    let command = prop_oneof![4 => enroll().boxed(), 7 => update().boxed(), 4 => group().boxed()];
    let one = (command, any::<bool>(), 0_i64..3);
    prop::collection::vec(one, 1..=LONGEST).prop_map(|requests| {
        requests
            .into_iter()
            .enumerate()
            .map(|(index, (command, clinic, days))| {
                let mut meta = meta(&format!("m-{index}"));
                if clinic && index % 4 == 3 {
                    meta.source = "clinic".to_owned();
                }
                meta.sent_at += Duration::days(days);
                meta.today += Duration::days(days);
                meta.last_date += Duration::days(days);
                meta.recorded_at += Duration::milliseconds(index as i64);
                (meta, command)
            })
            .collect()
    })
}
