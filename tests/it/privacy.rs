//! P9: what is told of persons is found in no log line, metric, answer of health or output of a command.

use rollcall::contract::encode;
use rollcall::contract::wire::{EnrollmentRequest, PhoneNumber};

use crate::scene::identifier;
use crate::stage::{REQUESTS, Stage, file, path, record, request};
use crate::support::{NewRecord, Worker};

/// Stands in every seeded value, in the forms that a careless log line could give it.
const MARK: &str = "zq7xk";
const PHONE: &str = "5550199887";

/// A request that says everything that can be said of a person, each value seeded.
fn seeded(number: usize) -> EnrollmentRequest {
    let mut request = request(number);
    let seed = |field: &str| Some(format!("{MARK}-{field}-{number}"));
    let person = &mut request.registrant;
    person.reference = seed("reference");
    person.name = seed("name");
    person.given_name = seed("given");
    person.family_name = seed("family");
    person.addl_name = seed("additional");
    person.birth_place = seed("place");
    person.email = Some(format!("{MARK}{number}@example.org"));
    person.address = seed("address");
    person.payment_address = seed("account");
    person.phone_numbers =
        vec![PhoneNumber { phone_no: format!("+{PHONE}{number}"), date_collected: None }];
    person.ids = vec![identifier("NATIONAL", &format!("{MARK}-id-{number}"))];
    request
}

/// Requests that are applied, refused, fail in Postgres, and cannot be read.
fn records() -> Vec<NewRecord> {
    let mut requests: Vec<EnrollmentRequest> = (0..8).map(seeded).collect();
    requests[1].program_memberships[0].program = format!("{MARK}-program");
    requests[2].registrant.name = Some(format!("{MARK} {}", "long".repeat(500)));
    requests[3].registrant.ids.push(identifier(&format!("{MARK}\0"), MARK));
    requests[4].registrant.clear = vec![format!("{MARK}.no-field"), format!("ids.{MARK}")];
    // The same person with another identifier.
    requests[5].registrant.reference = Some(format!("{MARK}-reference-0"));
    requests[6].registrant.name = Some(format!("{MARK} poison"));
    requests[7].source = format!("{MARK} no source");
    let mut records: Vec<NewRecord> =
        requests.iter().map(|request| record(Some(0), request)).collect();
    // The same id with other content.
    let mut reused = seeded(9);
    reused.message_id = request(0).message_id;
    records.push(record(Some(0), &reused));
    let with = |value: Vec<u8>| NewRecord {
        partition: Some(0),
        key: Some(format!("{MARK}-key").into_bytes()),
        value: Some(value),
        headers: vec![
            (format!("{MARK}-header"), Some(MARK.into())),
            ("ce_id".to_owned(), Some(format!("{MARK} id").into_bytes())),
            ("ce_source".to_owned(), Some(format!("{MARK} source").into_bytes())),
            ("traceparent".to_owned(), Some(format!("00-{MARK}-00").into_bytes())),
        ],
        timestamp: None,
    };
    let bytes = encode(&seeded(10)).unwrap();
    records.push(with(bytes[..bytes.len() - 5].to_vec()));
    records.push(with(format!("{MARK} {PHONE}").into_bytes()));
    let mut unknown = bytes.clone();
    unknown[4] ^= 0xff;
    records.push(with(unknown));
    let mut damaged = bytes;
    damaged[12] = 0xff;
    damaged[13] = 0xff;
    records.push(with(damaged));
    records
}

#[track_caller]
fn says_nothing(what: &str, text: &str) {
    let text = text.to_lowercase();
    let hex = hex::encode(MARK);
    let numbers = format!("{:?}", MARK.as_bytes());
    let seeds = [MARK, PHONE, &hex, numbers.trim_matches(['[', ']']), "poison", "example.org"];
    for seed in seeds {
        if let Some(at) = text.find(seed) {
            let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
            let line = text[line..].lines().next().unwrap_or_default();
            panic!("{what} tells {seed}: {line}");
        }
    }
}

async fn a_worker_says_nothing(filter: &str) {
    let stage = Stage::new().await;
    // Postgres repeats the whole row in the detail of such an error.
    sqlx::query(
        "ALTER TABLE registrants ADD CONSTRAINT some_rule CHECK (name NOT LIKE '%' || chr(112) || 'oison')",
    )
    .execute(&stage.db.pool)
    .await
    .unwrap();
    let records = records();
    stage.topics.produce(REQUESTS, &records).await;
    let worker = Worker::start(&stage.setup.clone().with("RUST_LOG", filter));
    stage.prove(records.len() as i64).await;
    let outcomes = "SELECT string_agg(convert_from(outcomes, 'UTF8'), '' ORDER BY first_offset) FROM intake_ledger";
    let outcomes: String = sqlx::query_scalar(outcomes).fetch_one(&stage.db.pool).await.unwrap();
    assert_eq!(outcomes, "ARRRRALRRLLLL", "every way of failing was gone");
    for path in ["/metrics", "/readyz", "/livez", "/no-such-path"] {
        says_nothing(path, &worker.get(path).await.unwrap().1);
    }
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["reconcile", "--json"],
        &["reconcile"],
        &["topics", "verify"],
        &["programs", "list"],
        &["config", "show"],
    ] {
        let (_, stdout, stderr) = stage.command(arguments).await;
        says_nothing(&format!("{arguments:?}"), &(stdout + &stderr));
    }
    worker.terminate().await;
    let mut worker = worker;
    assert!(worker.exit(crate::support::PATIENCE).await.success());
    let log = worker.output();
    assert!(log.contains("DEBUG") && log.contains("dead letter"), "it logs at all: {log}");
    says_nothing("the log", &log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_traces_itself_says_nothing_of_persons() {
    a_worker_says_nothing("info,rollcall=trace").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_clients_debug_too_says_nothing_of_persons() {
    a_worker_says_nothing("debug,sqlx=debug,rdkafka=debug,librdkafka=debug").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_say_nothing_of_what_is_wrong_in_files() {
    let stage = Stage::new().await;
    let lines = file(format!(
        "{{\"type\":\"EnrollmentRequest\",\"source\":\"s\",\"registrant\":{{\"reference\":\"{MARK}\",\"kind\":\"{MARK}\",\"name\":7,\
         \"birthdate\":\"{MARK}\",\"colour\":1,\"email\":[\"{MARK}\"]}},\"message_id\":\"{MARK} x\"}}\n\
         {{\"type\":\"EnrollmentRequest\",\"source\":\"s\",\"registrant\":{{\"name\":\"{MARK}\n{MARK} {PHONE} no json\n\
         {{\"type\":\"{MARK}\"}}\n\
         {{\"type\":\"EnrollmentRequest\",\"source\":\"s\",\"registrant\":{{\"reference\":\"{MARK}\",\"kind\":\"INDIVIDUAL\",\"name\":\"{MARK}\"}}}}\n"
    ));
    let rows = file(format!(
        "reference,name,birthdate,program,enrollment_date\n{MARK},{MARK},{MARK},CASH,{MARK}\n{MARK},\"{MARK}\n{MARK},{MARK},1990-01-01,CASH,\n"
    ));
    let bytes = encode(&seeded(1)).unwrap();
    let truncated = file(&bytes[..bytes.len() - 5]);
    let garbage = file(format!("{MARK} {PHONE}"));
    for arguments in [
        &["submit", path(&lines), "--format", "ndjson", "--check"][..],
        &["submit", path(&lines), "--format", "ndjson", "--check", "--json"],
        &["submit", path(&lines), "--format", "ndjson"],
        &["submit", path(&rows), "--format", "csv", "--source", "s", "--check"],
        &["submit", path(&rows), "--format", "csv", "--source", "s", "--json"],
        &["encode", path(&lines), "--hex"],
        &["encode", path(&garbage), "--json"],
        &["decode", path(&truncated)],
        &["decode", path(&truncated), "--json"],
        &["decode", path(&garbage)],
    ] {
        let (code, stdout, stderr) = stage.command(arguments).await;
        assert_eq!(code, 1, "{arguments:?}: {stdout}{stderr}");
        says_nothing(&format!("{arguments:?}"), &(stdout + &stderr));
    }
}
