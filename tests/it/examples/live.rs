//! The consumers on what real workers publish, while one relay takes over from another.

use rollcall::contract::wire::EnrollmentRequest;

use super::{CONSUMERS, Printed};
use crate::scene::item;
use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{self, PATIENCE, Worker, eventually};

/// Enrolls the persons of these numbers; every third in a second program too.
async fn send(stage: &Stage, numbers: std::ops::Range<usize>) {
    let records: Vec<_> = numbers.map(|number| record(None, &enrollment(number))).collect();
    stage.topics.produce(REQUESTS, &records).await;
}

fn enrollment(number: usize) -> EnrollmentRequest {
    let mut request = request(number);
    request.registrant.payment_address =
        (!number.is_multiple_of(5)).then(|| format!("bank:{number}"));
    request.registrant.disabled = Some(false);
    if number.is_multiple_of(3) {
        request.program_memberships.push(item("FOOD"));
    }
    request
}

/// How many records the events topic holds.
async fn events(stage: &Stage) -> i64 {
    let mut events = 0;
    for partition in 0..12 {
        events += stage.topics.watermarks("membership-events", partition).await.1;
    }
    events
}

/// What the database holds.
async fn held(stage: &Stage) -> Printed {
    let members: Vec<(String, String)> = sqlx::query_as(
        "SELECT membership_id::text, json_build_object(
                    'membership_id', membership_id, 'version', version, 'state', state,
                    'payee', json_build_object('registrant_id', payee.registrant_id,
                        'payment_address', payee.payment_address, 'disabled', payee.disabled))::text
         FROM memberships JOIN registrants AS payee USING (registrant_id)",
    )
    .fetch_all(&stage.db.pool)
    .await
    .unwrap();
    let seen: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT shard::bigint, max(first_seq + count - 1)::bigint
         FROM outbox_runs JOIN outbox_streams USING (stream) WHERE kind = 'membership' GROUP BY shard",
    )
    .fetch_all(&stage.db.pool)
    .await
    .unwrap();
    let members = members.into_iter();
    Printed {
        members: members.map(|(id, text)| (id, serde_json::from_str(&text).unwrap())).collect(),
        seen: seen.into_iter().collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_early_and_late_have_the_databases_members_across_a_takeover() {
    let stage = Stage::new().await;
    let kafka = support::kafka().await;
    let setup = stage
        .setup
        .clone()
        .with("ROLLCALL_KAFKA__PROPERTIES__GROUP_INSTANCE_ID", "the-worker")
        .with("ROLLCALL_RELAY__LEASE", "1s");
    // Cursors cannot move while this transaction is open: what the first worker publishes comes again by the second.
    let mut tx = stage.db.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM relay_cursors FOR UPDATE").execute(&mut *tx).await.unwrap();
    send(&stage, 0..300).await;
    let first = Worker::start(&setup);
    // Once the topics have leaders, and before anything comes twice.
    first.ready().await;
    let mut followers = Vec::new();
    for consumer in CONSUMERS {
        let follower = consumer.start(kafka, &stage.setup.prefix, &[]).await;
        followers.push((consumer, follower));
    }
    eventually(PATIENCE, "the first has published", async || {
        (events(&stage).await >= 400).then_some(())
    })
    .await;
    first.kill().await;
    // What the killed session was waiting to do must not happen after all.
    sqlx::query(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
         WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.rollback().await.unwrap();
    send(&stage, 300..600).await;
    let second = Worker::start(&setup);
    stage.prove(600).await;
    let expected = held(&stage).await;
    assert_eq!(expected.members.len(), 800);
    assert!(events(&stage).await >= 1_200, "400 came twice");

    for consumer in CONSUMERS {
        let (printed, is_content, said) = consumer.until_end(kafka, &stage.setup.prefix).await;
        assert!(is_content, "{consumer:?}: {said}");
        assert_eq!(printed, expected, "{consumer:?}");
    }
    for (consumer, (mut running, file)) in followers {
        let ended = running.try_wait().unwrap();
        assert!(ended.is_none(), "{consumer:?}: {:?}", running.wait_with_output().await);
        eventually(PATIENCE, &format!("{consumer:?} has followed"), async || {
            (Printed::read(&file).members == expected.members).then_some(())
        })
        .await;
    }
    second.stop().await;
}
