//! Every limit, its pointer and its code; all at once; and no fault says a value.

use super::{dates, enrollment, full};
use crate::contract::wire::{Day, EnrollmentRequest, Millis};
use crate::contract::{Identity, Request, command};
use crate::domain::{Command, Fault, Meta};
use serde_json::{Value as Json, json};
use time::macros::{date, datetime};

pub(super) type Checked = Result<(Meta, Command), (Identity, Vec<Fault>)>;

pub(super) fn check(request: EnrollmentRequest) -> Checked {
    let request = Request::Enrollment(Box::new(request));
    command(request, datetime!(2026-02-01 10:00 UTC), &dates("UTC"))
}

fn faults(request: EnrollmentRequest) -> Vec<(String, &'static str)> {
    let faults = check(request).err().map(|(_, faults)| faults).unwrap_or_default();
    faults.into_iter().map(|fault| (fault.pointer, fault.reason.code())).collect()
}

fn with(pointer: &str, value: Json) -> EnrollmentRequest {
    let mut request = full();
    *request.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
    enrollment(&request)
}

/// Values at `pointer` of the full example that are taken, and values that are refused there.
fn limit(pointer: &str, taken: &[Json], refused: &[Json]) {
    for value in taken {
        let found = faults(with(pointer, value.clone()));
        assert!(found.is_empty(), "{pointer} = {value:.40}: {found:?}");
    }
    for value in refused {
        let found = faults(with(pointer, value.clone()));
        assert_eq!(found, [(pointer.to_owned(), "rjct.field.invalid")], "{value:.40}");
    }
}

fn text(character: char, count: usize) -> Json {
    std::iter::repeat_n(character, count).collect::<String>().into()
}

#[test]
fn the_full_example_keeps_every_limit() {
    assert_eq!(faults(enrollment(&full())), []);
}

#[test]
fn sources() {
    for pointer in ["/source", "/registrant/source"] {
        let refused = ["", "a b", "a/b", "a:b", "ä", "a\0", "a\n", "a+b"].map(Json::from);
        limit(pointer, &["a".into(), "Az09._~-".into(), text('a', 64)], &refused);
        limit(pointer, &[], &[text('a', 65)]);
    }
}

#[test]
fn message_and_batch_ids() {
    for pointer in ["/message_id", "/batch/batch_id"] {
        let refused = ["", "a b", "a/b", "ü", "a\0", "a\"", "a\t"].map(Json::from);
        limit(pointer, &["a".into(), "Az09._~:-".into(), text(':', 99)], &refused);
        limit(pointer, &[], &[text('a', 100)]);
    }
}

#[test]
fn counts() {
    limit("/attempt", &[1.into(), i32::MAX.into()], &[0.into(), (-1).into(), i32::MIN.into()]);
    let taken = [0.into(), 1.into(), i32::MAX.into(), Json::Null];
    limit("/batch/total_count", &taken, &[(-1).into(), i32::MIN.into()]);
}

#[test]
fn references_and_identifiers() {
    for pointer in ["/registrant/reference", "/registrant/ids/0/value"] {
        // Characters, not bytes.
        let taken = ["x".into(), " ".into(), text('x', 255), text('ş', 255), text('🌾', 255)];
        limit(pointer, &taken, &["".into(), text('x', 256), text('🌾', 256), "x\0".into()]);
    }
    limit("/registrant/ids/0/id_type", &[text('x', 255)], &["".into(), "\0".into()]);
    limit("/registrant/ids", &[json!([])], &[]);
    let mut twice = full();
    twice["registrant"]["ids"] = json!([{"id_type": "A", "value": "1"}, {"id_type": "B", "value": "1"}, {"id_type": "A", "value": "2"}]);
    let at = "/registrant/ids/2/id_type".to_owned();
    assert_eq!(faults(enrollment(&twice)), [(at, "rjct.field.invalid")]);
}

#[test]
fn other_text() {
    let mut pointers = vec!["/actor".to_owned()];
    for field in [
        "name",
        "given_name",
        "family_name",
        "addl_name",
        "gender",
        "birth_place",
        "email",
        "address",
        "payment_address",
        "group_kind",
    ] {
        pointers.push(format!("/registrant/{field}"));
    }
    for pointer in pointers {
        let taken =
            [Json::Null, "".into(), text('x', 1_000), text('語', 1_000), "\u{1}\n\"".into()];
        limit(&pointer, &taken, &[text('x', 1_001), text('語', 1_001), "a\0b".into()]);
    }
    for pointer in ["/program_memberships/0/program", "/registrant/phone_numbers/0/phone_no"] {
        limit(pointer, &[text('語', 1_000)], &["".into(), text('x', 1_001), "\0".into()]);
    }
    let mut twice = full();
    twice["registrant"]["phone_numbers"] = json!([{"phone_no": "1"}, {"phone_no": "1"}]);
    let at = "/registrant/phone_numbers/1/phone_no".to_owned();
    assert_eq!(faults(enrollment(&twice)), [(at, "rjct.field.invalid")]);
}

#[test]
fn symbols_that_are_not_known() {
    limit("/registrant/kind", &["INDIVIDUAL".into(), "GROUP".into()], &["UNKNOWN".into()]);
    let taken = ["ENROLLED".into(), "DRAFT".into()];
    limit("/program_memberships/0/state", &taken, &["UNKNOWN".into()]);
}

#[test]
fn what_is_cleared() {
    let mut request = full();
    let all = [
        "name",
        "given_name",
        "family_name",
        "addl_name",
        "gender",
        "birthdate",
        "birth_place",
        "email",
        "address",
        "registration_date",
        "payment_address",
        "disabled",
        "group_kind",
        "is_partial_group",
    ];
    request["registrant"] = json!({"kind": "INDIVIDUAL", "reference": "P-1"});
    request["registrant"]["clear"] = all.into();
    request["registrant"]["clear"]
        .as_array_mut()
        .unwrap()
        .extend(["ids.NATIONAL_ID", "ids.with.dots", "phone_numbers.+256 700.1"].map(Json::from));
    assert_eq!(faults(enrollment(&request)), []);

    let unknown = [
        "",
        "nme",
        "ids",
        "ids.",
        "phone_numbers",
        "phone_numbers.",
        "kind",
        "reference",
        "source",
        "Name",
        " name",
        "memberships.x",
        "clear",
        "ids\0.x",
        "name\0",
    ];
    for field in unknown {
        let mut request = request.clone();
        request["registrant"]["clear"] = json!(["email", field]);
        let found = faults(enrollment(&request));
        assert!(!found.is_empty(), "{field}");
        let expected = ("/registrant/clear/1".to_owned(), "rjct.field.invalid");
        assert!(found.iter().all(|fault| *fault == expected), "{field}: {found:?}");
    }
    let given = [
        ("name", json!("x")),
        ("given_name", json!("x")),
        ("family_name", json!("x")),
        ("addl_name", json!("x")),
        ("gender", json!("x")),
        ("birthdate", json!("2000-01-01")),
        ("birth_place", json!("x")),
        ("email", json!("")),
        ("address", json!("x")),
        ("registration_date", json!("2000-01-01")),
        ("payment_address", json!("x")),
        ("disabled", json!(false)),
        ("group_kind", json!("x")),
        ("is_partial_group", json!(true)),
        ("ids", json!([{"id_type": "T", "value": "1"}])),
        ("phone_numbers", json!([{"phone_no": "T"}])),
    ];
    for (field, value) in given {
        let mut both = json!({"kind": "INDIVIDUAL", "reference": "P-1"});
        both[field] = value;
        both["clear"] = match field {
            "ids" | "phone_numbers" => json!([format!("{field}.U"), format!("{field}.T")]),
            _ => json!(["ids.NATIONAL_ID", field]),
        };
        request["registrant"] = both;
        let expected = ("/registrant/clear/1".to_owned(), "rjct.field.invalid");
        assert_eq!(faults(enrollment(&request)), [expected], "{field}");
    }
}

type Break = (&'static str, fn(&mut EnrollmentRequest, Option<Day>));

#[test]
fn days_and_times_that_no_calendar_has() {
    let first = Day::from(date!(0001 - 01 - 01));
    let last = Day::from(date!(9999 - 12 - 31));
    let places: [Break; 5] = [
        ("/registrant/birthdate", |r, day| {
            r.registrant.birthdate = day;
        }),
        ("/registrant/registration_date", |r, day| {
            r.registrant.registration_date = day;
        }),
        ("/registrant/ids/0/expiry_date", |r, day| {
            r.registrant.ids[0].expiry_date = day;
        }),
        ("/registrant/phone_numbers/0/date_collected", |r, day| {
            r.registrant.phone_numbers[0].date_collected = day;
        }),
        ("/program_memberships/0/enrollment_date", |r, day| {
            r.program_memberships[0].enrollment_date = day;
        }),
    ];
    for (pointer, put) in places {
        for day in [first, last] {
            let mut request = enrollment(&full());
            put(&mut request, Some(day));
            assert!(faults(request).is_empty(), "{pointer} {day:?}");
        }
        for day in [Day(first.0 - 1), Day(last.0 + 1), Day(i32::MAX), Day(i32::MIN)] {
            let mut request = enrollment(&full());
            put(&mut request, Some(day));
            assert_eq!(faults(request), [(pointer.to_owned(), "rjct.field.invalid")]);
        }
    }
    for millis in [i64::MIN, i64::MAX, -62_135_596_800_001] {
        let mut request = enrollment(&full());
        request.sent_at = Millis(millis);
        assert_eq!(faults(request), [("/sent_at".to_owned(), "rjct.field.invalid")]);
    }
}
