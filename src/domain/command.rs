//! Commands: decoded requests that keep the limits of the contract.

use super::{RegistrantKind, State};
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
