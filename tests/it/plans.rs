//! No plan scans a table of a million rows: not of a batch, not of the relay, not of `status`, not of a read.

mod reads;

use std::collections::BTreeMap;

use rollcall::contract::wire::PhoneNumber;
use sqlx::{Connection as _, PgConnection};

use crate::http::Client;
use crate::scene::{identifier, item};
use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{NewRecord, PATIENCE, Worker, eventually};

/// A million rows in each table that grows, made by Postgres itself, in the order of its keys.
const FILL: &str = r#"
    CREATE FUNCTION pg_temp.id(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
        AS $$ SELECT lpad(to_hex(n), 32, '0')::uuid $$;
    INSERT INTO registrants (registrant_id, kind, name, disabled, created_at, updated_at)
        SELECT pg_temp.id(n), 'INDIVIDUAL', 'Somebody', false, now(), now() FROM generate_series(1, 1000000) AS n;
    INSERT INTO names (kind, scope, value, registrant_id)
        SELECT 'IDENTIFIER', 'NATIONAL', lpad(n::text, 9, '0'), pg_temp.id(n) FROM generate_series(1, 1000000) AS n;
    INSERT INTO names (kind, scope, value, registrant_id)
        SELECT 'REFERENCE', 'registry', 'old' || lpad(n::text, 9, '0'), pg_temp.id(n) FROM generate_series(1, 1000000) AS n;
    INSERT INTO phone_numbers (registrant_id, phone_no)
        SELECT pg_temp.id(n), '+1' || n FROM generate_series(1, 1000000) AS n;
    INSERT INTO memberships (membership_id, registrant_id, program_id, state, spell, version, enrollment_date, created_at, updated_at)
        SELECT pg_temp.id(n), pg_temp.id(n), program_id, 'ENROLLED', 1, 1, '2026-01-01', now(), now()
        FROM generate_series(1, 1000000) AS n, (SELECT program_id FROM programs WHERE code = 'CASH') AS programs;
    INSERT INTO membership_history (membership_id, version, change, state, spell, registrant_id, program_id,
                                    effective_date, channel, source, message_id, occurred_at, recorded_at)
        SELECT membership_id, 1, 'ENROLLED', 'ENROLLED', 1, registrant_id, program_id,
               '2026-01-01', 'KAFKA', 'registry', 'x', now(), now() FROM memberships;
    INSERT INTO registrants (registrant_id, kind, disabled, created_at, updated_at)
        SELECT pg_temp.id(2000000 + n), 'GROUP', false, now(), now() FROM generate_series(0, 999) AS n;
    INSERT INTO group_members (group_id, individual_id, kinds, is_head, start_date, ended_date, created_at, updated_at)
        SELECT pg_temp.id(2000000 + n / 1000), pg_temp.id(n + 1), '{}', false, '2026-01-01',
               CASE WHEN n % 7 = 0 THEN '2026-02-01'::date END, now(), now() FROM generate_series(0, 999999) AS n;
    INSERT INTO batches (source, batch_id, digest, positions, first_at, updated_at)
        SELECT 'registry', 'old' || n, decode(repeat('00', 32), 'hex'), '{}', now(), now() FROM generate_series(0, 9) AS n;
    INSERT INTO inbox (source, message_id, attempt, fingerprint, status, outcome, result, channel, recorded_at, batch_id)
        SELECT 'registry', 'old' || lpad(n::text, 9, '0'), 1, '\x00', 'SUCCEEDED', 'A', '\x00', 'KAFKA', now(), 'old' || n % 10
        FROM generate_series(1, 1000000) AS n;
    INSERT INTO inbox_attempts (source, message_id, attempt, status, outcome, result, recorded_at)
        SELECT 'registry', 'old' || n, 1, 'REJECTED', 'R', '\x00', now() FROM generate_series(1, 1000000) AS n;
    INSERT INTO outbox (batch, stream, pos, id, cause, body)
        SELECT n / 20, n % 12, n % 20, pg_temp.id(n), 'x', '\x00' FROM generate_series(1, 1000000) AS n;
    SELECT setval('outbox_batch_seq', 60000);
    INSERT INTO outbox_runs (stream, first_seq, count, batch, recorded_at)
        SELECT stream, n, 1, n / 2, now() FROM outbox_streams, generate_series(1, 21000) AS n;
    UPDATE relay_cursors SET acked = 21000;
    INSERT INTO intake_ledger (topic, partition, first_offset, next_offset, fence, outcomes, recorded_at)
        SELECT '{topic}', 100 + p, n, n + 1, pg_temp.id(p), 'A', now()
        FROM generate_series(0, 11) AS p, generate_series(0, 84000) AS n;
    INSERT INTO dead_letters (letter_id, class, stage, code, detail, state, attempts, topic, partition, "offset",
                              record_timestamp, header_keys, header_values, first_failed_at, last_failed_at)
        SELECT pg_temp.id(n), 'undecodable', 'frame', 'x', 'x', CASE WHEN n % 1000 = 0 THEN 'OPEN' ELSE 'RESOLVED' END, 1,
               '{topic}', 100, n, now(), '{}', '{}', now(), now() FROM generate_series(1, 1000000) AS n;
    -- What autovacuum summarizes of them would count as scans.
    ALTER INDEX membership_history_recorded_at_idx SET (autosummarize = off);
    ALTER INDEX inbox_recorded_at_idx SET (autosummarize = off);
    ALTER INDEX inbox_attempts_recorded_at_idx SET (autosummarize = off);
    ALTER INDEX intake_ledger_recorded_at_idx SET (autosummarize = off);
"#;

/// Tables of a million rows, with how often they were scanned from end to end.
async fn scans(url: &str) -> BTreeMap<String, i64> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let large = "SELECT relname::text, seq_scan FROM pg_stat_user_tables WHERE n_live_tup > 500000";
    sqlx::query_as(large).fetch_all(&mut connection).await.unwrap().into_iter().collect()
}

/// New registrants, known ones whose identifier and phone number change, repeats, ids used again, attempts, letters.
fn records() -> Vec<NewRecord> {
    let mut requests = Vec::new();
    for n in 0..1_000 {
        let mut new = request(n);
        new.registrant.ids.push(identifier("NATIONAL", &format!("new{n}")));
        new.program_memberships.push(item("FOOD"));
        let mut known = request(10_000 + n);
        known.registrant.reference = Some(format!("old{:09}", 1 + n * 997));
        known.registrant.ids.push(identifier("NATIONAL", &format!("changed{n}")));
        known.registrant.phone_numbers =
            vec![PhoneNumber { phone_no: format!("+2{n}"), date_collected: None }];
        known.program_memberships.push(item("FOOD"));
        requests.extend([new, known]);
        if n % 10 == 0 {
            let mut stolen = request(20_000 + n);
            stolen.message_id = format!("m{n}");
            let mut refused = request(30_000 + n);
            refused.program_memberships = vec![item("NOWHERE")];
            let mut again = refused.clone();
            again.attempt = 2;
            requests.extend([request(n), stolen, refused, again]);
        }
    }
    let mut records: Vec<NewRecord> =
        requests.iter().map(|request| record(None, request)).collect();
    let garbage =
        NewRecord { partition: Some(1), value: Some(b"x".to_vec()), ..NewRecord::default() };
    records.extend(vec![garbage; 20]);
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn no_plan_scans_a_table_of_a_million_rows() {
    let stage = Stage::new().await;
    let fill = FILL.replace("{topic}", &stage.topics.full(REQUESTS));
    let mut connection = PgConnection::connect(&stage.db.url).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(fill)).execute(&mut connection).await.unwrap();
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let before = eventually(PATIENCE, "Postgres has counted", async || {
        let scans = scans(&stage.db.url).await;
        (scans.len() == 12).then_some(scans)
    })
    .await;

    let records = records();
    stage.topics.produce(REQUESTS, &records).await;
    let caps = stage.setup.clone().with("ROLLCALL_DEAD_LETTER__MAX_CONSECUTIVE", "1000");
    let worker = Worker::start(&caps);
    eventually(PATIENCE * 2, "everything is applied and published", async || {
        let (_, status) = stage.json(&["status"]).await;
        let sum = |list: &str, key: &str| -> Option<i64> {
            let values = status[list].as_array()?.iter().flat_map(|one| match &one["topics"] {
                serde_json::Value::Array(topics) => topics.clone(),
                _ => vec![one.clone()],
            });
            Some(values.filter_map(|one| one[key].as_i64()).sum())
        };
        let applied = sum("partitions", "position")? == records.len() as i64;
        (applied && sum("streams", "pending")? == 0).then_some(())
    })
    .await;
    reads::read(&Client::new(&worker.url()).patient()).await;
    worker.stop().await;
    // A session's figures are written when it ends, at the latest.
    eventually(PATIENCE, "all sessions have ended", async || {
        let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let mut connection = PgConnection::connect(&stage.db.url).await.ok()?;
        let open: i64 = sqlx::query_scalar(open).fetch_one(&mut connection).await.ok()?;
        (open == 0).then_some(())
    })
    .await;
    assert_eq!(scans(&stage.db.url).await, before, "sequential scans, before and after");
    let outcomes = "SELECT count(*) FROM membership_history WHERE recorded_at > now() - interval '1 hour' AND message_id <> 'x'";
    assert!(stage.number(outcomes).await >= 2_700, "the batches did their work");
}
