//! A request that was answered before, though its programs have other names by now: where a name stands for no program any
//! more, the one is taken that stood in the same place then.

use super::body::{Group, Individual, Membership};
use super::command::Programs;
use crate::contract::wire::ResultItem;
use std::collections::BTreeMap;

fn recall(
    programs: &mut BTreeMap<String, String>,
    (given, pointer): (Option<&Vec<Membership>>, &str),
    before: &[ResultItem],
) {
    for (n, membership) in given.into_iter().flatten().enumerate() {
        let place = format!("{pointer}/program_memberships/{n}");
        let item = before.iter().find(|item| item.pointer == place);
        if let (Some(name), Some(item)) = (&membership.name, item) {
            programs.entry(name.clone()).or_insert_with(|| item.program.clone());
        }
    }
}

impl Individual {
    /// Adds the programs that it asked for when it was answered with these items.
    pub(super) fn recall(&self, programs: &mut Programs, before: &[ResultItem]) {
        recall(&mut programs.individual, (self.program_memberships.as_ref(), ""), before);
    }
}

impl Group {
    /// Adds the programs that it asked for when it was answered with these items.
    pub(super) fn recall(&self, programs: &mut Programs, before: &[ResultItem]) {
        recall(&mut programs.group, (self.program_memberships.as_ref(), ""), before);
        for (n, member) in self.members.iter().enumerate() {
            let pointer = format!("/members/{n}");
            let given = (member.program_memberships.as_ref(), pointer.as_str());
            recall(&mut programs.individual, given, before);
        }
    }
}
