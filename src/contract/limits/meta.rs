//! The limits of what all three messages say of themselves.

use super::text::Checker;
use super::{Dates, Identity};
use crate::contract::wire::{BatchRef as GivenBatch, Millis};
use crate::domain::{BatchRef, Command, Meta, Reason};
use time::{Date, OffsetDateTime};

/// A message as it is taken apart: what it says of itself, when it was sent, and what it asks for, as far as they fit.
pub(super) type Parts = (GivenMeta, Option<Sent>, Option<Command>);

/// What a message says of itself.
pub(super) struct GivenMeta {
    pub(super) message_id: String,
    pub(super) source: String,
    pub(super) sent_at: Millis,
    pub(super) attempt: i32,
    pub(super) batch: Option<GivenBatch>,
    pub(super) actor: Option<String>,
}

/// Moves it out of any of the three messages, which have the same fields for it.
macro_rules! given_meta {
    ($request:ident) => {
        $crate::contract::limits::meta::GivenMeta {
            message_id: $request.message_id,
            source: $request.source,
            sent_at: $request.sent_at,
            attempt: $request.attempt,
            batch: $request.batch,
            actor: $request.actor,
        }
    };
}
pub(super) use given_meta;

/// When a request was sent, and what that means for its dates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    at: OffsetDateTime,
    today: Date,
    /// The last date that is taken.
    pub(super) last_date: Date,
}

impl GivenMeta {
    /// Checks it; gives the time of sending, if that is one.
    pub(super) fn check(&self, dates: &Dates, check: &mut Checker) -> Option<Sent> {
        check.source(&self.source, format_args!("/source"));
        check.token(&self.message_id, format_args!("/message_id"));
        if self.attempt < 1 {
            check.fault(format_args!("/attempt"), Reason::FieldInvalid);
        }
        let sent = self.sent_at.time().map(|at| {
            let today = dates.date_of(at);
            let last_date = today.checked_add(dates.max_future).unwrap_or(Date::MAX);
            Sent { at, today, last_date }
        });
        if sent.is_none() {
            check.fault(format_args!("/sent_at"), Reason::FieldInvalid);
        }
        if let Some(batch) = &self.batch {
            check.token(&batch.batch_id, format_args!("/batch/batch_id"));
            if batch.total_count.is_some_and(|count| count < 0) {
                check.fault(format_args!("/batch/total_count"), Reason::FieldInvalid);
            }
        }
        check.optional(self.actor.as_deref(), format_args!("/actor"));
        sent
    }

    /// Of a request that keeps the limits.
    pub(super) fn kept(self, sent: Sent, recorded_at: OffsetDateTime) -> Meta {
        let batch = |batch: GivenBatch| BatchRef {
            batch_id: batch.batch_id,
            total_count: batch.total_count,
        };
        Meta {
            source: self.source,
            message_id: self.message_id,
            attempt: self.attempt,
            sent_at: sent.at,
            today: sent.today,
            last_date: sent.last_date,
            recorded_at,
            actor: self.actor,
            batch: self.batch.map(batch),
        }
    }

    /// Of a request that does not.
    pub(super) fn identity(&self) -> Identity {
        let batch_id = self.batch.as_ref().map(|batch| batch.batch_id.as_str());
        let total_count = self.batch.as_ref().and_then(|batch| batch.total_count);
        Identity::said(&self.source, &self.message_id, self.attempt, batch_id).of_total(total_count)
    }
}
