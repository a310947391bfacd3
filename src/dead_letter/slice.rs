//! How many letters go through one transaction.

/// Letters that are looked at in one transaction, at most; of one key more, so that they meet each other.
pub(super) const AT_ONCE: usize = 500;
/// Letters of one key that are looked at in one transaction, at most.
pub(super) const OF_ONE_KEY: usize = 2_000;

/// What goes together at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    /// So many letters, but for others of the same key.
    pub(super) letters: usize,
    /// So many bytes: all of them are in memory at once.
    pub(super) bytes: i64,
}

/// How many of these letters go together: `most`, and none of a key without the others, within reason; one at least. Of
/// each the key and the size.
pub(super) fn slice_of<T>(
    letters: &[T],
    most: Most,
    weight: impl Fn(&T) -> (Option<&[u8]>, i64),
) -> usize {
    let mut bytes = 0_i64;
    let fits = letters.iter().take_while(|letter| {
        bytes = bytes.saturating_add(weight(letter).1);
        bytes <= most.bytes
    });
    let fit = fits.count().max(1);
    let Some(last) = most.letters.checked_sub(1).and_then(|last| letters.get(last)) else {
        return letters.len().min(fit);
    };
    let same = |letter: &&T| weight(letter).0.is_some() && weight(letter).0 == weight(last).0;
    let behind = letters.iter().skip(most.letters).take_while(same).count();
    (most.letters + behind).min(OF_ONE_KEY).min(fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(letters: &[(&str, i64)], most: usize, bytes: i64) -> usize {
        slice_of(letters, Most { letters: most, bytes }, |letter| {
            ((!letter.0.is_empty()).then_some(letter.0.as_bytes()), letter.1)
        })
    }

    #[test]
    fn a_slice_has_so_many_letters_and_all_of_the_last_key() {
        let letters =
            [("a", 1), ("a", 1), ("b", 1), ("b", 1), ("b", 1), ("c", 1), ("", 1), ("", 1)];
        let slices: Vec<_> = (1..9).map(|most| slice(&letters, most, 100)).collect();
        assert_eq!(slices, [2, 2, 5, 5, 5, 6, 7, 8]);
        assert_eq!(slice(&letters, 9, 100), 8);
        assert_eq!(slice(&vec![("a", 1); 3_000], 500, 10_000), OF_ONE_KEY);
    }

    #[test]
    fn a_slice_has_so_many_bytes_and_one_letter_at_least() {
        let letters = [("a", 40), ("a", 40), ("a", 40), ("b", 200), ("c", 1)];
        let slices: Vec<_> = [0, 40, 100, 120, 319, 320, 321].map(|b| slice(&letters, 9, b)).into();
        assert_eq!(slices, [1, 1, 2, 3, 3, 4, 5]);
        assert_eq!(slice(&letters, 1, 100), 2, "also of one key");
        assert_eq!(slice(&letters[3..], 9, 100), 1);
        assert_eq!(slice(&[], 9, 100), 0);
    }
}
