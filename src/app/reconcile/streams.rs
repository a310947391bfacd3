//! Runs against each other and against the outbox, and cursors against runs (P4).

use super::report::{Check, Finding};
use crate::store::reconcile::{CursorRow, OutboxRange, Run};
use std::collections::{BTreeMap, BTreeSet};
use time::OffsetDateTime;

/// Batches whose rows are counted together.
pub(super) const BUCKET: i64 = 1_000;

/// What the runs of a stream come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    /// The number after the last.
    pub(super) next: i64,
    /// How many numbers were given.
    pub(super) given: i64,
    /// How many of these before the cut.
    pub(super) given_before_cut: i64,
}

/// The walk over all runs by (stream, first number).
///
/// Pages need no common snapshot: runs are appended under the lock of their stream, so every snapshot holds a prefix.
#[derive(Debug)]
pub(super) struct RunWalk {
    cut: OffsetDateTime,
    /// The first batch of which the outbox still has a table partition.
    oldest: i64,
    pub(super) numbers: BTreeMap<i16, Numbers>,
    /// How many rows the runs number, by bucket of batches and stream.
    pub(super) rows: BTreeMap<(i64, i16), i64>,
}

impl RunWalk {
    pub(super) fn new(cut: OffsetDateTime, ranges: &[OutboxRange]) -> Self {
        let oldest = ranges.iter().map(|range| range.low).min().unwrap_or(i64::MAX);
        Self { cut, oldest, numbers: BTreeMap::new(), rows: BTreeMap::new() }
    }

    /// Looks at the next run. `ranges` are the table partitions that were there after its rows were counted: a run
    /// whose rows may be gone is not held against the outbox.
    pub(super) fn run(&mut self, run: &Run, ranges: &[OutboxRange], check: &mut Check) {
        let numbers =
            self.numbers.entry(run.stream).or_insert(Numbers { next: 1, ..Numbers::default() });
        let at = |what: String, sequence| Finding::at_number(what, run.stream, sequence);
        check.checked += 1;
        if run.first_seq > numbers.next {
            let count = run.first_seq - numbers.next;
            check
                .find(at(format!("a missing run: {count} numbers were never given"), numbers.next));
        }
        if run.first_seq < numbers.next {
            check.find(at("a double: numbers were given twice".to_owned(), run.first_seq));
        }
        if run.count <= 0 {
            check.find(at("a run without numbers".to_owned(), run.first_seq));
        }
        let count = i64::from(run.count);
        numbers.next = numbers.next.max(run.first_seq + count);
        numbers.given += count;
        if run.recorded_at < self.cut {
            numbers.given_before_cut += count;
        }
        if run.batch >= self.oldest {
            *self.rows.entry((run.batch.div_euclid(BUCKET), run.stream)).or_default() += count;
        }
        let is_kept = ranges.iter().any(|range| (range.low..range.high).contains(&run.batch));
        if is_kept && run.rows != count {
            let what = format!("a run of {count} numbers has {} rows in the outbox", run.rows);
            check.find(at(what, run.first_seq));
        } else if is_kept && (run.first_pos, run.last_pos) != (Some(0), Some(run.count - 1)) {
            check.find(at(
                "the rows of a run are not in the places 0, 1, 2 …".to_owned(),
                run.first_seq,
            ));
        }
    }
}

/// The topics, without prefix, that a kind of stream feeds.
pub(super) fn topics_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "results" => &["results"],
        "membership" => &["membership-events", "membership-state"],
        "batch-receipts" => &["batch-receipts"],
        "dead-letters" => &["dead-letters"],
        _ => &[],
    }
}

/// Looks at all cursors: each stream has one a topic, and none is before its beginning or behind its end.
pub(super) fn cursors(rows: &[CursorRow], check: &mut Check) {
    let mut streams: BTreeMap<i16, (&str, BTreeSet<&str>)> = BTreeMap::new();
    for row in rows {
        let known = row
            .kind
            .as_deref()
            .map(|kind| streams.entry(row.stream).or_insert((kind, BTreeSet::new())));
        let Some(topic) = row.topic.as_deref() else {
            continue;
        };
        let acked = row.acked.unwrap_or(0);
        let at = |what: String| Finding {
            topic: Some(topic.to_owned()),
            ..Finding::at_number(what, row.stream, acked)
        };
        check.checked += 1;
        match known {
            Some((kind, topics)) if topics_of(kind).contains(&topic) => {
                topics.insert(topic);
            }
            Some(_) => {
                check.find(at("a cursor of a topic that the stream does not feed".to_owned()));
            }
            None => check.find(at("a cursor of a stream that does not exist".to_owned())),
        }
        if acked < 0 {
            check.find(at("a cursor before the beginning".to_owned()));
        }
        if acked > row.last {
            let what = format!("a cursor beyond the last number given, {}", row.last);
            check.find(at(what));
        }
    }
    for (stream, (kind, topics)) in streams {
        for topic in topics_of(kind).iter().filter(|topic| !topics.contains(*topic)) {
            let what = format!("a stream has no cursor of the topic {topic}");
            check.find(Finding { stream: Some(stream), ..Finding::new(what) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[OutboxRange] = &[OutboxRange { low: 100, high: 200 }];

    fn run(first_seq: i64, count: i32, batch: i64) -> Run {
        Run {
            stream: 1003,
            first_seq,
            count,
            batch,
            recorded_at: OffsetDateTime::UNIX_EPOCH,
            rows: i64::from(count),
            first_pos: Some(0),
            last_pos: Some(count - 1),
        }
    }

    fn walk(runs: &[Run]) -> Vec<i64> {
        let (mut walk, mut check) =
            (RunWalk::new(OffsetDateTime::UNIX_EPOCH, ALL), Check::new("runs"));
        for run in runs {
            walk.run(run, ALL, &mut check);
        }
        check.findings.iter().filter_map(|finding| finding.sequence).collect()
    }

    #[test]
    fn runs_adjoin_from_one() {
        assert_eq!(walk(&[run(1, 2, 100), run(3, 1, 101), run(4, 5, 199)]), Vec::<i64>::new());
        assert_eq!(walk(&[run(2, 2, 100)]), [1]);
        assert_eq!(walk(&[run(1, 2, 100), run(5, 1, 101)]), [3]);
        assert_eq!(walk(&[run(1, 2, 100), run(2, 2, 101)]), [2]);
    }

    #[test]
    fn rows_of_a_run_are_counted_while_they_are_kept() {
        let short = Run { rows: 1, ..run(1, 2, 100) };
        assert_eq!(walk(std::slice::from_ref(&short)), [1]);
        assert_eq!(walk(&[Run { last_pos: Some(7), ..run(1, 2, 100) }]), [1]);
        assert!(walk(&[Run { batch: 99, rows: 0, ..short }]).is_empty());
    }

    fn cursor(topic: Option<&str>, acked: i64, last: i64) -> CursorRow {
        CursorRow {
            stream: 3,
            kind: Some("results".to_owned()),
            shard: Some(3),
            topic: topic.map(str::to_owned),
            acked: Some(acked),
            last,
        }
    }

    #[test]
    fn cursors_stay_within_their_stream() {
        let found = |row: CursorRow| {
            let mut check = Check::new("cursors");
            cursors(&[row], &mut check);
            check.findings.len()
        };
        assert_eq!(found(cursor(Some("results"), 0, 0)), 0);
        assert_eq!(found(cursor(Some("results"), 7, 7)), 0);
        assert_eq!(found(cursor(Some("results"), 8, 7)), 1);
        assert_eq!(found(cursor(Some("results"), -1, 7)), 1);
        assert_eq!(found(cursor(Some("dead-letters"), 1, 7)), 2, "and the right one is missing");
        assert_eq!(found(cursor(None, 0, 7)), 1);
        assert_eq!(found(CursorRow { kind: None, ..cursor(Some("results"), 0, 0) }), 1);
    }
}
