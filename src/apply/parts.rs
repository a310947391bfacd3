//! Parts of a batch: how it is divided, and what became of each of its partitions.

use super::batch::{Batch, Slice, SliceOutcome, Taken};
use super::replay::{Deed, Replay};
use std::sync::Arc;

/// Whether there is a smaller transaction to try: of fewer records, or without those that it frees.
pub(super) fn is_reducible(part: &Batch) -> bool {
    is_divisible(part) || !(part.alone || part.waiting)
}

/// Whether a failure may be of one part of a batch and not of another: what is stopped for it must be one partition.
pub(super) fn is_divisible(part: &Batch) -> bool {
    part.to_judge().len() > 1 || part.slices.len() > 1
}

/// Splits a batch in the middle of its records; each part has its own piece of every slice. Slices without a record go
/// apart from the last record.
pub(super) fn halves(mut batch: Batch) -> (Batch, Batch) {
    if batch.records.is_empty() {
        let slices = batch.slices.split_off(batch.slices.len() / 2);
        return (Batch { alone: true, ..batch }, Batch { slices, alone: true, ..Batch::default() });
    }
    let middle = batch.rehearsed + batch.to_judge().len() / 2;
    let second_records = batch.records.split_off(middle);
    let (waiting, rehearsed, replay) = (batch.waiting, batch.rehearsed, batch.replay);
    let part = |records, rehearsed| {
        let replay = replay.clone();
        Batch { waiting, alone: true, replay, records, rehearsed, ..Batch::default() }
    };
    let mut first = part(batch.records, rehearsed);
    let mut second = part(second_records, 0);
    for slice in batch.slices {
        let last = |records: &[Taken]| {
            records.iter().rev().find(|taken| taken.record.at == slice.at).map(|t| t.record.offset)
        };
        match (last(&first.records), last(&second.records)) {
            (None, Some(_)) => second.slices.push(slice),
            (_, None) => first.slices.push(slice),
            (Some(end), Some(_)) => {
                first.slices.push(Slice { next_offset: end + 1, ..slice.clone() });
                second.slices.push(Slice { first_offset: end + 1, ..slice });
            }
        }
    }
    (first, second)
}

/// Of a rehearsal nothing is left: the part that follows goes through it once more, before its own.
pub(super) fn rehearse_before(next: Option<&mut Batch>, part: Batch) {
    let is_rehearsal = |replay: &Arc<Replay>| replay.deed == Deed::Rehearse;
    if let Some(next) = next.filter(|next| next.replay.as_ref().is_some_and(is_rehearsal)) {
        next.rehearsed = part.records.len();
        let own = std::mem::replace(&mut next.records, part.records);
        next.records.extend(own);
    }
}

/// Notes what became of a part. A partition that was not committed keeps its later pieces from being tried.
pub(super) fn settle(
    outcomes: &mut Vec<(Slice, SliceOutcome)>,
    ran: Vec<(Slice, SliceOutcome)>,
    parts: &mut [Batch],
) {
    for (slice, outcome) in ran {
        if outcome != SliceOutcome::Committed {
            remove(parts, &slice);
        }
        record(outcomes, slice, outcome);
    }
}

/// One entry a partition: the pieces of a divided slice join.
fn record(outcomes: &mut Vec<(Slice, SliceOutcome)>, slice: Slice, outcome: SliceOutcome) {
    match outcomes.iter_mut().find(|(known, _)| known.at == slice.at) {
        Some((known, stands)) => {
            known.next_offset = known.next_offset.max(slice.next_offset);
            *stands = outcome;
        }
        None => outcomes.push((slice, outcome)),
    }
}

fn remove(parts: &mut [Batch], slice: &Slice) {
    for part in parts {
        part.slices.retain(|other| other.at != slice.at);
        part.records.retain(|taken| taken.record.at != slice.at);
    }
}

pub(super) fn drop_slices(outcomes: &mut Vec<(Slice, SliceOutcome)>, slices: Vec<Slice>) {
    for slice in slices {
        record(outcomes, slice, SliceOutcome::Dropped);
    }
}

/// Stops the partitions of a part; other partitions go on.
pub(super) fn stop(
    outcomes: &mut Vec<(Slice, SliceOutcome)>,
    parts: &mut [Batch],
    slices: Vec<Slice>,
    cause: &str,
) {
    for slice in slices {
        remove(parts, &slice);
        let offset = slice.first_offset;
        tracing::error!(
            topic = &*slice.at.topic,
            partition = slice.at.partition,
            offset,
            cause,
            "a partition stops; see `rollcall status`"
        );
        record(outcomes, slice, SliceOutcome::Stopped { offset, cause: cause.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::{Record, TopicPartition, letter};
    use crate::contract::Intake;
    use time::OffsetDateTime;
    use uuid::Uuid;

    fn at(partition: i32) -> TopicPartition {
        TopicPartition { topic: "t".into(), partition }
    }

    fn slice(partition: i32, first_offset: i64, next_offset: i64) -> Slice {
        Slice { at: at(partition), fence: Uuid::nil(), first_offset, next_offset }
    }

    fn taken(partition: i32, offset: i64) -> Taken {
        let timestamp = OffsetDateTime::UNIX_EPOCH;
        let (key, value, headers) = (None, None, Vec::new());
        let record = Record { at: at(partition), offset, timestamp, key, value, headers };
        let intake = Intake::Letter(letter::PANICKED);
        Taken { record, intake, waiting: None, reply: None, letter: None }
    }

    type Part = (Vec<(i32, i64)>, Vec<(i32, i64, i64)>);

    /// Divides to the end, as if everything failed.
    fn atoms(batch: Batch) -> Vec<Part> {
        if is_divisible(&batch) {
            let (first, second) = halves(batch);
            return [atoms(first), atoms(second)].concat();
        }
        let records = batch.records.iter().map(|t| (t.record.at.partition, t.record.offset));
        let slices = batch.slices.iter().map(|s| (s.at.partition, s.first_offset, s.next_offset));
        vec![(records.collect(), slices.collect())]
    }

    #[test]
    fn what_is_left_of_a_division_is_of_one_partition() {
        let records = vec![taken(0, 1), taken(2, 7), taken(0, 2)];
        let slices = vec![slice(0, 0, 4), slice(1, 5, 9), slice(2, 7, 8), slice(3, 0, 2)];
        let mut left = atoms(Batch { slices, records, ..Batch::default() });
        left.sort();
        let of = |partition, first, next| (vec![], vec![(partition, first, next)]);
        let with = |offset, (_, slices): Part| (vec![(slices[0].0, offset)], slices);
        let expected = [
            of(1, 5, 9),
            of(3, 0, 2),
            with(1, of(0, 0, 2)),
            with(2, of(0, 2, 4)),
            with(7, of(2, 7, 8)),
        ];
        assert_eq!(left, expected);
    }
}
