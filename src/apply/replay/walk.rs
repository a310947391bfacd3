//! The walk over letters: each gets its answer in the same way as any record, or stays a letter.

use super::{BEHIND, Deed, Fate, OfLetter, Replay, Replayed};
use crate::apply::answer::{Answer, Said, Walk, Write, duplicate};
use crate::apply::batch::Taken;
use crate::apply::disposition::Failure;
use crate::apply::ids::attributed;
use crate::apply::park::named;
use crate::apply::queues::{Awaits, Place};
use crate::contract::wire::{HeldWhy, RequestResult};
use crate::contract::{ContentFingerprint, Intake, decode_own};
use crate::domain::{Decision, Fault, Reason, refused_at_once};

/// What is said of content that nobody could read: no other content differs from it.
const UNREAD: ContentFingerprint = ContentFingerprint([0; 33]);

impl<'a> Walk<'a> {
    /// The answer to a letter's record, if there is one to give; what it came to is noted.
    pub(in crate::apply) fn letter_again(
        &mut self,
        taken: &'a Taken,
        letter: &OfLetter,
        replay: &Replay,
    ) -> Result<Option<Answer<'a>>, Failure> {
        let of_letter = Some(letter.letter_id);
        let answer = match replay.deed {
            Deed::Discard => self.discarded(taken)?,
            Deed::Replay | Deed::Rehearse => match self.replayed(taken, letter)? {
                Ok(answer) => Some(answer),
                Err((fate, held)) => {
                    self.letters.replayed.push(Replayed { letter_id: letter.letter_id, fate });
                    return Ok(held.map(|held| Answer { of_letter, ..held }));
                }
            },
        };
        let fate = match &answer {
            Some(answer) => Fate::Decided { outcome: answer.outcome, code: first_code(answer)? },
            // Nobody knows who could be answered.
            None => Fate::Decided { outcome: b'R', code: None },
        };
        self.letters.replayed.push(Replayed { letter_id: letter.letter_id, fate });
        Ok(answer.map(|answer| Answer { of_letter, ..answer }))
    }

    /// The decision on it; or why it stays a letter, with what its sender is to hear of that.
    fn replayed(
        &mut self,
        taken: &'a Taken,
        letter: &OfLetter,
    ) -> Result<Result<Answer<'a>, (Fate, Option<Answer<'a>>)>, Failure> {
        let record = &taken.record;
        let number = self.letters.numbers.get(&letter.letter_id).copied();
        match &taken.intake {
            Intake::Letter(cause) => Ok(Err((Fate::Failed(*cause), None))),
            Intake::Condemned { identity, names, cause } => {
                let failed = Fate::Failed(*cause);
                if number.is_some() {
                    return Ok(Err((failed, None)));
                }
                let occupied = named(names, &self.set);
                // In a rehearsal others follow, who are behind it.
                let who = (identity.source.as_bytes(), identity.message_id.as_bytes());
                let awaits = Awaits::Replay(who.0.to_vec(), who.1.to_vec());
                self.queues.join(Place::New(self.answers.len()), &occupied, &awaits);
                self.letters.occupy.push((letter.letter_id, occupied));
                // It could not be read before: now its sender is known, and hears that it is held.
                let id = Some(letter.letter_id);
                let held = self.held(record, identity.clone(), HeldWhy::DeadLettered, id)?;
                Ok(Err((failed, Some(held))))
            }
            Intake::Refused(refused) => self.decided(Said::refused(record, refused)).map(Ok),
            Intake::Command { meta, command, content } => {
                let place = number.map(Place::Stored);
                if let Some(place) = place
                    && self.passes(meta, command, place).is_none()
                    && refused_at_once(meta, command, &self.set).is_none()
                {
                    return Ok(Err((Fate::Refused(BEHIND), None)));
                }
                let mut said = Said::command(record, (meta, command), *content, self.oldest());
                said.place = place;
                let answer = self.decided(said)?;
                // Who is behind it is left to the drain; what follows in this batch is behind these.
                place.map(|place| self.queues.leave(place));
                Ok(Ok(answer))
            }
        }
    }

    /// The refusal of a request that an operator gives up; none if nobody knows whose it is.
    fn discarded(&mut self, taken: &'a Taken) -> Result<Option<Answer<'a>>, Failure> {
        let record = &taken.record;
        let refusal = vec![Fault::at("", Reason::RequestDiscarded)];
        let mut said = match &taken.intake {
            Intake::Command { meta, command, content } => {
                Said::command(record, (meta, command), *content, self.oldest())
            }
            Intake::Refused(refused) => Said::refused(record, refused),
            Intake::Letter(_) | Intake::Condemned { .. } => {
                let attributed = match &taken.intake {
                    Intake::Condemned { identity, .. } => Some((
                        (identity.source.as_str(), identity.message_id.as_str()),
                        identity.clone(),
                    )),
                    _ => attributed(record),
                };
                let Some((key, identity)) = attributed else { return Ok(None) };
                if let Some(known) = self.inbox.get(&key) {
                    return duplicate(self.schemas, record, identity, &known.result).map(Some);
                }
                let (said, decision) = ((identity, UNREAD), Decision::rejected(refusal));
                let answer = self.decision(record, said, decision, Write::Insert, None)?;
                self.remember(key, &answer);
                return Ok(Some(answer));
            }
        };
        match self.inbox.get(&said.key) {
            // It was said again and answered since: that stands.
            Some(known) if !known.open => {
                duplicate(self.schemas, record, said.identity, &known.result).map(Some)
            }
            _ => {
                said.refusal = Some(refusal);
                self.decided(said).map(Some)
            }
        }
    }
}

/// The first code that a result says: of an error, else of an item.
fn first_code(answer: &Answer<'_>) -> Result<Option<String>, Failure> {
    let Some(result) = &answer.result else { return Ok(None) };
    let result: RequestResult = decode_own(result)?;
    let error = result.errors.into_iter().next().map(|error| error.code);
    Ok(error.or_else(|| result.items.into_iter().next().map(|item| item.code)))
}
