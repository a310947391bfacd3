//! The walk over a batch: every record gets its answer, in the order of arrival.

use super::batch::{Record, Taken};
use super::disposition::Failure;
use super::freed::Freed;
use super::ids::{attributed, letter_id, result_id};
use super::outcome::{outcome_byte, status_symbol};
use super::park::{Moves, Parking, Turn, named};
use super::queues::{Place, Queues};
use super::replay::{Closes, Letters, byte_of};
use crate::contract::{
    self, Content, ContentFingerprint, Identity, Intake, Refused, Schemas, Unreadable, encode,
    wire::{Held, HeldWhy, RequestResult, ResultStatus},
};
use crate::domain::{ChangeEvent, Command, Decision, Fault, Meta, Reason, WorkingSet};
use std::collections::HashMap;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// What is known of a request id: from the inbox, or from earlier in the batch.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) attempt: i32,
    pub(super) fingerprint: Vec<u8>,
    /// Whether it came over HTTP: then its fingerprint has no actor.
    pub(super) by_http: bool,
    /// REJECTED or PARTIAL: a greater attempt is evaluated anew.
    pub(super) open: bool,
    pub(super) result: Vec<u8>,
    /// The attempt that stands in the table; none if nothing does.
    pub(super) stored_attempt: Option<i32>,
    /// The answer of this batch that is to stand there.
    pub(super) answer: Option<usize>,
}

/// How an answer goes to the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    /// Not at all: a duplicate, a letter.
    None,
    /// A new row.
    Insert,
    /// In the place of what stood there with this attempt.
    Replace(i32),
    /// Only beside it: other content under the same id, or overtaken by a later attempt in the same batch.
    Keep,
}

/// What becomes of one record.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) record: &'a Record,
    /// The ledger's byte.
    pub(super) outcome: u8,
    pub(super) identity: Option<Identity>,
    pub(super) fingerprint: Option<ContentFingerprint>,
    pub(super) status: &'static str,
    /// The result to publish.
    pub(super) result: Option<Vec<u8>>,
    pub(super) result_id: Uuid,
    pub(super) write: Write,
    pub(super) meta: Option<&'a Meta>,
    pub(super) events: Vec<ChangeEvent>,
    /// It is a letter now.
    pub(super) letter: Option<(Uuid, Unreadable)>,
    /// It was a letter: it is replayed or given up, or came to wait by that.
    pub(super) of_letter: Option<Uuid>,
    /// Which open letters of the same request are of no use any more.
    pub(super) closes: Closes,
    pub(super) parking: Parking,
    /// Of a request over HTTP: whether something came into being by it.
    pub(super) created: bool,
}

impl<'a> Answer<'a> {
    /// One by which nothing changes, and that nobody hears.
    fn new(record: &'a Record, (outcome, status): (u8, &'static str), result_id: Uuid) -> Self {
        Self {
            record,
            outcome,
            identity: None,
            fingerprint: None,
            status,
            result: None,
            result_id,
            write: Write::None,
            meta: None,
            events: Vec::new(),
            letter: None,
            of_letter: None,
            closes: Closes::Nothing,
            parking: Parking::None,
            created: false,
        }
    }

    fn of(self, identity: Identity) -> Self {
        Self { identity: Some(identity), ..self }
    }
}

/// A request on its way to its answer.
pub(super) struct Said<'a> {
    record: &'a Record,
    pub(super) key: (&'a str, &'a str),
    pub(super) identity: Identity,
    content: Content,
    /// What refuses it whatever is stored.
    pub(super) refusal: Option<Vec<Fault>>,
    command: Option<(&'a Meta, &'a Command)>,
    /// The place that it has in the queues already.
    pub(super) place: Option<Place>,
}

impl<'a> Said<'a> {
    /// A request that breaks a limit.
    pub(super) fn refused(record: &'a Record, refused: &'a Refused) -> Self {
        Self {
            record,
            key: (&refused.identity.source, &refused.identity.message_id),
            identity: refused.identity.clone(),
            content: refused.content,
            refusal: Some(refused.faults.clone()),
            command: None,
            place: None,
        }
    }

    /// A request that keeps the limits; refused if it was sent before `oldest`.
    pub(super) fn command(
        record: &'a Record,
        (meta, command): (&'a Meta, &'a Command),
        content: Content,
        oldest: OffsetDateTime,
    ) -> Self {
        let expired = meta.sent_at < oldest;
        let refusal = || vec![Fault::at("/sent_at", Reason::RequestExpired)];
        Self {
            record,
            key: (&meta.source, &meta.message_id),
            identity: Identity::of(meta),
            content,
            refusal: expired.then(refusal),
            command: Some((meta, command)),
            place: None,
        }
    }
}

/// The walk's state.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub(super) schemas: &'a Schemas,
    pub(super) set: WorkingSet,
    pub(super) inbox: HashMap<(&'a str, &'a str), Known>,
    pub(super) recorded_at: OffsetDateTime,
    /// What was sent before is no longer known of (P7).
    pub(super) inbox_retention: Duration,
    /// `parking.grace`: how long a record waits for what it names.
    pub(super) grace: Duration,
    pub(super) queues: Queues,
    pub(super) freed: Freed<'a>,
    pub(super) answers: Vec<Answer<'a>>,
    pub(super) moves: Moves,
    pub(super) letters: Letters<'a>,
}

impl<'a> Walk<'a> {
    /// Answers every record that arrived, and after each of them those whose turn has come by it.
    pub(super) fn run(&mut self, arrived: &[&'a Taken]) -> Result<(), Failure> {
        self.answers.reserve(arrived.len());
        self.look_again()?;
        for taken in arrived {
            let answer = match (&taken.letter, self.letters.replay) {
                (Some(letter), Some(replay)) => self.letter_again(taken, letter, replay)?,
                _ => Some(self.answer(taken)?),
            };
            let Some(answer) = answer else { continue };
            if let Parking::Waits { .. } = answer.parking {
                self.freed.waits(Place::New(self.answers.len()), taken);
            }
            self.give(answer);
            self.look_again()?;
        }
        Ok(())
    }

    fn answer(&mut self, taken: &'a Taken) -> Result<Answer<'a>, Failure> {
        let record = &taken.record;
        match &taken.intake {
            Intake::Letter(cause) => self.letter(record, *cause, None),
            Intake::Condemned { identity, names, cause } => {
                let mut answer = self.letter(record, *cause, Some(identity.clone()))?;
                answer.parking =
                    Parking::Failed { occupied: named(names, &self.set), waited: None };
                Ok(answer)
            }
            Intake::Refused(refused) => self.decided(Said::refused(record, refused)),
            Intake::Command { meta, command, content } => {
                let oldest = self.oldest();
                self.decided(Said::command(record, (meta, command), *content, oldest))
            }
        }
    }

    /// What was sent before is no longer known of (P7).
    pub(super) fn oldest(&self) -> OffsetDateTime {
        self.recorded_at - self.inbox_retention
    }

    pub(super) fn decided(&mut self, said: Said<'a>) -> Result<Answer<'a>, Failure> {
        let Said { record, key, identity, content, refusal, command, place } = said;
        let mut write = Write::Insert;
        if let Some(known) = self.inbox.get(&key) {
            // What was answered before the inbox begins is not answered from it.
            let expired = refusal.is_some() && command.is_some() && !known.open;
            let reused = expired || content.differs(&known.fingerprint, known.by_http);
            let anew = known.open && identity.attempt > known.attempt;
            if !(reused || anew) {
                return duplicate(self.schemas, record, identity, &known.result);
            }
            write = match (reused, known.stored_attempt) {
                (true, _) => Write::Keep,
                (false, Some(attempt)) => Write::Replace(attempt),
                (false, None) => Write::Insert,
            };
        }
        let registrants = self.registrants_created(record);
        let decision = match (refusal, write, command) {
            // Limits and age are checked before the inbox: who breaks them hears of that first.
            (Some(faults), _, _) => Decision::rejected(faults),
            (None, Write::Keep, _) | (None, _, None) => {
                Decision::rejected(vec![Fault::at("/message_id", Reason::MessageIdReused)])
            }
            (None, _, Some((meta, command))) => {
                match self.decide_or_park(meta, command, record, place) {
                    Turn::Decided(decision) => decision,
                    Turn::Waits(awaits, occupied) => {
                        let parking = self.parked(record, &identity, (awaits, occupied));
                        let mut answer = self.held(record, identity, HeldWhy::Parked, None)?;
                        answer.outcome = b'K';
                        answer.write = write;
                        answer.fingerprint = Some(content.fingerprint);
                        answer.parking = parking;
                        self.remember(key, &answer);
                        return Ok(answer);
                    }
                }
            }
        };
        let meta = command.map(|(meta, _)| meta);
        let mut answer =
            self.decision(record, (identity, content.fingerprint), decision, write, meta)?;
        answer.created = self.has_created(&answer, registrants);
        if write != Write::Keep {
            self.remember(key, &answer);
        }
        Ok(answer)
    }

    /// The answer that a decision is.
    pub(super) fn decision(
        &self,
        record: &'a Record,
        (identity, fingerprint): (Identity, ContentFingerprint),
        decision: Decision,
        write: Write,
        meta: Option<&'a Meta>,
    ) -> Result<Answer<'a>, Failure> {
        let result = contract::result(&identity, &decision, self.recorded_at);
        let came = (outcome_byte(decision.status), status_symbol(decision.status));
        Ok(Answer {
            fingerprint: Some(fingerprint),
            result: Some(encode(&result)?),
            write,
            meta,
            events: decision.events,
            closes: if write == Write::Keep { Closes::Nothing } else { Closes::All },
            ..Answer::new(record, came, result_id(&identity, record, "")).of(identity)
        })
    }

    /// What this batch says of a request id is known to what follows.
    pub(super) fn remember(&mut self, key: (&'a str, &'a str), answer: &Answer<'a>) {
        let (Some(identity), Some(fingerprint), Some(result)) =
            (&answer.identity, &answer.fingerprint, &answer.result)
        else {
            return;
        };
        let before = self.inbox.get(&key);
        let stored_attempt = before.and_then(|known| known.stored_attempt);
        if let Some(overtaken) =
            before.and_then(|known| known.answer).and_then(|at| self.answers.get_mut(at))
        {
            overtaken.write = Write::Keep;
        }
        let known = Known {
            attempt: identity.attempt,
            fingerprint: fingerprint.0.to_vec(),
            by_http: answer.record.is_http(),
            open: matches!(answer.outcome, b'R' | b'P'),
            result: result.clone(),
            stored_attempt,
            answer: Some(self.answers.len()),
        };
        self.inbox.insert(key, known);
    }

    /// HELD: the request waits, or could not be processed; a final answer comes later.
    pub(super) fn held(
        &self,
        record: &'a Record,
        identity: Identity,
        why: HeldWhy,
        letter_id: Option<Uuid>,
    ) -> Result<Answer<'a>, Failure> {
        let halt = match why {
            HeldWhy::Parked => "/held",
            HeldWhy::DeadLettered | HeldWhy::Unknown => "/letter",
        };
        let result = encode(&RequestResult {
            message_id: identity.shown_message_id().to_owned(),
            source: identity.shown_source().to_owned(),
            attempt: identity.attempt,
            batch_id: identity.batch_id.clone(),
            status: ResultStatus::Held,
            r#final: false,
            duplicate: false,
            held: Some(Held { why, letter_id: letter_id.map(|id| id.to_string()) }),
            registrant_id: None,
            recorded_at: self.recorded_at.into(),
            errors: Vec::new(),
            items: Vec::new(),
        })?;
        let answer = Answer::new(record, (b'L', "HELD"), result_id(&identity, record, halt));
        Ok(Answer { result: Some(result), ..answer.of(identity) })
    }

    /// A dead letter; whoever sent it hears HELD, if the record says who that is.
    pub(super) fn letter(
        &self,
        record: &'a Record,
        cause: Unreadable,
        identity: Option<Identity>,
    ) -> Result<Answer<'a>, Failure> {
        let letter_id = letter_id(record);
        let mut answer = match identity.or_else(|| Some(attributed(record)?.1)) {
            Some(identity) => {
                self.held(record, identity, HeldWhy::DeadLettered, Some(letter_id))?
            }
            None => Answer::new(record, (b'L', "HELD"), letter_id),
        };
        answer.outcome = byte_of(cause);
        answer.letter = Some((letter_id, cause));
        Ok(answer)
    }
}

/// The stored result once more, marked as a duplicate (P7).
pub(super) fn duplicate<'a>(
    schemas: &Schemas,
    record: &'a Record,
    identity: Identity,
    stored: &[u8],
) -> Result<Answer<'a>, Failure> {
    let mut result: RequestResult = schemas.decode_stored(stored)?;
    result.duplicate = true;
    let answer = Answer::new(record, (b'D', "DUPLICATE"), result_id(&identity, record, ""));
    Ok(Answer {
        closes: if result.r#final { Closes::OfTheRecord } else { Closes::Nothing },
        result: Some(encode(&result)?),
        ..answer.of(identity)
    })
}
