//! What a batch counts, against sums made another way.

use crate::domain::{BatchOutcome, BatchState, Digest, Tally};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

/// A number as its digits of 32 bits, the lowest first: the naive arithmetic.
fn naive(said: &[(String, BatchOutcome)]) -> [u8; 32] {
    let mut digits = [0_u64; 8];
    for (message_id, outcome) in said {
        let hash = Sha256::digest(format!("{message_id}\t{}", outcome.word()));
        for (digit, word) in digits.iter_mut().zip(hash.rchunks(4)) {
            *digit += u64::from(u32::from_be_bytes(word.try_into().unwrap()));
        }
    }
    let mut carry = 0;
    let mut sum = [0; 32];
    for (digit, bytes) in digits.iter().zip(sum.rchunks_mut(4)) {
        let whole = digit + carry;
        bytes.copy_from_slice(&(whole as u32).to_be_bytes());
        carry = whole >> 32;
    }
    sum
}

fn outcome() -> impl Strategy<Value = BatchOutcome> {
    prop::sample::select(BatchOutcome::ALL.to_vec())
}

proptest! {
    #[test]
    fn the_digest_is_the_sum_in_any_order(
        said in prop::collection::vec(("[a-z0-9:-]{1,20}", outcome()), 0..60),
        from in any::<prop::sample::Index>(),
    ) {
        let said: Vec<_> = said;
        let mut digest = Digest::default();
        let turn = if said.is_empty() { 0 } else { from.index(said.len()) };
        for (message_id, outcome) in said[turn..].iter().chain(&said[..turn]) {
            digest.add(message_id, *outcome);
        }
        prop_assert_eq!(digest.0, naive(&said));
        for (message_id, outcome) in &said {
            digest.remove(message_id, *outcome);
        }
        prop_assert_eq!(digest, Digest::default(), "what was added is taken away");
    }

    #[test]
    fn a_change_of_outcome_leaves_what_the_last_outcomes_alone_would(
        moves in prop::collection::vec((0_usize..12, outcome()), 1..80),
    ) {
        let mut now: [Option<BatchOutcome>; 12] = [None; 12];
        let mut tally = Tally::default();
        for (message, outcome) in moves {
            tally.change(&format!("m{message}"), now[message], outcome);
            now[message] = Some(outcome);
        }
        let said: Vec<_> = now
            .iter()
            .enumerate()
            .filter_map(|(message, outcome)| Some((format!("m{message}"), (*outcome)?)))
            .collect();
        prop_assert_eq!(tally.digest.0, naive(&said));
        prop_assert_eq!(tally.seen() as usize, said.len());
        for outcome in BatchOutcome::ALL {
            let count = said.iter().filter(|(_, of)| *of == outcome).count();
            prop_assert_eq!(tally.count(outcome) as usize, count);
        }
    }
}

#[test]
fn a_known_digest() {
    // printf 'm1\tapplied' | sha256sum
    let mut digest = Digest::default();
    digest.add("m1", BatchOutcome::Applied);
    let expected = "3c42f92a746a655ab31a38df8bcafb61633652222277af48cc10071a8cd0c2a8";
    assert_eq!(hex::encode(digest.0), expected);
    // All ones and one more is nothing: the carry runs through.
    let mut ones = Digest([0xff; 32]);
    ones.add("m1", BatchOutcome::Applied);
    ones.remove("m1", BatchOutcome::Applied);
    assert_eq!(ones.0, [0xff; 32]);
}

#[test]
fn what_is_stored_is_read_back() {
    for outcome in BatchOutcome::ALL {
        assert_eq!(BatchOutcome::of_byte(outcome.stored().as_bytes()[0]), Some(outcome));
    }
    assert_eq!(BatchOutcome::of_byte(b'L'), Some(BatchOutcome::Held));
    assert_eq!(BatchOutcome::of_byte(b'D'), None, "a duplicate counts nothing");
}

#[test]
fn the_state_follows_from_counts_total_and_closing() {
    let tally = |applied, held| Tally::stored([applied, 0, 0, 0, held], Digest::default());
    for (tally, total, closed, state) in [
        (tally(2, 0), None, false, BatchState::Open),
        (tally(2, 1), Some(4), false, BatchState::Open),
        (tally(3, 1), Some(4), false, BatchState::CompleteWithHeld),
        (tally(4, 0), Some(4), false, BatchState::Complete),
        (tally(5, 0), Some(4), false, BatchState::Complete),
        (tally(3, 0), Some(4), true, BatchState::Incomplete),
        (tally(2, 1), Some(4), true, BatchState::Incomplete),
        (tally(4, 0), Some(4), true, BatchState::Complete),
        (tally(1, 0), None, true, BatchState::Complete),
        (tally(1, 1), None, true, BatchState::CompleteWithHeld),
        (tally(0, 0), Some(0), false, BatchState::Complete),
    ] {
        assert_eq!(tally.state(total, closed), state, "{tally:?} {total:?} {closed}");
    }
}
