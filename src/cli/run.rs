//! `rollcall run`.

use super::Context;
use super::exit::{Exit, Failure, Result};
use crate::app::Part;

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
    context.load()?;
    tracing::debug!(only = ?args.only);
    std::future::ready(()).await;
    Err(Failure::no("not-built", "`run` is not part of this build"))
}
