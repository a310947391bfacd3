//! Where letters are put right: given up, tried, replayed.

use super::show::deed_object;
use super::slice::{AT_ONCE, Most, slice_of};
use super::{Filter, How, Preview, Refusal, Wish, run_object};
use crate::apply::{Applier, Deed, Done, Fate, Replay, Replayed};
use crate::lifecycle::clock::Clock;
use crate::store::letters_list::{records, selection};
use crate::store::letters_runs::{self, Run};
use crate::store::{letters_list, operator_actions};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, PgConnection, PgPool};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The states of a run that has not ended.
const GOES_ON: [&str; 2] = ["RUNNING", "INTERRUPTED"];
/// Why nothing more is done, where nobody says otherwise.
const ENDED: &str = "told to end";

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

    /// Refuses it if its digest is another.
    ///
    /// # Errors
    /// [`Refusal::OtherSelection`].
    pub fn expect(&self, digest: &str) -> Result<(), Refusal> {
        if digest == self.digest() {
            return Ok(());
        }
        Err(Refusal::OtherSelection { selected: self.len(), digest: self.digest() })
    }

    /// Changes with every letter that comes, goes, or is tried.
    pub fn digest(&self) -> String {
        hex::encode(self.digest)
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
        let done = self.look_at(&[letter_id], &self.giving_up(wish), hard).await?;
        let Some(letter) = done.letters.first() else {
            return Err(Refusal::Stopped(done.cause.unwrap_or_else(|| ENDED.to_owned())));
        };
        match &letter.fate {
            Fate::Refused(_) => Err(Refusal::NotOpen(letter_id)),
            fate => Ok(fate.word()),
        }
    }

    fn giving_up(&self, wish: &Wish) -> Arc<Replay> {
        let mut replay = Replay::new(Deed::Discard, self.clock.now());
        replay.actor = Some(wish.actor.clone());
        replay.reason = Some(wish.reason.clone());
        Arc::new(replay)
    }

    /// Gives letters up, as [`Self::discard`] does with one; by what became of their requests. What is not done when it is
    /// cut is done by asking for it again. `progress` hears of letters that were looked at.
    ///
    /// # Errors
    /// [`Refusal`]: what was done before stays done.
    pub async fn discard_all(
        &self,
        selection: &Selection,
        wish: &Wish,
        hard: &CancellationToken,
        progress: impl Fn(u64),
    ) -> Result<BTreeMap<&'static str, u64>, Refusal> {
        if selection.is_empty() {
            return Err(Refusal::Nothing);
        }
        let mut counts = BTreeMap::new();
        self.slice_by_slice(selection, &self.giving_up(wish), hard, |letters| {
            progress(letters.len() as u64);
            for letter in letters {
                *counts.entry(letter.fate.word()).or_default() += 1;
            }
        })
        .await?;
        Ok(counts)
    }

    /// Looks at a selection, so many letters a transaction; `each` hears what a transaction came to.
    async fn slice_by_slice(
        &self,
        selection: &Selection,
        replay: &Arc<Replay>,
        hard: &CancellationToken,
        mut each: impl FnMut(&[Replayed]),
    ) -> Result<(), Refusal> {
        let mut rest = selection.letters.as_slice();
        while !rest.is_empty() {
            let most = Most { letters: AT_ONCE, bytes: self.applier.max_bytes() };
            let together = slice_of(rest, most, |letter| (letter.key.as_deref(), letter.bytes));
            let (slice, behind) = rest.split_at(together);
            rest = behind;
            let ids: Vec<_> = slice.iter().map(|letter| letter.letter_id).collect();
            let done = self.look_at(&ids, replay, hard).await?;
            each(&done.letters);
            if done.letters.len() < ids.len() {
                return Err(Refusal::Stopped(done.cause.unwrap_or_else(|| ENDED.to_owned())));
            }
        }
        Ok(())
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

    /// Why a letter was not selected: there is none, or it was put right before.
    pub async fn not_open(&self, letter_id: Uuid) -> Refusal {
        let known = async {
            let mut connection = self.pool.acquire().await?;
            records(&mut connection, &[letter_id]).await
        };
        match known.await {
            Ok(known) if known.is_empty() => Refusal::NoLetter(letter_id),
            Ok(_) => Refusal::NotOpen(letter_id),
            Err(error) => error.into(),
        }
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
        let mut preview =
            Preview { selected: selection.len(), digest: selection.digest(), ..Preview::default() };
        self.slice_by_slice(selection, &Arc::new(replay), hard, |letters| {
            progress(letters.len() as u64);
            for letter in letters {
                let word = letter.fate.word();
                *preview.counts.entry(word).or_default() += 1;
                let code = letter.fate.code().unwrap_or_default().to_owned();
                *preview.reasons.entry((word, code)).or_default() += 1;
            }
        })
        .await?;
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
            run_id: how.run_id.unwrap_or_else(Uuid::new_v4),
            state: "RUNNING".to_owned(),
            selected: i32::try_from(selection.len()).unwrap_or(i32::MAX),
            digest: selection.digest.to_vec(),
            force: how.force,
            rate: how.rate,
            actor: Some(wish.actor.clone()),
            reason: wish.reason.clone(),
            cause: None,
            started_at: self.clock.now(),
            ended_at: None,
        };
        if !letters_runs::hold(holder, run.run_id).await? {
            return Err(Refusal::Running(run.run_id));
        }
        let letters: Vec<_> = selection.letters.iter().map(|letter| letter.letter_id).collect();
        let mut tx = holder.begin().await?;
        letters_runs::insert(&mut tx, &run, &letters).await?;
        tx.commit().await?;
        Ok(run)
    }

    /// Takes a run that was interrupted for the session `holder`; the audit says who had it resumed.
    ///
    /// # Errors
    /// [`Refusal`]: it is none, is under way, or has ended.
    pub async fn resume(
        &self,
        holder: &mut PgConnection,
        run_id: Uuid,
        wish: &Wish,
    ) -> Result<Run, Refusal> {
        let run = self.run(run_id).await?;
        if !letters_runs::hold(holder, run_id).await? {
            return Err(Refusal::Running(run_id));
        }
        let mut tx = holder.begin().await?;
        if !letters_runs::set_state(&mut tx, run_id, &GOES_ON, "RUNNING", None, None).await? {
            return Err(Refusal::Ended(run_id, run.state));
        }
        operator_actions::insert(&mut tx, "RUN_RESUMED", run_id, wish.by(), self.clock.now())
            .await?;
        tx.commit().await?;
        Ok(Run { state: "RUNNING".to_owned(), cause: None, ..run })
    }

    /// Ends a run: what it has not looked at stays as it is.
    ///
    /// # Errors
    /// [`Refusal`]: it is none, or has ended.
    pub async fn cancel(&self, run_id: Uuid, wish: &Wish) -> Result<(), Refusal> {
        let run = self.run(run_id).await?;
        let cause = format!("cancelled by {}: {}", wish.actor, wish.reason);
        let (state, now) = ("CANCELLED", self.clock.now());
        let mut tx = self.pool.begin().await?;
        let end =
            letters_runs::set_state(&mut tx, run_id, &GOES_ON, state, Some(&cause), Some(now));
        if !end.await? {
            return Err(Refusal::Ended(run_id, run.state));
        }
        operator_actions::insert(&mut tx, "RUN_CANCELLED", run_id, wish.by(), now).await?;
        Ok(tx.commit().await?)
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
        let mut object = run_object(&run, &counts);
        let actions = operator_actions::of(&mut connection, run_id).await?;
        object["actions"] = actions.iter().map(deed_object).collect();
        Ok(object)
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
