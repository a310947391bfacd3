//! The queue of records that wait: written with the batch that fills it or empties it.

use super::Applier;
use super::answer::Answer;
use super::batch::Taken;
use super::disposition::Failure;
use super::outcome::outcome_symbol;
use super::park::{Moves, Parking, rows};
use super::queues::{Occupied, Place};
use crate::contract::{Intake, LetterClass, Unreadable};
use crate::store::{inbox, parked, parked_names};
use sqlx::{Postgres, Transaction};
use std::collections::HashMap;
use time::OffsetDateTime;

/// Records that are taken out of the queue in one transaction, at most.
const AT_ONCE: i64 = 200;

/// Writes what a batch does to the queues. Its names are locked, so numbers follow the order of commits in each queue.
pub(super) async fn save(
    tx: &mut Transaction<'_, Postgres>,
    answers: &[Answer<'_>],
    moves: &Moves,
    recorded_at: OffsetDateTime,
) -> Result<(), Failure> {
    let mut new = parked::Rows::default();
    let mut occupied: Vec<(&Occupied, i64)> = Vec::new();
    let (mut letters, mut letter_numbers) = (Vec::new(), Vec::new());
    let (mut through, mut outcomes) = (Vec::<i64>::new(), Vec::new());
    let mut forgotten: Vec<(&str, &str)> = Vec::new();
    let needed = answers.iter().filter(|answer| {
        matches!(answer.parking, Parking::Waits { .. } | Parking::Failed { waited: None, .. })
    });
    let mut numbers_of = HashMap::new();
    let mut numbers = match needed.count() {
        0 => Vec::new(),
        count => parked::next_ids(tx, count).await?,
    }
    .into_iter();
    for (index, answer) in answers.iter().enumerate() {
        match &answer.parking {
            Parking::None => {}
            Parking::Waits { awaits, occupied: keys, due } => {
                let Some(number) = numbers.next() else { continue };
                numbers_of.insert(index, number);
                occupied.extend(keys.iter().map(|key| (key, number)));
                waits(&mut new, answer, number);
                new.whys.push(awaits.why());
                new.programs.push(awaits.program());
                new.due.push(*due);
                new.letter_ids.push(answer.of_letter);
            }
            Parking::Through(place) => {
                let number = match place {
                    Place::Stored(number) => Some(number),
                    Place::New(index) => numbers_of.get(index),
                };
                let Some(number) = number else { continue };
                through.push(*number);
                outcomes.push(outcome_symbol(answer.outcome));
            }
            Parking::Failed { occupied: keys, waited } => {
                let Some(number) = waited.or_else(|| numbers.next()) else { continue };
                if waited.is_some() {
                    through.push(number);
                    outcomes.push(outcome_symbol(answer.outcome));
                    let identity = answer.identity.as_ref();
                    forgotten.extend(identity.map(|who| (&*who.source, &*who.message_id)));
                }
                occupied.extend(keys.iter().map(|key| (key, number)));
                if let Some((letter_id, _)) = &answer.letter {
                    letters.push(*letter_id);
                    letter_numbers.push(number);
                }
            }
        }
    }
    if !new.parked_ids.is_empty() {
        parked::insert(tx, &new, recorded_at).await?;
    }
    // Before whatever wakes: a wake that came later, or that this walk did not see, is never lost.
    put_off(tx, moves).await?;
    let staying = moves.put_off.iter().filter(|(number, _)| !through.contains(number));
    let stay = staying.flat_map(|(number, off)| off.occupied.iter().map(|key| (key, *number)));
    let keys = rows(occupied.into_iter().chain(stay));
    if !keys.kinds.is_empty() {
        parked_names::occupy(tx, &keys).await?;
    }
    if !letters.is_empty() {
        parked::letters(tx, &letters, &letter_numbers).await?;
    }
    if !forgotten.is_empty() {
        // "A dead-lettered record keeps no inbox row, so a resend applies."
        forgotten.sort_unstable();
        let (sources, message_ids): (Vec<_>, Vec<_>) = forgotten.into_iter().unzip();
        inbox::forget(tx, &sources, &message_ids).await?;
    }
    met(tx, moves).await?;
    if !moves.woken.is_empty() {
        let woken: Vec<_> = moves.woken.iter().copied().collect();
        parked::wake(tx, &woken, recorded_at).await?;
    }
    if !through.is_empty() {
        parked::resolve(tx, &through, &outcomes, recorded_at).await?;
    }
    if !moves.superseded.is_empty() {
        let (letters, outcomes): (Vec<_>, Vec<_>) = moves
            .superseded
            .iter()
            .filter_map(|(letter, at)| Some((*letter, outcome_symbol(answers.get(*at)?.outcome))))
            .unzip();
        parked::supersede(tx, &letters, &outcomes, recorded_at).await?;
    }
    Ok(())
}

fn waits<'a>(rows: &mut parked::Rows<'a>, answer: &'a Answer<'_>, number: i64) {
    let record = answer.record;
    let place = rows.parked_ids.len() as i32;
    rows.parked_ids.push(number);
    let identity = answer.identity.as_ref();
    rows.sources.push(identity.map_or("", |identity| &identity.source));
    rows.message_ids.push(identity.map_or("", |identity| &identity.message_id));
    rows.attempts.push(identity.map_or(1, |identity| identity.attempt));
    rows.batch_ids.push(identity.and_then(|identity| identity.batch_id.as_deref()));
    rows.topics.push(&record.at.topic);
    rows.partitions.push(record.at.partition);
    rows.offsets.push(record.offset);
    rows.record_timestamps.push(record.timestamp);
    rows.keys.push(record.key.as_deref());
    rows.values.push(record.value.as_deref().unwrap_or_default());
    for (name, value) in &record.headers {
        rows.headers.push(place, name, value.as_deref());
    }
}

async fn put_off(tx: &mut Transaction<'_, Postgres>, moves: &Moves) -> Result<(), Failure> {
    if moves.put_off.is_empty() {
        return Ok(());
    }
    let numbers: Vec<_> = moves.put_off.keys().copied().collect();
    let whys: Vec<_> = moves.put_off.values().map(|off| off.awaits.why()).collect();
    let programs: Vec<_> = moves.put_off.values().map(|off| off.awaits.program()).collect();
    let due: Vec<_> = moves.put_off.values().map(|off| off.due).collect();
    Ok(parked::put_off(tx, &numbers, &whys, &programs, &due).await?)
}

/// Whoever waits for a name that got a registrant occupies the registrant too: later records may name it otherwise.
async fn met(tx: &mut Transaction<'_, Postgres>, moves: &Moves) -> Result<(), Failure> {
    if moves.met.is_empty() {
        return Ok(());
    }
    let mut keys = parked_names::Keys::default();
    let mut registrants = Vec::new();
    for (name, registrant) in &moves.met {
        keys.push(Occupied::Name(name.clone()).row());
        registrants.push(registrant.0.to_string());
    }
    Ok(parked_names::join(tx, &keys, &registrants).await?)
}

/// Whether its schema is not known here: it was where the record came to wait, and may be where another drain looks.
pub(super) const fn is_unknown(taken: &Taken) -> bool {
    matches!(taken.intake, Intake::Letter(Unreadable { class: LetterClass::UnknownSchema, .. }))
}

/// The numbers of those that come out of the queue.
pub(super) fn numbers<'t>(records: impl IntoIterator<Item = &'t Taken>) -> Vec<i64> {
    records.into_iter().filter_map(|taken| Some(taken.waiting.as_ref()?.parked_id)).collect()
}

impl Applier {
    /// What comes out of the queue in one transaction, at most.
    pub(super) fn at_once(&self) -> parked::Most {
        parked::Most { records: AT_ONCE, bytes: self.max_bytes() }
    }
}
