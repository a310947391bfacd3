//! The limits of an update.

use super::Dates;
use super::meta::{Parts, given_meta};
use super::registrant::reference;
use super::text::Checker;
use crate::contract::wire::{Action as GivenAction, Day, MembershipUpdateRequest};
use crate::domain::{Action, Command, Reason, Update};
use std::fmt::Arguments;
use time::Date;

/// Checks a `MembershipUpdateRequest`.
pub(super) fn update(
    request: MembershipUpdateRequest,
    dates: &Dates,
    check: &mut Checker,
) -> Parts {
    let meta = given_meta!(request);
    let sent = meta.check(dates, check);
    let registrant = reference(request.registrant, format_args!("/registrant"), check);
    check.required(&request.program, format_args!("/program"));
    let action = action(request.action);
    if action.is_none() {
        check.fault(format_args!("/action"), Reason::FieldInvalid);
    }
    // Which dates an unknown action uses cannot be said: then they must only be dates.
    let used = |uses: fn(Action) -> bool| action.is_none_or(uses);
    let enrollment_date = date(
        request.enrollment_date,
        used(Action::takes_enrollment_date),
        format_args!("/enrollment_date"),
        check,
    );
    let exit_date =
        date(request.exit_date, used(Action::takes_exit_date), format_args!("/exit_date"), check);
    let effective_date = check.date(request.effective_date, format_args!("/effective_date"));
    if let (Some(sent), Some(date)) = (sent, effective_date)
        && date > sent.last_date
    {
        check.fault(format_args!("/effective_date"), Reason::FieldInvalid);
    }
    if let Some(reason) = &request.reason {
        check.optional(Some(&reason.code), format_args!("/reason/code"));
        check.optional(reason.note.as_deref(), format_args!("/reason/note"));
    }
    if request.expected_version.is_some_and(|version| version < 0) {
        check.fault(format_args!("/expected_version"), Reason::FieldInvalid);
    }
    let command = action.map(|action| {
        Command::Update(Update {
            registrant,
            program: request.program,
            action,
            enrollment_date,
            exit_date,
            effective_date,
            reason: request.reason.map(|reason| (reason.code, reason.note)),
            expected_version: request.expected_version,
            membership_id: None,
        })
    });
    (meta, sent, command)
}

/// A date that only some actions use; where it is not used, it would be lost without a word.
fn date(given: Option<Day>, used: bool, at: Arguments<'_>, check: &mut Checker) -> Option<Date> {
    if given.is_some() && !used {
        check.fault(at, Reason::FieldUnsupported);
        return None;
    }
    check.date(given, at)
}

const fn action(given: GivenAction) -> Option<Action> {
    Some(match given {
        GivenAction::Enroll => Action::Enroll,
        GivenAction::Pause => Action::Pause,
        GivenAction::Resume => Action::Resume,
        GivenAction::Exit => Action::Exit,
        GivenAction::MarkNotEligible => Action::MarkNotEligible,
        GivenAction::MarkDuplicated => Action::MarkDuplicated,
        GivenAction::ResetToDraft => Action::ResetToDraft,
        GivenAction::Reenroll => Action::Reenroll,
        GivenAction::Correct => Action::Correct,
        GivenAction::Remove => Action::Remove,
        GivenAction::Unknown => return None,
    })
}
