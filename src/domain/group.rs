//! The rules of a group and its members.

use super::{Decision, Fault, GroupChange, Meta, Reason, WorkingSet};

/// Decides a change of a group.
pub(super) fn decide(_meta: &Meta, _change: &GroupChange, _set: &mut WorkingSet) -> Decision {
    Decision::rejected(vec![Fault::at("", Reason::FieldUnsupported)])
}
