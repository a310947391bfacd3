use super::*;
use crate::apply::{Record, TopicPartition};
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
