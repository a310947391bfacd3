//! Changes of memberships, as they are published and kept in the history.

use super::{Membership, ProgramId, RegistrantId, RegistrantKind, State};
use time::Date;

/// What happened to a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the symbols are the words of the contract")]
pub enum Change {
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

impl Change {
    /// The symbol in Avro, JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enrolled => "ENROLLED",
            Self::Drafted => "DRAFTED",
            Self::Paused => "PAUSED",
            Self::Resumed => "RESUMED",
            Self::Exited => "EXITED",
            Self::NotEligible => "NOT_ELIGIBLE",
            Self::Duplicated => "DUPLICATED",
            Self::Reset => "RESET",
            Self::Reenrolled => "REENROLLED",
            Self::Corrected => "CORRECTED",
            Self::Removed => "REMOVED",
            Self::PayeeChanged => "PAYEE_CHANGED",
        }
    }
}

/// One change of one membership: what an event and a row of the history say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeEvent {
    /// What happened.
    pub change: Change,
    /// The state before; none when it was made.
    pub previous_state: Option<State>,
    /// The membership after the change; after REMOVE its last facts, with the version of the removal.
    pub membership: Membership,
    /// False after REMOVE.
    pub present: bool,
    /// The day from which it holds.
    pub effective_date: Date,
    /// The sender's reason code.
    pub reason_code: Option<String>,
    /// The sender's note on it; kept in the history, not published.
    pub reason_note: Option<String>,
    /// Whose membership it is, as published, at the end of the request.
    pub registrant: PublishedRegistrant,
    /// Who is paid at the end of the request; none: hold payment.
    pub payee: Option<Payee>,
}

/// A registrant as events name it.
#[derive(Clone, PartialEq, Eq)]
pub struct PublishedRegistrant {
    /// Its id.
    pub registrant_id: RegistrantId,
    /// Individual or group.
    pub kind: RegistrantKind,
    /// Source and reference: the requesting source's if there is one, else the first by source.
    pub reference: Option<(String, String)>,
    /// Identifiers, by type.
    pub ids: Vec<(String, String)>,
}

impl std::fmt::Debug for PublishedRegistrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublishedRegistrant({})", self.registrant_id.0)
    }
}

/// Who is paid.
#[derive(Clone, PartialEq, Eq)]
pub struct Payee {
    /// The registrant itself, or a group's Head.
    pub registrant: PublishedRegistrant,
    /// Where to pay, passed through.
    pub payment_address: Option<String>,
    /// A disabled payee.
    pub disabled: bool,
}

impl std::fmt::Debug for Payee {
    /// P9: where a person is paid stays inside.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payee")
            .field("registrant", &self.registrant)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}

impl ChangeEvent {
    /// The program of the membership.
    pub const fn program_id(&self) -> ProgramId {
        self.membership.program_id
    }
}
