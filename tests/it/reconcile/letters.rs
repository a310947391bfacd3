//! Lies of letters, and of what they came to.

use std::sync::Arc;

use bytes::Bytes;
use rollcall::apply::{Deed, Replay, TopicPartition};
use rollcall::contract::encode;
use rollcall::dead_letter::Filter;
use rollcall::lifecycle::clock::Clock as _;
use rollcall::store::letters_list::{records, selection};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{execute, lie, offline, tell};
use crate::scene::{Scene, enrollment, partition, raw};

/// Letters, each in a transaction of its own, and what is done to them.
struct Seed {
    scene: Scene,
    at: TopicPartition,
    fence: Uuid,
}

impl Seed {
    fn later(&self) {
        self.scene.clock.advance(time::Duration::seconds(1));
    }

    async fn apply(&self, offset: i64, value: &[u8]) {
        self.later();
        let value = Bytes::copy_from_slice(value);
        let record = raw(&self.at, offset, Some(Bytes::from_static(b"r")), Some(value));
        Box::pin(self.scene.apply(self.fence, vec![record])).await;
    }

    /// A record that cannot be read when it comes, and can be later; gives its bytes.
    async fn unreadable(&self, offset: i64) -> Vec<u8> {
        self.apply(offset, format!("junk {offset}").as_bytes()).await;
        let request = encode(&enrollment(&format!("m{offset}"), &format!("r{offset}"), "CASH"));
        let request = request.expect("it fits its schema");
        sqlx::query("UPDATE dead_letters SET value = $1 WHERE \"offset\" = $2")
            .bind(&request)
            .bind(offset)
            .execute(&self.scene.pool)
            .await
            .expect("an update");
        request
    }

    /// Does that to the letter with this offset.
    async fn put_right(&self, deed: Deed, offset: i64) {
        self.later();
        let mut connection = self.scene.pool.acquire().await.expect("a connection");
        let meant = selection(&mut connection, Filter::default()).await.expect("letters");
        let ids: Vec<_> = meant.iter().map(|letter| letter.letter_id).collect();
        let mut stored = records(&mut connection, &ids).await.expect("their records");
        drop(connection);
        stored.retain(|letter| letter.offset == Some(offset));
        let replay = Arc::new(Replay::new(deed, self.scene.clock.now()));
        let batch = self.scene.applier.batch_of_letters(stored, Arc::clone(&replay));
        Box::pin(self.scene.applier.apply(batch, &CancellationToken::new())).await;
        assert_eq!(replay.take_done().letters.len(), 1);
    }

    /// Offset 0 stays a letter; 1 is replayed; 2 is given up, and nobody knows who sent it; 3 is given up and answered;
    /// 4 is sent again with 5.
    async fn new() -> Self {
        let (scene, at) = (Scene::new().await, partition(0));
        let fence = scene.lease(&at).await;
        let seed = Self { scene, at, fence };
        seed.apply(0, b"junk").await;
        seed.unreadable(1).await;
        seed.put_right(Deed::Replay, 1).await;
        seed.apply(2, b"more junk").await;
        seed.put_right(Deed::Discard, 2).await;
        seed.unreadable(3).await;
        seed.put_right(Deed::Discard, 3).await;
        let request = seed.unreadable(4).await;
        seed.apply(5, &request).await;
        assert_eq!(seed.scene.ledger().await, "LLLLLA");
        let letters = seed
            .scene
            .text(
                "SELECT string_agg(concat_ws(' ', state, outcome), ', ' ORDER BY \"offset\") FROM dead_letters",
            )
            .await;
        assert_eq!(letters, "OPEN, RESOLVED A, DISCARDED R, DISCARDED R, RESOLVED A");
        seed
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_of_letters_are_found() {
    let seed = Seed::new().await;
    let report = offline(&seed.scene).await;
    assert!(report.proved(), "{:#}", report.to_json());
    let letters = report.checks.iter().find(|check| check.name == "letters").unwrap();
    assert_eq!(letters.checked, 5);

    let place = |offset: i64| -> Value {
        json!({"topic": &*seed.at.topic, "partition": 0, "offset": offset})
    };
    let set = |offset: i64, what: &str| {
        format!("UPDATE dead_letters SET {what} WHERE \"offset\" = {offset}")
    };
    tell(
        &seed.scene,
        &[
            lie(
                "letters",
                "a closed letter does not say when",
                place(0),
                set(0, "state = 'RESOLVED', outcome = 'A'"),
            ),
            lie("letters", "an open letter has an outcome", place(0), set(0, "outcome = 'A'")),
            lie(
                "letters",
                "a closed letter without an outcome",
                place(1),
                set(1, "outcome = NULL"),
            ),
            lie(
                "letters",
                "the letter's record is said to wait",
                place(0),
                set(0, "state = 'RESOLVED', outcome = 'K', resolved_at = last_failed_at"),
            ),
            lie(
                "outcomes",
                "dead_letters says A, the inbox has no row",
                place(0),
                set(0, "state = 'RESOLVED', outcome = 'A', resolved_at = last_failed_at"),
            ),
            lie(
                "outcomes",
                "dead_letters says A, the inbox has no row",
                place(1),
                "DELETE FROM inbox WHERE channel = 'REPLAY'",
            ),
            lie("outcomes", "dead_letters says U, the inbox", place(1), set(1, "outcome = 'U'")),
            lie("outcomes", "dead_letters says P, the inbox", place(4), set(4, "outcome = 'P'")),
            lie(
                "outcomes",
                "dead_letters says R, the inbox has no row",
                place(3),
                "DELETE FROM inbox WHERE message_id = 'm3'",
            ),
        ],
    )
    .await;
    // What is older than the inbox is kept cannot be proved from it, and is no lie.
    execute(
        &seed.scene,
        "DELETE FROM inbox;
         UPDATE dead_letters SET resolved_at = resolved_at - interval '500 days' WHERE resolved_at IS NOT NULL",
    )
    .await;
    let report = offline(&seed.scene).await.to_json().to_string();
    assert!(!report.contains("dead_letters says"), "{report}");
}
