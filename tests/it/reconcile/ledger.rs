//! Lies of the ledger, the inbox and the letters.

use serde_json::{Value, json};

use super::{lie, seed, tell};
use crate::scene::{Scene, partition};

#[tokio::test(flavor = "multi_thread")]
async fn lies_of_the_ledger_are_found() {
    let scene = Scene::new().await;
    let at = partition(0);
    seed(&scene, &at).await;
    let place = |partition: i32, offset: i64| json!({"topic": &*at.topic, "partition": partition, "offset": offset});
    let set = |offset: i64, byte: u8| {
        format!(
            "UPDATE intake_ledger SET outcomes = set_byte(outcomes, ({offset} - first_offset)::int, {byte})
             WHERE partition = 0 AND first_offset <= {offset} AND next_offset > {offset}"
        )
    };
    let ledger_row = |first: i64, next: i64, outcomes: &str| {
        format!(
            "INSERT INTO intake_ledger SELECT topic, partition, {first}, {next}, fence, '{outcomes}', recorded_at
             FROM intake_ledger WHERE partition = 0 LIMIT 1"
        )
    };
    let inbox_row = |table: &str, message_id: &str, offset: i64| {
        let more =
            if table == "inbox" { ("fingerprint, channel,", "'', 'KAFKA',") } else { ("", "") };
        format!(
            r#"INSERT INTO {table} (source, message_id, attempt, {} status, outcome, result, topic, partition, "offset", recorded_at)
               SELECT 'registry', '{message_id}', 1, {} 'SUCCEEDED', 'A', '', topic, partition, {offset}, recorded_at
               FROM intake_ledger WHERE partition = 0 LIMIT 1"#,
            more.0, more.1
        )
    };
    let with = |mut place: Value, key: &str, value: &str| {
        place[key] = json!(value);
        place
    };
    tell(
        &scene,
        &[
            lie("ledger", "a hole: 4", place(0, 4), "DELETE FROM intake_ledger WHERE first_offset = 4"),
            lie("ledger", "a double: 1", place(0, 1), ledger_row(1, 2, "A")),
            lie("ledger", "a double: 2", place(0, 8), ledger_row(5, 12, "AAAAAAA")),
            lie("ledger", "an outcome that is none", place(0, 1), set(1, b'x')),
            lie("lost", "lost, and accepted", place(0, 5), set(5, b'!')),
            lie(
                "outcomes",
                "the ledger says U, the inbox says A",
                with(place(0, 1), "message_id", "m2"),
                set(1, b'U'),
            ),
            lie("outcomes", "the ledger says L, the inbox says A", place(0, 1), set(1, b'L')),
            lie("outcomes", "the ledger says A, the inbox has no row", place(0, 5), set(5, b'A')),
            lie("outcomes", "the ledger says D, yet the inbox", place(0, 9), set(9, b'D')),
            lie("outcomes", "the ledger says -, yet dead_letters", place(0, 2), set(2, b'-')),
            lie(
                "outcomes",
                "the ledger says A, the inbox has no row",
                place(0, 1),
                "DELETE FROM inbox WHERE message_id = 'm2'",
            ),
            lie(
                "outcomes",
                "the ledger says R, the inbox has no row",
                place(0, 3),
                "DELETE FROM inbox_attempts WHERE message_id = 'm3'",
            ),
            lie("outcomes", "the ledger says L, dead_letters has no row", place(0, 2), "DELETE FROM dead_letters"),
            lie(
                "outcomes",
                "the ledger says A, the inbox says R",
                place(0, 0),
                "UPDATE inbox SET outcome = 'R' WHERE message_id = 'm1'",
            ),
            lie(
                "outcomes",
                "the inbox has a row for an offset that the ledger does not have",
                with(place(0, 99), "message_id", "made-up"),
                inbox_row("inbox", "made-up", 99),
            ),
            lie(
                "outcomes",
                "dead_letters has a row for an offset that the ledger does not have",
                place(0, 99),
                r#"UPDATE dead_letters SET "offset" = 99"#,
            ),
            lie("outcomes", "a double", place(0, 1), inbox_row("inbox_attempts", "m2", 1)),
            lie(
                "outcomes",
                "the inbox has a row of another transaction",
                place(0, 1),
                "UPDATE inbox SET recorded_at = recorded_at - interval '30 days' WHERE message_id = 'm2'",
            ),
        ],
    )
    .await;
}
