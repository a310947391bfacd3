//! `rollcall run`.

use super::Context;
use super::exit::{Exit, Failure, Result};
use crate::app::{Part, run};
use crate::config::LogFormat;
use crate::lifecycle::Outcome;
use crate::telemetry;

/// Run the worker until it is told to end
///
/// SIGTERM or Ctrl-C ends it in order within `shutdown.grace`; a second signal ends it at once. The database must
/// have been migrated and the topics created.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run these parts only, with commas between them
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
}

pub(super) async fn main(args: &Args, context: &Context) -> Result<Exit> {
    let settings = context.load()?.settings;
    let format = match settings.log.format {
        LogFormat::Human => telemetry::Format::Human,
        LogFormat::Json => telemetry::Format::Json,
    };
    telemetry::init(format, &settings.log.filter)
        .map_err(|error| Failure::usage("log", error.to_string()))?;
    let parts = if args.only.is_empty() { &Part::ALL } else { args.only.as_slice() };
    match run::run(&settings, parts).await {
        Ok(Outcome::Clean) => Ok(Exit::Done),
        Ok(Outcome::Failed { task }) => {
            Err(Failure::no("task-failed", format!("{task} ended unasked; see the log")))
        }
        Ok(Outcome::Forced) => {
            Err(Failure::no("forced", "ended before everything had been finished; nothing is lost"))
        }
        Err(error) => Err(Failure::usage("start", error.to_string())),
    }
}
