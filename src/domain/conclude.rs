//! The end of every request: its outcome, who is paid now, and what the working set takes over.

use super::{
    Change, ChangeEvent, Decision, Fault, ItemDecision, ItemOutcome, Membership, MembershipId,
    Payee, PublishedRegistrant, Reason, Registrant, RegistrantId, RegistrantKind, State, Status,
    overlay::{Copy, Overlay},
};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use time::Date;

/// A change of a membership; who is paid for it stands at the end of the request only.
#[derive(Debug)]
pub(super) struct Move {
    pub(super) change: Change,
    pub(super) previous_state: Option<State>,
    /// After the change; after REMOVE its last facts.
    pub(super) membership: Membership,
    pub(super) effective_date: Date,
    pub(super) reason: Option<(String, Option<String>)>,
}

/// What an item came to: a change, nothing because it already is so, or the rules that it breaks.
pub(super) type Decided = Result<Option<Move>, Vec<Fault>>;

/// An item of a request and what it came to.
#[derive(Debug)]
struct Item {
    pointer: String,
    program: String,
    /// Number of the copy; none: nobody is meant.
    who: Option<usize>,
    outcome: ItemOutcome,
    reason: Reason,
}

/// What the working set takes over of a request.
#[derive(Debug)]
pub(super) struct Changes {
    /// Registrants, and whether something was told of them.
    pub(super) registrants: Vec<(Registrant, bool)>,
    /// Memberships (none: removed).
    pub(super) memberships: BTreeMap<MembershipId, Option<Membership>>,
}

/// Items as they are decided one after the other.
#[derive(Debug, Default)]
pub(super) struct Items {
    decided: Vec<Item>,
    faults: Vec<Fault>,
    moves: Vec<Move>,
}

impl Items {
    /// Adds an item of the registrant with the number `who`.
    pub(super) fn push(
        &mut self,
        pointer: String,
        program: &str,
        who: Option<usize>,
        decided: Decided,
    ) {
        let (outcome, reason) = match decided {
            Ok(Some(change)) => {
                self.moves.push(change);
                (ItemOutcome::Applied, Reason::MembershipChanged)
            }
            Ok(None) => (ItemOutcome::Unchanged, Reason::MembershipUnchanged),
            Err(broken) => {
                let first = broken.first().map_or(Reason::FieldInvalid, |fault| fault.reason);
                self.faults.extend(broken);
                (ItemOutcome::Rejected, first)
            }
        };
        self.decided.push(Item { pointer, program: program.to_owned(), who, outcome, reason });
    }

    /// The decision on the request whose first copy is whom it concerns, and what changes by it.
    pub(super) fn conclude(
        mut self,
        mut overlay: Overlay<'_>,
        atomic: bool,
    ) -> (Decision, Option<Changes>) {
        let refused = self.decided.iter().filter(|i| i.outcome == ItemOutcome::Rejected).count();
        if refused > 0 && (atomic || refused == self.decided.len()) {
            return (self.refuse(&overlay), None);
        }
        announce_payees(&mut overlay, &mut self.moves);
        let status = if refused > 0 {
            Status::Partial
        } else if !self.moves.is_empty() || overlay.copies().iter().any(Copy::changed) {
            Status::Applied
        } else {
            Status::Unchanged
        };
        let memberships = self
            .moves
            .iter()
            .map(|change| {
                let there = change.change != Change::Removed;
                (change.membership.membership_id, there.then(|| change.membership.clone()))
            })
            .collect();
        let moved: HashSet<_> = self.moves.iter().map(|m| m.membership.registrant_id).collect();
        let decision = Decision {
            status,
            registrant_id: overlay.copies().first().map(|copy| copy.now.registrant_id),
            faults: self.faults,
            items: describe(self.decided, &overlay, |copy| Some(&copy.now), &self.moves),
            events: publish(self.moves, &overlay),
        };
        let registrants = overlay
            .into_copies()
            .into_iter()
            .filter(|copy| copy.changed() || moved.contains(&copy.now.registrant_id))
            .map(|copy| (copy.now, copy.told))
            .collect();
        (decision, Some(Changes { registrants, memberships }))
    }

    fn refuse(mut self, overlay: &Overlay<'_>) -> Decision {
        for item in self.decided.iter_mut().filter(|item| item.outcome != ItemOutcome::Rejected) {
            (item.outcome, item.reason) = (ItemOutcome::Rejected, Reason::RequestAtomic);
        }
        let known = overlay.copies().first().and_then(|copy| copy.before);
        Decision {
            status: Status::Rejected,
            registrant_id: known.map(|registrant| registrant.registrant_id),
            faults: self.faults,
            items: describe(self.decided, overlay, |copy| copy.before, &[]),
            events: Vec::new(),
        }
    }
}

/// The items as the result tells them: with the membership that there is after the request, or that it removed.
fn describe<'a>(
    items: Vec<Item>,
    overlay: &'a Overlay<'_>,
    stands: impl Fn(&'a Copy<'_>) -> Option<&'a Registrant>,
    moves: &[Move],
) -> Vec<ItemDecision> {
    items
        .into_iter()
        .map(|Item { pointer, program, who, outcome, reason }| {
            let registrant = who.and_then(|who| stands(overlay.copies().get(who)?));
            let membership =
                overlay.program(&program).zip(registrant).and_then(|(program, who)| {
                    let there = who.memberships.iter().find(|m| m.program_id == program.program_id);
                    let is_it = |gone: &&Move| {
                        let gone = (
                            gone.change,
                            gone.membership.registrant_id,
                            gone.membership.program_id,
                        );
                        gone == (Change::Removed, who.registrant_id, program.program_id)
                    };
                    let gone = || moves.iter().rev().find(is_it).map(|gone| &gone.membership);
                    let there = there.map(|m| (m.membership_id, Some(m.state), m.version));
                    there.or_else(|| gone().map(|m| (m.membership_id, None, m.version)))
                });
            ItemDecision {
                pointer,
                registrant_id: registrant.map(|registrant| registrant.registrant_id),
                membership,
                program,
                outcome,
                reason,
            }
        })
        .collect()
}

/// Every membership that payments follow, whose payee is another one now, and that the request did not move itself,
/// says who is paid.
fn announce_payees(overlay: &mut Overlay<'_>, moves: &mut Vec<Move>) {
    let concerned = concerned(overlay);
    if concerned.is_empty() {
        return;
    }
    let moved: HashSet<_> = moves.iter().map(|m| m.membership.membership_id).collect();
    let own = moves.len();
    let today = overlay.meta.today;
    for id in concerned {
        let Some(who) = overlay.copy(id) else { continue };
        let memberships = &mut overlay.now(who).memberships;
        for membership in memberships
            .iter_mut()
            .filter(|m| m.state.follows_payee() && !moved.contains(&m.membership_id))
        {
            membership.version += 1;
            moves.push(Move {
                change: Change::PayeeChanged,
                previous_state: Some(membership.state),
                membership: membership.clone(),
                effective_date: today,
                reason: None,
            });
        }
    }
    moves[own..].sort_by_key(|m| m.membership.membership_id);
}

/// Who was there before and is paid otherwise now: those whom the request tells of, and the groups that they head.
fn concerned(overlay: &Overlay<'_>) -> BTreeSet<RegistrantId> {
    let set = overlay.set();
    let head_kind = set.head_kind();
    let mut concerned = BTreeSet::new();
    for Copy { before, now, .. } in overlay.copies() {
        let Some(before) = before else { continue };
        let was = paid(before, head_kind, |id| set.person(id));
        let is = paid(now, head_kind, |id| overlay.person(id));
        let alike = match (was, is) {
            (Some(was), Some(is)) => paid_alike(was, is),
            (was, is) => was.is_none() && is.is_none(),
        };
        if !alike {
            concerned.insert(now.registrant_id);
            if now.kind == RegistrantKind::Individual {
                // A group whose head this was, and that the request changes itself, has its own turn.
                let headed = set.headed_by(now.registrant_id);
                concerned.extend(headed.filter(|id| !overlay.has_copy(*id)));
            }
        }
    }
    concerned
}

/// Who is paid for a registrant: an individual itself, for a group its Head.
fn paid<'r>(
    registrant: &'r Registrant,
    head_kind: &str,
    person: impl FnOnce(RegistrantId) -> Option<&'r Registrant>,
) -> Option<&'r Registrant> {
    match registrant.kind {
        RegistrantKind::Individual => Some(registrant),
        RegistrantKind::Group => person(registrant.head(head_kind)?),
    }
}

/// Whether two payees are published with the same facts.
fn paid_alike(one: &Registrant, other: &Registrant) -> bool {
    fn ids(registrant: &Registrant) -> impl Iterator<Item = (&String, &String)> {
        registrant.identifiers.iter().map(|(id_type, (value, _))| (id_type, value))
    }
    one.registrant_id == other.registrant_id
        && one.payment_address == other.payment_address
        && one.disabled == other.disabled
        && ids(one).eq(ids(other))
}

/// The events of a request, each with the payee as of its end.
fn publish(moves: Vec<Move>, overlay: &Overlay<'_>) -> Vec<ChangeEvent> {
    let mut events: Vec<ChangeEvent> = Vec::with_capacity(moves.len());
    for change in moves {
        let id = change.membership.registrant_id;
        let alike = events.last().filter(|last| last.registrant.registrant_id == id);
        let (registrant, payee) = if let Some(last) = alike {
            (last.registrant.clone(), last.payee.clone())
        } else {
            // Whose membership moved is among the copies.
            let Some(whose) = overlay.person(id) else { continue };
            who_is_paid(whose, overlay)
        };
        let (reason_code, reason_note) = change.reason.unzip();
        events.push(ChangeEvent {
            change: change.change,
            previous_state: change.previous_state,
            membership: change.membership,
            present: change.change != Change::Removed,
            effective_date: change.effective_date,
            reason_code,
            reason_note: reason_note.flatten(),
            registrant,
            payee,
        });
    }
    events
}

fn who_is_paid(whose: &Registrant, overlay: &Overlay<'_>) -> (PublishedRegistrant, Option<Payee>) {
    let source = &overlay.meta.source;
    let registrant = published(source, whose);
    let paid = paid(whose, overlay.set().head_kind(), |id| overlay.person(id));
    let payee = paid.map(|paid| Payee {
        registrant: if paid.registrant_id == whose.registrant_id {
            registrant.clone()
        } else {
            published(source, paid)
        },
        payment_address: paid.payment_address.clone(),
        disabled: paid.disabled,
    });
    (registrant, payee)
}

/// The registrant as events name it to everybody.
fn published(source: &String, registrant: &Registrant) -> PublishedRegistrant {
    let reference = registrant
        .references
        .get_key_value(source)
        .or_else(|| registrant.references.first_key_value());
    PublishedRegistrant {
        registrant_id: registrant.registrant_id,
        kind: registrant.kind,
        reference: reference.map(|(source, value)| (source.clone(), value.clone())),
        ids: registrant
            .identifiers
            .iter()
            .map(|(id_type, (value, _))| (id_type.clone(), value.clone()))
            .collect(),
    }
}
