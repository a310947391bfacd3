//! A run under way.

use super::Refusal;
use super::desk::Desk;
use super::slice::{AT_ONCE, Most, OF_ONE_KEY, slice_of};
use crate::apply::{Deed, Replay};
use crate::store::letters_runs::{self, Run, Undecided};
use sqlx::PgConnection;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Transactions of the queue between two tries of letters that are behind others, at most: workers have their share.
const DRAINS: u32 = 100;

/// How often a run that waits for its rate looks whether somebody has ended it.
const LOOK: Duration = Duration::from_secs(1);

/// Why a run ends when its lock is gone.
const CUT: &str = "the session that held the run was cut";

/// How a run's letters are gone through. What is behind another letter the first time has its turn the second time,
/// because the order of numbers is that of the queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    ByKey,
    ByNumber,
}

/// How far a run has come in this process.
struct Pace<'a, P> {
    run: &'a Run,
    /// The session that holds the run.
    holder: &'a mut PgConnection,
    hard: &'a CancellationToken,
    progress: P,
    begun: Instant,
    looked_at: f64,
}

impl<P: Fn(u64)> Pace<'_, P> {
    fn most(&self) -> usize {
        self.run.rate.map_or(AT_ONCE, |rate| (rate.ceil() as usize).clamp(1, AT_ONCE))
    }

    fn replay(&self, patient: bool) -> Arc<Replay> {
        let mut replay = Replay::new(Deed::Replay, self.run.started_at);
        replay.run_id = Some(self.run.run_id);
        replay.force = self.run.force;
        replay.patient = patient;
        replay.actor.clone_from(&self.run.actor);
        replay.reason = Some(self.run.reason.clone());
        Arc::new(replay)
    }
}

/// Why a run ended before it was done, if there is a word for it.
struct Interrupted(Option<String>);

impl Desk {
    /// Goes on with a run that the session `holder` holds, until it is done, cancelled or interrupted: also when that
    /// session is cut, for then somebody else may take the run.
    ///
    /// # Errors
    /// When the database fails otherwise than by being away.
    pub async fn go_on(
        &self,
        run: &Run,
        holder: &mut PgConnection,
        hard: &CancellationToken,
        progress: impl Fn(u64),
    ) -> Result<(), Refusal> {
        let begun = Instant::now();
        let mut pace = Pace { run, holder, hard, progress, begun, looked_at: 0.0 };
        let outcome = self.rounds(&mut pace).await?;
        let (mut connection, now) = (self.pool.acquire().await?, self.clock.now());
        match outcome {
            Ok(()) => {
                // Not where somebody has cancelled it meanwhile.
                let from = ["RUNNING"];
                letters_runs::set_state(
                    &mut connection,
                    run.run_id,
                    &from,
                    "DONE",
                    None,
                    Some(now),
                )
                .await?;
            }
            Err(Interrupted(cause)) => {
                letters_runs::release(pace.holder, run.run_id).await;
                letters_runs::interrupt(&mut connection, run.run_id, cause.as_deref(), now).await?;
            }
        }
        Ok(())
    }

    async fn rounds(
        &self,
        pace: &mut Pace<'_, impl Fn(u64)>,
    ) -> Result<Result<(), Interrupted>, Refusal> {
        for round in [Round::ByKey, Round::ByNumber] {
            let mut after = (0, 0);
            loop {
                if !letters_runs::is_held(pace.holder, pace.run.run_id).await {
                    return Ok(Err(Interrupted(Some(CUT.to_owned()))));
                }
                let mut connection = self.pool.acquire().await?;
                let next = next(&mut connection, pace.run.run_id, round, after).await?;
                drop(connection);
                // With a rate, what is of the same key meets in the second round.
                let most = Most { letters: pace.most(), bytes: self.applier.max_bytes() };
                let together = slice_of(&next, most, |letter| {
                    (letter.key.as_deref().filter(|_| pace.run.rate.is_none()), letter.bytes)
                });
                let slice = next.get(..together).unwrap_or(&next);
                let Some(last) = slice.last() else { break };
                after = (last.number, last.place);
                let ids = slice.iter().map(|letter| letter.letter_id).collect();
                if let Err(interrupted) = self.try_slice(pace, round, ids).await? {
                    return Ok(Err(interrupted));
                }
            }
        }
        Ok(Ok(()))
    }

    /// Replays letters; those that are behind others again and again, as long as these get through.
    async fn try_slice(
        &self,
        pace: &mut Pace<'_, impl Fn(u64)>,
        round: Round,
        mut ids: Vec<Uuid>,
    ) -> Result<Result<(), Interrupted>, Refusal> {
        let (mut drained, mut patient) = (false, true);
        loop {
            let done = self.look_at(&ids, &pace.replay(patient), pace.hard).await?;
            let behind = done.letters.iter().filter(|letter| letter.fate.is_behind());
            let behind: HashSet<_> = behind.map(|letter| letter.letter_id).collect();
            let stay = if patient { behind.len() } else { 0 };
            (pace.progress)((done.letters.len() - stay) as u64);
            if done.letters.len() < ids.len() {
                return Ok(Err(Interrupted(done.cause)));
            }
            self.keep(pace, ids.len()).await;
            if stay == 0 {
                return Ok(Ok(()));
            }
            if stay < ids.len() {
                drained = false;
            }
            ids.retain(|id| behind.contains(id));
            match (drained, round) {
                (false, _) => {
                    self.drain(pace.hard).await?;
                    drained = true;
                }
                (true, Round::ByKey) => return Ok(Ok(())),
                (true, Round::ByNumber) => patient = false,
            }
        }
    }

    /// Waits until the rate allows what comes next, or the run is ended.
    async fn keep(&self, pace: &mut Pace<'_, impl Fn(u64)>, tried: usize) {
        let Some(rate) = pace.run.rate else { return };
        #[expect(clippy::cast_precision_loss, reason = "letters are far fewer than 2^53")]
        let tried = tried as f64;
        pace.looked_at += tried;
        let until = pace.begun + Duration::from_secs_f64(pace.looked_at / rate);
        while Instant::now() < until {
            let pause = tokio::time::sleep_until(until.min(Instant::now() + LOOK));
            if pace.hard.run_until_cancelled(pause).await.is_none() {
                return;
            }
            // While the database is away nobody can have ended it.
            if self.run(pace.run.run_id).await.is_ok_and(|run| run.state != "RUNNING") {
                return;
            }
        }
    }

    /// Takes out of the queue who is between two letters.
    async fn drain(&self, hard: &CancellationToken) -> Result<(), Refusal> {
        for _ in 0..DRAINS {
            if hard.is_cancelled() || self.applier.drain_some(hard).await? == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// The next letters of a run that were not looked at.
async fn next(
    connection: &mut PgConnection,
    run_id: Uuid,
    round: Round,
    after: (i64, i32),
) -> Result<Vec<Undecided>, Refusal> {
    let limit = OF_ONE_KEY as i64;
    Ok(match round {
        Round::ByKey => letters_runs::next(connection, run_id, after.1, limit).await?,
        Round::ByNumber => letters_runs::next_by_number(connection, run_id, after, limit).await?,
    })
}
