//! The ledger's bytes against what stands for them: inbox, earlier attempts, dead letters (P2).

use super::report::{Check, Finding};
use crate::store::reconcile::{LedgerRow, Said};
use time::OffsetDateTime;

/// What a slice of time alone cannot answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Open {
    /// Rows that no ledger row of the slice speaks of.
    pub(super) strays: Vec<Said>,
    /// Bytes of letters that did not first fail in the slice: they may have failed before.
    pub(super) letters: Vec<Place>,
}

/// A record and its byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) byte: u8,
}

/// Compares a slice of time.
///
/// All that one transaction writes has its one `recorded_at`, and a request evaluated anew takes its row's old time
/// along to `inbox_attempts`. So under one snapshot, a slice of time holds a transaction's bytes and rows whole, or
/// nothing of it, however many commit meanwhile.
///
/// Rows of the inbox older than `kept_since` may have been cleared away (P7).
pub(super) fn compare(
    ledger: &[LedgerRow],
    mut said: Vec<Said>,
    kept_since: OffsetDateTime,
    check: &mut Check,
) -> Open {
    let mut letters = Vec::new();
    said.sort_by(|a, b| place(a).cmp(&place(b)));
    let mut spoken_of = vec![false; said.len()];
    for row in ledger {
        check.checked += row.outcomes.len() as u64;
        let coordinates = |offset| (row.topic.as_str(), row.partition, offset);
        let mut next = said.partition_point(|said| place(said) < coordinates(row.first_offset));
        for (offset, byte) in (row.first_offset..).zip(&row.outcomes) {
            let from = next;
            while said.get(next).is_some_and(|said| place(said) == coordinates(offset)) {
                next += 1;
            }
            if let Some(places) = spoken_of.get_mut(from..next) {
                places.fill(true);
            }
            let found = said.get(from..next).unwrap_or_default();
            if judge(row, offset, *byte, found, kept_since, check) == Verdict::LetterAsked {
                let (topic, partition, byte) = (row.topic.clone(), row.partition, *byte);
                letters.push(Place { topic, partition, offset, byte });
            }
        }
    }
    let mut spoken_of = spoken_of.into_iter();
    said.retain(|_| !spoken_of.next().unwrap_or(false));
    Open { strays: said, letters }
}

/// Its coordinates.
pub(super) fn place(said: &Said) -> (&str, i32, i64) {
    (&said.topic, said.partition, said.offset)
}

/// Whether a record with this byte may come to something later, by a release or a replay.
pub(super) const fn may_come_later(byte: u8) -> bool {
    matches!(byte, b'K' | b'L' | b'S')
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Given,
    /// It takes a look at the letter with these coordinates.
    LetterAsked,
}

fn judge(
    row: &LedgerRow,
    offset: i64,
    byte: u8,
    said: &[Said],
    kept_since: OffsetDateTime,
    check: &mut Check,
) -> Verdict {
    let outcome = byte as char;
    let at = |what: String| Finding::at_offset(what, &row.topic, row.partition, offset);
    // What a letter came to later is another transaction's; what a parked record came to may be the same transaction's.
    let came_later = |said: &&Said| match byte {
        b'K' => said.recorded_at != row.recorded_at || said.outcome != "K",
        b'L' | b'S' => said.recorded_at != row.recorded_at && said.letter_id.is_none(),
        _ => false,
    };
    let mut standing = said.iter().filter(|said| !came_later(said));
    let (first, second) = (standing.next(), standing.next());
    if let Some(second) = second {
        check.find(with(
            at("a double: more than one row stands for this offset".to_owned()),
            second,
        ));
    }
    match (first, byte) {
        (None, b'L' | b'S') => return Verdict::LetterAsked,
        (None, b'A' | b'U' | b'P' | b'R' | b'K') if row.recorded_at >= kept_since => {
            check.find(at(format!("the ledger says {outcome}, the inbox has no row for it")));
        }
        (Some(said), b'A' | b'U' | b'P' | b'R' | b'K' | b'L' | b'S') => {
            if said.outcome.as_bytes() != [byte] {
                let what =
                    format!("the ledger says {outcome}, {} says {}", table_of(said), said.outcome);
                check.find(with(at(what), said));
            } else if said.letter_id.is_none() && said.recorded_at != row.recorded_at {
                check.find(with(at(another(said, byte)), said));
            }
        }
        (Some(said), b'D' | b'-' | b'!') => {
            let what =
                format!("the ledger says {outcome}, yet {} has a row for it", table_of(said));
            check.find(with(at(what), said));
        }
        // Nothing is to be there, or no longer; or the byte is none, which is found elsewhere.
        _ => {}
    }
    Verdict::Given
}

fn another(said: &Said, byte: u8) -> String {
    format!(
        "{} has a row of another transaction than the ledger's {}",
        table_of(said),
        byte as char
    )
}

/// A letter's byte against the outcome of the letter with its coordinates, if there is one.
pub(super) fn letter(place: &Place, outcome: Option<&str>) -> Option<Finding> {
    let byte = place.byte as char;
    let what = match outcome {
        Some(outcome) if outcome.as_bytes() == [place.byte] => return None,
        Some(outcome) => format!("the ledger says {byte}, dead_letters says {outcome}"),
        None => format!("the ledger says {byte}, dead_letters has no row for it"),
    };
    Some(Finding::at_offset(what, &place.topic, place.partition, place.offset))
}

/// A row for an offset that the ledger knows under another transaction, or does not know.
pub(super) fn stray(said: &Said, byte: Option<u8>) -> Option<Finding> {
    let what = match byte {
        Some(byte) if may_come_later(byte) => return None,
        Some(byte) => another(said, byte),
        None => format!("{} has a row for an offset that the ledger does not have", table_of(said)),
    };
    Some(with(Finding::at_offset(what, &said.topic, said.partition, said.offset), said))
}

fn table_of(said: &Said) -> &'static str {
    if said.letter_id.is_some() { "dead_letters" } else { "the inbox" }
}

fn with(finding: Finding, said: &Said) -> Finding {
    Finding {
        letter_id: said.letter_id,
        source: said.source.clone(),
        message_id: said.message_id.clone(),
        ..finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::Duration;
    use uuid::Uuid;

    type Rows = &'static [(i64, &'static str)];

    const NOW: OffsetDateTime = time::macros::datetime!(2026-01-31 12:00 UTC);

    fn ledger(first_offset: i64, outcomes: &str) -> LedgerRow {
        LedgerRow {
            topic: "t".to_owned(),
            partition: 0,
            first_offset,
            next_offset: first_offset + outcomes.len() as i64,
            outcomes: outcomes.as_bytes().to_vec(),
            recorded_at: NOW,
        }
    }

    fn said(offset: i64, outcome: &str) -> Said {
        Said {
            topic: "t".to_owned(),
            partition: 0,
            offset,
            outcome: outcome.to_owned(),
            recorded_at: NOW,
            letter_id: matches!(outcome, "L" | "S").then(Uuid::nil),
            source: None,
            message_id: None,
        }
    }

    fn found(ledger: &[LedgerRow], said: Vec<Said>) -> (Vec<i64>, usize) {
        let mut check = Check::new("outcomes");
        let open = compare(ledger, said, NOW - Duration::days(400), &mut check);
        let letters = open.letters.iter().filter_map(|place| letter(place, None));
        check.findings.extend(letters);
        (check.findings.iter().filter_map(|finding| finding.offset).collect(), open.strays.len())
    }

    #[test]
    fn each_byte_finds_what_it_stands_for() {
        let rows = [ledger(10, "RDLS-!K"), ledger(5, "AUP")];
        let said = [(5, "A"), (6, "U"), (7, "P"), (10, "R"), (12, "L"), (13, "S"), (16, "K")];
        let said =
            said.into_iter().rev().map(|(offset, outcome)| self::said(offset, outcome)).collect();
        assert_eq!(found(&rows, said), (vec![], 0));
    }

    #[test]
    fn what_does_not_match_is_found() {
        let moved = Said { recorded_at: NOW - Duration::HOUR, ..said(0, "A") };
        assert_eq!(found(&[ledger(0, "A")], vec![moved]).0, [0], "another transaction's");
        let cases: [(&str, Rows, &[i64]); 8] = [
            ("AA", &[(0, "A")], &[1]),
            ("L", &[], &[0]),
            ("A", &[(0, "R")], &[0]),
            ("A", &[(0, "L")], &[0]),
            ("L", &[(0, "A")], &[0]),
            ("D", &[(0, "A")], &[0]),
            ("-", &[(0, "L")], &[0]),
            ("A", &[(0, "A"), (0, "A")], &[0]),
        ];
        for (outcomes, rows, expected) in cases {
            let said = rows.iter().map(|(offset, outcome)| said(*offset, outcome)).collect();
            assert_eq!(found(&[ledger(0, outcomes)], said).0, expected, "{outcomes} {rows:?}");
        }
        assert_eq!(found(&[ledger(0, "A")], vec![said(0, "A"), said(1, "A")]), (vec![], 1));
        assert!(stray(&said(1, "A"), None).is_some());
        assert!(stray(&said(1, "A"), Some(b'A')).is_some());
    }

    #[test]
    fn what_waited_for_another_of_its_batch_came_to_something_at_once() {
        for came_to in ["A", "L"] {
            for said in [[said(0, "K"), said(0, came_to)], [said(0, came_to), said(0, "K")]] {
                assert_eq!(found(&[ledger(0, "K")], said.into()), (vec![], 0));
            }
            assert_eq!(found(&[ledger(0, "K")], vec![said(0, came_to)]), (vec![0], 0));
        }
        assert_eq!(found(&[ledger(0, "K")], vec![said(0, "K"), said(0, "K")]), (vec![0], 0));
    }

    #[test]
    fn what_came_later_or_was_cleared_away_is_no_lie() {
        let replayed = Said { recorded_at: NOW + Duration::hours(1), ..said(0, "A") };
        assert_eq!(found(&[ledger(0, "L")], vec![said(0, "L"), replayed.clone()]), (vec![], 0));
        assert_eq!(stray(&replayed, Some(b'L')), None);
        let mut check = Check::new("outcomes");
        let open = compare(&[ledger(0, "ARKL")], vec![], NOW + Duration::SECOND, &mut check);
        assert!(check.findings.is_empty());
        assert_eq!(open.letters.len(), 1, "only the letter is kept for ever");
        assert_eq!(letter(&open.letters[0], Some("L")), None, "it failed first in another slice");
        assert!(letter(&open.letters[0], None).is_some());
        let earlier = Said { recorded_at: NOW - Duration::HOUR, ..said(0, "L") };
        assert_eq!(found(&[ledger(0, "L")], vec![earlier]), (vec![], 0));
    }
}
