//! Records that fail for good while they are applied.

use super::batch::Taken;
use crate::contract::{Intake, LetterClass, LetterStage, Unreadable};

/// Whether the record already is a letter.
pub(super) const fn is_letter(taken: &Taken) -> bool {
    matches!(taken.intake, Intake::Letter(_))
}

/// Makes a record a letter of class `failed`. Its code is the same for all: what Postgres said is in the log, reduced
/// to SQLSTATE and constraint.
pub(super) fn condemn(taken: &mut Taken) {
    taken.intake = Intake::Letter(Unreadable {
        class: LetterClass::Failed,
        stage: LetterStage::Apply,
        code: "apply_failed",
        detail: "the request fails alone, twice the same way, while other writes succeed",
    });
}
