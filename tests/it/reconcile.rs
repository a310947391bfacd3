//! `reconcile` on a real database: what apply writes is proved, and each lie that is seeded there is found, with where
//! it is. A checker that finds nothing proves little.

use std::sync::Arc;

use bytes::Bytes;
use rollcall::app::reconcile::{Options, Report, reconcile};
use rollcall::apply::TopicPartition;
use rollcall::config::Settings;
use rollcall::contract::wire::RequestedState;
use rollcall::lifecycle::clock::ManualClock;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use time::macros::datetime;

use crate::scene::{Scene, enrollment, partition, raw, record};
use crate::support::{NewRecord, Topics, kafka, unique_prefix};

async fn run(scene: &Scene, settings: &Settings, options: Options) -> Report {
    let clock = ManualClock::new(datetime!(2026-03-02 01:00 UTC));
    reconcile(&scene.pool, settings, &clock, options, &(Arc::new(|_, _| {}) as _))
        .await
        .expect("the servers answer")
}

async fn offline(scene: &Scene) -> Report {
    run(scene, &Settings::default(), Options { offline: true, full: false }).await
}

async fn execute(scene: &Scene, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&scene.pool).await.expect(sql);
}

/// Records of all outcomes that there are without parking: the ledger of partition 0 reads `AALR`, `D-RR`, `AA`.
async fn seed(scene: &Scene, at: &TopicPartition) {
    let fence = scene.lease(at).await;
    let mut draft = enrollment("m1", "r1", "CASH");
    draft.program_memberships[0].state = RequestedState::Draft;
    let refused = enrollment("m3", "r3", "NOWHERE");
    let batch = vec![
        record(at, 0, &draft),
        record(at, 1, &enrollment("m2", "r2", "FOOD")),
        raw(at, 2, None, Some(Bytes::from_static(b"junk"))),
        record(at, 3, &refused),
    ];
    scene.apply(fence, batch).await;
    let mut again = refused.clone();
    again.attempt = 2;
    let batch = vec![
        record(at, 4, &draft),
        record(at, 6, &enrollment("m1", "r9", "FOOD")),
        record(at, 7, &again),
    ];
    scene.apply(fence, batch).await;
    let batch =
        vec![record(at, 8, &enrollment("m4", "r1", "CASH")), record(at, 9, &enrollment("m5", "r5", "CASH"))];
    scene.apply(fence, batch).await;
    let other = TopicPartition { partition: 1, ..at.clone() };
    let fence = scene.lease(&other).await;
    scene.apply(fence, vec![record(&other, 7, &enrollment("m6", "r6", "CASH"))]).await;
    let ledger = scene
        .text("SELECT string_agg(convert_from(outcomes, 'UTF8'), ' ' ORDER BY partition, first_offset) FROM intake_ledger")
        .await;
    assert_eq!(ledger, "AALR D-RR AA A");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_apply_writes_is_proved() {
    let scene = Scene::new().await;
    assert!(offline(&scene).await.proved(), "nothing is nothing");
    seed(&scene, &partition(0)).await;
    let report = offline(&scene).await;
    assert!(report.proved(), "{}", report.to_json());
    let checked: Vec<_> = report.checks.iter().map(|check| (check.name, check.checked)).collect();
    assert_eq!(checked[0], ("ledger", 11));
    assert_eq!(checked[2], ("outcomes", 11));
    assert_eq!(checked[5], ("cursors", 60));
    assert!(checked[4].1 > 0 && checked[6].1 > 0 && checked[7].1 > 0, "{checked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn years_of_transactions_are_walked_slice_by_slice() {
    let scene = Scene::new().await;
    seed(&scene, &partition(0)).await;
    // Each ledger row and what belongs to it gets a time of its own.
    execute(
        &scene,
        r#"UPDATE inbox SET recorded_at = ledger.recorded_at + (10 - ledger.first_offset) * interval '17 days'
           FROM intake_ledger AS ledger
           WHERE ledger.topic = inbox.topic AND ledger.partition = inbox.partition
             AND inbox."offset" >= ledger.first_offset AND inbox."offset" < ledger.next_offset;
           UPDATE inbox_attempts SET recorded_at = ledger.recorded_at + (10 - ledger.first_offset) * interval '17 days'
           FROM intake_ledger AS ledger
           WHERE ledger.topic = inbox_attempts.topic AND ledger.partition = inbox_attempts.partition
             AND inbox_attempts."offset" >= ledger.first_offset AND inbox_attempts."offset" < ledger.next_offset;
           UPDATE dead_letters SET first_failed_at = ledger.recorded_at + (10 - ledger.first_offset) * interval '17 days'
           FROM intake_ledger AS ledger
           WHERE ledger.partition = dead_letters.partition
             AND dead_letters."offset" >= ledger.first_offset AND dead_letters."offset" < ledger.next_offset;
           UPDATE intake_ledger SET recorded_at = recorded_at + (10 - first_offset) * interval '17 days'"#,
    )
    .await;
    let report = offline(&scene).await;
    assert!(report.proved(), "{}", report.to_json());
    assert_eq!(report.checks[2].checked, 11);
}

/// A lie: what is done to the tables, which check finds it, the beginning of what it says, and where.
struct Lie {
    sql: String,
    check: &'static str,
    what: &'static str,
    at: Value,
}

fn lie(check: &'static str, what: &'static str, at: Value, sql: impl Into<String>) -> Lie {
    Lie { sql: sql.into(), check, what, at }
}

fn is_found(report: &Report, lie: &Lie) -> bool {
    report.checks.iter().filter(|check| check.name == lie.check).any(|check| {
        check.findings.iter().any(|finding| {
            let found = serde_json::to_value(finding).expect("a finding is JSON");
            let at = lie.at.as_object().expect("coordinates");
            finding.what.starts_with(lie.what) && at.iter().all(|(key, value)| found.get(key) == Some(value))
        })
    })
}

/// Tells each lie by itself, and takes it back.
async fn tell(scene: &Scene, lies: &[Lie]) {
    const TABLES: [&str; 12] = [
        "programs", "registrants", "names", "phone_numbers", "memberships", "membership_history", "inbox",
        "inbox_attempts", "intake_ledger", "dead_letters", "outbox", "outbox_runs",
    ];
    let mut restore = "DELETE FROM relay_cursors; INSERT INTO relay_cursors SELECT * FROM true_relay_cursors;".to_owned();
    execute(scene, "CREATE TABLE true_relay_cursors AS TABLE relay_cursors").await;
    for table in TABLES {
        execute(scene, &format!("CREATE TABLE true_{table} AS TABLE {table}")).await;
        restore.push_str(&format!(
            "TRUNCATE {table}; INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM true_{table};"
        ));
    }
    for lie in lies {
        execute(scene, &lie.sql).await;
        let report = offline(scene).await;
        assert!(!report.proved(), "{}", lie.sql);
        assert!(is_found(&report, lie), "{}\n{:#}", lie.sql, report.to_json());
        execute(scene, &restore).await;
    }
    let report = offline(scene).await;
    assert!(report.proved(), "{}", report.to_json());
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_of_the_ledger_are_found() {
    let scene = Scene::new().await;
    let at = partition(0);
    seed(&scene, &at).await;
    let place = |partition: i32, offset: i64| json!({"topic": &*at.topic, "partition": partition, "offset": offset});
    let set = |offset: i64, byte: u8| {
        format!(
            "UPDATE intake_ledger SET outcomes = set_byte(outcomes, ({offset} - first_offset)::int, {byte})
             WHERE partition = 0 AND first_offset <= {offset} AND next_offset > {offset}"
        )
    };
    let ledger_row = |first: i64, next: i64, outcomes: &str| {
        format!(
            "INSERT INTO intake_ledger SELECT topic, partition, {first}, {next}, fence, '{outcomes}', recorded_at
             FROM intake_ledger WHERE partition = 0 LIMIT 1"
        )
    };
    let inbox_row = |table: &str, message_id: &str, offset: i64| {
        let more = if table == "inbox" { ("fingerprint, channel,", "'', 'KAFKA',") } else { ("", "") };
        format!(
            r#"INSERT INTO {table} (source, message_id, attempt, {} status, outcome, result, topic, partition, "offset", recorded_at)
               SELECT 'registry', '{message_id}', 1, {} 'SUCCEEDED', 'A', '', topic, partition, {offset}, recorded_at
               FROM intake_ledger WHERE partition = 0 LIMIT 1"#,
            more.0, more.1
        )
    };
    let with = |mut place: Value, key: &str, value: &str| {
        place[key] = json!(value);
        place
    };
    tell(
        &scene,
        &[
            lie("ledger", "a hole: 4", place(0, 4), "DELETE FROM intake_ledger WHERE first_offset = 4"),
            lie("ledger", "a double: 1", place(0, 1), ledger_row(1, 2, "A")),
            lie("ledger", "a double: 2", place(0, 8), ledger_row(5, 12, "AAAAAAA")),
            lie("ledger", "an outcome that is none", place(0, 1), set(1, b'x')),
            lie("lost", "lost, and accepted", place(0, 5), set(5, b'!')),
            lie(
                "outcomes",
                "the ledger says U, the inbox says A",
                with(place(0, 1), "message_id", "m2"),
                set(1, b'U'),
            ),
            lie("outcomes", "the ledger says L, the inbox says A", place(0, 1), set(1, b'L')),
            lie("outcomes", "the ledger says A, the inbox has no row", place(0, 5), set(5, b'A')),
            lie("outcomes", "the ledger says D, yet the inbox", place(0, 9), set(9, b'D')),
            lie("outcomes", "the ledger says -, yet dead_letters", place(0, 2), set(2, b'-')),
            lie(
                "outcomes",
                "the ledger says A, the inbox has no row",
                place(0, 1),
                "DELETE FROM inbox WHERE message_id = 'm2'",
            ),
            lie(
                "outcomes",
                "the ledger says R, the inbox has no row",
                place(0, 3),
                "DELETE FROM inbox_attempts WHERE message_id = 'm3'",
            ),
            lie("outcomes", "the ledger says L, dead_letters has no row", place(0, 2), "DELETE FROM dead_letters"),
            lie(
                "outcomes",
                "the ledger says A, the inbox says R",
                place(0, 0),
                "UPDATE inbox SET outcome = 'R' WHERE message_id = 'm1'",
            ),
            lie(
                "outcomes",
                "the inbox has a row for an offset that the ledger does not have",
                with(place(0, 99), "message_id", "made-up"),
                inbox_row("inbox", "made-up", 99),
            ),
            lie(
                "outcomes",
                "dead_letters has a row for an offset that the ledger does not have",
                place(0, 99),
                r#"UPDATE dead_letters SET "offset" = 99"#,
            ),
            lie("outcomes", "a double", place(0, 1), inbox_row("inbox_attempts", "m2", 1)),
            lie(
                "outcomes",
                "the inbox has a row of another transaction",
                place(0, 1),
                "UPDATE inbox SET recorded_at = recorded_at - interval '30 days' WHERE message_id = 'm2'",
            ),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_of_the_streams_are_found() {
    let scene = Scene::new().await;
    seed(&scene, &partition(0)).await;
    // The results for r1: three runs.
    let stream = rollcall::contract::shard(b"r1", 12) as i16;
    let first = format!("WHERE stream = {stream} AND first_seq = 1");
    let last = format!(
        "WHERE stream = {stream} AND batch = (SELECT max(batch) FROM outbox_runs WHERE stream = {stream})"
    );
    let at = |sequence: i64| json!({"stream": stream, "sequence": sequence});
    let number: i64 = sqlx::query_scalar("SELECT max(first_seq + count - 1) FROM outbox_runs WHERE stream = $1")
        .bind(stream)
        .fetch_one(&scene.pool)
        .await
        .unwrap();
    assert!(number >= 3);
    tell(
        &scene,
        &[
            lie("runs", "a missing run", at(1), format!("DELETE FROM outbox_runs {first}")),
            lie("runs", "rows of batch", json!({"stream": stream}), format!("DELETE FROM outbox_runs {last}")),
            lie(
                "runs",
                "a double",
                at(number - 1),
                format!("UPDATE outbox_runs SET first_seq = first_seq - 1 {last}"),
            ),
            lie(
                "runs",
                "a missing run",
                at(number),
                format!("UPDATE outbox_runs SET first_seq = first_seq + 1 {last}"),
            ),
            lie("runs", "a run of 1 numbers has 0 rows", at(number), format!("DELETE FROM outbox {last}")),
            lie("runs", "the rows of a run are not", at(number), format!("UPDATE outbox SET pos = 7 {last}")),
            lie(
                "runs",
                "rows of batch",
                json!({"stream": 3011}),
                "INSERT INTO outbox (batch, stream, pos, id, cause) VALUES (77, 3011, 0, gen_random_uuid(), '')",
            ),
            lie(
                "cursors",
                "a cursor beyond the last number",
                json!({"stream": stream, "sequence": number + 1, "topic": "results"}),
                format!("UPDATE relay_cursors SET acked = {} WHERE stream = {stream}", number + 1),
            ),
            lie(
                "cursors",
                "a cursor before the beginning",
                json!({"stream": 1003, "topic": "membership-state"}),
                "UPDATE relay_cursors SET acked = -1 WHERE stream = 1003 AND topic = 'membership-state'",
            ),
            lie(
                "cursors",
                "a stream has no cursor",
                json!({"stream": 1003}),
                "DELETE FROM relay_cursors WHERE stream = 1003 AND topic = 'membership-events'",
            ),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_of_state_and_references_are_found() {
    let scene = Scene::new().await;
    seed(&scene, &partition(0)).await;
    // Of r1: drafted, then enrolled.
    let id = scene.text("SELECT membership_id::text FROM memberships WHERE version = 2").await;
    let registrant = scene.text("SELECT registrant_id::text FROM memberships WHERE version = 2").await;
    let stream = 1000 + rollcall::contract::shard(id.as_bytes(), 12) as i16;
    let at = json!({"membership_id": id, "registrant_id": registrant});
    let of_membership = json!({"membership_id": id});
    let this = format!("WHERE membership_id = '{id}'");
    let owner = format!("WHERE registrant_id = '{registrant}'");
    let history = |version: i32, state: &str| {
        format!(
            "INSERT INTO membership_history (membership_id, version, change, state, spell, registrant_id, program_id,
                 effective_date, channel, source, message_id, occurred_at, recorded_at)
             SELECT '{id}', {version}, 'CORRECTED', {state}, spell, registrant_id, program_id, effective_date, channel,
                 source, message_id, occurred_at, recorded_at FROM membership_history {this} AND version = 2;"
        )
    };
    tell(
        &scene,
        &[
            lie("history", "a state without event", at.clone(), format!("DELETE FROM membership_history {this}")),
            lie(
                "history",
                "a state without event",
                json!({"membership_id": "00000000-0000-0000-0000-000000000001"}),
                "INSERT INTO memberships SELECT '00000000-0000-0000-0000-000000000001', gen_random_uuid(), program_id,
                     state, spell, version, enrollment_date, exit_date, created_at, updated_at FROM memberships LIMIT 1",
            ),
            lie("history", "an event without state", of_membership.clone(), format!("DELETE FROM memberships {this}")),
            lie(
                "history",
                "the history has version 2 where 1 is due",
                of_membership.clone(),
                format!("DELETE FROM membership_history {this} AND version = 1"),
            ),
            lie(
                "history",
                "the state is not that of the last change: version 2 against 1, state ENROLLED against DRAFT",
                at.clone(),
                format!("DELETE FROM membership_history {this} AND version = 2"),
            ),
            lie(
                "history",
                "the state is not that of the last change: state PAUSED",
                at.clone(),
                format!("UPDATE memberships SET state = 'PAUSED' {this}"),
            ),
            lie(
                "history",
                "the state is not that of the last change: version 3 against 2",
                at.clone(),
                format!("UPDATE memberships SET version = 3 {this}"),
            ),
            lie(
                "history",
                "the state is not that of the last change: version 2 against 3, state ENROLLED against its removal",
                at.clone(),
                history(3, "NULL"),
            ),
            lie(
                "history",
                "the history goes on after the removal",
                of_membership.clone(),
                history(3, "NULL") + &history(4, "'DRAFT'"),
            ),
            lie(
                "history",
                "the history has",
                json!({"stream": stream}),
                history(3, "state") + &format!("UPDATE memberships SET version = 3, enrollment_date = NULL, exit_date = NULL {this}"),
            ),
            lie(
                "references",
                "an orphan: the membership's registrant",
                at.clone(),
                format!("DELETE FROM registrants {owner}"),
            ),
            lie(
                "references",
                "an orphan: the owner of a name",
                json!({"registrant_id": registrant, "source": "registry"}),
                format!("DELETE FROM registrants {owner}"),
            ),
            lie(
                "references",
                "an orphan: the membership's program",
                at,
                "DELETE FROM programs WHERE code = 'CASH'",
            ),
            lie("references", "version 1 in the history", of_membership, "DELETE FROM programs WHERE code = 'CASH'"),
            lie(
                "references",
                "a name without owner",
                json!({"source": "registry"}),
                format!("UPDATE names SET registrant_id = NULL {owner}"),
            ),
            lie(
                "references",
                "an orphan: the owner of a phone number",
                json!({"registrant_id": "00000000-0000-0000-0000-000000000001"}),
                "INSERT INTO phone_numbers (registrant_id, phone_no)
                 VALUES ('00000000-0000-0000-0000-000000000001', '+100')",
            ),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_finding_shows_a_value_of_a_person() {
    let scene = Scene::new().await;
    seed(&scene, &partition(0)).await;
    execute(&scene, "DELETE FROM registrants; DELETE FROM membership_history; DELETE FROM inbox").await;
    let said = offline(&scene).await.to_json().to_string();
    assert!(said.contains("an orphan") && said.contains("a state without event"));
    for value in ["r1", "r2", "r5", "Seeded"] {
        assert!(!said.contains(&format!("\"{value}")) && !said.contains("Seeded"), "{value}: {said}");
    }
}

/// Publishes what the runs number, as the relay does.
async fn publish(scene: &Scene, topics: &Topics) {
    let rows: Vec<(i16, i32, i64, String)> = sqlx::query_as(
        "SELECT streams.stream, streams.shard, runs.first_seq + places.n, cursors.topic
         FROM outbox_runs AS runs JOIN outbox_streams AS streams USING (stream)
         JOIN relay_cursors AS cursors USING (stream)
         CROSS JOIN LATERAL generate_series(0, runs.count - 1) AS places (n) ORDER BY 1, 4, 3",
    )
    .fetch_all(&scene.pool)
    .await
    .unwrap();
    for (_, shard, number, topic) in rows {
        topics.produce(&topic, &[numbered(&topic, shard, number)]).await;
    }
    execute(
        scene,
        "UPDATE relay_cursors SET acked = last.number FROM (
             SELECT stream, max(first_seq + count - 1) AS number FROM outbox_runs GROUP BY stream
         ) AS last WHERE last.stream = relay_cursors.stream",
    )
    .await;
}

fn numbered(topic: &str, partition: i32, number: i64) -> NewRecord {
    let header = if topic == "dead-letters" { "rollcall.dlq.sequence" } else { "ce_sequence" };
    NewRecord {
        partition: Some(partition),
        value: Some(b"body".to_vec()),
        headers: vec![(header.to_owned(), Some(format!("{number:020}").into_bytes()))],
        ..NewRecord::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_read_again_and_counted() {
    let prefix = unique_prefix();
    let kafka = kafka().await;
    let topics = kafka.topics(&prefix);
    for topic in ["results", "membership-events", "membership-state", "batch-receipts", "dead-letters"] {
        topics.create(topic, 12, &[]).await;
    }
    topics.create("enrollment-requests", 2, &[]).await;
    let scene = Scene::new().await;
    let at = TopicPartition { topic: format!("{prefix}enrollment-requests").into(), partition: 0 };
    seed(&scene, &at).await;
    // Ten records of partition 0 are there, also the one that the ledger says was never delivered. Of partition 1 the
    // ledger knows only the eighth.
    let records: Vec<_> = (0..18)
        .map(|n| NewRecord { partition: Some(i32::from(n >= 10)), value: Some(vec![n]), ..NewRecord::default() })
        .collect();
    topics.produce("enrollment-requests", &records).await;
    publish(&scene, &topics).await;
    let mut settings = Settings::default();
    settings.kafka.bootstrap_servers.clone_from(&kafka.brokers);
    settings.topics.prefix.clone_from(&prefix);
    let online = async || run(&scene, &settings, Options::default()).await;

    let report = online().await;
    let topic = &*at.topic;
    let undelivered = lie("undelivered", "the ledger says never delivered", json!({"topic": topic, "partition": 0, "offset": 5}), "");
    let skipped = lie("ledger", "a hole: records before", json!({"topic": topic, "partition": 1, "offset": 0}), "");
    assert!(is_found(&report, &undelivered) && is_found(&report, &skipped), "{:#}", report.to_json());
    let found: u64 = report.checks.iter().map(|check| check.found).sum();
    assert_eq!(found, 2, "{:#}", report.to_json());
    assert!(report.checks.last().unwrap().checked > 10);

    // Past their retention neither can be known.
    topics.delete_before("enrollment-requests", 0, 9).await;
    topics.delete_before("enrollment-requests", 1, 7).await;
    let report = online().await;
    assert!(report.proved(), "{:#}", report.to_json());

    // A repeat is none; a number that nobody gave, one that was left out, and a record without are.
    let stream = rollcall::contract::shard(b"r1", 12) as i16;
    let shard = i32::from(stream);
    topics.produce("results", &[numbered("results", shard, 1), numbered("results", shard, 2)]).await;
    assert!(online().await.proved());
    topics.produce("results", &[numbered("results", shard, 90)]).await;
    topics
        .produce("dead-letters", &[NewRecord { headers: Vec::new(), ..numbered("dead-letters", 0, 1) }])
        .await;
    execute(&scene, "UPDATE relay_cursors SET acked = 1 WHERE topic = 'batch-receipts' AND stream = 2004").await;
    let report = online().await;
    let results = format!("{prefix}results");
    let at = |sequence: i64| json!({"topic": &results, "partition": shard, "stream": stream, "sequence": sequence});
    for lie in [
        lie("output", "numbers ", json!({"topic": &results, "partition": shard, "stream": stream}), ""),
        lie("output", "the topic is ahead of the database: 90", at(90), ""),
        lie("output", "a record without a number", json!({"topic": format!("{prefix}dead-letters"), "partition": 0}), ""),
        lie("output", "acknowledged up to 1, the topic never", json!({"topic": format!("{prefix}batch-receipts"), "partition": 4}), ""),
    ] {
        assert!(is_found(&report, &lie), "{}\n{:#}", lie.what, report.to_json());
    }
}
