//! The rules of a group and its members.

use super::{
    Decision, Fault, GroupChange, GroupMode, MemberIn, Meta, Place, Reason, RegistrantId,
    RegistrantInfo, RegistrantKind, WorkingSet, conclude::Items, enroll::enroll_all,
    overlay::Overlay,
};
use std::collections::BTreeMap;

/// Decides a change of a group: who is meant, everybody's facts, the members' places, then item after item.
pub(super) fn decide(meta: &Meta, change: &GroupChange, set: &mut WorkingSet) -> Decision {
    let mut overlay = Overlay::new(meta, set);
    let mut naming = Naming::default();
    let group = naming.tell(&mut overlay, &change.group, "/group", RegistrantKind::Group);
    let mut members = BTreeMap::new();
    if let Some(group) = group {
        members.clone_from(&overlay.now(group).members);
    }
    let mut named = Vec::with_capacity(change.members.len());
    for (index, member) in change.members.iter().enumerate() {
        let at = format!("/members/{index}/individual");
        let who = naming.member(&mut overlay, &member.individual, at, group);
        let id = who.map(|who| overlay.now(who).registrant_id);
        let place = place(meta, member, id.and_then(|id| members.get(&id)));
        check_dates(meta, member, &place, index, &mut naming.faults);
        if let Some((who, id)) = who.zip(id) {
            members.insert(id, place);
            named.push((who, index));
        }
    }
    if change.mode == GroupMode::Replace {
        for (id, place) in &mut members {
            if place.ended_date.is_none() && !naming.seen.contains_key(id) {
                place.ended_date = Some(meta.today);
            }
        }
    }
    let heads = members.values().filter(|place| place.is_head(overlay.set().head_kind()));
    if heads.count() > 1 {
        naming.faults.push(Fault::at("/members", Reason::GroupHeadNotUnique));
    }
    let (true, Some(group)) = (naming.faults.is_empty(), group) else {
        return Decision::rejected(naming.faults);
    };
    overlay.now(group).members = members;

    let mut items = Items::default();
    for (who, index) in named {
        if let Some(member) = change.members.get(index) {
            let at = format!("/members/{index}");
            enroll_all(&member.program_memberships, &at, who, &mut overlay, &mut items);
        }
    }
    enroll_all(&change.program_memberships, "", group, &mut overlay, &mut items);
    let (decision, changes) = items.conclude(overlay, change.atomic);
    set.take(changes);
    decision
}

/// Finds out who is meant by each info, in the order of the message, and notes every rule that is broken.
#[derive(Debug, Default)]
struct Naming {
    faults: Vec<Fault>,
    /// The members so far.
    seen: BTreeMap<RegistrantId, usize>,
}

impl Naming {
    /// The number of the registrant whom `info` means, who must be of the kind `wanted`.
    fn tell(
        &mut self,
        overlay: &mut Overlay<'_>,
        info: &RegistrantInfo,
        at: &str,
        wanted: RegistrantKind,
    ) -> Option<usize> {
        match overlay.tell(info, at) {
            Err(fault) => {
                self.faults.push(fault);
                None
            }
            Ok((who, fits)) => {
                overlay.give_names(info, who);
                if !fits || info.kind != wanted {
                    let at = format!("{at}/kind");
                    self.faults.push(Fault::at(at, Reason::RegistrantKindMismatch));
                }
                Some(who)
            }
        }
    }

    /// The number of a member who has a place: not the group itself.
    fn member(
        &mut self,
        overlay: &mut Overlay<'_>,
        info: &RegistrantInfo,
        at: String,
        group: Option<usize>,
    ) -> Option<usize> {
        let before = self.faults.len();
        let who = self.tell(overlay, info, &at, RegistrantKind::Individual)?;
        if Some(who) == group {
            self.faults.truncate(before);
            self.faults.push(Fault::at(at, Reason::GroupSelfMember));
            return None;
        }
        let id = overlay.now(who).registrant_id;
        if self.seen.insert(id, who).is_some() {
            self.faults.push(Fault::at(at, Reason::GroupMemberDuplicate));
        }
        Some(who)
    }
}

/// The place that a member has after the request.
fn place(meta: &Meta, member: &MemberIn, stored: Option<&Place>) -> Place {
    let returns = member.ended_date.is_none();
    // Who is a member again comes with what the request says and nothing else.
    let kept = stored.filter(|place| !returns || place.ended_date.is_none());
    let mut kinds = match (&member.kinds, kept) {
        (Some(given), _) => given.clone(),
        (None, Some(kept)) => kept.kinds.clone(),
        (None, None) => Vec::new(),
    };
    kinds.sort();
    kinds.dedup();
    // One who has ended already did not begin today.
    let begins = member.ended_date.map_or(meta.today, |ended| ended.min(meta.today));
    Place {
        kinds,
        start_date: member.start_date.or(kept.map(|kept| kept.start_date)).unwrap_or(begins),
        ended_date: member.ended_date,
    }
}

fn check_dates(
    meta: &Meta,
    member: &MemberIn,
    place: &Place,
    index: usize,
    faults: &mut Vec<Fault>,
) {
    let mut broken = |field: &str| {
        let at = format!("/members/{index}/{field}");
        faults.push(Fault::at(at, Reason::GroupMemberDatesInvalid));
    };
    if place.ended_date.is_some_and(|ended| ended < place.start_date) {
        broken("ended_date");
    }
    if member.start_date.is_some_and(|start| start > meta.last_date) {
        broken("start_date");
    }
}
