//! The throwaway Postgres: it keeps data over a stop, leaves nothing behind, and does not outlive its owner.

use std::path::PathBuf;

use rollcall::app::embedded::{Durability, Options, Postgres};
use sqlx::{Connection, PgConnection, Row};

async fn number(url: &str, query: &'static str) -> i32 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let row = sqlx::query(query).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    row.get(0)
}

#[tokio::test]
async fn data_survive_a_stop_and_a_crash() {
    let options = Options { durability: Durability::Real, ..Options::default() };
    let postgres = Postgres::start(options).await.unwrap();
    let mut connection = PgConnection::connect(postgres.url()).await.unwrap();
    sqlx::query("CREATE TABLE kept AS SELECT 42 AS answer").execute(&mut connection).await.unwrap();

    postgres.stop_server().await.unwrap();
    assert!(sqlx::query("SELECT 1").execute(&mut connection).await.is_err());
    assert!(postgres.pid().is_none());
    postgres.start_server().await.unwrap();
    assert_eq!(number(postgres.url(), "SELECT answer FROM kept").await, 42);

    postgres.crash_server().await.unwrap();
    postgres.start_server().await.unwrap();
    assert_eq!(number(postgres.url(), "SELECT answer FROM kept").await, 42);
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn nothing_is_left_behind() {
    let postgres = Postgres::start(Options::default()).await.unwrap();
    let log = postgres.log().unwrap();
    let directory = log.parent().unwrap().to_owned();
    let pid = postgres.pid().unwrap();
    assert!(directory.exists());
    drop(postgres);
    assert!(!directory.exists());
    assert!(!PathBuf::from(format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn a_given_server_gets_a_database_that_is_dropped_at_the_end() {
    let server = Postgres::start(Options::default()).await.unwrap();
    let count = "SELECT count(*)::int4 FROM pg_database WHERE datname LIKE 'rollcall_%'";
    let given = Options { url: Some(server.url().to_owned()), ..Options::default() };

    let guest = Postgres::start(given.clone()).await.unwrap();
    guest.create_database("rollcall_other").await.unwrap();
    assert_eq!(number(guest.url(), count).await, 2);
    assert!(guest.stop_server().await.is_err(), "somebody else's server was stopped");
    guest.stop().await.unwrap();
    assert_eq!(number(server.url(), count).await, 0);

    drop(Postgres::start(given).await.unwrap());
    assert_eq!(number(server.url(), count).await, 0);
}

#[tokio::test]
async fn a_frozen_server_answers_nothing_until_it_goes_on() {
    let postgres = Postgres::start(Options::default()).await.unwrap();
    let mut connection = PgConnection::connect(postgres.url()).await.unwrap();
    postgres.pause_server().await.unwrap();
    let one = sqlx::query("SELECT 1").execute(&mut connection);
    let answer = tokio::time::timeout(std::time::Duration::from_millis(300), one).await;
    assert!(answer.is_err(), "a frozen server answered");
    postgres.resume_server().await.unwrap();
    assert_eq!(number(postgres.url(), "SELECT 1").await, 1);
}
