//! Letters and what an operator does to them, beside what the tests of parking do.

use std::sync::Arc;

use bytes::Bytes;
use rollcall::apply::{Batch, Record, Slice, TopicPartition};
use rollcall::contract::wire::{Action, EnrollmentRequest};
use rollcall::contract::{Message, encode};
use rollcall::dead_letter::{Desk, Filter, How, Run, Wish};
use rollcall::lifecycle::clock::ManualClock;
use rollcall::store::letters_list::{Stored, records, selection};
use serde_json::Value;
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

use super::waiting::Waiting;
use crate::reconcile::offline;
use crate::scene::{raw, update};

impl Waiting {
    pub(super) fn desk(&self) -> Desk {
        let clock = Arc::<ManualClock>::clone(&self.scene.clock);
        Desk { applier: self.scene.applier.clone(), pool: self.scene.pool.clone(), clock }
    }

    /// Each transaction has a time of its own.
    pub(super) fn later(&self) {
        self.scene.clock.advance(time::Duration::SECOND);
    }

    /// Nobody can be paused, or everybody again.
    pub(super) async fn poison(&self) {
        self.sql("ALTER TABLE membership_history ADD CONSTRAINT poison CHECK (change <> 'PAUSED')")
            .await;
    }

    pub(super) async fn antidote(&self) {
        self.sql("ALTER TABLE membership_history DROP CONSTRAINT poison").await;
    }

    /// A record that cannot be read when it comes, and can be by an operator later.
    pub(super) async fn unreadable<M: Message>(
        &mut self,
        at: &TopicPartition,
        offset: i64,
        key: &str,
        request: &M,
    ) {
        self.later();
        let key = Bytes::from(key.to_owned());
        self.apply(raw(at, offset, Some(key), Some(Bytes::from_static(b"no request")))).await;
        sqlx::query("UPDATE dead_letters SET value = $1 WHERE topic = $2 AND \"offset\" = $3")
            .bind(encode(request).unwrap())
            .bind(&*at.topic)
            .bind(offset)
            .execute(&self.scene.pool)
            .await
            .unwrap();
    }

    pub(super) async fn unreadable_act(&mut self, message_id: &str, key: &str, action: Action) {
        let (at, offset) = self.updates.clone();
        self.updates.1 += 1;
        self.unreadable(&at, offset, key, &update(message_id, "r1", "CASH", action)).await;
    }

    pub(super) async fn unreadable_enrollment(&mut self, key: &str, request: &EnrollmentRequest) {
        let (at, offset) = self.enrollments.clone();
        self.enrollments.1 += 1;
        self.unreadable(&at, offset, key, request).await;
    }

    /// An operator makes the record a letter which occupies its names.
    pub(super) async fn skip(&mut self, record: Record) {
        self.later();
        let slice = Slice {
            at: record.at.clone(),
            fence: self.fence,
            first_offset: record.offset,
            next_offset: record.offset + 1,
        };
        let (taken, _) = self.scene.applier.skipped(record, false);
        let batch = Batch { slices: vec![slice], records: vec![taken], ..Batch::default() };
        self.scene.applier.apply(batch, &CancellationToken::new()).await;
    }

    pub(super) async fn later_act(&mut self, message_id: &str, action: Action) {
        self.later();
        self.act(message_id, "r1", action).await;
    }

    pub(super) async fn stored(&self) -> Vec<Stored> {
        let mut connection = self.scene.pool.acquire().await.unwrap();
        let meant = selection(&mut connection, Filter::default()).await.unwrap();
        let ids: Vec<_> = meant.iter().map(|letter| letter.letter_id).collect();
        records(&mut connection, &ids).await.unwrap()
    }

    pub(super) async fn begin(&self, holder: &mut PgConnection, how: How) -> Run {
        self.later();
        let wish = Wish { actor: "anna".to_owned(), reason: "a test".to_owned() };
        let meant = self.desk().select(Filter::default()).await.unwrap();
        self.desk().begin(holder, &meant, how, &wish).await.unwrap()
    }

    pub(super) async fn go_on(&self, run: &Run, holder: &mut PgConnection) -> Value {
        self.later();
        let hard = CancellationToken::new();
        self.desk().go_on(run, holder, &hard, |_| {}).await.unwrap();
        let run = self.desk().run_as_it_stands(run.run_id).await.unwrap();
        assert_eq!(run["state"], "DONE", "{run}");
        run["counts"].clone()
    }

    pub(super) async fn replay_as(&self, how: How) -> Value {
        let mut holder = self.scene.pool.acquire().await.unwrap();
        let run = self.begin(&mut holder, how).await;
        self.go_on(&run, &mut holder).await
    }

    /// Replays all open letters; gives what they came to.
    pub(super) async fn replay(&self) -> Value {
        self.replay_as(How::default()).await
    }

    /// State, outcome and attempts of all letters, the oldest first.
    pub(super) async fn letters(&self) -> String {
        self.scene
            .text(
                "SELECT string_agg(concat_ws(' ', state, outcome, attempts), ', ' ORDER BY first_failed_at)
                 FROM dead_letters",
            )
            .await
    }

    pub(super) async fn deeds(&self) -> String {
        self.scene
            .text(
                "SELECT coalesce(string_agg(concat_ws(' ', action, outcome, code), ', ' ORDER BY action_id), '')
                 FROM dead_letter_actions",
            )
            .await
    }

    pub(super) async fn channels(&self) -> String {
        self.scene
            .text(
                "SELECT string_agg(message_id || ':' || version || ':' || channel, ' ' ORDER BY version)
                 FROM membership_history",
            )
            .await
    }

    pub(super) async fn proved(&self) {
        let report = offline(&self.scene).await;
        assert!(report.proved(), "{:#}", report.to_json());
    }
}
