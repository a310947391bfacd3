//! What Rollcall says.

use super::{Bytes, Day, IdentifierRef, Millis, RegistrantKind};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MembershipStatus {
    Unknown,
    Draft,
    Enrolled,
    Paused,
    Exited,
    NotEligible,
    Duplicated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Change {
    Unknown,
    Enrolled,
    Drafted,
    Paused,
    Resumed,
    Exited,
    NotEligible,
    Duplicated,
    Reset,
    Reenrolled,
    Corrected,
    Removed,
    PayeeChanged,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ResultStatus {
    Unknown,
    Succeeded,
    Partial,
    Rejected,
    Held,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    Unknown,
    Applied,
    Unchanged,
    Rejected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HeldWhy {
    Unknown,
    Parked,
    DeadLettered,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReceiptStatus {
    Unknown,
    Complete,
    CompleteWithHeld,
    Incomplete,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    pub why: HeldWhy,
    #[serde(default)]
    pub letter_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultError {
    pub pointer: String,
    pub code: String,
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultItem {
    pub pointer: String,
    pub program: String,
    #[serde(default)]
    pub registrant_id: Option<String>,
    #[serde(default)]
    pub membership_id: Option<String>,
    #[serde(default)]
    pub state: Option<MembershipStatus>,
    #[serde(default)]
    pub version: Option<i32>,
    pub outcome: Outcome,
    pub code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestResult {
    pub message_id: String,
    pub source: String,
    pub attempt: i32,
    #[serde(default)]
    pub batch_id: Option<String>,
    pub status: ResultStatus,
    pub r#final: bool,
    pub duplicate: bool,
    #[serde(default)]
    pub held: Option<Held>,
    #[serde(default)]
    pub registrant_id: Option<String>,
    pub recorded_at: Millis,
    #[serde(default)]
    pub errors: Vec<ResultError>,
    #[serde(default)]
    pub items: Vec<ResultItem>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramRef {
    pub program_id: String,
    pub code: String,
    pub name: String,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedRegistrant {
    pub registrant_id: String,
    pub kind: RegistrantKind,
    #[serde(default)]
    pub source: Option<String>,
    #[serde(default)]
    pub reference: Option<String>,
    #[serde(default)]
    pub ids: Vec<IdentifierRef>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payee {
    pub registrant_id: String,
    pub kind: RegistrantKind,
    #[serde(default)]
    pub source: Option<String>,
    #[serde(default)]
    pub reference: Option<String>,
    #[serde(default)]
    pub ids: Vec<IdentifierRef>,
    #[serde(default)]
    pub payment_address: Option<String>,
    pub disabled: bool,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MembershipChanged {
    pub event_id: String,
    pub membership_id: String,
    pub version: i32,
    pub change: Change,
    #[serde(default)]
    pub previous_state: Option<MembershipStatus>,
    #[serde(default)]
    pub state: Option<MembershipStatus>,
    pub spell: i32,
    pub program: ProgramRef,
    pub registrant: PublishedRegistrant,
    #[serde(default)]
    pub payee: Option<Payee>,
    #[serde(default)]
    pub enrollment_date: Option<Day>,
    #[serde(default)]
    pub exit_date: Option<Day>,
    pub effective_date: Day,
    #[serde(default)]
    pub reason_code: Option<String>,
    pub source: String,
    pub message_id: String,
    #[serde(default)]
    pub batch_id: Option<String>,
    pub occurred_at: Millis,
    pub recorded_at: Millis,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MembershipState {
    pub membership_id: String,
    pub version: i32,
    pub event_id: String,
    pub state: MembershipStatus,
    pub spell: i32,
    pub program: ProgramRef,
    pub registrant: PublishedRegistrant,
    #[serde(default)]
    pub payee: Option<Payee>,
    #[serde(default)]
    pub enrollment_date: Option<Day>,
    #[serde(default)]
    pub exit_date: Option<Day>,
    pub effective_date: Day,
    #[serde(default)]
    pub reason_code: Option<String>,
    pub source: String,
    pub message_id: String,
    #[serde(default)]
    pub batch_id: Option<String>,
    pub occurred_at: Millis,
    pub recorded_at: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptPosition {
    pub partition: i32,
    pub sequence: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchReceipt {
    pub source: String,
    pub batch_id: String,
    pub status: ReceiptStatus,
    pub revision: i32,
    #[serde(default)]
    pub total_count: Option<i32>,
    pub applied_count: i32,
    pub unchanged_count: i32,
    pub partial_count: i32,
    pub rejected_count: i32,
    pub held_count: i32,
    pub first_at: Millis,
    #[serde(default)]
    pub completed_at: Option<Millis>,
    pub digest: Bytes,
    #[serde(default)]
    pub positions: Vec<ReceiptPosition>,
}
