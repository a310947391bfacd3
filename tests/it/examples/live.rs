//! The consumers on what real workers publish, while one relay takes over from another.

use rollcall::contract::wire::{
    Action, EnrollmentRequest, GroupMembershipRequest, MembershipUpdateRequest, Millis,
};
use rollcall::contract::{Message, encode};
use rollcall::lifecycle::clock::{Clock as _, SystemClock};

use super::{CONSUMERS, Printed};
use crate::scene::{group, item, update};
use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{self, NewRecord, PATIENCE, Worker, eventually};

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

/// What the database holds: a person is paid itself, a group by its present Head.
async fn held(stage: &Stage) -> Printed {
    let members: Vec<(String, String)> = sqlx::query_as(
        "SELECT membership_id::text, json_build_object(
                    'membership_id', membership_id, 'version', version, 'state', state,
                    'payee', CASE WHEN payee.registrant_id IS NOT NULL THEN json_build_object(
                        'registrant_id', payee.registrant_id, 'payment_address', payee.payment_address,
                        'disabled', payee.disabled) END)::text
         FROM memberships JOIN registrants AS member USING (registrant_id)
         LEFT JOIN registrants AS payee ON payee.registrant_id = CASE member.kind
             WHEN 'GROUP' THEN (SELECT individual_id FROM group_members
                                WHERE group_id = member.registrant_id AND is_head)
             ELSE member.registrant_id END",
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

/// The record of a request of any kind, sent now.
fn said<M: Message>(reference: &str, request: &M) -> NewRecord {
    NewRecord {
        key: Some(reference.as_bytes().to_vec()),
        value: Some(encode(request).unwrap()),
        ..NewRecord::default()
    }
}

fn act(message_id: &str, reference: &str, program: &str, action: Action) -> NewRecord {
    let sent_at = Millis::from(SystemClock.now());
    said(
        reference,
        &MembershipUpdateRequest { sent_at, ..update(message_id, reference, program, action) },
    )
}

/// What is said of household *n*: members with their kinds, of whom one may have ended.
fn household(
    n: usize,
    nth: u32,
    members: &[(String, &[&str])],
    ended: Option<usize>,
) -> GroupMembershipRequest {
    let members: Vec<_> =
        members.iter().map(|(reference, kinds)| (reference.as_str(), *kinds)).collect();
    let sent_at = Millis::from(SystemClock.now());
    let request = group(&format!("g{n}-{nth}"), &format!("HH-{n}"), &members);
    let mut request = GroupMembershipRequest { sent_at, ..request };
    if let Some(member) = ended.and_then(|at| request.members.get_mut(at)) {
        member.ended_date = Some(SystemClock.now().date().into());
    }
    request
}

const HOUSEHOLDS: usize = 12;
const PERSONS: usize = 60;

/// Person *n* is the Head of household *n*, and the second and third are 12 and 24 further on.
fn found() -> Vec<NewRecord> {
    let founded = |n: usize| {
        let members = [
            (format!("r{n}"), &["Head"][..]),
            (format!("r{}", n + HOUSEHOLDS), &[]),
            (format!("r{}", n + 2 * HOUSEHOLDS), &[]),
        ];
        let mut request = household(n, 1, &members, None);
        request.program_memberships.push(item("HOUSE"));
        said(&format!("HH-{n}"), &request)
    };
    (0..HOUSEHOLDS).map(founded).collect()
}

/// Heads die, are followed by others, or get other accounts.
fn heads() -> (Vec<NewRecord>, Vec<NewRecord>) {
    let (mut groups, mut accounts) = (Vec::new(), Vec::new());
    for n in 0..HOUSEHOLDS {
        let head = (format!("r{n}"), &["Head"][..]);
        let other = (format!("r{}", n + HOUSEHOLDS), &["Head"][..]);
        match n % 4 {
            0 => groups.push(said(&format!("HH-{n}"), &household(n, 2, &[head], Some(0)))),
            1 => groups.push(said(&format!("HH-{n}"), &household(n, 2, &[head, other], Some(0)))),
            2 => {
                let mut account = enrollment(PERSONS + n);
                account.registrant = enrollment(n).registrant;
                account.registrant.payment_address = Some(format!("new:{n}"));
                account.program_memberships.clear();
                accounts.push(record(None, &account));
            }
            _ => {}
        }
    }
    (groups, accounts)
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_have_what_updates_groups_and_removals_left() {
    let stage = Stage::new().await;
    let kafka = support::kafka().await;
    let worker = Worker::start(&stage.setup);
    worker.ready().await;
    let mut followers = Vec::new();
    for consumer in CONSUMERS {
        followers.push((consumer, consumer.start(kafka, &stage.setup.prefix, &[]).await));
    }
    send(&stage, 0..PERSONS).await;
    stage.topics.produce("group-memberships", &found()).await;
    let mut sent = PERSONS + HOUSEHOLDS;
    stage.prove(sent as i64).await;

    let (groups, accounts) = heads();
    // Of persons who are in no household.
    let mut updates: Vec<_> = (3 * HOUSEHOLDS..PERSONS)
        .map(|n| {
            let action = [Action::Remove, Action::Pause, Action::Exit][n % 3];
            act(&format!("u{n}"), &format!("r{n}"), "CASH", action)
        })
        .collect();
    updates.push(act("u-house-3", "HH-3", "HOUSE", Action::Remove));
    updates.push(act("u-house-1", "HH-1", "HOUSE", Action::Pause));
    sent += groups.len() + accounts.len() + updates.len();
    stage.topics.produce("group-memberships", &groups).await;
    stage.topics.produce(REQUESTS, &accounts).await;
    stage.topics.produce("membership-updates", &updates).await;
    stage.prove(sent as i64).await;
    // Some who were removed come again, with memberships of new ids.
    let again: Vec<_> = (3 * HOUSEHOLDS..PERSONS)
        .step_by(6)
        .map(|n| {
            let mut request = enrollment(2 * PERSONS + n);
            request.registrant = enrollment(n).registrant;
            record(None, &request)
        })
        .collect();
    sent += again.len();
    stage.topics.produce(REQUESTS, &again).await;
    stage.prove(sent as i64).await;

    let changes = "SELECT string_agg(DISTINCT change, ' ' ORDER BY change) FROM membership_history";
    let changes: String = sqlx::query_scalar(changes).fetch_one(&stage.db.pool).await.unwrap();
    assert_eq!(changes, "ENROLLED EXITED PAUSED PAYEE_CHANGED REMOVED");
    let states = stage.topics.read("membership-state").await;
    let tombstones = states.iter().filter(|state| state.value.is_none()).count();
    assert_eq!(tombstones, 9, "eight persons and a household were removed");
    let expected = held(&stage).await;
    let unpaid = expected.members.values().filter(|member| member["payee"].is_null()).count();
    assert_eq!(unpaid, HOUSEHOLDS / 4, "whose Head has died");
    for consumer in CONSUMERS {
        let (printed, is_content, said) = consumer.until_end(kafka, &stage.setup.prefix).await;
        assert!(is_content, "{consumer:?}: {said}");
        assert_eq!(printed, expected, "{consumer:?}");
    }
    for (consumer, (_running, file)) in followers {
        eventually(PATIENCE, &format!("{consumer:?} has followed"), async || {
            (Printed::read(&file).members == expected.members).then_some(())
        })
        .await;
    }
    worker.stop().await;
}
