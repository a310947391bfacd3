//! What a worker refuses to start on.

use sqlx::AssertSqlSafe;

use crate::stage::{Stage, command};
use crate::support::{self, Setup};

async fn refused(stage: &Stage, words: &str) {
    let setup = stage.setup.clone().with("ROLLCALL_HTTP__LISTEN", "127.0.0.1:0");
    let (code, stdout, stderr) = command(&setup, &["run"]).await;
    assert_eq!((code, &*stdout), (2, ""), "{stderr}");
    assert!(stderr.contains(words), "{words:?} is not in: {stderr}");
    // Commands that need the database say the same.
    let (code, _, stderr) = command(&setup, &["status"]).await;
    assert_eq!((code, stderr.contains(words)), (1, true), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_fit_is_refused_in_words() {
    let stage = Stage::new().await;
    let run = async |sql: String| {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&stage.db.pool).await.unwrap();
    };
    run("UPDATE schema_version SET current = 0".to_owned()).await;
    refused(&stage, "the schema has version 0").await;
    run("UPDATE schema_version SET current = 99, min_worker = 99".to_owned()).await;
    refused(&stage, "upgrade the worker").await;
    // A newer schema that this worker is not too old for is fine.
    run("UPDATE schema_version SET current = 99, min_worker = 1".to_owned()).await;
    stage.done(&["programs", "list"]).await;
    let current = rollcall::store::SCHEMA_VERSION;
    run(format!("UPDATE schema_version SET current = {current}")).await;

    let name: String =
        sqlx::query_scalar("SELECT current_database()").fetch_one(&stage.db.pool).await.unwrap();
    run(format!("ALTER DATABASE {name} SET synchronous_commit = off")).await;
    refused(&stage, "synchronous_commit").await;
    run(format!("ALTER DATABASE {name} RESET synchronous_commit")).await;
    run("DROP TABLE schema_version".to_owned()).await;
    refused(&stage, "run `rollcall migrate`").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_hold_any_text_is_refused_before_it_is_migrated() {
    let kafka = support::kafka().await;
    let db = support::postgres().await.database_with("ENCODING 'LATIN1' LOCALE 'C'").await;
    let setup = Setup::new(&kafka.brokers, "none.", &db.url);
    for (arguments, expected) in [(["migrate"], 1), (["status"], 1), (["run"], 2)] {
        let (code, _, stderr) = command(&setup, &arguments).await;
        assert_eq!((code, stderr.contains("encoding is `LATIN1`")), (expected, true), "{stderr}");
    }
    let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    let tables: i64 = sqlx::query_scalar(tables).fetch_one(&db.pool).await.unwrap();
    assert_eq!(tables, 0, "nothing was made");
}
