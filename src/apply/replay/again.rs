//! Letters whose record is sent again, by whatever tool: it is applied, and the letter is closed.

use crate::apply::answer::{Answer, Write};
use crate::apply::batch::{Record, Taken};
use crate::apply::disposition::Failure;
use crate::apply::park::{Moves, Parking};
use crate::contract::Intake;
use crate::store::{letters_replay, operator, parked_names};
use sha2::{Digest as _, Sha256};
use sqlx::{Postgres, Transaction};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use time::OffsetDateTime;
use uuid::Uuid;

/// Open letters of what the batch says, locked: by id, with the number that each occupies its names under and the
/// coordinates of the record that may close it.
#[derive(Debug, Default)]
pub(super) struct Again(BTreeMap<Uuid, (Option<i64>, Place)>);

/// A record's topic, partition and offset.
type Place = (std::sync::Arc<str>, i32, i64);

fn place(record: &Record) -> Place {
    (std::sync::Arc::clone(&record.at.topic), record.at.partition, record.offset)
}

impl Again {
    /// Finds and locks them: letters that name the same request, and letters of the very same bytes.
    pub(super) async fn find(
        tx: &mut Transaction<'_, Postgres>,
        records: &[&Taken],
    ) -> Result<Self, Failure> {
        let mut again = Self::default();
        let (mut requests, mut values) = (Vec::new(), Vec::new());
        let mut by_request: Vec<&Record> = Vec::new();
        for taken in records {
            let (source, message_id) = match &taken.intake {
                Intake::Command { meta, .. } => (&meta.source, &meta.message_id),
                Intake::Refused(refused) => {
                    (&refused.identity.source, &refused.identity.message_id)
                }
                Intake::Letter(_) | Intake::Condemned { .. } => continue,
            };
            let hash =
                Sha256::new().chain_update(source).chain_update([0]).chain_update(message_id);
            requests.push(hash.finalize().to_vec());
            values.push(Sha256::digest(taken.record.value.as_deref().unwrap_or_default()).to_vec());
            by_request.push(&taken.record);
        }
        if requests.is_empty() {
            return Ok(again);
        }
        let found = letters_replay::said_again(tx, &requests, &values).await?;
        let mut ids: Vec<_> = found.iter().map(|found| found.letter_id).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(again);
        }
        let open: HashMap<_, _> = letters_replay::lock_open(tx, &ids).await?.into_iter().collect();
        for found in found {
            if let Some(record) = by_request.get(found.place as usize)
                && let Some(number) = open.get(&found.letter_id)
            {
                // The last one that says it: whoever was before it has been answered too.
                again.0.insert(found.letter_id, (*number, place(record)));
            }
        }
        Ok(again)
    }

    /// Letters of the batch itself whose request it says again later, with the place of the answer: as if that had come
    /// in a batch of its own (P10).
    fn within<'b>(answers: &'b [Answer<'_>]) -> Vec<(Uuid, Option<i64>, &'b Answer<'b>)> {
        let mut within = Vec::new();
        if answers.iter().all(|answer| answer.letter.is_none()) {
            return within;
        }
        let mut later: HashMap<_, &Answer<'_>> = HashMap::new();
        for answer in answers.iter().rev() {
            let Some(identity) = &answer.identity else { continue };
            let key = (&identity.source, &identity.message_id);
            match &answer.letter {
                Some((letter_id, _)) => {
                    let number = match answer.parking {
                        Parking::Failed { waited, .. } => waited,
                        _ => None,
                    };
                    within.extend(later.get(&key).map(|answer| (*letter_id, number, *answer)));
                }
                None if closes(answer) => {
                    later.entry(key).or_insert(answer);
                }
                None => {}
            }
        }
        within
    }

    /// Closes those whose record was answered, but for those that were closed on the way through the queue.
    pub(super) async fn save(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        answers: &[Answer<'_>],
        moves: &Moves,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        let superseded: BTreeSet<_> = moves.superseded.iter().map(|(number, _)| *number).collect();
        let mut deeds = operator::Deeds::default();
        if !superseded.is_empty() {
            let numbers: Vec<_> = superseded.iter().copied().collect();
            for (letter_id, outcome) in letters_replay::with_numbers(tx, &numbers).await? {
                deeds.push(letter_id, "SUPERSEDED");
                deeds.ended(outcome.as_deref().and_then(known), None);
            }
        }
        let answered: HashMap<Place, &Answer<'_>> = if self.0.is_empty() {
            HashMap::new()
        } else {
            answers.iter().map(|answer| (place(answer.record), answer)).collect()
        };
        let before = self.0.iter().filter_map(|(letter_id, (number, place))| {
            Some((*letter_id, *number, *answered.get(place)?))
        });
        let mut closed = letters_replay::Closed::default();
        let mut freed = Vec::new();
        for (letter_id, number, answer) in before.chain(Self::within(answers)) {
            if !closes(answer) || number.is_some_and(|number| superseded.contains(&number)) {
                continue;
            }
            let outcome = super::save::symbol(answer.outcome);
            closed.letter_ids.push(letter_id);
            closed.outcomes.push(outcome);
            freed.extend(number);
            deeds.push(letter_id, "SUPERSEDED");
            deeds.ended(Some(outcome), None);
        }
        letters_replay::close(tx, &closed, "RESOLVED", now).await?;
        if !freed.is_empty() {
            freed.sort_unstable();
            parked_names::vacate(tx, &freed, now).await?;
        }
        if !deeds.letter_ids.is_empty() {
            operator::insert_actions(tx, &deeds, operator::By::default(), now).await?;
        }
        Ok(())
    }
}

/// Whether a letter of the same request is of no use any more.
fn closes(answer: &Answer<'_>) -> bool {
    answer.letter.is_none()
        && answer.write != Write::Keep
        && matches!(answer.outcome, b'A' | b'U' | b'P' | b'R' | b'D')
}

fn known(outcome: &str) -> Option<&'static str> {
    outcome.bytes().next().map(super::save::symbol)
}
