//! The rules of an update: one action on one membership.

use super::{Decision, Fault, Meta, Patience, Reason, Update, Verdict, WorkingSet};

/// Decides an update.
pub(super) fn decide(
    _meta: &Meta,
    _update: &Update,
    _set: &mut WorkingSet,
    _patience: Patience,
) -> Verdict {
    Verdict::Decided(Decision::rejected(vec![Fault::at("", Reason::FieldUnsupported)]))
}
