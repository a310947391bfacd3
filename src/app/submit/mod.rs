//! A file of requests on its way to Kafka: looked through once to count and to find what is wrong, sent the second time.

mod input;
mod send;
mod upload;

pub use upload::uploader;

use self::input::Input;
use self::send::{Patience, Sender};
use super::kafka::Unreachable;
use crate::config::Settings;
use crate::contract::lines::{Counts, Fill, Format, LineError, Reader};
use crate::contract::{Dates, MessageType};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use time::OffsetDateTime;

/// Errors that a summary lists when lines are sent, as many as over HTTP; the rest are counted.
const MAX_ERRORS: usize = 1_000;
/// Errors that `--check` lists.
const MAX_CHECK_ERRORS: usize = 100_000;
/// The source that stands in for a missing one when a file is only checked.
const CHECK_SOURCE: &str = "check";

/// What to submit, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file; `-` is stdin.
    pub file: PathBuf,
    /// Its form; none: told from its name or content.
    pub format: Option<Format>,
    /// The source of lines that name none.
    pub source: Option<String>,
    /// The batch of lines that name none; none: from the file's SHA-256.
    pub batch_id: Option<String>,
    /// Only look through it, without any server.
    pub check: bool,
    /// Whether a progress bar is drawn on stderr.
    pub progress: bool,
    /// `sent_at` of lines that have none.
    pub now: OffsetDateTime,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Whether it was only checked.
    pub checked: bool,
    /// Lines that are right; unless only checked, all of them have been acknowledged by Kafka.
    pub accepted: u64,
    /// Lines that are wrong; none of them was sent.
    pub refused: u64,
    /// The batch of the lines that named none.
    pub batch_id: String,
    /// The source of the lines that named none.
    pub source: Option<String>,
    /// Distinct requests of that batch: what `total_count` was said to be.
    pub total_count: u64,
    /// What is wrong, line by line; the first of them, if there are very many.
    pub errors: Vec<LineError>,
}

/// Why a file could not be submitted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{} cannot be read: {problem}", .file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What the system says.
        problem: io::Error,
    },
    /// The brokers are away.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// A topic is missing.
    #[error("there is no topic {0}; create it with `rollcall topics apply`")]
    NoTopic(String),
    /// The brokers did not take everything.
    #[error(
        "only {acknowledged} of {sent} requests were acknowledged: {problem}. Submit the same file again with the same \
         --source and --batch-id: what has arrived counts as a duplicate"
    )]
    Undelivered {
        /// Requests handed to the client.
        sent: u64,
        /// Requests that the brokers have.
        acknowledged: u64,
        /// What Kafka says.
        problem: String,
    },
}

/// What the first look found.
#[derive(Default)]
struct Looked {
    right: u64,
    wrong: u64,
    errors: Vec<LineError>,
    kinds: BTreeSet<MessageType>,
    /// How many message ids the filled-in batch has, by source.
    distinct: HashMap<String, u64>,
}

/// Checks a file, and sends its right lines unless it is only checked.
///
/// Blocks. The memory it takes does not grow with the file: very many ids are counted in a temporary file.
///
/// # Errors
/// [`Error`]; wrong lines are none, they stand in the summary.
pub fn submit(options: &Options, settings: &Settings) -> Result<Summary, Error> {
    let failed = |problem| Error::File { file: options.file.clone(), problem };
    let mut input = Input::open(&options.file).map_err(failed)?;
    let hash = input.sha256().map_err(failed)?;
    let batch_id = options.batch_id.clone().unwrap_or_else(|| hex::encode(&hash[..16]));
    let format = match options.format {
        Some(format) => format,
        None => guess(&options.file, &mut input).map_err(failed)?,
    };
    let stand_in = || options.check.then(|| CHECK_SOURCE.to_owned());
    let fill = Fill {
        source: options.source.clone().or_else(stand_in),
        batch_id: batch_id.clone(),
        sent_at: options.now,
        actor: None,
    };
    let dates = Dates {
        time_zone: settings.dates.time_zone.clone(),
        max_future: time::Duration::try_from(settings.dates.max_future)
            .unwrap_or(time::Duration::MAX),
    };
    let passes = if options.check { 1 } else { 2 };
    let bar = bar(options.progress, input.len() * passes);
    let reader = |file: File| {
        let counted = io::BufReader::with_capacity(1 << 16, bar.wrap_read(file));
        Reader::new(counted, format, fill.clone(), dates.clone())
    };

    let most = if options.check { MAX_CHECK_ERRORS } else { MAX_ERRORS };
    let looked = look(reader(input.rewound().map_err(failed)?), most).map_err(failed)?;
    if !options.check && looked.right > 0 {
        let sender = Sender::connect(settings, &looked.kinds, Patience::COMMAND)?;
        let totals = looked.totals();
        let mut reader = reader(input.rewound().map_err(failed)?);
        while let Some(line) = reader.read().map_err(failed)? {
            let Ok(mut line) = line else { continue };
            if let Some(total) = totals.get(line.source()) {
                line.set_total_count(*total);
            }
            sender.send(&line)?;
        }
        sender.finish()?;
    }
    bar.finish_and_clear();
    Ok(Summary {
        checked: options.check,
        accepted: looked.right,
        refused: looked.wrong,
        batch_id,
        source: options.source.clone(),
        total_count: looked.distinct.values().sum(),
        errors: looked.errors,
    })
}

fn look<R: BufRead>(mut reader: Reader<R>, most_errors: usize) -> io::Result<Looked> {
    let mut looked = Looked::default();
    let mut ids = Counts::default();
    while let Some(line) = reader.read()? {
        let line = match line {
            Ok(line) => line,
            Err(errors) => {
                looked.refuse(errors, most_errors);
                continue;
            }
        };
        looked.right += 1;
        looked.kinds.insert(line.request.message_type());
        if line.filled_batch {
            let (source, message_id) = (line.source(), line.message_id());
            let mut hash = Sha256::new();
            hash.update((source.len() as u64).to_be_bytes());
            hash.update(source);
            hash.update(message_id);
            let mut id = [0; 16];
            id.copy_from_slice(&hash.finalize()[..16]);
            if ids.count(id)? == 1 {
                match looked.distinct.get_mut(source) {
                    Some(distinct) => *distinct += 1,
                    None => {
                        looked.distinct.insert(source.to_owned(), 1);
                    }
                }
            }
        }
    }
    Ok(looked)
}

impl Looked {
    fn refuse(&mut self, errors: Vec<LineError>, most: usize) {
        self.wrong += 1;
        let room = most.saturating_sub(self.errors.len());
        self.errors.extend(errors.into_iter().take(room));
    }

    /// `total_count` of the filled-in batch, by source.
    fn totals(&self) -> HashMap<String, i32> {
        let total = |(source, distinct): (&String, &u64)| {
            Some((source.clone(), i32::try_from(*distinct).ok()?))
        };
        self.distinct.iter().filter_map(total).collect()
    }
}

/// By its name, else by its first character: a line of JSON begins with `{`.
fn guess(file: &Path, input: &mut Input) -> io::Result<Format> {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    Ok(match extension.to_ascii_lowercase().as_str() {
        "csv" => Format::Csv,
        "ndjson" | "jsonl" | "json" => Format::Ndjson,
        _ if input.first_byte()? == Some(b'{') => Format::Ndjson,
        _ => Format::Csv,
    })
}

fn bar(visible: bool, bytes: u64) -> ProgressBar {
    if !visible {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(bytes);
    // The template is ours: it cannot be wrong, and without it the bar is merely plain.
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {percent}%  {bytes_per_sec}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests;
