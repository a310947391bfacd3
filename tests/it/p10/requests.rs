//! Random requests over few registrants, groups and programs, so that they meet.

use rand::Rng;
use rand::rngs::StdRng;
use rollcall::apply::{Record, TopicPartition};
use rollcall::contract::wire::{
    Action, EnrollmentRequest, GroupMembershipRequest, GroupMode, IdentifierRef,
    MembershipUpdateRequest, Millis, PhoneNumber, RegistrantIdentifier, RequestedState,
};

use super::{Kinds, LANES};
use crate::scene::{
    SENT, carrying, enrollment, group, identifier, info, item, member, partition, raw, record,
    update,
};

/// A partition of its own for each sequence and lane; names are the lane's, so that lanes do not depend on each other.
pub(super) fn sequence(random: &mut StdRng, seed: u64, lane: i32, kinds: Kinds) -> Vec<Record> {
    let at = partition(seed as i32 * LANES + lane);
    let length = random.random_range(4..40);
    let mut requests: Vec<Request> = Vec::new();
    (0..length)
        .map(|offset| match random.random_range(0..20) {
            0 => raw(&at, offset, None, Some(bytes::Bytes::from_static(b"\xc3\x01garbage"))),
            // The same again, perhaps as a later attempt, perhaps with other content.
            1..=3 if !requests.is_empty() => {
                let mut request = requests[random.random_range(0..requests.len())].clone();
                let attempts = random.random_range(0..3);
                request.again(attempts, random.random_bool(0.2));
                request.record(&at, offset)
            }
            _ => {
                let scope = format!("s{seed}-{lane}");
                let request = match random.random_range(0..10) {
                    _ if kinds == Kinds::Enrollments => {
                        Request::Enrollment(request(random, &scope, offset))
                    }
                    0..5 => Request::Enrollment(request(random, &scope, offset)),
                    5..8 => Request::Update(an_update(random, &scope, offset)),
                    _ => Request::Group(a_group(random, &scope, offset)),
                };
                requests.push(request.clone());
                request.record(&at, offset)
            }
        })
        .collect()
}

#[derive(Clone)]
enum Request {
    Enrollment(EnrollmentRequest),
    Update(MembershipUpdateRequest),
    Group(GroupMembershipRequest),
}

impl Request {
    fn record(&self, at: &TopicPartition, offset: i64) -> Record {
        match self {
            Self::Enrollment(request) => record(at, offset, request),
            Self::Update(request) => carrying(at, offset, None, request),
            Self::Group(request) => carrying(at, offset, None, request),
        }
    }

    fn again(&mut self, attempts: i32, other: bool) {
        let actor = other.then(|| "somebody else".to_owned());
        match self {
            Self::Enrollment(request) => {
                request.attempt += attempts;
                request.actor = actor;
            }
            Self::Update(request) => {
                request.attempt += attempts;
                request.actor = actor;
            }
            Self::Group(request) => {
                request.attempt += attempts;
                request.actor = actor;
            }
        }
    }
}

fn an_update(random: &mut StdRng, scope: &str, number: i64) -> MembershipUpdateRequest {
    let actions = [
        Action::Enroll,
        Action::Pause,
        Action::Resume,
        Action::Exit,
        Action::MarkNotEligible,
        Action::MarkDuplicated,
        Action::ResetToDraft,
        Action::Reenroll,
        Action::Correct,
        Action::Remove,
    ];
    let programs = ["CASH", "CASH", "FOOD", "HOUSE", "NOWHERE"];
    let mut request = update(
        &format!("{scope}-{number}"),
        "",
        programs[random.random_range(0..programs.len())],
        actions[random.random_range(0..actions.len())],
    );
    let house = request.program == "HOUSE";
    let letter = if house { "g" } else { "r" };
    request.registrant.reference = Some(format!("{scope}-{letter}{}", random.random_range(0..3)));
    if random.random_bool(0.2) {
        request.registrant.reference = None;
        let value = format!("{scope}-{}", random.random_range(0..3));
        request.registrant.ids.push(IdentifierRef { id_type: "A".to_owned(), value });
    }
    let day = |random: &mut StdRng| {
        let date = SENT.date() + time::Duration::days(random.random_range(-2..3));
        random.random_bool(0.3).then(|| date.into())
    };
    if matches!(request.action, Action::Enroll | Action::Reenroll | Action::Correct) {
        request.enrollment_date = day(random);
    }
    if matches!(request.action, Action::Exit | Action::Correct) {
        request.exit_date = day(random);
    }
    request.expected_version = random.random_bool(0.15).then(|| random.random_range(0..4));
    request
}

fn a_group(random: &mut StdRng, scope: &str, number: i64) -> GroupMembershipRequest {
    let mut request = group(
        &format!("{scope}-{number}"),
        &format!("{scope}-g{}", random.random_range(0..2)),
        &[],
    );
    request.atomic = random.random_bool(0.3);
    if random.random_bool(0.3) {
        request.mode = GroupMode::Replace;
    }
    for person in 0..3 {
        if random.random_bool(0.4) {
            continue;
        }
        let kinds: &[&str] = if random.random_bool(0.4) { &["Head"] } else { &["Child"] };
        let mut member = member(&format!("{scope}-r{person}"), kinds);
        member.kinds = random.random_bool(0.8).then_some(member.kinds).flatten();
        member.individual.payment_address =
            random.random_bool(0.3).then(|| format!("acct:{}", random.random_range(0..2)));
        member.ended_date = random.random_bool(0.2).then(|| SENT.date().into());
        if random.random_bool(0.3) {
            member.program_memberships.push(item("CASH"));
        }
        request.members.push(member);
    }
    if random.random_bool(0.6) {
        request.program_memberships.push(item("HOUSE"));
    }
    request
}

fn request(random: &mut StdRng, scope: &str, number: i64) -> EnrollmentRequest {
    let mut request = enrollment(&format!("{scope}-{number}"), "", "CASH");
    request.sent_at = Millis::from(SENT + time::Duration::days(random.random_range(0..3)));
    request.atomic = random.random_bool(0.3);
    request.registrant = info();
    let registrant = &mut request.registrant;
    if random.random_bool(0.8) {
        registrant.reference = Some(format!("{scope}-r{}", random.random_range(0..4)));
    }
    if random.random_bool(0.2) {
        registrant.source = Some("other".to_owned());
    }
    for id_type in ["A", "B"] {
        if random.random_bool(0.4) {
            let value = format!("{scope}-{}", random.random_range(0..3));
            registrant.ids.push(RegistrantIdentifier {
                expiry_date: random.random_bool(0.3).then(|| SENT.date().into()),
                ..identifier(id_type, &value)
            });
        }
    }
    if random.random_bool(0.15) && !registrant.ids.iter().any(|id| id.id_type == "A") {
        registrant.clear.push("ids.A".to_owned());
    }
    registrant.payment_address =
        random.random_bool(0.3).then(|| format!("acct:{}", random.random_range(0..2)));
    registrant.disabled = random.random_bool(0.15).then(|| random.random_bool(0.5));
    if random.random_bool(0.2) {
        let phone_no = format!("+{}", random.random_range(0..3));
        registrant.phone_numbers.push(PhoneNumber { phone_no, date_collected: None });
    }
    request.program_memberships = (0..random.random_range(0..4))
        .map(|_| {
            let programs = ["CASH", "FOOD", "OLD", "HOUSE", "NOWHERE"];
            let mut item = item(programs[random.random_range(0..programs.len())]);
            if random.random_bool(0.3) {
                item.state = RequestedState::Draft;
            }
            if random.random_bool(0.2) {
                let date = SENT.date() + time::Duration::days(random.random_range(-2..2));
                item.enrollment_date = Some(date.into());
            }
            item
        })
        .collect();
    request
}
