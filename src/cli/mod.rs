//! The command line: one file a command.

mod batches;
mod because;
mod codec;
mod completions;
mod config;
mod database;
mod dead_letters;
mod demo;
mod exit;
mod migrate;
mod output;
mod page;
mod parked;
mod partitions;
mod programs;
mod reconcile;
mod reference;
mod run;
mod schemas;
mod status;
mod submit;
mod topics;

use crate::config::{Loaded, from_process};
use clap::{Args, Parser, Subcommand};
use exit::{Exit, Failure, Result};
use output::Output;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What every `--help` ends with.
const EXIT_CODES: &str = "\
Exit codes:
  0  done, or proved
  1  the answer is no: refused, not proved, some lines wrong, not healthy
  2  usage or configuration
  3  a server cannot be reached, or it could not be checked";

/// Enrollments, membership updates and groups from Kafka to Postgres to events.
#[derive(Debug, Parser)]
#[command(name = "rollcall", version, after_help = EXIT_CODES, propagate_version = true)]
#[command(subcommand_required = true, arg_required_else_help = true, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
struct Global {
    /// A TOML file of settings; the environment and `--set` win over it
    #[arg(long, global = true, value_name = "FILE", env = "ROLLCALL_CONFIG", display_order = 900)]
    #[arg(help_heading = "Global options")]
    config: Option<PathBuf>,
    /// One setting, such as `--set batch.max_records=500`; wins over all others; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = setting, display_order = 901)]
    #[arg(help_heading = "Global options")]
    set: Vec<(String, String)>,
    /// Answer with one JSON object on stdout and nothing else
    #[arg(long, global = true, display_order = 902, help_heading = "Global options")]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Run(run::Args),
    Migrate(migrate::Args),
    #[command(subcommand)]
    Topics(topics::Command),
    #[command(subcommand)]
    Programs(programs::Command),
    Submit(submit::Args),
    #[command(subcommand)]
    Batches(batches::Command),
    Encode(codec::EncodeArgs),
    Decode(codec::DecodeArgs),
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    #[command(subcommand)]
    Parked(parked::Command),
    #[command(subcommand)]
    Partitions(partitions::Command),
    Status(status::Args),
    Reconcile(reconcile::Args),
    #[command(subcommand)]
    Schemas(schemas::Command),
    #[command(subcommand)]
    Config(config::Command),
    Completions(completions::Args),
    Reference(reference::Args),
}

fn setting(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err("a setting is given as KEY=VALUE, such as batch.max_records=500".to_owned()),
    }
}

/// What a command works with.
#[derive(Debug)]
struct Context {
    global: Global,
    output: Output,
}

impl Context {
    /// The settings of this process.
    fn load(&self) -> Result<Loaded> {
        Ok(from_process(self.global.config.as_deref(), &self.global.set)?)
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Command::Run(_)) {
        crate::lifecycle::memory::keep_few_arenas();
    }
    let output = Output { json: cli.global.json };
    let context = Context { global: cli.global, output };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(Box::pin(dispatch(cli.command, &context)));
            // A thread that still waits for a server must not keep the process.
            runtime.shutdown_background();
            ended
        }
        Err(error) => {
            Err(Failure::unreachable("runtime", format!("no threads to run on: {error}")))
        }
    };
    ended
        .unwrap_or_else(|failure| {
            failure.report(output);
            failure.exit
        })
        .into()
}

async fn dispatch(command: Command, context: &Context) -> Result<Exit> {
    match command {
        Command::Demo(args) => demo::main(&args, context).await,
        Command::Run(args) => run::main(&args, context).await,
        Command::Migrate(args) => migrate::main(&args, context).await,
        Command::Topics(command) => topics::main(&command, context).await,
        Command::Programs(command) => programs::main(&command, context).await,
        Command::Submit(args) => submit::main(args, context),
        Command::Batches(command) => batches::main(&command, context).await,
        Command::Encode(args) => codec::encode(&args, context),
        Command::Decode(args) => codec::decode(&args, context),
        Command::DeadLetters(command) => dead_letters::main(command, context).await,
        Command::Parked(command) => parked::main(&command, context).await,
        Command::Partitions(command) => partitions::main(&command, context).await,
        Command::Status(args) => status::main(&args, context).await,
        Command::Reconcile(args) => reconcile::main(&args, context).await,
        Command::Schemas(command) => schemas::main(&command, context),
        Command::Config(command) => config::main(&command, context),
        Command::Completions(args) => completions::main(&args),
        Command::Reference(_) => reference::main(),
    }
}

/// A file's bytes, or stdin's for `-`.
fn read_file(file: &Path) -> Result<Vec<u8>> {
    let read = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    read.map_err(|error| unreadable(file, &error))
}

/// A file that cannot be read.
fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::usage("file", format!("{} cannot be read: {error}", file.display()))
}

#[cfg(test)]
mod tests;
