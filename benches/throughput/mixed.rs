//! All kinds of requests in one backlog: 60 % enrollments, 30 % updates, 10 % households of five.

use crate::backlog::{Backlog, begin};
use crate::options::Options;
use crate::people::{self, HOUSEHOLDS, SOURCE};
use crate::report::Report;
use crate::worker;
use anyhow::Result;
use rollcall::contract::encode;
use rollcall::contract::wire::{
    Action, EnrollmentRequest, GroupMember, GroupMembershipRequest, GroupMode,
    MembershipUpdateRequest, Millis, ProgramMembershipIn, RegistrantInfo, RegistrantKind,
    RegistrantRef, RequestedState,
};

/// What every ten records are: an update is never the first, so that there is somebody to update.
const TEN: [Kind; 10] = {
    use Kind::{Enrollment as E, Household as H, Update as U};
    [E, E, U, E, E, U, H, E, U, E]
};
const MEMBERS: u64 = 5;
/// The number of the first person of a household: nobody who is enrolled alone has it.
const FIRST: u64 = 50_000_000;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Enrollment,
    Update,
    Household,
}

/// Measures Rollcall with enrollments alone and with the mixed load, in turn.
pub(crate) async fn compare(options: &Options, report: &mut Report) -> Result<()> {
    let (enrollments, mixed) = (Backlog::make(options.records)?, make(options.records)?);
    for _ in 0..options.rounds {
        report.add("rollcall", worker::run(options, &enrollments, None).await?);
        report.add("rollcall, mixed", worker::run(options, &mixed, None).await?);
    }
    Ok(())
}

/// So many records, all in one topic, as from a sender that needs them in order. Everything that is said is a change.
fn make(records: usize) -> Result<Backlog> {
    let mut backlog = Backlog::default();
    let begin = begin();
    // Of each person enrolled alone, whether they are paused now.
    let mut paused: Vec<bool> = Vec::new();
    let mut households = 0;
    for (n, kind) in TEN.into_iter().cycle().take(records).enumerate() {
        let sent_at = backlog.sent_at(begin);
        let message_id = format!("mixed-{n:010}");
        match kind {
            Kind::Enrollment => {
                let person = paused.len() as u64;
                let value = encode(&people::request(person, message_id, sent_at))?;
                backlog.push(people::reference(person), value, sent_at, 1);
                paused.push(false);
            }
            Kind::Update => {
                // Anyone who came before: the further the backlog, the longer ago.
                let person = people::spread(n as u64) % paused.len() as u64;
                let Some(is_paused) = paused.get_mut(person as usize) else { continue };
                let action = if *is_paused { Action::Resume } else { Action::Pause };
                *is_paused = !*is_paused;
                let value = encode(&update(person, message_id, sent_at, action))?;
                backlog.push(people::reference(person), value, sent_at, 1);
            }
            Kind::Household => {
                let household = household(households, message_id, sent_at);
                let key = household.group.reference.clone().unwrap_or_default();
                backlog.push(key, encode(&household)?, sent_at, MEMBERS as usize + 1);
                households += 1;
            }
        }
    }
    backlog.events = backlog.items;
    Ok(backlog)
}

fn update(
    person: u64,
    message_id: String,
    sent_at: i64,
    action: Action,
) -> MembershipUpdateRequest {
    let EnrollmentRequest { program_memberships, registrant, .. } =
        people::request(person, String::new(), sent_at);
    let program = program_memberships.into_iter().next().map(|item| item.program);
    MembershipUpdateRequest {
        message_id,
        source: SOURCE.to_owned(),
        sent_at: Millis(sent_at),
        attempt: 1,
        batch: None,
        actor: None,
        registrant: RegistrantRef { reference: registrant.reference, ..RegistrantRef::default() },
        program: program.unwrap_or_default(),
        action,
        enrollment_date: None,
        exit_date: None,
        effective_date: None,
        reason: None,
        expected_version: None,
    }
}

/// A new household: each of its members in a program, the first its Head, and itself in one for households.
fn household(n: u64, message_id: String, sent_at: i64) -> GroupMembershipRequest {
    let requests = (0..MEMBERS)
        .map(|member| people::request(FIRST + n * MEMBERS + member, String::new(), sent_at));
    let mut members: Vec<GroupMember> = requests
        .map(|request| GroupMember {
            individual: request.registrant,
            kinds: None,
            start_date: None,
            ended_date: None,
            program_memberships: request.program_memberships,
        })
        .collect();
    let mut group = RegistrantInfo { kind: RegistrantKind::Group, ..people::nobody() };
    group.reference = Some(format!("HH-{:010}", people::spread(n)));
    group.group_kind = Some("Household".to_owned());
    if let Some(head) = members.first_mut() {
        head.kinds = Some(vec!["Head".to_owned()]);
        group.name.clone_from(&head.individual.family_name);
    }
    GroupMembershipRequest {
        message_id,
        source: SOURCE.to_owned(),
        sent_at: Millis(sent_at),
        attempt: 1,
        batch: None,
        actor: None,
        atomic: false,
        group,
        mode: GroupMode::Merge,
        members,
        program_memberships: vec![ProgramMembershipIn {
            program: HOUSEHOLDS.0.to_owned(),
            state: RequestedState::Enrolled,
            enrollment_date: None,
        }],
    }
}
