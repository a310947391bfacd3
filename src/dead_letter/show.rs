//! Letters as commands and HTTP say them.

use super::mask::{MASKED, is_open_header, mask};
use super::{Advice, Alike, Filter, Listed};
use crate::apply::Fate;
use crate::contract::is_source;
use crate::contract::lines::is_batch_id;
use crate::contract::wire::Millis;
use crate::contract::{Schemas, decode_partly};
use crate::store;
use crate::store::letters_list::{self, Stored};
use crate::store::letters_runs::Run;
use crate::store::operator::{self, Action, By, Deeds};
use crate::store::operator_actions::OperatorAction;
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Bytes of a line of the hex view.
const LINE: usize = 16;
/// Bytes of a value that its header has: shown always.
const HEADER: usize = 10;

/// An id as it may be shown: what breaks its rule may be anything, and is not.
fn id(bytes: Option<&Vec<u8>>, rule: fn(&str) -> bool) -> Option<&str> {
    bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).filter(|text| rule(text))
}

/// What a letter came to, as everybody reads it: the tables have a letter for it.
pub fn outcome_word(stored: &str) -> &'static str {
    Fate::word_of(stored.bytes().next().unwrap_or_default())
}

/// A letter in a list.
pub fn object(letter: &Listed) -> Value {
    json!({
        "letter_id": letter.letter_id,
        "class": letter.class,
        "stage": letter.stage,
        "code": letter.code,
        "detail": letter.detail,
        "state": letter.state,
        "outcome": letter.outcome.as_deref().map(outcome_word),
        "attempts": letter.attempts,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "record_timestamp": Millis::from(letter.record_timestamp),
        "source": id(letter.source.as_ref(), is_source),
        "message_id": id(letter.message_id.as_ref(), is_batch_id),
        "batch_id": id(letter.batch_id.as_ref(), is_batch_id),
        "schema": letter.schema.as_ref().map(hex::encode),
        "key_bytes": letter.key_bytes,
        "value_bytes": letter.value_bytes,
        "header_count": letter.header_count,
        "first_failed_at": Millis::from(letter.first_failed_at),
        "last_failed_at": Millis::from(letter.last_failed_at),
        "resolved_at": letter.resolved_at.map(Millis::from),
    })
}

/// A group of letters in a list.
pub fn group_object(group: &Alike) -> Value {
    json!({
        "class": group.class,
        "stage": group.stage,
        "code": group.code,
        "topic": group.topic,
        "schema": group.schema.as_ref().map(hex::encode),
        "source": id(group.source.as_ref(), is_source),
        "count": group.count,
        "first_failed_at": Millis::from(group.first_failed_at),
        "last_failed_at": Millis::from(group.last_failed_at),
    })
}

/// A letter that was given up, with what became of its request.
pub fn discarded(letter_id: Uuid, outcome: &str) -> Value {
    json!({"letter_id": letter_id, "state": "DISCARDED", "outcome": outcome})
}

/// A run, with what its letters came to so far.
pub fn run_object(run: &Run, counts: &[(Uuid, String, i64)]) -> Value {
    let mut by_outcome = Map::new();
    for (_, outcome, count) in counts.iter().filter(|(run_id, ..)| *run_id == run.run_id) {
        by_outcome.insert(outcome_word(outcome).to_owned(), (*count).into());
    }
    json!({
        "run_id": run.run_id,
        "state": run.state,
        "selected": run.selected,
        "counts": by_outcome,
        "digest": hex::encode(&run.digest),
        "force": run.force,
        "rate": run.rate,
        "actor": run.actor,
        "reason": run.reason,
        "cause": run.cause,
        "started_at": Millis::from(run.started_at),
        "ended_at": run.ended_at.map(Millis::from),
    })
}

/// A letter with all that there is to see of it.
#[derive(Clone)]
pub struct Shown {
    /// What it is.
    pub letter: Listed,
    record: Stored,
    actions: Vec<Action>,
    revealed: bool,
}

impl std::fmt::Debug for Shown {
    /// P9: its id only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Shown").field(&self.letter.letter_id).finish()
    }
}

/// Reads a letter; none if there is no such one. With `reveal` the values of persons are to be shown, and the audit says
/// who asked for them.
///
/// # Errors
/// When the database fails.
pub async fn show(
    connection: &mut PgConnection,
    letter_id: Uuid,
    reveal: Option<By<'_>>,
    now: OffsetDateTime,
) -> store::Result<Option<Shown>> {
    let filter = Filter { letter_id: Some(letter_id), ..Filter::default() };
    let Some(letter) = letters_list::list(connection, filter, None, 1).await?.pop() else {
        return Ok(None);
    };
    let Some(record) = letters_list::records(connection, &[letter_id]).await?.pop() else {
        return Ok(None);
    };
    if let Some(by) = reveal {
        let mut deeds = Deeds::default();
        deeds.push(letter_id, "REVEALED");
        operator::insert_actions(connection, &deeds, by, now).await?;
    }
    let actions = operator::actions(connection, letter_id).await?;
    Ok(Some(Shown { letter, record, actions, revealed: reveal.is_some() }))
}

impl Shown {
    /// What went wrong, and what to do about it: nothing, once it is put right.
    pub fn advice(&self) -> Advice {
        let advice = Advice::of(&self.letter.class, &self.letter.code);
        match self.letter.state.as_str() {
            "OPEN" => advice,
            "DISCARDED" => Advice { what_to_do: "Nothing: it was given up.", ..advice },
            _ => Advice { what_to_do: "Nothing: it was put right.", ..advice },
        }
    }

    /// Its headers, in order; a value that is not shown is masked.
    pub fn headers(&self) -> Vec<(String, Option<String>)> {
        let headers = self.record.header_keys.iter().zip(&self.record.header_values);
        headers
            .map(|(name, value)| {
                let name = String::from_utf8_lossy(name).into_owned();
                let shown = |value: &Vec<u8>| {
                    let value = String::from_utf8_lossy(value).into_owned();
                    if self.revealed || is_open_header(&name, &value) {
                        value
                    } else {
                        MASKED.to_owned()
                    }
                };
                let value = value.as_ref().map(shown);
                (name, value)
            })
            .collect()
    }

    /// Its key, as text where it is text.
    pub fn key(&self) -> Option<String> {
        let key = self.record.key.as_deref()?;
        Some(match std::str::from_utf8(key) {
            _ if !self.revealed => MASKED.to_owned(),
            Ok(text) => text.to_owned(),
            Err(_) => format!("0x{}", hex::encode(key)),
        })
    }

    /// Its bytes, line by line: where, in hex, as text. Masked, only those of the header that says how it is encoded.
    pub fn hex(&self) -> String {
        let value = self.record.value.as_deref().unwrap_or_default();
        let shown = if self.revealed { value } else { value.get(..HEADER).unwrap_or(value) };
        // What is shorter than a header is no header, and may say anything.
        let shown = if self.revealed || value.starts_with(&[0xc3, 0x01]) { shown } else { &[] };
        let line = |(line, bytes): (usize, &[u8])| {
            let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let printable = |byte: &u8| match *byte {
                byte @ 0x20..0x7f => char::from(byte),
                _ => '.',
            };
            let plain: String = bytes.iter().map(printable).collect();
            format!("{:06x}  {:47}  {plain}\n", line * LINE, digits.join(" "))
        };
        let mut lines: Vec<String> = shown.chunks(LINE).enumerate().map(line).collect();
        if shown.len() < value.len() {
            let masked = value.len() - shown.len();
            lines.push(format!("{masked} bytes are masked: reveal shows them\n"));
        }
        lines.concat()
    }

    /// Its request as far as it decodes; none if its schema is not known.
    pub fn decoded(&self, schemas: &Schemas) -> Option<Value> {
        let mut partly = decode_partly(schemas, self.record.value.as_deref()?)?;
        if !self.revealed {
            mask(&mut partly.value);
        }
        Some(json!({
            "type": partly.message.name(),
            "version": partly.version,
            "complete": partly.complete,
            "bytes_left": partly.rest,
            "value": partly.value,
        }))
    }

    /// What was done to it.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// The whole as `--json` says it.
    pub fn object(&self, schemas: &Schemas) -> Value {
        let mut all = Map::new();
        if let Value::Object(fields) = object(&self.letter) {
            all.extend(fields);
        }
        let advice = self.advice();
        let headers: Vec<_> = self
            .headers()
            .into_iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        let actions: Vec<_> = self.actions.iter().map(action).collect();
        let more = json!({
            "meaning": advice.meaning,
            "what_to_do": advice.what_to_do,
            "revealed": self.revealed,
            "key": self.key(),
            "headers": headers,
            "hex": self.hex(),
            "decoded": self.decoded(schemas),
            "actions": actions,
        });
        if let Value::Object(fields) = more {
            all.extend(fields);
        }
        Value::Object(all)
    }
}

/// A deed on a run.
pub(super) fn deed_object(deed: &OperatorAction) -> Value {
    json!({
        "action": deed.action,
        "actor": deed.actor,
        "reason": deed.reason,
        "recorded_at": Millis::from(deed.recorded_at),
    })
}

fn action(action: &Action) -> Value {
    json!({
        "action": action.action,
        "run_id": action.run_id,
        "outcome": action.outcome.as_deref().map(outcome_word),
        "class": action.class,
        "stage": action.stage,
        "code": action.code,
        "actor": action.actor,
        "reason": action.reason,
        "recorded_at": Millis::from(action.recorded_at),
    })
}
