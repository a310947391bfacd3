//! I2 and I3 through the real binary: sessions of Postgres that are cut off or frozen at the worst moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::TryStreamExt as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::backlog::complete;
use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{Setup, Worker};

/// Enrolls the persons of these numbers.
async fn send(stage: &Stage, numbers: std::ops::Range<usize>) {
    let records: Vec<_> = numbers.map(|number| record(None, &request(number))).collect();
    stage.topics.produce(REQUESTS, &records).await;
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
    let stage = Stage::new().await;
    send(&stage, 0..3_000).await;
    let cutter = Cutter::before(&stage.db.url, 8).await;
    let mut setup = stage.setup.clone().with("ROLLCALL_BATCH__MAX_RECORDS", "100");
    setup.database_url.clone_from(&cutter.url);
    let worker = Worker::start(&setup);
    stage.prove(3_000).await;
    complete(&stage, 3_000).await;
    assert_eq!(cutter.left.load(Ordering::SeqCst), 0, "all cuts were made");
    let twice = stage
        .number("SELECT count(*) FROM intake_ledger WHERE position('D'::bytea IN outcomes) > 0")
        .await;
    assert_eq!(twice, 0, "nothing was applied a second time");
    worker.stop().await;
}

/// A session as of a Rollcall worker that was frozen: to the server it is a client that says and reads nothing.
async fn frozen_session(stage: &Stage, lock: &'static str) -> PgConnection {
    let options: PgConnectOptions = stage.db.url.parse().unwrap();
    let mut session = options.application_name("rollcall").connect().await.unwrap();
    session.execute("BEGIN").await.unwrap();
    session.execute(lock).await.unwrap();
    session
}

/// A stage whose partitions have had an owner, and a worker that will have to wait for `session`.
async fn stage_with_history() -> (Stage, Setup) {
    let stage = Stage::new().await;
    let setup = stage.setup.clone().with("ROLLCALL_DATABASE__TAKEOVER_AFTER", "1s");
    send(&stage, 0..240).await;
    let worker = Worker::start(&setup);
    stage.prove(240).await;
    worker.stop().await;
    send(&stage, 240..480).await;
    (stage, setup)
}

const LEASE: &str = "SELECT FROM partition_leases WHERE partition = 3 FOR UPDATE";

/// I3, idle in transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_ends_a_session_that_idles_in_its_transaction() {
    let (stage, setup) = stage_with_history().await;
    let mut session = frozen_session(&stage, LEASE).await;
    let worker = Worker::start(&setup);
    stage.prove(480).await;
    complete(&stage, 480).await;
    assert!(session.ping().await.is_err(), "the session in the way was ended");
    worker.stop().await;
}

/// I3, reading a result that is larger than all buffers: no time-out of Postgres frees such a session.
#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_ends_a_session_that_does_not_read_its_result() {
    let (stage, setup) = stage_with_history().await;
    let mut session = frozen_session(&stage, LEASE).await;
    {
        let big = "SELECT repeat('x', 100000) FROM generate_series(1, 10000)";
        let mut rows = session.fetch(big);
        rows.try_next().await.unwrap().unwrap();
        let worker = Worker::start(&setup);
        stage.prove(480).await;
        complete(&stage, 480).await;
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
    let (stage, setup) = stage_with_history().await;
    let mut session =
        frozen_session(&stage, "SELECT FROM outbox_streams ORDER BY stream FOR UPDATE").await;
    let worker = Worker::start(&setup);
    stage.prove(480).await;
    complete(&stage, 480).await;
    assert!(session.ping().await.is_err(), "the session in the way was ended");
    worker.stop().await;
}
