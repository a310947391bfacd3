//! Records that fail for good while they are applied.

use super::Applier;
use super::batch::{Batch, Passing, Record, Slice, SliceOutcome, Taken, TopicPartition};
use super::caps::{Caps, Tally};
use super::disposition::Failure;
use super::ids::letter_id;
use super::park::names_of;
use crate::contract::{Identity, Intake, LetterClass, LetterStage, Unreadable};
use crate::store::operator::{self, By};
use crate::store::partitions;
use sqlx::{Postgres, Transaction};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use time::OffsetDateTime;
use uuid::Uuid;

/// A record whose decoding made the program fail.
pub(super) const PANICKED: Unreadable = Unreadable {
    class: LetterClass::Failed,
    stage: LetterStage::Decode,
    code: "panicked",
    detail: "the program failed while it decoded the record; report it with the letter",
};

/// A record that an operator has passed over.
const SKIPPED: Unreadable = Unreadable {
    class: LetterClass::Skipped,
    stage: LetterStage::Apply,
    code: "skipped",
    detail: "an operator passed over the record, so that its partition could go on",
};

impl Applier {
    /// A record that is to be passed over, with the id of its letter. It is decoded, so that later records of the same persons
    /// wait for it (P8), unless that `kills` the process.
    pub fn skipped(&self, record: Record, kills: bool) -> (Taken, Uuid) {
        let letter_id = letter_id(&record);
        if kills {
            let (intake, waiting, reply, letter) = (Intake::Letter(SKIPPED), None, None, None);
            return (Taken { record, intake, waiting, reply, letter }, letter_id);
        }
        let mut taken = self.take(record);
        taken.intake = match taken.intake {
            Intake::Letter(_) | Intake::Condemned { .. } => Intake::Letter(SKIPPED),
            intake => condemned(intake, SKIPPED),
        };
        (taken, letter_id)
    }
}

impl Passing {
    /// Writes who passes the records of these slices over, and has their partitions looked at anew.
    pub(super) async fn save(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        slices: &[Slice],
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        let by = By { run_id: None, actor: Some(&self.actor), reason: Some(&self.reason) };
        let mut deeds = operator::Deeds::default();
        deeds.push(self.letter_id, "SKIPPED");
        operator::insert_actions(tx, &deeds, by, now).await?;
        for slice in slices {
            let at = (&*slice.at.topic, slice.at.partition);
            let offsets = Some((slice.first_offset, slice.next_offset));
            let deed = partitions::Deed { offsets, ..partitions::Deed::of("SKIPPED") };
            partitions::insert_action(tx, at, deed, by, now).await?;
            partitions::forget_stop(tx, at.0, at.1, now).await?;
        }
        Ok(())
    }
}

/// Whether the record already is a letter.
pub const fn is_letter(taken: &Taken) -> bool {
    matches!(taken.intake, Intake::Letter(_) | Intake::Condemned { .. })
}

/// What became of the records of each partition, for the caps on dead letters: letters of decoding and of failures
/// together.
#[derive(Debug, Default)]
pub(super) struct Tallies(Mutex<HashMap<TopicPartition, Tally>>);

impl Tallies {
    fn lock(&self) -> MutexGuard<'_, HashMap<TopicPartition, Tally>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the caps accept that the one record of this part becomes a letter.
    pub(super) fn accept(&self, part: &Batch, caps: &Caps) -> bool {
        part.records.iter().all(|taken| self.accepts(&taken.record.at, caps))
    }

    /// Whether the caps accept a letter as the next record of a partition.
    pub(super) fn accepts(&self, at: &TopicPartition, caps: &Caps) -> bool {
        self.lock().entry(at.clone()).or_default().accepts_letter(caps)
    }

    /// Counts the records of a part that was applied, but for those of partitions that were not.
    pub(super) fn count(&self, part: &Batch, ran: &[(Slice, SliceOutcome)], caps: &Caps) {
        if caps.max_consecutive == 0 && caps.max_ratio == 0.0 {
            return;
        }
        let lost: Vec<_> = ran
            .iter()
            .filter(|ran| ran.1 != SliceOutcome::Committed)
            .map(|ran| &ran.0.at)
            .collect();
        let mut tallies = self.lock();
        for taken in part.records.iter().filter(|taken| !lost.contains(&&taken.record.at)) {
            let at = &taken.record.at;
            let letter = is_letter(taken);
            match tallies.get_mut(at) {
                Some(tally) => tally.count(caps, letter),
                None => tallies.entry(at.clone()).or_default().count(caps, letter),
            }
        }
    }
}

/// Makes a record a letter of class `failed`. Its code is the same for all: what Postgres said is in the log, reduced
/// to SQLSTATE and constraint, with the coordinates by which the letter is found.
pub(super) fn condemn(taken: &mut Taken, failure: &Failure) {
    let Record { at, offset, .. } = &taken.record;
    tracing::error!(
        %failure, topic = &*at.topic, at.partition, offset,
        "a record fails for good: it becomes a dead letter"
    );
    let cause = Unreadable {
        class: LetterClass::Failed,
        stage: LetterStage::Apply,
        code: "apply_failed",
        detail: "the request fails alone, twice the same way, while other writes succeed",
    };
    let intake = std::mem::replace(&mut taken.intake, Intake::Letter(cause));
    taken.intake = condemned(intake, cause);
}

/// The record as a letter for this cause, unless it is one already.
pub(super) fn with_cause(taken: Taken, cause: Unreadable) -> Taken {
    Taken { intake: condemned(taken.intake, cause), ..taken }
}

/// A request that is a letter for this cause; what is one already stays so.
fn condemned(intake: Intake, cause: Unreadable) -> Intake {
    let (identity, names) = match intake {
        Intake::Command { meta, command, .. } => (Identity::of(&meta), names_of(&meta, &command)),
        Intake::Refused(refused) => (refused.identity, Vec::new()),
        Intake::Letter(_) | Intake::Condemned { .. } => return intake,
    };
    Intake::Condemned { identity, names, cause }
}
