//! Which letters are meant: in the query of a list, in the body of an order.

use crate::contract::{Reason, SOURCE_FORM, is_source};
use crate::dead_letter::{Filter, words};
use crate::http::extract::{FromQuery, Parameters};
use crate::http::problem::{Flaw, Problem};
use crate::http::reads::listing::{Listing, Part};
use std::borrow::Cow;
use time::OffsetDateTime;
use uuid::Uuid;

/// Letters that are meant; what is none is not asked for.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Meant {
    pub(super) letter_id: Option<Uuid>,
    class: Option<&'static str>,
    stage: Option<&'static str>,
    code: Option<String>,
    source: Option<String>,
    topic: Option<String>,
    partition: Option<i32>,
    offset: Option<i64>,
    schema: Option<[u8; 8]>,
    since: Option<OffsetDateTime>,
    until: Option<OffsetDateTime>,
}

/// The same as it was said.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) letter_id: Option<Uuid>,
    pub(super) class: Option<String>,
    pub(super) stage: Option<String>,
    pub(super) code: Option<String>,
    pub(super) source: Option<String>,
    pub(super) topic: Option<String>,
    pub(super) partition: Option<i32>,
    pub(super) offset: Option<i64>,
    pub(super) schema: Option<String>,
    pub(super) since: Option<String>,
    pub(super) until: Option<String>,
}

/// A field, and what is allowed there.
type Fault = (&'static str, String);

impl Said {
    /// What is meant by it; the topic by its full name, as `full` gives it.
    fn meant(self, full: impl Fn(&str) -> String) -> Result<Meant, Vec<Fault>> {
        let mut faults = Vec::new();
        if self.letter_id.is_some() && self.is_chosen() {
            faults.push(("letter_id", "nothing, where something else says which".to_owned()));
        }
        if self.partition.is_some() && self.topic.is_none() {
            faults.push(("partition", "it needs a topic".to_owned()));
        }
        if self.offset.is_some() && self.partition.is_none() {
            faults.push(("offset", "it needs a partition".to_owned()));
        }
        if self.source.as_deref().is_some_and(|source| !is_source(source)) {
            faults.push(("source", SOURCE_FORM.to_owned()));
        }
        let meant = Meant {
            letter_id: self.letter_id,
            class: read("class", self.class, words::class, &mut faults),
            stage: read("stage", self.stage, words::stage, &mut faults),
            code: self.code,
            source: self.source,
            topic: self.topic.as_deref().map(full),
            partition: self.partition,
            offset: self.offset,
            schema: read("schema", self.schema, words::schema, &mut faults),
            since: read("since", self.since, words::moment, &mut faults),
            until: read("until", self.until, words::moment, &mut faults),
        };
        if faults.is_empty() { Ok(meant) } else { Err(faults) }
    }

    /// Whether anything but an id says which letters are meant.
    fn is_chosen(&self) -> bool {
        let texts = [
            &self.class,
            &self.stage,
            &self.code,
            &self.source,
            &self.topic,
            &self.schema,
            &self.since,
            &self.until,
        ];
        let numbered = self.partition.is_some() || self.offset.is_some();
        numbered || texts.iter().any(|text| text.is_some())
    }

    /// What the body of an order means.
    ///
    /// # Errors
    /// Each field that says nothing that can be meant.
    pub(super) fn of_body(self, full: impl Fn(&str) -> String) -> Result<Meant, Problem> {
        self.meant(full).map_err(|faults| {
            let flaw = |(field, allowed): Fault| {
                Flaw::of(format!("/{field}"), Reason::FieldInvalid, Cow::from(allowed))
            };
            Problem::misfit(faults.into_iter().map(flaw).collect())
        })
    }

    /// What the query of a list means.
    ///
    /// # Errors
    /// The first parameter that says nothing that can be meant.
    pub(super) fn of_query(self, full: impl Fn(&str) -> String) -> Result<Meant, Problem> {
        self.meant(full).map_err(|faults| match faults.into_iter().next() {
            Some((name, allowed)) => Problem::parameter(name, allowed),
            None => Problem::misfit(Vec::new()),
        })
    }
}

fn read<T>(
    field: &'static str,
    text: Option<String>,
    parse: impl Fn(&str) -> Result<T, String>,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    match text.map(|text| parse(&text)) {
        None => None,
        Some(Ok(value)) => Some(value),
        Some(Err(allowed)) => {
            faults.push((field, allowed));
            None
        }
    }
}

impl Meant {
    /// Whether nothing says which.
    pub(super) fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// The same for the store.
    pub(super) fn filter(&self) -> Filter<'_> {
        Filter {
            letter_id: self.letter_id,
            state: None,
            class: self.class,
            stage: self.stage,
            code: self.code.as_deref(),
            source: self.source.as_deref(),
            topic: self.topic.as_deref(),
            partition: self.partition,
            offset: self.offset,
            schema: self.schema.as_ref().map(<[u8; 8]>::as_slice),
            since: self.since,
            until: self.until,
        }
    }
}

/// Which letters are listed.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read by name; the fields are its description")]
pub(super) struct Choice {
    /// Only those of this class: `undecodable`, `unknown_schema`, `empty_payload`, `too_large`, `failed` or `skipped`.
    #[param(
        example = "unknown_schema",
        pattern = "^(undecodable|unknown_schema|empty_payload|too_large|failed|skipped)$"
    )]
    class: Option<String>,
    /// Only those that failed at this stage: `frame`, `schema`, `decode` or `apply`.
    #[param(pattern = "^(frame|schema|decode|apply)$")]
    stage: Option<String>,
    /// Only those with this code, as the list says it.
    code: Option<String>,
    /// Only those of this source.
    source: Option<String>,
    /// Only those from this topic, with or without the prefix.
    topic: Option<String>,
    /// Only those from this partition of the topic.
    partition: Option<i32>,
    /// Only the one with this offset of the partition.
    offset: Option<i64>,
    /// Only those whose bytes name the schema with this fingerprint: 16 hexadecimal digits.
    #[param(pattern = "^[0-9a-f]{16}$")]
    schema: Option<String>,
    /// Only those that failed first at this time or later: RFC 3339, or a date.
    #[param(example = "2026-01-31")]
    since: Option<String>,
    /// Only those that failed first before this time.
    until: Option<String>,
}

/// A list of letters: which, the parameters that say so, and which part of it.
#[derive(Debug)]
pub(super) struct Asked {
    said: Said,
    /// OPEN, RESOLVED, DISCARDED or ALL, if it is said.
    pub(super) state: Option<String>,
    chosen: Vec<(&'static str, String)>,
    part: Part,
}

impl FromQuery for Asked {
    const NAMES: &'static [&'static str] = &[
        "class",
        "stage",
        "code",
        "source",
        "topic",
        "partition",
        "offset",
        "schema",
        "since",
        "until",
        "state",
        "limit",
        "cursor",
    ];

    fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let text = |name| parameters.one::<String>(name, "a text");
        let said = Said {
            letter_id: None,
            class: text("class")?,
            stage: text("stage")?,
            code: text("code")?,
            source: text("source")?,
            topic: text("topic")?,
            partition: parameters.one("partition", "a whole number")?,
            offset: parameters.one("offset", "a whole number")?,
            schema: text("schema")?,
            since: text("since")?,
            until: text("until")?,
        };
        let chosen = (Self::NAMES.iter().copied())
            .filter(|name| !Part::NAMES.contains(name))
            .filter_map(|name| Some((name, parameters.all(name).next()?.to_owned())));
        let chosen = chosen.collect();
        Ok(Self { said, state: text("state")?, chosen, part: Part::read(parameters)? })
    }
}

impl Asked {
    /// What is meant, and the list at `path` that it chooses.
    pub(super) fn of(
        self,
        path: &str,
        full: impl Fn(&str) -> String,
    ) -> Result<(Meant, Listing), Problem> {
        let chosen = self.chosen.iter().map(|(name, value)| (*name, value.as_str()));
        let listing = Listing::new(path.to_owned(), chosen, self.part);
        Ok((self.said.of_query(full)?, listing))
    }
}
