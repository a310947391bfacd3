//! The retry loop: outages are waited for, races run again, and a batch that fails is divided until the one record is
//! found whose fault it is, or it is clear that it is nobody's.

use super::batch::{Batch, Slice, SliceOutcome};
use super::caps::CAP;
use super::disposition::{Disposition, Failure};
use super::load::Also;
use super::parts::{
    drop_slices, halves, is_divisible, is_reducible, rehearse_before, settle, stop,
};
use super::transaction::Ran;
use super::{Applier, letter, queue};
use crate::lifecycle::retry;
use crate::store;
use crate::telemetry::metrics;
use futures::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How often a race is run again before it counts as a fault of the batch.
const RACES: u32 = 8;
/// How much sooner the parts of a batch that stalled count as stalled too.
const STALLED_PARTS: u32 = 10;
/// The condition of `/readyz` that says whether commits succeed.
pub(super) const CONDITION: &str = "postgres";

/// What became of the slices of a part.
type Came = Vec<(Slice, SliceOutcome)>;

impl Applier {
    /// Applies a batch. Outages are waited for inside (P6); only `hard` ends that early.
    pub async fn apply(
        &self,
        batch: Batch,
        hard: &CancellationToken,
    ) -> Vec<(Slice, SliceOutcome)> {
        let mut outcomes = Vec::with_capacity(batch.slices.len());
        let mut patience = self.options.stall_after;
        // Parts still to be applied, the next one last.
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            match self.attempt(&part, patience, hard).await {
                Ok(ran) => self.came(part, ran, (&mut outcomes, &mut parts)),
                Err(Stop::Cancelled) => {
                    parts.push(part);
                    for part in parts {
                        drop_slices(&mut outcomes, part.slices);
                    }
                    return outcomes;
                }
                Err(Stop::Stalled(_)) if patience == self.options.stall_after => {
                    // Found once: its parts need not be waited for as long.
                    patience /= STALLED_PARTS;
                    parts.push(part);
                }
                Err(Stop::Fault(_) | Stop::Stalled(_)) if !(part.alone || is_divisible(&part)) => {
                    parts.push(Batch { alone: true, ..part });
                }
                Err(Stop::Fault(failure) | Stop::Stalled(failure)) if is_divisible(&part) => {
                    tracing::warn!(
                        records = part.records.len(), %failure,
                        "a batch fails; it is divided until the record is found"
                    );
                    let (first, second) = halves(part);
                    parts.push(second);
                    parts.push(first);
                }
                Err(Stop::Fault(failure) | Stop::Stalled(failure)) => {
                    let slices = part.slices.clone();
                    let asked = part.records.iter().any(|taken| taken.reply.is_some());
                    let waiting = queue::numbers(&part.records);
                    let replay = part.replay.clone();
                    match self.judge(part, &failure, patience, hard).await {
                        Ok((part, Some(ran))) => {
                            self.came(part, ran, (&mut outcomes, &mut parts));
                        }
                        Ok((again, None)) => parts.push(again),
                        Err(cause) if !waiting.is_empty() => self.postpone(&waiting, &cause).await,
                        // The part is dropped, by which whoever waits for its answer hears that there is none.
                        Err(cause) if asked => {
                            tracing::error!(cause, "a request over HTTP cannot be applied");
                        }
                        Err(cause) if let Some(replay) = replay => {
                            // What follows may be of the same registrants.
                            parts.clear();
                            replay.stopped(cause);
                        }
                        Err(cause) => stop(&mut outcomes, &mut parts, slices, &cause),
                    }
                }
            }
        }
        outcomes
    }

    /// Notes what became of a part, for those that follow too.
    fn came(&self, part: Batch, ran: Came, (outcomes, parts): (&mut Came, &mut [Batch])) {
        self.tallies.count(&part, &ran, &self.options.caps);
        settle(outcomes, ran, parts);
        rehearse_before(parts.last_mut(), part);
    }

    /// Runs a part until it commits, until it proves to be at fault, or until `hard`.
    async fn attempt(
        &self,
        part: &Batch,
        patience: Duration,
        hard: &CancellationToken,
    ) -> Result<Came, Stop> {
        let mut also = Also::default();
        let mut stands: Option<(String, Instant)> = None;
        let mut races = 0;
        let mut late_before = false;
        let begun = Instant::now();
        let mut pauses = retry::outage(self.options.retry_max_delay);
        loop {
            let failure = match hard.run_until_cancelled(self.watched(part, &also)).await {
                None => return Err(Stop::Cancelled),
                Some(Ok(Ran::Done(outcomes))) => {
                    self.health.set_ready(CONDITION);
                    return Ok(outcomes);
                }
                Some(Ok(Ran::Again(more))) => {
                    let freed = !(more.parked.is_empty() && more.closed.is_empty());
                    also.extend(more);
                    if freed {
                        continue;
                    }
                    Failure::Store(store::Error::Changed("a name or a group"))
                }
                Some(Err(failure)) => failure,
            };
            match failure.disposition() {
                Disposition::Divide => return Err(Stop::Fault(failure)),
                // A race is nobody's fault: a record alone goes on trying.
                Disposition::Again if races >= RACES && is_reducible(part) => {
                    return Err(Stop::Fault(failure));
                }
                // Twice too slow: a smaller batch may do.
                Disposition::Wait
                    if failure == Failure::Late && late_before && is_reducible(part) =>
                {
                    return Err(Stop::Fault(failure));
                }
                Disposition::Again => {
                    races += 1;
                    metrics::transaction_retry("race");
                }
                Disposition::Wait => {
                    late_before = failure == Failure::Late;
                    metrics::transaction_retry("outage");
                    self.health.set_not_ready(CONDITION, failure.to_string());
                    tracing::warn!(%failure, "a batch waits: the system is away");
                    let spares = hard.run_until_cancelled(self.spares(&failure));
                    if self.gives_up(part, &failure, begun) || spares.await.unwrap_or(true) {
                        return Err(Stop::Cancelled);
                    }
                }
            }
            // The same for long, while others can write: it is the batch's.
            let code = failure.code();
            match &stands {
                Some((same, since)) if *same == code => {
                    let halted = matches!(failure, Failure::Halted(_));
                    if !halted && since.elapsed() >= patience && self.canary().await.is_ok() {
                        return Err(Stop::Stalled(failure));
                    }
                }
                _ => stands = Some((code, Instant::now())),
            }
            let pause = pauses.next().unwrap_or(self.options.retry_max_delay);
            tokio::select! {
                () = hard.cancelled() => return Err(Stop::Cancelled),
                // One more try, after which it is given up.
                () = self.ending.cancelled(), if !self.ending.is_cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One try, with an eye on who blocks it (I3) and an end to waiting for an answer.
    async fn watched(&self, part: &Batch, also: &Also) -> Result<Ran, Failure> {
        let pid = AtomicI32::new(0);
        // A panic is a failure like any other: it is divided down to the record that causes it, instead of taking the
        // process down at the same offset again and again.
        let run = Box::pin(AssertUnwindSafe(self.run_noted(part, also, &pid)).catch_unwind());
        let watch = async {
            tokio::time::sleep(self.options.takeover_after).await;
            loop {
                let blocked = pid.load(Ordering::Relaxed);
                if blocked != 0
                    && let Ok(mut connection) = self.pool.acquire().await
                {
                    let ended = store::intake::end_blockers(
                        &mut connection,
                        blocked,
                        &self.options.application_name,
                    )
                    .await;
                    if let Ok(ended @ 1..) = ended {
                        tracing::warn!(ended, "ended stopped sessions that blocked a batch");
                    }
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            ran = run => ran.unwrap_or(Err(Failure::Panicked)),
            never = watch => never,
            () = tokio::time::sleep(self.options.transaction_deadline) => Err(Failure::Late),
        }
    }

    /// A record that fails alone: its fault only if it fails twice the same way and a canary write succeeds. The answer
    /// is what its part came to the second time, or the part to apply instead, with the record as a letter, or the cause
    /// for which the partition stops.
    async fn judge(
        &self,
        mut part: Batch,
        failure: &Failure,
        patience: Duration,
        hard: &CancellationToken,
    ) -> Result<(Batch, Option<Came>), String> {
        let code = failure.code();
        if part.to_judge().is_empty() {
            return Err(format!("apply_failed: {code}: not even the ledger can be written"));
        }
        if part.to_judge().iter().all(letter::is_letter) {
            return Err(format!("apply_failed: {code}: not even its letter can be stored"));
        }
        match self.attempt(&part, patience, hard).await {
            // It is not run again: what is no slice's would be answered, and counted, twice.
            Ok(ran) => return Ok((part, Some(ran))),
            Err(Stop::Cancelled) => return Ok((part, None)),
            Err(Stop::Fault(again) | Stop::Stalled(again)) if again.code() != code => {
                return Err(format!("apply_failed: {code}, then {}", again.code()));
            }
            Err(Stop::Fault(_) | Stop::Stalled(_)) => {}
        }
        match self.canary().await {
            Ok(()) => {}
            Err(error) if self.waits_out(&error, hard).await => return Ok((part, None)),
            Err(error) => return Err(format!("apply_failed: {code}; a canary fails too: {error}")),
        }
        if part.replay.is_none() && !self.tallies.accept(&part, &self.options.caps) {
            return Err(format!("{CAP} ({code})"));
        }
        for taken in part.records.iter_mut().skip(part.rehearsed) {
            letter::condemn(taken, failure);
        }
        Ok((part, None))
    }
}

enum Stop {
    Cancelled,
    Fault(Failure),
    /// For `apply.stall_after`.
    Stalled(Failure),
}
