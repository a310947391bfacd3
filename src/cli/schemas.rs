//! `rollcall schemas`.

use super::Context;
use super::exit::{Exit, Result};
use super::output::{List, Table, push};
use crate::app::worker;
use crate::contract::{MessageType, Schemas, embedded_text, objections};
use serde::Serialize;
use std::path::PathBuf;

/// List the Avro schemas, or check new versions of them
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List every version of every message that this program can read: its own, and those of `schemas.directory`
    ///
    /// The fingerprint is the CRC-64-AVRO of the schema as it stands in the header of a message (little-endian, hex).
    List,
    /// Check whether schemas may be new versions: resolvable both ways with ours, and by the house rules
    ///
    /// Exit code 1 if one may not. Without files the embedded schemas are checked.
    Check {
        /// Schema files, such as EnrollmentRequest.v2.avsc
        files: Vec<PathBuf>,
    },
}

#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    version: u32,
    fingerprint: String,
    request: bool,
    from: &'static str,
}

#[derive(Debug, Serialize)]
struct Checked {
    file: String,
    ok: bool,
    /// Whether the very same schema is a version already.
    known: bool,
    problems: Vec<String>,
}

pub(super) fn main(command: &Command, context: &Context) -> Result<Exit> {
    match command {
        Command::List => list(context),
        Command::Check { files } => check(files, context),
    }
}

fn list(context: &Context) -> Result<Exit> {
    let embedded = Schemas::embedded();
    let schemas = worker::schemas(&context.load()?.settings.schemas.directory)?;
    let items = schemas.versions().into_iter().map(|version| Listed {
        name: version.message.name(),
        version: version.number,
        fingerprint: hex::encode(version.fingerprint),
        request: version.message.is_request(),
        from: match embedded.version(&version.fingerprint) {
            Some(_) => "embedded",
            None => "directory",
        },
    });
    let list = List::whole(items.collect());
    context.output.answer(&list, || {
        let mut table = Table::new(&["name", "version", "fingerprint", "direction", "from"]);
        for item in &list.items {
            let direction = if item.request { "to Rollcall" } else { "from Rollcall" };
            table.row(vec![
                item.name.to_owned(),
                item.version.to_string(),
                item.fingerprint.clone(),
                direction.to_owned(),
                item.from.to_owned(),
            ]);
        }
        table.text("No schemas.")
    })?;
    Ok(Exit::Done)
}

fn check(files: &[PathBuf], context: &Context) -> Result<Exit> {
    let schemas = Schemas::embedded();
    let one = |file: String, text: &str| {
        let problems = objections(&file, text);
        Checked { ok: problems.is_empty(), known: schemas.knows(text), file, problems }
    };
    let mut items = Vec::new();
    for file in files {
        let bytes = super::read_file(file)?;
        items.push(one(file.display().to_string(), &String::from_utf8_lossy(&bytes)));
    }
    if files.is_empty() {
        items.extend(
            MessageType::ALL
                .map(|message| one(format!("{}.v1.avsc", message.name()), embedded_text(message))),
        );
    }
    let ok = items.iter().all(|item| item.ok);
    let list = List::whole(items);
    context.output.answer(&list, || {
        let mut text = String::new();
        for item in &list.items {
            let verdict = match (item.ok, item.known) {
                (true, true) => "good; this program has it",
                (true, false) => "good as a new version",
                _ => "not good",
            };
            push(&mut text, format_args!("{}: {verdict}\n", item.file));
            for problem in &item.problems {
                push(&mut text, format_args!("  {problem}\n"));
            }
        }
        text
    })?;
    Ok(Exit::answer(ok))
}
