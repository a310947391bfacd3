//! `rollcall demo`.

use super::Context;
use super::exit::{Exit, Failure, Result};

/// Show everything at work: broker and database of its own, a batch with faults, and what became of it
///
/// Starts a broker in this process and a throwaway Postgres (or uses `DATABASE_URL`), and leaves nothing behind. Stays
/// up until Ctrl-C, so that its servers can be tried with the commands it prints.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// End when the table has been shown
    #[arg(long)]
    once: bool,
    /// Enrollments in the batch
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    records: u32,
}

pub(super) async fn main(args: &Args, _context: &Context) -> Result<Exit> {
    tracing::debug!(args.once, args.records);
    std::future::ready(()).await;
    Err(Failure::no("not-built", "`demo` is not part of this build"))
}
