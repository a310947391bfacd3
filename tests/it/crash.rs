//! Workers that are killed, frozen and cut off in the middle of a backlog: afterwards nothing is lost or doubled.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::TryStreamExt as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{PATIENCE, Worker, eventually};
use crate::world::{World, shared_out};

#[tokio::test(flavor = "multi_thread")]
async fn thirty_kills_over_one_backlog_lose_and_double_nothing() {
    const BACKLOG: i64 = 20_000;
    let world = World::new().await;
    world.send(0..20_000).await;
    // Small batches: more moments to be killed in, and a backlog that outlasts the kills.
    let setup = world.member("w").with("ROLLCALL_BATCH__MAX_RECORDS", "20");
    for round in 0..30 {
        let before = world.applied().await;
        assert!(before < BACKLOG, "the backlog outlasts the kills");
        let worker = Worker::start(&setup);
        // Most are killed while they apply, some while they are still about to join.
        if round % 5 != 0 {
            world.until_applied(before + 1).await;
        }
        // No wait for anything: the random moment.
        tokio::time::sleep(Duration::from_millis(u64::from(rand::random::<u8>()))).await;
        worker.kill().await;
    }
    let worker = Worker::start(&world.member("w"));
    world.prove().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_frozen_past_its_session_does_no_harm_when_it_goes_on() {
    let world = World::new().await;
    world.send(0..6_000).await;
    let setup = world.with(&[
        ("ROLLCALL_BATCH__MAX_RECORDS", "50"),
        ("ROLLCALL_DATABASE__TAKEOVER_AFTER", "1s"),
    ]);
    let frozen = Worker::start(&setup);
    world.until_applied(500).await;
    frozen.pause().await;
    let owners = world.owners().await;
    let second = Worker::start(&setup);
    eventually(PATIENCE, "the second has all partitions", async || {
        let now = world.owners().await;
        now.iter().all(|owner| !owner.is_empty() && !owners.contains(owner)).then_some(())
    })
    .await;
    let taken_over_at = world.applied().await;
    world.until_applied((taken_over_at + 500).min(6_000)).await;
    frozen.resume().await;
    shared_out(&world, 2).await;
    world.send(6_000..8_000).await;
    world.prove().await;
    frozen.stop().await;
    second.stop().await;
}

/// Passes bytes between workers and Postgres; as often as it is told to, it lets a COMMIT through and breaks the
/// connection before the answer.
struct Cutter {
    url: String,
    left: Arc<AtomicUsize>,
}

const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

impl Cutter {
    async fn before(url: &str, cuts: usize) -> Self {
        let options: PgConnectOptions = url.parse().unwrap();
        let server = (options.get_host().to_owned(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = format!("{}:{}", server.0, server.1);
        assert!(url.contains(&address));
        let left = Arc::new(AtomicUsize::new(cuts));
        spawn({
            let left = Arc::clone(&left);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let (server, left) = (server.clone(), Arc::clone(&left));
                    spawn(async move { drop(pass(client, server, &left).await) });
                }
            }
        });
        Self { url: url.replace(&address, &format!("127.0.0.1:{port}")), left }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test is its own supervisor")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

async fn pass(
    mut client: TcpStream,
    server: (String, u16),
    left: &AtomicUsize,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut applies = false;
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let bytes = &up[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                applies |= contains(bytes, b"INSERT INTO intake_ledger");
                server.write_all(bytes).await?;
                let one_less = |left: usize| left.checked_sub(1);
                if applies
                    && bytes.ends_with(COMMIT)
                    && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
                {
                    // The answer: it is committed, and the worker does not learn of it.
                    server.read_exact(&mut down[..1]).await?;
                    return Ok(());
                }
            }
            read = server.read(&mut down) => {
                let bytes = &down[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                client.write_all(bytes).await?;
            }
        }
    }
}

/// I2.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_known_to_be_done() {
    let world = World::new().await;
    world.send(0..3_000).await;
    let cutter = Cutter::before(&world.db.url, 8).await;
    let mut setup = world.with(&[("ROLLCALL_BATCH__MAX_RECORDS", "100")]);
    setup.database_url.clone_from(&cutter.url);
    let worker = Worker::start(&setup);
    world.prove().await;
    assert_eq!(cutter.left.load(Ordering::SeqCst), 0, "all cuts were made");
    let twice = world
        .number("SELECT count(*) FROM intake_ledger WHERE position('D'::bytea IN outcomes) > 0")
        .await;
    assert_eq!(twice, 0, "nothing was applied a second time");
    worker.stop().await;
}

/// A session as of a Rollcall worker that was frozen: to the server it is a client that says and reads nothing.
async fn frozen_session(world: &World, lock: &'static str) -> PgConnection {
    let options: PgConnectOptions = world.db.url.parse().unwrap();
    let mut session = options.application_name("rollcall").connect().await.unwrap();
    session.execute("BEGIN").await.unwrap();
    session.execute(lock).await.unwrap();
    session
}

/// A world whose partitions have had an owner, and a worker that will have to wait for `session`.
async fn world_with_history() -> (World, crate::support::Setup) {
    let world = World::new().await;
    let setup = world.with(&[("ROLLCALL_DATABASE__TAKEOVER_AFTER", "1s")]);
    world.send(0..240).await;
    let worker = Worker::start(&setup);
    world.settled().await;
    worker.stop().await;
    world.send(240..480).await;
    (world, setup)
}

const LEASE: &str = "SELECT FROM partition_leases WHERE partition = 3 FOR UPDATE";

/// I3, idle in transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_ends_a_session_that_idles_in_its_transaction() {
    let (world, setup) = world_with_history().await;
    let mut session = frozen_session(&world, LEASE).await;
    let worker = Worker::start(&setup);
    world.prove().await;
    assert!(session.ping().await.is_err(), "the session in the way was ended");
    worker.stop().await;
}

/// I3, reading a result that is larger than all buffers: no time-out of Postgres frees such a session.
#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_ends_a_session_that_does_not_read_its_result() {
    let (world, setup) = world_with_history().await;
    let mut session = frozen_session(&world, LEASE).await;
    {
        let big = "SELECT repeat('x', 100000) FROM generate_series(1, 10000)";
        let mut rows = session.fetch(big);
        rows.try_next().await.unwrap().unwrap();
        let worker = Worker::start(&setup);
        world.prove().await;
        assert!(
            async {
                while rows.try_next().await?.is_some() {}
                Ok::<_, sqlx::Error>(())
            }
            .await
            .is_err(),
            "the session in the way was ended"
        );
        worker.stop().await;
    }
}

/// I3, between numbers and commit: who applies to the same streams waits for the lock of their rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_a_stream_ends_a_session_frozen_between_numbers_and_commit() {
    let (world, setup) = world_with_history().await;
    let mut session =
        frozen_session(&world, "SELECT FROM outbox_streams ORDER BY stream FOR UPDATE").await;
    let worker = Worker::start(&setup);
    world.prove().await;
    assert!(session.ping().await.is_err(), "the session in the way was ended");
    worker.stop().await;
}
