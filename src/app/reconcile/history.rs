//! State against history, and history against the numbers of events: events = state = history (P4).

use super::report::{Check, Finding};
use super::streams::Numbers;
use crate::contract::shard;
use crate::store::reconcile::{HistoryRow, MembershipRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// Up to which id two pages of one snapshot, each cut off at `limit` rows, can be compared; none if both are whole. The
/// last membership of a cut-off page may have more history than the page has; the nil id says that it alone fills the
/// page, so that a longer one is needed.
pub(super) fn bound(
    memberships: &[MembershipRow],
    history: &[HistoryRow],
    limit: usize,
) -> Option<Uuid> {
    let of_memberships =
        (memberships.len() >= limit).then(|| memberships.last().map(|row| row.membership_id));
    let of_history = (history.len() >= limit).then(|| {
        let last = history.last()?.membership_id;
        let earlier = history.iter().rev().map(|row| row.membership_id).find(|id| *id != last);
        Some(earlier.unwrap_or(Uuid::nil()))
    });
    [of_memberships.flatten(), of_history.flatten()].into_iter().flatten().min()
}

/// Compares memberships with their changes, both sorted by id and complete between the same ids.
pub(super) fn compare(
    mut memberships: &[MembershipRow],
    history: &[HistoryRow],
    check: &mut Check,
    references: &mut Check,
) {
    let orphan = |row: &MembershipRow, check: &mut Check| {
        check.find(Finding {
            registrant_id: Some(row.registrant_id),
            ..Finding::at_membership("a state without event: it has no history", row.membership_id)
        });
    };
    for changes in history.chunk_by(|a, b| a.membership_id == b.membership_id) {
        let Some(last) = changes.last() else { continue };
        check.checked += 1;
        references.checked += 1;
        if let Some(change) = changes.iter().find(|change| !change.has_program) {
            let what = format!(
                "version {} in the history is of a program that does not exist",
                change.version
            );
            references.find(Finding::at_membership(what, change.membership_id));
        }
        versions(changes, check);
        while let [first, rest @ ..] = memberships
            && first.membership_id < last.membership_id
        {
            orphan(first, check);
            memberships = rest;
        }
        match memberships {
            [first, rest @ ..] if first.membership_id == last.membership_id => {
                state(first, last, check);
                memberships = rest;
            }
            _ if last.state.is_some() => {
                let what = format!(
                    "an event without state: the history ends with version {}, the membership is missing",
                    last.version
                );
                check.find(Finding::at_membership(what, last.membership_id));
            }
            _ => {}
        }
    }
    for row in memberships {
        orphan(row, check);
    }
}

/// The references of memberships.
pub(super) fn owners(memberships: &[MembershipRow], check: &mut Check) {
    for row in memberships {
        check.checked += 1;
        let at = |what: &str| Finding {
            registrant_id: Some(row.registrant_id),
            ..Finding::at_membership(what, row.membership_id)
        };
        if !row.has_registrant {
            check.find(at("an orphan: the membership's registrant does not exist"));
        }
        if !row.has_program {
            check.find(at("an orphan: the membership's program does not exist"));
        }
    }
}

fn versions(changes: &[HistoryRow], check: &mut Check) {
    for (expected, change) in (1..).zip(changes) {
        if change.version != expected {
            let what =
                format!("the history has version {} where {expected} is due", change.version);
            check.find(Finding::at_membership(what, change.membership_id));
            return;
        }
    }
    let removed = changes.iter().rev().skip(1).find(|change| change.state.is_none());
    if let Some(change) = removed {
        let what = format!("the history goes on after the removal by version {}", change.version);
        check.find(Finding::at_membership(what, change.membership_id));
    }
}

fn state(row: &MembershipRow, last: &HistoryRow, check: &mut Check) {
    let mut differs = Vec::new();
    if row.version != last.version {
        differs.push(format!("version {} against {}", row.version, last.version));
    }
    match &last.state {
        Some(state) if *state == row.state => {}
        Some(state) => differs.push(format!("state {} against {state}", row.state)),
        None => differs.push(format!("state {} against its removal", row.state)),
    }
    let facts = [
        ("spell", row.spell == last.spell),
        ("registrant", row.registrant_id == last.registrant_id),
        ("program", row.program_id == last.program_id),
        ("enrollment_date", row.enrollment_date == last.enrollment_date),
        ("exit_date", row.exit_date == last.exit_date),
    ];
    differs.extend(facts.iter().filter(|fact| !fact.1).map(|fact| fact.0.to_owned()));
    if !differs.is_empty() {
        let what = format!("the state is not that of the last change: {}", differs.join(", "));
        check.find(Finding {
            registrant_id: Some(row.registrant_id),
            ..Finding::at_membership(what, row.membership_id)
        });
    }
}

/// How many changes the history has, by shard of the membership's events.
///
/// The changes are counted in many snapshots, so what is counted is set against the numbers twice: all of it must lie
/// between the numbers that were given before the count and after it (rows never change and never go, so the count
/// holds at least what was there before); and what is older than a cut must be equal. The cut lies further back than a
/// transaction can last, so none can still add something older. Where nothing is written meanwhile, both are exact.
#[derive(Debug)]
pub(super) struct Tally {
    cut: OffsetDateTime,
    /// All changes, and those before the cut.
    counts: Vec<(i64, i64)>,
}

impl Tally {
    pub(super) fn new(cut: OffsetDateTime, shards: u32) -> Self {
        Self { cut, counts: vec![(0, 0); shards as usize] }
    }

    pub(super) fn count(&mut self, history: &[HistoryRow]) {
        for row in history {
            let key = row.membership_id.to_string();
            let shard = shard(key.as_bytes(), self.counts.len() as u32);
            if let Some((all, before_cut)) = self.counts.get_mut(shard as usize) {
                *all += 1;
                *before_cut += i64::from(row.recorded_at < self.cut);
            }
        }
    }

    /// Sets a shard's count against the numbers given before, and the number after the last one given afterwards.
    pub(super) fn judge(
        &self,
        shard: usize,
        stream: i16,
        before: Numbers,
        next: i64,
        check: &mut Check,
    ) {
        let Some((all, before_cut)) = self.counts.get(shard).copied() else {
            return;
        };
        check.checked += all as u64;
        let given = before.given..=before.given + (next - before.next.max(1));
        if !given.contains(&all) || before_cut != before.given_before_cut {
            let what = format!(
                "the history has {all} changes of this shard, {} events were numbered",
                before.given
            );
            check.find(Finding::at_number(what, stream, before.next.max(1) - 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn change(id: u128, version: i32, state: Option<&str>) -> HistoryRow {
        HistoryRow {
            membership_id: Uuid::from_u128(id),
            version,
            change: String::new(),
            state: state.map(str::to_owned),
            spell: 1,
            registrant_id: Uuid::nil(),
            program_id: Uuid::nil(),
            enrollment_date: None,
            exit_date: None,
            recorded_at: AT,
            has_program: true,
        }
    }

    fn membership(id: u128, version: i32, state: &str) -> MembershipRow {
        MembershipRow {
            membership_id: Uuid::from_u128(id),
            version,
            state: state.to_owned(),
            spell: 1,
            registrant_id: Uuid::nil(),
            program_id: Uuid::nil(),
            enrollment_date: None,
            exit_date: None,
            has_registrant: true,
            has_program: true,
        }
    }

    fn found(memberships: &[MembershipRow], history: &[HistoryRow]) -> Vec<u128> {
        let (mut check, mut references) = (Check::new("history"), Check::new("references"));
        compare(memberships, history, &mut check, &mut references);
        check.findings.iter().map(|finding| finding.membership_id.unwrap().as_u128()).collect()
    }

    #[test]
    fn state_follows_history() {
        let (enrolled, paused) = (Some("ENROLLED"), Some("PAUSED"));
        let history = [
            change(1, 1, enrolled),
            change(1, 2, paused),
            change(2, 1, enrolled),
            change(2, 2, None),
        ];
        assert_eq!(found(&[membership(1, 2, "PAUSED")], &history), Vec::<u128>::new());
        assert_eq!(found(&[membership(1, 1, "PAUSED")], &history), [1]);
        assert_eq!(found(&[membership(1, 2, "ENROLLED")], &history), [1]);
        assert_eq!(found(&[], &history), [1]);
        assert_eq!(found(&[membership(1, 2, "PAUSED"), membership(2, 2, "PAUSED")], &history), [2]);
        let stateless =
            [membership(0, 1, "DRAFT"), membership(1, 2, "PAUSED"), membership(9, 1, "DRAFT")];
        assert_eq!(found(&stateless, &history), [0, 9]);
        assert_eq!(
            found(&[membership(1, 2, "PAUSED")], &history[1..]),
            [1],
            "version 1 is missing"
        );
        let spell = MembershipRow { spell: 2, ..membership(1, 2, "PAUSED") };
        assert_eq!(found(&[spell], &history), [1]);
    }

    #[test]
    fn pages_are_compared_as_far_as_both_are_whole() {
        let id = Uuid::from_u128;
        let history = [change(1, 1, None), change(2, 1, None), change(2, 2, None)];
        let memberships = [membership(1, 1, ""), membership(5, 1, ""), membership(6, 1, "")];
        assert_eq!(bound(&memberships, &history, 9), None);
        assert_eq!(bound(&memberships, &history, 3), Some(id(1)));
        assert_eq!(bound(&memberships, &history[..2], 3), Some(id(6)));
        assert_eq!(
            bound(&memberships, &history[1..], 2),
            Some(Uuid::nil()),
            "a longer page is needed"
        );
    }

    #[test]
    fn the_history_has_as_many_changes_as_numbers_were_given() {
        let mut tally = Tally::new(AT, 1);
        tally.count(&[change(1, 1, None), change(2, 1, None), change(2, 2, None)]);
        let found = |given, next| {
            let mut check = Check::new("numbers");
            tally.judge(
                0,
                1000,
                Numbers { next: given + 1, given, given_before_cut: 0 },
                next,
                &mut check,
            );
            check.findings.len()
        };
        assert_eq!(found(3, 4), 0);
        assert_eq!(found(2, 4), 0, "one came meanwhile");
        assert_eq!(found(2, 3), 1);
        assert_eq!(found(4, 5), 1);
    }
}
