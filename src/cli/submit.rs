//! `rollcall submit`.

use super::Context;
use super::exit::{Exit, Failure, Result};
use super::output::push;
use crate::app::submit::{Error, Options, Summary, submit};
use crate::contract::lines::{Format, is_batch_id};
use crate::contract::{SOURCE_FORM, is_source};
use crate::lifecycle::clock::{Clock as _, SystemClock};
use serde_json::json;
use std::io::IsTerminal as _;
use std::path::PathBuf;

/// Send a file of requests to the request topics
///
/// The file has one JSON object a line, with its `type` (`EnrollmentRequest`, `MembershipUpdateRequest` or
/// `GroupMembershipRequest`) and the fields of that schema: no union tags, dates `2026-01-31`, times RFC 3339. Or it is a
/// CSV of enrollments, with any of the columns
///
///   reference, kind (INDIVIDUAL unless given), name, `given_name`, `family_name`, `addl_name`, gender, birthdate,
///   `birth_place`, email, address, `registration_date`, `payment_address`, disabled, `group_kind`, `is_partial_group`,
///   registrant.source, `phone_no`, ids.TYPE (one column an identifier type),
///   program, `enrollment_date`, state, and of the request `message_id`, source, `sent_at`, attempt, actor, atomic
///
/// Several programs or phone numbers stand in one cell with `;` between them; then `enrollment_date` and `state` are one
/// for all programs, or as many. Flags are true or false. An empty cell is an absent field.
///
/// Filled in where a line leaves it out: source, batch, `sent_at` (now), and a `message_id` made from source, batch,
/// content and the n-th occurrence of that content, so that the same file sent again is a run of duplicates. The
/// number of distinct requests is said as the batch's `total_count`. Wrong lines are refused and named, right ones are
/// sent; then the exit code is 1. A request without reference has no key.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file, or - for stdin
    file: PathBuf,
    /// The source of lines that name none
    #[arg(long, value_parser = source)]
    source: Option<String>,
    /// The batch of lines that name none [default: from the file's SHA-256]
    #[arg(long, value_name = "ID", value_parser = batch_id)]
    batch_id: Option<String>,
    /// Its form; by default told from its name, else from its content
    #[arg(long, value_enum)]
    format: Option<Form>,
    /// Only look for errors, without any server; nothing is sent
    #[arg(long)]
    check: bool,
}

fn source(text: &str) -> std::result::Result<String, String> {
    if is_source(text) { Ok(text.to_owned()) } else { Err(format!("a source is {SOURCE_FORM}")) }
}

fn batch_id(text: &str) -> std::result::Result<String, String> {
    let rule =
        "a batch is named by 1 to 99 letters, digits, dots, underscores, tildes, colons or dashes";
    if is_batch_id(text) { Ok(text.to_owned()) } else { Err(rule.to_owned()) }
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Form {
    /// One JSON object a line
    Ndjson,
    /// Enrollments, one a row
    Csv,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::File { .. } => Self::usage("file", message),
            Error::Unreachable(error) => error.into(),
            Error::NoTopic(_) => Self::usage("no-topic", message),
            Error::Undelivered { sent, acknowledged, .. } => Self {
                details: json!({"sent": sent, "acknowledged": acknowledged}),
                ..Self::unreachable("undelivered", message)
            },
        }
    }
}

pub(super) fn main(args: Args, context: &Context) -> Result<Exit> {
    let loaded = context.load()?;
    let options = Options {
        file: args.file,
        format: args.format.map(|form| match form {
            Form::Ndjson => Format::Ndjson,
            Form::Csv => Format::Csv,
        }),
        source: args.source,
        batch_id: args.batch_id,
        check: args.check,
        progress: std::io::stderr().is_terminal(),
        now: SystemClock.now(),
    };
    let summary = submit(&options, &loaded.settings)?;
    context.output.answer(&summary, || text(&summary))?;
    Ok(Exit::answer(summary.refused == 0))
}

fn text(summary: &Summary) -> String {
    let mut text = String::new();
    for error in &summary.errors {
        let at = if error.pointer.is_empty() { "" } else { ", " };
        push(
            &mut text,
            format_args!(
                "line {}{at}{}: {} ({})\n",
                error.line, error.pointer, error.detail, error.code
            ),
        );
    }
    if summary.source.is_none() && summary.errors.iter().any(|error| error.pointer == "/source") {
        text.push_str("Say with --source which registry the lines come from.\n");
    }
    let (accepted, refused) = (summary.accepted, summary.refused);
    if summary.checked {
        push(
            &mut text,
            format_args!("{accepted} lines are right, {refused} are wrong; nothing was sent.\n"),
        );
    } else {
        let source = summary.source.as_deref().unwrap_or("(as the lines say)");
        push(
            &mut text,
            format_args!(
                "{accepted} requests sent, {refused} lines refused.\nSource {source}, batch {}, {} distinct requests.\n",
                summary.batch_id, summary.total_count
            ),
        );
    }
    text
}
