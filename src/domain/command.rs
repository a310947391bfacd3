//! Commands: decoded requests that keep the limits of the contract.

use super::{MembershipId, RegistrantKind, State};
use std::borrow::Cow;
use time::{Date, OffsetDateTime};

/// What every request says of itself, and what intake knows of its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The registry or system that sent it.
    pub source: String,
    /// Its id, unique within the source (P7).
    pub message_id: String,
    /// 1, 2, 3 …: a greater one asks for a new evaluation after REJECTED or PARTIAL.
    pub attempt: i32,
    /// When the sender sent it.
    pub sent_at: OffsetDateTime,
    /// The date of `sent_at` in `dates.time_zone`: what a missing date means.
    pub today: Date,
    /// The last date that the contract takes as a membership's: `today` + `dates.max_future`.
    pub last_date: Date,
    /// When the record came into being (Kafka's timestamp, or the HTTP request's arrival): part of new ids.
    pub recorded_at: OffsetDateTime,
    /// The person or program that acted.
    pub actor: Option<String>,
    /// The batch it belongs to.
    pub batch: Option<BatchRef>,
}

/// A batch as a record names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRef {
    /// Its id, unique within the source.
    pub batch_id: String,
    /// How many distinct `message_id`s it has, once the sender knows.
    pub total_count: Option<i32>,
}

/// A request to change state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A registrant, what is known of it, and programs to enroll it in.
    Enroll(Enrollment),
    /// One action on one membership.
    Update(Update),
    /// A group, its members, and programs to enroll them in.
    Group(GroupChange),
}

impl Command {
    /// Every registrant that it tells of, with the pointer of the info in the message.
    pub fn infos(&self) -> Box<dyn Iterator<Item = (Cow<'static, str>, &RegistrantInfo)> + '_> {
        match self {
            Self::Enroll(enrollment) => {
                Box::new(std::iter::once((Cow::Borrowed("/registrant"), &enrollment.registrant)))
            }
            Self::Update(_) => Box::new(std::iter::empty()),
            Self::Group(change) => {
                let group = std::iter::once((Cow::Borrowed("/group"), &change.group));
                let members = change.members.iter().enumerate().map(|(index, member)| {
                    (Cow::Owned(format!("/members/{index}/individual")), &member.individual)
                });
                Box::new(group.chain(members))
            }
        }
    }

    /// The code of every program that it names.
    pub fn programs(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Enroll(enrollment) => {
                Box::new(enrollment.program_memberships.iter().map(|item| &*item.program))
            }
            Self::Update(update) => Box::new(std::iter::once(&*update.program)),
            Self::Group(change) => {
                let own = change.program_memberships.iter();
                let members = change.members.iter().flat_map(|member| &member.program_memberships);
                Box::new(members.chain(own).map(|item| &*item.program))
            }
        }
    }

    /// How many memberships and members it asks for: what `batch.max_items` counts.
    pub fn items(&self) -> usize {
        match self {
            Self::Enroll(enrollment) => enrollment.program_memberships.len(),
            Self::Update(_) => 1,
            Self::Group(change) => {
                change.program_memberships.len()
                    + change.members.iter().map(|m| 1 + m.program_memberships.len()).sum::<usize>()
            }
        }
    }
}

/// The command of an `EnrollmentRequest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrollment {
    /// Whether one refused item refuses all.
    pub atomic: bool,
    /// Who.
    pub registrant: RegistrantInfo,
    /// In which programs.
    pub program_memberships: Vec<ProgramMembershipIn>,
}

/// The command of a `MembershipUpdateRequest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Whose membership.
    pub registrant: RegistrantRef,
    /// In which program: its code.
    pub program: String,
    /// What to do.
    pub action: Action,
    /// For ENROLL, REENROLL and CORRECT only.
    pub enrollment_date: Option<Date>,
    /// For EXIT and CORRECT only.
    pub exit_date: Option<Date>,
    /// From when it holds; absent means the date that the action uses, else the date of `sent_at`.
    pub effective_date: Option<Date>,
    /// The sender's reason: a code, which is published, and a note, which is not.
    pub reason: Option<(String, Option<String>)>,
    /// The version that the membership must have; 0 means that there must be none.
    pub expected_version: Option<i32>,
    /// The membership that it must be: over HTTP it is named by its id. What was made in the place of a removed one is
    /// another.
    pub membership_id: Option<MembershipId>,
}

/// What can be done to a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the symbols are the words of the contract")]
pub enum Action {
    Enroll,
    Pause,
    Resume,
    Exit,
    MarkNotEligible,
    MarkDuplicated,
    ResetToDraft,
    Reenroll,
    Correct,
    Remove,
}

impl Action {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 10] = [
        Self::Enroll,
        Self::Pause,
        Self::Resume,
        Self::Exit,
        Self::MarkNotEligible,
        Self::MarkDuplicated,
        Self::ResetToDraft,
        Self::Reenroll,
        Self::Correct,
        Self::Remove,
    ];

    /// Whether it uses an `enrollment_date`.
    pub const fn takes_enrollment_date(self) -> bool {
        matches!(self, Self::Enroll | Self::Reenroll | Self::Correct)
    }

    /// Whether it uses an `exit_date`.
    pub const fn takes_exit_date(self) -> bool {
        matches!(self, Self::Exit | Self::Correct)
    }
}

/// A registrant as an update names it: by its reference alone if there is one, else by its identifiers.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistrantRef {
    /// Source of the reference; absent means the request's.
    pub source: Option<String>,
    /// What that source calls the registrant.
    pub reference: Option<String>,
    /// Identifiers: type and value.
    pub ids: Vec<(String, String)>,
}

impl std::fmt::Debug for RegistrantRef {
    /// P9: values of persons stay inside.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistrantRef").finish_non_exhaustive()
    }
}

/// The command of a `GroupMembershipRequest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupChange {
    /// Whether one refused item refuses all.
    pub atomic: bool,
    /// Which group, and what is known of it.
    pub group: RegistrantInfo,
    /// What happens to members that are not named.
    pub mode: GroupMode,
    /// Its members.
    pub members: Vec<MemberIn>,
    /// Programs to enroll the group itself in.
    pub program_memberships: Vec<ProgramMembershipIn>,
}

/// What happens to members that a request does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupMode {
    /// They stay.
    Merge,
    /// They end, on the date of `sent_at`.
    Replace,
}

/// A member as a request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberIn {
    /// Who, and what is known of the person.
    pub individual: RegistrantInfo,
    /// What the member is in the group; given, it replaces what is stored.
    pub kinds: Option<Vec<String>>,
    /// First day; absent leaves what is stored, for a new member it means the date of `sent_at`.
    pub start_date: Option<Date>,
    /// Last day: whatever it is, a member that has one is a member no longer.
    pub ended_date: Option<Date>,
    /// Programs to enroll the person in.
    pub program_memberships: Vec<ProgramMembershipIn>,
}

/// Facts of a registrant; what is absent leaves what is stored.
#[derive(Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are those of the contract's RegistrantInfo, kept by `Registrant`"
)]
pub struct RegistrantInfo {
    /// Source of the reference; absent means the request's.
    pub source: Option<String>,
    /// What that source calls the registrant.
    pub reference: Option<String>,
    pub ids: Vec<IdentifierIn>,
    pub kind: RegistrantKind,
    pub name: Option<String>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub addl_name: Option<String>,
    pub gender: Option<String>,
    pub birthdate: Option<Date>,
    pub birth_place: Option<String>,
    pub email: Option<String>,
    pub address: Option<String>,
    pub registration_date: Option<Date>,
    pub payment_address: Option<String>,
    pub disabled: Option<bool>,
    pub phone_numbers: Vec<PhoneNumberIn>,
    pub group_kind: Option<String>,
    pub is_partial_group: Option<bool>,
    /// What to empty.
    pub clear: Vec<Clearable>,
}

impl std::fmt::Debug for RegistrantInfo {
    /// P9: values of persons stay inside.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistrantInfo").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// An identifier as a request gives it.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentifierIn {
    /// Its type.
    pub id_type: String,
    /// Its value, of a person.
    pub value: String,
    /// Last day on which it is valid; absent leaves what is stored.
    pub expiry_date: Option<Date>,
}

impl std::fmt::Debug for IdentifierIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdentifierIn").field("id_type", &self.id_type).finish_non_exhaustive()
    }
}

/// A phone number as a request gives it.
#[derive(Clone, PartialEq, Eq)]
pub struct PhoneNumberIn {
    /// The number, of a person.
    pub phone_no: String,
    /// The day it was collected; absent leaves what is stored.
    pub date_collected: Option<Date>,
}

impl std::fmt::Debug for PhoneNumberIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PhoneNumberIn").finish_non_exhaustive()
    }
}

/// A field that `clear` may name.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the field of its name")]
pub enum Clearable {
    Name,
    GivenName,
    FamilyName,
    AddlName,
    Gender,
    Birthdate,
    BirthPlace,
    Email,
    Address,
    RegistrationDate,
    PaymentAddress,
    Disabled,
    GroupKind,
    IsPartialGroup,
    /// `ids.<type>`
    Identifier(String),
    /// `phone_numbers.<number>`
    PhoneNumber(String),
}

impl std::fmt::Debug for Clearable {
    /// P9: a phone number may stand in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clearable")
    }
}

impl Clearable {
    /// The field that this entry of `clear` names.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "name" => Self::Name,
            "given_name" => Self::GivenName,
            "family_name" => Self::FamilyName,
            "addl_name" => Self::AddlName,
            "gender" => Self::Gender,
            "birthdate" => Self::Birthdate,
            "birth_place" => Self::BirthPlace,
            "email" => Self::Email,
            "address" => Self::Address,
            "registration_date" => Self::RegistrationDate,
            "payment_address" => Self::PaymentAddress,
            "disabled" => Self::Disabled,
            "group_kind" => Self::GroupKind,
            "is_partial_group" => Self::IsPartialGroup,
            _ => match text.split_once('.')? {
                ("ids", id_type) if !id_type.is_empty() => Self::Identifier(id_type.to_owned()),
                ("phone_numbers", number) if !number.is_empty() => {
                    Self::PhoneNumber(number.to_owned())
                }
                _ => return None,
            },
        })
    }
}

/// A program to enroll in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramMembershipIn {
    /// The program's code.
    pub program: String,
    /// Enrolled at once, or a draft.
    pub state: RequestedState,
    /// First day; absent means the date of `sent_at`, for a draft none.
    pub enrollment_date: Option<Date>,
}

/// The states that an enrollment can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the symbols are the words of the field")]
pub enum RequestedState {
    Enrolled,
    Draft,
}

impl RequestedState {
    /// The membership's state that is asked for.
    pub const fn state(self) -> State {
        match self {
            Self::Enrolled => State::Enrolled,
            Self::Draft => State::Draft,
        }
    }
}
