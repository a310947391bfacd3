//! The limits of an enrollment, and of program memberships wherever they stand.

use super::Dates;
use super::meta::{Parts, given_meta};
use super::registrant::info;
use super::text::Checker;
use crate::contract::wire::{EnrollmentRequest, ProgramMembershipIn as Given, RequestedState};
use crate::domain::{
    Command, Enrollment, ProgramMembershipIn, Reason, RequestedState as Requested,
};
use std::fmt::Arguments;

/// Checks an `EnrollmentRequest`.
pub(super) fn enrollment(request: EnrollmentRequest, dates: &Dates, check: &mut Checker) -> Parts {
    let meta = given_meta!(request);
    let sent = meta.check(dates, check);
    let registrant = info(request.registrant, format_args!("/registrant"), check);
    let program_memberships =
        memberships(request.program_memberships, format_args!("/program_memberships"), check);
    let command = registrant.map(|registrant| {
        Command::Enroll(Enrollment { atomic: request.atomic, registrant, program_memberships })
    });
    (meta, sent, command)
}

/// Checks a list of programs to enroll in.
pub(super) fn memberships(
    given: Vec<Given>,
    at: Arguments<'_>,
    check: &mut Checker,
) -> Vec<ProgramMembershipIn> {
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
        memberships.push(ProgramMembershipIn { program: item.program, state, enrollment_date });
    }
    memberships
}
