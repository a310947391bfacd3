//! The limits of a group and its members.

use super::Dates;
use super::membership::memberships;
use super::meta::{Parts, given_meta};
use super::registrant::info;
use super::text::{Checker, MAX_ITEMS};
use crate::contract::wire::{GroupMember, GroupMembershipRequest, GroupMode as GivenMode};
use crate::domain::{Command, GroupChange, GroupMode, MemberIn, Reason};
use std::fmt::Arguments;

/// Checks a `GroupMembershipRequest`.
pub(super) fn group(request: GroupMembershipRequest, dates: &Dates, check: &mut Checker) -> Parts {
    let meta = given_meta!(request);
    let sent = meta.check(dates, check);
    let group = info(request.group, format_args!("/group"), check);
    let mode = match request.mode {
        GivenMode::Merge => Some(GroupMode::Merge),
        GivenMode::Replace => Some(GroupMode::Replace),
        GivenMode::Unknown => {
            check.fault(format_args!("/mode"), Reason::FieldInvalid);
            None
        }
    };
    // A list of its own that is too long is refused by itself.
    let own = Some(request.program_memberships.len()).filter(|own| *own <= MAX_ITEMS);
    let members = members(request.members, MAX_ITEMS - own.unwrap_or_default(), check);
    let program_memberships =
        memberships(request.program_memberships, format_args!("/program_memberships"), check);
    let command = group.zip(mode).map(|(group, mode)| {
        Command::Group(GroupChange {
            atomic: request.atomic,
            group,
            mode,
            members,
            program_memberships,
        })
    });
    (meta, sent, command)
}

/// Checks the members. With more than `room` members and program memberships of theirs they are refused unread, like
/// any list that is too long.
fn members(given: Vec<GroupMember>, room: usize, check: &mut Checker) -> Vec<MemberIn> {
    if given.iter().map(|member| 1 + member.program_memberships.len()).sum::<usize>() > room {
        check.fault(format_args!("/members"), Reason::FieldInvalid);
        return Vec::new();
    }
    let mut members = Vec::with_capacity(given.len());
    for (index, given) in given.into_iter().enumerate() {
        members.extend(member(given, format_args!("/members/{index}"), check));
    }
    members
}

/// None when the individual is of a kind that the contract does not know.
fn member(given: GroupMember, at: Arguments<'_>, check: &mut Checker) -> Option<MemberIn> {
    let individual = info(given.individual, format_args!("{at}/individual"), check);
    let kinds = given.kinds.map(|kinds| check.facts(kinds, format_args!("{at}/kinds")));
    for (index, kind) in kinds.iter().flatten().enumerate() {
        check.required(kind, format_args!("{at}/kinds/{index}"));
    }
    let start_date = check.date(given.start_date, format_args!("{at}/start_date"));
    let ended_date = check.date(given.ended_date, format_args!("{at}/ended_date"));
    let program_memberships =
        memberships(given.program_memberships, format_args!("{at}/program_memberships"), check);
    Some(MemberIn { individual: individual?, kinds, start_date, ended_date, program_memberships })
}
