//! Lies of runs, outbox and cursors.

use serde_json::json;

use super::{lie, seed, tell};
use crate::scene::{Scene, partition};

#[tokio::test(flavor = "multi_thread")]
async fn lies_of_the_streams_are_found() {
    let scene = Scene::new().await;
    seed(&scene, &partition(0)).await;
    // The results for r1: three runs.
    let stream = rollcall::contract::shard(b"r1", 12) as i16;
    let first = format!("WHERE stream = {stream} AND first_seq = 1");
    let last = format!(
        "WHERE stream = {stream} AND batch = (SELECT max(batch) FROM outbox_runs WHERE stream = {stream})"
    );
    let at = |sequence: i64| json!({"stream": stream, "sequence": sequence});
    let number: i64 =
        sqlx::query_scalar("SELECT max(first_seq + count - 1) FROM outbox_runs WHERE stream = $1")
            .bind(stream)
            .fetch_one(&scene.pool)
            .await
            .unwrap();
    assert!(number >= 3);
    tell(
        &scene,
        &[
            lie("runs", "a missing run", at(1), format!("DELETE FROM outbox_runs {first}")),
            lie("runs", "rows of batch", json!({"stream": stream}), format!("DELETE FROM outbox_runs {last}")),
            lie(
                "runs",
                "a double",
                at(2),
                format!("UPDATE outbox_runs SET count = count + 1 {first}"),
            ),
            lie(
                "runs",
                "a missing run",
                at(number),
                format!("UPDATE outbox_runs SET first_seq = first_seq + 1 {last}"),
            ),
            lie("runs", "a run of 1 numbers has 0 rows", at(number), format!("DELETE FROM outbox {last}")),
            lie("runs", "the rows of a run are not", at(number), format!("UPDATE outbox SET pos = 7 {last}")),
            lie(
                "runs",
                "rows of batch",
                json!({"stream": 3011}),
                "INSERT INTO outbox (batch, stream, pos, id, cause) VALUES (77, 3011, 0, gen_random_uuid(), '')",
            ),
            lie(
                "cursors",
                "a cursor beyond the last number",
                json!({"stream": stream, "sequence": number + 1, "topic": "results"}),
                format!("UPDATE relay_cursors SET acked = {} WHERE stream = {stream}", number + 1),
            ),
            lie(
                "cursors",
                "a cursor before the beginning",
                json!({"stream": 1003, "topic": "membership-state"}),
                "UPDATE relay_cursors SET acked = -1 WHERE stream = 1003 AND topic = 'membership-state'",
            ),
            lie(
                "cursors",
                "a stream has no cursor",
                json!({"stream": 1003}),
                "DELETE FROM relay_cursors WHERE stream = 1003 AND topic = 'membership-events'",
            ),
            lie(
                "cursors",
                "a cursor of a topic that the stream does not feed",
                json!({"stream": 1003, "topic": "results"}),
                "UPDATE relay_cursors SET topic = 'results' WHERE stream = 1003 AND topic = 'membership-state'",
            ),
            lie(
                "cursors",
                "a cursor of a stream that does not exist",
                json!({"stream": 9999, "topic": "membership-state"}),
                "UPDATE relay_cursors SET stream = 9999 WHERE stream = 1003 AND topic = 'membership-state'",
            ),
        ],
    )
    .await;
}
