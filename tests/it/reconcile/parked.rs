//! Lies of records that wait, and of groups.

use rollcall::apply::{Record, TopicPartition};
use rollcall::config::Settings;
use rollcall::contract::wire::Action;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Options, execute, is_found, lie, offline, run, tell};
use crate::scene::{Scene, carrying, enrollment, group, partition, partition_of, record, update};

/// Two partitions and their fence; each record is a transaction of its own, a second after the one before.
struct Seed {
    scene: Scene,
    enrollments: TopicPartition,
    updates: TopicPartition,
    fence: Uuid,
}

impl Seed {
    async fn new() -> Self {
        let scene = Scene::new().await;
        let (enrollments, updates) = (partition(0), partition_of("membership-updates", 0));
        let fence = scene.lease(&enrollments).await;
        scene.lease(&updates).await;
        execute(&scene, &format!("UPDATE partition_leases SET fence = '{fence}'")).await;
        Self { scene, enrollments, updates, fence }
    }

    async fn apply(&self, record: Record) {
        self.scene.clock.advance(time::Duration::seconds(1));
        Box::pin(self.scene.apply(self.fence, vec![record])).await;
        self.scene.clock.advance(time::Duration::seconds(1));
        Box::pin(self.scene.drain()).await;
    }

    async fn enroll(&self, offset: i64, reference: &str) {
        let request = enrollment(&format!("e{offset}"), reference, "CASH");
        self.apply(record(&self.enrollments, offset, &request)).await;
    }

    async fn act(&self, offset: i64, reference: &str, action: Action) {
        let request = update(&format!("u{offset}"), reference, "CASH", action);
        self.apply(carrying(&self.updates, offset, Some(reference), &request)).await;
    }

    /// `u0` waits for its registrant and `u1` behind it; `u2` waited and was applied; `e1` is a letter that `u3` waits
    /// behind; `u4` waited and became a letter.
    async fn waiting() -> Self {
        let seed = Self::new().await;
        execute(
            &seed.scene,
            "ALTER TABLE registrants ADD CONSTRAINT no_poison CHECK (name <> 'Seeded Name poison');
             ALTER TABLE membership_history ADD CONSTRAINT never_exited CHECK (change <> 'EXITED')",
        )
        .await;
        seed.act(0, "r0", Action::Pause).await;
        seed.act(1, "r0", Action::Resume).await;
        seed.act(2, "r2", Action::Pause).await;
        seed.enroll(0, "r2").await;
        seed.enroll(1, "poison").await;
        seed.act(3, "poison", Action::Pause).await;
        seed.act(4, "r4", Action::Exit).await;
        seed.enroll(2, "r4").await;
        assert_eq!(seed.scene.ledger().await, "ALAKKKKK");
        let parked = seed
            .scene
            .text("SELECT string_agg(message_id || coalesce(outcome, '-'), ' ' ORDER BY parked_id) FROM parked_records")
            .await;
        assert_eq!(parked, "u0- u1- u2A u3- u4L");
        seed
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_wait_are_proved() {
    let seed = Seed::waiting().await;
    let report = offline(&seed.scene).await;
    assert!(report.proved(), "{:#}", report.to_json());
    let parked = report.checks.iter().find(|check| check.name == "parked").unwrap();
    // Five bytes, five rows, and the names of three that wait and of two letters.
    let names = seed.scene.number("SELECT count(*) FROM parked_names").await;
    assert!(names >= 5);
    assert_eq!(parked.checked as i64, 10 + names);
}

impl Seed {
    /// Their numbers, in the order of their messages, and that of the letter of an enrollment.
    async fn numbers(&self) -> (Vec<i64>, i64) {
        let records = sqlx::query_scalar("SELECT parked_id FROM parked_records ORDER BY parked_id")
            .fetch_all(&self.scene.pool)
            .await
            .unwrap();
        let letter = "SELECT parked_id FROM dead_letters WHERE topic LIKE '%enrollment-requests'";
        (records, self.scene.number(letter).await)
    }
}

fn set(message: &str, what: &str) -> String {
    format!("UPDATE parked_records SET {what} WHERE message_id = '{message}'")
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_of_records_that_wait_are_found() {
    let seed = Seed::waiting().await;
    let (numbers, _) = seed.numbers().await;
    let topic = &*seed.updates.topic;
    let place = |offset: i64| json!({"topic": topic, "partition": 0, "offset": offset});
    let of = |offset: i64| {
        let mut at = place(offset);
        at["parked_id"] = json!(numbers[offset as usize]);
        at["message_id"] = json!(format!("u{offset}"));
        at
    };
    let mut through = place(2);
    through["parked_id"] = json!(numbers[2]);
    let byte = |offset: i64, byte: u8| {
        format!(
            "UPDATE intake_ledger SET outcomes = set_byte(outcomes, 0, {byte})
             WHERE topic = '{topic}' AND first_offset = {offset}"
        )
    };
    tell(
        &seed.scene,
        &[
            lie(
                "parked",
                "the ledger says K, parked_records has no row",
                place(2),
                "DELETE FROM parked_records WHERE message_id = 'u2'",
            ),
            lie("parked", "a parked record of which the ledger says R", of(0), byte(0, b'R')),
            lie(
                "parked",
                "a parked record for an offset that the ledger does not have",
                json!({"offset": 99, "parked_id": numbers[0]}),
                set("u0", r#""offset" = 99"#),
            ),
            lie(
                "parked",
                "a record waits, and the inbox does not hold",
                of(0),
                "DELETE FROM inbox WHERE message_id = 'u0'",
            ),
            lie(
                "parked",
                "a record waits, and the inbox does not hold",
                of(3),
                "UPDATE inbox SET status = 'REJECTED' WHERE message_id = 'u3'",
            ),
            lie("parked", "a record waits, and the inbox does not hold", of(1), set("u1", "attempt = 2")),
            lie(
                "parked",
                "a record waits, and the inbox does not hold",
                of(2),
                set("u2", "state = 'WAITING', outcome = NULL"),
            ),
            lie(
                "parked",
                "a parked record is through, and the inbox still holds",
                of(0),
                set("u0", "state = 'RESOLVED', outcome = 'R'"),
            ),
            lie(
                "parked",
                "a parked record became a letter that is not there",
                of(4),
                "UPDATE dead_letters SET parked_id = NULL WHERE class = 'failed' AND topic LIKE '%updates'",
            ),
            lie("parked", "a parked record is through without an outcome", of(2), set("u2", "outcome = NULL")),
            lie(
                "parked",
                "a parked record is through, and does not say since when",
                of(2),
                set("u2", "resolved_at = NULL"),
            ),
            lie(
                "outcomes",
                "parked_records says A, the inbox has no row",
                through.clone(),
                "DELETE FROM inbox WHERE message_id = 'u2'",
            ),
            lie(
                "outcomes",
                "parked_records says R, the inbox has no row",
                through,
                set("u2", "outcome = 'R'"),
            ),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_of_what_waiting_records_occupy_are_found() {
    let seed = Seed::waiting().await;
    let (numbers, letter) = seed.numbers().await;
    let of = |message: usize| json!({"message_id": format!("u{message}"), "parked_id": numbers[message]});
    let (first, second) = (numbers[0], numbers[1]);
    let nobody = "00000000-0000-0000-0000-000000000001";
    let scene = &seed.scene;
    tell(
        scene,
        &[
            lie(
                "parked",
                "a record waits and occupies nothing",
                of(1),
                format!("DELETE FROM parked_names WHERE parked_id = {second}"),
            ),
            lie("parked", "a record waits for nothing", of(0), set("u0", "due_at = NULL")),
            lie(
                "parked",
                "a record waits for nothing",
                of(3),
                format!("DELETE FROM parked_names WHERE parked_id = {letter}"),
            ),
            lie(
                "parked",
                "a name is occupied by no record",
                json!({"parked_id": 9999}),
                "INSERT INTO parked_names VALUES ('REFERENCE', 'registry', 'r2', 9999)",
            ),
            lie(
                "parked",
                "a name is occupied by no record",
                json!({"parked_id": numbers[2]}),
                format!(
                    "INSERT INTO parked_names VALUES ('REFERENCE', 'registry', 'r2', {})",
                    numbers[2]
                ),
            ),
            lie(
                "parked",
                "a name is occupied by no record",
                json!({"parked_id": letter}),
                "UPDATE dead_letters SET state = 'RESOLVED'",
            ),
            lie(
                "parked",
                "an orphan: a registrant that is occupied",
                json!({"parked_id": first}),
                format!("INSERT INTO parked_names VALUES ('REGISTRANT', '', '{nobody}', {first})"),
            ),
        ],
    )
    .await;
    execute(scene, "DELETE FROM parked_records; DELETE FROM inbox").await;
    let said = offline(scene).await.to_json().to_string();
    assert!(said.contains("a name is occupied by no record"));
    for value in ["\"r0", "\"r2", "poison", "Seeded", "REFERENCE"] {
        assert!(!said.contains(value), "{value}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_of_groups_are_found() {
    let Seed { scene, enrollments, fence, .. } = Seed::new().await;
    let mut household =
        group("g", "g1", &[("r1", &["Head"]), ("r2", &["Spouse"]), ("r3", &["Head"])]);
    household.members[2].ended_date = household.sent_at.time().map(|sent| sent.date().into());
    let household = carrying(&enrollments, 0, Some("g1"), &household);
    Box::pin(scene.apply(fence, vec![household])).await;
    let report = offline(&scene).await;
    assert!(report.proved(), "{:#}", report.to_json());
    let groups = report.checks.iter().find(|check| check.name == "groups").unwrap();
    assert_eq!(groups.checked, 3);

    let group = scene.text("SELECT group_id::text FROM group_members LIMIT 1").await;
    let head = scene.text("SELECT individual_id::text FROM group_members WHERE is_head").await;
    let spouse =
        scene.text("SELECT individual_id::text FROM group_members WHERE kinds = '{Spouse}'").await;
    let at = |id: &str| -> Value { json!({"group_id": group, "registrant_id": id}) };
    let registrant = |id: &str, kind: &str| {
        format!("UPDATE registrants SET kind = '{kind}' WHERE registrant_id = '{id}'")
    };
    let gone = |id: &str| format!("DELETE FROM registrants WHERE registrant_id = '{id}'");
    let place = |id: &str, what: &str| {
        format!("UPDATE group_members SET {what} WHERE individual_id = '{id}'")
    };
    tell(
        &scene,
        &[
            lie("groups", "an orphan: the member's group", at(&spouse), gone(&group)),
            lie("groups", "an orphan: the member does", at(&spouse), gone(&spouse)),
            lie(
                "groups",
                "a member of what is no group",
                at(&head),
                registrant(&group, "INDIVIDUAL"),
            ),
            lie("groups", "a member that is no individual", at(&head), registrant(&head, "GROUP")),
            lie(
                "groups",
                "a head that has ended as a member",
                at(&head),
                place(&head, "ended_date = start_date"),
            ),
            lie("groups", "a head without the kind", at(&head), place(&head, "kinds = '{Child}'")),
            lie(
                "groups",
                "a member with the kind that makes a head is none",
                at(&head),
                place(&head, "is_head = false"),
            ),
            lie(
                "groups",
                "a member with the kind that makes a head is none",
                at(&spouse),
                place(&spouse, "kinds = '{Head,Spouse}'"),
            ),
            // The index forbids it: where it is not there, nothing else would.
            lie(
                "groups",
                "a group with more than one head",
                at(&spouse),
                format!(
                    "DROP INDEX group_members_head_key; {}",
                    place(&spouse, "kinds = '{Head}', is_head = true")
                ),
            ),
        ],
    )
    .await;
    // What makes a head is a setting: rows that were written under another one are found.
    let mut settings = Settings::default();
    settings.groups.head_kind = "Spouse".to_owned();
    let report = run(&scene, &settings, Options { offline: true, full: false }).await;
    for (id, what) in [
        (&head, "a head without the kind"),
        (&spouse, "a member with the kind that makes a head is none"),
    ] {
        assert!(is_found(&report, &lie("groups", what, at(id), "")), "{:#}", report.to_json());
    }
}
