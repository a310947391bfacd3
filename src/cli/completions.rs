//! `rollcall completions`.

use super::Cli;
use super::exit::{Exit, Result};
use super::output::Output;
use clap::CommandFactory as _;

/// Print completions for a shell
///
/// For example `rollcall completions bash > /etc/bash_completion.d/rollcall`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub(super) fn main(args: &Args) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "rollcall", &mut script);
    Output::bytes(&script)?;
    Ok(Exit::Done)
}
