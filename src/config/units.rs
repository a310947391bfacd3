//! Durations (`250ms`, `60s`, `5m`, `12h`, `400d`) and sizes (`4MiB`, `1000000`) as text.

use std::time::Duration;

/// Units of a duration, largest first, in milliseconds.
const DURATIONS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of a size, largest first, in bytes.
const SIZES: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Reads a whole number followed by one unit.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text);
    let (_, millis) = DURATIONS.iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_millis(number?.checked_mul(*millis)?))
}

/// Writes the largest unit that needs no fraction; less than a millisecond is dropped.
pub(super) fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    // 24h rather than 1d would be as right; one form is chosen so that text compares.
    let (unit, size) = DURATIONS
        .iter()
        .find(|(_, size)| millis >= *size && millis.is_multiple_of(*size))
        .unwrap_or(&("ms", 1));
    format!("{}{unit}", millis / size)
}

/// Reads bytes, with `KiB`, `MiB`, `GiB` or no unit.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split(text);
    if unit.is_empty() {
        return number;
    }
    let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit)?;
    number?.checked_mul(*bytes)
}

/// Writes the largest unit that needs no fraction.
pub(super) fn show_size(bytes: u64) -> String {
    SIZES
        .iter()
        .find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size))
        .map_or_else(|| bytes.to_string(), |(unit, size)| format!("{}{unit}", bytes / size))
}

fn split(text: &str) -> (Option<u64>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number.parse().ok(), unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_go_both_ways() {
        for (text, millis) in [
            ("0ms", 0),
            ("250ms", 250),
            ("90s", 90_000),
            ("5m", 300_000),
            ("12h", 43_200_000),
            ("400d", 34_560_000_000),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(text), Some(duration), "{text}");
            assert_eq!(show_duration(duration), text);
        }
        for text in ["", "5", "s", "-1s", "1.5s", "1 s", "1w", "1s1s", "99999999999999999999d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_go_both_ways() {
        for (text, bytes) in [("0", 0), ("1000000", 1_000_000), ("4MiB", 4 << 20), ("3KiB", 3072)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
            assert_eq!(show_size(bytes), text);
        }
        for text in ["", "MiB", "4MB", "4 MiB", "-1", "20000000000GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
