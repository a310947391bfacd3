//! A Postgres that is lost while its synchronous standby has everything, and roles whose secrets are rotated.

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::restore::{copy, put};
use super::{Reader, enrollments, healthy, lines, quick, waits_for};
use crate::stage::{REQUESTS, Stage};
use crate::support::{self, PATIENCE, PostgresServer, Worker, eventually};

/// Runs a statement as the administrator of the server.
async fn administer(server: &PostgresServer, sql: &str) {
    let mut session = PgConnection::connect(&server.url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut session).await.expect(sql);
}

/// Makes one server the other's synchronous standby.
async fn follow(standby: &PostgresServer, primary: &PostgresServer) {
    standby.stop().await;
    primary.stop().await;
    std::fs::remove_dir_all(standby.data()).unwrap();
    copy(&primary.data(), &standby.data());
    primary.start().await;
    let data = standby.data();
    put(&data, "standby.signal", "");
    let settings = format!("primary_conninfo = '{}'\n", primary.url);
    put(&data, "postgresql.auto.conf", &settings);
    // Its own URL has another password.
    put(&data, "pg_hba.conf", "host all all 127.0.0.1/32 trust\n");
    standby.start().await;
    administer(primary, "ALTER SYSTEM SET synchronous_standby_names = '*'").await;
    administer(primary, "SELECT pg_reload_conf()").await;
}

/// Promotes the standby and gives it the address of the primary, which is lost.
async fn fail_over(standby: &PostgresServer, primary: &PostgresServer) {
    administer(standby, "SELECT pg_promote()").await;
    standby.stop().await;
    std::fs::remove_dir_all(primary.data()).unwrap();
    copy(&standby.data(), &primary.data());
    primary.start().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_to_a_synchronous_standby() {
    let (primary, standby) = tokio::join!(support::native_postgres(), support::native_postgres());
    follow(&standby, &primary).await;
    let stage = Stage::on(support::kafka().await, primary.database().await).await;
    let worker = Worker::start(&stage.setup);
    stage.topics.produce(REQUESTS, &enrollments(0, 0..50)).await;
    stage.decided(50).await;
    eventually(PATIENCE, "the standby is seen", async || {
        let (_, status) = stage.json(&["status"]).await;
        (status["database"]["synchronous_standby"] == true).then_some(())
    })
    .await;
    // In the middle of these.
    stage.topics.produce(REQUESTS, &enrollments(0, 50..500)).await;
    primary.crash().await;
    waits_for(&worker, "leases").await;
    assert_eq!(stage.command(&["status"]).await.0, 3);
    fail_over(&standby, &primary).await;
    assert!(stage.ledger().await.unwrap() >= 50, "nothing is lost");
    worker.ready().await;
    stage.decided(500).await;
    stage.published().await;
    healthy(&stage).await;
    let mut book = Reader::of(&stage, "Postgres is away");
    let (code, status) = book.answer("rollcall status").await;
    assert_eq!((code, &status["database"]["synchronous_standby"]), (0, &json!(false)));
    let (code, report) = book.answer("rollcall reconcile").await;
    assert_eq!((code, &report["proved"]), (0, &json!(true)), "{report:#}");
    assert_eq!(stage.number("SELECT count(*) FROM dead_letters").await, 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_role_with_another_secret() {
    let server = support::native_postgres().await;
    let mut db = server.database().await;
    // The names of the book are those of the server's administrator here.
    let [create, lock]: [String; 2] = lines("Secrets are rotated", "sql")
        .iter()
        .map(|line| line.replace("rollcall", "app"))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let address = db.url.split_once('@').unwrap().1.to_owned();
    let name = address.rsplit('/').next().unwrap();
    administer(&server, "CREATE ROLE app LOGIN PASSWORD 'the-first'").await;
    administer(&server, &format!("ALTER DATABASE {name} OWNER TO app")).await;
    db.url = format!("postgres://app:the-first@{address}");
    let mut stage = Stage::on(support::kafka().await, db).await;
    stage.setup = quick(&stage.setup);
    let first = stage.setup.clone();
    let old = Worker::start(&first);
    stage.topics.produce(REQUESTS, &enrollments(0, 0..5)).await;
    stage.decided(5).await;
    administer(&server, &create).await;
    stage.setup.database_url = format!("postgres://app_2:made-up-anew@{address}");
    let new = Worker::start(&stage.setup);
    new.ready().await;
    old.stop().await;
    administer(&server, &lock).await;
    let (code, _, stderr) = crate::stage::command(&first, &["status"]).await;
    assert_eq!(code, 3, "{stderr}");
    // The next part of the outbox is to be made, by a role that did not make the outbox.
    stage.number("SELECT setval('outbox_batch_seq', 150000)").await;
    stage.topics.produce(REQUESTS, &enrollments(0, 5..15)).await;
    stage.decided(15).await;
    let made = "SELECT count(*) FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner
                WHERE rolname = 'app_2' AND relkind = 'r'";
    eventually(PATIENCE, "it is made", async || (stage.number(made).await > 0).then_some(())).await;
    new.ready().await;
    let mut book = Reader::of(&stage, "Secrets are rotated");
    book.done("rollcall config check").await;
    let shown = book.done("rollcall config show").await;
    assert!(shown.contains("DATABASE_URL") && !shown.contains("made-up-anew"), "{shown}");
    stage.prove(15).await;
    drop(book);

    // Another password, while sessions are cut: an outage.
    administer(&server, "ALTER ROLE app_2 PASSWORD 'the-third'").await;
    administer(
        &server,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app_2'",
    )
    .await;
    stage.topics.produce(REQUESTS, &enrollments(0, 15..20)).await;
    waits_for(&new, "leases").await;
    new.kill().await;
    stage.setup.database_url = format!("postgres://app_2:the-third@{address}");
    let new = Worker::start(&stage.setup);
    stage.prove(20).await;
    new.stop().await;
}
