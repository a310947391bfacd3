//! Memberships: a registrant's place in a program.

use super::{ProgramId, RegistrantId, registrant::derived_id};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// A membership's id; a new one after REMOVE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MembershipId(pub Uuid);

/// The states of a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the symbols are the words of the field")]
pub enum State {
    Draft,
    Enrolled,
    Paused,
    Exited,
    NotEligible,
    Duplicated,
}

impl State {
    /// All states, in the order of the contract.
    pub const ALL: [Self; 6] = [
        Self::Draft,
        Self::Enrolled,
        Self::Paused,
        Self::Exited,
        Self::NotEligible,
        Self::Duplicated,
    ];

    /// The symbol in Avro, JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "DRAFT",
            Self::Enrolled => "ENROLLED",
            Self::Paused => "PAUSED",
            Self::Exited => "EXITED",
            Self::NotEligible => "NOT_ELIGIBLE",
            Self::Duplicated => "DUPLICATED",
        }
    }

    /// The state with this symbol.
    pub fn parse(symbol: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == symbol)
    }

    /// Whether payments follow the payee of a membership in this state.
    pub const fn follows_payee(self) -> bool {
        matches!(self, Self::Draft | Self::Enrolled | Self::Paused)
    }
}

/// A membership as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "fields have the names of the contract")]
pub struct Membership {
    /// Its id.
    pub membership_id: MembershipId,
    /// Whose it is.
    pub registrant_id: RegistrantId,
    /// In which program.
    pub program_id: ProgramId,
    /// Its state.
    pub state: State,
    /// 1 for the first time in the program, one more with each REENROLL.
    pub spell: i32,
    /// 1, 2, 3 … one more with each change; events carry it (P4).
    pub version: i32,
    /// First day of the spell; a draft may have none.
    pub enrollment_date: Option<Date>,
    /// Last day of the spell.
    pub exit_date: Option<Date>,
}

/// The id of a membership made by this item of this request: a function of what was said, so that applying again
/// after a restore gives the same one.
pub fn membership_id(
    at: OffsetDateTime,
    source: &str,
    message_id: &str,
    pointer: &str,
) -> MembershipId {
    MembershipId(derived_id(at, "membership", source, message_id, pointer))
}

/// The id of the event that brought a membership to this version.
pub fn event_id(membership: MembershipId, version: i32) -> Uuid {
    Uuid::new_v5(&membership.0, version.to_string().as_bytes())
}
