//! What operators put right, with the real binary beside a real worker.

mod discard;
mod partitions;
mod replay;
mod runs;
pub(crate) mod schema;
mod stall;

use rollcall::contract::wire::{Action, Millis, RequestResult};
use rollcall::contract::{decode_own, encode};
use rollcall::lifecycle::clock::{Clock as _, SystemClock};
use serde_json::Value;

use crate::scene::update;
use crate::stage::{Stage, request};
use crate::support::{NewRecord, PATIENCE, eventually};

pub(crate) const UPDATES: &str = "membership-updates";

/// The record of an update that is sent now.
pub(crate) fn act(message_id: &str, reference: &str, action: Action) -> NewRecord {
    let mut request = update(message_id, reference, "CASH", action);
    request.sent_at = Millis::from(SystemClock.now());
    NewRecord {
        partition: Some(3),
        key: Some(reference.as_bytes().to_vec()),
        value: Some(encode(&request).expect("a request that fits its schema")),
        ..NewRecord::default()
    }
}

/// A request of which the last bytes are missing; its headers say which one it is.
fn cut_off(number: usize) -> NewRecord {
    let mut bytes = encode(&request(number)).unwrap();
    bytes.truncate(bytes.len() - 3);
    let header = |name: &str, value: String| (name.to_owned(), Some(value.into_bytes()));
    NewRecord {
        partition: Some(3),
        key: Some(format!("r{number}").into_bytes()),
        value: Some(bytes),
        headers: vec![
            header("ce_source", "registry".to_owned()),
            header("ce_id", format!("m{number}")),
        ],
        timestamp: None,
    }
}

/// Keeps the enrollment of r7 from being written.
async fn poison(stage: &Stage) {
    sqlx::query(
        "ALTER TABLE registrants ADD CONSTRAINT no_poison CHECK (name <> 'Seeded Name r7')",
    )
    .execute(&stage.db.pool)
    .await
    .unwrap();
}

/// The ids of the letters in the list, the oldest first.
async fn letters(stage: &Stage) -> Vec<String> {
    let (_, list) = stage.json(&["dead-letters", "list"]).await;
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["letter_id"].as_str().unwrap().to_owned()).collect()
}

/// What `show` says of a letter.
async fn shown(stage: &Stage, letter: &str) -> Value {
    let (code, shown) = stage.json(&["dead-letters", "show", letter]).await;
    assert_eq!(code, 0);
    shown
}

fn actions(shown: &Value) -> Vec<&str> {
    let actions = shown["actions"].as_array().unwrap();
    actions.iter().map(|action| action["action"].as_str().unwrap()).collect()
}

/// The last result of a message, once it is final.
async fn result(stage: &Stage, message_id: &str) -> RequestResult {
    eventually(PATIENCE, "the final result is published", async || {
        let all = stage.topics.read("results").await.into_iter();
        let all = all.map(|record| decode_own(record.value.as_deref().unwrap()).unwrap());
        let mut own: Vec<RequestResult> =
            all.filter(|result: &RequestResult| result.message_id == message_id).collect();
        own.pop().filter(|result| result.r#final)
    })
    .await
}

/// Waits until nothing waits any more; gives the outcomes in the order of the queue.
pub(crate) async fn drained(stage: &Stage) -> String {
    eventually(PATIENCE, "the queue drains", async || {
        let outcomes =
            "SELECT coalesce(string_agg(coalesce(outcome, '?'), '' ORDER BY parked_id), '')
                        FROM parked_records";
        let outcomes: String = sqlx::query_scalar(outcomes).fetch_one(&stage.db.pool).await.ok()?;
        (!outcomes.contains('?')).then_some(outcomes)
    })
    .await
}
