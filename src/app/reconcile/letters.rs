//! Letters as they stand, and what became of letters and of records that waited (P2).

use super::Unchecked;
use super::report::{Check, Finding};
use super::walk::{PAGE, Walk};
use crate::store::reconcile::{self as read, LetterRow, Unanswered};
use uuid::Uuid;

impl Walk<'_> {
    /// Each page is one statement, so one snapshot. Letters never go.
    pub(super) async fn letters(&self) -> Result<Check, Unchecked> {
        const NAME: &str = "letters";
        let mut check = Check::new(NAME);
        let mut connection = self.pool.acquire().await?;
        let mut after = Uuid::nil();
        loop {
            let page = read::letters_after(&mut connection, after, PAGE as i64).await?;
            let Some(last) = page.last() else { break };
            after = last.letter_id;
            for letter in &page {
                check.checked += 1;
                if let Some(what) = contradiction(letter) {
                    check.find(Finding {
                        letter_id: Some(letter.letter_id),
                        ..Finding::at_offset(what, &letter.topic, letter.partition, letter.offset)
                    });
                }
            }
            (self.watch)(NAME, 0);
        }
        Ok(check)
    }
}

/// What is wrong with how a letter stands.
fn contradiction(letter: &LetterRow) -> Option<&'static str> {
    match (letter.state.as_str(), letter.outcome.as_deref(), letter.has_end) {
        ("OPEN", None, false) => None,
        ("OPEN", ..) => Some("an open letter has an outcome, or an end"),
        (_, _, false) => Some("a closed letter does not say when it was closed"),
        ("RESOLVED", Some("K"), _) if letter.waits || letter.topic == "http" => None,
        ("RESOLVED", Some("K"), _) => {
            Some("the letter's record is said to wait, parked_records has none that does")
        }
        (_, Some("A" | "U" | "P" | "R" | "D"), _) => None,
        _ => Some("a closed letter without an outcome"),
    }
}

/// An outcome for which no answer stands.
pub(super) fn unanswered(came: &Unanswered) -> Finding {
    let table = if came.parked_id.is_some() { "parked_records" } else { "dead_letters" };
    let what = format!("{table} says {}, the inbox has no row of that for it", came.outcome);
    Finding {
        letter_id: came.letter_id,
        parked_id: came.parked_id,
        ..Finding::at_offset(what, &came.topic, came.partition, came.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_letters_have_no_outcome_and_closed_ones_have_one() {
        let is_right = |state: &str, outcome: Option<&str>, has_end, waits| {
            let letter = LetterRow {
                letter_id: Uuid::nil(),
                topic: "t".to_owned(),
                partition: 0,
                offset: 0,
                state: state.to_owned(),
                outcome: outcome.map(str::to_owned),
                has_end,
                waits,
            };
            contradiction(&letter).is_none()
        };
        assert!(is_right("OPEN", None, false, false));
        assert!(!is_right("OPEN", Some("A"), false, false));
        assert!(!is_right("OPEN", None, true, false));
        assert!(is_right("RESOLVED", Some("D"), true, false));
        assert!(is_right("DISCARDED", Some("R"), true, false));
        assert!(!is_right("RESOLVED", Some("A"), false, false));
        assert!(!is_right("DISCARDED", None, true, false));
        assert!(!is_right("RESOLVED", Some("L"), true, false));
        assert!(is_right("RESOLVED", Some("K"), true, true));
        assert!(!is_right("RESOLVED", Some("K"), true, false));
        assert!(!is_right("DISCARDED", Some("K"), true, true));
    }
}
