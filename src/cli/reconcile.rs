//! `rollcall reconcile`.

use super::Context;
use super::exit::{Exit, Failure, Result};
use super::output::{Output, Table, or_dash};
use crate::app::reconcile::{self as app, Finding, Options, Report, Unchecked, Watch};
use crate::config::Settings;
use crate::lifecycle::clock::SystemClock;
use crate::store;
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::ExposeSecret as _;
use sqlx::PgPool;
use std::io::IsTerminal as _;
use std::sync::Arc;

/// Prove that every record has one outcome, every change one event, and every number one place
///
/// Looks through all tables, step by step beside the running workers, and through the topics: the ledger has no hole
/// and no double; its outcomes are those of inbox and dead letters; what Kafka is said to have never delivered is not
/// there; numbers of events have no gap, in the database and on the topics; state, history and events agree;
/// records that wait are held, looked at, and occupy their names; groups have the heads that their members' kinds make;
/// nothing refers to what does not exist. What contradicts is shown with its place, and makes the answer "not proved".
/// Records that were lost and accepted as lost are shown for ever. Exit code 0 when proved, 1 when not, 3 when it could
/// not be checked. With --offline the checks that were left out say so, and "proved" is said of the others.
///
/// Output topics of up to 1,000,000 records in sum are read whole, of longer ones the last 10,000 offsets of each
/// partition.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Leave out what needs Kafka
    #[arg(long)]
    offline: bool,
    /// Read output topics whole, however long they are
    #[arg(long, conflicts_with = "offline")]
    full: bool,
}

pub(super) async fn main(args: &Args, context: &Context) -> Result<Exit> {
    let loaded = context.load()?;
    let pool = pool(&loaded.settings)?;
    let visible = !context.output.json && std::io::stderr().is_terminal();
    let bar = bar(if visible { Some(app::estimate(&pool).await?) } else { None });
    let watch: Watch = {
        let bar = bar.clone();
        Arc::new(move |check, looked_at| {
            bar.set_message(check);
            bar.inc(looked_at);
            // The length is an estimate: of a table that was never analyzed, nothing.
            if bar.length().is_some_and(|length| length < bar.position()) {
                bar.set_length(bar.position());
            }
        })
    };
    let options = Options { offline: args.offline, full: args.full };
    let settings = &loaded.settings;
    let report = Box::pin(app::reconcile(&pool, settings, &SystemClock, options, &watch)).await;
    bar.finish_and_clear();
    let report = report?;
    if context.output.json {
        for check in &report.checks {
            if let Some(note) = &check.note {
                Output::note(&format!("{}: {note}", check.name));
            }
        }
    }
    context.output.answer(&report.to_json(), || text(&report))?;
    Ok(Exit::answer(report.proved()))
}

/// A pool under the name of commands: a takeover ends sessions of workers only.
fn pool(settings: &Settings) -> Result<PgPool> {
    let url = settings.require_database()?.expose_secret();
    let database = &settings.database;
    Ok(store::connect(
        url,
        &store::Options {
            max_connections: 2,
            application_name: "rollcall-cli".to_owned(),
            statement_timeout: database.statement_timeout,
            lock_timeout: database.lock_timeout,
            idle_in_transaction_timeout: database.idle_in_transaction_timeout,
            tcp_user_timeout: database.tcp_user_timeout,
        },
    )?)
}

/// A bar on stderr of about so many steps; none hides it.
fn bar(steps: Option<u64>) -> ProgressBar {
    let Some(steps) = steps else { return ProgressBar::hidden() };
    let bar = ProgressBar::new(steps);
    // The template is ours: it cannot be wrong, and without it the bar is merely plain.
    if let Ok(style) =
        ProgressStyle::with_template("{msg:12} {bar:40} {human_pos}  {per_sec}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

impl From<Unchecked> for Failure {
    /// Whatever kept it from being checked, the answer is neither yes nor no.
    fn from(error: Unchecked) -> Self {
        match error {
            Unchecked::Kafka(error) => error.into(),
            Unchecked::Database(store::Unfit::Store(error)) => error.into(),
            Unchecked::Database(unfit) => Self::unreachable("database-unfit", unfit.to_string()),
            Unchecked::BrokenOff(_) => Self::unreachable("broken-off", error.to_string()),
        }
    }
}

/// Findings of a check that are shown to people; programs get more of them.
const SHOWN: usize = 20;

fn text(report: &Report) -> String {
    let mut table = Table::new(&["check", "checked", "findings", "note"]);
    for check in &report.checks {
        table.row(vec![
            check.name.to_owned(),
            check.checked.to_string(),
            check.found.to_string(),
            check.note.clone().unwrap_or_default(),
        ]);
    }
    let mut lines = vec![table.text("")];
    for check in report.checks.iter().filter(|check| check.found > 0) {
        lines.push(format!("{}:", check.name));
        lines.extend(
            check.findings.iter().take(SHOWN).map(|finding| format!("  {}", line(finding))),
        );
        if check.found > SHOWN as u64 {
            lines.push(format!(
                "  and {} more; --json shows up to {}",
                check.found - SHOWN as u64,
                app::KEPT
            ));
        }
        lines.push(String::new());
    }
    let skipped = report.skipped();
    lines.push(match (report.proved(), skipped.as_slice()) {
        (false, _) => "not proved".to_owned(),
        (true, []) => "proved".to_owned(),
        (true, left_out) => format!("proved, but for what was left out: {}", left_out.join(", ")),
    });
    lines.join("\n")
}

/// `topic partition offset, stream 1003 sequence 7, …: what`.
fn line(finding: &Finding) -> String {
    let mut places = Vec::new();
    if let Some(topic) = &finding.topic {
        let numbers = [finding.partition.map(i64::from), finding.offset];
        let numbers = numbers.into_iter().flatten().map(|number| format!(" {number}"));
        let last =
            finding.next_offset.map(|next| next - 1).filter(|last| finding.offset != Some(*last));
        let until = last.map(|last| format!(" to {last}")).unwrap_or_default();
        places.push(format!("{topic}{}{until}", numbers.collect::<String>()));
    }
    if let Some(stream) = finding.stream {
        places.push(format!("stream {stream} sequence {}", or_dash(finding.sequence)));
    }
    let ids = [
        ("membership", finding.membership_id.map(|id| id.to_string())),
        ("registrant", finding.registrant_id.map(|id| id.to_string())),
        ("letter", finding.letter_id.map(|id| id.to_string())),
        ("source", finding.source.clone()),
        ("message", finding.message_id.clone()),
        ("parked", finding.parked_id.map(|id| id.to_string())),
        ("group", finding.group_id.map(|id| id.to_string())),
        ("batch", finding.batch_id.clone()),
    ];
    places.extend(ids.into_iter().filter_map(|(name, id)| Some(format!("{name} {}", id?))));
    if places.is_empty() {
        finding.what.clone()
    } else {
        format!("{}: {}", places.join(", "), finding.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::reconcile::Check;

    #[test]
    fn people_see_each_check_the_findings_and_the_verdict() {
        let mut ledger = Check::new("ledger");
        ledger.checked = 9;
        for offset in 0..22 {
            ledger.find(Finding::at_offset("a hole", "requests", 3, offset));
        }
        let report = Report { checks: vec![ledger, Check::skipped("output", "--offline")] };
        let text = text(&report);
        assert!(text.contains("requests 3 19: a hole\n  and 2 more"), "{text}");
        assert!(text.contains("skipped: --offline"), "{text}");
        assert_eq!(text.lines().last(), Some("not proved"));
        let part = Report { checks: vec![Check::new("ledger"), Check::skipped("output", "x")] };
        let said = super::text(&part);
        assert_eq!(said.lines().last(), Some("proved, but for what was left out: output"));
        let proved = Report { checks: vec![Check::new("ledger")] };
        assert_eq!(super::text(&proved).lines().last(), Some("proved"));
        let finding = Finding { stream: Some(1003), sequence: Some(7), ..Finding::new("a gap") };
        assert_eq!(line(&finding), "stream 1003 sequence 7: a gap");
        let finding = Finding {
            parked_id: Some(5),
            group_id: Some(uuid::Uuid::nil()),
            batch_id: Some("b1".to_owned()),
            ..Finding::new("a lie")
        };
        let group = "00000000-0000-0000-0000-000000000000";
        assert_eq!(line(&finding), format!("parked 5, group {group}, batch b1: a lie"));
    }
}
