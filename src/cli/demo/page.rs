//! The demo's page: at most a hundred columns, and about sixty lines.

use super::fit::fit;
use crate::app::demo::{Report, Shown, Started, Step};
use crate::cli::output::{Table, or_dash, push};
use crate::contract::wire::BatchReceipt;
use serde::Serialize;
use serde_json::{Value, json};

const WIDTH: usize = 100;

/// The first lines: what runs and where.
pub(super) fn started(started: &Started) -> String {
    let mut text = String::from(
        "Rollcall demo: made-up people, real servers; all of it goes when the demo ends.\n",
    );
    let database = if started.database_is_ours {
        "a throwaway server"
    } else {
        "a new database on the server of DATABASE_URL"
    };
    push(
        &mut text,
        format_args!(
            "  Postgres {:<6} {:<22} {database}, migrated, {} programs\n",
            version(&started.postgres_version),
            place(&started.database_url),
            started.programs,
        ),
    );
    push(
        &mut text,
        format_args!(
            "  Kafka    {:<6} {:<22} in this process; session.timeout.ms={}: rebalances slowly\n",
            "mock", started.bootstrap_servers, started.session_timeout_ms,
        ),
    );
    push(
        &mut text,
        format_args!(
            "  Worker   {:<6} http://{:<15} in this process: consumer, {} lanes, relay, HTTP",
            env!("CARGO_PKG_VERSION"),
            started.http.to_string(),
            started.lanes,
        ),
    );
    text
}

/// `15.18 (Debian …)`: the number.
fn version(version: &str) -> &str {
    version.split(' ').next().unwrap_or_default()
}

/// Host and port of a URL.
fn place(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, place)| place)
}

/// The rest of the page.
pub(super) fn report(report: &Report, stays: bool) -> String {
    let mut text = String::new();
    push(
        &mut text,
        format_args!(
            "\n{} records sent and answered in {:.1} s, {} events; {:.1} s since the demo began.\n",
            report.records,
            report.took.as_secs_f64(),
            report.events,
            report.since_start.as_secs_f64(),
        ),
    );
    push(&mut text, format_args!("Some of the people: {}, …\n\n", report.names.join(", ")));
    text.push_str(&table(report));
    household(&report.household, &mut text);
    if let Some((receipt, _)) = &report.receipt {
        text.push_str(&self::receipt(receipt));
    }
    for (title, shown) in
        [("A result", &report.result), ("An event", &report.event), ("A letter", &report.letter)]
    {
        if let Some(shown) = shown {
            record(title, shown, &mut text);
        }
    }
    proof(report, &mut text);
    if stays {
        text.push_str(&next(&report.started));
    }
    text
}

fn table(report: &Report) -> String {
    let mut table =
        Table::new(&["outcome", "sent", "found", "what was sent", "where it was found"]);
    for line in &report.lines {
        table.row(vec![
            line.outcome.to_owned(),
            line.sent.to_string(),
            line.records.to_string(),
            line.sown.to_owned(),
            line.found.to_owned(),
        ]);
    }
    table.text("")
}

/// What is said to the sender of a household's requests, and what its payment system hears.
fn household(steps: &[Step], text: &mut String) {
    text.push('\n');
    let mut table = Table::new(&["a household", "answered", "event", "to be paid"]);
    for step in steps {
        let status = symbol(&step.status);
        let event = step.change.zip(step.version);
        table.row(vec![
            step.said.to_owned(),
            if step.r#final { status } else { format!("{status}, not final") },
            or_dash(event.map(|(change, version)| format!("{} {version}", symbol(&change)))),
            match (&step.payee, event) {
                (Some(paid), _) => or_dash(paid.reference.as_ref()),
                (None, Some(_)) => "nobody".to_owned(),
                (None, None) => "-".to_owned(),
            },
        ]);
    }
    text.push_str(&table.text(""));
}

/// A symbol of the contract.
fn symbol(of: &impl Serialize) -> String {
    let value = serde_json::to_value(of).ok();
    value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn receipt(receipt: &BatchReceipt) -> String {
    let digest = hex::encode(&receipt.digest.0);
    format!(
        "\nIts receipt: {}, batch {}, revision {}\n  {} messages: {} applied, {} unchanged, {} partial, {} \
         rejected, {} held\n  digest {}…, and a position in {} partitions of the events\n",
        symbol(&receipt.status),
        receipt.batch_id,
        receipt.revision,
        or_dash(receipt.total_count),
        receipt.applied_count,
        receipt.unchanged_count,
        receipt.partial_count,
        receipt.rejected_count,
        receipt.held_count,
        digest.get(..16).unwrap_or_default(),
        receipt.positions.len(),
    )
}

fn record(title: &str, shown: &Shown, text: &mut String) {
    push(
        text,
        format_args!(
            "\n{title}: {} partition {} offset {}, key {}\n",
            shown.topic,
            shown.partition,
            shown.offset,
            shown.key.as_deref().unwrap_or("null"),
        ),
    );
    let mut own = shown.headers.clone();
    if own.first().is_some_and(|(name, _)| !prefix(name).is_empty()) {
        // Together take less room; of a letter the order is the point.
        own.sort_by_key(|(name, _)| prefix(name).is_empty());
    }
    for line in headers(&own) {
        push(text, format_args!("  {line}\n"));
    }
    match &shown.text {
        // Bytes that are text say more so than in hex.
        Some(bytes) => push(text, format_args!("  {} bytes: {bytes}\n", bytes.len())),
        None => push(text, format_args!("  {}\n", fit(&shown.value, 2, WIDTH))),
    }
}

/// Headers, many on a line; those with a prefix in common within braces: `ce_{id=… type=…}`.
fn headers(headers: &[(String, String)]) -> Vec<String> {
    let mut words = Vec::new();
    for group in headers.chunk_by(|(one, _), (other, _)| prefix(one) == prefix(other)) {
        let prefix = group.first().map_or("", |(name, _)| prefix(name));
        let braced = group.len() > 1 && !prefix.is_empty();
        for (index, (name, value)) in group.iter().enumerate() {
            let name = if braced { &name[prefix.len()..] } else { name.as_str() };
            let open = if braced && index == 0 { format!("{prefix}{{") } else { String::new() };
            let close = if braced && index + 1 == group.len() { "}" } else { "" };
            words.push(format!("{open}{name}={value}{close}"));
        }
    }
    fill(words)
}

/// As many words on a line as fit.
fn fill(words: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() + 3 <= WIDTH => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

fn prefix(name: &str) -> &str {
    ["ce_", "rollcall.dlq."].into_iter().find(|prefix| name.starts_with(prefix)).unwrap_or_default()
}

fn proof(report: &Report, text: &mut String) {
    let proof = &report.proof;
    let verdict = if proof.proved() { "proved" } else { "NOT proved" };
    let checks = proof.checks.iter().filter(|check| check.checked > 0 || check.found > 0);
    let checks = fill(checks.map(|check| match check.found {
        0 => format!("{} {};", check.name, check.checked),
        found => format!("{} {} ({found} findings);", check.name, check.checked),
    }));
    push(
        text,
        format_args!(
            "\nReconcile: {verdict}: one outcome a record, one event a change, no gap in the numbers. Looked at:\n  {}\n",
            checks.join("\n  ").trim_end_matches(';'),
        ),
    );
}

fn next(started: &Started) -> String {
    let mut text = String::from("\nTry next, in another terminal (all runs until Ctrl-C here):\n");
    for line in commands(started) {
        push(&mut text, format_args!("  {line}\n"));
    }
    text
}

/// What to try next, line by line for a shell; the first lines make the others short.
fn commands(started: &Started) -> Vec<String> {
    let http = started.http;
    let mut lines = Vec::new();
    if let Some(program) = program() {
        lines.push(format!("alias rollcall={program}"));
    }
    lines.push(if started.database_is_ours {
        format!("export DATABASE_URL={}", started.database_url)
    } else {
        // The given one may hold a password that is none of ours to show.
        format!("export DATABASE_URL=\"${{DATABASE_URL%/*}}/{}\"", name(&started.database_url))
    });
    lines.extend([
        format!("export ROLLCALL_KAFKA__BOOTSTRAP_SERVERS={}", started.bootstrap_servers),
        "rollcall status; rollcall programs list; rollcall reconcile".to_owned(),
        "printf 'reference,name,program\\nme-1,Me,PENSION\\n' | rollcall submit - --source me".to_owned(),
        "psql $DATABASE_URL -Atc \"SELECT encode(result,'hex') FROM inbox WHERE source='me'\" | rollcall decode".to_owned(),
        "psql $DATABASE_URL -c 'SELECT class, stage, code, detail FROM dead_letters'".to_owned(),
        format!("curl -s http://{http}/readyz; curl -s http://{http}/metrics | grep records_total"),
    ]);
    lines
}

/// The database's name in its URL.
fn name(url: &str) -> &str {
    let url = url.split('?').next().unwrap_or_default();
    url.rsplit('/').next().unwrap_or_default()
}

/// Where this program is, unless it was called by a name that a shell finds.
fn program() -> Option<String> {
    let called = std::env::args_os().next()?;
    if !called.to_string_lossy().contains('/') {
        return None;
    }
    Some(std::env::current_exe().ok()?.display().to_string())
}

/// The same facts for programs.
pub(super) fn object(report: &Report) -> Value {
    let started = &report.started;
    let ours = started.database_is_ours;
    let shown = |shown: &Option<Shown>| shown.as_ref().map(Shown::to_json);
    json!({
        "started": {
            "database": {
                "ours": ours,
                "name": name(&started.database_url),
                // A given one may hold a password that is none of ours to show.
                "url": ours.then_some(&started.database_url),
                "version": version(&started.postgres_version),
            },
            "kafka": {
                "bootstrap_servers": started.bootstrap_servers,
                "mock": true,
                "topics": started.topics.0,
                "partitions": started.topics.1,
                "session_timeout_ms": started.session_timeout_ms.parse::<u32>().ok(),
            },
            "http": format!("http://{}", started.http),
            "programs": started.programs,
        },
        "records": report.records,
        "events": report.events,
        "people": report.names,
        "seconds": {"batch": report.took.as_secs_f64(), "all": report.since_start.as_secs_f64()},
        "outcomes": report.lines,
        "as_sown": report.as_sown(),
        "result": shown(&report.result),
        "event": shown(&report.event),
        "letter": shown(&report.letter),
        "household": report.household,
        "receipt": report.receipt.as_ref().map(|(_, shown)| shown.to_json()),
        "reconcile": report.proof.to_json(),
        "next": commands(started),
    })
}
