//! One JSON object a line.

use super::{LineError, Row};
use serde_json::{Map, Value};
use std::io::{self, BufRead, Read as _};

/// The longest line, in bytes; longer ones could not be sent anyway.
const MAX_LINE: u64 = 8 << 20;

pub(super) struct Rows<R> {
    input: R,
    number: u64,
    line: Vec<u8>,
}

impl<R: BufRead> Rows<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, number: 0, line: Vec::new() }
    }

    /// The next line that is not blank.
    pub(super) fn read(&mut self) -> io::Result<Option<Row>> {
        loop {
            self.line.clear();
            if self.input.by_ref().take(MAX_LINE).read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.line.len() as u64 == MAX_LINE && !self.line.ends_with(b"\n") {
                self.input.skip_until(b'\n')?;
                let error =
                    LineError::new(self.number, "", "too-large", "the line is longer than 8 MiB");
                return Ok(Some((self.number, Err(vec![error]))));
            }
            let mut text = self.line.as_slice();
            if self.number == 1 {
                text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            let row = serde_json::from_slice::<Map<String, Value>>(text).map_err(|error| {
                // Not serde's words: they may hold values (P9).
                let detail = format!("it is no JSON object; column {}", error.column());
                vec![LineError::new(self.number, "", "malformed-json", detail)]
            });
            return Ok(Some((self.number, row)));
        }
    }
}
