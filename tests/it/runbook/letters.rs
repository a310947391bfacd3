//! Letters, what waits behind them, and what is known of a person.

use std::path::Path;

use hyper::Method;
use rollcall::contract::wire::Action;
use serde_json::{Value, json};

use super::{Reader, enrollments, garbage, lines, quick, text};
use crate::crashes::survivor;
use crate::http::Client;
use crate::operator::schema::{of_second_version, second_version};
use crate::operator::{UPDATES, act, drained};
use crate::scene::item;
use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{Worker, rollcall};

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_grow_and_records_that_wait() {
    let mut stage = Stage::new().await;
    stage.setup = stage.setup.with("ROLLCALL_PARKING__GRACE", "1d");
    let poison =
        "ALTER TABLE registrants ADD CONSTRAINT no_poison CHECK (name <> 'Seeded Name r7')";
    sqlx::query(poison).execute(&stage.db.pool).await.unwrap();
    let worker = Worker::start(&stage.setup);
    stage.topics.produce(REQUESTS, &[record(Some(3), &request(7)), garbage()]).await;
    stage.decided(2).await;
    let mut book = Reader::of(&stage, "Dead letters grow");
    let (_, groups) = book.answer("rollcall dead-letters groups").await;
    assert_eq!(groups["items"].as_array().unwrap().len(), 2);
    let (_, list) = book.answer("rollcall dead-letters list").await;
    let of_class = |class: &str| {
        let mut items = list["items"].as_array().unwrap().iter();
        let item = items.find(|item| item["class"] == class).unwrap();
        item["letter_id"].as_str().unwrap().to_owned()
    };
    book.set("LETTER", of_class("failed"));
    book.set("CLASS", "failed");
    let (code, said) = book.run("rollcall dead-letters show").await;
    assert_eq!((code, said.contains("preflight and replay")), (0, true), "{said}");
    book.set("TOPIC", REQUESTS);
    book.set("PARTITION", "0");
    book.done("rollcall partitions pause").await;
    let flood = [enrollments(0, 8..9), enrollments(1, 9..10)].concat();
    stage.topics.produce(REQUESTS, &flood).await;
    stage.decided(3).await;
    let decided = "SELECT count(*) FROM inbox WHERE message_id = 'm8'";
    assert_eq!(stage.number(decided).await, 0, "it is not read");
    book.done("rollcall partitions resume").await;
    stage.decided(4).await;
    // The cause is removed.
    let cure = "ALTER TABLE registrants DROP CONSTRAINT no_poison";
    sqlx::query(cure).execute(&stage.db.pool).await.unwrap();
    let (code, would) = book.answer("rollcall dead-letters preflight").await;
    assert_eq!((code, &would["counts"]["applied"]), (0, &Value::from(1)));
    book.done("rollcall dead-letters replay").await;
    book.set("LETTER", of_class("undecodable"));
    book.done("rollcall dead-letters discard").await;
    let (_, groups) = book.answer("rollcall dead-letters groups").await;
    assert_eq!(groups["items"], json!([]));

    // An update of somebody who never comes.
    stage.topics.produce(UPDATES, &[act("u1", "nobody", Action::Pause)]).await;
    stage.decided(5).await;
    let mut book = Reader::of(&stage, "Records wait");
    let (_, list) = book.answer("rollcall parked list").await;
    book.set("PARKED_ID", list["items"][0]["parked_id"].to_string());
    book.done("rollcall parked release").await;
    assert_eq!(drained(&stage).await, "R");
    let (_, list) = book.answer("rollcall parked list").await;
    assert_eq!(list["items"], json!([]));
    stage.prove(5).await;
    worker.stop().await;
}

/// The one item of a list, by its id.
fn letter(list: &Value) -> &str {
    list["items"][0]["letter_id"].as_str().unwrap()
}

/// The letter that is left when a record has made three workers die, resolved.
async fn workers_that_die(stage: &Stage) -> String {
    stage.topics.produce(REQUESTS, &enrollments(0, 100..101)).await;
    let fatal = stage.setup.clone().with("FAULT_AT", "abort:decode:m100");
    let (worker, died) = survivor(stage, &fatal, 1).await;
    assert_eq!(died, 3);
    let mut book = Reader::of(stage, "Workers die");
    let said = book.run("rollcall status").await.1;
    assert!(said.contains("1 dead letters are open"), "{said}");
    let (_, list) = book.answer("rollcall dead-letters list").await;
    let crashed = letter(&list).to_owned();
    book.set("LETTER", &crashed);
    let (_, shown) = book.answer("rollcall dead-letters show").await;
    assert_eq!(shown["code"], "crashed");
    let replay = ["dead-letters", "replay", &crashed, "--reason", "as it is"];
    let output = rollcall(&fatal, &replay).await;
    assert!(!output.status.success(), "{output:?}");
    let (_, said, _) = stage.command(&["status"]).await;
    assert!(said.contains("was interrupted"), "{said}");
    book.done("rollcall dead-letters replay").await;
    worker.stop().await;
    crashed
}

/// The folder is where the workers find schemas in the end.
async fn a_schema_that_came_too_early(stage: &mut Stage, folder: &Path) {
    let worker = Worker::start(&stage.setup);
    // Of two persons, each two enrollments; then one is to be paused, which waits, and one is enrolled by others.
    stage.topics.produce(REQUESTS, &of_second_version(0..4)).await;
    stage.decided(5).await;
    stage.topics.produce(UPDATES, &[act("pause", "r0", Action::Pause)]).await;
    let mut food = request(5);
    food.registrant = request(1).registrant;
    food.program_memberships = vec![item("FOOD")];
    stage.topics.produce(REQUESTS, &[record(Some(3), &food)]).await;
    stage.decided(7).await;
    let file = folder.join("EnrollmentRequest.v2.avsc");
    std::fs::write(&file, second_version()).unwrap();
    worker.stop().await;
    let schemas = folder.to_str().unwrap();
    stage.setup = stage.setup.clone().with("ROLLCALL_SCHEMAS__DIRECTORY", schemas);
    let worker = Worker::start(&stage.setup);
    let mut book = Reader::of(stage, "A schema was used too early");
    book.set("SCHEMA_FILE", file.to_str().unwrap());
    book.done("rollcall schemas check").await;
    let (_, would) = book.answer("rollcall dead-letters preflight").await;
    let counts = json!({"applied": 1, "parked": 1, "refused": 2});
    assert_eq!(would["counts"], counts);
    let (code, run) = book.answer("rollcall dead-letters replay").await;
    assert_eq!((code, &run["counts"]), (1, &counts));
    let (_, list) = book.answer("rollcall dead-letters list").await;
    book.set("LETTER", letter(&list));
    // FOOD is what was enrolled meanwhile.
    let (_, one) = book.answer("rollcall dead-letters replay").await;
    let other = list["items"][1]["letter_id"].as_str().unwrap();
    let other = ["dead-letters", "replay", other, "--force", "--reason", "looked at"];
    let (_, other) = stage.json(&other).await;
    let mut came = [one, other].map(|run| run["counts"].to_string());
    came.sort_unstable();
    assert_eq!(came, [r#"{"applied":1}"#, r#"{"unchanged":1}"#]);
    assert_eq!(drained(stage).await, "AA");
    let (_, list) = book.answer("rollcall parked list").await;
    assert_eq!(list["items"], json!([]));
    assert_eq!(stage.number("SELECT count(*) FROM dead_letters WHERE state = 'OPEN'").await, 0);
    stage.prove(7).await;
    worker.stop().await;
}

async fn what_is_known_of_a_person(stage: &Stage, crashed: &str) {
    let worker = Worker::start(&stage.setup);
    worker.ready().await;
    let client = Client::new(&worker.url());
    let mut registrant = String::new();
    for line in lines("A person's data", "http") {
        let (method, path) = line.split_once(' ').unwrap();
        let path = path.replace("{registrant_id}", &registrant);
        let body = json!({"source": "registry", "reference": "r100"});
        let answer = match method {
            "POST" => client.json(Method::POST, &path, &body).await,
            _ => client.get(&path).await,
        };
        assert_eq!(answer.status, 200, "{line}: {}", answer.json());
        if let Some(id) = answer.json()["registrant_id"].as_str() {
            id.clone_into(&mut registrant);
        } else {
            assert_eq!(answer.json()["items"].as_array().unwrap().len(), 1, "{line}");
        }
    }
    let mut book = Reader::of(stage, "A person's data");
    let membership =
        "SELECT membership_id::text FROM memberships JOIN registrants USING (registrant_id)
                      WHERE name = 'Seeded Name r100'";
    book.set("MEMBERSHIP", text(stage, membership).await);
    book.set("LETTER", crashed);
    assert!(book.done("rollcall history").await.contains("r100"));
    assert!(book.done("rollcall dead-letters show").await.contains("Seeded Name r100"));
    let audit = "SELECT count(*) FROM operator_actions
                 WHERE action = 'HISTORY_REVEALED' AND reason = 'by the book'";
    assert_eq!(stage.number(audit).await, 1);
    let audit = "SELECT count(*) FROM dead_letter_actions
                 WHERE action = 'REVEALED' AND reason = 'by the book'";
    assert_eq!(stage.number(audit).await, 1);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_die_a_schema_that_came_too_early_and_a_persons_data() {
    let mut stage = Stage::new().await;
    stage.setup = quick(&stage.setup).with("ROLLCALL_PARKING__GRACE", "1d");
    let crashed = workers_that_die(&stage).await;
    let folder = tempfile::tempdir().unwrap();
    a_schema_that_came_too_early(&mut stage, folder.path()).await;
    what_is_known_of_a_person(&stage, &crashed).await;
}
