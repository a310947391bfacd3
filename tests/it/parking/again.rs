//! Letters whose request is said again: which answer closes them, and what of them is given up.

use bytes::Bytes;
use rollcall::apply::Record;
use rollcall::contract::wire::{
    Action, BatchRef, EnrollmentRequest, IdentifierRef, RegistrantKind,
};
use rollcall::dead_letter::{Filter, Wish};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::locks::{failed, one_sees_a_letter_that_another_closes};
use super::waiting::Waiting;
use crate::scene::{carrying, enrollment, identifier, raw, update};

/// A record that nobody can read; its headers say which request it is.
fn cut_off(w: &mut Waiting, message_id: &str) -> Record {
    let (at, offset) = w.enrollments.clone();
    w.enrollments.1 += 1;
    let header = |name: &'static str, value: &str| {
        (Bytes::from_static(name.as_bytes()), Some(Bytes::from(value.to_owned())))
    };
    let headers = vec![header("ce_source", "registry"), header("ce_id", message_id)];
    Record { headers, ..raw(&at, offset, None, Some(Bytes::from_static(b"no request"))) }
}

/// An enrollment of "r1" in a program that has ended.
fn too_late(attempt: i32) -> EnrollmentRequest {
    EnrollmentRequest { attempt, ..enrollment("m", "r1", "OLD") }
}

/// An enrollment that breaks a limit.
fn kindless(message_id: &str) -> EnrollmentRequest {
    let mut request = enrollment(message_id, "r1", "CASH");
    request.registrant.kind = RegistrantKind::Unknown;
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_an_older_attempt_leaves_the_letter_of_a_newer_one() {
    let mut w = Waiting::new().await;
    let first = w.enrollment(&too_late(1));
    w.apply(first).await;
    w.later();
    let newer = cut_off(&mut w, "m");
    w.apply(newer).await;
    sqlx::query("UPDATE dead_letters SET value = $1")
        .bind(rollcall::contract::encode(&too_late(2)).unwrap())
        .execute(&w.scene.pool)
        .await
        .unwrap();
    let copy = w.enrollment(&too_late(1));
    w.apply(copy).await;
    assert_eq!(w.scene.ledger().await, "RLD");
    assert_eq!(w.letters().await, "OPEN 1");
    w.sql("UPDATE programs SET state = 'ACTIVE' WHERE code = 'OLD'").await;
    assert_eq!(w.replay().await, json!({"applied": 1}));
    assert_eq!(w.history().await, "m:ENROLLED:1");
    w.proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_very_record_of_a_letter_closes_it() {
    let mut w = Waiting::new().await;
    w.enroll("m", "r1").await;
    w.unreadable_enrollment("r1", &enrollment("m", "r1", "CASH")).await;
    w.enroll("m", "r1").await;
    assert_eq!(w.scene.ledger().await, "ALD");
    assert_eq!(w.letters().await, "RESOLVED D 1");
    assert_eq!(w.deeds().await, "SUPERSEDED D");
    w.proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_what_waits_closes_no_letter() {
    let mut w = Waiting::new().await;
    w.sql("ALTER TABLE parked_records ADD CONSTRAINT no_u CHECK (message_id <> 'u')").await;
    w.act("u", "r1", Action::Pause).await;
    w.sql("ALTER TABLE parked_records DROP CONSTRAINT no_u").await;
    w.act("u", "r1", Action::Pause).await;
    w.act("u", "r1", Action::Pause).await;
    assert_eq!(w.scene.ledger().await, "LKD");
    assert_eq!(w.letters().await, "OPEN 1");
    w.scene.clock.advance(time::Duration::seconds(61));
    w.scene.drain().await;
    assert_eq!(w.letters().await, "RESOLVED R 1");
    w.nobody_waits().await;
    w.proved().await;
}

/// P10: the first answer that closes a letter counts, wherever the batch is cut.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_has_the_first_answer_that_closes_it() {
    let other = EnrollmentRequest { program_memberships: Vec::new(), ..enrollment("m", "r1", "-") };
    let good = enrollment("m", "r1", "CASH");
    let anew = EnrollmentRequest { attempt: 2, ..enrollment("m", "r1", "OLD") };
    for (said, ledger, outcome) in [
        ([&good, &other], "LAR", "A"),
        ([&good, &good], "LAD", "A"),
        ([&too_late(1), &anew], "LRR", "R"),
    ] {
        for first in 0..3 {
            let mut w = Waiting::new().await;
            let mut records = vec![cut_off(&mut w, "m")];
            records.extend(said.map(|request| w.enrollment(request)));
            let rest = records.split_off(first);
            for batch in [records, rest].into_iter().filter(|batch| !batch.is_empty()) {
                w.scene.apply(w.fence, batch).await;
            }
            assert_eq!(w.scene.ledger().await, ledger, "{first} before the cut");
            assert_eq!(w.letters().await, format!("RESOLVED {outcome} 1"), "{ledger}, {first}");
            assert_eq!(w.deeds().await, format!("SUPERSEDED {outcome}"), "{ledger}, {first}");
            w.proved().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_letters_of_one_request_are_given_up_in_one_transaction() {
    let mut w = Waiting::new().await;
    for _ in 0..2 {
        w.later();
        let record = cut_off(&mut w, "m");
        w.apply(record).await;
    }
    let desk = w.desk();
    let selection = desk.select(Filter::default()).await.unwrap();
    let wish = Wish { actor: "anna".to_owned(), reason: "a test".to_owned() };
    let hard = CancellationToken::new();
    let counts = desk.discard_all(&selection, &wish, &hard, |_| {}).await.unwrap();
    assert_eq!(json!(counts), json!({"rejected": 1, "duplicate": 1}));
    assert_eq!(w.letters().await, "DISCARDED R 1, DISCARDED D 1");
    let transactions = "SELECT count(DISTINCT xmin::text) FROM dead_letters";
    assert_eq!(w.scene.number(transactions).await, 1);
    w.proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_whose_second_try_comes_through_is_counted_once() {
    let mut w = Waiting::new().await;
    w.unreadable_enrollment("r1", &enrollment("m", "r1", "CASH")).await;
    w.sql("CREATE SEQUENCE tries").await;
    w.sql(
        "CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN IF nextval('tries') = 1 THEN RAISE 'once'; END IF; RETURN new; END $$",
    )
    .await;
    w.sql("CREATE TRIGGER once BEFORE INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION fail_once()")
        .await;
    let (desk, hard) = (w.desk(), CancellationToken::new());
    let selection = desk.select(Filter::default()).await.unwrap();
    let preview = desk.preflight(&selection, false, &hard, |_| {}).await.unwrap();
    assert_eq!(json!(preview.counts), json!({"applied": 1}));
    w.sql("ALTER SEQUENCE tries RESTART").await;
    let wish = Wish { actor: "anna".to_owned(), reason: "a test".to_owned() };
    let counts = desk.discard_all(&selection, &wish, &hard, |_| {}).await.unwrap();
    assert_eq!(json!(counts), json!({"rejected": 1}));
    assert_eq!(w.scene.number("SELECT last_value FROM tries").await, 2, "and tried no third time");
}

/// Their whole records are read back: so many bytes a transaction, whether of one key or not.
#[tokio::test(flavor = "multi_thread")]
async fn large_letters_are_gone_through_in_several_transactions() {
    let mut w = Waiting::new().await;
    for n in 0..5 {
        let request = enrollment(&format!("m{n}"), &format!("r{n}"), "CASH");
        w.unreadable_enrollment("one key", &request).await;
    }
    let two = "SELECT 2 * max(octet_length(key) + octet_length(value) + pg_column_size(header_keys)
                              + pg_column_size(header_values))::bigint FROM dead_letters";
    let two = usize::try_from(w.scene.number(two).await).unwrap();
    w.scene.applier = w.scene.applier_of_bytes(two);
    let (desk, hard) = (w.desk(), CancellationToken::new());
    let selection = desk.select(Filter::default()).await.unwrap();
    let steps = std::cell::RefCell::new(Vec::new());
    let progress = |letters| steps.borrow_mut().push(letters);
    let preview = desk.preflight(&selection, false, &hard, progress).await.unwrap();
    assert_eq!(json!(preview.counts), json!({"applied": 5}));
    assert_eq!(steps.take(), [2, 2, 1]);
    assert_eq!(w.replay().await, json!({"applied": 5}));
    let transactions = "SELECT count(DISTINCT xmin::text) FROM dead_letters";
    assert_eq!(w.scene.number(transactions).await, 3);
    w.proved().await;
}

/// I4, where who closes a letter names nobody, and so locks nobody.
#[tokio::test(flavor = "multi_thread")]
async fn who_joins_a_letter_while_a_refusal_closes_it_is_not_stranded() {
    let mut w = Waiting::new().await;
    failed(&mut w).await;
    let mut joins = update("joins", "-", "CASH", Action::Pause);
    joins.registrant.reference = None;
    joins.registrant.ids = vec![IdentifierRef { id_type: "DOC".to_owned(), value: "1".to_owned() }];
    joins.batch = Some(BatchRef { batch_id: "b".to_owned(), total_count: None });
    let at = w.updates.0.clone();
    // The batch is there, and can be held.
    let mut first = update("first", "r2", "CASH", Action::Pause);
    first.batch.clone_from(&joins.batch);
    w.apply(carrying(&at, 0, Some("r2"), &first)).await;
    let joins = carrying(&at, 1, None, &joins);
    let again = w.enrollment(&kindless("failed"));
    one_sees_a_letter_that_another_closes(&w, joins, again).await;
    assert_eq!(w.letters().await, "RESOLVED R 1");
    w.scene.drain().await;
    w.scene.clock.advance(time::Duration::seconds(61));
    w.scene.drain().await;
    w.nobody_waits().await;
}

/// P10: what follows the refusal in its batch is behind no letter any more.
#[tokio::test(flavor = "multi_thread")]
async fn who_follows_a_refusal_that_closes_a_letter_does_not_wait() {
    let mut w = Waiting::new().await;
    let mut enroll = enrollment("enroll", "r1", "CASH");
    enroll.registrant.ids.push(identifier("NATIONAL", "1"));
    let enroll = w.enrollment(&enroll);
    w.apply(enroll).await;
    w.poison().await;
    w.act("pause", "r1", Action::Pause).await;
    w.antidote().await;
    w.act("resume", "r1", Action::Resume).await;
    assert_eq!(w.scene.ledger().await, "ALK");
    w.later();
    let refused = w.enrollment(&kindless("pause"));
    let exit = w.update("exit", "r1", Action::Exit);
    w.scene.apply(w.fence, vec![refused, exit]).await;
    assert_eq!(w.scene.ledger().await, "ARLKA");
    assert_eq!(w.letters().await, "RESOLVED R 1");
    assert_eq!(w.parked().await, "resume RESOLVED BEHIND U");
    w.nobody_waits().await;
    w.proved().await;
}
