//! One try of a batch: one transaction (P1).

use super::Applier;
use super::answer::{Answer, Known, Walk};
use super::batch::{Batch, Slice, SliceOutcome, Taken};
use super::disposition::Failure;
#[cfg(debug_assertions)]
use super::fault;
use super::freed::Freed;
use super::ids::attributed;
use super::load::{Also, Loading, load, queues};
use super::outbound::Outbound;
use super::outcome::outcome_word;
use super::park::{Moves, Parking};
use super::queue::numbers;
use super::receipts::{Counting, Stored};
use super::replay::{self, Deed, Letters};
use super::reply;
use super::save::Save;
use crate::contract::Intake;
use crate::domain::BatchOutcome;
use crate::store;
use crate::telemetry::{TraceParent, metrics};
use sqlx::{Connection as _, Postgres, Transaction};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Instant;
use time::OffsetDateTime;

/// Something of each request, by source and message id.
type ByRequest<'a, T> = HashMap<(&'a str, &'a str), T>;

/// What a transaction came to.
pub(super) enum Ran {
    /// Every slice has its outcome.
    Done(Vec<(Slice, SliceOutcome)>),
    /// Something would change that was not locked in its order: run again with it locked too.
    Again(Also),
}

/// What one transaction is to do.
struct Work<'a> {
    batch: &'a Batch,
    also: &'a Also,
    /// Those of the batch's slices that are still this worker's.
    slices: &'a [Slice],
    /// The transaction's, in the outbox.
    number: i64,
    /// Whether there are open letters.
    letters: bool,
    started: Instant,
}

impl Applier {
    /// Runs a batch once.
    pub(super) async fn run(
        &self,
        batch: &Batch,
        also: &Also,
        pid: &std::sync::atomic::AtomicI32,
    ) -> Result<Ran, Failure> {
        let started = Instant::now();
        let mut session = self.sessions.take(&self.pool).await?;
        let mut tx = session.begin().await.map_err(store::Error::from)?;
        let replay = batch.replay.as_deref();
        let numbered = replay.is_none_or(|replay| replay.deed != Deed::Rehearse);
        let ticket = store::intake::ticket(&mut tx, numbered).await?;
        pid.store(ticket.pid, std::sync::atomic::Ordering::Relaxed);
        if let Some(halt) = ticket.halt {
            return Err(Failure::Halted(halt));
        }
        let ended = !replay::goes_on(&mut tx, batch).await?;
        let mut outcomes = check(&mut tx, &batch.slices).await?;
        let slices: Vec<_> =
            outcomes.iter().filter(|o| o.1.is_none()).map(|o| o.0.clone()).collect();
        if ended || (slices.is_empty() && !batch.slices.is_empty()) {
            tx.rollback().await.map_err(store::Error::from)?;
            self.sessions.put(session);
        } else {
            #[cfg(debug_assertions)]
            fault::strike_any("apply", &batch.records);
            let (number, letters) = (ticket.batch, ticket.letters);
            let work = Work { batch, also, slices: &slices, number, letters, started };
            let more = self.commit(tx, &work).await?;
            self.sessions.put(session);
            if let Some(more) = more {
                return Ok(Ran::Again(more));
            }
        }
        for outcome in &mut outcomes {
            outcome.1.get_or_insert(SliceOutcome::Committed);
        }
        Ok(Ran::Done(
            outcomes
                .into_iter()
                .map(|(slice, outcome)| (slice, outcome.unwrap_or(SliceOutcome::Committed)))
                .collect(),
        ))
    }

    /// Loads, decides, saves, commits; gives what is to be locked too, if it must run again.
    async fn commit(
        &self,
        mut tx: Transaction<'_, Postgres>,
        work: &Work<'_>,
    ) -> Result<Option<Also>, Failure> {
        let Work { batch, also, slices, number, started, .. } = *work;
        let mut arrived = of_slices(batch, slices);
        let replay = batch.replay.as_deref();
        let mut letters = Letters::begin(&mut tx, replay, &mut arrived).await?;
        let recorded_at = self.clock.now();
        let whole: Vec<_> = also.parked.iter().copied().collect();
        let freed = self.waiting(&mut tx, &whole).await?;
        let mut queued: Vec<&Taken> = freed.iter().collect();
        if batch.waiting {
            queued.append(&mut arrived);
        }
        let all: Vec<&Taken> = arrived.iter().chain(&queued).copied().collect();
        let (inbox, stored) = known(&mut tx, &all).await?;
        let answered: HashSet<_> =
            inbox.iter().filter(|(_, known)| !known.open).map(|(key, _)| *key).collect();
        let to_decide = all.iter().copied().filter(|taken| match &taken.intake {
            _ if taken.waiting.is_some() || taken.letter.is_some() => true,
            Intake::Condemned { .. } => true,
            Intake::Command { meta, .. } => {
                !answered.contains(&(meta.source.as_str(), meta.message_id.as_str()))
            }
            Intake::Refused(_) | Intake::Letter(_) => false,
        });
        let head_kind = &self.options.head_kind;
        let leaving = letters.leaving(&arrived);
        let mut loaded = match load(&mut tx, to_decide, head_kind, leaving, also).await? {
            Loading::Done(loaded) => *loaded,
            Loading::Again(more) => return again(tx, more).await,
        };
        let last = still_waiting(&mut tx, &mut queued).await?.filter(|_| batch.waiting);
        let last = last.or(replay.map(|_| i64::MAX));
        letters.lock(&mut tx, &loaded, &mut arrived).await?;
        letters.sent_again(&mut tx, work.letters, &all).await?;
        let said = |source: &[u8], message_id: &[u8]| says(&all, source, message_id);
        let queues = queues(&mut tx, &loaded, last, &also.parked, said).await?;
        metrics::stage("load", started.elapsed());

        let deciding = Instant::now();
        let mut walk = Walk {
            schemas: &self.schemas,
            set: std::mem::take(&mut loaded.set),
            inbox,
            recorded_at,
            inbox_retention: self.options.inbox_retention,
            grace: self.options.grace,
            queues,
            freed: if batch.waiting {
                Freed::due(&queued, batch.alone)
            } else {
                Freed::by_batch(&queued, &also.parked, batch.alone)
            },
            answers: Vec::new(),
            moves: Moves::default(),
            letters,
        };
        walk.run(&arrived)?;
        let Walk { set, answers, moves, freed, letters, .. } = walk;
        loaded.set = set;
        let missing = if batch.waiting { BTreeSet::new() } else { freed.missing };
        let parked = more_queues(&mut tx, &also.parked, missing, self.at_once()).await?;
        let names = loaded.name_changes().unheld;
        let closed: BTreeSet<_> = freed.closed.difference(&also.closed).copied().collect();
        if !(parked.is_empty() && names.is_empty() && closed.is_empty()) {
            return again(tx, Also { names, parked, closed, ..Also::default() }).await;
        }
        let outbound = Outbound::build(&answers, &loaded.set, self.options.shards, recorded_at)?;
        metrics::stage("decide", deciding.elapsed());

        let saving = Instant::now();
        let counting = Counting::of(&answers, &stored, self.options.revise_after);
        let save = Save {
            loaded: &loaded,
            answers: &answers,
            moves: &moves,
            outbound: &outbound,
            counting: &counting,
            slices,
            letters: &letters,
            passing: batch.passing.as_ref(),
            batch: number,
            recorded_at,
        };
        save.state(&mut tx).await?;
        if letters.is_rehearsed() {
            save.facts(&mut tx).await?;
            tx.rollback().await.map_err(store::Error::from)?;
            letters.did();
            return Ok(None);
        }
        let receipt_due = save.said(&mut tx, self.options.shards).await?;
        metrics::stage("save", saving.elapsed());

        let committing = Instant::now();
        tx.commit().await.map_err(store::Error::from)?;
        metrics::stage("commit", committing.elapsed());
        letters.did();
        if receipt_due {
            self.receipts.notify_one();
        }
        self.committed(&arrived, (&answers, &moves), recorded_at, started);
        Ok(None)
    }

    /// After the commit: who waits for an answer gets it, the relay wakes, the figures move.
    fn committed(
        &self,
        arrived: &[&Taken],
        (answers, moves): (&[Answer<'_>], &Moves),
        recorded_at: OffsetDateTime,
        started: Instant,
    ) {
        reply::answer(arrived, answers);
        self.wake.notify_one();
        if !moves.is_empty() || answers.iter().any(|answer| answer.parking != Parking::None) {
            self.parked.notify_one();
        }
        metrics::apply_transaction(started.elapsed());
        metrics::last_commit(recorded_at);
        let mut counts: BTreeMap<(&str, u8), u64> = BTreeMap::new();
        for answer in answers {
            *counts.entry((&answer.record.at.topic, answer.outcome)).or_default() += 1;
        }
        for ((topic, outcome), count) in counts {
            metrics::records(topic, outcome_word(outcome), count);
            if outcome == b'L' {
                tracing::warn!(topic, count, "records became dead letters");
            }
        }
        for answer in answers {
            let Some((letter_id, cause)) = &answer.letter else { continue };
            let trace = answer.record.header("traceparent").map(TraceParent::parse);
            tracing::debug!(
                messaging.destination.name = &*answer.record.at.topic,
                messaging.destination.partition.id = answer.record.at.partition,
                messaging.kafka.offset = answer.record.offset,
                %letter_id,
                class = cause.class.as_str(),
                code = cause.code,
                trace_id = trace.and_then(Result::ok).map(|trace| tracing::field::display(trace.trace_id)),
                "a record became a dead letter"
            );
        }
    }
}

/// I1: a partition that moved away takes its own records with it, and no others.
fn of_slices<'a>(batch: &'a Batch, slices: &[Slice]) -> Vec<&'a Taken> {
    let all = slices.len() == batch.slices.len();
    let is_in = |taken: &&Taken| all || slices.iter().any(|slice| slice.at == taken.record.at);
    batch.records.iter().filter(is_in).collect()
}

/// Whether one of these records is this request.
fn says(records: &[&Taken], source: &[u8], message_id: &[u8]) -> bool {
    records.iter().any(|taken| match &taken.intake {
        Intake::Command { meta, .. } => {
            meta.source.as_bytes() == source && meta.message_id.as_bytes() == message_id
        }
        Intake::Refused(_) | Intake::Letter(_) | Intake::Condemned { .. } => false,
    })
}

/// Ends a transaction that must run again with `more`.
async fn again(tx: Transaction<'_, Postgres>, more: Also) -> Result<Option<Also>, Failure> {
    tx.rollback().await.map_err(store::Error::from)?;
    Ok(Some(more))
}

/// Locks the leases and compares fence and position (I2): what is to be applied has no outcome yet.
async fn check(
    tx: &mut Transaction<'_, Postgres>,
    slices: &[Slice],
) -> Result<Vec<(Slice, Option<SliceOutcome>)>, Failure> {
    let topics: Vec<&str> = slices.iter().map(|slice| &*slice.at.topic).collect();
    let partitions: Vec<i32> = slices.iter().map(|slice| slice.at.partition).collect();
    store::intake::lock_leases(tx, &topics, &partitions).await?;
    let standings: HashMap<(String, i32), _> = store::intake::standings(tx, &topics, &partitions)
        .await?
        .into_iter()
        .map(|standing| {
            ((standing.topic.clone(), standing.partition), (standing.fence, standing.position))
        })
        .collect();
    Ok(slices
        .iter()
        .map(|slice| {
            let standing = standings.get(&(slice.at.topic.to_string(), slice.at.partition));
            let outcome = match standing {
                Some((Some(fence), position)) if *fence == slice.fence => match position {
                    None => None,
                    Some(position) if *position == slice.first_offset => None,
                    Some(position) if *position == slice.next_offset => {
                        Some(SliceOutcome::Committed)
                    }
                    Some(position) => Some(SliceOutcome::Moved { position: *position }),
                },
                _ => Some(SliceOutcome::Fenced),
            };
            (slice.clone(), outcome)
        })
        .collect())
}

/// What the inbox knows of the batch's requests, and how their batches count them.
async fn known<'a>(
    tx: &mut Transaction<'_, Postgres>,
    records: &[&'a Taken],
) -> Result<(ByRequest<'a, Known>, ByRequest<'a, Stored>), Failure> {
    let keys: BTreeSet<(&'a str, &'a str)> = records
        .iter()
        .filter_map(|taken| match &taken.intake {
            Intake::Command { meta, .. } => Some((&*meta.source, &*meta.message_id)),
            Intake::Refused(refused) => {
                Some((&*refused.identity.source, &*refused.identity.message_id))
            }
            // They may have been held till now.
            Intake::Condemned { identity, .. } => Some((&*identity.source, &*identity.message_id)),
            Intake::Letter(_) => match (&taken.letter, &taken.waiting) {
                // What is known of a letter's request decides how it is given up.
                (Some(_), _) => attributed(&taken.record).map(|(key, _)| key),
                (None, waiting) => {
                    let identity = waiting.as_ref()?.identity.as_ref()?;
                    Some((&*identity.source, &*identity.message_id))
                }
            },
        })
        .collect();
    if keys.is_empty() {
        return Ok(Default::default());
    }
    let (sources, message_ids): (Vec<_>, Vec<_>) = keys.iter().copied().unzip();
    let mut known = HashMap::with_capacity(keys.len());
    let mut stored = HashMap::new();
    for row in store::inbox::find(tx, &sources, &message_ids).await? {
        let place = row.place as usize;
        let (Some(source), Some(message_id)) = (sources.get(place), message_ids.get(place)) else {
            continue;
        };
        let outcome = row.outcome.as_bytes().first().copied().and_then(BatchOutcome::of_byte);
        stored.insert((*source, *message_id), Stored { outcome, batch_id: row.batch_id });
        known.insert(
            (*source, *message_id),
            Known {
                attempt: row.attempt,
                open: matches!(row.status.as_str(), "REJECTED" | "PARTIAL"),
                fingerprint: row.fingerprint,
                by_http: row.channel == "HTTP",
                result: row.result,
                stored_attempt: Some(row.attempt),
                answer: None,
            },
        );
    }
    Ok((known, stored))
}

/// Locks what may come out of the queue and drops what somebody else has been through with; gives the last number.
async fn still_waiting(
    tx: &mut Transaction<'_, Postgres>,
    queued: &mut Vec<&Taken>,
) -> Result<Option<i64>, Failure> {
    if queued.is_empty() {
        return Ok(None);
    }
    let waiting = store::parked::lock(tx, &numbers(queued.iter().copied())).await?;
    queued.retain(|taken| {
        let place = taken.waiting.as_ref();
        place.is_some_and(|place| waiting.binary_search(&place.parked_id).is_ok())
    });
    Ok(waiting.last().copied())
}

/// All who wait in the queues that a batch frees, if it has not loaded them all; none if there are too many for one
/// transaction, or processes died at one of them: then the drain comes to them.
async fn more_queues(
    tx: &mut Transaction<'_, Postgres>,
    loaded: &BTreeSet<i64>,
    freed: BTreeSet<i64>,
    most: store::parked::Most,
) -> Result<BTreeSet<i64>, Failure> {
    if freed.is_empty() {
        return Ok(freed);
    }
    let asked: Vec<_> = loaded.iter().copied().chain(freed).collect();
    let involved = store::parked::queues_of(tx, &asked, most).await?;
    let involved: BTreeSet<_> = involved.into_iter().flatten().collect();
    Ok(if involved.is_subset(loaded) { BTreeSet::new() } else { involved })
}
