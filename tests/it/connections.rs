//! Connections that die or freeze at the worst moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use rollcall::apply::SliceOutcome;
use rollcall::store;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::scene::{Scene, applier, batch, enrollment, partition, pool_options, record};
use crate::stage::Stage;
use crate::support::{PATIENCE, Setup, Worker, eventually};

#[expect(clippy::disallowed_methods, reason = "a test's own task, which ends with its runtime")]
fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(task)
}

/// Between a worker and Postgres; when told so, it lets the next COMMIT through and keeps its answer back for ever.
async fn proxy(to: (String, u16), cut: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect((to.0.as_str(), to.1)).await.unwrap();
            spawn(forward(client, server, Arc::clone(&cut)));
        }
    });
    port
}

async fn forward(client: TcpStream, server: TcpStream, cut: Arc<AtomicBool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut buffer = vec![0; 1 << 20];
    while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
        let sent = &buffer[..length];
        if sent.windows(6).any(|word| word == b"COMMIT") && cut.swap(false, Ordering::SeqCst) {
            answers.abort();
            to_server.write_all(sent).await.unwrap();
            // The server reads it before it sees that nobody is there any more.
            to_server.shutdown().await.ok();
            return;
        }
        if to_server.write_all(sent).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_not_repeated() {
    // I2, with the real thing: the connection dies during COMMIT.
    let scene = Scene::new().await;
    let at = partition(0);
    let fence = scene.lease(&at).await;
    let server = scene.pool.connect_options();
    let cut = Arc::new(AtomicBool::new(false));
    let port = proxy((server.get_host().to_owned(), server.get_port()), Arc::clone(&cut)).await;
    let through = (*server).clone().host("127.0.0.1").port(port);
    let pool = sqlx::postgres::PgPoolOptions::new().connect_lazy_with(through);
    let worker = applier(pool);
    for offset in 0..10 {
        cut.store(offset % 2 == 1, Ordering::SeqCst);
        let request = enrollment(&format!("m{offset}"), &format!("r{offset}"), "CASH");
        let batch = batch(&worker, fence, vec![record(&at, offset, &request)]);
        let outcomes = worker.apply(batch, &CancellationToken::new()).await;
        assert_eq!(outcomes[0].1, SliceOutcome::Committed);
        assert!(!cut.load(Ordering::SeqCst), "the connection was cut");
    }
    let ledger = scene
        .text("SELECT string_agg(convert_from(outcomes, 'UTF8'), '' ORDER BY first_offset) FROM intake_ledger")
        .await;
    assert_eq!(ledger, "AAAAAAAAAA", "applied, and never a duplicate of itself");
    assert_eq!(scene.number("SELECT count(*) FROM outbox").await, 20);
}

/// A session of Rollcall's whose process is frozen: it holds what it locked and answers nothing.
async fn frozen(scene: &Scene, lock: &'static str) -> PgConnection {
    let options: PgConnectOptions = (*scene.pool.connect_options()).clone();
    // Without the limits that a worker's own sessions have: nothing but the watchdog ends it.
    let mut session = PgConnection::connect_with(
        &options
            .options([("idle_in_transaction_session_timeout", "0"), ("statement_timeout", "0")]),
    )
    .await
    .unwrap();
    session.execute("BEGIN").await.unwrap();
    session.execute(lock).await.unwrap();
    session
}

const LEASE: &str = "SELECT fence FROM partition_leases FOR UPDATE";
const STREAMS: &str = "SELECT stream FROM outbox_streams ORDER BY stream FOR NO KEY UPDATE";

async fn goes_on(scene: &Scene, offset: i64) {
    let at = partition(0);
    let fence = sqlx::query_scalar("SELECT fence FROM partition_leases").fetch_one(&scene.pool);
    let fence = fence.await.unwrap();
    let request = enrollment(&format!("m{offset}"), &format!("r{offset}"), "CASH");
    let begun = Instant::now();
    let outcomes = scene.apply(fence, vec![record(&at, offset, &request)]).await;
    assert_eq!(outcomes, [SliceOutcome::Committed]);
    // `takeover_after` of a scene is 2 s, its lock_timeout 20 s: the watchdog freed it, not the time-out.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_frozen_in_its_transaction_is_ended() {
    let scene = Scene::new().await;
    scene.lease(&partition(0)).await;
    let session = frozen(&scene, LEASE).await;
    goes_on(&scene, 0).await;
    drop(session);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_frozen_while_it_reads_a_large_result_is_ended() {
    // None of the server's time-outs ends it: it is busy sending to somebody who does not read.
    let scene = Scene::new().await;
    scene.lease(&partition(0)).await;
    let mut session = frozen(&scene, LEASE).await;
    let mut rows = session.fetch("SELECT repeat('x', 1000) FROM generate_series(1, 10000000)");
    rows.next().await.unwrap().unwrap();
    goes_on(&scene, 0).await;
    drop(rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_frozen_between_numbers_and_commit_is_ended() {
    let scene = Scene::new().await;
    scene.lease(&partition(0)).await;
    let session = frozen(&scene, STREAMS).await;
    goes_on(&scene, 0).await;
    drop(session);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_others_are_left_alone() {
    let scene = Scene::new().await;
    scene.lease(&partition(0)).await;
    let options = (*scene.pool.connect_options()).clone().application_name("a dump");
    let mut other = PgConnection::connect_with(&options).await.unwrap();
    let mut tx = other.begin().await.unwrap();
    tx.execute(LEASE).await.unwrap();
    let blocked: i32 = {
        let mut waiting = scene.pool.acquire().await.unwrap();
        let pid =
            sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *waiting).await.unwrap();
        spawn(async move { waiting.execute(LEASE).await.map(|_| ()) });
        pid
    };
    let waits = "SELECT count(*) FROM pg_locks WHERE pid = $1 AND NOT granted";
    eventually(PATIENCE, "somebody waits", async || {
        let waiting: i64 =
            sqlx::query_scalar(waits).bind(blocked).fetch_one(&scene.pool).await.ok()?;
        (waiting > 0).then_some(())
    })
    .await;
    let mut connection = scene.pool.acquire().await.unwrap();
    let name = pool_options().application_name;
    let ended = store::intake::end_blockers(&mut connection, blocked, &name);
    assert_eq!(ended.await.unwrap(), 0);
    tx.rollback().await.unwrap();
}

/// Between a worker and Postgres; when told so, connections that are open fall silent: they stay open and nothing goes
/// through them, as when a firewall forgets them. New ones are not touched.
async fn forgetful(to: (String, u16), forget: watch::Receiver<()>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect((to.0.as_str(), to.1)).await.unwrap();
            let mut forget = forget.clone();
            forget.mark_unchanged();
            spawn(async move {
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                    _ = forget.changed() => std::future::pending().await,
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_falls_silent_does_not_hold_up_the_leases() {
    let stage = Stage::new().await;
    let server = stage.db.pool.connect_options();
    let (forget, forgotten) = watch::channel(());
    let port = forgetful((server.get_host().to_owned(), server.get_port()), forgotten).await;
    let (before, rest) = stage.db.url.rsplit_once('@').unwrap();
    let (_, name) = rest.split_once('/').unwrap();
    let through =
        Setup { database_url: format!("{before}@127.0.0.1:{port}/{name}"), ..stage.setup.clone() };
    let worker = Worker::start(&through);
    worker.ready().await;
    let seen_again = async |what| {
        let now: time::OffsetDateTime =
            sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&stage.db.pool).await.unwrap();
        eventually(PATIENCE, what, async || {
            let seen = "SELECT count(*) FROM workers WHERE seen_at > $1";
            let seen: i64 =
                sqlx::query_scalar(seen).bind(now).fetch_one(&stage.db.pool).await.ok()?;
            (seen == 1).then_some(())
        })
        .await;
    };
    seen_again("it gives signs of life").await;
    forget.send(()).unwrap();
    seen_again("it gives them again, on another connection").await;
    worker.kill().await;
}
