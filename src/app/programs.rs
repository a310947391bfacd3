//! Files of programs: CSV or JSON to definitions, every error with its line.

use crate::domain::{Program, ProgramId, ProgramState, RegistrantKind};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::HashSet;

const FIELDS: [&str; 4] = ["code", "name", "target_type", "state"];

/// The form of a file of programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `code,name,target_type,state`.
    Csv,
    /// An array of objects, or one object a line.
    Json,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineError {
    /// Counted from 1; in a JSON array the element, counted from 1.
    pub line: u64,
    /// The field, if it is one.
    pub field: Option<String>,
    /// What is wrong.
    pub detail: String,
}

impl LineError {
    fn new(line: u64, field: &str, detail: impl Into<String>) -> Self {
        let field = (!field.is_empty()).then(|| field.to_owned());
        Self { line, field, detail: detail.into() }
    }
}

type Fields = Map<String, Value>;

/// Reads a file of programs. Without a format: JSON if it begins with `[` or `{`.
///
/// # Errors
/// Everything that is wrong, by line.
pub fn parse(bytes: &[u8], format: Option<Format>) -> Result<Vec<Program>, Vec<LineError>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let guessed = if matches!(first, Some(b'[' | b'{')) { Format::Json } else { Format::Csv };
    let mut errors = Vec::new();
    let rows = match (format.unwrap_or(guessed), first) {
        (Format::Csv, _) => csv_rows(bytes, &mut errors),
        (Format::Json, Some(b'[')) => array(bytes, &mut errors),
        (Format::Json, _) => lines(bytes, &mut errors),
    };
    let mut codes = HashSet::new();
    let mut programs = Vec::with_capacity(rows.len());
    for (line, fields) in &rows {
        if let Some(program) = program(*line, fields, &mut errors) {
            if !codes.insert(program.code.clone()) {
                errors.push(LineError::new(
                    *line,
                    "code",
                    "this code stands in an earlier line too",
                ));
            }
            programs.push(program);
        }
    }
    if rows.is_empty() && errors.is_empty() {
        errors.push(LineError::new(1, "", "the file has no programs"));
    }
    errors.sort_by_key(|error| error.line);
    if errors.is_empty() { Ok(programs) } else { Err(errors) }
}

fn csv_rows(bytes: &[u8], errors: &mut Vec<LineError>) -> Vec<(u64, Fields)> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let Ok(head) = reader.headers().cloned() else {
        errors.push(LineError::new(1, "", "the first line is no head of a CSV file in UTF-8"));
        return Vec::new();
    };
    for (index, name) in head.iter().enumerate() {
        if !FIELDS.contains(&name) {
            let detail = "an unknown column; known are code, name, target_type and state";
            errors.push(LineError::new(1, name, detail));
        } else if head.iter().take(index).any(|earlier| earlier == name) {
            errors.push(LineError::new(1, name, "this column stands twice"));
        }
    }
    for name in ["code", "name", "target_type"] {
        if !head.iter().any(|column| column == name) {
            errors.push(LineError::new(1, name, "this column is missing"));
        }
    }
    if !errors.is_empty() {
        return Vec::new();
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                let fields = head
                    .iter()
                    .zip(&record)
                    .filter(|(_, value)| !value.is_empty())
                    .map(|(name, value)| (name.to_owned(), Value::from(value)))
                    .collect();
                rows.push((line, fields));
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                let detail = match error.kind() {
                    csv::ErrorKind::UnequalLengths { .. } => {
                        "it has not as many fields as the head"
                    }
                    csv::ErrorKind::Utf8 { .. } => "it is not UTF-8",
                    _ => "it is no CSV",
                };
                errors.push(LineError::new(line, "", detail));
            }
        }
    }
    rows
}

fn array(bytes: &[u8], errors: &mut Vec<LineError>) -> Vec<(u64, Fields)> {
    match serde_json::from_slice::<Vec<Value>>(bytes) {
        Ok(values) => {
            (1..).zip(values).filter_map(|(line, value)| object(line, value, errors)).collect()
        }
        Err(error) => {
            errors.push(LineError::new(error.line() as u64, "", "it is no JSON array of objects"));
            Vec::new()
        }
    }
}

fn lines(bytes: &[u8], errors: &mut Vec<LineError>) -> Vec<(u64, Fields)> {
    // One object over several lines is a file too.
    if let Ok(value @ Value::Object(_)) = serde_json::from_slice::<Value>(bytes) {
        return object(1, value, errors).into_iter().collect();
    }
    let mut rows = Vec::new();
    for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        if text.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(text) {
            Ok(value) => rows.extend(object(line, value, errors)),
            Err(_) => errors.push(LineError::new(line, "", "it is no JSON object")),
        }
    }
    rows
}

fn object(line: u64, value: Value, errors: &mut Vec<LineError>) -> Option<(u64, Fields)> {
    if let Value::Object(fields) = value {
        return Some((line, fields));
    }
    errors.push(LineError::new(line, "", "it is no JSON object"));
    None
}

fn program(line: u64, fields: &Fields, errors: &mut Vec<LineError>) -> Option<Program> {
    let before = errors.len();
    for name in fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        let detail = "an unknown field; known are code, name, target_type and state";
        errors.push(LineError::new(line, name, detail));
    }
    let code = text(line, "code", fields, errors);
    let name = text(line, "name", fields, errors);
    let target_type =
        fields.get("target_type").and_then(Value::as_str).and_then(RegistrantKind::parse);
    if target_type.is_none() {
        errors.push(LineError::new(line, "target_type", "it must be INDIVIDUAL or GROUP"));
    }
    let state = match fields.get("state") {
        None | Some(Value::Null) => Some(ProgramState::Active),
        Some(state) => state.as_str().and_then(ProgramState::parse),
    };
    if state.is_none() {
        errors.push(LineError::new(line, "state", "it must be ACTIVE or ENDED"));
    }
    if errors.len() > before {
        return None;
    }
    let code = code?.to_owned();
    let program_id = ProgramId::of(&code);
    Some(Program {
        program_id,
        code,
        name: name?.to_owned(),
        target_type: target_type?,
        state: state?,
    })
}

fn text<'a>(
    line: u64,
    field: &str,
    fields: &'a Fields,
    errors: &mut Vec<LineError>,
) -> Option<&'a str> {
    let text = fields.get(field).and_then(Value::as_str).unwrap_or_default();
    let fits = Program::is_text(text);
    if !fits {
        errors.push(LineError::new(line, field, "it must be a text of 1 to 1,000 characters"));
    }
    fits.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_and_json_say_the_same() {
        let csv =
            "code,name,target_type,state\nA,\"Cash, for all\",INDIVIDUAL,\nB,Food,GROUP,ENDED\n";
        let json = r#"[{"code":"A","name":"Cash, for all","target_type":"INDIVIDUAL"},
                       {"code":"B","name":"Food","target_type":"GROUP","state":"ENDED"}]"#;
        let lines = "{\"code\":\"A\",\"name\":\"Cash, for all\",\"target_type\":\"INDIVIDUAL\"}\n\n\
                     {\"code\":\"B\",\"name\":\"Food\",\"target_type\":\"GROUP\",\"state\":\"ENDED\"}\n";
        let programs = parse(csv.as_bytes(), None).unwrap();
        assert_eq!(programs.len(), 2);
        assert_eq!(programs[0].state, ProgramState::Active);
        assert_eq!(programs[0].name, "Cash, for all");
        assert_eq!(parse(json.as_bytes(), None).unwrap(), programs);
        assert_eq!(parse(lines.as_bytes(), None).unwrap(), programs);
    }

    #[test]
    fn every_error_has_its_line() {
        let csv = "code,name,target_type,state\nA,Cash,PERSON,\nB,,GROUP,GONE\nA,x,GROUP\nC,x,GROUP,\nC,y,GROUP,\n";
        let errors = parse(csv.as_bytes(), None).unwrap_err();
        let at: Vec<_> =
            errors.iter().map(|e| (e.line, e.field.as_deref().unwrap_or(""))).collect();
        assert_eq!(at, [(2, "target_type"), (3, "name"), (3, "state"), (4, ""), (6, "code")]);
    }

    #[test]
    fn unknown_columns_and_fields_are_refused() {
        let errors = parse(b"code,name,target_type,colour\nA,a,GROUP,red\n", None).unwrap_err();
        assert_eq!(errors[0].field.as_deref(), Some("colour"));
        let errors =
            parse(br#"{"code":"A","name":"a","target_type":"GROUP","x":1}"#, None).unwrap_err();
        assert_eq!(errors[0].field.as_deref(), Some("x"));
        assert!(parse(b"", None).is_err());
        assert!(parse(b"[]", None).is_err());
    }
}
