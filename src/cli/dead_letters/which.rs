//! Which letters a command means.

use crate::cli::exit::{Failure, Result};
use crate::config::Settings;
use crate::contract::{LetterClass, LetterStage};
use crate::dead_letter::Filter;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

/// Which letters are meant.
#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct Which {
    /// Only those of this class
    #[arg(long, value_parser = class)]
    class: Option<&'static str>,
    /// Only those that failed at this stage: frame, schema, decode or apply
    #[arg(long, value_parser = stage)]
    stage: Option<&'static str>,
    /// Only those with this code, as the list says it
    #[arg(long)]
    code: Option<String>,
    /// Only those of this source
    #[arg(long)]
    source: Option<String>,
    /// Only those from this topic, with or without the prefix
    #[arg(long)]
    topic: Option<String>,
    /// Only those from this partition of the topic
    #[arg(long, value_name = "N", requires = "topic")]
    partition: Option<i32>,
    /// Only the one with this offset of the partition
    #[arg(long, value_name = "N", requires = "partition")]
    offset: Option<i64>,
    /// Only those whose bytes name the schema with this fingerprint (16 hexadecimal digits)
    #[arg(long, value_name = "FINGERPRINT", value_parser = schema)]
    schema: Option<[u8; 8]>,
    /// Only those that failed first at this time or later: RFC 3339, or a date
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<OffsetDateTime>,
    /// Only those that failed first before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<OffsetDateTime>,
}

fn class(text: &str) -> std::result::Result<&'static str, String> {
    let words = LetterClass::ALL.map(LetterClass::as_str);
    known(&words, text)
}

fn stage(text: &str) -> std::result::Result<&'static str, String> {
    let words = LetterStage::ALL.map(LetterStage::as_str);
    known(&words, text)
}

fn known(words: &[&'static str], text: &str) -> std::result::Result<&'static str, String> {
    let word = words.iter().find(|word| **word == text).copied();
    word.ok_or_else(|| format!("one of {}", words.join(", ")))
}

fn schema(text: &str) -> std::result::Result<[u8; 8], String> {
    let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| "a fingerprint has 16 hexadecimal digits".to_owned())
}

fn moment(text: &str) -> std::result::Result<OffsetDateTime, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok();
    let day = || Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    time.or_else(|| Some(day()?.midnight().assume_utc()))
        .ok_or_else(|| "a time is written as 2026-01-31T12:00:00Z, or as a date".to_owned())
}

impl Which {
    /// The full name of the topic.
    pub(super) fn topic(&self, settings: &Settings) -> Option<String> {
        self.topic.as_ref().map(|topic| settings.topics.full(topic))
    }

    /// Whether nothing says which.
    pub(super) fn is_all(&self) -> bool {
        self.filter(self.topic.as_deref()) == Filter::default()
    }

    /// The same for the store, with the topic by its full name.
    pub(super) fn filter<'a>(&'a self, topic: Option<&'a str>) -> Filter<'a> {
        Filter {
            letter_id: None,
            state: None,
            class: self.class,
            stage: self.stage,
            code: self.code.as_deref(),
            source: self.source.as_deref(),
            topic,
            partition: self.partition,
            offset: self.offset,
            schema: self.schema.as_ref().map(<[u8; 8]>::as_slice),
            since: self.since,
            until: self.until,
        }
    }
}

/// `MICROSECONDS/ID`: where a page of letters begins.
pub(super) fn place(text: &str) -> Result<(OffsetDateTime, uuid::Uuid)> {
    let parts = || {
        let (micros, id) = text.split_once('/')?;
        let nanos = micros.parse::<i64>().ok().map(i128::from)? * 1_000;
        Some((OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?, id.parse().ok()?))
    };
    parts().ok_or_else(no_cursor)
}

/// The cursor of this place.
pub(super) fn cursor((time, id): (OffsetDateTime, uuid::Uuid)) -> String {
    format!("{}/{id}", time.unix_timestamp_nanos() / 1_000)
}

pub(super) fn no_cursor() -> Failure {
    Failure::usage("invalid-cursor", "--cursor is none of this list's")
}
