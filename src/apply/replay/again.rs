//! Letters whose record is sent again, by whatever tool: it is applied, and the letter is closed.

use crate::apply::answer::{Answer, Walk};
use crate::apply::batch::{Record, Taken};
use crate::apply::disposition::Failure;
use crate::apply::outcome::outcome_symbol;
use crate::apply::park::{Moves, Parking};
use crate::contract::Intake;
use crate::store::{letters_replay, operator};
use sha2::{Digest as _, Sha256};
use sqlx::{Postgres, Transaction};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use time::OffsetDateTime;
use uuid::Uuid;

/// Which open letters of its request an answer closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::apply) enum Closes {
    /// It is none yet, or is of other content.
    Nothing,
    /// Those of the very same bytes: it repeats what was said before, and that may have been an older attempt than the
    /// one that another letter keeps.
    OfTheRecord,
    /// The request was decided.
    All,
}

/// Open letters that the batch may close.
#[derive(Debug, Default)]
pub(super) struct Again {
    /// Those from before, locked: by where the record stands that says their request again.
    before: HashMap<Place, Vec<Open>>,
    /// Those that the batch itself makes, by source and message id: as if what follows had come in a batch of its own
    /// (P10).
    within: HashMap<(String, String), Vec<Open>>,
    /// Those that occupy nothing and are closed, with the place of the answer.
    closed: BTreeMap<Uuid, usize>,
}

/// A record's topic, partition and offset.
type Place = (Arc<str>, i32, i64);

fn place(record: &Record) -> Place {
    (Arc::clone(&record.at.topic), record.at.partition, record.offset)
}

#[derive(Debug, Clone, Copy)]
struct Open {
    letter_id: Uuid,
    /// Under which it occupies its names.
    number: Option<i64>,
    /// Whether its bytes are those of the record that says its request again.
    is_same: bool,
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
        for letters_replay::SaidAgain { letter_id, place: at, is_same } in found {
            if let Some(record) = by_request.get(at as usize)
                && let Some(number) = open.get(&letter_id)
            {
                let number = *number;
                let here = again.before.entry(place(record)).or_default();
                here.push(Open { letter_id, number, is_same });
            }
        }
        Ok(again)
    }

    /// The open letters that an answer closes.
    fn closed_by(&self, answer: &Answer<'_>) -> Vec<Open> {
        if answer.closes == Closes::Nothing {
            return Vec::new();
        }
        let before = (!self.before.is_empty()).then(|| self.before.get(&place(answer.record)));
        let within = answer.identity.as_ref().filter(|_| !self.within.is_empty());
        let within = within.map(|identity| {
            self.within.get(&(identity.source.clone(), identity.message_id.clone()))
        });
        let open = before.into_iter().chain(within).flatten().flatten().copied();
        open.filter(|letter| answer.closes == Closes::All || letter.is_same).collect()
    }

    /// The batch itself makes a letter.
    fn made(&mut self, answer: &Answer<'_>) {
        let (Some((letter_id, _)), Some(identity)) = (&answer.letter, &answer.identity) else {
            return;
        };
        let number = match answer.parking {
            Parking::Failed { waited, .. } => waited,
            _ => None,
        };
        let key = (identity.source.clone(), identity.message_id.clone());
        let open = Open { letter_id: *letter_id, number, is_same: false };
        self.within.entry(key).or_default().push(open);
    }

    /// Closes those whose request was answered, and says so of those too that were closed as what occupies its names.
    pub(super) async fn save(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        answers: &[Answer<'_>],
        moves: &Moves,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        let mut deeds = operator::Deeds::default();
        if !moves.superseded.is_empty() {
            let mut numbers: Vec<_> = moves.superseded.iter().map(|(number, _)| *number).collect();
            numbers.sort_unstable();
            for (letter_id, outcome) in letters_replay::with_numbers(tx, &numbers).await? {
                deeds.push(letter_id, "SUPERSEDED");
                deeds.ended(outcome.as_deref().and_then(known), None);
            }
        }
        let mut closed = letters_replay::Closed::default();
        for (letter_id, at) in &self.closed {
            let Some(answer) = answers.get(*at) else { continue };
            let outcome = outcome_symbol(answer.outcome);
            closed.letter_ids.push(*letter_id);
            closed.outcomes.push(outcome);
            deeds.push(*letter_id, "SUPERSEDED");
            deeds.ended(Some(outcome), None);
        }
        letters_replay::close(tx, &closed, "RESOLVED", now).await?;
        if !deeds.letter_ids.is_empty() {
            operator::insert_actions(tx, &deeds, operator::By::default(), now).await?;
        }
        Ok(())
    }
}

fn known(outcome: &str) -> Option<&'static str> {
    outcome.bytes().next().map(outcome_symbol)
}

impl<'a> Walk<'a> {
    /// An answer is given. The first that closes a letter counts, wherever the batch is cut (P10); what that occupied is
    /// given up under the locks of its names, which nobody need have said this time (I4).
    pub(in crate::apply) fn give(&mut self, answer: Answer<'a>) {
        let at = self.answers.len();
        for Open { letter_id, number, .. } in self.letters.again.closed_by(&answer) {
            match number {
                Some(number) if self.moves.superseded.iter().all(|known| known.0 != number) => {
                    self.moves.superseded.push((number, at));
                    self.closed(number);
                }
                Some(_) => {}
                None => {
                    self.letters.again.closed.entry(letter_id).or_insert(at);
                }
            }
        }
        if self.letters.replay.is_none() {
            self.letters.again.made(&answer);
        }
        self.answers.push(answer);
    }
}
