//! Message to command: limits and characters, all faults at once, before anything else is looked at.

mod registrant;
mod text;

use super::decode::Request;
use super::intake::Identity;
use super::wire::{EnrollmentRequest, ProgramMembershipIn, RequestedState};
use crate::domain::{
    BatchRef, Command, Enrollment, Fault, Meta, ProgramMembershipIn as ProgramMembership, Reason,
    RequestedState as Requested,
};
use registrant::info;
use std::fmt::Arguments;
use text::Checker;
pub(super) use text::{is_source, is_token};
use time::{Date, Duration, OffsetDateTime, UtcOffset};

/// The settings that the meaning of a date depends on.
#[derive(Debug, Clone)]
pub struct Dates {
    /// `dates.time_zone`: in which the date of `sent_at` is taken.
    pub time_zone: jiff::tz::TimeZone,
    /// `dates.max_future`: how far ahead of `sent_at` a membership's dates may lie.
    pub max_future: Duration,
}

impl Dates {
    /// The date of an instant in the time zone.
    pub fn date_of(&self, time: OffsetDateTime) -> Date {
        let time = time.to_offset(UtcOffset::UTC);
        let Ok(instant) = jiff::Timestamp::from_second(time.unix_timestamp()) else {
            return time.date();
        };
        let offset = self.time_zone.to_offset(instant).seconds();
        (time + Duration::seconds(i64::from(offset))).date()
    }
}

/// Checks the limits of a request and makes it a command.
///
/// `recorded_at` is the timestamp of its record. A batch's `total_count`, a date or a symbol that the contract does
/// not know is a fault like any other.
///
/// # Errors
/// Every fault, with its pointer.
pub fn command(
    request: Request,
    recorded_at: OffsetDateTime,
    dates: &Dates,
) -> Result<(Meta, Command), (Identity, Vec<Fault>)> {
    match request {
        Request::Enrollment(request) => enrollment(*request, recorded_at, dates),
        // Their commands come with the rules for them; until then intake does not hand them on.
        Request::Update(_) | Request::Group(_) => {
            let identity = Identity::said("", "", 1, None);
            Err((identity, vec![Fault::at("", Reason::FieldUnsupported)]))
        }
    }
}

fn enrollment(
    request: EnrollmentRequest,
    recorded_at: OffsetDateTime,
    dates: &Dates,
) -> Result<(Meta, Command), (Identity, Vec<Fault>)> {
    let mut check = Checker::default();
    check.source(&request.source, format_args!("/source"));
    check.token(&request.message_id, format_args!("/message_id"));
    if request.attempt < 1 {
        check.fault(format_args!("/attempt"), Reason::FieldInvalid);
    }
    let sent_at = request.sent_at.time();
    if sent_at.is_none() {
        check.fault(format_args!("/sent_at"), Reason::FieldInvalid);
    }
    if let Some(batch) = &request.batch {
        check.token(&batch.batch_id, format_args!("/batch/batch_id"));
        if batch.total_count.is_some_and(|count| count < 0) {
            check.fault(format_args!("/batch/total_count"), Reason::FieldInvalid);
        }
    }
    check.optional(request.actor.as_deref(), format_args!("/actor"));
    let registrant = info(request.registrant, format_args!("/registrant"), &mut check);
    let program_memberships =
        memberships(request.program_memberships, format_args!("/program_memberships"), &mut check);
    let (Some(sent_at), Some(registrant), true) = (sent_at, registrant, check.is_clean()) else {
        let batch_id = request.batch.as_ref().map(|batch| batch.batch_id.as_str());
        let identity =
            Identity::said(&request.source, &request.message_id, request.attempt, batch_id);
        let total_count = request.batch.as_ref().and_then(|batch| batch.total_count);
        return Err((identity.of_total(total_count), check.faults()));
    };
    let today = dates.date_of(sent_at);
    let meta = Meta {
        source: request.source,
        message_id: request.message_id,
        attempt: request.attempt,
        sent_at,
        today,
        last_date: today.checked_add(dates.max_future).unwrap_or(Date::MAX),
        recorded_at,
        actor: request.actor,
        batch: request
            .batch
            .map(|batch| BatchRef { batch_id: batch.batch_id, total_count: batch.total_count }),
    };
    let command = Enrollment { atomic: request.atomic, registrant, program_memberships };
    Ok((meta, Command::Enroll(command)))
}

fn memberships(
    given: Vec<ProgramMembershipIn>,
    at: Arguments<'_>,
    check: &mut Checker,
) -> Vec<ProgramMembership> {
    let mut memberships = Vec::with_capacity(given.len());
    for (index, item) in check.items(given, at).into_iter().enumerate() {
        check.required(&item.program, format_args!("{at}/{index}/program"));
        let enrollment_date =
            check.date(item.enrollment_date, format_args!("{at}/{index}/enrollment_date"));
        let state = match item.state {
            RequestedState::Enrolled => Requested::Enrolled,
            RequestedState::Draft => Requested::Draft,
            RequestedState::Unknown => {
                check.fault(format_args!("{at}/{index}/state"), Reason::FieldInvalid);
                continue;
            }
        };
        memberships.push(ProgramMembership { program: item.program, state, enrollment_date });
    }
    memberships
}
