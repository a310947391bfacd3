//! Waiting records at which the process dies that decides them: real processes, which empty the queue and serve HTTP.

use rollcall::apply::Batch;
use rollcall::contract::wire::{Action, HeldWhy};
use rollcall::lifecycle::clock::{Clock as _, SystemClock};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;

use super::locks::{bystander, waiting_for_locks};
use super::waiting::Waiting;
use crate::crashes::survivor_of;
use crate::http::Client;
use crate::scene::{batch, enrollment};
use crate::stage::command;
use crate::support::{PATIENCE, Setup, Worker, eventually};

/// Records that wait in a scene whose clock shows the time of the processes.
async fn waiting() -> Waiting {
    let w = Waiting::new().await;
    w.scene.clock.advance(SystemClock.now() - w.scene.clock.now());
    w
}

/// What such a process is started with.
fn setup(w: &Waiting, fault: &str) -> Setup {
    Setup::new("127.0.0.1:1", "rollcall.", &w.scene.database.url).with("FAULT_AT", fault)
}

fn start(setup: &Setup) -> Worker {
    Worker::start_with(setup, &["run", "--only", "http"])
}

impl Waiting {
    /// Enrolls these, and leaves whom that frees to the drain.
    async fn free_later(&mut self, references: &[&str]) {
        let enrollments = references
            .iter()
            .map(|reference| enrollment(&format!("enroll-{reference}"), reference, "CASH"));
        let records = enrollments.map(|request| self.enrollment(&request)).collect();
        let all = Batch { alone: true, ..batch(&self.scene.applier, self.fence, records) };
        self.scene.applier.apply(all, &CancellationToken::new()).await;
    }

    /// The messages that changed a membership after its enrollment, each as often as it did.
    async fn changes(&self) -> String {
        self.scene
            .text("SELECT coalesce(string_agg(message_id, ' ' ORDER BY message_id), '') FROM membership_history WHERE version > 1")
            .await
    }

    async fn condemned(&self) -> String {
        self.scene
            .text("SELECT coalesce(string_agg(class || ' ' || stage || ' ' || code || ' ' || state, ', '), '') FROM dead_letters")
            .await
    }

    /// Nothing is left of what was noted of processes.
    async fn all_trusted(&self) {
        eventually(PATIENCE, "all are trusted", async || {
            let known =
                "SELECT (SELECT count(*) FROM drains) + (SELECT count(*) FROM parked_crashes)";
            (self.scene.number(known).await == 0).then_some(())
        })
        .await;
    }

    /// Starts processes until one lives to see all of `parked` as they should be; gives it, and how many died.
    async fn survivor(&self, setup: &Setup, parked: &str) -> (Worker, usize) {
        survivor_of(|| start(setup), async || self.parked().await == parked).await
    }
}

/// Among others or not, then alone until it is three times; the first time may be seen late, when it has happened again.
fn is_thrice(died: usize) -> bool {
    (3..=5).contains(&died)
}

/// What is noted of processes, dead or alive.
async fn noted(w: &Waiting) -> i64 {
    let noted = "SELECT (SELECT count(*) FROM drains) + (SELECT count(*) FROM parked_crashes)";
    w.scene.number(noted).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_is_stopped_or_loses_its_note_blames_nobody() {
    for is_stopped in [true, false] {
        let mut w = Waiting::new().await;
        w.act("p1", "r1", Action::Pause).await;
        w.free_later(&["r1"]).await;
        let mut bystander = bystander(&w.scene).await;
        let mut tx = bystander.begin().await.unwrap();
        sqlx::query("LOCK TABLE membership_history").execute(&mut *tx).await.unwrap();
        let stop = CancellationToken::new();
        let go_on = async {
            waiting_for_locks(&w.scene, 1).await;
            assert_eq!(noted(&w).await, 1);
            if !is_stopped {
                let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity JOIN pg_locks USING (pid)
                           WHERE datname = current_database() AND state = 'idle' AND locktype = 'advisory'";
                assert_eq!(w.scene.number(cut).await, 1);
                tx.rollback().await.unwrap();
                eventually(PATIENCE, "it is through", async || {
                    (w.changes().await == "p1").then_some(())
                })
                .await;
            }
            stop.cancel();
        };
        tokio::join!(w.scene.applier.drain(stop.clone()), go_on);
        assert_eq!(noted(&w).await, 0);
        drop(bystander);
        w.scene.drain().await;
        assert_eq!(w.changes().await, "p1");
        w.nobody_waits().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_taken_out_of_the_queue_while_nothing_may_be_applied() {
    let mut w = Waiting::new().await;
    w.act("p1", "r1", Action::Pause).await;
    w.free_later(&["r1"]).await;
    w.sql(
        "INSERT INTO halts (name, cause, since) VALUES ('database_behind_topics', 'a test', now())",
    )
    .await;
    assert_eq!(w.scene.applier.drain_some(&CancellationToken::new()).await, Ok(0));
    assert_eq!(noted(&w).await, 0);
    w.sql("DELETE FROM halts").await;
    w.scene.drain().await;
    assert_eq!(w.changes().await, "p1");
    w.nobody_waits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_at_which_the_process_dies_is_found_among_others_and_is_a_letter() {
    let mut w = waiting().await;
    for (message, reference) in [("p0", "r0"), ("p1", "r1"), ("p2", "r2"), ("p3", "r3")] {
        w.act(message, reference, Action::Pause).await;
    }
    w.act("x2", "r2", Action::Exit).await;
    w.free_later(&["r0", "r1", "r2", "r3"]).await;
    let parked = "p0 RESOLVED BEHIND A, p1 RESOLVED BEHIND A, p2 RESOLVED BEHIND L, p3 RESOLVED BEHIND A, \
                  x2 WAITING BEHIND -";
    let (worker, died) = w.survivor(&setup(&w, "abort:drain:p2"), parked).await;
    assert!(is_thrice(died), "{died}");
    assert_eq!(w.condemned().await, "failed apply crashed OPEN");
    assert_eq!(w.changes().await, "p0 p1 p3");
    let results = w.results("p2").await;
    let held: Vec<_> =
        results.iter().map(|result| result.held.as_ref().map(|held| held.why)).collect();
    assert_eq!(held, [Some(HeldWhy::Parked), Some(HeldWhy::DeadLettered)]);
    // "Discard: the queue behind it drains."
    let letter = w.scene.text("SELECT letter_id::text FROM dead_letters").await;
    let discard =
        ["dead-letters", "discard", &letter, "--reason", "it kills", "--actor", "clerk", "--yes"];
    let own = Setup::new("127.0.0.1:1", "rollcall.", &w.scene.database.url);
    let (code, stdout, stderr) = command(&own, &discard).await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    eventually(PATIENCE, "who was behind it is through", async || {
        (w.changes().await == "p0 p1 p3 x2").then_some(())
    })
    .await;
    w.nobody_waits().await;
    w.all_trusted().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_decoding_kills_becomes_a_letter_undecoded_and_is_replayed_at_its_place() {
    let mut w = waiting().await;
    w.act("p0", "r0", Action::Pause).await;
    w.free_later(&["r0"]).await;
    let setup = setup(&w, "abort:decode:p0");
    let (worker, died) = w.survivor(&setup, "p0 RESOLVED BEHIND L").await;
    assert!(is_thrice(died), "{died}");
    assert_eq!(w.condemned().await, "failed apply crashed OPEN");
    // It occupies what it occupied, though nobody has read it.
    w.act("x0", "r0", Action::Exit).await;
    assert_eq!(w.parked().await, "p0 RESOLVED BEHIND L, x0 WAITING BEHIND -");
    let replay = [
        "dead-letters",
        "replay",
        "--class",
        "failed",
        "--reason",
        "mended",
        "--actor",
        "clerk",
        "--yes",
    ];
    let own = Setup::new("127.0.0.1:1", "rollcall.", &w.scene.database.url);
    let (code, stdout, stderr) = command(&own, &replay).await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    eventually(PATIENCE, "who was behind it is through", async || {
        (w.history().await == "enroll-r0:ENROLLED:1 p0:PAUSED:2 x0:EXITED:3").then_some(())
    })
    .await;
    w.all_trusted().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_frees_it_over_http_is_answered_when_the_process_has_died_once() {
    let mut w = waiting().await;
    w.act("p0", "r0", Action::Pause).await;
    let setup = setup(&w, "abort:drain:p0");
    let body = json!({
        "registrant": {"reference": "r0", "kind": "INDIVIDUAL"},
        "program_memberships": [{"program": "CASH"}],
    })
    .to_string();
    let request = format!(
        "POST /v1/registrants HTTP/1.1\r\nhost: localhost\r\nrollcall-source: registry\r\nidempotency-key: e0\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut worker = start(&setup);
    worker.ready().await;
    let answer = Client::new(&worker.url()).raw(request.as_bytes()).await;
    assert_eq!(answer, "", "the connection is cut");
    assert!(!worker.exit(PATIENCE).await.success());
    assert_eq!(w.history().await, "", "and nothing is applied");
    // The same request again goes through, whatever becomes of the one that it frees.
    let mut worker = start(&setup);
    worker.ready().await;
    eventually(PATIENCE, "what waited is noted", async || {
        let noted = w.scene.number("SELECT count(*) FROM parked_crashes WHERE alone = 0").await;
        (noted == 1).then_some(())
    })
    .await;
    // The answer may be cut off by the death that follows.
    Client::new(&worker.url()).raw(request.as_bytes()).await;
    assert!(!worker.exit(PATIENCE).await.success());
    assert_eq!(w.history().await, "e0:ENROLLED:1");
    let (worker, died) = w.survivor(&setup, "p0 RESOLVED BEHIND L").await;
    assert_eq!(died, 2, "it died once while it was freed, and three times alone");
    worker.ready().await;
    let answer = Client::new(&worker.url()).raw(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "a duplicate: {answer}");
    w.all_trusted().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_others_fail_too_it_goes_on_waiting() {
    let mut w = waiting().await;
    w.act("p0", "r0", Action::Pause).await;
    w.free_later(&["r0"]).await;
    w.sql("ALTER TABLE phone_numbers ADD CONSTRAINT no_canary CHECK (phone_no = '') NOT VALID")
        .await;
    let setup = setup(&w, "abort:drain:p0");
    let put_off = "SELECT count(*) FROM parked_records WHERE state = 'WAITING' AND due_at > now()";
    let (worker, died) =
        survivor_of(|| start(&setup), async || w.scene.number(put_off).await == 1).await;
    assert!(is_thrice(died), "{died}");
    assert_eq!(w.condemned().await, "");
    w.sql("ALTER TABLE phone_numbers DROP CONSTRAINT no_canary").await;
    let release = [
        "parked",
        "release",
        "--topic",
        "membership-updates",
        "--reason",
        "now",
        "--actor",
        "clerk",
        "--yes",
    ];
    let (code, stdout, stderr) = command(&setup, &release).await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    eventually(PATIENCE, "it is a letter", async || {
        (w.condemned().await == "failed apply crashed OPEN").then_some(())
    })
    .await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_which_not_even_a_letter_can_be_made_waits_for_an_operator() {
    let mut w = waiting().await;
    w.act("p0", "r0", Action::Pause).await;
    w.free_later(&["r0"]).await;
    w.sql("INSERT INTO parked_crashes SELECT parked_id, 6, 5 FROM parked_records").await;
    w.scene.drain().await;
    assert_eq!(w.parked().await, "p0 WAITING BEHIND -");
    // With a release that mends it.
    let own = Setup::new("127.0.0.1:1", "rollcall.", &w.scene.database.url);
    let release = ["parked", "release", "--source", "registry", "--reason", "mended", "--yes"];
    let (code, stdout, stderr) = command(&own, &release).await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    w.scene.clock.advance(time::Duration::seconds(1));
    w.scene.drain().await;
    assert_eq!(w.changes().await, "p0");
    w.all_trusted().await;
}

/// Somebody else's doing: sessions that end while records are taken out of the queue.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_blames_nobody_for_good() {
    let mut w = waiting().await;
    w.act("p0", "r0", Action::Pause).await;
    w.act("p1", "r1", Action::Pause).await;
    w.free_later(&["r0", "r1"]).await;
    // Of who is alive: nobody counts it.
    let mut alive = PgConnection::connect(&w.scene.database.url).await.unwrap();
    let both: Vec<i64> =
        sqlx::query_scalar("SELECT parked_id FROM parked_records ORDER BY parked_id")
            .fetch_all(&w.scene.pool)
            .await
            .unwrap();
    let drain_id = uuid::Uuid::new_v4();
    rollcall::store::drains::begin(&mut alive, drain_id, &both, false).await.unwrap();
    let mut connection = w.scene.pool.acquire().await.unwrap();
    let count = async |connection: &mut PgConnection| {
        rollcall::store::drains::count(connection).await.unwrap()
    };
    assert_eq!(count(&mut connection).await, 0);
    // It is gone, and another one, who had the first alone.
    let mut other = PgConnection::connect(&w.scene.database.url).await.unwrap();
    rollcall::store::drains::begin(&mut other, uuid::Uuid::new_v4(), &both[..1], true)
        .await
        .unwrap();
    other.close().await.unwrap();
    eventually(PATIENCE, "the session is gone", async || {
        (count(&mut connection).await == 1).then_some(())
    })
    .await;
    alive.close().await.unwrap();
    eventually(PATIENCE, "the other one too", async || {
        (count(&mut connection).await == 2).then_some(())
    })
    .await;
    let known =
        "SELECT string_agg(crashes || ':' || alone, ' ' ORDER BY parked_id) FROM parked_crashes";
    assert_eq!(w.scene.text(known).await, "2:0 1:0");
    drop(connection);
    // One by one, as suspects are: each is decided and trusted.
    let none = CancellationToken::new();
    assert_eq!(w.scene.applier.drain_some(&none).await.unwrap(), 1);
    assert_eq!(w.scene.number("SELECT count(*) FROM parked_crashes").await, 1);
    assert_eq!(w.scene.applier.drain_some(&none).await.unwrap(), 1);
    assert_eq!(w.changes().await, "p0 p1");
    w.nobody_waits().await;
    w.all_trusted().await;
}
