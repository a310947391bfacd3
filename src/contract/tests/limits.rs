//! Every limit of every request, its pointer and its code; all at once; and no fault says a value.

mod group;
mod registrant;
mod update;

use super::{dates, example, request};
use crate::contract::wire::{
    Day, EnrollmentRequest, GroupMembershipRequest, MembershipUpdateRequest, Millis,
};
use crate::contract::{Identity, MessageType, Request, command};
use crate::domain::{Command, Fault, Meta};
use serde_json::{Value as Json, json};
use time::macros::{date, datetime};

const REQUESTS: [MessageType; 3] = [
    MessageType::EnrollmentRequest,
    MessageType::MembershipUpdateRequest,
    MessageType::GroupMembershipRequest,
];

pub(super) type Checked = Result<(Meta, Command), (Identity, Vec<Fault>)>;

pub(super) fn check(request: Request) -> Checked {
    command(request, datetime!(2026-02-01 10:00 UTC), &dates("UTC"))
}

fn faults(request: Request) -> Vec<(String, &'static str)> {
    let faults = check(request).err().map(|(_, faults)| faults).unwrap_or_default();
    faults.into_iter().map(|fault| (fault.pointer, fault.reason.code())).collect()
}

fn full(message: MessageType) -> Json {
    let mut full = example(message, "full").value;
    // What the group of the example clears could not be given in its place.
    if let Some(clear) = full.pointer_mut("/group/clear") {
        *clear = json!([]);
    }
    full
}

fn parsed(message: MessageType, value: &Json) -> Request {
    request(message, value).unwrap_or_else(|| panic!("{} from {value:.200}", message.name()))
}

/// The faults of the full example with another value at `pointer`.
fn faults_with(message: MessageType, pointer: &str, value: Json) -> Vec<(String, &'static str)> {
    let mut changed = full(message);
    *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
    faults(parsed(message, &changed))
}

/// Values at `pointer` of the full example that are taken, and values that are refused there.
fn limit(message: MessageType, pointer: &str, taken: &[Json], refused: &[Json]) {
    for value in taken {
        let found = faults_with(message, pointer, value.clone());
        assert!(found.is_empty(), "{pointer} = {value:.40}: {found:?}");
    }
    for value in refused {
        let found = faults_with(message, pointer, value.clone());
        assert_eq!(found, [(pointer.to_owned(), "rjct.field.invalid")], "{value:.40}");
    }
}

/// Text of 1 to 255 characters, not bytes, without NUL.
fn limit_name(message: MessageType, pointer: &str) {
    let taken = ["x".into(), " ".into(), text('x', 255), text('ş', 255), text('🌾', 255)];
    let refused = ["".into(), text('x', 256), text('🌾', 256), "x\0".into()];
    limit(message, pointer, &taken, &refused);
}

/// Text of at most 1,000 characters, absent or empty too, without NUL.
fn limit_text(message: MessageType, pointer: &str) {
    let taken = [Json::Null, "".into(), text('x', 1_000), text('語', 1_000), "\u{1}\n\"".into()];
    limit(message, pointer, &taken, &[text('x', 1_001), text('語', 1_001), "a\0b".into()]);
}

/// Text that must not be empty, of at most 1,000 characters.
fn limit_required(message: MessageType, pointer: &str) {
    let refused = ["".into(), text('x', 1_001), "\0".into()];
    limit(message, pointer, &[text('語', 1_000)], &refused);
}

fn limit_source(message: MessageType, pointer: &str) {
    let refused = ["", "a b", "a/b", "a:b", "ä", "a\0", "a\n", "a+b"].map(Json::from);
    limit(message, pointer, &["a".into(), "Az09._~-".into(), text('a', 64)], &refused);
    limit(message, pointer, &[], &[text('a', 65)]);
}

fn text(character: char, count: usize) -> Json {
    std::iter::repeat_n(character, count).collect::<String>().into()
}

#[test]
fn the_full_examples_keep_every_limit() {
    for message in REQUESTS {
        assert_eq!(faults(parsed(message, &full(message))), [], "{}", message.name());
    }
}

#[test]
fn what_every_request_says_of_itself() {
    for message in REQUESTS {
        limit_source(message, "/source");
        for pointer in ["/message_id", "/batch/batch_id"] {
            let refused = ["", "a b", "a/b", "ü", "a\0", "a\"", "a\t"].map(Json::from);
            let taken = ["a".into(), "Az09._~:-".into(), text(':', 99)];
            limit(message, pointer, &taken, &refused);
            limit(message, pointer, &[], &[text('a', 100)]);
        }
        let refused = [0.into(), (-1).into(), i32::MIN.into()];
        limit(message, "/attempt", &[1.into(), i32::MAX.into()], &refused);
        let taken = [0.into(), 1.into(), i32::MAX.into(), Json::Null];
        limit(message, "/batch/total_count", &taken, &[(-1).into(), i32::MIN.into()]);
        limit(message, "/batch", &[Json::Null], &[]);
        limit_text(message, "/actor");
        for millis in [i64::MIN, i64::MAX, -62_135_596_800_001] {
            let mut request = parsed(message, &full(message));
            match &mut request {
                Request::Enrollment(request) => request.sent_at = Millis(millis),
                Request::Update(request) => request.sent_at = Millis(millis),
                Request::Group(request) => request.sent_at = Millis(millis),
            }
            assert_eq!(faults(request), [("/sent_at".to_owned(), "rjct.field.invalid")]);
        }
    }
}

#[test]
fn program_memberships() {
    for (message, at) in [
        (MessageType::EnrollmentRequest, "/program_memberships/0"),
        (MessageType::GroupMembershipRequest, "/program_memberships/0"),
        (MessageType::GroupMembershipRequest, "/members/0/program_memberships/1"),
    ] {
        limit_required(message, &format!("{at}/program"));
        let taken = ["ENROLLED".into(), "DRAFT".into()];
        limit(message, &format!("{at}/state"), &taken, &["UNKNOWN".into()]);
        limit(message, &format!("{at}/enrollment_date"), &[Json::Null], &[]);
    }
    let item = json!({"program": "CASH"});
    let list = |count| Json::from(vec![item.clone(); count]);
    let enrollment = MessageType::EnrollmentRequest;
    limit(enrollment, "/program_memberships", &[json!([]), list(10_000)], &[list(10_001)]);
}

fn enrollment(request: &mut Request) -> &mut EnrollmentRequest {
    let Request::Enrollment(request) = request else { panic!("another kind") };
    request
}

fn update(request: &mut Request) -> &mut MembershipUpdateRequest {
    let Request::Update(request) = request else { panic!("another kind") };
    request
}

fn group(request: &mut Request) -> &mut GroupMembershipRequest {
    let Request::Group(request) = request else { panic!("another kind") };
    request
}

type Place = (MessageType, &'static str, fn(&mut Request, Option<Day>));

#[test]
fn days_that_no_calendar_has() {
    use MessageType::{EnrollmentRequest, GroupMembershipRequest, MembershipUpdateRequest};
    let first = Day::from(date!(0001 - 01 - 01));
    let last = Day::from(date!(9999 - 12 - 31));
    let places: [Place; 14] = [
        (EnrollmentRequest, "/registrant/birthdate", |r, day| {
            enrollment(r).registrant.birthdate = day;
        }),
        (EnrollmentRequest, "/registrant/registration_date", |r, day| {
            enrollment(r).registrant.registration_date = day;
        }),
        (EnrollmentRequest, "/registrant/ids/0/expiry_date", |r, day| {
            enrollment(r).registrant.ids[0].expiry_date = day;
        }),
        (EnrollmentRequest, "/registrant/phone_numbers/0/date_collected", |r, day| {
            enrollment(r).registrant.phone_numbers[0].date_collected = day;
        }),
        (EnrollmentRequest, "/program_memberships/0/enrollment_date", |r, day| {
            enrollment(r).program_memberships[0].enrollment_date = day;
        }),
        (MembershipUpdateRequest, "/enrollment_date", |r, day| update(r).enrollment_date = day),
        (MembershipUpdateRequest, "/exit_date", |r, day| update(r).exit_date = day),
        (MembershipUpdateRequest, "/effective_date", |r, day| {
            // How late it may be is another limit.
            update(r).effective_date = day
                .map(|day| if day.date().is_some_and(|d| d.year() > 2026) { Day(0) } else { day });
        }),
        (GroupMembershipRequest, "/group/birthdate", |r, day| group(r).group.birthdate = day),
        (GroupMembershipRequest, "/members/0/individual/birthdate", |r, day| {
            group(r).members[0].individual.birthdate = day;
        }),
        (GroupMembershipRequest, "/members/0/start_date", |r, day| {
            group(r).members[0].start_date = day;
        }),
        (GroupMembershipRequest, "/members/2/ended_date", |r, day| {
            group(r).members[2].ended_date = day;
        }),
        (GroupMembershipRequest, "/members/0/program_memberships/1/enrollment_date", |r, day| {
            group(r).members[0].program_memberships[1].enrollment_date = day;
        }),
        (GroupMembershipRequest, "/program_memberships/0/enrollment_date", |r, day| {
            group(r).program_memberships[0].enrollment_date = day;
        }),
    ];
    for (message, pointer, put) in places {
        for day in [first, last] {
            let mut request = parsed(message, &full(message));
            put(&mut request, Some(day));
            assert!(faults(request).is_empty(), "{pointer} {day:?}");
        }
        for day in [Day(first.0 - 1), Day(last.0 + 1), Day(i32::MAX), Day(i32::MIN)] {
            let mut request = parsed(message, &full(message));
            put(&mut request, Some(day));
            assert_eq!(faults(request), [(pointer.to_owned(), "rjct.field.invalid")]);
        }
    }
}
