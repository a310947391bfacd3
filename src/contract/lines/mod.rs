//! Files of requests: one JSON object a line, or a CSV of enrollments. Every error is found with its line.
//!
//! What a line leaves out is filled in: `source`, `batch`, `sent_at`, `actor`, and a `message_id` that is a function of
//! (source, `batch_id`, canonical content, n-th occurrence), so that the same file again is a run of duplicates.

mod counts;
mod csv;
mod identity;
mod ndjson;

pub use counts::{Counts, Uncounted};

use super::content;
use super::decode::Request;
use super::json::{self, Misfit};
use super::limits::{self, Dates};
use super::schemas::MessageType;
use super::wire::{BatchRef, Millis};
use crate::domain::{Fault, Reason};
use identity::Occurrences;
use serde::Serialize;
use serde_json::{Map, Value};
use std::io::{self, BufRead};
use time::OffsetDateTime;

/// The greatest Avro value that is sent, in bytes: a little below what brokers take by default.
pub const MAX_VALUE_BYTES: usize = 1_000_000;

/// The form of a file of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, with its `type`.
    Ndjson,
    /// Enrollments, one a row.
    Csv,
}

/// Whether a text may name a batch: `[A-Za-z0-9._~:-]{1,99}`.
pub fn is_batch_id(text: &str) -> bool {
    limits::is_token(text)
}

/// What is wrong with a line. Says nothing of its values (P9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineError {
    /// Counted from 1, the head of a CSV included.
    pub line: u64,
    /// JSON Pointer into the message; in the head of a CSV the column.
    pub pointer: String,
    /// A reason code, or `malformed-json`, `malformed-csv`, `too-large`.
    pub code: &'static str,
    /// In words.
    pub detail: String,
}

impl LineError {
    fn new(
        line: u64,
        pointer: impl Into<String>,
        code: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self { line, pointer: pointer.into(), code, detail: detail.into() }
    }

    fn fault(line: u64, fault: &Fault) -> Self {
        Self::new(line, fault.pointer.as_str(), fault.reason.code(), fault.reason.detail())
    }

    fn misfit(line: u64, misfit: Misfit) -> Self {
        Self::new(line, misfit.pointer, misfit.reason.code(), misfit.detail)
    }
}

/// What is filled in where a line leaves it out.
#[derive(Debug, Clone)]
pub struct Fill {
    /// `source`; none: every line must name its own.
    pub source: Option<String>,
    /// The batch of lines that name none.
    pub batch_id: String,
    /// `sent_at`.
    pub sent_at: OffsetDateTime,
    /// `actor`, which a `message_id` that is derived does not depend on; none: only lines say it.
    pub actor: Option<String>,
}

/// A right line.
#[derive(Debug)]
pub struct Line {
    /// Counted from 1.
    pub number: u64,
    /// The request, everything filled in; its batch has no `total_count` unless the line gave one.
    pub request: Request,
    /// Whether it belongs to the batch that was filled in.
    pub filled_batch: bool,
}

impl Line {
    /// Its source.
    pub fn source(&self) -> &str {
        identity::source(&self.request)
    }

    /// Its `message_id`.
    pub fn message_id(&self) -> &str {
        identity::message_id(&self.request)
    }

    /// Who acts.
    pub fn actor(&self) -> Option<&str> {
        content::actor(&self.request).map(String::as_str)
    }

    /// Says how many requests its batch has, unless the line says itself.
    pub fn set_total_count(&mut self, total: i32) {
        if let Some(batch) = identity::batch(&mut self.request)
            && self.filled_batch
        {
            batch.total_count.get_or_insert(total);
        }
    }
}

enum Rows<R> {
    Ndjson(ndjson::Rows<R>),
    Csv(Box<csv::Rows<R>>),
}

/// A row before it is a request: its line, and the message as JSON with its `type`.
type Row = (u64, Result<Map<String, Value>, Vec<LineError>>);

/// Reads a file of requests line by line, in memory that does not grow with the lines: where very many are without a
/// `message_id`, they are counted in a temporary file.
pub struct Reader<R> {
    rows: Rows<R>,
    fill: Fill,
    dates: Dates,
    occurrences: Occurrences,
}

impl<R> std::fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("fill", &self.fill).finish_non_exhaustive()
    }
}

impl<R: BufRead> Reader<R> {
    /// A reader of `input`.
    pub fn new(input: R, format: Format, fill: Fill, dates: Dates) -> Self {
        let rows = match format {
            Format::Ndjson => Rows::Ndjson(ndjson::Rows::new(input)),
            Format::Csv => Rows::Csv(Box::new(csv::Rows::new(input))),
        };
        Self { rows, fill, dates, occurrences: Occurrences::default() }
    }

    /// The next line that is not blank: a request, or everything that is wrong with it.
    ///
    /// # Errors
    /// When the file cannot be read on, or [`Uncounted`].
    pub fn read(&mut self) -> io::Result<Option<Result<Line, Vec<LineError>>>> {
        let row = match &mut self.rows {
            Rows::Ndjson(rows) => rows.read()?,
            Rows::Csv(rows) => rows.read()?,
        };
        let Some((number, row)) = row else { return Ok(None) };
        let line = match row.and_then(|fields| self.line(number, fields)) {
            Ok((mut line, derive)) => {
                if derive {
                    self.occurrences.name(&mut line.request)?;
                }
                if let Some(actor) = &self.fill.actor {
                    identity::fill_actor(&mut line.request, actor);
                }
                self.whole(line)
            }
            Err(wrong) => Err(wrong),
        };
        Ok(Some(line))
    }

    /// A line, and whether its `message_id` is still to be derived.
    fn line(
        &self,
        number: u64,
        mut fields: Map<String, Value>,
    ) -> Result<(Line, bool), Vec<LineError>> {
        let kind = fields.remove("type");
        let kind = kind.as_ref().and_then(Value::as_str).and_then(MessageType::parse);
        let Some(kind) = kind.filter(|kind| kind.is_request()) else {
            let detail =
                "it must be EnrollmentRequest, MembershipUpdateRequest or GroupMembershipRequest";
            return Err(vec![LineError::new(number, "/type", Reason::FieldInvalid.code(), detail)]);
        };
        let filled_batch = self.fill_in(&mut fields);
        let derive = !fields.contains_key("message_id");
        if derive {
            // Stands in until the content is known; the fingerprint leaves it out.
            fields.insert("message_id".to_owned(), "derived".into());
        }
        let value = Value::Object(fields);
        let misfit = |misfits: Vec<_>| -> Vec<_> {
            misfits.into_iter().map(|misfit| LineError::misfit(number, misfit)).collect()
        };
        let checked = json::checked_request(kind, value, |request| self.faults(request));
        let request = checked.map_err(misfit)?;
        Ok((Line { number, request, filled_batch }, derive))
    }

    /// A line in which nothing is missing, if it keeps the limits.
    fn whole(&self, line: Line) -> Result<Line, Vec<LineError>> {
        let (number, request) = (line.number, &line.request);
        let faults = self.faults(request);
        if !faults.is_empty() {
            return Err(faults.iter().map(|fault| LineError::fault(number, fault)).collect());
        }
        if request.encode().is_ok_and(|value| value.len() > MAX_VALUE_BYTES) {
            let detail =
                format!("it is larger than {MAX_VALUE_BYTES} bytes; send smaller requests");
            return Err(vec![LineError::new(number, "", "too-large", detail)]);
        }
        Ok(line)
    }

    /// Fills in what is left out; whether the batch was.
    fn fill_in(&self, fields: &mut Map<String, Value>) -> bool {
        if let Some(source) = &self.fill.source {
            fields.entry("source").or_insert_with(|| source.as_str().into());
        }
        if !fields.contains_key("sent_at")
            && let Ok(sent_at) = serde_json::to_value(Millis::from(self.fill.sent_at))
        {
            fields.insert("sent_at".to_owned(), sent_at);
        }
        let batch = BatchRef { batch_id: self.fill.batch_id.clone(), total_count: None };
        let absent = fields.get("batch").is_none_or(Value::is_null);
        if absent && let Ok(batch) = serde_json::to_value(batch) {
            fields.insert("batch".to_owned(), batch);
        }
        absent
    }

    /// The limits that the request breaks, and whom it leaves without a name.
    fn faults(&self, request: &Request) -> Vec<Fault> {
        let mut faults = limits::faults(request, self.fill.sent_at, &self.dates);
        faults.extend(identity::unnamed(request));
        faults
    }
}

#[cfg(test)]
mod tests;
