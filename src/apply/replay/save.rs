//! What replays and discards write of the letters themselves, in the transaction that answers their requests.

use super::{Deed, Fate, Letters, Replay, Replayed};
use crate::apply::answer::Answer;
use crate::apply::batch::Taken;
use crate::apply::disposition::Failure;
use crate::apply::outcome::outcome_symbol;
use crate::apply::park::rows;
use crate::apply::queues::Occupied;
use crate::contract::{Identity, Intake, Unreadable};
use crate::store::{letters_replay, operator, parked, parked_names};
use sqlx::{Postgres, Transaction};
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

impl Letters<'_> {
    /// Writes what became of the letters of the batch, and who did it. Their rows are locked.
    pub(super) async fn save_replayed(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        replay: &Replay,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        let discards = replay.deed == Deed::Discard;
        let state = if discards { "DISCARDED" } else { "RESOLVED" };
        let identities: HashMap<Uuid, Option<&Identity>> = self
            .records
            .iter()
            .filter_map(|taken| Some((taken.letter.as_ref()?.letter_id, identity(taken))))
            .collect();
        let (mut closed, mut failed) =
            (letters_replay::Closed::default(), letters_replay::Failed::default());
        let mut freed = Vec::new();
        let mut deeds = operator::Deeds::default();
        let mut items = letters_replay::Items::default();
        for Replayed { letter_id, fate } in &self.replayed {
            if replay.patient && fate.is_behind() {
                continue;
            }
            match fate {
                Fate::Decided { outcome, code } => {
                    closed.letter_ids.push(*letter_id);
                    closed.outcomes.push(symbol(*outcome));
                    freed.extend(self.numbers.get(letter_id));
                    deeds.push(*letter_id, if discards { "DISCARDED" } else { "REPLAYED" });
                    deeds.ended(Some(symbol(*outcome)), code.as_deref());
                }
                Fate::Failed(cause) => {
                    let identity = identities.get(letter_id).copied().flatten();
                    fails(&mut failed, &mut deeds, *letter_id, *cause, identity);
                }
                Fate::Refused(code) => {
                    deeds.push(*letter_id, "REFUSED");
                    deeds.ended(None, Some(code));
                }
            }
            items.letter_ids.push(*letter_id);
            items.outcomes.push(symbol(fate.byte()));
            items.codes.push(fate.code());
        }
        letters_replay::close(tx, &closed, state, now).await?;
        letters_replay::fail(tx, &failed, now).await?;
        occupy(tx, &self.occupy).await?;
        if !freed.is_empty() {
            freed.sort_unstable();
            parked_names::vacate(tx, &freed, now).await?;
        }
        let by = operator::By {
            run_id: replay.run_id,
            actor: replay.actor.as_deref(),
            reason: replay.reason.as_deref(),
        };
        if !deeds.letter_ids.is_empty() {
            operator::insert_actions(tx, &deeds, by, now).await?;
        }
        if let Some(run_id) = replay.run_id {
            letters_replay::decide_items(tx, run_id, &items, now).await?;
        }
        Ok(())
    }
}

/// Letters whose record had to wait when they were replayed, and failed when its turn came, are open again.
pub(super) async fn waited(
    tx: &mut Transaction<'_, Postgres>,
    answers: &[Answer<'_>],
    now: OffsetDateTime,
) -> Result<(), Failure> {
    let mut failed = letters_replay::Failed::default();
    let mut deeds = operator::Deeds::default();
    for answer in answers {
        if let (Some(letter_id), Some((_, cause))) = (answer.of_letter, &answer.letter) {
            fails(&mut failed, &mut deeds, letter_id, *cause, answer.identity.as_ref());
        }
    }
    letters_replay::fail(tx, &failed, now).await?;
    if deeds.letter_ids.is_empty() {
        return Ok(());
    }
    Ok(operator::insert_actions(tx, &deeds, operator::By::default(), now).await?)
}

/// Who sent a request that failed when it was applied.
fn identity(taken: &Taken) -> Option<&Identity> {
    match &taken.intake {
        Intake::Condemned { identity, .. } => Some(identity),
        Intake::Command { .. } | Intake::Refused(_) | Intake::Letter(_) => None,
    }
}

/// A letter has failed again.
fn fails<'a>(
    failed: &mut letters_replay::Failed<'a>,
    deeds: &mut operator::Deeds<'a>,
    letter_id: Uuid,
    cause: Unreadable,
    identity: Option<&'a Identity>,
) {
    failed.letter_ids.push(letter_id);
    failed.classes.push(cause.class.as_str());
    failed.stages.push(cause.stage.as_str());
    failed.codes.push(cause.code);
    failed.details.push(cause.detail);
    failed.sources.push(identity.map(|said| said.shown_source().as_bytes()));
    failed.message_ids.push(identity.map(|said| said.shown_message_id().as_bytes()));
    failed.batch_ids.push(identity.and_then(|said| said.batch_id.as_deref()).map(str::as_bytes));
    deeds.push(letter_id, "FAILED");
    deeds.failed(cause.class.as_str(), cause.stage.as_str(), cause.code);
}

/// These letters occupy these keys from now on.
async fn occupy(
    tx: &mut Transaction<'_, Postgres>,
    letters: &[(Uuid, Vec<Occupied>)],
) -> Result<(), Failure> {
    if letters.is_empty() {
        return Ok(());
    }
    let numbers = parked::next_ids(tx, letters.len()).await?;
    let pairs = letters.iter().zip(&numbers);
    let keys = rows(pairs.flat_map(|((_, keys), number)| keys.iter().map(|key| (key, *number))));
    if !keys.kinds.is_empty() {
        parked_names::occupy(tx, &keys).await?;
    }
    let letter_ids: Vec<_> = letters.iter().map(|(letter_id, _)| *letter_id).collect();
    Ok(parked::letters(tx, &letter_ids, &numbers).await?)
}

/// An outcome's letter in SQL; F where nothing was done.
const fn symbol(byte: u8) -> &'static str {
    match byte {
        b'F' => "F",
        b'N' => "N",
        byte => outcome_symbol(byte),
    }
}
