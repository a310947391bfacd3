//! A household beside the batch: an update that overtakes its enrollment, its Head, and what a payment system hears when
//! the Head dies and another is named.

use super::batch::{Record, SOURCE};
use super::people::person;
use super::programs::HOUSEHOLDS;
use crate::contract::wire::{
    Action, BatchRef, Change, GroupMember, GroupMembershipRequest, GroupMode, MembershipChanged,
    MembershipUpdateRequest, Millis, ProgramMembershipIn, RegistrantInfo, RegistrantKind,
    RegistrantRef, RequestResult, RequestedState, ResultStatus,
};
use crate::contract::{Unfit, encode};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

/// The number of its first member: nobody of a batch has it.
const FIRST: u32 = 400_000;
const MEMBERS: u32 = 3;
const REFERENCE: &str = "HH-DEMO";
/// How many requests tell of it.
pub(super) const CHAPTERS: usize = 4;

/// An answer, and the event that came with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What was said, or has waited.
    pub said: &'static str,
    /// Status of the result.
    pub status: ResultStatus,
    /// Whether it is the last one of its request.
    pub r#final: bool,
    /// What happened to the household's membership.
    pub change: Option<Change>,
    /// The membership's version by it.
    pub version: Option<i32>,
    /// Who is paid; none: hold the payment.
    pub payee: Option<Paid>,
}

/// Who is paid, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the words are those of the contract")]
pub struct Paid {
    pub reference: Option<String>,
    pub payment_address: Option<String>,
}

/// A request, what it says, and how many answers and events are known when the next one may be sent.
struct Chapter {
    record: Record,
    said: &'static str,
    answers: usize,
    events: usize,
}

/// The requests of the story, in order.
pub(super) struct Story {
    chapters: Vec<Chapter>,
    /// With the place of its request.
    answers: Vec<(usize, Step)>,
    events: Vec<(usize, MembershipChanged)>,
}

impl Story {
    /// Told at `now`, in a batch.
    ///
    /// # Errors
    /// When a request does not follow its schema, which is a mistake of this file's.
    pub(super) fn tell(now: OffsetDateTime, batch: &BatchRef) -> Result<Self, Unfit> {
        let maker = Maker { now, batch };
        let all = (0..MEMBERS).map(|n| member(n, n == 0, now)).collect();
        let died = GroupMember { ended_date: Some(now.date().into()), ..member(0, true, now) };
        let grant = ProgramMembershipIn {
            program: HOUSEHOLDS.to_owned(),
            state: RequestedState::Enrolled,
            enrollment_date: None,
        };
        let chapters = vec![
            maker.pause(("to be paused; nobody knows it yet", 1, 0))?,
            maker.group(1, all, vec![grant], ("enrolled with its Head and 2 more", 3, 2))?,
            maker.group(2, vec![died], Vec::new(), ("its Head has died", 4, 3))?,
            maker.group(
                3,
                vec![member(1, true, now)],
                Vec::new(),
                ("another is its Head", 5, 4),
            )?,
        ];
        Ok(Self { chapters, answers: Vec::new(), events: Vec::new() })
    }

    /// The request of a chapter.
    pub(super) fn record(&self, chapter: usize) -> Option<&Record> {
        self.chapters.get(chapter).map(|chapter| &chapter.record)
    }

    fn place(&self, message_id: &str) -> Option<usize> {
        self.chapters.iter().position(|chapter| chapter.record.message_id == message_id)
    }

    /// Takes a result; false if it is of another request.
    pub(super) fn result(&mut self, result: &RequestResult) -> bool {
        let Some(place) = self.place(&result.message_id) else { return false };
        let waited = self.answers.iter().any(|(known, _)| *known == place);
        let said = self.chapters.get(place).map_or("", |chapter| chapter.said);
        let step = Step {
            said: if waited { "paused, as was asked for" } else { said },
            status: result.status,
            r#final: result.r#final,
            change: None,
            version: None,
            payee: None,
        };
        self.answers.push((place, step));
        true
    }

    /// Takes an event; false if it is of another request.
    pub(super) fn event(&mut self, event: &MembershipChanged) -> bool {
        let place = self.place(&event.message_id);
        self.events.extend(place.map(|place| (place, event.clone())));
        place.is_some()
    }

    /// Whether all is known that the chapter brings about.
    pub(super) fn told(&self, chapter: usize) -> bool {
        self.chapters.get(chapter).is_none_or(|chapter| {
            self.answers.len() >= chapter.answers && self.events.len() >= chapter.events
        })
    }

    /// The answers in their order, each final one with its event.
    pub(super) fn steps(&self) -> Vec<Step> {
        let step = |(place, step): &(usize, Step)| {
            let event = self.events.iter().find(|(of, _)| of == place && step.r#final);
            let Some((_, event)) = event else { return step.clone() };
            Step {
                change: Some(event.change),
                version: Some(event.version),
                payee: event.payee.as_ref().map(|payee| Paid {
                    reference: payee.reference.clone(),
                    payment_address: payee.payment_address.clone(),
                }),
                ..step.clone()
            }
        };
        self.answers.iter().map(step).collect()
    }
}

/// Whether the story came out as it should.
pub(super) fn as_told(steps: &[Step]) -> bool {
    use Change::{Enrolled, Paused, PayeeChanged};
    let came: Vec<_> = steps
        .iter()
        .map(|step| (step.status, step.change, step.version, step.payee.is_some()))
        .collect();
    let done =
        |change, version, payee| (ResultStatus::Succeeded, Some(change), Some(version), payee);
    came == [
        (ResultStatus::Held, None, None, false),
        done(Enrolled, 1, true),
        done(Paused, 2, true),
        done(PayeeChanged, 3, false),
        done(PayeeChanged, 4, true),
    ]
}

fn member(n: u32, is_head: bool, now: OffsetDateTime) -> GroupMember {
    GroupMember {
        individual: person(FIRST + n, now.date()).info,
        kinds: is_head.then(|| vec!["Head".to_owned()]),
        start_date: None,
        ended_date: None,
        program_memberships: Vec::new(),
    }
}

struct Maker<'a> {
    now: OffsetDateTime,
    batch: &'a BatchRef,
}

/// What a request says, and how many answers and events are known after it.
type Known = (&'static str, usize, usize);

impl Maker<'_> {
    fn message_id(&self, number: u32) -> String {
        format!("{}-household-{number}", self.batch.batch_id)
    }

    fn pause(&self, (said, answers, events): Known) -> Result<Chapter, Unfit> {
        let message_id = self.message_id(0);
        let request = MembershipUpdateRequest {
            message_id: message_id.clone(),
            source: SOURCE.to_owned(),
            sent_at: Millis::from(self.now),
            attempt: 1,
            batch: Some(self.batch.clone()),
            actor: Some("demo".to_owned()),
            registrant: RegistrantRef {
                reference: Some(REFERENCE.to_owned()),
                ..RegistrantRef::default()
            },
            program: HOUSEHOLDS.to_owned(),
            action: Action::Pause,
            enrollment_date: None,
            exit_date: None,
            effective_date: None,
            reason: None,
            expected_version: None,
        };
        let (topic, value) = ("membership-updates", encode(&request)?);
        let record = Record { topic, key: REFERENCE.to_owned(), value, message_id };
        Ok(Chapter { record, said, answers, events })
    }

    fn group(
        &self,
        number: u32,
        members: Vec<GroupMember>,
        program_memberships: Vec<ProgramMembershipIn>,
        (said, answers, events): Known,
    ) -> Result<Chapter, Unfit> {
        let message_id = self.message_id(number);
        let family = person(FIRST, self.now.date()).info;
        let request = GroupMembershipRequest {
            message_id: message_id.clone(),
            source: SOURCE.to_owned(),
            sent_at: Millis::from(self.now + Duration::milliseconds(i64::from(number))),
            attempt: 1,
            batch: Some(self.batch.clone()),
            actor: Some("demo".to_owned()),
            atomic: false,
            group: RegistrantInfo {
                reference: Some(REFERENCE.to_owned()),
                kind: RegistrantKind::Group,
                name: family.family_name,
                address: family.address,
                ..RegistrantInfo::default()
            },
            mode: GroupMode::Merge,
            members,
            program_memberships,
        };
        let (topic, value) = ("group-memberships", encode(&request)?);
        let record = Record { topic, key: REFERENCE.to_owned(), value, message_id };
        Ok(Chapter { record, said, answers, events })
    }
}
