//! Caps on dead letters: after a bad deployment upstream a partition stops, rather than that its whole topic becomes
//! letters. What cannot be decoded is counted before it is applied; what fails while it is applied, together with the
//! former, when that happens.

use std::collections::VecDeque;

/// Why a partition is stopped by a cap.
pub const CAP: &str =
    "dead_letter_cap: more dead letters than dead_letter.max_consecutive or max_ratio accepts";

/// When a partition stops.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Caps {
    /// Letters in a row that are accepted; 0 means any number.
    pub max_consecutive: u64,
    /// Share of letters among the last `ratio_window` records that is accepted; 0 means any.
    pub max_ratio: f64,
    /// Records that `max_ratio` looks at; fewer than these are not judged.
    pub ratio_window: u64,
}

impl Caps {
    /// How many letters in a row are worth counting back to.
    pub const fn memory(&self) -> u64 {
        self.max_consecutive
    }
}

/// What has been seen of a partition.
#[derive(Debug, Default)]
pub struct Tally {
    consecutive: u64,
    window: VecDeque<bool>,
    letters: u64,
}

impl Tally {
    /// A tally that begins after so many letters in a row.
    pub fn after(consecutive: u64) -> Self {
        Self { consecutive, ..Self::default() }
    }

    /// Whether the next record is still accepted; if so, it is counted.
    pub fn accept(&mut self, caps: &Caps, letter: bool) -> bool {
        let accepted = !letter || self.accepts_letter(caps);
        if accepted {
            self.count(caps, letter);
        }
        accepted
    }

    /// Whether a letter would be accepted as the next record.
    #[expect(clippy::cast_precision_loss, reason = "windows are far below 2^53")]
    pub fn accepts_letter(&self, caps: &Caps) -> bool {
        if caps.max_consecutive > 0 && self.consecutive >= caps.max_consecutive {
            return false;
        }
        let judged = self.window.len() as u64 + 1 >= caps.ratio_window;
        let letters = self.letters + 1 - u64::from(self.leaving(caps) == Some(true));
        caps.max_ratio == 0.0
            || !judged
            || letters as f64 <= caps.max_ratio * caps.ratio_window as f64
    }

    /// Counts the next record.
    pub fn count(&mut self, caps: &Caps, letter: bool) {
        self.consecutive = if letter { self.consecutive + 1 } else { 0 };
        if caps.max_ratio == 0.0 {
            return;
        }
        if let Some(leaving) = self.leaving(caps) {
            self.window.pop_front();
            self.letters -= u64::from(leaving);
        }
        self.window.push_back(letter);
        self.letters += u64::from(letter);
    }

    /// What the next record pushes out of the window.
    fn leaving(&self, caps: &Caps) -> Option<bool> {
        let full = self.window.len() as u64 >= caps.ratio_window;
        self.window.front().copied().filter(|_| full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Caps = Caps { max_consecutive: 0, max_ratio: 0.0, ratio_window: 10 };

    fn accepted(tally: &mut Tally, caps: Caps, letters: impl IntoIterator<Item = bool>) -> usize {
        letters.into_iter().take_while(|letter| tally.accept(&caps, *letter)).count()
    }

    #[test]
    fn without_caps_everything_is_accepted() {
        assert_eq!(accepted(&mut Tally::default(), NONE, [true; 5_000]), 5_000);
    }

    #[test]
    fn letters_in_a_row_are_counted_across_restarts() {
        let caps = Caps { max_consecutive: 5, ..NONE };
        assert_eq!(accepted(&mut Tally::default(), caps, [true; 9]), 5);
        assert_eq!(accepted(&mut Tally::after(3), caps, [true; 9]), 2);
        assert_eq!(accepted(&mut Tally::after(5), caps, [true; 9]), 0);
        let mut tally = Tally::after(5);
        assert_eq!(accepted(&mut tally, caps, [false, true, true, true, true, true, true]), 6);
    }

    #[test]
    fn the_ratio_is_judged_over_a_full_window() {
        let caps = Caps { max_ratio: 0.3, ..NONE };
        assert_eq!(accepted(&mut Tally::default(), caps, [true; 20]), 9, "fewer are not judged");
        let mut tally = Tally::default();
        let mixed = (0..1_000).map(|n| n % 10 < 3);
        assert_eq!(accepted(&mut tally, caps, mixed), 1_000, "30 % is accepted");
        assert_eq!(accepted(&mut tally, caps, [true; 20]), 3, "those that leave make room");
        assert!(tally.accept(&caps, false), "what is no letter always passes");
    }
}
