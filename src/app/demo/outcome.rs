//! What can become of a record of the demo, and how one tells.

use crate::contract::wire::{self, RequestResult, ResultStatus};
use serde::Serialize;

/// What became of a record, told from what Rollcall published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    Applied,
    Unchanged,
    OneUnknownProgram,
    UnknownProgram,
    EndedProgram,
    ReusedId,
    Duplicate,
    Undecodable,
    /// None of those that the demo sows.
    Unexpected,
}

impl Fate {
    /// Those that a batch holds, in the order of the table.
    pub(super) const SOWN: [Self; 8] = [
        Self::Applied,
        Self::Unchanged,
        Self::OneUnknownProgram,
        Self::UnknownProgram,
        Self::EndedProgram,
        Self::ReusedId,
        Self::Duplicate,
        Self::Undecodable,
    ];

    /// The outcome, as the ledger and the metrics name it.
    pub(super) const fn outcome(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::OneUnknownProgram => "partial",
            Self::UnknownProgram | Self::EndedProgram | Self::ReusedId => "rejected",
            Self::Duplicate => "duplicate",
            Self::Undecodable => "dead_lettered",
            Self::Unexpected => "unexpected",
        }
    }

    /// What was sent to bring it about.
    pub(super) const fn sown(self) -> &'static str {
        match self {
            Self::Applied => "people to enroll",
            Self::Unchanged => "enrolled again, unchanged",
            Self::OneUnknownProgram => "one of two is unknown",
            Self::UnknownProgram => "unknown program",
            Self::EndedProgram => "ended program",
            Self::ReusedId => "reused id, other content",
            Self::Duplicate => "delivered twice",
            Self::Undecodable => "bytes that are no Avro",
            Self::Unexpected => "nothing that the demo sent",
        }
    }

    /// Where it was found: the topic (without prefix) and what stands there.
    pub(super) const fn found(self) -> &'static str {
        match self {
            Self::Applied => "results: SUCCEEDED, succ.membership.changed",
            Self::Unchanged => "results: SUCCEEDED, succ.membership.unchanged",
            Self::OneUnknownProgram => "results: PARTIAL, rjct.program.not_found",
            Self::UnknownProgram => "results: REJECTED, rjct.program.not_found",
            Self::EndedProgram => "results: REJECTED, rjct.program.ended",
            Self::ReusedId => "results: REJECTED, rjct.message_id.reused",
            Self::Duplicate => "results: the first answer again, duplicate",
            Self::Undecodable => "dead-letters: undecodable; results: HELD",
            Self::Unexpected => "results",
        }
    }

    /// Tells it from a result; none of one HELD, whose letter tells.
    pub(super) fn of(result: &RequestResult) -> Option<Self> {
        let codes = || {
            let errors = result.errors.iter().map(|error| error.code.as_str());
            errors.chain(result.items.iter().map(|item| item.code.as_str()))
        };
        let says = |code: &str| codes().any(|said| said == code);
        Some(match result.status {
            ResultStatus::Held => return None,
            _ if result.duplicate => Self::Duplicate,
            ResultStatus::Succeeded if says("succ.membership.changed") => Self::Applied,
            ResultStatus::Succeeded if says("succ.membership.unchanged") => Self::Unchanged,
            ResultStatus::Partial if says("rjct.program.not_found") => Self::OneUnknownProgram,
            ResultStatus::Rejected if says("rjct.message_id.reused") => Self::ReusedId,
            ResultStatus::Rejected if says("rjct.program.ended") => Self::EndedProgram,
            ResultStatus::Rejected if says("rjct.program.not_found") => Self::UnknownProgram,
            _ => Self::Unexpected,
        })
    }
}

/// How many events a result promises: one for each item that was applied, if it is no repetition.
pub(super) fn events(result: &RequestResult) -> u64 {
    let applied = |item: &&wire::ResultItem| item.outcome == wire::Outcome::Applied;
    if result.duplicate { 0 } else { result.items.iter().filter(applied).count() as u64 }
}

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// As the ledger and the metrics name it.
    pub outcome: &'static str,
    /// What was sent to bring it about.
    pub sown: &'static str,
    /// How many of them were sent.
    pub sent: u64,
    /// How many were found.
    pub records: u64,
    /// Where, and what stands there.
    pub found: &'static str,
}
