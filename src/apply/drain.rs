//! The drain: records come out of the queue when their turn has come, some in one transaction.
//!
//! What is taken out is noted before it is decoded, in a session that lives as long as the process does. Should the process
//! die meanwhile (abort, out of memory), whoever drains next finds the note without its session, counts that for each of
//! these records, and looks at them one by one, before all others. At whom three in a row died while nothing else was noted
//! is at fault: it becomes a letter, undecoded, which keeps occupying what it occupied; if the process dies even of
//! that, it goes on waiting. A record that the process lives through is trusted again.
//!
//! The note is a row without a flush to disk, one for up to 200 records: that is all that it costs who is healthy. What a
//! batch frees and decides itself is noted in the same way, though never as looked at alone: a waiting record at which a
//! process died is left to the drain, so that whoever freed it, as a request over HTTP, is not in its way.

use super::batch::{Batch, Record, Taken, TopicPartition, Waiting};
use super::crash::{Verdict, cause, probation};
use super::disposition::Failure;
use super::load::Also;
use super::queue::{is_unknown, numbers};
use super::transaction::Ran;
use super::{Applier, Doing};
use crate::contract::{Identity, Intake};
use crate::lifecycle::retry;
use crate::store::drains::{self, Suspect};
use crate::store::{self, parked};
use crate::telemetry::metrics;
use bytes::Bytes;
use futures::FutureExt as _;
use sqlx::PgConnection;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::AtomicI32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often the queue is looked at when nobody pokes: graces end, and other workers' batches wake records too.
const POLL: Duration = Duration::from_millis(500);
/// When a record that cannot be applied, through no fault of its own, is looked at again.
const PUT_OFF: time::Duration = time::Duration::minutes(1);
/// How long a session beside the pool has to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// What is being taken out of the queue, noted for whoever comes after this process.
struct Noted {
    /// Beside the pool: the note is a living process's as long as it lasts. None once it is taken back.
    session: Option<PgConnection>,
    drain_id: Uuid,
    cut: Arc<Cut>,
}

/// Notes of work that was cut off while the process lives, as by a time-out: nobody has died. They are taken back with the
/// next look at the queue, and keep their sessions until then.
#[derive(Debug, Default)]
pub(super) struct Cut(Mutex<Vec<(PgConnection, Uuid)>>);

impl Cut {
    fn lock(&self) -> MutexGuard<'_, Vec<(PgConnection, Uuid)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(cut: &Arc<Self>) -> Option<Noted> {
        let (session, drain_id) = cut.lock().pop()?;
        Some(Noted { session: Some(session), drain_id, cut: Arc::clone(cut) })
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.cut.lock().push((session, self.drain_id));
        }
    }
}

/// What one transaction takes out of the queue.
struct Turn {
    noted: Noted,
    parked_ids: Vec<i64>,
    /// Of one that is looked at alone, because processes died at it.
    verdict: Option<Verdict>,
    /// For how long the process is to live first.
    probation: Option<Duration>,
}

impl Applier {
    /// Takes records out of the queue when their turn has come, until `stop`: what is under way then is rolled back, so that
    /// its note is taken back before the process ends. Any number of workers may do so at once.
    pub async fn drain(&self, stop: CancellationToken) {
        let mut pauses = retry::outage(self.options.retry_max_delay);
        while !stop.is_cancelled() {
            let pause = match self.drain_some(&stop).await {
                Ok(0) => POLL,
                Ok(_) => {
                    pauses = retry::outage(self.options.retry_max_delay);
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "the queue of waiting records cannot be looked at");
                    pauses.next().unwrap_or(self.options.retry_max_delay)
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.parked.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.take_back().await;
    }

    /// Takes back the notes of work that was cut off.
    async fn take_back(&self) {
        while let Some(noted) = Cut::next(&self.cut) {
            self.end(noted, false).await;
        }
    }

    /// One transaction's worth of the queue; gives how many records it looked at.
    pub async fn drain_some(&self, hard: &CancellationToken) -> store::Result<usize> {
        let Some(turn) = self.turn().await? else { return Ok(0) };
        let Turn { mut noted, parked_ids, verdict, probation } = turn;
        if let Some(probation) = probation
            && !Self::lives_through(probation, &mut noted, hard).await?
        {
            self.end(noted, false).await;
            return Ok(0);
        }
        let done = self.take_out(&parked_ids, verdict, hard).await;
        let tried = verdict.is_none_or(|verdict| verdict == Verdict::Try);
        self.end(noted, tried && done.is_ok() && !hard.is_cancelled()).await;
        done
    }

    /// What is looked at next, noted; none if nothing is due.
    async fn turn(&self) -> store::Result<Option<Turn>> {
        self.take_back().await;
        let mut session = within(self.sessions.take(&self.pool)).await?;
        let (parked_ids, suspect) = within(self.due(&mut session)).await?;
        if parked_ids.is_empty() {
            self.sessions.put(session);
            return Ok(None);
        }
        let verdict = suspect.map(|suspect| Verdict::of(suspect.alone));
        let is_urgent = verdict == Some(Verdict::Try) && suspect.is_some_and(|one| one.alone > 0);
        let begun = Instant::now();
        let noted = self.note(session, &parked_ids, parked_ids.len() == 1 && !is_urgent).await?;
        let probation = is_urgent.then(|| probation(begun.elapsed()));
        Ok(Some(Turn { noted, parked_ids, verdict, probation }))
    }

    /// Lives for a while, then notes that from now on it is the one record that the process dies of; false if `stop` ends
    /// that early.
    async fn lives_through(
        probation: Duration,
        noted: &mut Noted,
        stop: &CancellationToken,
    ) -> store::Result<bool> {
        if stop.run_until_cancelled(tokio::time::sleep(probation)).await.is_none() {
            return Ok(false);
        }
        let Some(session) = &mut noted.session else { return Ok(false) };
        within(drains::alone(session, noted.drain_id)).await?;
        Ok(true)
    }

    /// Whose turn it is: of one at which processes died, with what is known of it; else of those that are due. Nobody's while
    /// nothing may be applied: who is killed in the middle of waiting for that would be the record's doing.
    async fn due(&self, session: &mut PgConnection) -> store::Result<(Vec<i64>, Option<Suspect>)> {
        if store::status::is_halted(session).await? {
            return Ok((Vec::new(), None));
        }
        let now = self.clock.now();
        if drains::any(session).await? {
            let records = drains::count(session).await?;
            if records > 0 {
                metrics::crashed();
                tracing::warn!(
                    records,
                    "a process was gone, or cut off, while it took records out of the queue: each of them is looked at alone"
                );
            }
            if let Some(suspect) = drains::take_suspect(session, now).await? {
                return Ok((vec![suspect.parked_id], Some(suspect)));
            }
        }
        Ok((parked::due(session, now, self.at_once()).await?, None))
    }

    async fn note(
        &self,
        session: PgConnection,
        parked_ids: &[i64],
        alone: bool,
    ) -> store::Result<Noted> {
        let (drain_id, cut) = (Uuid::new_v4(), Arc::clone(&self.cut));
        let mut noted = Noted { session: Some(session), drain_id, cut };
        if let Some(session) = &mut noted.session
            && let Err(error) = within(drains::begin(session, drain_id, parked_ids, alone)).await
        {
            noted.session = None;
            return Err(error);
        }
        Ok(noted)
    }

    async fn take_out(
        &self,
        parked_ids: &[i64],
        verdict: Option<Verdict>,
        hard: &CancellationToken,
    ) -> store::Result<usize> {
        let mut connection = self.pool.acquire().await?;
        let records = match verdict {
            None | Some(Verdict::Try) => self.waiting(&mut connection, parked_ids).await?,
            Some(Verdict::Letter) => {
                let stored = parked::read(&mut connection, parked_ids).await?;
                match self.condemned(stored, hard).await {
                    Ok(records) => records,
                    Err(cause) => {
                        self.postpone(parked_ids, &cause).await;
                        return Ok(parked_ids.len());
                    }
                }
            }
            Some(Verdict::Hopeless) => {
                let cause = "crashed: the process died whenever it decided this record, and when it made a letter of it";
                self.postpone(parked_ids, cause).await;
                return Ok(parked_ids.len());
            }
        };
        drop(connection);
        let (unknown, records): (Vec<_>, Vec<_>) = records.into_iter().partition(is_unknown);
        if !unknown.is_empty() {
            self.postpone(
                &numbers(&unknown),
                "unknown_schema: the record's schema is not known here",
            )
            .await;
        }
        let batch = Batch { waiting: true, alone: verdict.is_some(), records, ..Batch::default() };
        self.apply(batch, hard).await;
        Ok(parked_ids.len())
    }

    /// Records at which the process dies, as letters; or why that must not be. No records if `stop` comes first.
    async fn condemned(
        &self,
        stored: Vec<parked::Waiting>,
        stop: &CancellationToken,
    ) -> Result<Vec<Taken>, String> {
        let mut letters = Vec::with_capacity(stored.len());
        for waiting in stored {
            let parked_id = waiting.parked_id;
            let (record, waiting) = place(waiting);
            if !self.accepts_crashed(&record.at, stop).await? {
                return Ok(Vec::new());
            }
            tracing::error!(
                parked_id,
                "the process dies at a waiting record: it becomes a dead letter"
            );
            let intake = Intake::Letter(cause(Doing::Apply));
            let waiting = Some(waiting);
            letters.push(Taken { record, intake, waiting, reply: None, letter: None });
        }
        Ok(letters)
    }

    /// Those of the records that wait, in order, decoded.
    pub(super) async fn waiting(
        &self,
        connection: &mut PgConnection,
        parked_ids: &[i64],
    ) -> store::Result<Vec<Taken>> {
        if parked_ids.is_empty() {
            return Ok(Vec::new());
        }
        let stored = parked::read(connection, parked_ids).await?;
        let taken = |waiting| {
            let (record, waiting) = place(waiting);
            Taken { waiting: Some(waiting), ..self.take(record) }
        };
        Ok(stored.into_iter().map(taken).collect())
    }

    /// Runs a batch once, and notes the waiting records that it frees.
    pub(super) async fn run_noted(
        &self,
        batch: &Batch,
        also: &Also,
        pid: &AtomicI32,
    ) -> Result<Ran, Failure> {
        if also.parked.is_empty() {
            return self.run(batch, also, pid).await;
        }
        self.take_back().await;
        let parked_ids: Vec<_> = also.parked.iter().copied().collect();
        let session = within(self.sessions.take(&self.pool)).await?;
        let noted = self.note(session, &parked_ids, false).await?;
        // A panic is no death.
        let run = AssertUnwindSafe(self.run(batch, also, pid)).catch_unwind().await;
        let ran = run.unwrap_or(Err(Failure::Panicked));
        // What it came to stands, whether or not the note's session still answers: then the note is taken back later.
        self.end_at_once(noted, true).await;
        ran
    }

    /// Takes a note back over its own session; gives it back if that does not answer.
    async fn end_at_once(&self, mut noted: Noted, tried: bool) -> Option<Noted> {
        let session = noted.session.as_mut()?;
        if within(drains::end(session, noted.drain_id, tried)).await.is_err() {
            return Some(noted);
        }
        noted.session.take().into_iter().for_each(|session| self.sessions.put(session));
        None
    }

    /// Takes a note back. Where the database is away, it may count against the records: then they are looked at alone.
    async fn end(&self, noted: Noted, tried: bool) {
        let drain_id = noted.drain_id;
        let Some(mut noted) = self.end_at_once(noted, tried).await else { return };
        noted.session = None;
        for pause in retry::limited(3, self.options.retry_max_delay) {
            let again = async {
                let mut connection = self.pool.acquire().await?;
                drains::end(&mut connection, drain_id, tried).await
            };
            let Err(error) = within(again).await else { return };
            tracing::warn!(%error, "a note of the drain could not be taken back yet");
            tokio::time::sleep(pause).await;
        }
    }

    /// Has records that failed, through no fault of their own, wait a while longer.
    pub(super) async fn postpone(&self, numbers: &[i64], cause: &str) {
        tracing::error!(cause, "a waiting record cannot be applied, and goes on waiting");
        let until = self.clock.now() + PUT_OFF;
        let done = async {
            let mut connection = self.pool.acquire().await?;
            parked::postpone(&mut connection, numbers, until).await
        };
        if let Err(error) = done.await {
            tracing::warn!(%error, "waiting records could not be put off");
        }
    }
}

/// A step over a session of its own, with an end to waiting for it: from a connection that was cut without a word comes no
/// error.
async fn within<T>(step: impl Future<Output = store::Result<T>>) -> store::Result<T> {
    let silent = || store::Error::Connection("no answer".into());
    tokio::time::timeout(ANSWER, step).await.unwrap_or_else(|_elapsed| Err(silent()))
}

/// A stored record, and its place in the queue.
fn place(stored: parked::Waiting) -> (Record, Waiting) {
    let batch_id = stored.batch_id.as_deref().map(str::as_bytes);
    let mut identity =
        Identity::attributed(stored.source.as_bytes(), stored.message_id.as_bytes(), batch_id);
    if let Some(identity) = &mut identity {
        identity.attempt = stored.attempt;
    }
    let record = Record {
        at: TopicPartition { topic: stored.topic.into(), partition: stored.partition },
        offset: stored.offset,
        timestamp: stored.record_timestamp,
        key: stored.key.map(Bytes::from),
        value: Some(Bytes::from(stored.value)),
        headers: stored
            .header_keys
            .into_iter()
            .zip(stored.header_values)
            .map(|(name, value)| (Bytes::from(name), value.map(Bytes::from)))
            .collect(),
    };
    let waiting = Waiting {
        parked_id: stored.parked_id,
        identity,
        parked_at: stored.parked_at,
        released: stored.released,
        letter_id: stored.letter_id,
    };
    (record, waiting)
}
