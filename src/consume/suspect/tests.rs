use super::apart::KEPT;
use super::*;
use crate::apply::Record;
use crate::consume::batch::tests::config;
use crate::consume::buffer::Entry;
use crate::consume::fences::Fences;
use time::OffsetDateTime;
use tokio::time::Instant;

fn at(partition: i32) -> TopicPartition {
    TopicPartition { topic: "t".into(), partition }
}

fn died(known: Option<&Crashes>, position: i64) -> Crashes {
    remembered(known, Some(position), true).unwrap()
}

/// As the database has it once records from the position on are worked on apart.
fn noted(known: &Crashes, records: i32, next_offset: i64) -> Crashes {
    let stage = Some(Doing::Apply.as_str().to_owned());
    let is_first = known.times == 1 && known.next_offset.is_none() && records == 1;
    let alone = if is_first { 1 } else { known.alone };
    Crashes { under_way: records, next_offset: Some(next_offset), stage, alone, ..known.clone() }
}

fn verdict(crashes: &Crashes) -> Verdict {
    Suspect::of(Some(crashes), (crashes.offset, 1_000), 100).unwrap().first
}

#[test]
fn who_gives_its_leases_back_is_not_counted_and_who_moves_on_is_trusted() {
    assert_eq!(remembered(None, Some(5), false), None);
    let once = died(None, 5);
    assert_eq!((once.times, once.alone), (1, 0));
    assert_eq!(remembered(Some(&once), Some(5), false), Some(once.clone()), "nothing has moved");
    let known = remembered(Some(&noted(&once, 1, 6)), Some(5), false).unwrap();
    assert_eq!(known.under_way, 0, "the note was not taken back");
    assert_eq!(remembered(Some(&once), Some(6), false), None);
    assert_eq!(died(Some(&died(Some(&once), 5)), 6).times, 1, "another position");
    assert_eq!(remembered(None, None, true).unwrap().offset, NOTHING_YET);
}

#[test]
fn however_often_it_happens_only_what_was_worked_on_alone_is_at_fault() {
    let mut bystander = died(None, 5);
    for _ in 0..20 {
        bystander = died(Some(&bystander), 5);
        assert_eq!(verdict(&bystander), Verdict::Try);
        bystander = noted(&bystander, 30, 35);
        assert_eq!(died(Some(&bystander), 5).alone, 0, "many were worked on");
        for alone in 1..=2 {
            bystander = died(Some(&noted(&bystander, 1, 6)), 5);
            assert_eq!(bystander.alone, alone);
            assert_eq!(
                verdict(&bystander),
                Verdict::Try,
                "the same position lost owners elsewhere"
            );
        }
        bystander.under_way = 0;
    }
    let among_others = Crashes { times: 0, ..bystander };
    let mut bystander = died(Some(&noted(&among_others, 30, 35)), 5);
    for _ in 0..2 {
        bystander = died(Some(&noted(&bystander, 1, 6)), 5);
        assert_eq!(verdict(&bystander), Verdict::Try, "the first one was noted, with others");
    }
    let mut culprit = died(None, 5);
    let mut verdicts = vec![verdict(&culprit)];
    for _ in 0..4 {
        culprit = died(Some(&noted(&culprit, 1, 6)), 5);
        verdicts.push(verdict(&culprit));
    }
    let letter = Verdict::Letter;
    let tried = Verdict::Try;
    assert_eq!(verdicts, [tried, tried, letter, letter, Verdict::Hopeless]);
    culprit.under_way = 0;
    assert_eq!(verdict(&died(Some(&culprit), 5)), Verdict::Hopeless, "it stays for an operator");
}

#[test]
fn who_has_nothing_to_apply_is_no_suspect() {
    let once = died(None, 5);
    assert_eq!(Suspect::of(Some(&once), (5, 5), 100), None);
    assert_eq!(Suspect::of(None, (5, 9), 100), None);
    let fresh = Crashes { times: 0, ..once };
    assert_eq!(Suspect::of(Some(&fresh), (5, 9), 100), None);
}

#[test]
fn a_suspect_is_cleared_once_nothing_was_found() {
    let once = died(None, 5);
    let mut whole = Suspect::of(Some(&once), (5, 1_000), 10).unwrap();
    assert!(!whole.is_cleared(6, (5, 11)));
    assert!(whole.is_cleared(4, (11, 15)), "as many as a batch");
    let mut short = Suspect::of(Some(&once), (5, 8), 10).unwrap();
    assert!(short.is_cleared(3, (5, 8)), "all that was there");
    let mut one_by_one = Suspect::of(Some(&noted(&once, 3, 8)), (5, 1_000), 10).unwrap();
    assert!(!one_by_one.is_cleared(1, (5, 6)));
    assert!(!one_by_one.is_cleared(1, (6, 7)));
    assert!(one_by_one.is_cleared(1, (7, 8)), "where it died before");
}

fn record(partition: i32, offset: i64) -> Entry {
    let timestamp = OffsetDateTime::UNIX_EPOCH;
    let (key, value, headers) = (None, None, Vec::new());
    let record = Record { at: at(partition), offset, timestamp, key, value, headers };
    Entry::Record { fence: Uuid::nil(), record }
}

fn begin(partition: i32, crashes: &Crashes) -> Entry {
    let suspect = Suspect::of(Some(crashes), (crashes.offset, 1_000), 100);
    let position = crashes.offset;
    Entry::Begin { at: at(partition), fence: Uuid::nil(), position, letters: 0, suspect }
}

fn apart() -> Apart {
    let config = config(0);
    Apart::new(Cutter::new(Arc::new(config), Arc::new(Fences::default())))
}

fn offsets(piece: &Piece) -> (i32, Vec<i64>, Option<i64>) {
    let offsets = piece.records.iter().map(|record| record.offset).collect();
    (piece.at.partition, offsets, piece.gap)
}

/// What is gone through next, as if it had been.
fn turn(apart: &mut Apart, entries: Vec<Entry>) -> Vec<(i32, Vec<i64>, Option<i64>)> {
    let pieces = apart.in_turn(entries);
    for piece in &pieces {
        apart.urgent.remove(&piece.at);
    }
    pieces.iter().map(offsets).collect()
}

#[test]
fn partitions_are_gone_through_apart_and_their_records_too_where_it_died_before() {
    let mut apart = apart();
    let entries = vec![
        begin(0, &died(None, 5)),
        begin(1, &noted(&died(None, 2), 2, 4)),
        record(0, 5),
        record(1, 2),
        record(0, 6),
        record(1, 3),
        record(1, 4),
        record(1, 5),
        Entry::Gap { at: at(0), fence: Uuid::nil(), end: 9 },
        record(0, 9),
    ];
    let pieces: Vec<_> = apart.in_turn(entries).iter().map(offsets).collect();
    let expected = [
        (0, vec![5, 6], Some(9)),
        (1, vec![2], None),
        (1, vec![3], None),
        (1, vec![4, 5], None),
        (0, vec![9], None),
    ];
    assert_eq!(pieces, expected);
}

#[test]
fn a_record_at_which_the_process_died_is_tried_before_everything_else() {
    let mut apart = apart();
    let culprit = died(Some(&noted(&died(None, 2), 1, 3)), 2);
    let entries = vec![begin(0, &died(None, 5)), begin(1, &culprit), record(0, 5)];
    assert!(apart.in_turn(entries).is_empty(), "it has not come yet");
    let first = turn(&mut apart, vec![record(0, 6), record(1, 2), record(1, 3)]);
    assert_eq!(first, [(1, vec![2], None), (1, vec![3], None)]);
    assert_eq!(turn(&mut apart, Vec::new()), [(0, vec![5], None), (0, vec![6], None)]);

    let entries = vec![begin(1, &culprit), record(0, 7)];
    assert!(turn(&mut apart, entries).is_empty());
    apart.urgent.insert(at(1), Instant::now());
    assert_eq!(turn(&mut apart, Vec::new()), [(0, vec![7], None)], "no longer than for a while");
}

#[test]
fn such_a_record_is_waited_for_while_the_lease_of_its_partition_is_being_taken() {
    let coming = |partition, crashes: &Crashes| {
        let Entry::Begin { at, fence, position, letters, suspect } = begin(partition, crashes)
        else {
            panic!("no begin")
        };
        let suspect = suspect.map(|suspect| Suspect { urgent: vec![self::at(1)], ..suspect });
        Entry::Begin { at, fence, position, letters, suspect }
    };
    let bystander = died(None, 5);
    let culprit = died(Some(&noted(&died(None, 2), 1, 3)), 2);
    let mut apart = apart();
    assert!(turn(&mut apart, vec![coming(0, &bystander), record(0, 5)]).is_empty());
    let first = turn(&mut apart, vec![begin(1, &culprit), record(1, 2)]);
    assert_eq!(first, [(1, vec![2], None)]);
    assert_eq!(turn(&mut apart, Vec::new()), [(0, vec![5], None)]);
    // What was known before it had come does not make anybody wait for it again.
    let late = turn(&mut apart, vec![coming(2, &bystander), record(2, 5)]);
    assert_eq!(late, [(2, vec![5], None)]);
    // One that comes and turns out to be somebody's who lives is not waited for.
    let mut apart = self::apart();
    assert!(turn(&mut apart, vec![coming(0, &bystander), record(0, 5)]).is_empty());
    assert_eq!(turn(&mut apart, vec![begin(1, &died(None, 2))]), [(0, vec![5], None)]);
}

#[test]
fn those_that_wait_are_bounded_by_records_and_by_bytes() {
    let culprit = died(Some(&noted(&died(None, 2), 1, 3)), 2);
    let large = |offset| {
        let Entry::Record { fence, record } = record(0, offset) else { panic!("no record") };
        let value = Some(bytes::Bytes::from(vec![0; KEPT.bytes / 2]));
        Entry::Record { fence, record: Record { value, ..record } }
    };
    let mut apart = apart();
    let entries = vec![begin(0, &died(None, 5)), begin(1, &culprit), large(5), large(6)];
    assert!(apart.in_turn(entries).is_empty(), "as much as may wait");
    assert_eq!(apart.in_turn(vec![large(7)]).len(), 2, "nothing waits any more");
    let mut apart = self::apart();
    let entries = [begin(0, &died(None, 5)), begin(1, &culprit)].into_iter();
    let many = (0..KEPT.records as i64).map(|n| record(0, 5 + n));
    assert!(apart.in_turn(entries.chain(many).collect()).is_empty());
    assert_eq!(apart.in_turn(vec![record(0, 20_000)]).len(), 2);
}
