//! The messages of the contract, field by field as in `schemas/`.
//!
//! One set of types serves Avro and plain JSON: dates, times and bytes are numbers and bytes in Avro, text in JSON
//! (`2026-01-31`, RFC 3339, hex), told apart by serde's `is_human_readable`. The docs of the fields stand in the
//! schemas.
#![expect(missing_docs, reason = "the schemas hold the docs of messages and fields")]

mod published;
mod request;
mod scalar;

pub use published::{
    BatchReceipt, Change, Held, HeldWhy, MembershipChanged, MembershipState, MembershipStatus,
    Outcome, Payee, ProgramRef, PublishedRegistrant, ReceiptPosition, ReceiptStatus, RequestResult,
    ResultError, ResultItem, ResultStatus,
};
pub use request::{
    Action, BatchRef, EnrollmentRequest, GroupMember, GroupMembershipRequest, GroupMode,
    IdentifierRef, MembershipUpdateRequest, PhoneNumber, ProgramMembershipIn, ReasonIn,
    RegistrantIdentifier, RegistrantInfo, RegistrantKind, RegistrantRef, RequestedState,
};
pub use scalar::{Bytes, Day, Millis};

/// P9: messages hold values of persons, so their `Debug` is their name and no more.
macro_rules! redacted_debug {
    ($($message:ident),* $(,)?) => {
        $(impl std::fmt::Debug for $message {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($message)).finish_non_exhaustive()
            }
        })*
    };
}

redacted_debug!(
    RegistrantIdentifier,
    IdentifierRef,
    PhoneNumber,
    RegistrantRef,
    RegistrantInfo,
    GroupMember,
    ReasonIn,
    EnrollmentRequest,
    MembershipUpdateRequest,
    GroupMembershipRequest,
    PublishedRegistrant,
    Payee,
    MembershipChanged,
    MembershipState,
);
