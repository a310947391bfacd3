//! The rules of an update: one action on one membership.

use super::{
    Action, Change, Decision, Fault, Membership, Meta, Missing, NameKey, Patience, Program, Reason,
    RegistrantId, RegistrantRef, RequestedState, State, Update, Verdict, WorkingSet,
    conclude::{Decided, Items, Move},
    enroll::{Asked, At, admit, enroll, same_date, target_fits},
    overlay::Overlay,
};
use std::collections::BTreeSet;

/// Decides an update.
pub(super) fn decide(
    meta: &Meta,
    update: &Update,
    set: &mut WorkingSet,
    patience: Patience,
) -> Verdict {
    let who = update.registrant.lookup(meta, set);
    if who == Err(Reason::RegistrantUnnamed) {
        return refused(Fault::at("/registrant", Reason::RegistrantUnnamed));
    }
    let Some(program) = set.program(&update.program) else {
        return Verdict::Decided(program_not_found(meta, update, set));
    };
    let mut overlay = Overlay::new(meta, set);
    let mut items = Items::default();
    let who = match who {
        Err(reason) => return refused(Fault::at("/registrant/ids", reason)),
        Ok(id) => id.and_then(|id| Some((id, overlay.copy(id)?))),
    };
    let Some((id, who)) = who else {
        return match patience {
            Patience::Waits => Verdict::Waits(Missing::Registrant),
            Patience::Over => refused(Fault::at("/registrant", Reason::RegistrantNotFound)),
        };
    };
    let registrant = overlay.now(who);
    let is_meant = |m: &Membership| {
        let id = update.membership_id;
        m.program_id == program.program_id && id.is_none_or(|id| id == m.membership_id)
    };
    let stands = registrant.memberships.iter().position(is_meant);
    let version = stands.map_or(0, |index| registrant.memberships[index].version);
    let target = target_fits(program, registrant.kind, || "/program".to_owned());
    // One that is named by its id was there: it does not come any more.
    let waits = patience == Patience::Waits
        && update.action != Action::Enroll
        && update.membership_id.is_none();
    if stands.is_none() && target.is_ok() && waits {
        return Verdict::Waits(Missing::Membership(id));
    }
    let decided = expect(update, version).and(target).and_then(|()| {
        let change = match (update.action, stands) {
            (Action::Enroll, stands) if stands.is_some() || update.membership_id.is_none() => {
                let asked = Asked { state: RequestedState::Enrolled, date: update.enrollment_date };
                enroll(meta, asked, At::Update, program, registrant)?
            }
            (_, None) => return Err(vec![Fault::at("", Reason::MembershipNotFound)]),
            (action, Some(index)) => {
                let membership = &mut registrant.memberships[index];
                let change = act(meta, update, program, registrant.disabled, membership)?;
                if action == Action::Remove {
                    registrant.memberships.remove(index);
                }
                change
            }
        };
        Ok(change.map(|change| Move {
            effective_date: update.effective_date.unwrap_or(change.effective_date),
            reason: update.reason.clone(),
            ..change
        }))
    });
    items.push(String::new(), &update.program, Some(who), decided);
    let (decision, changes) = items.conclude(overlay, false);
    set.take(changes);
    Verdict::Decided(decision)
}

/// "What waits for nobody is never parked: an update of an unknown program is refused at once." Whatever else waits has no
/// say in it: the program is imported, and the request sent again.
pub(super) fn refused_at_once(meta: &Meta, update: &Update, set: &WorkingSet) -> Option<Decision> {
    let unknown = set.program(&update.program).is_none();
    unknown.then(|| program_not_found(meta, update, set))
}

fn program_not_found(meta: &Meta, update: &Update, set: &WorkingSet) -> Decision {
    let mut overlay = Overlay::new(meta, set);
    let mut items = Items::default();
    let who = update.registrant.lookup(meta, set).ok().flatten().and_then(|id| overlay.copy(id));
    let decided =
        expect(update, 0).and_then(|()| Err(vec![Fault::at("/program", Reason::ProgramNotFound)]));
    items.push(String::new(), &update.program, who, decided);
    items.conclude(overlay, false).0
}

fn refused(fault: Fault) -> Verdict {
    Verdict::Decided(Decision::rejected(vec![fault]))
}

/// "Compared before anything else of the item, 0 meaning no membership."
fn expect(update: &Update, version: i32) -> Result<(), Vec<Fault>> {
    if update.expected_version.is_none_or(|expected| expected == version) {
        return Ok(());
    }
    Err(vec![Fault::at("/expected_version", Reason::VersionConflict)])
}

impl RegistrantRef {
    /// Whom it means, if anybody is known by it.
    fn lookup(&self, meta: &Meta, set: &WorkingSet) -> Result<Option<RegistrantId>, Reason> {
        if let Some(reference) = &self.reference {
            let source = self.source.as_deref().unwrap_or(&meta.source);
            return Ok(set.owner(&NameKey::reference(source, reference)));
        }
        if self.ids.is_empty() {
            return Err(Reason::RegistrantUnnamed);
        }
        let names = self.ids.iter().map(|(id_type, value)| NameKey::identifier(id_type, value));
        let known: BTreeSet<_> = names.filter_map(|name| set.owner(&name)).collect();
        if known.len() > 1 {
            return Err(Reason::RegistrantAmbiguous);
        }
        Ok(known.first().copied())
    }
}

/// Carries out an action on a membership that is there; what REMOVE removes tells its last facts.
fn act(
    meta: &Meta,
    update: &Update,
    program: &Program,
    disabled: bool,
    membership: &mut Membership,
) -> Decided {
    let action = update.action;
    let was = membership.state;
    let (change, to, from) = step(action);
    let state = to.unwrap_or(was);
    if to == Some(was) {
        return repeat(update, membership);
    }
    if to.is_some() && !from.contains(&was) {
        return Err(vec![Fault::at(At::Update.action(), Reason::StateTransitionInvalid)]);
    }
    let mut now = membership.clone();
    let mut effective = meta.today;
    match action {
        Action::Resume => admit(meta, None, At::Update, program, disabled)?,
        Action::Reenroll => {
            let mut faults = admit(meta, update.enrollment_date, At::Update, program, disabled)
                .err()
                .unwrap_or_default();
            effective = update.enrollment_date.unwrap_or(meta.today);
            let early = now.exit_date.is_some_and(|exit| effective < exit);
            if early {
                faults.push(Fault::at("/enrollment_date", Reason::EnrollmentDateInvalid));
            }
            if !faults.is_empty() {
                return Err(faults);
            }
            now.spell += 1;
            now.enrollment_date = Some(effective);
            now.exit_date = None;
        }
        Action::Exit => {
            effective = update.exit_date.unwrap_or(meta.today);
            let early = now.enrollment_date.is_some_and(|enrollment| effective < enrollment);
            if early || effective > meta.last_date {
                return Err(vec![Fault::at("/exit_date", Reason::ExitDateInvalid)]);
            }
            now.exit_date = Some(effective);
        }
        Action::Correct => {
            if !correct(meta, update, &mut now)? {
                return Ok(None);
            }
            effective = update.enrollment_date.or(update.exit_date).unwrap_or(meta.today);
        }
        _ => {}
    }
    now.state = state;
    now.version += 1;
    membership.clone_from(&now);
    Ok(Some(Move {
        change,
        previous_state: Some(was),
        membership: now,
        effective_date: effective,
        reason: None,
    }))
}

/// What an action does: to which state (none: it stays), and from which ones.
const fn step(action: Action) -> (Change, Option<State>, &'static [State]) {
    use State::{Draft, Duplicated, Enrolled, Exited, NotEligible, Paused};
    const ACTIVE: &[State] = &[Draft, Enrolled, Paused];
    match action {
        Action::Enroll => (Change::Enrolled, Some(Enrolled), &[Draft]),
        Action::Pause => (Change::Paused, Some(Paused), &[Enrolled]),
        Action::Resume => (Change::Resumed, Some(Enrolled), &[Paused]),
        Action::Exit => (Change::Exited, Some(Exited), ACTIVE),
        Action::MarkNotEligible => (Change::NotEligible, Some(NotEligible), ACTIVE),
        Action::MarkDuplicated => (Change::Duplicated, Some(Duplicated), ACTIVE),
        Action::ResetToDraft => (Change::Reset, Some(Draft), &[NotEligible, Duplicated]),
        Action::Reenroll => (Change::Reenrolled, Some(Enrolled), &[Exited]),
        Action::Correct => (Change::Corrected, None, &State::ALL),
        Action::Remove => (Change::Removed, None, &State::ALL),
    }
}

/// "An action whose state already holds is unchanged", unless it brings another date.
fn repeat(update: &Update, membership: &Membership) -> Decided {
    match update.action {
        Action::Reenroll => same_date(update.enrollment_date, At::Update, membership),
        Action::Exit if update.exit_date.is_some_and(|d| membership.exit_date != Some(d)) => {
            Err(vec![Fault::at(At::Update.action(), Reason::StateTransitionInvalid)])
        }
        _ => Ok(None),
    }
}

/// Corrects the dates; false if they already are so.
fn correct(meta: &Meta, update: &Update, now: &mut Membership) -> Result<bool, Vec<Fault>> {
    let enrollment = update.enrollment_date.or(now.enrollment_date);
    let exit = update.exit_date.or(now.exit_date);
    if (enrollment, exit) == (now.enrollment_date, now.exit_date) {
        return Ok(false);
    }
    let mut faults = Vec::new();
    let crossed = exit.zip(enrollment).is_some_and(|(exit, enrollment)| exit < enrollment);
    let late = update.enrollment_date.is_some_and(|date| date > meta.last_date);
    if late || (crossed && update.exit_date.is_none()) {
        faults.push(Fault::at("/enrollment_date", Reason::EnrollmentDateInvalid));
    }
    if let Some(exit) = update.exit_date
        && (now.state != State::Exited || crossed || exit > meta.last_date)
    {
        faults.push(Fault::at("/exit_date", Reason::ExitDateInvalid));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    (now.enrollment_date, now.exit_date) = (enrollment, exit);
    Ok(true)
}
