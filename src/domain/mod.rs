//! Registrants, programs and memberships, and the rules that decide a command.
//!
//! Pure: no I/O, no clock, no async. A command and what is stored of those it concerns go in; a decision and the
//! changes it makes come out. Who calls it must have loaded and locked everything a command names (the
//! [`WorkingSet`]), so that nothing here ever has to ask.

mod batch;
mod command;
mod conclude;
mod decide;
mod enroll;
mod event;
mod facts;
mod group;
mod membership;
mod name;
mod overlay;
mod program;
mod reason;
mod registrant;
mod resolve;
#[cfg(test)]
mod tests;
mod update;
mod working_set;

pub use batch::{BatchOutcome, BatchState, Digest, Tally};
pub use command::{
    Action, BatchRef, Clearable, Command, Enrollment, GroupChange, GroupMode, IdentifierIn,
    MemberIn, Meta, PhoneNumberIn, ProgramMembershipIn, RegistrantInfo, RegistrantRef,
    RequestedState, Update,
};
pub use decide::{
    Decision, Fault, ItemDecision, ItemOutcome, Missing, Patience, Status, Verdict, decide,
    refused_at_once,
};
pub use event::{Change, ChangeEvent, Payee, PublishedRegistrant};
pub use membership::{Membership, MembershipId, State, event_id, membership_id};
pub use name::{NameKey, NameKind};
pub use program::{Program, ProgramId, ProgramState};
pub use reason::Reason;
pub use registrant::{
    IdentifierFacts, Place, Registrant, RegistrantId, RegistrantKind, registrant_id,
};
pub use working_set::{NameRow, WorkingSet};
