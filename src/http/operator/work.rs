//! Replays that go on in this process.

use crate::dead_letter::{Desk, Run};
use crate::http::problem::{Code, Problem};
use futures::stream::{FuturesUnordered, StreamExt as _};
use sqlx::PgConnection;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// Replays that go on at once, at most.
const AT_ONCE: usize = 4;
/// How long what is answered in the request waits for a database that is away.
const PATIENCE: Duration = Duration::from_secs(5);

/// A run that this process holds, as long as the session lives.
#[derive(Debug)]
struct Held {
    run: Run,
    holder: PgConnection,
    _room: OwnedSemaphorePermit,
}

/// Where letters are put right; clones share it.
#[derive(Debug, Clone)]
pub(in crate::http) struct Office {
    /// For what is answered in the request.
    pub(super) desk: Desk,
    room: Arc<Semaphore>,
    runs: mpsc::UnboundedSender<Held>,
}

/// The work that replays.
#[derive(Debug)]
pub struct Replays {
    desk: Desk,
    runs: mpsc::UnboundedReceiver<Held>,
}

impl Office {
    /// An office over a desk, and its work. The work waits for a database that is away (P6); who waits for an answer
    /// hears of it.
    pub(in crate::http) fn new(desk: Desk) -> (Self, Replays) {
        let (sender, runs) = mpsc::unbounded_channel();
        let hasty = Desk { applier: desk.applier.clone().with_patience(PATIENCE), ..desk.clone() };
        let room = Arc::new(Semaphore::new(AT_ONCE));
        (Self { desk: hasty, room, runs: sender }, Replays { desk, runs })
    }

    /// Room for one more replay.
    ///
    /// # Errors
    /// As many as may be are under way.
    pub(super) fn room(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.room).try_acquire_owned().map_err(|_full| {
            Problem::of(Code::TooManyRequests)
                .because("as many replays as this server takes are under way: wait for one of them")
        })
    }

    /// Has a run gone on with.
    ///
    /// # Errors
    /// The process ends: the run is interrupted before it began.
    pub(super) fn take(
        &self,
        run: Run,
        holder: PgConnection,
        room: OwnedSemaphorePermit,
    ) -> Result<(), Problem> {
        self.runs.send(Held { run, holder, _room: room }).map_err(|_ended| {
            Problem::of(Code::Unavailable)
                .because("the worker shuts down: the run is interrupted, and can be resumed")
        })
    }
}

impl Replays {
    /// Goes on with what it is given, until `stop`: what is under way then is rolled back, and its run interrupted.
    pub async fn run(self, stop: CancellationToken) {
        let Self { desk, mut runs } = self;
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(held) = runs.recv() => under_way.push(go_on(&desk, held, &stop)),
                Some(()) = under_way.next() => {}
            }
        }
        runs.close();
        while under_way.next().await.is_some() {}
    }
}

async fn go_on(desk: &Desk, held: Held, stop: &CancellationToken) {
    let Held { run, mut holder, _room } = held;
    let run_id = run.run_id;
    if let Err(error) = Box::pin(desk.go_on(&run, &mut holder, stop, |_letters| {})).await {
        tracing::warn!(%run_id, %error, "a replay is interrupted");
    }
}
