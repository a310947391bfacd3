//! Native servers whose files are copied as administrators do: a standby, a backup while it runs, a restore.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use super::{Reader, enrollments, healthy, quick};
use crate::stage::{REQUESTS, Stage};
use crate::support::{self, PATIENCE, PostgresServer, Worker, eventually};

/// Copies a directory with owners and rights.
pub(super) fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.expect("cp").success(), "{} is copied", from.display());
}

/// Writes a file that Postgres may change too, whoever runs this.
pub(super) fn put(data: &Path, name: &str, content: &str) {
    let (file, owner) = (data.join(name), std::fs::metadata(data).unwrap());
    std::fs::write(&file, content).unwrap();
    chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
}

/// A copy of the server's files, taken while it runs.
async fn backup(server: &PostgresServer) -> PathBuf {
    let copied = server.data().with_file_name("backup");
    let mut session = PgConnection::connect(&server.url).await.unwrap();
    let start = "SELECT pg_backup_start('nightly', true)::text";
    sqlx::query_scalar::<_, String>(start).fetch_one(&mut session).await.unwrap();
    copy(&server.data(), &copied);
    let stop = "SELECT labelfile FROM pg_backup_stop(false)";
    let label: String = sqlx::query_scalar(stop).fetch_one(&mut session).await.unwrap();
    put(&copied, "backup_label", &label);
    std::fs::remove_file(copied.join("postmaster.pid")).unwrap();
    copied
}

/// Makes the files of the stopped server those of the backup, and goes on from there by the log, as far as is said.
async fn restore(server: &PostgresServer, backup: &Path, log: &Path, target: &str) {
    let data = server.data();
    std::fs::remove_dir_all(&data).unwrap();
    copy(backup, &data);
    put(&data, "recovery.signal", "");
    let settings = format!("restore_command = 'cp {}/%f \"%p\"'\n{target}", log.display());
    put(&data, "postgresql.auto.conf", &settings);
    server.start().await;
    eventually(PATIENCE, "the restored server takes writes", async || {
        let mut session = PgConnection::connect(&server.url).await.ok()?;
        let recovers = sqlx::query_scalar("SELECT pg_is_in_recovery()");
        let recovers: bool = recovers.fetch_one(&mut session).await.ok()?;
        (!recovers).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_restored_first_too_little_then_whole() {
    let server = support::native_postgres().await;
    let mut stage = Stage::on(support::kafka().await, server.database().await).await;
    // What a halt holds is not waited for at the end: that would be longer than the test's patience.
    stage.setup = quick(&stage.setup).with("ROLLCALL_SHUTDOWN__GRACE", "10m");
    let worker = Worker::start(&stage.setup);
    stage.topics.produce(REQUESTS, &enrollments(0, 0..10)).await;
    stage.decided(10).await;
    stage.published().await;
    let backup = backup(&server).await;
    stage.topics.produce(REQUESTS, &enrollments(0, 10..20)).await;
    stage.decided(20).await;
    stage.published().await;
    worker.stop().await;
    server.crash().await;
    let log = server.data().with_file_name("wal");
    copy(&server.data().join("pg_wal"), &log);

    // Only to the end of the backup: ten commits are missing that consumers have seen.
    let early = "recovery_target = 'immediate'\nrecovery_target_action = 'promote'\n";
    restore(&server, &backup, &log, early).await;
    assert_eq!(stage.ledger().await.unwrap(), 10);
    let worker = Worker::start(&stage.setup);
    stage.topics.produce(REQUESTS, &enrollments(0, 20..25)).await;
    let halt = "SELECT count(*) FROM halts WHERE name = 'database_behind_topics'";
    eventually(PATIENCE, "it halts", async || (stage.number(halt).await == 1).then_some(())).await;
    let mut behind = Reader::of(&stage, "database_behind_topics");
    let (code, status) = behind.answer("rollcall status").await;
    assert_eq!((code, &status["halts"][0]["name"]), (1, &json!("database_behind_topics")));
    assert_eq!(stage.ledger().await.unwrap(), 10, "nothing is applied");
    worker.stop().await;

    server.stop().await;
    restore(&server, &backup, &log, "").await;
    assert_eq!(stage.ledger().await.unwrap(), 20);
    let mut book = Reader::of(&stage, "Restore from a backup");
    book.done("rollcall migrate").await;
    let worker = Worker::start(&stage.setup);
    stage.decided(25).await;
    stage.published().await;
    healthy(&stage).await;
    for reader in [&mut book, &mut behind] {
        let (code, status) = reader.answer("rollcall status").await;
        assert_eq!((code, &status["halts"]), (0, &json!([])));
        let (code, report) = reader.answer("rollcall reconcile").await;
        assert_eq!((code, &report["proved"]), (0, &json!(true)), "{report:#}");
    }
    assert_eq!(stage.number("SELECT count(*) FROM memberships").await, 25);
    worker.stop().await;
}
