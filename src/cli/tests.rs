//! The command line as a whole.

use super::*;
use clap::CommandFactory as _;

#[test]
fn the_arguments_fit_together() {
    Cli::command().debug_assert();
}

#[test]
fn the_command_reference_is_up_to_date() {
    let there = include_str!("../../docs/COMMANDS.md");
    assert!(there == reference::text(), "docs/COMMANDS.md is not what `rollcall reference` prints");
}

#[test]
fn settings_are_keys_and_values() {
    assert_eq!(setting("a.b=c=d").unwrap(), ("a.b".to_owned(), "c=d".to_owned()));
    assert!(setting("a.b").is_err());
    assert!(setting("=x").is_err());
}

#[test]
fn global_options_stand_anywhere() {
    let cli =
        Cli::try_parse_from(["rollcall", "config", "show", "--json", "--set", "a.b=1"]).unwrap();
    assert!(cli.global.json);
    assert_eq!(cli.global.set.len(), 1);
}
