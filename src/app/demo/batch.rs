//! The batch: made-up enrollments with faults sown in, and what should become of each.

use super::household;
use super::outcome::Fate;
use super::people::{Person, membership, person};
use super::programs::{ENDED, UNKNOWN};
use crate::contract::wire::{BatchRef, EnrollmentRequest, Millis};
use crate::contract::{Unfit, encode};
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};

/// The sender.
pub(super) const SOURCE: &str = "demo-registry";
/// Faults of each kind in a thousand records; at least one.
const PER_MILLE: [(Fate, u32); 7] = [
    (Fate::OneUnknownProgram, 6),
    (Fate::UnknownProgram, 6),
    (Fate::EndedProgram, 5),
    (Fate::Unchanged, 8),
    (Fate::Duplicate, 8),
    (Fate::ReusedId, 3),
    (Fate::Undecodable, 2),
];

/// A record to produce to a request topic.
pub(super) struct Record {
    /// Without prefix.
    pub(super) topic: &'static str,
    pub(super) key: String,
    pub(super) value: Vec<u8>,
    pub(super) message_id: String,
}

/// Records in the order of sending.
pub(super) struct Batch {
    pub(super) records: Vec<Record>,
    /// How many of each should be found.
    pub(super) sown: BTreeMap<Fate, u64>,
    /// Its id, and how many messages it has with those of the household.
    pub(super) reference: BatchRef,
}

impl Batch {
    /// A batch of `records` records, sent at `now`.
    ///
    /// # Errors
    /// When a request does not follow its schema, which is a mistake of this file's.
    pub(super) fn make(records: u32, now: OffsetDateTime) -> Result<Self, Unfit> {
        let faults = PER_MILLE.map(|(fate, share)| (fate, (records * share / 1_000).max(1)));
        let sown_of = |fate| faults.iter().find(|(f, _)| *f == fate).map_or(0, |(_, n)| *n);
        let extra: u32 = [Fate::Unchanged, Fate::Duplicate, Fate::ReusedId, Fate::Undecodable]
            .map(sown_of)
            .iter()
            .sum();
        let people = records - extra;
        let garbage = sown_of(Fate::Undecodable);
        // A batch counts distinct messages.
        let of_others = sown_of(Fate::Duplicate) + sown_of(Fate::ReusedId);
        let reference = BatchRef {
            batch_id: format!("demo-{}", now.unix_timestamp()),
            total_count: Some((records - of_others) as i32 + household::CHAPTERS as i32),
        };
        let maker = Maker { now, batch: reference.clone() };

        // Places are thousandfold, so that what repeats a request finds room behind it.
        let mut placed: Vec<(u64, Record)> = Vec::with_capacity(records as usize);
        let mut sown: BTreeMap<Fate, u64> = BTreeMap::new();
        let mut spread = Spread::new(people, &faults);
        for number in 0..people {
            let mut person = person(number, now.date());
            let first = spread.first(number);
            let again = spread.again(number);
            *sown.entry(first).or_default() += 1;
            maker.spoil(&mut person, first);
            let place = u64::from(number) * 1_000;
            placed.push((place, maker.request(number, 0, &person)?));
            if let Some(again) = again {
                *sown.entry(again).or_default() += 1;
                let repeated = match again {
                    Fate::Unchanged => maker.request(number, 1, &person)?,
                    Fate::ReusedId => {
                        person.info.address = Some("moved".to_owned());
                        maker.request(number, 0, &person)?
                    }
                    _ => maker.request(number, 0, &person)?,
                };
                placed.push((place + 90_500, repeated));
            }
        }
        for number in 0..garbage {
            *sown.entry(Fate::Undecodable).or_default() += 1;
            let place = u64::from(number + 1) * u64::from(people) * 1_000 / u64::from(garbage + 1);
            placed.push((place + 1, maker.garbage(people + number)?));
        }
        placed.sort_by_key(|(place, _)| *place);
        let records = placed.into_iter().map(|(_, record)| record).collect();
        Ok(Self { records, sown, reference })
    }
}

/// Which people are spoiled, and which are sent again: evenly spread over the batch.
struct Spread {
    first: BTreeMap<u32, Fate>,
    again: BTreeMap<u32, Fate>,
}

impl Spread {
    fn new(people: u32, faults: &[(Fate, u32)]) -> Self {
        let mut spread = Self { first: BTreeMap::new(), again: BTreeMap::new() };
        for (fate, count) in faults {
            for n in 0..*count {
                // Twice as many places as faults, so that a taken one is followed by a free one.
                let mut at = (n * people / count + people / (2 * count)) % people;
                while spread.first.contains_key(&at) || spread.again.contains_key(&at) {
                    at = (at + 1) % people;
                }
                match fate {
                    Fate::OneUnknownProgram | Fate::UnknownProgram | Fate::EndedProgram => {
                        spread.first.insert(at, *fate);
                    }
                    Fate::Unchanged | Fate::Duplicate | Fate::ReusedId => {
                        spread.again.insert(at, *fate);
                    }
                    _ => {}
                }
            }
        }
        spread
    }

    fn first(&mut self, number: u32) -> Fate {
        self.first.remove(&number).unwrap_or(Fate::Applied)
    }

    fn again(&mut self, number: u32) -> Option<Fate> {
        self.again.remove(&number)
    }
}

struct Maker {
    now: OffsetDateTime,
    batch: BatchRef,
}

impl Maker {
    fn spoil(&self, person: &mut Person, fate: Fate) {
        let since = self.now.date();
        match fate {
            Fate::UnknownProgram => person.memberships = vec![membership(UNKNOWN, since)],
            Fate::EndedProgram => person.memberships = vec![membership(ENDED, since)],
            Fate::OneUnknownProgram => {
                person.memberships.truncate(1);
                person.memberships.push(membership(UNKNOWN, since));
            }
            _ => {}
        }
    }

    fn request(&self, number: u32, nth: u32, person: &Person) -> Result<Record, Unfit> {
        let message_id = format!("{}-{:05}-{nth}", self.batch.batch_id, number + 1);
        let request = EnrollmentRequest {
            message_id: message_id.clone(),
            source: SOURCE.to_owned(),
            sent_at: Millis::from(self.now + Duration::milliseconds(i64::from(number))),
            attempt: 1,
            batch: Some(self.batch.clone()),
            actor: Some("demo".to_owned()),
            atomic: false,
            registrant: person.info.clone(),
            program_memberships: person.memberships.clone(),
        };
        let key = person.info.reference.clone().unwrap_or_default();
        let value = encode(&request)?;
        Ok(Record { topic: "enrollment-requests", key, value, message_id })
    }

    /// What senders get wrong: another format, or a request cut short.
    fn garbage(&self, number: u32) -> Result<Record, Unfit> {
        let whole = self.request(number, 0, &person(number, self.now.date()))?;
        let value = match number % 2 {
            0 => format!("{};INDIVIDUAL;2026-01-31;CASH-TRANSFER", whole.key).into_bytes(),
            _ => whole.value[..whole.value.len() / 2].to_vec(),
        };
        Ok(Record { value, ..whole })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_all_faults_and_as_many_records_as_asked_for() {
        for records in [100, 101, 2_000, 7_777] {
            let batch = Batch::make(records, OffsetDateTime::UNIX_EPOCH).unwrap();
            assert_eq!(batch.records.len(), records as usize);
            assert_eq!(batch.sown.values().sum::<u64>(), u64::from(records));
            assert!(
                Fate::SOWN.iter().all(|fate| batch.sown.contains_key(fate)),
                "{:?}",
                batch.sown
            );
        }
    }

    #[test]
    fn what_is_repeated_comes_after_the_first_time() {
        let batch = Batch::make(2_000, OffsetDateTime::UNIX_EPOCH).unwrap();
        let mut seen = BTreeMap::new();
        for record in &batch.records {
            *seen.entry(&record.message_id).or_insert(0) += 1;
        }
        assert_eq!(seen.values().filter(|times| **times == 2).count(), 16 + 6);
        assert!(seen.values().all(|times| *times <= 2));
    }
}
