//! The decision on one command, and how the working set changes by it.

use super::{
    ChangeEvent, Command, MembershipId, Meta, Reason, RegistrantId, State, WorkingSet, enroll,
    group, update,
};

/// A broken rule and where in the request it was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// JSON Pointer into the message.
    pub pointer: String,
    /// The rule.
    pub reason: Reason,
}

impl Fault {
    /// The rule `reason`, broken at `pointer`.
    pub fn at(pointer: impl Into<String>, reason: Reason) -> Self {
        Self { pointer: pointer.into(), reason }
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Every item is as it was asked for, and something changed.
    Applied,
    /// Everything already was as it was asked for.
    Unchanged,
    /// Some items were refused, some not.
    Partial,
    /// Refused as a whole; nothing is left behind.
    Rejected,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the symbols are the words of the contract")]
pub enum ItemOutcome {
    Applied,
    Unchanged,
    Rejected,
}

/// The decision on one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemDecision {
    /// JSON Pointer of the item in the message.
    pub pointer: String,
    /// The program's code, as it was given.
    pub program: String,
    /// Whose membership; none if there is no such registrant after the request.
    pub registrant_id: Option<RegistrantId>,
    /// The membership that there is after the request, with state and version; or what the request removed, with its last
    /// version and no state.
    pub membership: Option<(MembershipId, Option<State>, i32)>,
    /// Applied, unchanged or refused.
    pub outcome: ItemOutcome,
    /// Why: the first rule that it broke, or how it succeeded.
    pub reason: Reason,
}

/// The decision on a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What became of it.
    pub status: Status,
    /// Whom it concerns, if there is such a registrant after the request.
    pub registrant_id: Option<RegistrantId>,
    /// Every broken rule.
    pub faults: Vec<Fault>,
    /// Its items, in the order of the request; none if it was refused before they were looked at.
    pub items: Vec<ItemDecision>,
    /// What changed, in order.
    pub events: Vec<ChangeEvent>,
}

impl Decision {
    /// The refusal of a request as a whole.
    pub fn rejected(faults: Vec<Fault>) -> Self {
        Self {
            status: Status::Rejected,
            registrant_id: None,
            faults,
            items: Vec::new(),
            events: Vec::new(),
        }
    }
}

/// Whether a command may wait for what it needs, such as an update that overtook its enrollment (P8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Patience {
    /// It may.
    Waits,
    /// It is decided as things stand.
    Over,
}

/// What a command needs that is not there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// A registrant with one of its names.
    Registrant,
    /// This registrant's membership in the program that it names.
    Membership(RegistrantId),
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is decided.
    Decided(Decision),
    /// It waits; nothing changed.
    Waits(Missing),
}

/// Decides a command over the working set and changes it accordingly; a rejected command changes nothing.
///
/// Everything that the command names must be loaded (and, in a transaction, locked), and so must every group that a
/// person of whom it tells is the head of, with its members and its head.
pub fn decide(meta: &Meta, command: &Command, set: &mut WorkingSet, patience: Patience) -> Verdict {
    match command {
        Command::Enroll(enrollment) => Verdict::Decided(enroll::decide(meta, enrollment, set)),
        Command::Update(update) => update::decide(meta, update, set, patience),
        Command::Group(change) => Verdict::Decided(group::decide(meta, change, set)),
    }
}

/// The refusal of a command on which nothing that waits before it has any influence; none of any other.
pub fn refused_at_once(meta: &Meta, command: &Command, set: &WorkingSet) -> Option<Decision> {
    match command {
        Command::Update(update) => update::refused_at_once(meta, update, set),
        Command::Enroll(_) | Command::Group(_) => None,
    }
}
