//! Message to command: limits and characters, all faults at once, before anything else is looked at.

mod group;
mod membership;
mod meta;
mod registrant;
mod text;
mod update;

use super::decode::Request;
use super::intake::Identity;
use crate::domain::{Command, Fault, Meta};
use text::Checker;
pub use text::{SOURCE_FORM, is_source, is_text, is_token};
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

/// The limits that a request breaks.
pub fn faults(request: &Request, recorded_at: OffsetDateTime, dates: &Dates) -> Vec<Fault> {
    let checked = command(request.clone(), recorded_at, dates);
    checked.err().map(|(_, faults)| faults).unwrap_or_default()
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
    let mut check = Checker::default();
    let (meta, sent, command) = match request {
        Request::Enrollment(request) => membership::enrollment(*request, dates, &mut check),
        Request::Update(request) => update::update(*request, dates, &mut check),
        Request::Group(request) => group::group(*request, dates, &mut check),
    };
    match (sent, command, check.is_clean()) {
        (Some(sent), Some(command), true) => Ok((meta.kept(sent, recorded_at), command)),
        _ => Err((meta.identity(), check.faults())),
    }
}
