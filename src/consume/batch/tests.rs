use super::*;
use crate::apply::{Caps, Record};
use crate::config::Properties;
use crate::consume::track::LONGEST_SLICE;
use crate::contract::{Intake, LetterClass, LetterStage, Unreadable};
use std::time::Duration;
use time::OffsetDateTime;

const OLD: Uuid = Uuid::from_u128(1);
const NEW: Uuid = Uuid::from_u128(2);

fn at(partition: i32) -> TopicPartition {
    TopicPartition { topic: "t".into(), partition }
}

fn begin(partition: i32, fence: Uuid, position: i64) -> Decoded {
    Decoded::Begin { at: at(partition), fence, position, letters: 0 }
}

fn letter(partition: i32, fence: Uuid, offset: i64) -> Decoded {
    let (at, timestamp) = (at(partition), OffsetDateTime::UNIX_EPOCH);
    let record = Record { at, offset, timestamp, key: None, value: None, headers: Vec::new() };
    let intake = Intake::Letter(Unreadable {
        class: LetterClass::EmptyPayload,
        stage: LetterStage::Frame,
        code: "empty",
        detail: "empty",
    });
    Decoded::Record {
        fence,
        taken: Box::new(Taken { record, intake, waiting: None, reply: None, letter: None }),
    }
}

/// Settings whose cap of letters in a row is this.
pub(in crate::consume) fn config(max_consecutive: u64) -> Config {
    Config {
        bootstrap_servers: String::new(),
        group_id: String::new(),
        properties: Properties::default(),
        topics: Vec::new(),
        owner: String::new(),
        build: String::new(),
        max_records: 100,
        max_items: 100,
        max_bytes: 100,
        linger: Duration::ZERO,
        buffer_records: 100,
        buffer_bytes: 100,
        fetch_queue: 100,
        caps: Caps { max_consecutive, max_ratio: 0.0, ratio_window: 10 },
        application_name: String::new(),
        takeover_after: Duration::ZERO,
        retry_max_delay: Duration::ZERO,
        drain: Duration::ZERO,
    }
}

fn cutter(max_consecutive: u64) -> (Cutter, Arc<Fences>) {
    let config = config(max_consecutive);
    let fences = Arc::new(Fences::default());
    (Cutter::new(Arc::new(config), Arc::clone(&fences)), fences)
}

fn spans(prepared: &Prepared) -> Vec<(i32, i64, i64)> {
    let span = |slice: &Slice| (slice.at.partition, slice.first_offset, slice.next_offset);
    let mut spans: Vec<_> = prepared.batch.slices.iter().map(span).collect();
    spans.sort_unstable();
    spans
}

fn offsets(prepared: &Prepared) -> Vec<(i32, i64)> {
    let record = |taken: &Taken| (taken.record.at.partition, taken.record.offset);
    prepared.batch.records.iter().map(record).collect()
}

#[test]
fn a_batch_holds_what_several_partitions_brought() {
    let (mut cutter, fences) = cutter(0);
    fences.set(&at(0), OLD);
    fences.set(&at(1), NEW);
    cutter.extend([begin(0, OLD, 5), begin(1, NEW, 0), letter(0, OLD, 5), letter(1, NEW, 0)]);
    cutter.extend([letter(0, OLD, 8)]);
    let prepared = cutter.cut();
    assert_eq!(spans(&prepared), [(0, 5, 9), (1, 0, 1)]);
    assert_eq!(offsets(&prepared), [(0, 5), (1, 0), (0, 8)]);
    assert!(cutter.is_empty());
}

#[test]
fn what_a_retired_fence_brought_is_no_part_of_a_batch() {
    let (mut cutter, fences) = cutter(0);
    fences.set(&at(0), OLD);
    cutter.extend([begin(0, OLD, 0), letter(0, OLD, 0)]);
    fences.retire(&at(0), OLD);
    let prepared = cutter.cut();
    assert_eq!((spans(&prepared), offsets(&prepared)), (vec![], vec![]));
}

#[test]
fn a_new_fence_replaces_what_the_old_one_brought_to_the_same_batch() {
    let (mut cutter, fences) = cutter(0);
    fences.set(&at(0), OLD);
    cutter.extend([begin(0, OLD, 0), letter(0, OLD, 0), letter(0, OLD, 1)]);
    // As if the fence changed while the batch was being cut.
    cutter.extend([begin(0, NEW, 0), letter(0, NEW, 0)]);
    fences.set(&at(0), OLD);
    let prepared = cutter.cut();
    assert_eq!((spans(&prepared), offsets(&prepared)), (vec![], vec![]));
}

#[test]
fn a_capped_partition_ends_before_the_letter_and_the_others_go_on() {
    let (mut cutter, fences) = cutter(2);
    fences.set(&at(0), OLD);
    fences.set(&at(1), OLD);
    cutter.extend([begin(0, OLD, 0), begin(1, OLD, 0)]);
    cutter.extend((0..5).map(|offset| letter(0, OLD, offset)));
    cutter.extend((0..2).map(|offset| letter(1, OLD, offset)));
    let prepared = cutter.cut();
    assert_eq!(spans(&prepared), [(0, 0, 2), (1, 0, 2)]);
    assert_eq!(offsets(&prepared), [(0, 0), (0, 1), (1, 0), (1, 1)]);
    let halts: Vec<_> = prepared.halts.iter().map(|halt| (&halt.at, halt.stop.offset)).collect();
    assert_eq!(halts, [(&at(0), Some(2))]);
    cutter.extend([letter(0, OLD, 5)]);
    let after = cutter.cut();
    assert!(after.batch.slices.is_empty() && after.halts.is_empty(), "said once");
}

#[test]
fn letters_before_a_restart_count() {
    let (mut cutter, fences) = cutter(2);
    fences.set(&at(0), OLD);
    cutter.extend([Decoded::Begin { at: at(0), fence: OLD, position: 7, letters: 2 }]);
    cutter.extend([letter(0, OLD, 7)]);
    let prepared = cutter.cut();
    assert!(prepared.batch.slices.is_empty());
    assert_eq!(prepared.halts[0].stop.offset, Some(7));
}

#[test]
fn a_long_gap_is_entered_in_several_batches() {
    let (mut cutter, fences) = cutter(0);
    fences.set(&at(0), OLD);
    fences.set(&at(1), OLD);
    let far = 2 * LONGEST_SLICE + 5;
    cutter.extend([begin(0, OLD, 0), begin(1, OLD, 0), letter(0, OLD, 0), letter(0, OLD, far)]);
    cutter.extend([letter(1, OLD, 0), Decoded::Gap { at: at(0), fence: OLD, end: 2 * far }]);
    let mut cuts = Vec::new();
    while !cutter.is_empty() {
        let prepared = cutter.cut();
        cuts.push((spans(&prepared), offsets(&prepared)));
    }
    let long = LONGEST_SLICE;
    let expected = [
        (vec![(0, 0, long)], vec![(0, 0)]),
        (vec![(0, long, 2 * long)], vec![]),
        (vec![(0, 2 * long, 3 * long), (1, 0, 1)], vec![(0, far), (1, 0)]),
        (vec![(0, 3 * long, 4 * long)], vec![]),
        (vec![(0, 4 * long, 2 * far)], vec![]),
    ];
    assert_eq!(cuts, expected);
    // One whose fence is retired meanwhile is given up.
    cutter.extend([Decoded::Gap { at: at(0), fence: OLD, end: 9 * far }]);
    assert_eq!(spans(&cutter.cut()), [(0, 2 * far, 2 * far + long)]);
    cutter.extend([begin(0, NEW, 0)]);
    fences.set(&at(0), NEW);
    assert_eq!(spans(&cutter.cut()), []);
    assert!(cutter.is_empty());
}
