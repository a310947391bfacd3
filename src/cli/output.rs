//! What commands say: a text for people, or one JSON object on stdout.

use super::exit::{Failure, Result};
use serde::Serialize;
use std::fmt::{self, Write as _};
use std::io::Write as _;

/// Where and how a command answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    /// One JSON object on stdout and nothing else.
    pub(super) json: bool,
}

impl Output {
    /// Answers: the object with `--json`, else the text.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub(super) fn answer(
        self,
        object: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<()> {
        self.say(object, text).map(|_reader| ())
    }

    /// The same, for a command that answers again and again: whether anybody reads it still.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub(super) fn say(
        self,
        object: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<Reader> {
        if !self.json {
            return Self::write(format!("{}\n", text().trim_end_matches('\n')).as_bytes());
        }
        let mut object = serde_json::to_vec(object)
            .map_err(|error| Failure::no("output", format!("the answer is no JSON: {error}")))?;
        object.push(b'\n');
        Self::write(&object)
    }

    /// Writes text on stdout, whatever the form; ends it with a line's end.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub(super) fn text(text: &str) -> Result<()> {
        let text = text.trim_end_matches('\n');
        Self::bytes(format!("{text}\n").as_bytes())
    }

    /// Writes bytes on stdout.
    ///
    /// # Errors
    /// When stdout cannot be written, except that a reader who has seen enough is none.
    pub(super) fn bytes(bytes: &[u8]) -> Result<()> {
        Self::write(bytes).map(|_reader| ())
    }

    fn write(bytes: &[u8]) -> Result<Reader> {
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(Reader::Reads),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
            Err(error) => Err(error.into()),
        }
    }

    /// Says something beside the answer, on stderr.
    pub(super) fn note(text: &str) {
        // Nobody is left to tell when stderr is gone.
        drop(writeln!(std::io::stderr().lock(), "{text}"));
    }
}

/// Whoever reads stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// Reads on.
    Reads,
    /// Has seen enough, and closed it.
    Gone,
}

/// A list as `--json` gives it.
#[derive(Debug, Serialize)]
pub(super) struct List<T> {
    /// What is listed.
    pub(super) items: Vec<T>,
    /// Where the next page begins; null on the last.
    pub(super) next_cursor: Option<String>,
}

impl<T> List<T> {
    /// A list that is whole.
    pub(super) const fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }
}

/// Rows under a head, columns aligned; numbers stand right.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(super) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|name| name.to_uppercase()).collect()] }
    }

    /// Adds a row, one cell a column.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The lines; a sentence instead when there are no rows.
    pub(super) fn text(&self, empty: &str) -> String {
        let [_, body @ ..] = self.rows.as_slice() else {
            return String::new();
        };
        if body.is_empty() {
            return empty.to_owned();
        }
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let is_number =
            |cell: &String| !cell.is_empty() && cell.bytes().all(|b| b.is_ascii_digit());
        let shape: Vec<_> = (0..columns)
            .map(|column| {
                let cells = || self.rows.iter().filter_map(move |row| row.get(column));
                let width = cells().map(|cell| cell.chars().count()).max().unwrap_or(0);
                let right = body
                    .iter()
                    .filter_map(|row| row.get(column))
                    .all(|cell| cell == "-" || is_number(cell));
                (width, right)
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, (width, right)) in row.iter().zip(&shape) {
                let pad = " ".repeat(width - cell.chars().count());
                let (before, after) = if *right { (pad.as_str(), "") } else { ("", pad.as_str()) };
                line.extend([before, cell, after, "  "]);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Adds to a text.
pub(super) fn push(text: &mut String, words: fmt::Arguments<'_>) {
    // Writing to a String never fails.
    let written = text.write_fmt(words);
    debug_assert!(written.is_ok(), "a text can always grow");
}

/// The value, or a dash.
pub(super) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_stand_right() {
        let mut table = Table::new(&["code", "lag"]);
        table.row(vec!["A".to_owned(), "1200".to_owned()]);
        table.row(vec!["LONG-CODE".to_owned(), "7".to_owned()]);
        assert_eq!(table.text(""), "CODE        LAG\nA          1200\nLONG-CODE     7\n");
        assert_eq!(Table::new(&["code"]).text("No programs."), "No programs.");
    }
}
