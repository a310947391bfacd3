//! The limits of single fields.

use crate::contract::wire::Day;
use crate::domain::{Fault, Reason};
use std::fmt::Arguments;
use time::Date;

/// The longest text, in characters, where the contract names no other limit.
const MAX_TEXT: usize = 1_000;
/// The longest reference, identifier, kind of a member or code of a reason, in characters.
const MAX_NAME: usize = 255;
/// The longest source, in characters.
const MAX_SOURCE: usize = 64;
/// The longest `message_id` or `batch_id`, in characters.
const MAX_TOKEN: usize = 99;

/// The most items of a request, memberships and members together: as many as a batch takes by default, and so few that
/// a result that lists them all fits into a record.
pub(super) const MAX_ITEMS: usize = 10_000;
/// The longest list of facts of a registrant or member.
const MAX_FACTS: usize = 100;

/// Collects the faults of one request.
#[derive(Debug, Default)]
pub(super) struct Checker(Vec<Fault>);

impl Checker {
    pub(super) fn fault(&mut self, at: Arguments<'_>, reason: Reason) {
        self.0.push(Fault::at(at.to_string(), reason));
    }

    pub(super) fn is_clean(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn faults(self) -> Vec<Fault> {
        self.0
    }

    /// Items of a request. A list that is too long is refused unread: its faults alone would not fit a result.
    pub(super) fn items<T>(&mut self, list: Vec<T>, at: Arguments<'_>) -> Vec<T> {
        self.list(list, MAX_ITEMS, at)
    }

    /// Identifiers, phone numbers, fields to clear, kinds of a member.
    pub(super) fn facts<T>(&mut self, list: Vec<T>, at: Arguments<'_>) -> Vec<T> {
        self.list(list, MAX_FACTS, at)
    }

    fn list<T>(&mut self, list: Vec<T>, max: usize, at: Arguments<'_>) -> Vec<T> {
        if list.len() <= max {
            return list;
        }
        self.fault(at, Reason::FieldInvalid);
        Vec::new()
    }

    pub(super) fn source(&mut self, value: &str, at: Arguments<'_>) {
        if !is_source(value) {
            self.fault(at, Reason::FieldInvalid);
        }
    }

    /// A `message_id` or `batch_id`.
    pub(super) fn token(&mut self, value: &str, at: Arguments<'_>) {
        if !is_token(value) {
            self.fault(at, Reason::FieldInvalid);
        }
    }

    /// A reference, an identifier or its type, a kind of a member, the code of a reason.
    pub(super) fn name(&mut self, value: &str, at: Arguments<'_>) {
        self.bounded(value, 1, MAX_NAME, at);
    }

    /// Text that must not be empty.
    pub(super) fn required(&mut self, value: &str, at: Arguments<'_>) {
        self.bounded(value, 1, MAX_TEXT, at);
    }

    /// Text that may be absent or empty.
    pub(super) fn optional(&mut self, value: Option<&str>, at: Arguments<'_>) {
        if let Some(value) = value {
            self.bounded(value, 0, MAX_TEXT, at);
        }
    }

    fn bounded(&mut self, value: &str, min: usize, max: usize, at: Arguments<'_>) {
        if !fits(value, min, max) {
            self.fault(at, Reason::FieldInvalid);
        }
    }

    pub(super) fn date(&mut self, value: Option<Day>, at: Arguments<'_>) -> Option<Date> {
        // Postgres' calendar ends before ours does, and nobody was born before the year 1.
        let date = value?.date().filter(|date| date.year() >= 1);
        if date.is_none() {
            self.fault(at, Reason::FieldInvalid);
        }
        date
    }
}

fn fits(value: &str, min: usize, max: usize) -> bool {
    // Bytes are never fewer than characters, so the count is seldom needed.
    let too_long = value.len() > max && value.chars().count() > max;
    value.len() >= min && !too_long && !value.contains('\0')
}

/// Text that may be empty, such as an actor.
pub fn is_text(value: &str) -> bool {
    fits(value, 0, MAX_TEXT)
}

/// What [`is_source`] asks for, in words.
pub const SOURCE_FORM: &str = "1 to 64 letters, digits, dots, underscores, tildes or dashes";

/// `[A-Za-z0-9._~-]{1,64}`
pub fn is_source(value: &str) -> bool {
    (1..=MAX_SOURCE).contains(&value.len()) && value.bytes().all(is_unreserved)
}

/// `[A-Za-z0-9._~:-]{1,99}`
pub fn is_token(value: &str) -> bool {
    (1..=MAX_TOKEN).contains(&value.len())
        && value.bytes().all(|byte| is_unreserved(byte) || byte == b':')
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-')
}
