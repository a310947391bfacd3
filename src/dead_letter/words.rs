//! Words by which commands and HTTP say which letters are meant, and where a page of them begins.

use super::Place;
use crate::contract::{LetterClass, LetterStage};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

/// A class of letters; else which there are.
///
/// # Errors
/// It is none.
pub fn class(text: &str) -> Result<&'static str, String> {
    known(&LetterClass::ALL.map(LetterClass::as_str), text)
}

/// A stage at which letters fail; else which there are.
///
/// # Errors
/// It is none.
pub fn stage(text: &str) -> Result<&'static str, String> {
    known(&LetterStage::ALL.map(LetterStage::as_str), text)
}

fn known(words: &[&'static str], text: &str) -> Result<&'static str, String> {
    let word = words.iter().find(|word| **word == text).copied();
    word.ok_or_else(|| format!("one of {}", words.join(", ")))
}

/// The fingerprint of a schema.
///
/// # Errors
/// It is none.
pub fn schema(text: &str) -> Result<[u8; 8], String> {
    let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| "a fingerprint has 16 hexadecimal digits".to_owned())
}

/// A time, or the beginning of a day (UTC).
///
/// # Errors
/// It is neither.
pub fn moment(text: &str) -> Result<OffsetDateTime, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok();
    let day = || Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    time.or_else(|| Some(day()?.midnight().assume_utc()))
        .ok_or_else(|| "a time is written as 2026-01-31T12:00:00Z, or as a date".to_owned())
}

/// Why something is done: what the audit keeps says something.
///
/// # Errors
/// It is none, or longer than 1,000 characters.
pub fn reason(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.chars().count() > MOST_OF_REASON {
        return Err("why: a text of 1 to 1,000 characters, which the audit keeps".to_owned());
    }
    Ok(text.to_owned())
}

/// The longest reason, in characters.
const MOST_OF_REASON: usize = 1_000;

/// How many letters a second.
///
/// # Errors
/// It is no number that can be meant.
pub fn rate(rate: f64) -> Result<f64, String> {
    if (0.001..=1e6).contains(&rate) {
        Ok(rate)
    } else {
        Err("letters a second, such as 100 or 0.5".to_owned())
    }
}

/// `MICROSECONDS/ID`: where a page of letters or runs begins.
pub fn place(text: &str) -> Option<Place> {
    let (micros, id) = text.split_once('/')?;
    let nanos = micros.parse::<i64>().ok().map(i128::from)? * 1_000;
    Some((OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?, id.parse().ok()?))
}

/// The text of a place.
pub fn place_text((time, id): Place) -> String {
    format!("{}/{id}", time.unix_timestamp_nanos() / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_none_are_answered_with_those_there_are() {
        assert_eq!(class("failed"), Ok("failed"));
        assert!(class("bad").is_err_and(|words| words.contains("unknown_schema")));
        assert!(stage("bad").is_err_and(|words| words.contains("apply")));
        assert!(schema("07").is_err() && schema("0707070707070707").is_ok());
        assert_eq!(moment("2026-01-31"), moment("2026-01-31T00:00:00Z"));
        assert!(moment("yesterday").is_err());
        assert!(reason("").is_err() && reason(" \t").is_err() && reason("x").is_ok());
        assert!(reason(&"x".repeat(1_000)).is_ok() && reason(&"x".repeat(1_001)).is_err());
        assert!(rate(0.0).is_err() && rate(f64::NAN).is_err() && rate(0.5).is_ok());
    }

    #[test]
    fn a_place_comes_back_from_its_text() {
        let there = (moment("2026-01-31T12:00:00.000007Z").unwrap(), uuid::Uuid::from_u128(7));
        assert_eq!(place(&place_text(there)), Some(there));
        assert_eq!((place(""), place("x/y")), (None, None));
    }
}
