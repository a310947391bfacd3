//! `rollcall demo`.

mod fit;
mod page;

use super::Context;
use super::exit::{Exit, Failure, Result};
use super::output::Output;
use crate::app::demo::{self, Error, Options, Scene};
use crate::app::worker::StartError;
use crate::store;
use crate::telemetry;
use std::io::IsTerminal as _;

/// Show everything at work: broker and database of its own, a batch with faults, a household, and what became of them
///
/// Starts a broker in this process and a throwaway Postgres (or uses a new database on the server of `DATABASE_URL`),
/// and leaves nothing behind. Stays up until Ctrl-C, so that its servers can be tried with the commands it prints. Exit
/// code 0 when every record came to the outcome it should and `reconcile` proves it, 1 when not, 3 when a server cannot
/// be started.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// End when the table has been shown
    #[arg(long)]
    once: bool,
    /// Enrollments in the batch
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    records: u32,
}

pub(super) async fn main(args: &Args, context: &Context) -> Result<Exit> {
    let settings = context.load()?.settings;
    // The page is the demo; what the worker says would only disturb it, unless it is asked for.
    if std::env::vars_os().any(|(name, _)| name == "RUST_LOG") {
        telemetry::init(telemetry::Format::Human, "warn")
            .map_err(|error| Failure::usage("log", error.to_string()))?;
    }
    let json = context.output.json;
    let options = Options {
        records: args.records,
        once: args.once,
        progress: !json && std::io::stderr().is_terminal(),
    };
    let show = |scene: Scene<'_>| match scene {
        Scene::Started(_) if json => Ok(()),
        Scene::Started(started) => Output::text(&page::started(started)),
        Scene::Done(report) => {
            context.output.answer(&page::object(report), || page::report(report, !args.once))
        }
    };
    let show = |scene: Scene<'_>| show(scene).map_err(std::io::Error::other);
    let as_sown = Box::pin(demo::run(settings, options, show)).await?;
    if !json {
        Output::note("Ended; nothing is left behind.");
    }
    Ok(Exit::answer(as_sown))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Servers(_) => Self::unreachable("demo-servers", message),
            Error::Worker(StartError::Config(error)) => error.into(),
            Error::Worker(StartError::Database(unfit)) => unfit.into(),
            Error::Database(error @ store::Error::Connection(_)) => error.into(),
            Error::Unchecked(error) => error.into(),
            Error::Output(_) => Self::usage("output", message),
            _ => Self::no("demo", message),
        }
    }
}
