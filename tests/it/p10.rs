//! P10: cutting does not matter. The same records, one by one and cut at random over lanes that run at once and are
//! crashed, leave the same rows, outcomes, versions and events.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rollcall::apply::{Record, SliceOutcome, TopicPartition};
use rollcall::contract::wire::{
    Action, EnrollmentRequest, GroupMembershipRequest, GroupMode, IdentifierRef,
    MembershipUpdateRequest, Millis, PhoneNumber, RegistrantIdentifier, RequestedState,
};
use tokio_util::sync::CancellationToken;

use crate::scene::{
    SENT, Scene, batch, carrying, enrollment, group, identifier, info, item, member, partition,
    raw, record, update,
};

/// Sequences that are tried; each is some dozens of records over few registrants, so that they collide.
const SEQUENCES: u64 = 80;
static DEBUG: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
const LANES: i32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn enrollments_cut_over_lanes_with_crashes_leave_what_one_by_one_leaves() {
    same_rows(Kinds::Enrollments, &[SAID, PEOPLE].concat()).await;
}

/// Of records that waited the final outcome counts: whether they had to, and heard HELD, depends on the cutting.
#[tokio::test(flavor = "multi_thread")]
async fn all_kinds_cut_over_lanes_with_crashes_come_to_what_one_by_one_comes_to() {
    same_rows(Kinds::All, &[CAME_TO, PEOPLE].concat()).await;
}

#[derive(Clone, Copy, PartialEq)]
enum Kinds {
    Enrollments,
    All,
}

async fn same_rows(kinds: Kinds, queries: &[Query]) {
    let (serial, cut) = tokio::join!(Scene::new(), Scene::new());
    for seed in 0..SEQUENCES {
        let mut random = StdRng::seed_from_u64(seed);
        let lanes: Vec<_> =
            (0..LANES).map(|lane| sequence(&mut random, seed, lane, kinds)).collect();
        for records in &lanes {
            one_by_one(&serial, records).await;
        }
        let seeds: Vec<u64> = lanes.iter().map(|_| random.random()).collect();
        let runs = lanes.iter().zip(seeds).map(|(records, seed)| at_random(&cut, records, seed));
        futures::future::join_all(runs).await;
    }
    tokio::join!(serial.drain(), cut.drain());
    // Graces end.
    for scene in [&serial, &cut] {
        scene.clock.advance(time::Duration::hours(1));
        scene.drain().await;
    }
    let (one, other) = tokio::join!(dump(&serial, queries), dump(&cut, queries));
    for (what, _) in queries {
        let (rows, others) = (&one[what], &other[what]);
        if let Some((left, right)) = rows.iter().zip(others).find(|(a, b)| a != b) {
            for (l, r) in rows.iter().zip(others).filter(|(a, b)| a != b).take(10) {
                eprintln!("DIFF {what}: {l} | {r}");
            }
            let lines = DEBUG.lock().unwrap().join("\n");
            std::fs::write("/tmp/p10.txt", lines).unwrap();
            panic!("{what}: one by one {left}\ncut {right}");
        }
        assert_eq!(rows.len(), others.len(), "{what}");
        assert!(!rows.is_empty(), "{what}");
    }
}

/// A partition of its own for each sequence and lane; names are the lane's, so that lanes do not depend on each other.
fn sequence(random: &mut StdRng, seed: u64, lane: i32, kinds: Kinds) -> Vec<Record> {
    let at = partition(seed as i32 * LANES + lane);
    let length = random.random_range(4..40);
    let mut requests: Vec<Request> = Vec::new();
    (0..length)
        .map(|offset| match random.random_range(0..20) {
            0 => raw(&at, offset, None, Some(bytes::Bytes::from_static(b"\xc3\x01garbage"))),
            // The same again, perhaps as a later attempt, perhaps with other content.
            1..=3 if !requests.is_empty() => {
                let mut request = requests[random.random_range(0..requests.len())].clone();
                // A greater attempt of what waits is a copy of it, of what was refused a new request: with the waiting,
                // that depends on the cutting.
                let attempts = random.random_range(0..3);
                let attempts = if kinds == Kinds::All { 0 } else { attempts };
                request.again(attempts, random.random_bool(0.2));
                request.record(&at, offset)
            }
            _ => {
                let scope = format!("s{seed}-{lane}");
                let request = match random.random_range(0..10) {
                    _ if kinds == Kinds::Enrollments => {
                        Request::Enrollment(request(random, &scope, offset))
                    }
                    0..5 => Request::Enrollment(request(random, &scope, offset)),
                    5..8 => Request::Update(an_update(random, &scope, offset)),
                    _ => Request::Group(a_group(random, &scope, offset)),
                };
                requests.push(request.clone());
                DEBUG.lock().unwrap().push(format!("{} {}", offset, request.brief()));
                request.record(&at, offset)
            }
        })
        .collect()
}

#[derive(Clone)]
enum Request {
    Enrollment(EnrollmentRequest),
    Update(MembershipUpdateRequest),
    Group(GroupMembershipRequest),
}

impl Request {
    fn brief(&self) -> String {
        match self {
            Self::Enrollment(r) => format!(
                "{} ENR {:?} ids {:?} atomic {} {:?}",
                r.message_id,
                r.registrant.reference,
                r.registrant.ids.iter().map(|i| (&i.id_type, &i.value)).collect::<Vec<_>>(),
                r.atomic,
                r.program_memberships.iter().map(|p| (&p.program, p.state)).collect::<Vec<_>>()
            ),
            Self::Update(r) => format!(
                "{} UPD {:?} {:?} {} {:?} v{:?}",
                r.message_id,
                r.registrant.reference,
                r.registrant.ids.iter().map(|i| (&i.id_type, &i.value)).collect::<Vec<_>>(),
                r.program,
                r.action,
                r.expected_version
            ),
            Self::Group(r) => format!(
                "{} GRP {:?} {:?} {:?} {:?}",
                r.message_id,
                r.group.reference,
                r.mode,
                r.members
                    .iter()
                    .map(|m| (&m.individual.reference, &m.kinds, m.program_memberships.len()))
                    .collect::<Vec<_>>(),
                r.program_memberships.len()
            ),
        }
    }

    fn record(&self, at: &TopicPartition, offset: i64) -> Record {
        match self {
            Self::Enrollment(request) => record(at, offset, request),
            Self::Update(request) => carrying(at, offset, None, request),
            Self::Group(request) => carrying(at, offset, None, request),
        }
    }

    fn again(&mut self, attempts: i32, other: bool) {
        let actor = other.then(|| "somebody else".to_owned());
        match self {
            Self::Enrollment(request) => {
                request.attempt += attempts;
                request.actor = actor;
            }
            Self::Update(request) => {
                request.attempt += attempts;
                request.actor = actor;
            }
            Self::Group(request) => {
                request.attempt += attempts;
                request.actor = actor;
            }
        }
    }
}

fn an_update(random: &mut StdRng, scope: &str, number: i64) -> MembershipUpdateRequest {
    let actions = [
        Action::Enroll,
        Action::Pause,
        Action::Resume,
        Action::Exit,
        Action::MarkNotEligible,
        Action::MarkDuplicated,
        Action::ResetToDraft,
        Action::Reenroll,
        Action::Correct,
        Action::Remove,
    ];
    let programs = ["CASH", "CASH", "FOOD", "HOUSE", "NOWHERE"];
    let mut request = update(
        &format!("{scope}-{number}"),
        "",
        programs[random.random_range(0..programs.len())],
        actions[random.random_range(0..actions.len())],
    );
    let house = request.program == "HOUSE";
    let letter = if house { "g" } else { "r" };
    request.registrant.reference = Some(format!("{scope}-{letter}{}", random.random_range(0..3)));
    if random.random_bool(0.2) {
        request.registrant.reference = None;
        let value = format!("{scope}-{}", random.random_range(0..3));
        request.registrant.ids.push(IdentifierRef { id_type: "A".to_owned(), value });
    }
    let day = |random: &mut StdRng| {
        let date = SENT.date() + time::Duration::days(random.random_range(-2..3));
        random.random_bool(0.3).then(|| date.into())
    };
    if matches!(request.action, Action::Enroll | Action::Reenroll | Action::Correct) {
        request.enrollment_date = day(random);
    }
    if matches!(request.action, Action::Exit | Action::Correct) {
        request.exit_date = day(random);
    }
    request.expected_version = random.random_bool(0.15).then(|| random.random_range(0..4));
    request
}

fn a_group(random: &mut StdRng, scope: &str, number: i64) -> GroupMembershipRequest {
    let mut request = group(
        &format!("{scope}-{number}"),
        &format!("{scope}-g{}", random.random_range(0..2)),
        &[],
    );
    request.atomic = random.random_bool(0.3);
    if random.random_bool(0.3) {
        request.mode = GroupMode::Replace;
    }
    for person in 0..3 {
        if random.random_bool(0.4) {
            continue;
        }
        let kinds: &[&str] = if random.random_bool(0.4) { &["Head"] } else { &["Child"] };
        let mut member = member(&format!("{scope}-r{person}"), kinds);
        member.kinds = random.random_bool(0.8).then_some(member.kinds).flatten();
        member.individual.payment_address =
            random.random_bool(0.3).then(|| format!("acct:{}", random.random_range(0..2)));
        member.ended_date = random.random_bool(0.2).then(|| SENT.date().into());
        if random.random_bool(0.3) {
            member.program_memberships.push(item("CASH"));
        }
        request.members.push(member);
    }
    if random.random_bool(0.6) {
        request.program_memberships.push(item("HOUSE"));
    }
    request
}

fn request(random: &mut StdRng, scope: &str, number: i64) -> EnrollmentRequest {
    let mut request = enrollment(&format!("{scope}-{number}"), "", "CASH");
    request.sent_at = Millis::from(SENT + time::Duration::days(random.random_range(0..3)));
    request.atomic = random.random_bool(0.3);
    request.registrant = info();
    let registrant = &mut request.registrant;
    if random.random_bool(0.8) {
        registrant.reference = Some(format!("{scope}-r{}", random.random_range(0..4)));
    }
    if random.random_bool(0.2) {
        registrant.source = Some("other".to_owned());
    }
    for id_type in ["A", "B"] {
        if random.random_bool(0.4) {
            let value = format!("{scope}-{}", random.random_range(0..3));
            registrant.ids.push(RegistrantIdentifier {
                expiry_date: random.random_bool(0.3).then(|| SENT.date().into()),
                ..identifier(id_type, &value)
            });
        }
    }
    if random.random_bool(0.15) && !registrant.ids.iter().any(|id| id.id_type == "A") {
        registrant.clear.push("ids.A".to_owned());
    }
    registrant.payment_address =
        random.random_bool(0.3).then(|| format!("acct:{}", random.random_range(0..2)));
    registrant.disabled = random.random_bool(0.15).then(|| random.random_bool(0.5));
    if random.random_bool(0.2) {
        let phone_no = format!("+{}", random.random_range(0..3));
        registrant.phone_numbers.push(PhoneNumber { phone_no, date_collected: None });
    }
    request.program_memberships = (0..random.random_range(0..4))
        .map(|_| {
            let programs = ["CASH", "FOOD", "OLD", "HOUSE", "NOWHERE"];
            let mut item = item(programs[random.random_range(0..programs.len())]);
            if random.random_bool(0.3) {
                item.state = RequestedState::Draft;
            }
            if random.random_bool(0.2) {
                let date = SENT.date() + time::Duration::days(random.random_range(-2..2));
                item.enrollment_date = Some(date.into());
            }
            item
        })
        .collect();
    request
}

async fn one_by_one(scene: &Scene, records: &[Record]) {
    let fence = scene.lease(&records[0].at).await;
    for record in records {
        let outcomes = scene.apply(fence, vec![record.clone()]).await;
        assert_eq!(outcomes, [SliceOutcome::Committed]);
        scene.drain().await;
    }
}

/// Cuts the records at random; crashes some batches in the middle, sometimes taking the partition over afterwards, and
/// goes on where the ledger ends.
async fn at_random(scene: &Scene, records: &[Record], seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut fence = scene.lease(&records[0].at).await;
    let mut position = 0;
    while position < records.len() {
        let end = (position + random.random_range(1..12)).min(records.len());
        let batch = batch(&scene.applier, fence, records[position..end].to_vec());
        let cancel = CancellationToken::new();
        let crash = random.random_bool(0.3).then(|| random.random_range(0..15_000));
        let apply = scene.applier.apply(batch, &cancel);
        if random.random_bool(0.3) {
            let within = Duration::from_micros(random.random_range(0..30_000));
            drop(tokio::time::timeout(within, scene.drain()).await);
        }
        let outcome = match crash {
            None => Some(apply.await),
            // The future is dropped wherever it is: its connection closes, as a killed worker's does.
            Some(micros) => tokio::time::timeout(Duration::from_micros(micros), apply).await.ok(),
        };
        if let Some(outcomes) = outcome {
            assert_eq!(outcomes[0].1, SliceOutcome::Committed);
            position = end;
            continue;
        }
        if random.random_bool(0.5) {
            fence = scene.lease(&records[0].at).await;
        }
        position = stored_position(scene, &records[0].at).await;
    }
}

/// Where the ledger ends, read under the lease's lock, so that a commit under way is waited for.
async fn stored_position(scene: &Scene, at: &TopicPartition) -> usize {
    let mut tx = scene.pool.begin().await.unwrap();
    sqlx::query(
        "SELECT fence FROM partition_leases WHERE topic = $1 AND partition = $2 FOR UPDATE",
    )
    .bind(&*at.topic)
    .bind(at.partition)
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    let position: i64 = sqlx::query_scalar(
        "SELECT coalesce(max(next_offset), 0) FROM intake_ledger WHERE topic = $1 AND partition = $2",
    )
    .bind(&*at.topic)
    .bind(at.partition)
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    position as usize
}

type Query = (&'static str, &'static str);

/// Who there is, in which state, and what was said of it.
const PEOPLE: &[Query] = &[
    (
        "registrants",
        "SELECT (to_jsonb(t) - 'created_at' - 'updated_at')::text FROM registrants t ORDER BY registrant_id",
    ),
    ("names", "SELECT to_jsonb(t)::text FROM names t ORDER BY kind, scope, value"),
    ("phone_numbers", "SELECT to_jsonb(t)::text FROM phone_numbers t ORDER BY 1"),
    (
        "memberships",
        "SELECT (to_jsonb(t) - 'created_at' - 'updated_at')::text FROM memberships t ORDER BY membership_id",
    ),
    (
        "history",
        "SELECT (to_jsonb(t) - 'recorded_at')::text FROM membership_history t ORDER BY membership_id, version",
    ),
    (
        "letters",
        "SELECT to_jsonb(t)::text FROM dead_letters t ORDER BY topic, partition, \"offset\"",
    ),
];

/// Every byte and every answer.
const SAID: &[Query] = &[
    ("inbox", "SELECT to_jsonb(t)::text FROM inbox t ORDER BY source, message_id"),
    (
        "attempts",
        "SELECT (to_jsonb(t) - 'inbox_attempt_id')::text FROM inbox_attempts t ORDER BY topic, partition, \"offset\"",
    ),
    (
        "ledger",
        "SELECT partition || string_agg(convert_from(outcomes, 'UTF8'), '' ORDER BY first_offset)
         FROM intake_ledger GROUP BY topic, partition ORDER BY topic, partition",
    ),
    (
        "events by membership, in the order of their numbers",
        "SELECT encode(o.key, 'escape') || ' ' || string_agg(o.id::text || md5(o.body) || coalesce(md5(o.state_body), '-'),
             ' ' ORDER BY r.first_seq + o.pos)
         FROM outbox o JOIN outbox_runs r USING (batch, stream)
         WHERE o.stream BETWEEN 1000 AND 1999 GROUP BY o.key ORDER BY o.key",
    ),
    ("results", "SELECT id || md5(body) FROM outbox WHERE stream < 1000 ORDER BY id"),
];

/// What every record came to in the end.
const CAME_TO: &[Query] = &[
    (
        "ledger",
        "SELECT concat_ws(' ', l.partition, n, coalesce(p.outcome, substr(convert_from(l.outcomes, 'UTF8'), (n - l.first_offset + 1)::int, 1)))
         FROM intake_ledger l CROSS JOIN generate_series(l.first_offset, l.next_offset - 1) AS n
         LEFT JOIN parked_records p ON p.topic = l.topic AND p.partition = l.partition AND p.\"offset\" = n
         ORDER BY l.partition, n",
    ),
    (
        "events by membership, in the order of their numbers",
        "SELECT encode(o.key, 'escape') || ' ' || string_agg(o.id::text || (o.state_body IS NULL), ' ' ORDER BY r.first_seq + o.pos)
         FROM outbox o JOIN outbox_runs r USING (batch, stream)
         WHERE o.stream BETWEEN 1000 AND 1999 GROUP BY o.key ORDER BY o.key",
    ),
    ("inbox", "SELECT concat_ws(' ', source, message_id, attempt, status, outcome) FROM inbox ORDER BY source, message_id"),
    ("members", "SELECT (to_jsonb(t) - 'created_at' - 'updated_at')::text FROM group_members t ORDER BY group_id, individual_id"),
    ("waiting", "SELECT 'waits ' || count(*) FROM parked_names"),
];

/// What must not depend on the cutting, as sorted text.
async fn dump(scene: &Scene, queries: &[Query]) -> BTreeMap<&'static str, Vec<String>> {
    let mut dump = BTreeMap::new();
    for &(what, sql) in queries {
        dump.insert(what, sqlx::query_scalar(sql).fetch_all(&scene.pool).await.expect(what));
    }
    let gaps: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT first_seq - lag(first_seq + count, 1, 1::bigint)
             OVER (PARTITION BY stream ORDER BY first_seq) AS gap FROM outbox_runs) AS gaps WHERE gap <> 0",
    )
    .fetch_one(&scene.pool)
    .await
    .unwrap();
    assert_eq!(gaps, 0, "runs adjoin");
    dump
}
