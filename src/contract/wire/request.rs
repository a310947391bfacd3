//! What senders say.

use super::{Day, Millis};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RegistrantKind {
    #[default]
    Unknown,
    Individual,
    Group,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RequestedState {
    Unknown,
    Enrolled,
    Draft,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Action {
    Unknown,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GroupMode {
    Unknown,
    Merge,
    Replace,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchRef {
    pub batch_id: String,
    #[serde(default)]
    pub total_count: Option<i32>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrantIdentifier {
    pub id_type: String,
    pub value: String,
    #[serde(default)]
    pub expiry_date: Option<Day>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentifierRef {
    pub id_type: String,
    pub value: String,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhoneNumber {
    pub phone_no: String,
    #[serde(default)]
    pub date_collected: Option<Day>,
}

#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrantRef {
    #[serde(default)]
    pub source: Option<String>,
    #[serde(default)]
    pub reference: Option<String>,
    #[serde(default)]
    pub ids: Vec<IdentifierRef>,
}

#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrantInfo {
    #[serde(default)]
    pub source: Option<String>,
    #[serde(default)]
    pub reference: Option<String>,
    #[serde(default)]
    pub ids: Vec<RegistrantIdentifier>,
    pub kind: RegistrantKind,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub given_name: Option<String>,
    #[serde(default)]
    pub family_name: Option<String>,
    #[serde(default)]
    pub addl_name: Option<String>,
    #[serde(default)]
    pub gender: Option<String>,
    #[serde(default)]
    pub birthdate: Option<Day>,
    #[serde(default)]
    pub birth_place: Option<String>,
    #[serde(default)]
    pub email: Option<String>,
    #[serde(default)]
    pub address: Option<String>,
    #[serde(default)]
    pub registration_date: Option<Day>,
    #[serde(default)]
    pub payment_address: Option<String>,
    #[serde(default)]
    pub disabled: Option<bool>,
    #[serde(default)]
    pub phone_numbers: Vec<PhoneNumber>,
    #[serde(default)]
    pub group_kind: Option<String>,
    #[serde(default)]
    pub is_partial_group: Option<bool>,
    #[serde(default)]
    pub clear: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramMembershipIn {
    pub program: String,
    #[serde(default = "enrolled")]
    pub state: RequestedState,
    #[serde(default)]
    pub enrollment_date: Option<Day>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupMember {
    pub individual: RegistrantInfo,
    #[serde(default)]
    pub kinds: Option<Vec<String>>,
    #[serde(default)]
    pub start_date: Option<Day>,
    #[serde(default)]
    pub ended_date: Option<Day>,
    #[serde(default)]
    pub program_memberships: Vec<ProgramMembershipIn>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Reason", deny_unknown_fields)] // apache-avro finds a union's branch by the record's name
pub struct ReasonIn {
    pub code: String,
    #[serde(default)]
    pub note: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrollmentRequest {
    pub message_id: String,
    pub source: String,
    pub sent_at: Millis,
    #[serde(default = "first_attempt")]
    pub attempt: i32,
    #[serde(default)]
    pub batch: Option<BatchRef>,
    #[serde(default)]
    pub actor: Option<String>,
    #[serde(default)]
    pub atomic: bool,
    pub registrant: RegistrantInfo,
    #[serde(default)]
    pub program_memberships: Vec<ProgramMembershipIn>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MembershipUpdateRequest {
    pub message_id: String,
    pub source: String,
    pub sent_at: Millis,
    #[serde(default = "first_attempt")]
    pub attempt: i32,
    #[serde(default)]
    pub batch: Option<BatchRef>,
    #[serde(default)]
    pub actor: Option<String>,
    pub registrant: RegistrantRef,
    pub program: String,
    pub action: Action,
    #[serde(default)]
    pub enrollment_date: Option<Day>,
    #[serde(default)]
    pub exit_date: Option<Day>,
    #[serde(default)]
    pub effective_date: Option<Day>,
    #[serde(default)]
    pub reason: Option<ReasonIn>,
    #[serde(default)]
    pub expected_version: Option<i32>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupMembershipRequest {
    pub message_id: String,
    pub source: String,
    pub sent_at: Millis,
    #[serde(default = "first_attempt")]
    pub attempt: i32,
    #[serde(default)]
    pub batch: Option<BatchRef>,
    #[serde(default)]
    pub actor: Option<String>,
    #[serde(default)]
    pub atomic: bool,
    pub group: RegistrantInfo,
    pub mode: GroupMode,
    #[serde(default)]
    pub members: Vec<GroupMember>,
    #[serde(default)]
    pub program_memberships: Vec<ProgramMembershipIn>,
}

const fn first_attempt() -> i32 {
    1
}

const fn enrolled() -> RequestedState {
    RequestedState::Enrolled
}
