//! Letters that are replayed among records that wait.

use std::sync::Arc;

use bytes::Bytes;
use rollcall::apply::{Deed, Record, Replay};
use rollcall::contract::wire::{Action, BatchRef, IdentifierRef};
use rollcall::dead_letter::{Filter, How, Wish, left_of_run};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::waiting::Waiting;
use crate::scene::{NOW, carrying, enrollment, identifier, item, raw, record, update};
use crate::support::{PATIENCE, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_give_an_unreadable_letter_one_number() {
    let mut w = Waiting::new().await;
    w.enroll("enroll", "r1").await;
    w.unreadable_act("pause", "r1", Action::Pause).await;
    w.poison().await;
    // Both have read it before either has tried it.
    let desk = w.desk();
    let mut batches = Vec::new();
    for _ in 0..2 {
        let replay = Arc::new(Replay::new(Deed::Replay, NOW));
        let batch = desk.applier.batch_of_letters(w.stored().await, Arc::clone(&replay));
        batches.push((batch, replay));
    }
    for (batch, replay) in batches {
        w.later();
        desk.applier.apply(batch, &CancellationToken::new()).await;
        assert_eq!(replay.take_done().letters.len(), 1);
    }
    assert_eq!(w.letters().await, "OPEN 3");
    assert_eq!(w.scene.number("SELECT count(DISTINCT parked_id) FROM parked_names").await, 1);
    w.antidote().await;
    assert_eq!(w.replay().await, json!({"applied": 1}));
    w.nobody_waits().await;
    w.proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_letter_that_waits_and_fails_is_open_again() {
    let mut w = Waiting::new().await;
    w.unreadable_act("pause", "r1", Action::Pause).await;
    assert_eq!(w.replay().await, json!({"parked": 1}));
    assert_eq!(w.letters().await, "RESOLVED K 1");
    w.poison().await;
    w.later();
    w.enroll("enroll", "r1").await;
    w.later();
    w.scene.drain().await;
    assert_eq!(w.parked().await, "pause RESOLVED BEHIND L");
    assert_eq!(w.letters().await, "OPEN 2");
    assert_eq!(w.deeds().await, "REPLAYED K, FAILED apply_failed");
    // It occupies its names, and is no second letter.
    w.later_act("resume", Action::Resume).await;
    assert_eq!(w.scene.number("SELECT count(*) FROM outbox WHERE stream >= 3000").await, 1);
    w.proved().await;
    w.antidote().await;
    assert_eq!(w.replay().await, json!({"applied": 1}));
    w.later();
    w.scene.drain().await;
    assert_eq!(w.channels().await, "enroll:1:KAFKA pause:2:REPLAY resume:3:KAFKA");
    w.nobody_waits().await;
    w.proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replayed_letter_comes_to_that_waits_is_its_outcome() {
    let mut w = Waiting::new().await;
    w.unreadable_act("pause", "r1", Action::Pause).await;
    assert_eq!(w.replay().await, json!({"parked": 1}));
    w.later();
    w.enroll("enroll", "r1").await;
    assert_eq!(w.letters().await, "RESOLVED A 1");
    assert_eq!(w.channels().await, "enroll:1:KAFKA pause:2:REPLAY");
    w.nobody_waits().await;
    w.proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_record_whose_schema_is_not_known_here_goes_on_waiting() {
    let mut w = Waiting::new().await;
    w.act("pause", "r1", Action::Pause).await;
    w.sql("CREATE TABLE kept AS SELECT value FROM parked_records").await;
    // Another fingerprint, as of a schema that only another worker has.
    w.sql("UPDATE parked_records SET value = overlay(value placing '\\x0102030405060708' from 3 for 8)").await;
    w.scene.clock.advance(time::Duration::seconds(61));
    w.scene.drain().await;
    w.later();
    w.enroll("enroll", "r1").await;
    w.scene.drain().await;
    assert_eq!(w.parked().await, "pause WAITING BEHIND -");
    assert_eq!(w.scene.number("SELECT count(*) FROM dead_letters").await, 0);
    w.sql("UPDATE parked_records SET value = (SELECT value FROM kept)").await;
    w.scene.clock.advance(time::Duration::seconds(61));
    w.scene.drain().await;
    assert_eq!(w.history().await, "enroll:ENROLLED:1 pause:PAUSED:2");
    w.nobody_waits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_the_commit_of_a_replay_changes_nothing() {
    let mut w = Waiting::new().await;
    w.unreadable_enrollment("r1", &enrollment("enroll", "r1", "CASH")).await;
    w.unreadable_act("mark", "r1", Action::Pause).await;
    let mut holder = w.scene.pool.acquire().await.unwrap();
    let run = w.begin(&mut holder, How::default()).await;
    let mut replay = Replay::new(Deed::Replay, run.started_at);
    replay.run_id = Some(run.run_id);
    let replay = Arc::new(replay);
    let stored = w.stored().await;
    let mut done = Vec::new();
    for _ in 0..2 {
        w.later();
        let batch = w.scene.applier.batch_of_letters(stored.clone(), Arc::clone(&replay));
        w.scene.applier.apply(batch, &CancellationToken::new()).await;
        let mut came = replay.take_done();
        assert_eq!(came.cause, None);
        came.letters.sort_by_key(|letter| letter.letter_id);
        let words = came.letters.iter().map(|letter| (letter.letter_id, letter.fate.word()));
        done.push(words.collect::<Vec<_>>());
    }
    assert_eq!(done[0].len(), 2);
    assert_eq!(done[0], done[1]);
    assert_eq!(w.go_on(&run, &mut holder).await, json!({"applied": 2}));
    assert_eq!(
        w.deeds().await,
        "REPLAYED A succ.membership.changed, REPLAYED A succ.membership.changed"
    );
    w.proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_the_commit_of_a_discard_is_no_refusal() {
    let mut w = Waiting::new().await;
    w.unreadable_act("pause", "r1", Action::Pause).await;
    let stored = w.stored().await;
    let mut replay = Replay::new(Deed::Discard, NOW);
    replay.reason = Some("moved away".to_owned());
    let replay = Arc::new(replay);
    for _ in 0..2 {
        w.later();
        let batch = w.scene.applier.batch_of_letters(stored.clone(), Arc::clone(&replay));
        w.scene.applier.apply(batch, &CancellationToken::new()).await;
        let done = replay.take_done();
        assert_eq!(done.letters[0].fate.word(), "rejected", "{done:?}");
    }
    // Somebody else's is another's.
    let replay = Arc::new(Replay::new(Deed::Discard, NOW));
    let batch = w.scene.applier.batch_of_letters(stored, Arc::clone(&replay));
    w.scene.applier.apply(batch, &CancellationToken::new()).await;
    assert_eq!(replay.take_done().letters[0].fate.code(), Some("not_open"));
    assert_eq!(w.deeds().await, "DISCARDED R rjct.request.discarded, REFUSED not_open");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_put_right_while_the_run_is_under_way_is_not_left() {
    let mut w = Waiting::new().await;
    w.enroll("enroll", "r1").await;
    w.unreadable_act("pause", "r1", Action::Pause).await;
    w.unreadable_act("resume", "r1", Action::Resume).await;
    let mut holder = w.scene.pool.acquire().await.unwrap();
    let run = w.begin(&mut holder, How { force: true, ..How::default() }).await;
    w.later_act("pause", Action::Pause).await;
    assert_eq!(w.letters().await, "RESOLVED A 1, OPEN 1", "sent again");
    assert_eq!(w.go_on(&run, &mut holder).await, json!({"applied": 1, "not_open": 1}));
    assert!(left_of_run(&mut holder, run.run_id, 10).await.unwrap().is_empty());
    assert_eq!(w.history().await, "enroll:ENROLLED:1 pause:PAUSED:2 resume:RESUMED:3");
    w.proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_while_the_run_is_under_way_is_a_change() {
    let mut w = Waiting::new().await;
    w.enroll("enroll", "r1").await;
    w.unreadable_act("pause", "r1", Action::Pause).await;
    let mut holder = w.scene.pool.acquire().await.unwrap();
    let run = w.begin(&mut holder, How::default()).await;
    w.later();
    let mut facts = enrollment("facts", "r1", "CASH");
    facts.registrant.name = Some("Another Name".to_owned());
    let facts = w.enrollment(&facts);
    w.apply(facts).await;
    assert_eq!(w.go_on(&run, &mut holder).await, json!({"refused": 1}));
    assert_eq!(w.deeds().await, "REFUSED registrant_changed");
    assert_eq!(w.replay_as(How { force: true, ..How::default() }).await, json!({"applied": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_not_hidden_by_the_replay_of_a_later_letter() {
    let mut w = Waiting::new().await;
    w.enroll("enroll", "r1").await;
    w.unreadable_act("pause", "z", Action::Pause).await;
    // The membership comes and goes in between; then another letter, of which the run comes to know first.
    w.later_act("exit", Action::Exit).await;
    w.unreadable_act("again", "a", Action::Reenroll).await;
    assert_eq!(
        w.replay_as(How { rate: Some(1.0), ..How::default() }).await,
        json!({"applied": 1, "refused": 1})
    );
    assert_eq!(w.history().await, "enroll:ENROLLED:1 exit:EXITED:2 again:REENROLLED:3");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_run_changed_itself_is_no_change() {
    let mut w = Waiting::new().await;
    w.enroll("enroll", "r1").await;
    let mut facts = enrollment("facts", "r1", "FOOD");
    facts.registrant.name = Some("Another Name".to_owned());
    w.unreadable_enrollment("a", &facts).await;
    w.unreadable_act("pause", "b", Action::Pause).await;
    assert_eq!(w.replay_as(How { rate: Some(1.0), ..How::default() }).await, json!({"applied": 2}));
    w.proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_closed_by_its_resend_in_the_same_batch() {
    let w = Waiting::new().await;
    let (at, _) = w.enrollments.clone();
    let header = |name: &'static str, value: &'static str| {
        (Bytes::from_static(name.as_bytes()), Some(Bytes::from_static(value.as_bytes())))
    };
    let headers = vec![header("ce_source", "registry"), header("ce_id", "enroll")];
    let cut_off = Record { headers, ..raw(&at, 0, None, Some(Bytes::from_static(b"no request"))) };
    let good = record(&at, 1, &enrollment("enroll", "r1", "CASH"));
    w.scene.apply(w.fence, vec![cut_off, good]).await;
    assert_eq!(w.scene.ledger().await, "LA");
    assert_eq!(w.letters().await, "RESOLVED A 1");
    assert_eq!(w.deeds().await, "SUPERSEDED A");
    w.proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_with_a_letter_that_fails_counts_what_the_replay_does() {
    let mut w = Waiting::new().await;
    w.unreadable_enrollment("k", &enrollment("enroll", "r1", "CASH")).await;
    for (message_id, action) in [
        ("exit", Action::Exit),
        ("again", Action::Reenroll),
        ("pause", Action::Pause),
        ("last", Action::Exit),
    ] {
        w.unreadable_act(message_id, "k", action).await;
    }
    // Whoever is divided from those before it would meet nobody.
    w.poison().await;
    let desk = w.desk();
    let meant = desk.select(Filter::default()).await.unwrap();
    let stop = CancellationToken::new();
    let preview = desk.preflight(&meant, false, &stop, |_| {}).await.unwrap();
    let expected = json!({"applied": 3, "dead_lettered": 1, "parked": 1});
    assert_eq!(json!(preview.counts), expected);
    assert_eq!(w.letters().await, ["OPEN 1"; 5].join(", "));
    assert_eq!(w.replay().await, expected);
    let history = "enroll:ENROLLED:1 exit:EXITED:2 again:REENROLLED:3";
    assert_eq!(w.history().await, history);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_fails_when_it_is_replayed_occupies_the_person() {
    let mut w = Waiting::new().await;
    let mut enroll = enrollment("enroll", "r1", "CASH");
    enroll.registrant.ids.push(identifier("NATIONAL", "1"));
    let enroll = w.enrollment(&enroll);
    w.apply(enroll).await;
    w.unreadable_act("pause", "r1", Action::Pause).await;
    w.poison().await;
    assert_eq!(w.replay().await, json!({"dead_lettered": 1}));
    let (at, offset) = w.updates.clone();
    w.updates.1 += 1;
    let mut exit = update("exit", "-", "CASH", Action::Exit);
    exit.registrant.reference = None;
    exit.registrant.ids =
        vec![IdentifierRef { id_type: "NATIONAL".to_owned(), value: "1".to_owned() }];
    w.later();
    w.apply(carrying(&at, offset, None, &exit)).await;
    assert_eq!(w.parked().await, "exit WAITING BEHIND -");
    // Said again it goes ahead of its own letter, though nobody knew at first whose that was.
    w.antidote().await;
    w.later_act("pause", Action::Pause).await;
    w.scene.drain().await;
    assert_eq!(w.history().await, "enroll:ENROLLED:1 pause:PAUSED:2 exit:EXITED:3");
    assert_eq!(w.letters().await, "RESOLVED A 2");
    w.nobody_waits().await;
    w.proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_one_run_come_after_each_other_and_after_who_is_between_them() {
    let mut w = Waiting::new().await;
    let (at, _) = w.enrollments.clone();
    // The last one first, by their keys.
    let enroll = carrying(&at, 0, Some("z"), &enrollment("enroll", "r1", "CASH"));
    w.skip(enroll).await;
    w.later_act("pause", Action::Pause).await;
    let (at, offset) = w.updates.clone();
    w.updates.1 += 1;
    w.skip(carrying(&at, offset, Some("a"), &update("resume", "r1", "CASH", Action::Resume))).await;
    w.later_act("exit", Action::Exit).await;
    assert_eq!(w.replay_as(How { rate: Some(1.0), ..How::default() }).await, json!({"applied": 2}));
    w.scene.drain().await;
    assert_eq!(w.channels().await, "enroll:1:REPLAY pause:2:KAFKA resume:3:REPLAY exit:4:KAFKA");
    assert_eq!(w.deeds().await.matches("REFUSED").count(), 0);
    w.nobody_waits().await;
    w.proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_behind_one_that_is_no_letter_is_refused() {
    let mut w = Waiting::new().await;
    w.act("pause", "r1", Action::Pause).await;
    let resume = w.update("resume", "r1", Action::Resume);
    w.skip(resume).await;
    assert_eq!(w.replay().await, json!({"refused": 1}));
    assert_eq!(w.deeds().await, "REFUSED behind_another");
    assert_eq!(w.letters().await, "OPEN 1");
    w.proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_brings_what_a_record_waits_for_goes_ahead_of_it() {
    let mut w = Waiting::new().await;
    w.act("pause", "r1", Action::Pause).await;
    let enroll = w.enrollment(&enrollment("enroll", "r1", "CASH"));
    w.skip(enroll).await;
    assert_eq!(w.replay().await, json!({"applied": 1}));
    w.scene.drain().await;
    assert_eq!(w.channels().await, "enroll:1:REPLAY pause:2:KAFKA");
    w.nobody_waits().await;
    w.proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_counts_a_letter_whose_sender_is_known_only_when_it_is_replayed() {
    let counted = async |w: &Waiting| {
        w.scene
            .text(
                "SELECT coalesce(string_agg(concat_ws(' ', batch_id, applied_count, held_count, letters_held), ', '), '')
                 FROM batches",
            )
            .await
    };
    let mut w = Waiting::new().await;
    let mut enroll = enrollment("enroll", "r1", "CASH");
    enroll.program_memberships.push(item("FOOD"));
    enroll.batch = Some(BatchRef { batch_id: "b".to_owned(), total_count: Some(1) });
    w.unreadable_enrollment("r1", &enroll).await;
    assert_eq!(counted(&w).await, "");
    w.sql("ALTER TABLE registrants ADD CONSTRAINT poison CHECK (name <> 'Seeded Name r1')").await;
    for attempts in 2..4 {
        assert_eq!(w.replay().await, json!({"dead_lettered": 1}));
        assert_eq!(w.letters().await, format!("OPEN {attempts}"));
        assert_eq!(counted(&w).await, "b 0 1 1");
    }
    w.proved().await;
    w.sql("ALTER TABLE registrants DROP CONSTRAINT poison").await;
    assert_eq!(w.replay().await, json!({"applied": 1}));
    assert_eq!(counted(&w).await, "b 1 0 0");
    w.proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_holds_for_letters_of_one_key_and_a_cancel_ends_the_wait_for_it() {
    let mut w = Waiting::new().await;
    for message_id in ["first", "second"] {
        w.unreadable_enrollment("r1", &enrollment(message_id, "r1", "CASH")).await;
    }
    let mut holder = w.scene.pool.acquire().await.unwrap();
    let how = How { rate: Some(0.001), ..How::default() };
    let run = w.begin(&mut holder, how).await;
    w.later();
    let (desk, hard) = (w.desk(), CancellationToken::new());
    let looked_at = "SELECT count(*) FROM dead_letter_run_items WHERE outcome IS NOT NULL";
    let cancels = async {
        eventually(PATIENCE, "one is looked at", async || {
            (w.scene.number(looked_at).await > 0).then_some(())
        })
        .await;
        let wish = Wish { actor: "anna".to_owned(), reason: "wrong ones".to_owned() };
        desk.cancel(run.run_id, &wish).await.unwrap();
    };
    let goes_on = tokio::time::timeout(PATIENCE, desk.go_on(&run, &mut holder, &hard, |_| {}));
    let (ended, ()) = tokio::join!(goes_on, cancels);
    ended.expect("it does not wait for its rate").unwrap();
    assert_eq!(w.scene.number(looked_at).await, 1);
    assert_eq!(w.letters().await, "RESOLVED A 1, OPEN 1");
    assert_eq!(desk.run(run.run_id).await.unwrap().state, "CANCELLED");
    w.proved().await;
}
