//! `rollcall reference`: the page of all commands, made from what the command line takes.

use super::exit::{Exit, Result};
use super::output::{Output, push};
use super::{Cli, EXIT_CODES};
use clap::{Arg, Command, CommandFactory as _};

/// Print docs/COMMANDS.md
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Args {}

pub(super) fn main() -> Result<Exit> {
    Output::text(&text())?;
    Ok(Exit::Done)
}

/// The page, in Markdown.
pub(super) fn text() -> String {
    let mut root = Cli::command();
    root.build();
    let mut page = String::from(
        "# Commands\n\nMade by `rollcall reference`; do not edit.\n\nEvery command takes the global options, and \
         `--json` makes every answer one object on stdout. Errors stand on stderr, with `--json` as \
         `{\"error\": {\"code\", \"message\"}}`. Lists are `{\"items\": […], \"next_cursor\": null}`.\n\n",
    );
    push(
        &mut page,
        format_args!("## Exit codes\n\n```text\n{EXIT_CODES}\n```\n\n## Global options\n\n"),
    );
    for arg in root.get_arguments().filter(|arg| arg.is_global_set()) {
        option(arg, &mut page);
    }
    for command in root.get_subcommands() {
        describe("rollcall", command, &mut page);
    }
    page
}

fn describe(parent: &str, command: &Command, page: &mut String) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    let name = format!("{parent} {}", command.get_name());
    let mut inner = command.get_subcommands().filter(|inner| inner.get_name() != "help").peekable();
    if inner.peek().is_some() {
        for command in inner {
            describe(&name, command, page);
        }
        return;
    }
    let mut usage = name.clone();
    let arguments = || command.get_arguments().filter(|arg| !is_everywhere(arg));
    if arguments().any(|arg| !arg.is_positional()) {
        usage.push_str(" [OPTIONS]");
    }
    for arg in arguments().filter(|arg| arg.is_positional()) {
        push(&mut usage, format_args!(" {arg}"));
    }
    push(page, format_args!("\n## `{usage}`\n\n"));
    let about = command.get_long_about().or_else(|| command.get_about());
    if let Some(about) = about {
        push(page, format_args!("{about}\n"));
    }
    let mut options = arguments().peekable();
    if options.peek().is_some() {
        page.push('\n');
    }
    for arg in options {
        option(arg, page);
    }
}

fn is_everywhere(arg: &Arg) -> bool {
    arg.is_global_set() || arg.is_hide_set() || ["help", "version"].contains(&arg.get_id().as_str())
}

fn option(arg: &Arg, page: &mut String) {
    let mut line = format!("- `{arg}`");
    if let Some(help) = arg.get_help() {
        push(&mut line, format_args!(": {help}"));
    }
    if let Some(variable) = arg.get_env() {
        push(&mut line, format_args!(" (environment: `{}`)", variable.to_string_lossy()));
    }
    let values: Vec<_> =
        arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if !values.is_empty() && !matches!(arg.get_action(), clap::ArgAction::SetTrue) {
        push(&mut line, format_args!(" (one of {})", values.join(", ")));
    }
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !defaults.is_empty() && !matches!(arg.get_action(), clap::ArgAction::SetTrue) {
        push(&mut line, format_args!(" (default `{}`)", defaults.join(",")));
    }
    page.push_str(&line);
    page.push('\n');
}
