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

#[test]
fn the_commands_of_the_runbook_are_commands() {
    let page = include_str!("../../docs/RUNBOOK.md");
    let blocks = page.split("```sh").skip(1).filter_map(|rest| rest.split_once("```"));
    let lines: Vec<&str> = blocks.flat_map(|(block, _)| block.lines()).map(str::trim).collect();
    let commands: Vec<&&str> = lines.iter().filter(|line| !line.is_empty()).collect();
    assert!(commands.len() > 30, "{commands:#?}");
    for command in commands {
        let words = command.split_whitespace().map(|word| match word.trim_matches('"') {
            "$PARTITION" | "$OFFSET" | "$PARKED_ID" => "1",
            "$LETTER" | "$MEMBERSHIP" => "00000000-0000-0000-0000-000000000000",
            "$CLASS" => "failed",
            word => word.trim_start_matches('$'),
        });
        if let Err(error) = Cli::try_parse_from(words) {
            panic!("{command}: {error}");
        }
    }
}
