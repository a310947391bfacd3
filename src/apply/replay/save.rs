//! What replays and discards write of the letters themselves, in the transaction that answers their requests.

use super::{Deed, Fate, Replay, Replayed};
use crate::apply::batch::Taken;
use crate::apply::disposition::Failure;
use crate::apply::park::rows;
use crate::apply::queues::Occupied;
use crate::contract::Intake;
use crate::store::{letters_replay, operator, parked, parked_names};
use sqlx::{Postgres, Transaction};
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

impl Replay {
    /// Writes what became of the letters, and who did it. Their rows are locked.
    pub(in crate::apply) async fn save(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        records: &[&Taken],
        replayed: &[Replayed],
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        let taken: HashMap<Uuid, &Taken> = records
            .iter()
            .filter_map(|taken| Some((taken.letter.as_ref()?.letter_id, *taken)))
            .collect();
        let state = if self.deed == Deed::Discard { "DISCARDED" } else { "RESOLVED" };
        let (mut closed, mut failed) =
            (letters_replay::Closed::default(), letters_replay::Failed::default());
        let mut freed = Vec::new();
        let mut occupies: Vec<(Uuid, &Taken)> = Vec::new();
        let mut deeds = operator::Deeds::default();
        for Replayed { letter_id, fate } in replayed {
            let of = taken.get(letter_id).copied();
            let number = of.and_then(|taken| taken.letter.as_ref()?.parked_id);
            match fate {
                Fate::Decided { outcome, code } => {
                    closed.letter_ids.push(*letter_id);
                    closed.outcomes.push(symbol(*outcome));
                    freed.extend(number);
                    let action = if self.deed == Deed::Discard { "DISCARDED" } else { "REPLAYED" };
                    deeds.push(*letter_id, action);
                    deeds.ended(Some(symbol(*outcome)), code.as_deref());
                }
                Fate::Failed(cause) => {
                    failed.letter_ids.push(*letter_id);
                    failed.classes.push(cause.class.as_str());
                    failed.stages.push(cause.stage.as_str());
                    failed.codes.push(cause.code);
                    failed.details.push(cause.detail);
                    deeds.push(*letter_id, "FAILED");
                    deeds.failed(cause.class.as_str(), cause.stage.as_str(), cause.code);
                    if number.is_none() {
                        occupies.extend(of.map(|taken| (*letter_id, taken)));
                    }
                }
                Fate::Refused(code) => {
                    deeds.push(*letter_id, "REFUSED");
                    deeds.ended(None, Some(code));
                }
            }
        }
        letters_replay::close(tx, &closed, state, now).await?;
        letters_replay::fail(tx, &failed, now).await?;
        occupy(tx, &occupies).await?;
        if !freed.is_empty() {
            freed.sort_unstable();
            parked_names::vacate(tx, &freed, now).await?;
        }
        let by = operator::By {
            run_id: self.run_id,
            actor: self.actor.as_deref(),
            reason: self.reason.as_deref(),
        };
        if !deeds.letter_ids.is_empty() {
            operator::insert_actions(tx, &deeds, by, now).await?;
        }
        if let Some(run_id) = self.run_id {
            let mut items = letters_replay::Items::default();
            for Replayed { letter_id, fate } in replayed {
                items.letter_ids.push(*letter_id);
                items.outcomes.push(symbol(fate.byte()));
                items.codes.push(fate.code());
            }
            letters_replay::decide_items(tx, run_id, &items, now).await?;
        }
        Ok(())
    }
}

/// Letters that could not be read before, and fail now that they are applied, occupy their names from now on.
async fn occupy(
    tx: &mut Transaction<'_, Postgres>,
    letters: &[(Uuid, &Taken)],
) -> Result<(), Failure> {
    let mut new = Vec::new();
    for (letter_id, taken) in letters {
        if let Intake::Condemned { names, .. } = &taken.intake {
            let keys: Vec<_> = names.iter().cloned().map(Occupied::Name).collect();
            new.push((*letter_id, keys));
        }
    }
    if new.is_empty() {
        return Ok(());
    }
    let numbers = parked::next_ids(tx, new.len()).await?;
    let pairs = new.iter().zip(&numbers);
    let keys = rows(pairs.flat_map(|((_, keys), number)| keys.iter().map(|key| (key, *number))));
    if !keys.kinds.is_empty() {
        parked_names::occupy(tx, &keys).await?;
    }
    let letter_ids: Vec<_> = new.iter().map(|(letter_id, _)| *letter_id).collect();
    Ok(parked::letters(tx, &letter_ids, &numbers).await?)
}

/// An outcome's letter in SQL.
pub(super) const fn symbol(byte: u8) -> &'static str {
    match byte {
        b'A' => "A",
        b'U' => "U",
        b'P' => "P",
        b'D' => "D",
        b'K' => "K",
        b'L' => "L",
        b'F' => "F",
        _ => "R",
    }
}
