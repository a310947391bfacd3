//! What the tests of parking do and look at.

use rollcall::apply::{Record, SliceOutcome, TopicPartition};
use rollcall::contract::decode_own;
use rollcall::contract::wire::{Action, EnrollmentRequest, RequestResult, ResultStatus};
use uuid::Uuid;

use crate::scene::{Scene, carrying, enrollment, partition, partition_of, record, update};

/// A scene, a partition of each request topic, and the fence of both.
pub(super) struct Waiting {
    pub(super) scene: Scene,
    pub(super) enrollments: (TopicPartition, i64),
    pub(super) updates: (TopicPartition, i64),
    pub(super) fence: Uuid,
}

impl Waiting {
    pub(super) async fn new() -> Self {
        let scene = Scene::new().await;
        let (enrollments, updates) = (partition(0), partition_of("membership-updates", 0));
        let fence = scene.lease(&enrollments).await;
        sqlx::query("INSERT INTO partition_leases SELECT $1, partition, fence, owner, cluster_id, group_id, taken_at FROM partition_leases")
            .bind(&*updates.topic)
            .execute(&scene.pool)
            .await
            .unwrap();
        Self { scene, enrollments: (enrollments, 0), updates: (updates, 0), fence }
    }

    pub(super) async fn sql(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.scene.pool).await.expect(sql);
    }

    pub(super) async fn apply(&mut self, record: Record) {
        assert_eq!(self.scene.apply(self.fence, vec![record]).await, [SliceOutcome::Committed]);
    }

    pub(super) fn enrollment(&mut self, request: &EnrollmentRequest) -> Record {
        let (at, offset) = &mut self.enrollments;
        *offset += 1;
        record(at, *offset - 1, request)
    }

    pub(super) fn update(&mut self, message_id: &str, reference: &str, action: Action) -> Record {
        let (at, offset) = &mut self.updates;
        *offset += 1;
        carrying(at, *offset - 1, Some(reference), &update(message_id, reference, "CASH", action))
    }

    pub(super) async fn enroll(&mut self, message_id: &str, reference: &str) {
        let record = self.enrollment(&enrollment(message_id, reference, "CASH"));
        self.apply(record).await;
    }

    pub(super) async fn act(&mut self, message_id: &str, reference: &str, action: Action) {
        let record = self.update(message_id, reference, action);
        self.apply(record).await;
    }

    /// An update of "r1" in an unknown program waits for nobody.
    pub(super) async fn refused_at_once(&mut self, message_id: &str) {
        let (at, offset) = self.updates.clone();
        self.updates.1 += 1;
        let unknown = update(message_id, "r1", "NOWHERE", Action::Pause);
        self.apply(carrying(&at, offset, Some("r1"), &unknown)).await;
        let results = self.results(message_id).await;
        let [result] = results.as_slice() else { panic!("one answer: {results:?}") };
        assert_eq!((result.status, result.r#final), (ResultStatus::Rejected, true));
        let errors: Vec<_> =
            result.errors.iter().map(|error| (&*error.code, &*error.pointer)).collect();
        assert_eq!(errors, [("rjct.program.not_found", "/program")]);
    }

    /// All results of a request, in the order of their numbers.
    pub(super) async fn results(&self, message_id: &str) -> Vec<RequestResult> {
        let bodies: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT body FROM outbox WHERE stream < 1000 AND cause = $1 ORDER BY batch, pos",
        )
        .bind(message_id)
        .fetch_all(&self.scene.pool)
        .await
        .unwrap();
        bodies.iter().map(|body| decode_own(body).unwrap()).collect()
    }

    /// What happened to memberships, in the order of versions.
    pub(super) async fn history(&self) -> String {
        self.scene
            .text("SELECT coalesce(string_agg(message_id || ':' || change || ':' || version, ' ' ORDER BY version), '') FROM membership_history")
            .await
    }

    /// State, reason and outcome of what is or was parked, in order.
    pub(super) async fn parked(&self) -> String {
        self.scene
            .text("SELECT coalesce(string_agg(message_id || ' ' || state || ' ' || why || ' ' || coalesce(outcome, '-'), ', ' ORDER BY parked_id), '') FROM parked_records")
            .await
    }

    /// Nothing is left that would make anybody wait.
    pub(super) async fn nobody_waits(&self) {
        assert_eq!(self.scene.number("SELECT count(*) FROM parked_names").await, 0);
        let waiting = "SELECT count(*) FROM parked_records WHERE state = 'WAITING'";
        assert_eq!(self.scene.number(waiting).await, 0);
        crate::reconcile::proves(&self.scene).await;
    }
}
