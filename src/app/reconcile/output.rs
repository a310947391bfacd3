//! Output topics counted: the numbers on a partition follow each other, and end where the cursors and runs say (P4).

use super::broker::Broker;
use super::report::{Check, Finding};
use crate::app::kafka::Unreachable;
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Headers as _};

/// Records that are read whole; beyond it only the end of each partition is, unless asked for all.
pub(super) const WHOLE: i64 = 1_000_000;
/// How much of a partition's end is read then.
pub(super) const TAIL: i64 = 10_000;

/// A partition of an output topic, and what the database says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) stream: i16,
    /// The topic's full name.
    pub(super) topic: String,
    pub(super) partition: i32,
    /// Up to which number it is acknowledged.
    pub(super) acked: i64,
    /// Compaction takes numbers out of the middle.
    pub(super) is_compacted: bool,
    /// The header that holds the number.
    pub(super) header: &'static str,
}

impl Output {
    pub(super) fn new(stream: i16, prefix: &str, topic: &str, partition: i32, acked: i64) -> Self {
        Self {
            stream,
            topic: format!("{prefix}{topic}"),
            partition,
            acked,
            is_compacted: matches!(topic, "membership-state" | "batch-receipts"),
            header: if topic == "dead-letters" { "rollcall.dlq.sequence" } else { "ce_sequence" },
        }
    }

    fn finding(&self, what: String, sequence: Option<i64>, offset: Option<i64>) -> Finding {
        Finding {
            topic: Some(self.topic.clone()),
            partition: Some(self.partition),
            offset,
            stream: Some(self.stream),
            sequence,
            ..Finding::new(what)
        }
    }
}

/// The numbers of a partition in the order of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequence {
    /// The greatest number so far; none where reading begins in the middle.
    greatest: Option<i64>,
    is_compacted: bool,
}

impl Sequence {
    /// `from_beginning`: nothing was ever taken away before the first record.
    pub(super) fn new(from_beginning: bool, is_compacted: bool) -> Self {
        Self { greatest: from_beginning.then_some(0), is_compacted }
    }

    /// Takes the next number, or says which one is missing before it. A lower number is a repeat: after a failure
    /// everything from the first unacknowledged one is sent again (I5).
    pub(super) fn next(&mut self, number: i64) -> Option<i64> {
        let missing = match self.greatest {
            Some(greatest) if number > greatest + 1 && !self.is_compacted => Some(greatest + 1),
            _ => None,
        };
        self.greatest = self.greatest.max(Some(number));
        missing
    }
}

/// The number in the last header of this name.
fn number(message: &BorrowedMessage<'_>, header: &str) -> Option<i64> {
    let headers = message.headers()?;
    let value = headers.iter().filter(|entry| entry.key == header).last()?.value?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// What was read of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) output: Output,
    /// The greatest number; none if nothing is retained.
    greatest: Option<i64>,
    /// The next offset.
    high: i64,
}

/// Reads output partitions and counts their numbers. Blocks.
pub(super) fn count(
    broker: &Broker,
    outputs: Vec<Output>,
    full: bool,
    check: &mut Check,
    watch: impl Fn(u64),
) -> Result<Vec<Counted>, Unreachable> {
    let mut marked = Vec::with_capacity(outputs.len());
    for output in outputs {
        match broker.watermarks(&output.topic, output.partition)? {
            Some(marks) => marked.push((output, marks)),
            None if output.acked > 0 => {
                let what =
                    "a topic or partition with acknowledged records does not exist".to_owned();
                check.find(output.finding(what, Some(output.acked), None));
            }
            None => {}
        }
    }
    let records: i64 = marked.iter().map(|(_, (low, high))| high - low).sum();
    let whole = full || records <= WHOLE;
    if !whole {
        check.note = Some(format!(
            "the last {TAIL} offsets of each partition were read, of {records} in sum; --full reads all"
        ));
    }
    let mut counted = Vec::with_capacity(marked.len());
    for (output, (low, high)) in marked {
        let from = if whole { low } else { low.max(high - TAIL) };
        let mut sequence = Sequence::new(from == 0, output.is_compacted);
        if from < high {
            let before = check.checked;
            broker.read(&output.topic, output.partition, from, high, |message| {
                check.checked += 1;
                let offset = Some(message.offset());
                match number(message, output.header) {
                    None => check.find(output.finding(
                        "a record without a number".to_owned(),
                        None,
                        offset,
                    )),
                    Some(number) => {
                        if let Some(missing) = sequence.next(number) {
                            let what =
                                format!("numbers {missing} to {} are not on the topic", number - 1);
                            check.find(output.finding(what, Some(missing), offset));
                        }
                    }
                }
            })?;
            watch(check.checked - before);
        }
        counted.push(Counted { greatest: sequence.greatest.filter(|_| from < high), output, high });
    }
    Ok(counted)
}

/// Sets the end of a partition against its cursor and the stream's last number.
///
/// The cursor was read before the topic and `last` is read after it: a cursor follows the topic, and the topic follows
/// the commit, so this order finds no difference that is only somebody's work in between.
pub(super) fn judge(counted: &Counted, last: i64, check: &mut Check) {
    let Counted { output, greatest, high } = counted;
    match greatest {
        Some(greatest) if *greatest < output.acked => {
            let what =
                format!("acknowledged up to {}, the topic ends with {greatest}", output.acked);
            check.find(output.finding(what, Some(output.acked), None));
        }
        Some(greatest) if *greatest > last => {
            let what = format!("the topic is ahead of the database: {greatest} against {last}");
            check.find(output.finding(what, Some(*greatest), None));
        }
        None if *high == 0 && output.acked > 0 => {
            let what =
                format!("acknowledged up to {}, the topic never held a record", output.acked);
            check.find(output.finding(what, Some(output.acked), None));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(from_beginning: bool, is_compacted: bool, numbers: &[i64]) -> Vec<i64> {
        let mut sequence = Sequence::new(from_beginning, is_compacted);
        numbers.iter().filter_map(|number| sequence.next(*number)).collect()
    }

    #[test]
    fn first_occurrences_follow_each_other() {
        assert_eq!(missing(true, false, &[1, 2, 3, 2, 3, 4]), Vec::<i64>::new());
        assert_eq!(missing(true, false, &[2, 3]), [1]);
        assert_eq!(missing(false, false, &[7, 8, 10]), [9]);
        assert_eq!(missing(false, false, &[7, 5, 6, 7, 8]), Vec::<i64>::new());
        assert_eq!(missing(true, true, &[2, 7]), Vec::<i64>::new());
    }

    #[test]
    fn a_partition_ends_between_cursor_and_last_number() {
        let found = |greatest, high, acked, last| {
            let output = Output::new(3, "rollcall.", "results", 3, acked);
            let mut check = Check::new("output");
            judge(&Counted { output, greatest, high }, last, &mut check);
            check.findings.len()
        };
        assert_eq!(found(Some(5), 9, 5, 5), 0);
        assert_eq!(found(Some(6), 9, 5, 7), 0, "sent and not yet acknowledged");
        assert_eq!(found(Some(4), 9, 5, 7), 1);
        assert_eq!(found(Some(8), 9, 5, 7), 1);
        assert_eq!(found(None, 9, 5, 7), 0, "all of it is past its retention");
        assert_eq!(found(None, 0, 5, 7), 1);
        assert_eq!(found(None, 0, 0, 7), 0);
    }
}
