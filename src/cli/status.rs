//! `rollcall status`.

use super::exit::{Exit, Result};
use super::output::{Table, moment, or_dash, push};
use super::{Context, database, partitions};
use crate::app::status::{Status, status};
use crate::config::Settings;
use crate::lifecycle::clock::{Clock as _, SystemClock};
use crate::store::status::Cursor;
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

/// Say how everything is and what to do
///
/// Leases, positions and lag of the request partitions, the last commit, streams of output, the relay, open letters,
/// records that wait, workers. What is not well has a line that says what to do about it. Exit code 0 when healthy, 1 when not, 3 when the database cannot be asked, or the brokers cannot (then the rest is still
/// answered, with the lag that the workers last saw).
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Say it again and again, so many seconds apart, until Ctrl-C; with --json one object a line
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=3_600))]
    watch: Option<u32>,
}

/// Clears a terminal and begins at its top.
const CLEAR: &str = "\x1b[H\x1b[2J";

pub(super) async fn main(args: &Args, context: &Context) -> Result<Exit> {
    let settings = context.load()?.settings;
    let Some(seconds) = args.watch else { return once(&settings, "", context).await };
    let pause = Duration::from_secs(seconds.into());
    let clear = std::io::stdout().is_terminal() && !context.output.json;
    // Listened for from the beginning: what comes while the servers are asked counts too.
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    let mut last = Ok(Exit::Done);
    loop {
        tokio::select! {
            said = once(&settings, if clear { CLEAR } else { "" }, context) => last = said,
            _heard = &mut stop => return last,
        }
        // A server that is away is what is watched for.
        if let Err(failure) = &last {
            failure.report(context.output);
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _heard = &mut stop => return last,
        }
    }
}

async fn once(settings: &Settings, before: &str, context: &Context) -> Result<Exit> {
    let mut connection = database::open(settings).await?;
    let status = status(settings, &mut connection).await?;
    context.output.answer(&status, || format!("{before}{}", text(&status)))?;
    Ok(if status.kafka.reachable { Exit::answer(status.healthy) } else { Exit::Unreachable })
}

fn text(status: &Status) -> String {
    let mut text = String::new();
    let verdict = if status.healthy { "Healthy." } else { "Not healthy." };
    push(&mut text, format_args!("{verdict}\n"));
    for line in &status.advice {
        push(&mut text, format_args!("- {line}\n"));
    }
    if let Some(last) = status.last_commit {
        let ago = (SystemClock.now() - last).whole_seconds().max(0);
        push(&mut text, format_args!("\nLast commit: {}, {ago} s ago\n", moment(last)));
    }
    let section = |text: &mut String, title: &str, body: &str| {
        push(text, format_args!("\n{title}\n{body}"));
        if !body.ends_with('\n') {
            text.push('\n');
        }
    };
    section(&mut text, "Workers", &workers(status));
    section(&mut text, "Partitions", &partitions::text(&status.partitions));
    section(&mut text, "Output", &output(status));
    let relay = status.relay.as_ref().map_or_else(
        || "no relay has led yet".to_owned(),
        |relay| format!("{}, renewed {:.0} s ago", relay.owner, relay.renewed_seconds),
    );
    push(&mut text, format_args!("Relay: {relay}\n"));
    push(&mut text, format_args!("Dead letters open: {}\n", status.letters.counts.open));
    for group in &status.letters.groups {
        let said = |name: &str| group[name].as_str().unwrap_or("-").to_owned();
        let (class, code) = (said("class"), said("code"));
        let (topic, source) = (said("topic"), said("source"));
        push(
            &mut text,
            format_args!("  {} {class} ({code}) in {topic}, source {source}\n", group["count"]),
        );
    }
    push(&mut text, format_args!("Records waiting: {}\n", parked(status)));
    push(&mut text, format_args!("Batches open: {}\n", status.batches.open));
    let database = &status.database;
    let standby = if database.synchronous_standby { "a" } else { "no" };
    push(
        &mut text,
        format_args!(
            "Database: Postgres {}, schema version {}, {standby} synchronous standby; this is rollcall {}\n",
            database.server_version,
            database.schema_version,
            env!("CARGO_PKG_VERSION"),
        ),
    );
    text
}

fn parked(status: &Status) -> String {
    let mut text = status.parked.count.to_string();
    let whys: Vec<_> =
        status.parked.by_why.iter().map(|(why, count)| format!("{count} {why}")).collect();
    if let Some(oldest) = &status.parked.oldest {
        let (whys, seconds) = (whys.join(", "), oldest.waiting_seconds);
        push(&mut text, format_args!(" ({whys}), the first for {seconds:.0} s"));
    }
    text
}

fn workers(status: &Status) -> String {
    let mut table = Table::new(&["worker", "build", "started", "seen"]);
    for worker in &status.workers {
        table.row(vec![
            worker.owner.clone(),
            worker.build.clone(),
            moment(worker.started_at),
            format!("{:.0} s ago", worker.seen_seconds),
        ]);
    }
    table.text("None in the last day.")
}

/// The streams by topic: 60 lines of shards would bury the rest; `--json` has them all.
fn output(status: &Status) -> String {
    let mut topics: BTreeMap<&str, (i64, i64, Option<f64>)> = BTreeMap::new();
    for Cursor { topic, acked, pending, oldest_unpublished_seconds, .. } in
        status.streams.iter().flat_map(|stream| &stream.topics)
    {
        let (all, waiting, oldest) = topics.entry(topic).or_default();
        *all += acked;
        *waiting += pending;
        if let Some(age) = oldest_unpublished_seconds {
            *oldest = Some(oldest.unwrap_or(0.0).max(*age));
        }
    }
    let mut table = Table::new(&["topic", "published", "pending", "oldest"]);
    for (topic, (published, pending, oldest)) in topics {
        let oldest = oldest.map(|age| format!("{age:.0} s"));
        table.row(vec![
            topic.to_owned(),
            published.to_string(),
            pending.to_string(),
            or_dash(oldest),
        ]);
    }
    table.text("No streams.")
}
