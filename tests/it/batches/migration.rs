//! What was taken before batches were counted.

use sqlx::{Connection as _, Executor as _, PgConnection};

use super::digest;
use crate::support;

/// Batch, messages seen, digest, positions, state.
type Row = (String, i32, Vec<u8>, Vec<i64>, String);

#[tokio::test(flavor = "multi_thread")]
async fn a_migrated_inbox_is_counted_as_it_stands() {
    let database = support::database().await;
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    for migration in [
        include_str!("../../../migrations/0001_intake.sql"),
        include_str!("../../../migrations/0002_outbox.sql"),
    ] {
        connection.execute(migration).await.unwrap();
    }
    connection
        .execute(
            "INSERT INTO inbox (source, message_id, attempt, fingerprint, status, outcome, result, batch_id, channel, recorded_at)
             SELECT 'registry', 'm' || n, 1, '', 'SUCCEEDED', (ARRAY['A', 'U', 'P', 'R'])[1 + n % 4], '',
                    CASE WHEN n <= 400 THEN 'old' END, 'KAFKA', now() FROM generate_series(1, 500) AS n;
             INSERT INTO outbox_runs (stream, first_seq, count, batch, recorded_at) VALUES (1002, 1, 5, 1, now()), (1002, 6, 3, 2, now())",
        )
        .await
        .unwrap();
    connection.execute(include_str!("../../../migrations/0004_batches.sql")).await.unwrap();
    let words = ["applied", "unchanged", "partial", "rejected"];
    let ids: Vec<_> = (1..=400).map(|n| (format!("m{n}"), words[n % 4])).collect();
    let row = "SELECT batch_id, applied_count + unchanged_count + partial_count + rejected_count, digest, positions, state
               FROM batches";
    let rows: Vec<Row> = sqlx::query_as(row).fetch_all(&mut connection).await.unwrap();
    let [(batch_id, seen, stored, positions, state)] = rows.as_slice() else {
        panic!("one batch: {rows:?}")
    };
    assert_eq!((&**batch_id, *seen, &**state), ("old", 400, "OPEN"));
    assert_eq!(*stored, digest(ids.iter().map(|(id, word)| (id.as_str(), *word))));
    assert_eq!(*positions, [0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0], "where the streams were");
}
