//! A CSV of enrollments.
//!
//! Columns: the texts, dates and flags of a `RegistrantInfo` by their names (`kind` is INDIVIDUAL unless given),
//! `ids.<type>`, `phone_no`, `registrant.source`; of the request `message_id`, `source`, `sent_at`, `attempt`, `actor`,
//! `atomic`; and `program`, `enrollment_date`, `state`. Several programs stand with `;` between them; then dates and
//! states are one for all, or as many. An empty cell is an absent field.

use super::{LineError, Row};
use crate::domain::Reason;
use csv::{ByteRecord, ErrorKind, Position, Reader, ReaderBuilder, Trim};
use serde_json::{Map, Value, json};
use std::io::{self, BufRead};

const REQUEST: [&str; 6] = ["message_id", "source", "sent_at", "attempt", "actor", "atomic"];
const REGISTRANT: [&str; 16] = [
    "reference",
    "kind",
    "name",
    "given_name",
    "family_name",
    "addl_name",
    "gender",
    "birthdate",
    "birth_place",
    "email",
    "address",
    "registration_date",
    "payment_address",
    "disabled",
    "group_kind",
    "is_partial_group",
];

/// What a column is.
enum Column {
    Request(&'static str),
    Registrant(&'static str),
    Identifier(String),
    Phone,
    Program,
    EnrollmentDate,
    State,
}

impl Column {
    fn parse(name: &str) -> Option<Self> {
        let known = |names: &[&'static str]| names.iter().find(|known| **known == name).copied();
        Some(match name {
            "registrant.source" => Self::Registrant("source"),
            "phone_no" => Self::Phone,
            "program" => Self::Program,
            "enrollment_date" => Self::EnrollmentDate,
            "state" => Self::State,
            _ => match (name.strip_prefix("ids."), known(&REQUEST), known(&REGISTRANT)) {
                (Some(id_type), ..) if !id_type.is_empty() => Self::Identifier(id_type.to_owned()),
                (_, Some(field), _) => Self::Request(field),
                (_, _, Some(field)) => Self::Registrant(field),
                _ => return None,
            },
        })
    }
}

pub(super) struct Rows<R> {
    reader: Reader<R>,
    columns: Option<Vec<Column>>,
    record: ByteRecord,
    failed: bool,
}

impl<R: BufRead> Rows<R> {
    pub(super) fn new(input: R) -> Self {
        let reader = ReaderBuilder::new().trim(Trim::All).from_reader(input);
        Self { reader, columns: None, record: ByteRecord::new(), failed: false }
    }

    /// The next row; with a wrong head that alone, and nothing after it.
    pub(super) fn read(&mut self) -> io::Result<Option<Row>> {
        if self.failed {
            return Ok(None);
        }
        if self.columns.is_none() {
            match self.head()? {
                Ok(columns) => self.columns = Some(columns),
                Err(errors) => {
                    self.failed = true;
                    return Ok(Some((1, Err(errors))));
                }
            }
        }
        let columns = self.columns.as_deref().unwrap_or_default();
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => Ok(None),
            Ok(true) => {
                let line = self.record.position().map_or(0, Position::line);
                Ok(Some((line, row(line, columns, &self.record))))
            }
            Err(error) => {
                let line = error.position().map_or(0, Position::line);
                let detail = match error.kind() {
                    ErrorKind::UnequalLengths { .. } => "it has not as many fields as the head",
                    ErrorKind::Io(_) => return Err(error.into()),
                    _ => "it is no CSV",
                };
                Ok(Some((line, Err(vec![LineError::new(line, "", "malformed-csv", detail)]))))
            }
        }
    }

    fn head(&mut self) -> io::Result<Result<Vec<Column>, Vec<LineError>>> {
        let head = self.reader.byte_headers()?.clone();
        let mut errors = Vec::new();
        let mut columns = Vec::with_capacity(head.len());
        for (index, name) in head.iter().enumerate() {
            let text = std::str::from_utf8(name).ok();
            let mut error = |reason: Reason, detail: &str| {
                // A head that is missing would show a person's values as columns (P9): only names are repeated.
                let plain = |text: &&str| {
                    text.len() <= 40
                        && text.bytes().all(|b| b.is_ascii_lowercase() || b"._".contains(&b))
                };
                let name = text
                    .filter(plain)
                    .map_or_else(|| format!("column {}", index + 1), str::to_owned);
                errors.push(LineError::new(1, name, reason.code(), detail));
            };
            match text.and_then(Column::parse) {
                Some(_) if head.iter().take(index).any(|earlier| earlier == name) => {
                    error(Reason::FieldInvalid, "this column stands twice");
                }
                Some(column) => columns.push(column),
                None => error(
                    Reason::FieldUnsupported,
                    "there is no such column; see `rollcall submit --help`",
                ),
            }
        }
        let named = |column: &Column| {
            matches!(column, Column::Registrant("reference") | Column::Identifier(_))
        };
        if errors.is_empty() && !columns.iter().any(named) {
            let detail = "neither a column `reference` nor one `ids.<type>` names the registrants";
            errors.push(LineError::new(1, "", Reason::RegistrantUnnamed.code(), detail));
        }
        Ok(if errors.is_empty() { Ok(columns) } else { Err(errors) })
    }
}

/// The message of a row.
fn row(
    line: u64,
    columns: &[Column],
    record: &ByteRecord,
) -> Result<Map<String, Value>, Vec<LineError>> {
    let mut message = Map::new();
    let mut registrant = Map::new();
    let (mut ids, mut phones) = (Vec::new(), Vec::new());
    let (mut programs, mut dates, mut states) = ("", "", "");
    registrant.insert("kind".to_owned(), "INDIVIDUAL".into());
    for (column, cell) in columns.iter().zip(record) {
        let Ok(cell) = std::str::from_utf8(cell) else {
            return Err(vec![LineError::new(line, "", "malformed-csv", "it is not UTF-8")]);
        };
        if cell.is_empty() {
            continue;
        }
        match column {
            Column::Request(field) => {
                message.insert((*field).to_owned(), scalar(field, cell));
            }
            Column::Registrant(field) => {
                registrant.insert((*field).to_owned(), scalar(field, cell));
            }
            Column::Identifier(id_type) => ids.push(json!({"id_type": id_type, "value": cell})),
            Column::Phone => phones.extend(cells(cell).map(|phone| json!({"phone_no": phone}))),
            Column::Program => programs = cell,
            Column::EnrollmentDate => dates = cell,
            Column::State => states = cell,
        }
    }
    if !ids.is_empty() {
        registrant.insert("ids".to_owned(), ids.into());
    }
    if !phones.is_empty() {
        registrant.insert("phone_numbers".to_owned(), phones.into());
    }
    message.insert("type".to_owned(), "EnrollmentRequest".into());
    message.insert("registrant".to_owned(), registrant.into());
    let memberships = memberships(line, programs, dates, states)?;
    message.insert("program_memberships".to_owned(), memberships.into());
    Ok(message)
}

/// The parts of a cell that `;` stands between; none of an empty cell.
fn cells(cell: &str) -> impl Iterator<Item = &str> {
    let parts = (!cell.is_empty()).then(|| cell.split(';').map(str::trim));
    parts.into_iter().flatten()
}

fn memberships(
    line: u64,
    programs: &str,
    dates: &str,
    states: &str,
) -> Result<Vec<Value>, Vec<LineError>> {
    let programs: Vec<_> = cells(programs).collect();
    let mut memberships: Vec<_> =
        programs.iter().map(|program| json!({"program": program})).collect();
    for (field, given) in [("enrollment_date", dates), ("state", states)] {
        let values: Vec<_> = cells(given).collect();
        if values.len() > 1 && values.len() != programs.len()
            || values.len() == 1 && programs.is_empty()
        {
            let detail = format!("`{field}` must be one for all programs, or as many as there are");
            let code = Reason::FieldInvalid.code();
            return Err(vec![LineError::new(line, "/program_memberships", code, detail)]);
        }
        for (index, membership) in memberships.iter_mut().enumerate() {
            let value = values.get(index).or_else(|| values.first().filter(|_| values.len() == 1));
            if let (Some(value), Some(membership)) =
                (value.filter(|value| !value.is_empty()), membership.as_object_mut())
            {
                membership.insert(field.to_owned(), (*value).into());
            }
        }
    }
    Ok(memberships)
}

/// A cell as the field's JSON; what does not fit stays text, and the schema refuses it.
fn scalar(field: &str, cell: &str) -> Value {
    match field {
        "disabled" | "is_partial_group" | "atomic" => match cell {
            "true" => true.into(),
            "false" => false.into(),
            _ => cell.into(),
        },
        "attempt" => cell.parse::<i32>().map_or_else(|_| cell.into(), Value::from),
        _ => cell.into(),
    }
}
