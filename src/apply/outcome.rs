//! Outcomes: as the ledger, the inbox and metrics write them.

use crate::domain::Status;

/// The outcome's word in metrics, from the ledger's byte.
pub(super) const fn outcome_word(byte: u8) -> &'static str {
    match byte {
        b'A' => "applied",
        b'U' => "unchanged",
        b'P' => "partial",
        b'R' => "rejected",
        b'D' => "duplicate",
        b'K' => "parked",
        b'L' => "dead_lettered",
        b'S' => "skipped",
        _ => "not_delivered",
    }
}

/// The outcome's letter in SQL, from the ledger's byte.
pub(super) const fn outcome_symbol(byte: u8) -> &'static str {
    match byte {
        b'A' => "A",
        b'U' => "U",
        b'P' => "P",
        b'D' => "D",
        b'K' => "K",
        b'L' => "L",
        _ => "R",
    }
}

/// The ledger's byte.
pub(super) const fn outcome_byte(status: Status) -> u8 {
    match status {
        Status::Applied => b'A',
        Status::Unchanged => b'U',
        Status::Partial => b'P',
        Status::Rejected => b'R',
    }
}

/// The status of the result, as the inbox has it.
pub(super) const fn status_symbol(status: Status) -> &'static str {
    match status {
        Status::Applied | Status::Unchanged => "SUCCEEDED",
        Status::Partial => "PARTIAL",
        Status::Rejected => "REJECTED",
    }
}
