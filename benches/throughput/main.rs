//! How fast Rollcall is, beside what its database and its broker can do: `scripts/bench`, docs/BENCHMARKS.md.
//!
//! Four runs over the same requests: *bare* (the rows that Rollcall writes, set-wise from memory), *rollcall* (the real
//! binary, from backlog to the last acknowledged event), *naive* (a transaction a message) and *plain* (consumer and
//! decoding into one table).
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measures")]
#![expect(clippy::cast_precision_loss, reason = "figures are rounded to three digits anyway")]

mod apply;
mod backlog;
mod bare;
mod database;
mod face;
mod kafka;
mod machine;
mod measure;
mod mixed;
mod naive;
mod options;
mod people;
mod plain;
mod preload;
mod prepare;
mod process;
mod proof;
mod report;
mod transaction;
mod worker;

use anyhow::Result;
use clap::Parser as _;
use options::{Options, Run};
use report::Report;

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let mut report = Report::new(&options).await?;
    if let Some(memberships) = options.preload {
        preload::compare(&options, memberships, &mut report).await?;
    } else if options.mixed {
        mixed::compare(&options, &mut report).await?;
    } else if options.http {
        face::measure(&options, &mut report).await?;
    } else if options.backlogs {
        for times in [1, 3] {
            let backlog = backlog::Backlog::make(options.records * times)?;
            let measured = worker::run(&options, &backlog, None).await?;
            report.add(&format!("rollcall, backlog × {times}"), measured);
        }
    } else {
        all(&options, &mut report).await?;
    }
    report.print();
    report.write(options.json.as_deref())
}

/// Every run that is asked for, as often as is asked, in turn: what else the machine does then hits all alike.
async fn all(options: &Options, report: &mut Report) -> Result<()> {
    let backlog = backlog::Backlog::make(options.records)?;
    let prepared = if options.wants(Run::Bare) || options.wants(Run::Naive) {
        eprintln!("preparing {} records in memory …", backlog.records.len());
        Some(prepare::prepare(&backlog)?)
    } else {
        None
    };
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        if let Some(prepared) = prepared.filter(|_| options.wants(Run::Bare)) {
            report.add("bare, 1 connection", bare::run(options, prepared, 1).await?);
        }
        if options.wants(Run::Apply) {
            report.add("apply, 1 lane", apply::run(options, &backlog, 1).await?);
        }
        if options.wants(Run::Rollcall) {
            report.add("rollcall", worker::run(options, &backlog, None).await?);
        }
        if let Some(prepared) = prepared.filter(|_| options.wants(Run::Bare)) {
            report.add("bare, 2 connections", bare::run(options, prepared, 2).await?);
        }
        if let Some(prepared) = prepared.filter(|_| options.wants(Run::Naive)) {
            report.add("naive", naive::run(options, prepared).await?);
        }
        if let Some(prepared) = prepared.filter(|_| options.wants(Run::Bare)) {
            report.add("bare, 4 connections", bare::run(options, prepared, 4).await?);
        }
        if options.wants(Run::Apply) {
            report.add("apply, 2 lanes", apply::run(options, &backlog, 2).await?);
        }
        if options.wants(Run::Plain) {
            report.add("plain", plain::run(options, &backlog).await?);
        }
    }
    Ok(())
}
