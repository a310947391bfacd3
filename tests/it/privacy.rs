//! P9: what is told of persons is found in no log line, metric, answer of health or output of a command.

use rollcall::contract::wire::{
    Action, EnrollmentRequest, GroupMember, IdentifierRef, MembershipUpdateRequest, Millis,
    PhoneNumber, ReasonIn, RegistrantKind,
};
use rollcall::contract::{Message, encode};
use rollcall::lifecycle::clock::{Clock as _, SystemClock};

use crate::scene::{self, identifier};
use crate::stage::{REQUESTS, Stage, file, path, record, request};
use crate::support::{NewRecord, PATIENCE, Worker, eventually};

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

/// A request of any kind, sent now, as a record of partition 0.
fn carrying<M: Message>(request: &M) -> NewRecord {
    NewRecord {
        partition: Some(0),
        key: Some(format!("{MARK}-key").into_bytes()),
        value: Some(encode(request).expect("a request that fits its schema")),
        ..NewRecord::default()
    }
}

/// Groups that are applied, refused, wait behind a letter, and fail in Postgres.
fn groups() -> Vec<NewRecord> {
    let group = |number: usize, members: &[(usize, &str)]| {
        let mut request = scene::group(&format!("g{number}"), "", &[]);
        request.sent_at = Millis::from(SystemClock.now());
        request.group = seeded(number).registrant;
        request.group.kind = RegistrantKind::Group;
        request.group.group_kind = Some(format!("{MARK}-kind"));
        request.program_memberships = vec![scene::item("HOUSE")];
        request.members = members
            .iter()
            .map(|(member, kind)| GroupMember {
                individual: seeded(*member).registrant,
                ..scene::member("", &[kind, &format!("{MARK}-kind")])
            })
            .collect();
        request
    };
    let mut failing = group(33, &[]);
    failing.group.name = Some(format!("{MARK} poison"));
    [
        group(30, &[(0, "Head"), (20, "Spouse")]),
        group(31, &[(21, "Head"), (22, "Head")]),
        group(32, &[(6, "Head")]),
        failing,
    ]
    .iter()
    .map(carrying)
    .collect()
}

/// Updates that are applied, wait for a registrant, wait behind a letter, are refused, fail in Postgres, fail when they
/// have waited, and cannot be read.
fn updates() -> Vec<NewRecord> {
    let update = |number: usize, of: usize, action: Action| {
        let reference = format!("{MARK}-reference-{of}");
        let mut request = scene::update(&format!("u{number}"), &reference, "CASH", action);
        request.sent_at = Millis::from(SystemClock.now());
        request.actor = Some(format!("{MARK}-actor"));
        request.registrant.ids = vec![IdentifierRef {
            id_type: "NATIONAL".to_owned(),
            value: format!("{MARK}-id-{of}"),
        }];
        let note = Some(format!("{MARK}-note"));
        request.reason = Some(ReasonIn { code: format!("{MARK}-code"), note });
        request
    };
    let fails = |request: &mut MembershipUpdateRequest| {
        let note = Some(format!("{MARK} poison"));
        request.reason = Some(ReasonIn { code: MARK.to_owned(), note });
    };
    let mut requests: Vec<_> = [0, 40, 6, 0, 0, 41, 50]
        .into_iter()
        .enumerate()
        .map(|(n, of)| update(n, of, Action::Pause))
        .collect();
    // The identifier of the person with this reference was replaced by another request.
    requests[0].registrant.ids.clear();
    requests[3].registrant.ids[0].id_type = format!("{MARK}\0");
    requests[4].registrant.ids.clear();
    requests[4].action = Action::Exit;
    fails(&mut requests[4]);
    requests[5].program = format!("{MARK}-program");
    fails(&mut requests[6]);
    let mut records: Vec<_> = requests.iter().map(carrying).collect();
    let mut cut_off = records[0].clone();
    cut_off.value.as_mut().expect("a value").pop();
    records.push(cut_off);
    records
}

/// Groups and updates go their ways; some wait in the end.
async fn groups_and_updates(stage: &Stage, before: i64) {
    stage.topics.produce("group-memberships", &groups()).await;
    stage.decided(before + 4).await;
    stage.topics.produce("membership-updates", &updates()).await;
    stage.decided(before + 12).await;
    stage.topics.produce(REQUESTS, &[record(Some(0), &seeded(50))]).await;
    stage.decided(before + 13).await;
    eventually(PATIENCE, "one that waited has failed", async || {
        let failed =
            "SELECT count(*) FROM parked_records WHERE message_id = 'u6' AND outcome = 'L'";
        (stage.number(failed).await == 1).then_some(())
    })
    .await;
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
    sqlx::query(
        "ALTER TABLE membership_history ADD CONSTRAINT some_other CHECK (reason_note NOT LIKE '%' || chr(112) || 'oison')",
    )
    .execute(&stage.db.pool)
    .await
    .unwrap();
    let records = records();
    stage.topics.produce(REQUESTS, &records).await;
    let setup = stage.setup.clone().with("RUST_LOG", filter).with("ROLLCALL_PARKING__GRACE", "1d");
    let worker = Worker::start(&setup);
    stage.prove(records.len() as i64).await;
    groups_and_updates(&stage, records.len() as i64).await;
    stage.prove(records.len() as i64 + 13).await;
    let outcomes = "SELECT string_agg(convert_from(outcomes, 'UTF8'), '' ORDER BY topic, first_offset) FROM intake_ledger";
    let outcomes: String = sqlx::query_scalar(outcomes).fetch_one(&stage.db.pool).await.unwrap();
    let ways = ["ARRRRALRRLLLL", "A", "ARKL", "AKKRLRKL"].concat();
    assert_eq!(outcomes, ways, "every way of failing was gone");
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
        &["parked", "list"],
        &["parked", "list", "--json"],
        &["parked", "release", "--source", "registry", "--reason", "x"],
        &["parked", "release", "--source", "registry", "--reason", "x", "--yes"],
        &["parked", "release", "--source", "registry", "--reason", "x", "--yes", "--json"],
    ] {
        let (_, stdout, stderr) = stage.command(arguments).await;
        says_nothing(&format!("{arguments:?}"), &(stdout + &stderr));
    }
    eventually(PATIENCE, "the one that waited for a registrant is refused", async || {
        let refused =
            "SELECT count(*) FROM parked_records WHERE message_id = 'u1' AND outcome = 'R'";
        (stage.number(refused).await == 1).then_some(())
    })
    .await;
    let waiting = "SELECT count(*) FROM parked_records WHERE state = 'WAITING'";
    assert_eq!(stage.number(waiting).await, 2, "those behind the letter");
    worker.terminate().await;
    let mut worker = worker;
    assert!(worker.exit(PATIENCE).await.success());
    let log = worker.output();
    assert!(log.contains("a record waits"), "it logs what waits: {log}");
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
