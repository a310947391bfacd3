//! Records that fail for good while they are applied.

use super::batch::Taken;
use crate::contract::{Identity, Intake, LetterClass, LetterStage, Unreadable};

/// A record whose decoding made the program fail.
pub(super) const PANICKED: Unreadable = Unreadable {
    class: LetterClass::Failed,
    stage: LetterStage::Decode,
    code: "panicked",
    detail: "the program failed while it decoded the record; report it with the letter",
};

/// Whether the record already is a letter.
pub(super) const fn is_letter(taken: &Taken) -> bool {
    matches!(taken.intake, Intake::Letter(_) | Intake::Condemned { .. })
}

/// Makes a record a letter of class `failed`. Its code is the same for all: what Postgres said is in the log, reduced
/// to SQLSTATE and constraint.
pub(super) fn condemn(taken: &mut Taken) {
    let identity = match &taken.intake {
        Intake::Command { meta, .. } => Identity::of(meta),
        Intake::Refused(refused) => refused.identity.clone(),
        Intake::Letter(_) | Intake::Condemned { .. } => return,
    };
    let cause = Unreadable {
        class: LetterClass::Failed,
        stage: LetterStage::Apply,
        code: "apply_failed",
        detail: "the request fails alone, twice the same way, while other writes succeed",
    };
    taken.intake = Intake::Condemned { identity, cause };
}
