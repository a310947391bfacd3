//! What batches count of records that waited and became letters.

use bytes::Bytes;
use rollcall::apply::Record;
use rollcall::contract::wire::{Action, BatchRef};

use super::waiting::Waiting;
use crate::batches::digest;
use crate::scene::{carrying, enrollment, raw, update};

/// Counts of applied and held, letters among them, and the digest.
async fn counted(w: &Waiting, batch_id: &str) -> String {
    sqlx::query_scalar(
        "SELECT concat_ws(' ', applied_count, held_count, letters_held, encode(digest, 'hex')) FROM batches
         WHERE batch_id = $1",
    )
    .bind(batch_id)
    .fetch_one(&w.scene.pool)
    .await
    .unwrap()
}

impl Waiting {
    /// Each transaction has a time of its own, as `reconcile` takes it.
    async fn apply_later(&mut self, record: Record) {
        self.scene.clock.advance(time::Duration::SECOND);
        self.apply(record).await;
    }

    async fn pause_of(&mut self, batch_id: &str) {
        let (at, offset) = self.updates.clone();
        self.updates.1 += 1;
        let mut pause = update("pause", "r1", "CASH", Action::Pause);
        pause.batch = Some(BatchRef { batch_id: batch_id.to_owned(), total_count: None });
        self.apply_later(carrying(&at, offset, Some("r1"), &pause)).await;
    }

    /// A record that cannot be read, whose headers call it the message "pause" of this batch.
    async fn letter_of(&mut self, batch_id: &'static str) {
        let (at, offset) = self.updates.clone();
        self.updates.1 += 1;
        let mut letter = raw(&at, offset, None, Some(Bytes::from_static(b"no request")));
        letter.headers = [("ce_source", "registry"), ("ce_id", "pause"), ("ce_batchid", batch_id)]
            .map(|(name, value)| {
                (name.as_bytes().to_vec().into(), Some(Bytes::from_static(value.as_bytes())))
            })
            .into();
        self.apply_later(letter).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_record_that_becomes_a_letter_is_held_once_until_it_is_said_again() {
    let mut w = Waiting::new().await;
    // A letter of the same message names another batch: what is taken in "a" does not change what "b" has seen.
    w.letter_of("b").await;
    w.pause_of("a").await;
    let held = hex::encode(digest([("pause", "held")]));
    assert_eq!(counted(&w, "a").await, format!("0 1 0 {held}"), "it is parked");
    w.sql("ALTER TABLE membership_history ADD CONSTRAINT never_paused CHECK (change <> 'PAUSED')")
        .await;
    let mut enroll = enrollment("enroll", "r1", "CASH");
    enroll.batch = Some(BatchRef { batch_id: "a".to_owned(), total_count: Some(2) });
    let enroll = w.enrollment(&enroll);
    w.apply_later(enroll).await;
    w.scene.clock.advance(time::Duration::SECOND);
    w.scene.drain().await;
    assert_eq!(w.parked().await, "pause RESOLVED BEHIND L");
    let both = hex::encode(digest([("enroll", "applied"), ("pause", "held")]));
    assert_eq!(counted(&w, "a").await, format!("1 1 1 {both}"), "it is a letter");
    assert_eq!(counted(&w, "b").await, format!("0 1 1 {held}"));
    w.proved().await;

    w.sql("ALTER TABLE membership_history DROP CONSTRAINT never_paused").await;
    w.pause_of("a").await;
    assert_eq!(w.history().await, "enroll:ENROLLED:1 pause:PAUSED:2");
    let applied = hex::encode(digest([("enroll", "applied"), ("pause", "applied")]));
    assert_eq!(counted(&w, "a").await, format!("2 0 0 {applied}"), "each message once");
    assert_eq!(counted(&w, "b").await, format!("0 1 1 {held}"));
    w.proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_said_again_and_waits_is_held_but_no_letter() {
    let mut w = Waiting::new().await;
    let held = hex::encode(digest([("pause", "held")]));
    w.letter_of("a").await;
    assert_eq!(counted(&w, "a").await, format!("0 1 1 {held}"));
    w.pause_of("a").await;
    assert_eq!(counted(&w, "a").await, format!("0 1 0 {held}"));
    w.proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_record_that_can_be_read_no_longer_is_held_by_its_letter() {
    let mut w = Waiting::new().await;
    let held = hex::encode(digest([("pause", "held")]));
    w.pause_of("a").await;
    w.sql("UPDATE parked_records SET value = 'no request'").await;
    w.scene.clock.advance(time::Duration::seconds(61));
    w.scene.drain().await;
    assert_eq!(w.parked().await, "pause RESOLVED REGISTRANT L");
    assert_eq!(counted(&w, "a").await, format!("0 1 1 {held}"));
    w.proved().await;
    w.pause_of("a").await;
    assert_eq!(counted(&w, "a").await, format!("0 1 0 {held}"), "each message once");
    w.proved().await;
}
