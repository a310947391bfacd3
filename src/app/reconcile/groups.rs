//! Members of groups against the registrants that they are, and who is the head.

use super::Unchecked;
use super::report::{Check, Finding};
use super::walk::{PAGE, Walk};
use crate::store::reconcile::{self as read, MemberRow};
use uuid::Uuid;

impl Walk<'_> {
    /// Each page is one statement, so one snapshot; a group's members move in one transaction, and registrants never go.
    pub(super) async fn groups(&self) -> Result<Check, Unchecked> {
        const NAME: &str = "groups";
        let mut check = Check::new(NAME);
        let mut connection = self.pool.acquire().await?;
        let mut after = (Uuid::nil(), Uuid::nil());
        loop {
            let page = read::members_after(&mut connection, after, PAGE as i64).await?;
            let Some(last) = page.last() else { break };
            after = (last.group_id, last.individual_id);
            for row in &page {
                judge(row, &self.settings.groups.head_kind, &mut check);
            }
            (self.watch)(NAME, page.len() as u64);
        }
        Ok(check)
    }
}

fn judge(row: &MemberRow, head_kind: &str, check: &mut Check) {
    check.checked += 1;
    let mut find = |what: &str| {
        check.find(Finding {
            group_id: Some(row.group_id),
            registrant_id: Some(row.individual_id),
            ..Finding::new(what)
        });
    };
    match row.group_kind.as_deref() {
        Some("GROUP") => {}
        Some(_) => find("a member of what is no group"),
        None => find("an orphan: the member's group does not exist"),
    }
    match row.individual_kind.as_deref() {
        Some("INDIVIDUAL") => {}
        Some(_) => find("a member that is no individual"),
        None => find("an orphan: the member does not exist"),
    }
    let should_be = !row.has_ended && row.kinds.iter().any(|kind| kind == head_kind);
    match (row.is_head, should_be) {
        (true, false) if row.has_ended => find("a head that has ended as a member"),
        (true, false) => find("a head without the kind that makes one"),
        (false, true) => find("a member with the kind that makes a head is none"),
        _ => {}
    }
    if row.is_head && row.heads > 1 {
        find("a group with more than one head");
    }
}
