//! Apply on a real Postgres: what one transaction does, and what it does when the same comes twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use rollcall::apply::{Record, SliceOutcome};
use rollcall::contract::decode_own;
use rollcall::contract::wire::{BatchRef, RequestResult, ResultStatus};
use rollcall::lifecycle::clock::{Clock, ManualClock};
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::layer::SubscriberExt;

use crate::scene::{
    SENT, Scene, applier_patient, applier_with, batch, enrollment, identifier, item, partition,
    raw, record,
};

#[tokio::test(flavor = "multi_thread")]
async fn one_enrollment_leaves_its_rows_and_one_number_a_stream() {
    let scene = Scene::new().await;
    let at = partition(0);
    let fence = scene.lease(&at).await;
    let mut request = enrollment("m1", "r1", "CASH");
    request.registrant.ids.push(identifier("NATIONAL", "4711"));
    let outcomes = scene.apply(fence, vec![record(&at, 0, &request)]).await;
    assert_eq!(outcomes, [SliceOutcome::Committed]);
    let counts = scene
        .text(
            "SELECT concat_ws(' ', (SELECT count(*) FROM registrants), (SELECT count(*) FROM names),
                 (SELECT count(*) FROM memberships), (SELECT count(*) FROM membership_history),
                 (SELECT count(*) FROM inbox), (SELECT count(*) FROM outbox), (SELECT count(*) FROM outbox_runs),
                 (SELECT convert_from(outcomes, 'UTF8') FROM intake_ledger))",
        )
        .await;
    assert_eq!(counts, "1 2 1 1 1 2 2 A");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_again_is_the_stored_result_marked_duplicate() {
    let scene = Scene::new().await;
    let at = partition(0);
    let fence = scene.lease(&at).await;
    let request = enrollment("m1", "r1", "CASH");
    scene.apply(fence, vec![record(&at, 0, &request)]).await;
    // Once in a batch of its own, once twice in one batch.
    scene.apply(fence, vec![record(&at, 1, &request)]).await;
    scene.apply(fence, vec![record(&at, 2, &request), record(&at, 3, &request)]).await;
    let results: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT body FROM outbox WHERE stream < 1000 ORDER BY batch, pos")
            .fetch_all(&scene.pool)
            .await
            .unwrap();
    let results: Vec<RequestResult> =
        results.iter().map(|body| decode_own(body).unwrap()).collect();
    assert_eq!(results.len(), 4);
    let mut first = results[0].clone();
    assert_eq!((first.status, first.duplicate), (ResultStatus::Succeeded, false));
    first.duplicate = true;
    assert!(results[1..].iter().all(|result| *result == first));
    assert_eq!(scene.number("SELECT count(*) FROM membership_history").await, 1);
    let ledger = scene.text("SELECT string_agg(convert_from(outcomes, 'UTF8'), '' ORDER BY first_offset) FROM intake_ledger").await;
    assert_eq!(ledger, "ADDD");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_with_other_content_is_refused_and_leaves_the_first_alone() {
    let scene = Scene::new().await;
    let at = partition(0);
    let fence = scene.lease(&at).await;
    scene.apply(fence, vec![record(&at, 0, &enrollment("m1", "r1", "CASH"))]).await;
    scene.apply(fence, vec![record(&at, 1, &enrollment("m1", "r2", "CASH"))]).await;
    let last: Vec<u8> = sqlx::query_scalar(
        "SELECT body FROM outbox WHERE stream < 1000 ORDER BY batch DESC LIMIT 1",
    )
    .fetch_one(&scene.pool)
    .await
    .unwrap();
    let last: RequestResult = decode_own(&last).unwrap();
    assert_eq!(last.errors[0].code, "rjct.message_id.reused");
    assert_eq!(last.errors[0].pointer, "/message_id");
    assert_eq!(scene.text("SELECT status FROM inbox").await, "SUCCEEDED");
    assert_eq!(scene.number("SELECT count(*) FROM registrants").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greater_attempt_after_a_refusal_is_evaluated_anew() {
    let scene = Scene::new().await;
    let at = partition(0);
    let fence = scene.lease(&at).await;
    let mut request = enrollment("m1", "r1", "LATER");
    scene.apply(fence, vec![record(&at, 0, &request)]).await;
    assert_eq!(scene.text("SELECT status FROM inbox").await, "REJECTED");
    assert_eq!(scene.number("SELECT count(*) FROM names").await, 0, "claims of a refused request");
    sqlx::query("UPDATE programs SET code = 'LATER' WHERE code = 'FOOD'")
        .execute(&scene.pool)
        .await
        .unwrap();
    scene.apply(fence, vec![record(&at, 1, &request)]).await;
    assert_eq!(scene.text("SELECT status FROM inbox").await, "REJECTED", "the same attempt");
    request.attempt = 2;
    scene.apply(fence, vec![record(&at, 2, &request)]).await;
    assert_eq!(scene.text("SELECT status FROM inbox").await, "SUCCEEDED");
    assert_eq!(scene.number("SELECT attempt::bigint FROM inbox_attempts").await, 1);
    let ledger = scene.text("SELECT string_agg(convert_from(outcomes, 'UTF8'), '' ORDER BY first_offset) FROM intake_ledger").await;
    assert_eq!(ledger, "RDA");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_becomes_letters_with_identical_bytes_and_the_rest_goes_on() {
    let scene = Scene::new().await;
    let at = partition(0);
    let fence = scene.lease(&at).await;
    let garbage = Bytes::from_static(b"\x00\xff no Avro \x00");
    let mut letter = raw(&at, 0, Some(Bytes::from_static(b"k\xff")), Some(garbage.clone()));
    letter.headers = vec![
        (Bytes::from_static(b"h"), Some(Bytes::from_static(b"1"))),
        (Bytes::from_static(b"ce_source"), Some(Bytes::from_static(b"registry"))),
        (Bytes::from_static(b"ce_id"), Some(Bytes::from_static(b"lost"))),
        (Bytes::from_static(b"h"), None),
    ];
    let empty = raw(&at, 1, None, None);
    let fine = record(&at, 2, &enrollment("m1", "r1", "CASH"));
    scene.apply(fence, vec![letter, empty, fine]).await;
    let ledger = scene.text("SELECT convert_from(outcomes, 'UTF8') FROM intake_ledger").await;
    assert_eq!(ledger, "LLA");
    let (value, key, header_keys): (Vec<u8>, Vec<u8>, Vec<Vec<u8>>) =
        sqlx::query_as("SELECT value, key, header_keys FROM dead_letters WHERE \"offset\" = 0")
            .fetch_one(&scene.pool)
            .await
            .unwrap();
    assert_eq!((value.as_slice(), key.as_slice()), (garbage.as_ref(), b"k\xff".as_slice()));
    assert_eq!(
        header_keys,
        [b"h".to_vec(), b"ce_source".to_vec(), b"ce_id".to_vec(), b"h".to_vec()]
    );
    let published: Vec<Option<Vec<u8>>> = sqlx::query_scalar(
        "SELECT unnest(header_values) FROM outbox WHERE stream >= 3000 AND body IS NOT NULL",
    )
    .fetch_all(&scene.pool)
    .await
    .unwrap();
    assert_eq!(
        &published[..4],
        [Some(b"1".to_vec()), Some(b"registry".to_vec()), Some(b"lost".to_vec()), None]
    );
    // Its sender hears of it.
    let held: Vec<u8> =
        sqlx::query_scalar("SELECT body FROM outbox WHERE stream < 1000 AND cause = 'lost'")
            .fetch_one(&scene.pool)
            .await
            .unwrap();
    let held: RequestResult = decode_own(&held).unwrap();
    assert_eq!((held.status, held.r#final), (ResultStatus::Held, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_lost_a_partition_applies_the_rest() {
    // I1: p1 moves away while a batch holds p0 and p1.
    let scene = Scene::new().await;
    let (p0, p1) = (partition(0), partition(1));
    let fence = scene.lease(&p0).await;
    scene.lease(&p1).await;
    let outcomes = scene
        .apply(
            fence,
            vec![
                record(&p0, 0, &enrollment("m0", "r0", "CASH")),
                record(&p1, 0, &enrollment("m1", "r1", "CASH")),
                record(&p0, 1, &enrollment("m2", "r2", "CASH")),
            ],
        )
        .await;
    assert_eq!(outcomes, [SliceOutcome::Committed, SliceOutcome::Fenced]);
    let ledger = scene.text("SELECT string_agg(partition || convert_from(outcomes, 'UTF8'), ' ') FROM intake_ledger").await;
    assert_eq!(ledger, "0AA");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_commit_was_not_heard_of_is_not_applied_twice() {
    // I2: the connection died during COMMIT; the same batch is tried again.
    let scene = Scene::new().await;
    let at = partition(0);
    let fence = scene.lease(&at).await;
    let records = || vec![record(&at, 0, &enrollment("m0", "r0", "CASH"))];
    assert_eq!(scene.apply(fence, records()).await, [SliceOutcome::Committed]);
    assert_eq!(scene.apply(fence, records()).await, [SliceOutcome::Committed]);
    assert_eq!(scene.number("SELECT count(*) FROM outbox").await, 2);
    assert_eq!(scene.number("SELECT count(*) FROM intake_ledger").await, 1);
    // At another position nothing is applied either.
    let skipped = vec![record(&at, 7, &enrollment("m7", "r7", "CASH"))];
    assert_eq!(scene.apply(fence, skipped).await, [SliceOutcome::Moved { position: 1 }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_fails_alone_becomes_a_letter_and_the_others_are_applied() {
    let scene = Scene::new().await;
    let at = partition(0);
    let fence = scene.lease(&at).await;
    sqlx::query(
        "ALTER TABLE registrants ADD CONSTRAINT no_poison CHECK (name <> 'Seeded Name poison')",
    )
    .execute(&scene.pool)
    .await
    .unwrap();
    let records: Vec<Record> = (0..50)
        .map(|n| {
            let reference = if n == 33 { "poison".to_owned() } else { format!("r{n}") };
            record(&at, n, &enrollment(&format!("m{n}"), &reference, "CASH"))
        })
        .collect();
    assert_eq!(scene.apply(fence, records).await, [SliceOutcome::Committed]);
    let ledger = scene.text("SELECT string_agg(convert_from(outcomes, 'UTF8'), '' ORDER BY first_offset) FROM intake_ledger").await;
    assert_eq!(ledger, format!("{}L{}", "A".repeat(33), "A".repeat(16)));
    assert_eq!(scene.text("SELECT class || stage FROM dead_letters").await, "failedapply");
}

/// A clock that fails a few times before it tells the time.
#[derive(Debug)]
struct FailingClock(AtomicUsize);

impl Clock for FailingClock {
    fn now(&self) -> time::OffsetDateTime {
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        assert!(left.is_err(), "a failure of the program");
        SENT
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_divided_down_to_its_record_and_answered() {
    let scene = Scene::new().await;
    let at = partition(0);
    let fence = scene.lease(&at).await;
    // The batch, then the first record, then the first record once more.
    let applier = applier_with(scene.pool.clone(), Arc::new(FailingClock(AtomicUsize::new(3))));
    let records =
        (0..2).map(|n| record(&at, n, &enrollment(&format!("m{n}"), &format!("r{n}"), "CASH")));
    let batch = batch(&applier, fence, records.collect());
    let outcomes = applier.apply(batch, &CancellationToken::new()).await;
    assert_eq!(outcomes[0].1, SliceOutcome::Committed);
    let ledger = scene.text("SELECT string_agg(convert_from(outcomes, 'UTF8'), '' ORDER BY first_offset) FROM intake_ledger").await;
    assert_eq!(ledger, "LA");
    // Its sender hears of it, though no header says who that is.
    let letter = scene
        .text("SELECT class || ' ' || convert_from(message_id, 'UTF8') FROM dead_letters")
        .await;
    assert_eq!(letter, "failed m0");
    let held: Vec<u8> =
        sqlx::query_scalar("SELECT body FROM outbox WHERE stream < 1000 AND cause = 'm0'")
            .fetch_one(&scene.pool)
            .await
            .unwrap();
    let held: RequestResult = decode_own(&held).unwrap();
    assert_eq!((held.status, held.source.as_str()), (ResultStatus::Held, "registry"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_is_nobodys_stops_the_partition() {
    let scene = Scene::new().await;
    let at = partition(0);
    let fence = scene.lease(&at).await;
    sqlx::query("ALTER TABLE memberships ADD CONSTRAINT broken CHECK (spell > 1)")
        .execute(&scene.pool)
        .await
        .unwrap();
    let records = vec![
        record(&at, 0, &enrollment("m0", "r0", "NOWHERE")),
        record(&at, 1, &enrollment("m1", "r1", "CASH")),
        record(&at, 2, &enrollment("m2", "r2", "CASH")),
    ];
    let outcomes = scene.apply(fence, records).await;
    assert!(
        matches!(&outcomes[..], [SliceOutcome::Stopped { offset: 1, cause }] if cause.contains("canary")),
        "{outcomes:?}"
    );
    let ledger = scene
        .text("SELECT string_agg(convert_from(outcomes, 'UTF8'), '') FROM intake_ledger")
        .await;
    assert_eq!(ledger, "R");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_failures_in_a_row_than_the_cap_accepts_stop_the_partition() {
    let scene = Scene::new().await;
    let at = partition(0);
    let fence = scene.lease(&at).await;
    sqlx::query(
        "ALTER TABLE registrants ADD CONSTRAINT no_poison CHECK (name NOT LIKE '%poison%')",
    )
    .execute(&scene.pool)
    .await
    .unwrap();
    // Three in a row are accepted, and one that is applied ends the row.
    let poisoned = [false, true, true, true, false, true, true, true, true, false];
    let records = poisoned.iter().enumerate().map(|(n, poison)| {
        let reference = if *poison { format!("poison{n}") } else { format!("r{n}") };
        record(&at, n as i64, &enrollment(&format!("m{n}"), &reference, "CASH"))
    });
    let outcomes = scene.apply(fence, records.collect()).await;
    assert!(
        matches!(&outcomes[..], [SliceOutcome::Stopped { offset: 8, cause }] if cause.starts_with("dead_letter_cap")),
        "{outcomes:?}"
    );
    let ledger = scene.text("SELECT string_agg(convert_from(outcomes, 'UTF8'), '' ORDER BY first_offset) FROM intake_ledger").await;
    assert_eq!(ledger, "ALLLALLL");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_that_changes_frees_the_old_one() {
    let scene = Scene::new().await;
    let at = partition(0);
    let fence = scene.lease(&at).await;
    let mut first = enrollment("m0", "r0", "CASH");
    first.registrant.ids.push(identifier("NATIONAL", "old"));
    let mut change = enrollment("m1", "r0", "FOOD");
    change.registrant.ids.push(identifier("NATIONAL", "new"));
    let mut heir = enrollment("m2", "r1", "CASH");
    heir.registrant.ids.push(identifier("NATIONAL", "old"));
    for (offset, request) in [first, change, heir].iter().enumerate() {
        scene.apply(fence, vec![record(&at, offset as i64, request)]).await;
    }
    let names = scene
        .text(
            "SELECT string_agg(scope || '=' || value, ' ' ORDER BY kind, scope, value) FROM names",
        )
        .await;
    assert_eq!(names, "NATIONAL=new NATIONAL=old registry=r0 registry=r1");
    // The first membership's payee changed: its own version 2 says so.
    let changes = scene
        .text("SELECT string_agg(change, ' ' ORDER BY membership_id, version) FROM membership_history WHERE message_id = 'm1'")
        .await;
    assert!(changes.contains("PAYEE_CHANGED") && changes.contains("ENROLLED"), "{changes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_takes_as_many_statements_whatever_its_size() {
    let mut scene = Scene::new().await;
    let clock: Arc<ManualClock> = Arc::clone(&scene.clock);
    scene.applier = applier_patient(scene.pool.clone(), clock);
    let at = partition(0);
    let fence = scene.lease(&at).await;
    let mut offset = 0;
    let mut counts = Vec::new();
    for (size, batch) in [(10, false), (10, false), (1_000, false), (10, true), (1_000, true)] {
        let records = (0..size)
            .map(|n| {
                let mut request =
                    enrollment(&format!("m{offset}-{n}"), &format!("r{offset}-{n}"), "CASH");
                request.registrant.ids.push(identifier("NATIONAL", &format!("{offset}-{n}")));
                request.program_memberships.push(item("FOOD"));
                request.batch =
                    batch.then(|| BatchRef { batch_id: "b".to_owned(), total_count: Some(1_010) });
                record(&at, offset + n, &request)
            })
            .collect();
        let statements = Statements::default();
        let counting = tracing_subscriber::registry().with(statements.clone());
        let outcomes = scene.apply(fence, records).with_subscriber(counting).await;
        assert_eq!(outcomes, [SliceOutcome::Committed]);
        counts.push(statements.0.load(Ordering::Relaxed));
        offset += size;
    }
    assert_eq!(counts[1], counts[2], "10 and 1,000 records");
    assert!((10..40).contains(&counts[2]), "{counts:?}");
    assert_eq!(counts[3], counts[4], "10 and 1,000 records of a batch");
    assert_eq!(
        counts[3] - counts[2],
        3,
        "a batch is opened, locked and saved; without one, nothing is done"
    );
}

/// Counts what sqlx logs: an event a statement.
#[derive(Clone, Default)]
struct Statements(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Statements {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}
