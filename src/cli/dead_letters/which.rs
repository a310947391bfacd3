//! Which letters a command means.

use crate::cli::exit::{Failure, Result};
use crate::config::Settings;
use crate::dead_letter::{Filter, Place, words};
use time::OffsetDateTime;

/// Which letters are meant.
#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct Which {
    /// Only those of this class
    #[arg(long, value_parser = words::class)]
    class: Option<&'static str>,
    /// Only those that failed at this stage: frame, schema, decode or apply
    #[arg(long, value_parser = words::stage)]
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
    #[arg(long, value_name = "FINGERPRINT", value_parser = words::schema)]
    schema: Option<[u8; 8]>,
    /// Only those that failed first at this time or later: RFC 3339, or a date
    #[arg(long, value_name = "TIME", value_parser = words::moment)]
    since: Option<OffsetDateTime>,
    /// Only those that failed first before this time
    #[arg(long, value_name = "TIME", value_parser = words::moment)]
    until: Option<OffsetDateTime>,
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

/// Where a page begins.
pub(super) fn place(text: &str) -> Result<Place> {
    words::place(text).ok_or_else(no_cursor)
}

pub(super) fn no_cursor() -> Failure {
    Failure::usage("invalid-cursor", "--cursor is none of this list's")
}
