//! Partitions that an operator has go on.

use serde_json::{Value, json};

use super::shown;
use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{NewRecord, PATIENCE, Transaction, Worker, eventually};

fn garbage() -> NewRecord {
    NewRecord { partition: Some(0), value: Some(b"garbage".to_vec()), ..NewRecord::default() }
}

fn good(partition: i32, number: usize) -> NewRecord {
    record(Some(partition), &request(number))
}

/// What the list says of a partition of the enrollments; topics that were just made may have no leader yet.
async fn partition(stage: &Stage, number: i32) -> Value {
    let list = eventually(PATIENCE, "the brokers answer", async || {
        let (code, list) = stage.json(&["partitions", "list"]).await;
        (code == 0).then_some(list)
    })
    .await;
    assert_eq!(list["next_cursor"], Value::Null);
    let full = stage.topics.full(REQUESTS);
    let items = list["items"].as_array().unwrap();
    let found = items.iter().find(|one| one["topic"] == *full && one["partition"] == number);
    found.unwrap_or_else(|| panic!("{list:#}")).clone()
}

async fn in_state(stage: &Stage, number: i32, state: &str) -> Value {
    eventually(PATIENCE, &format!("partition {number} is {state}"), async || {
        Some(partition(stage, number).await).filter(|partition| partition["state"] == state)
    })
    .await
}

/// The bytes of the ledger of one partition.
async fn ledger(stage: &Stage) -> String {
    let ledger = "SELECT string_agg(convert_from(outcomes, 'UTF8'), '' ORDER BY first_offset) FROM intake_ledger";
    sqlx::query_scalar(ledger).fetch_one(&stage.db.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_stops_its_partition_is_passed_over() {
    let mut stage = Stage::new().await;
    stage.setup = stage.setup.with("ROLLCALL_DEAD_LETTER__MAX_CONSECUTIVE", "2");
    let worker = Worker::start(&stage.setup);
    let records = [garbage(), garbage(), garbage(), garbage(), good(0, 1)];
    stage.topics.produce(REQUESTS, &records).await;
    let stopped = in_state(&stage, 0, "STOPPED").await;
    assert_eq!((&stopped["offset"], &stopped["position"]), (&json!(2), &json!(2)));
    assert!(stopped["cause"].as_str().unwrap().starts_with("dead_letter_cap"));
    let skip = ["partitions", "skip", REQUESTS, "0", "2"];
    assert_eq!(stage.command(&skip).await.0, 2, "no reason");
    let because = ["--reason", "never mind", "--actor", "clerk"];
    let wrong = ["partitions", "skip", REQUESTS, "0", "3"];
    assert_eq!(stage.command(&[&wrong[..], &because].concat()).await.0, 1, "not the next one");
    let running = ["partitions", "skip", REQUESTS, "1"];
    assert_eq!(stage.command(&[&running[..], &because].concat()).await.0, 1, "it is read");
    let nowhere = ["partitions", "skip", REQUESTS, "99"];
    assert_eq!(stage.command(&[&nowhere[..], &because].concat()).await.0, 1);
    let (code, skipped) = stage.json(&[&skip[..], &because].concat()).await;
    assert_eq!((code, &skipped["skipped"], &skipped["position"]), (0, &json!(2), &json!(3)));
    stage.decided(5).await;
    assert_eq!(ledger(&stage).await, "LLSLA");
    let letter = shown(&stage, skipped["letter_id"].as_str().unwrap()).await;
    assert_eq!(
        [&letter["class"], &letter["offset"], &letter["actions"][0]["action"]],
        [&json!("skipped"), &json!(2), &json!("SKIPPED")]
    );
    let audit = "SELECT count(*) FROM partition_actions
                 WHERE action = 'SKIPPED' AND \"offset\" = 2 AND actor = 'clerk' AND reason = 'never mind'";
    assert_eq!(stage.number(audit).await, 1);
    in_state(&stage, 0, "RUNNING").await;
    stage.prove(5).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_says_late_of_a_partition_that_goes_on_is_not_believed() {
    let mut stage = Stage::new().await;
    stage.setup = stage.setup.with("ROLLCALL_DEAD_LETTER__MAX_CONSECUTIVE", "1");
    let worker = Worker::start(&stage.setup);
    stage.topics.produce(REQUESTS, &[garbage(), garbage(), good(0, 2)]).await;
    in_state(&stage, 0, "STOPPED").await;
    worker.pause().await;
    let keep = "CREATE TABLE said AS SELECT * FROM partition_states WHERE state = 'STOPPED'";
    sqlx::query(keep).execute(&stage.db.pool).await.unwrap();
    let skip = ["partitions", "skip", REQUESTS, "0", "--reason", "never mind"];
    assert_eq!(stage.command(&skip).await.0, 0);
    // As it does in the moment before it finds that the lease has another fence.
    let say = r#"UPDATE partition_states AS now
                 SET state = said.state, cause = said.cause, "offset" = said."offset", fence = said.fence
                 FROM said WHERE (now.topic, now.partition) = (said.topic, said.partition)"#;
    assert_eq!(sqlx::query(say).execute(&stage.db.pool).await.unwrap().rows_affected(), 1);
    let listed = partition(&stage, 0).await;
    assert_ne!(listed["state"], "STOPPED", "{listed:#}");
    assert_eq!([&listed["cause"], &listed["offset"]], [&Value::Null, &Value::Null], "{listed:#}");
    worker.resume().await;
    stage.decided(3).await;
    in_state(&stage, 0, "RUNNING").await;
    stage.prove(3).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_behind_offsets_that_are_never_delivered_is_passed_over() {
    let mut stage = Stage::new().await;
    stage.setup = stage.setup.with("ROLLCALL_DEAD_LETTER__MAX_CONSECUTIVE", "1");
    for (number, offset) in [(1, 3), (5, 7)] {
        stage.topics.produce(REQUESTS, &[garbage()]).await;
        // A record that is taken back, and the marker that says so.
        stage.topics.transact(REQUESTS, &[good(0, number)], Transaction::Aborted).await;
        assert_eq!(stage.topics.produce(REQUESTS, &[garbage()]).await, [(0, offset)]);
    }
    stage.topics.produce(REQUESTS, &[good(0, 8)]).await;
    let worker = Worker::start(&stage.setup);
    let because = ["--reason", "never mind"];
    // Its own offset is told, or the position.
    for (position, told, record, then) in [(1, 3, 3, 4), (5, 5, 7, 8)] {
        let stopped = in_state(&stage, 0, "STOPPED").await;
        let places = [&stopped["position"], &stopped["offset"]];
        assert_eq!(places, [&json!(position), &json!(record)], "{stopped:#}");
        let between = ["partitions", "skip", REQUESTS, "0", "2"];
        assert_eq!(stage.command(&[&between[..], &because].concat()).await.0, 1);
        let told = told.to_string();
        let skip = ["partitions", "skip", REQUESTS, "0", &told];
        let (code, skipped) = stage.json(&[&skip[..], &because].concat()).await;
        let places = [&skipped["skipped"], &skipped["position"]];
        assert_eq!((code, places), (0, [&json!(record), &json!(then)]), "{skipped:#}");
    }
    stage.decided(9).await;
    assert_eq!(ledger(&stage).await, "L--SL--SA");
    stage.prove(9).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_paused_and_goes_on() {
    let stage = Stage::new().await;
    let worker = Worker::start(&stage.setup);
    stage.topics.produce(REQUESTS, &[good(1, 1), good(2, 2)]).await;
    stage.decided(2).await;
    let pause = ["partitions", "pause", REQUESTS, "1"];
    assert_eq!(stage.command(&pause).await.0, 2, "no reason");
    let pause = [&pause[..], &["--reason", "the registry is being mended"]].concat();
    let (code, paused) = stage.json(&pause).await;
    assert_eq!(
        (code, &paused["state"], &paused["cause"]),
        (0, &json!("PAUSED"), &json!("the registry is being mended"))
    );
    assert_eq!(stage.command(&pause).await.0, 0, "it is");
    stage.topics.produce(REQUESTS, &[good(1, 3), good(2, 4)]).await;
    stage.decided(3).await;
    let position = |partition: &Value| partition["position"].clone();
    assert_eq!(position(&partition(&stage, 1).await), json!(1), "nothing of it is applied");
    // Nor by a worker that comes later.
    worker.stop().await;
    let worker = Worker::start(&stage.setup);
    stage.topics.produce(REQUESTS, &[good(2, 5)]).await;
    stage.decided(4).await;
    assert_eq!(position(&in_state(&stage, 1, "PAUSED").await), json!(1));
    let resume = ["partitions", "resume", REQUESTS, "1", "--reason", "it is mended"];
    assert_eq!(stage.command(&resume).await.0, 0);
    stage.decided(5).await;
    in_state(&stage, 1, "RUNNING").await;
    let audit = "SELECT count(*) FROM partition_actions WHERE action IN ('PAUSED', 'RESUMED')";
    assert_eq!(stage.number(audit).await, 2);
    stage.prove(5).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_retention_took_are_lost_only_when_that_is_accepted() {
    let stage = Stage::new().await;
    let worker = Worker::start(&stage.setup);
    stage.topics.produce(REQUESTS, &[good(0, 0), good(0, 1)]).await;
    stage.decided(2).await;
    worker.stop().await;
    stage.topics.produce(REQUESTS, &[good(0, 2), good(0, 3), good(0, 4)]).await;
    stage.topics.delete_before(REQUESTS, 0, 4).await;
    let worker = Worker::start(&stage.setup);
    let stopped = in_state(&stage, 0, "STOPPED").await;
    assert!(stopped["cause"].as_str().unwrap().starts_with("records_lost"), "{stopped}");
    assert_eq!(stopped["offset"], json!(2), "where: {stopped}");
    let resume = ["partitions", "resume", REQUESTS, "0", "--reason", "nobody has them"];
    let (code, _, stderr) = stage.command(&resume).await;
    assert_eq!(code, 1);
    assert!(stderr.contains("--accept-loss"), "{stderr}");
    let (code, done) = stage.json(&[&resume[..], &["--accept-loss"]].concat()).await;
    assert_eq!((code, &done["lost"]), (0, &json!(2)));
    stage.decided(5).await;
    let ledger = "SELECT string_agg(convert_from(outcomes, 'UTF8'), '' ORDER BY first_offset) FROM intake_ledger";
    let ledger: String = sqlx::query_scalar(ledger).fetch_one(&stage.db.pool).await.unwrap();
    assert_eq!(ledger, "AA!!A");
    stage.published().await;
    // For ever.
    for _ in 0..2 {
        let (code, report) = stage.json(&["reconcile"]).await;
        assert_eq!((code, &report["proved"]), (1, &json!(false)));
        let checks = report["checks"].as_array().unwrap();
        for check in checks {
            let findings = check["findings"].as_array().unwrap();
            let offsets: Vec<_> =
                findings.iter().map(|finding| finding["offset"].clone()).collect();
            let expected = if check["name"] == "lost" { vec![json!(2)] } else { vec![] };
            assert_eq!(offsets, expected, "{check:#}");
            assert!(findings.iter().all(|finding| finding["next_offset"] == 4), "{check:#}");
        }
    }
    let audit = "SELECT count(*) FROM partition_actions WHERE action = 'LOST' AND \"offset\" = 2 AND next_offset = 4";
    assert_eq!(stage.number(audit).await, 1);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_goes_on_for_another_group_only_when_that_is_accepted() {
    let stage = Stage::new().await;
    let worker = Worker::start(&stage.setup);
    stage.topics.produce(REQUESTS, &[good(0, 0), good(0, 1)]).await;
    stage.decided(2).await;
    worker.stop().await;
    let mut other = stage.setup.clone();
    other
        .environment
        .push(("ROLLCALL_KAFKA__GROUP_ID".to_owned(), format!("{}other", other.prefix)));
    let stage = Stage { setup: other, ..stage };
    let worker = Worker::start(&stage.setup);
    stage.topics.produce(REQUESTS, &[good(0, 2)]).await;
    let stopped = in_state(&stage, 0, "STOPPED").await;
    assert!(stopped["cause"].as_str().unwrap().starts_with("group_changed"), "{stopped}");
    let (_, status) = stage.json(&["status"]).await;
    assert!(status["advice"].to_string().contains("with --accept-loss"), "{:#}", status["advice"]);
    let resume = ["partitions", "resume", REQUESTS, "0", "--reason", "renamed"];
    let (code, _, stderr) = stage.command(&resume).await;
    assert_eq!(code, 1);
    assert!(stderr.contains("--accept-loss") && stderr.contains("other"), "{stderr}");
    let skip = ["partitions", "skip", REQUESTS, "0", "--reason", "in the way"];
    let (code, _, stderr) = stage.command(&skip).await;
    assert_eq!((code, stderr.contains("other")), (1, true), "{stderr}");
    assert_eq!(in_state(&stage, 0, "STOPPED").await["position"], 2, "nothing was touched");
    let (code, done) =
        stage.json(&[&resume[..], &["--accept-loss", "--actor", "clerk"]].concat()).await;
    assert_eq!((code, &done["lost"]), (0, &json!(0)));
    stage.decided(3).await;
    in_state(&stage, 0, "RUNNING").await;
    let audit = "SELECT count(*) FROM partition_actions
                 WHERE action = 'ADOPTED' AND actor = 'clerk' AND detail LIKE '%rollcall'";
    assert_eq!(stage.number(audit).await, 1);
    stage.published().await;
    let (code, report) = stage.json(&["reconcile"]).await;
    assert_eq!((code, &report["proved"]), (0, &json!(true)), "nothing was lost: {report:#}");
    worker.stop().await;
}
