//! Where letters are put right: given up, tried, replayed.

use super::run::{AT_ONCE, slice_of};
use super::{Filter, run_object};
use crate::apply::{Applier, Deed, Done, Fate, Replay};
use crate::lifecycle::clock::Clock;
use crate::store::letters_list::{records, selection};
use crate::store::letters_runs::{self, Run};
use crate::store::{self, letters_list};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, PgConnection, PgPool};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Why nothing more is done, where nobody says otherwise.
const ENDED: &str = "told to end";

/// Who wants something, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// Who, if that is known.
    pub actor: Option<String>,
    /// Why.
    pub reason: String,
}

/// How a replay is to go.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct How {
    /// Letters a second; none: as fast as it goes.
    pub rate: Option<f64>,
    /// Although registrants have changed since.
    pub force: bool,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such letter.
    #[error("there is no dead letter {0}; see `rollcall dead-letters list`")]
    NoLetter(Uuid),
    /// It was put right before.
    #[error("the letter {0} is not open any more")]
    NotOpen(Uuid),
    /// The selection is another than that of the preflight.
    #[error(
        "the selection is not the one with that digest any more: {selected} letters, digest {digest}"
    )]
    OtherSelection {
        /// Letters that are selected now.
        selected: usize,
        /// Their digest.
        digest: String,
    },
    /// Nothing is selected.
    #[error("no open dead letter is meant")]
    Nothing,
    /// There is no such run.
    #[error("there is no run {0}; see `rollcall dead-letters runs list`")]
    NoRun(Uuid),
    /// It is under way.
    #[error("the run {0} is under way")]
    Running(Uuid),
    /// It has ended.
    #[error("the run {0} has ended: {1}")]
    Ended(Uuid, String),
    /// Something keeps it from being done.
    #[error("it cannot be done now: {0}")]
    Stopped(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Letters that are meant, frozen in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    letters: Vec<letters_list::Selected>,
    digest: [u8; 32],
}

impl Selection {
    /// How many they are.
    pub fn len(&self) -> usize {
        self.letters.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// Changes with every letter that comes, goes, or is tried.
    pub fn digest(&self) -> String {
        hex::encode(self.digest)
    }
}

/// What letters would come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// How many there are.
    pub selected: usize,
    /// The digest of the selection.
    pub digest: String,
    /// By outcome.
    pub counts: BTreeMap<&'static str, u64>,
    /// By outcome and the first code of the result, or why they stay letters.
    pub reasons: BTreeMap<(&'static str, String), u64>,
}

impl Preview {
    /// As `--json` says it.
    pub fn object(&self) -> Value {
        let reason = |((outcome, code), count): (&(&str, String), &u64)| json!({"outcome": outcome, "code": code, "count": count});
        let reasons: Vec<_> = self.reasons.iter().map(reason).collect();
        json!({
            "selected": self.selected, "digest": self.digest, "counts": self.counts, "reasons": reasons,
        })
    }
}

/// What it works with.
#[derive(Debug, Clone)]
pub struct Desk {
    /// Applies letters as it does any batch.
    pub applier: Applier,
    /// The database.
    pub pool: PgPool,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Desk {
    /// Gives a letter up: its request is refused as `rjct.request.discarded`, finally, and who is behind it goes on.
    /// Gives what became of the request.
    ///
    /// # Errors
    /// [`Refusal`]: nothing was done.
    pub async fn discard(
        &self,
        letter_id: Uuid,
        wish: &Wish,
        hard: &CancellationToken,
    ) -> Result<&'static str, Refusal> {
        let mut replay = Replay::new(Deed::Discard, self.clock.now());
        replay.actor.clone_from(&wish.actor);
        replay.reason = Some(wish.reason.clone());
        let done = self.look_at(&[letter_id], &Arc::new(replay), hard).await?;
        let Some(letter) = done.letters.first() else {
            return Err(Refusal::Stopped(done.cause.unwrap_or_else(|| ENDED.to_owned())));
        };
        match &letter.fate {
            Fate::Refused(_) => Err(Refusal::NotOpen(letter_id)),
            fate => Ok(fate.word()),
        }
    }

    /// Freezes the open letters that are meant.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn select(&self, filter: Filter<'_>) -> Result<Selection, Refusal> {
        let mut connection = self.pool.acquire().await?;
        let letters = selection(&mut connection, filter).await?;
        let mut hash = Sha256::new();
        for letter in &letters {
            hash.update(letter.letter_id.as_bytes());
            hash.update(letter.attempts.to_be_bytes());
        }
        Ok(Selection { letters, digest: hash.finalize().into() })
    }

    /// What would become of these letters now; nothing is left of it. `progress` hears of letters that were looked at.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn preflight(
        &self,
        selection: &Selection,
        force: bool,
        hard: &CancellationToken,
        progress: impl Fn(u64),
    ) -> Result<Preview, Refusal> {
        let mut replay = Replay::new(Deed::Rehearse, self.clock.now());
        replay.force = force;
        let replay = Arc::new(replay);
        let mut preview =
            Preview { selected: selection.len(), digest: selection.digest(), ..Preview::default() };
        let mut rest = selection.letters.as_slice();
        while !rest.is_empty() {
            let (slice, behind) =
                rest.split_at(slice_of(rest, AT_ONCE, |letter| letter.key.as_deref()));
            rest = behind;
            let ids: Vec<_> = slice.iter().map(|letter| letter.letter_id).collect();
            let done = self.look_at(&ids, &replay, hard).await?;
            progress(done.letters.len() as u64);
            if done.letters.len() < ids.len() {
                return Err(Refusal::Stopped(done.cause.unwrap_or_else(|| ENDED.to_owned())));
            }
            for letter in &done.letters {
                let word = letter.fate.word();
                *preview.counts.entry(word).or_default() += 1;
                let code = letter.fate.code().unwrap_or_default().to_owned();
                *preview.reasons.entry((word, code)).or_default() += 1;
            }
        }
        Ok(preview)
    }

    /// Makes a run of a selection, and takes it for the session `holder`.
    ///
    /// # Errors
    /// [`Refusal`]: there is none.
    pub async fn begin(
        &self,
        holder: &mut PgConnection,
        selection: &Selection,
        how: How,
        wish: &Wish,
    ) -> Result<Run, Refusal> {
        if selection.is_empty() {
            return Err(Refusal::Nothing);
        }
        let run = Run {
            run_id: Uuid::new_v4(),
            state: "RUNNING".to_owned(),
            selected: i32::try_from(selection.len()).unwrap_or(i32::MAX),
            digest: selection.digest.to_vec(),
            force: how.force,
            rate: how.rate,
            actor: wish.actor.clone(),
            reason: wish.reason.clone(),
            cause: None,
            started_at: self.clock.now(),
            ended_at: None,
        };
        letters_runs::hold(holder, run.run_id).await?;
        let letters: Vec<_> = selection.letters.iter().map(|letter| letter.letter_id).collect();
        let mut tx = holder.begin().await?;
        letters_runs::insert(&mut tx, &run, &letters).await?;
        tx.commit().await?;
        Ok(run)
    }

    /// Takes a run that was interrupted for the session `holder`.
    ///
    /// # Errors
    /// [`Refusal`]: it is none, is under way, or has ended.
    pub async fn resume(&self, holder: &mut PgConnection, run_id: Uuid) -> Result<Run, Refusal> {
        let run = self.run(run_id).await?;
        if !letters_runs::hold(holder, run_id).await? {
            return Err(Refusal::Running(run_id));
        }
        let from = ["RUNNING", "INTERRUPTED"];
        if !letters_runs::set_state(holder, run_id, &from, "RUNNING", None, None).await? {
            return Err(Refusal::Ended(run_id, run.state));
        }
        Ok(Run { state: "RUNNING".to_owned(), ..run })
    }

    /// Ends a run: what it has not looked at stays as it is.
    ///
    /// # Errors
    /// [`Refusal`]: it is none, or has ended.
    pub async fn cancel(&self, run_id: Uuid, wish: &Wish) -> Result<Run, Refusal> {
        let run = self.run(run_id).await?;
        let mut connection = self.pool.acquire().await?;
        let from = ["RUNNING", "INTERRUPTED"];
        let by = wish.actor.as_deref().unwrap_or("somebody");
        let cause = format!("cancelled by {by}: {}", wish.reason);
        let now = Some(self.clock.now());
        let ended =
            letters_runs::set_state(&mut connection, run_id, &from, "CANCELLED", Some(&cause), now);
        if !ended.await? {
            return Err(Refusal::Ended(run_id, run.state));
        }
        self.run(run_id).await
    }

    /// A run.
    ///
    /// # Errors
    /// [`Refusal`]: there is no such one.
    pub async fn run(&self, run_id: Uuid) -> Result<Run, Refusal> {
        let mut connection = self.pool.acquire().await?;
        let found = letters_runs::list(&mut connection, Some(run_id), None, 1).await?.pop();
        found.ok_or(Refusal::NoRun(run_id))
    }

    /// A run as `--json` says it, as it stands.
    ///
    /// # Errors
    /// [`Refusal`]: there is no such one.
    pub async fn run_as_it_stands(&self, run_id: Uuid) -> Result<Value, Refusal> {
        let run = self.run(run_id).await?;
        let mut connection = self.pool.acquire().await?;
        let counts = letters_runs::counts(&mut connection, &[run_id]).await?;
        Ok(run_object(&run, &counts))
    }

    /// Applies these letters as a batch.
    pub(super) async fn look_at(
        &self,
        ids: &[Uuid],
        replay: &Arc<Replay>,
        hard: &CancellationToken,
    ) -> Result<Done, Refusal> {
        let mut connection = self.pool.acquire().await?;
        let stored = records(&mut connection, ids).await?;
        drop(connection);
        if let [only] = ids
            && stored.is_empty()
        {
            return Err(Refusal::NoLetter(*only));
        }
        let batch = self.applier.batch_of_letters(stored, Arc::clone(replay));
        self.applier.apply(batch, hard).await;
        Ok(replay.take_done())
    }
}
