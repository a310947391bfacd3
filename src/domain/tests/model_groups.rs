//! The model's groups and members.

use super::super::{GroupChange, GroupMode, Meta, RegistrantInfo, RegistrantKind};
use super::model::{Course, Person, Said, Tables};
use super::model_items::far;
use super::model_registrants::{mentioned, who};
use std::collections::BTreeSet;

impl Tables {
    /// "A broken rule of the group or of a member's naming, kind or dates refuses the whole request."
    pub(super) fn group(&mut self, meta: &Meta, request: &GroupChange) -> Said {
        let before = self.clone();
        let mut faults = Vec::new();
        // Names that stood before the request, and those that it gave so far.
        let mut names = self.names.clone();
        let mut meant = |tables: &mut Self, info: &RegistrantInfo, at: &str, kind| {
            let person = who(&names, meta, info, at)?;
            let stands = *tables.kinds.entry(person.clone()).or_insert(info.kind);
            tables.tell(meta, info, &person);
            for name in mentioned(meta, info) {
                names.insert(name, person.clone());
            }
            Ok::<_, String>((person, stands == info.kind && info.kind == kind))
        };
        let group: Option<Person> =
            match meant(self, &request.group, "/group", RegistrantKind::Group) {
                Err(fault) => {
                    faults.push(fault);
                    None
                }
                Ok((group, fits)) => {
                    if !fits {
                        faults.push("/group/kind RegistrantKindMismatch".to_owned());
                    }
                    Some(group)
                }
            };
        // Nobody's group keeps the places of a group that is not known.
        let own = group.clone().unwrap_or_else(|| "?".to_owned());
        let mut named = Vec::new();
        let mut seen = BTreeSet::new();
        for (index, member) in request.members.iter().enumerate() {
            let at = format!("/members/{index}/individual");
            let mut person = None;
            match meant(self, &member.individual, &at, RegistrantKind::Individual) {
                Err(fault) => faults.push(fault),
                Ok((known, _)) if Some(&known) == group.as_ref() => {
                    faults.push(format!("{at} GroupSelfMember"));
                }
                Ok((known, fits)) => {
                    if !fits {
                        faults.push(format!("{at}/kind RegistrantKindMismatch"));
                    }
                    if !seen.insert(known.clone()) {
                        faults.push(format!("{at} GroupMemberDuplicate"));
                    }
                    person = Some(known);
                }
            }
            let row = person.as_ref().and_then(|p| self.members.get(&(own.clone(), p.clone())));
            let is_member = row.is_some_and(|row| row.2.is_none());
            let ends = member.ended_date.is_some();
            let (mut kinds, start) = match row {
                Some(row) if is_member || ends => (row.0.clone(), row.1),
                _ => match member.ended_date {
                    Some(ended) if ended < meta.today => (Vec::new(), ended),
                    _ => (Vec::new(), meta.today),
                },
            };
            if let Some(given) = &member.kinds {
                let once: BTreeSet<_> = given.iter().cloned().collect();
                kinds = once.into_iter().collect();
            }
            let start = member.start_date.unwrap_or(start);
            if member.ended_date.is_some_and(|ended| start > ended) {
                faults.push(format!("/members/{index}/ended_date GroupMemberDatesInvalid"));
            }
            if member.start_date.is_some_and(|start| far(meta, start)) {
                faults.push(format!("/members/{index}/start_date GroupMemberDatesInvalid"));
            }
            if let Some(person) = person {
                let place = (own.clone(), person.clone());
                self.members.insert(place, (kinds, start, member.ended_date));
                named.push((person, index));
            }
        }
        for ((of, person), row) in &mut self.members {
            let stays = request.mode == GroupMode::Merge || seen.contains(person);
            if *of == own && row.2.is_none() && !stays {
                row.2 = Some(meta.today);
            }
        }
        let heads = self.members.iter().filter(|((of, _), (kinds, _, ended))| {
            *of == own && ended.is_none() && kinds.iter().any(|kind| kind == "Head")
        });
        if heads.count() > 1 {
            faults.push("/members GroupHeadNotUnique".to_owned());
        }
        if !faults.is_empty() {
            *self = before;
            return Said::refused(faults);
        }
        let mut course = Course::default();
        for (person, index) in named {
            let items = &request.members[index].program_memberships;
            self.items(meta, &person, items, &format!("/members/{index}"), &mut course);
        }
        self.items(meta, &own, &request.program_memberships, "", &mut course);
        self.finish(before, meta, &own, course, request.atomic)
    }
}
