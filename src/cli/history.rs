//! `rollcall history`.

use super::because::Actor;
use super::exit::{Exit, Failure, Result};
use super::output::{List, Table, or_dash};
use super::page::{Page, paged};
use super::{Context, database};
use crate::dead_letter::words;
use crate::http::reads::json::{HistoryItem, Named};
use crate::lifecycle::clock::{Clock as _, SystemClock, moment};
use crate::store::operator::By;
use crate::store::operator_actions;
use crate::store::reads::history::{self, Of, Place};
use uuid::Uuid;

/// Show who changed a membership, when and why, and which message and record it was
///
/// Changes stand by version, those of a removed membership too. Names are those of now. Exit code 1 if there never was
/// such a membership.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The membership's id
    membership: Uuid,
    /// Show references, identifiers and notes too, instead of `***`; the audit keeps it
    #[arg(long)]
    reveal: bool,
    /// Why they are to be seen; kept in the audit
    #[arg(long, value_name = "TEXT", value_parser = words::reason, requires = "reveal")]
    reason: Option<String>,
    #[command(flatten)]
    actor: Actor,
    #[command(flatten)]
    page: Page,
}

pub(super) async fn main(args: &Args, context: &Context) -> Result<Exit> {
    let membership_id = args.membership;
    let version = match &args.page.cursor {
        Some(cursor) => {
            cursor.parse().ok().filter(|version| *version > 0).ok_or_else(|| {
                Failure::usage("invalid-cursor", "--cursor is none of this list's")
            })?
        }
        None => 0,
    };
    let after = Place { membership_id, version, ..Place::START };
    let loaded = context.load()?;
    let mut connection = database::verified(&loaded.settings).await?;
    let of = Of::Membership(membership_id);
    let limit = usize::from(args.page.limit);
    if args.reveal {
        let actor = args.actor.name()?;
        let by = By { run_id: None, actor: Some(&actor), reason: args.reason.as_deref() };
        let (action, now) = ("HISTORY_REVEALED", SystemClock.now());
        operator_actions::insert(&mut connection, action, membership_id, by, now).await?;
    }
    let mut found = history::list(&mut connection, of, after, limit as i64 + 1).await?;
    if found.is_empty() && !history::exists(&mut connection, of).await? {
        return Err(Failure::no(
            "not-found",
            format!("there never was a membership {membership_id}"),
        ));
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|last| last.version.to_string());
    let shown = |item: HistoryItem| if args.reveal { item } else { item.masked() };
    let items: Vec<_> = found.into_iter().map(|row| shown(row.into())).collect();
    let answer = List { items, next_cursor };
    context.output.answer(&answer, || paged(text(&answer.items), answer.next_cursor.as_deref()))?;
    Ok(Exit::Done)
}

/// Reference and identifiers, masked or not, each behind what it is one of; nothing if there are none.
fn names(named: &Named) -> String {
    let reference = named.source.as_ref().zip(named.reference.as_ref());
    let ids = named.ids.iter().map(|id| (&id.id_type, &id.value));
    let all = reference.into_iter().chain(ids).map(|(scope, value)| format!("{scope} {value}"));
    let all = all.collect::<Vec<_>>().join(", ");
    if all.is_empty() { all } else { format!(" ({all})") }
}

fn text(items: &[HistoryItem]) -> String {
    let mut table = Table::new(&[
        "version",
        "change",
        "state",
        "effective",
        "recorded",
        "channel",
        "source",
        "actor",
        "reason",
        "payee",
        "message",
        "record",
    ]);
    for item in items {
        let record = (item.topic.as_ref().zip(item.partition).zip(item.offset))
            .map(|((topic, partition), offset)| format!("{topic}/{partition}@{offset}"));
        let reason = match (&item.reason_code, &item.reason_note) {
            (Some(code), Some(note)) => Some(format!("{code}: {note}")),
            (code, _) => code.clone(),
        };
        table.row(vec![
            item.version.to_string(),
            item.change.clone(),
            or_dash(item.state.as_ref()),
            or_dash(item.effective_date.date()),
            or_dash(item.recorded_at.time().map(moment)),
            item.channel.clone(),
            item.source.clone(),
            or_dash(item.actor.as_ref()),
            or_dash(reason),
            or_dash(item.payee.as_ref().map(|payee| payee.named.registrant_id)),
            item.message_id.clone(),
            or_dash(record),
        ]);
    }
    let head = items.first().map(|item| {
        let (whose, program) = (&item.registrant, &item.program.code);
        format!("{}: {}{} in {program}\n", item.membership_id, whose.registrant_id, names(whose))
    });
    head.unwrap_or_default() + &table.text("No more changes.")
}
