//! `rollcall status`.

use super::exit::{Exit, Result};
use super::output::{Reader, Table, or_dash, push};
use super::{Context, database, partitions as listed};
use crate::app::status::{Status, status};
use crate::config::Settings;
use crate::lifecycle::clock::{Clock as _, SystemClock, moment};
use crate::store::status::{Cursor, Partition};
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
    let Some(seconds) = args.watch else {
        return once(&settings, "", context).await.map(|(exit, _reader)| exit);
    };
    let pause = Duration::from_secs(seconds.into());
    let clear = std::io::stdout().is_terminal() && !context.output.json;
    // Listened for from the beginning: what comes while the servers are asked counts too.
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    let mut last = Ok(Exit::Done);
    loop {
        tokio::select! {
            said = once(&settings, if clear { CLEAR } else { "" }, context) => {
                // `| head` ends the watch, as it ends every other command.
                if let Ok((exit, Reader::Gone)) = said {
                    return Ok(exit);
                }
                last = said.map(|(exit, _reader)| exit);
            }
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

async fn once(settings: &Settings, before: &str, context: &Context) -> Result<(Exit, Reader)> {
    let mut connection = database::open(settings).await?;
    let status = status(settings, &mut connection).await?;
    let reader = context.output.say(&status, || format!("{before}{}", text(&status)))?;
    let reached = status.kafka.reachable;
    Ok((if reached { Exit::answer(status.healthy) } else { Exit::Unreachable }, reader))
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
    section(&mut text, "Partitions", &partitions(&status.partitions));
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

/// The partitions by topic, then those that do not go on: between 36 lines of those that do they would not be seen.
fn partitions(all: &[Partition]) -> String {
    const STATES: [&str; 5] = ["RUNNING", "WAITING", "PAUSED", "STOPPED", "UNOWNED"];
    let mut topics: BTreeMap<&str, Vec<&Partition>> = BTreeMap::new();
    for partition in all {
        topics.entry(&partition.topic).or_default().push(partition);
    }
    let mut table = Table::new(&[&["topic"], &STATES[..], &["lag"]].concat());
    for (topic, partitions) in topics {
        let counts = STATES
            .map(|state| partitions.iter().filter(|one| one.state == state).count().to_string());
        let lag: i64 = partitions.iter().filter_map(|one| one.lag).sum();
        table.row([vec![topic.to_owned()], counts.to_vec(), vec![lag.to_string()]].concat());
    }
    let mut text = table.text("No worker has had one yet.");
    let halted = |one: &&Partition| one.cause.is_some() || one.state == "PAUSED";
    let halted: Vec<_> = all.iter().filter(halted).cloned().collect();
    if !halted.is_empty() {
        push(&mut text, format_args!("\n{}", listed::text(&halted)));
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: i32, state: &str, cause: Option<&str>) -> Partition {
        Partition {
            topic: "t".to_owned(),
            partition: number,
            state: state.to_owned(),
            owner: None,
            position: Some(7),
            low: Some(0),
            high: Some(9),
            lag: Some(2),
            cause: cause.map(str::to_owned),
            offset: None,
            since: None,
            committed_at: None,
        }
    }

    #[test]
    fn of_many_partitions_those_that_do_not_go_on_are_named() {
        let mut all: Vec<_> = (0..12).map(|number| partition(number, "RUNNING", None)).collect();
        let going = partitions(&all);
        assert_eq!(going.lines().count(), 2, "{going}");
        let words = |text: &str| -> Vec<String> {
            text.lines().last().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
        };
        assert_eq!(words(&going), ["t", "12", "0", "0", "0", "0", "24"]);
        all[5] = partition(5, "STOPPED", Some("records_lost"));
        let stopped = partitions(&all);
        assert_eq!(words(&stopped), ["t", "5", "STOPPED", "7", "9", "2", "-", "records_lost"]);
        assert_eq!(partitions(&[]), "No worker has had one yet.");
    }
}
