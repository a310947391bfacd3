//! A migrated database with programs, and batches applied to it without Kafka.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rollcall::apply::{Applier, Batch, Caps, Options, Record, Slice, SliceOutcome, TopicPartition};
use rollcall::contract::wire::{
    Action, EnrollmentRequest, GroupMember, GroupMembershipRequest, GroupMode,
    MembershipUpdateRequest, Millis, ProgramMembershipIn, RegistrantIdentifier, RegistrantInfo,
    RegistrantKind, RegistrantRef, RequestedState,
};
use rollcall::contract::{Dates, Message, Schemas, encode};
use rollcall::domain::{Program, ProgramId, ProgramState};
use rollcall::lifecycle::clock::{Clock, ManualClock};
use rollcall::lifecycle::health::Health;
use rollcall::store;
use sqlx::PgPool;
use time::macros::datetime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{self, TestDb};

/// When everything in a scene is sent, if nothing else is said.
pub(crate) const SENT: time::OffsetDateTime = datetime!(2026-03-01 08:30 UTC);

/// The programs of every scene: two that go on, one that has ended, one for groups.
pub(crate) const PROGRAMS: [(&str, rollcall::domain::RegistrantKind, ProgramState); 4] = [
    ("CASH", rollcall::domain::RegistrantKind::Individual, ProgramState::Active),
    ("FOOD", rollcall::domain::RegistrantKind::Individual, ProgramState::Active),
    ("OLD", rollcall::domain::RegistrantKind::Individual, ProgramState::Ended),
    ("HOUSE", rollcall::domain::RegistrantKind::Group, ProgramState::Active),
];

pub(crate) struct Scene {
    pub(crate) database: TestDb,
    pub(crate) pool: PgPool,
    pub(crate) applier: Applier,
    pub(crate) clock: Arc<ManualClock>,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let database = support::database().await;
        store::migrate(&database.url).await.expect("the migrations run");
        let pool = store::connect(&database.url, &pool_options()).expect("a usable URL");
        let mut tx = pool.begin().await.expect("a transaction");
        let programs: Vec<_> = PROGRAMS
            .iter()
            .map(|(code, target_type, state)| Program {
                program_id: ProgramId::of(code),
                code: (*code).to_owned(),
                name: format!("Program {code}"),
                target_type: *target_type,
                state: *state,
            })
            .collect();
        store::programs::import(&mut tx, &programs, SENT).await.expect("programs");
        tx.commit().await.expect("a commit");
        let clock = Arc::new(ManualClock::new(NOW));
        let applier = applier_with(pool.clone(), Arc::<ManualClock>::clone(&clock));
        Self { database, pool, applier, clock }
    }

    /// Where nothing waits for what it names.
    pub(crate) async fn without_grace() -> Self {
        let scene = Self::new().await;
        let options = Options { grace: time::Duration::ZERO, ..options() };
        let clock = Arc::<ManualClock>::clone(&scene.clock);
        Self { applier: applier_of(scene.pool.clone(), clock, options), ..scene }
    }

    /// One that reads no more than this back for one transaction.
    pub(crate) fn applier_of_bytes(&self, max_bytes: usize) -> Applier {
        let clock = Arc::<ManualClock>::clone(&self.clock);
        applier_of(self.pool.clone(), clock, Options { max_bytes, ..options() })
    }

    /// Takes the lease of a partition, as the consumer does.
    pub(crate) async fn lease(&self, at: &TopicPartition) -> Uuid {
        let fence = Uuid::new_v4();
        sqlx::query(
            "INSERT INTO partition_leases (topic, partition, fence, owner, cluster_id, group_id, taken_at)
             VALUES ($1, $2, $3, 'test', 'cluster', 'group', now())
             ON CONFLICT (topic, partition) DO UPDATE SET fence = excluded.fence",
        )
        .bind(&*at.topic)
        .bind(at.partition)
        .bind(fence)
        .execute(&self.pool)
        .await
        .expect("a lease");
        fence
    }

    /// Applies records as one batch, each partition from where its first record stands.
    pub(crate) async fn apply(&self, fence: Uuid, records: Vec<Record>) -> Vec<SliceOutcome> {
        let batch = batch(&self.applier, fence, records);
        let outcomes = self.applier.apply(batch, &CancellationToken::new()).await;
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// Takes out of the queue whatever is ready.
    pub(crate) async fn drain(&self) {
        let hard = CancellationToken::new();
        while self.applier.drain_some(&hard).await.expect("a look at the queue") > 0 {}
    }

    /// The ledger's bytes, by topic, partition and offset.
    pub(crate) async fn ledger(&self) -> String {
        self.text(
            "SELECT coalesce(string_agg(convert_from(outcomes, 'UTF8'), '' ORDER BY topic, partition, first_offset), '')
             FROM intake_ledger",
        )
        .await
    }

    /// A query's single text value.
    pub(crate) async fn text(&self, sql: &'static str) -> String {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.expect(sql)
    }

    /// A query's single number.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.expect(sql)
    }
}

pub(crate) fn pool_options() -> store::Options {
    store::Options {
        max_connections: 8,
        application_name: "rollcall".to_owned(),
        statement_timeout: Duration::from_secs(30),
        lock_timeout: Duration::from_secs(20),
        idle_in_transaction_timeout: Duration::from_secs(10),
        tcp_user_timeout: Duration::from_secs(15),
    }
}

/// When everything in a scene is applied, until its clock is moved.
pub(crate) const NOW: time::OffsetDateTime = datetime!(2026-03-02 00:00 UTC);

pub(crate) fn applier(pool: PgPool) -> Applier {
    applier_with(pool, Arc::new(ManualClock::new(NOW)))
}

pub(crate) fn applier_with(pool: PgPool, clock: Arc<dyn Clock>) -> Applier {
    applier_of(pool, clock, options())
}

pub(crate) fn applier_capped(pool: PgPool, clock: Arc<dyn Clock>, caps: Caps) -> Applier {
    applier_of(pool, clock, Options { caps, ..options() })
}

/// One that does not wait long for what fails the same way again and again.
pub(crate) fn applier_stalling(pool: PgPool, clock: Arc<dyn Clock>, after: Duration) -> Applier {
    let retry_max_delay = Duration::from_millis(20);
    applier_of(pool, clock, Options { stall_after: after, retry_max_delay, ..options() })
}

/// One that never looks who stands in its way.
pub(crate) fn applier_patient(pool: PgPool, clock: Arc<dyn Clock>) -> Applier {
    applier_of(pool, clock, Options { takeover_after: Duration::from_hours(1), ..options() })
}

fn options() -> Options {
    Options {
        inbox_retention: time::Duration::days(400),
        stall_after: Duration::from_mins(5),
        retry_max_delay: Duration::from_secs(1),
        takeover_after: Duration::from_secs(2),
        transaction_deadline: Duration::from_mins(1),
        application_name: "rollcall".to_owned(),
        head_kind: "Head".to_owned(),
        grace: time::Duration::minutes(1),
        revise_after: time::Duration::seconds(5),
        shards: 12,
        caps: Caps { max_consecutive: 3, max_ratio: 0.0, ratio_window: 10 },
        max_record_bytes: 512 * 1024,
        max_bytes: 4 * 1024 * 1024,
    }
}

fn applier_of(pool: PgPool, clock: Arc<dyn Clock>, options: Options) -> Applier {
    let dates = Dates { time_zone: jiff::tz::TimeZone::UTC, max_future: time::Duration::days(366) };
    Applier::new(
        pool,
        Arc::new(Schemas::embedded()),
        Arc::new(dates),
        clock,
        Arc::default(),
        Health::default(),
        options,
    )
}

/// One slice a partition, over the offsets of its records.
pub(crate) fn batch(applier: &Applier, fence: Uuid, records: Vec<Record>) -> Batch {
    let mut batch = Batch::default();
    for record in records {
        match batch.slices.iter_mut().find(|slice| slice.at == record.at) {
            Some(slice) => slice.next_offset = record.offset + 1,
            None => batch.slices.push(Slice {
                at: record.at.clone(),
                fence,
                first_offset: record.offset,
                next_offset: record.offset + 1,
            }),
        }
        batch.records.push(applier.take(record));
    }
    batch
}

pub(crate) fn partition(number: i32) -> TopicPartition {
    TopicPartition { topic: "rollcall.enrollment-requests".into(), partition: number }
}

/// A record that carries an enrollment, keyed as the contract says.
pub(crate) fn record(at: &TopicPartition, offset: i64, request: &EnrollmentRequest) -> Record {
    carrying(at, offset, request.registrant.reference.as_deref(), request)
}

/// A record that carries a request of any kind.
pub(crate) fn carrying<M: Message>(
    at: &TopicPartition,
    offset: i64,
    key: Option<&str>,
    request: &M,
) -> Record {
    let key = key.map(|key| Bytes::from(key.to_owned().into_bytes()));
    let value = encode(request).expect("a request that fits its schema");
    raw(at, offset, key, Some(Bytes::from(value)))
}

/// A partition of the topic of updates, or of groups.
pub(crate) fn partition_of(topic: &str, number: i32) -> TopicPartition {
    TopicPartition { topic: format!("rollcall.{topic}").into(), partition: number }
}

/// An action on the membership of whom the registry calls so.
pub(crate) fn update(
    message_id: &str,
    reference: &str,
    program: &str,
    action: Action,
) -> MembershipUpdateRequest {
    MembershipUpdateRequest {
        message_id: message_id.to_owned(),
        source: "registry".to_owned(),
        sent_at: Millis::from(SENT),
        attempt: 1,
        batch: None,
        actor: None,
        registrant: RegistrantRef {
            reference: Some(reference.to_owned()),
            ..RegistrantRef::default()
        },
        program: program.to_owned(),
        action,
        enrollment_date: None,
        exit_date: None,
        effective_date: None,
        reason: None,
        expected_version: None,
    }
}

/// A group with members (reference, kinds), each told of without program memberships.
pub(crate) fn group(
    message_id: &str,
    reference: &str,
    members: &[(&str, &[&str])],
) -> GroupMembershipRequest {
    GroupMembershipRequest {
        message_id: message_id.to_owned(),
        source: "registry".to_owned(),
        sent_at: Millis::from(SENT),
        attempt: 1,
        batch: None,
        actor: None,
        atomic: false,
        group: RegistrantInfo {
            reference: Some(reference.to_owned()),
            kind: RegistrantKind::Group,
            ..info()
        },
        mode: GroupMode::Merge,
        members: members.iter().map(|(reference, kinds)| member(reference, kinds)).collect(),
        program_memberships: Vec::new(),
    }
}

/// A member by its reference.
pub(crate) fn member(reference: &str, kinds: &[&str]) -> GroupMember {
    GroupMember {
        individual: RegistrantInfo { reference: Some(reference.to_owned()), ..info() },
        kinds: Some(kinds.iter().map(|kind| (*kind).to_owned()).collect()),
        start_date: None,
        ended_date: None,
        program_memberships: Vec::new(),
    }
}

pub(crate) fn raw(
    at: &TopicPartition,
    offset: i64,
    key: Option<Bytes>,
    value: Option<Bytes>,
) -> Record {
    let timestamp = SENT + time::Duration::milliseconds(offset);
    Record { at: at.clone(), offset, timestamp, key, value, headers: Vec::new() }
}

/// An enrollment of an individual with a reference, in one program.
pub(crate) fn enrollment(message_id: &str, reference: &str, program: &str) -> EnrollmentRequest {
    EnrollmentRequest {
        message_id: message_id.to_owned(),
        source: "registry".to_owned(),
        sent_at: Millis::from(SENT),
        attempt: 1,
        batch: None,
        actor: None,
        atomic: false,
        registrant: RegistrantInfo {
            reference: Some(reference.to_owned()),
            name: Some(format!("Seeded Name {reference}")),
            ..info()
        },
        program_memberships: vec![item(program)],
    }
}

pub(crate) fn item(program: &str) -> ProgramMembershipIn {
    ProgramMembershipIn {
        program: program.to_owned(),
        state: RequestedState::Enrolled,
        enrollment_date: None,
    }
}

pub(crate) fn identifier(id_type: &str, value: &str) -> RegistrantIdentifier {
    RegistrantIdentifier { id_type: id_type.to_owned(), value: value.to_owned(), expiry_date: None }
}

/// An individual of whom nothing is said.
pub(crate) fn info() -> RegistrantInfo {
    RegistrantInfo { kind: RegistrantKind::Individual, ..RegistrantInfo::default() }
}
