//! A second interpreter of the rules, written from the contract's sentences over flat tables: slow, sequential, and
//! with nothing of the first one's structure. Rows are text; a request works on a copy of all tables.

use super::super::{
    Command, Enrollment, Meta, Registrant, RegistrantKind, RequestedState, State, membership_id,
};
use super::TODAY;
use super::words::event;
use std::collections::{BTreeMap, BTreeSet};
use time::Date;

pub(super) type Person = String;

/// A row of the memberships.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) state: &'static str,
    pub(super) spell: i32,
    pub(super) version: i32,
    pub(super) date: Option<Date>,
}

/// All there is, as flat tables.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tables {
    kinds: BTreeMap<Person, RegistrantKind>,
    /// (`REFERENCE`, source, value) or (`IDENTIFIER`, type, value) to its owner.
    pub(super) names: BTreeMap<(&'static str, String, String), Person>,
    /// (person, field) to what is stored; expiries and days of collection as `ids.<type>` and `phone_numbers.<number>`.
    pub(super) facts: BTreeMap<(Person, String), String>,
    members: BTreeMap<(Person, String), Row>,
}

/// What is compared of a decision: every line in words.
#[derive(Debug, PartialEq, Default)]
pub(super) struct Said {
    pub(super) status: String,
    pub(super) faults: Vec<String>,
    pub(super) items: Vec<String>,
    /// Sorted: the contract orders events of one membership only.
    pub(super) events: Vec<String>,
}

const PROGRAMS: [(&str, RegistrantKind, bool); 4] = [
    ("cash", RegistrantKind::Individual, false),
    ("food", RegistrantKind::Individual, false),
    ("old", RegistrantKind::Individual, true),
    ("homes", RegistrantKind::Group, false),
];

impl Tables {
    pub(super) fn settle(&mut self, registrant: &Registrant) {
        let person = registrant.registrant_id.0.to_string();
        self.kinds.insert(person.clone(), registrant.kind);
        for (name, facts) in registrant.names() {
            if let Some(day) = facts.expiry_date {
                self.facts.insert((person.clone(), format!("ids.{}", name.scope)), day.to_string());
            }
            self.names.insert((name.kind.as_str(), name.scope, name.value), person.clone());
        }
        let mut fact = |field: &str, value: String| {
            self.facts.insert((person.clone(), field.to_owned()), value)
        };
        registrant.name.clone().map(|name| fact("name", name));
        registrant.payment_address.clone().map(|pay| fact("payment_address", pay));
        registrant.disabled.then(|| fact("disabled", "true".to_owned()));
        for (number, day) in &registrant.phone_numbers {
            fact(
                &format!("phone_numbers.{number}"),
                day.map(|day| day.to_string()).unwrap_or_default(),
            );
        }
        for membership in &registrant.memberships {
            let program = PROGRAMS
                .iter()
                .find(|program| super::ProgramId::of(program.0) == membership.program_id)
                .unwrap();
            let row = Row {
                id: membership.membership_id.0.to_string(),
                state: membership.state.as_str(),
                spell: membership.spell,
                version: membership.version,
                date: membership.enrollment_date,
            };
            self.members.insert((person.clone(), program.0.to_owned()), row);
        }
    }

    /// Carries out a request.
    pub(super) fn request(&mut self, meta: &Meta, command: &Command) -> Said {
        let Command::Enroll(request) = command;
        let before = self.clone();
        let mut said = Said::default();
        match self.enroll(meta, request, &before, &mut said) {
            Ok(person) => {
                said.events.sort();
                if said.status.is_empty() {
                    let changed = *self != before;
                    said.status = if changed { "Applied" } else { "Unchanged" }.to_owned();
                }
                self.tell_items(&person, &mut said);
            }
            Err(person) => {
                *self = before;
                said.events.clear();
                said.status = "Rejected".to_owned();
                self.tell_items(&person, &mut said);
            }
        }
        said
    }

    /// Adds to every item whose it is and how its membership stands.
    fn tell_items(&self, person: &str, said: &mut Said) {
        for item in &mut said.items {
            let program = item.split(' ').nth(1).unwrap().to_owned();
            let row = self.members.get(&(person.to_owned(), program));
            let known = if self.kinds.contains_key(person) { person } else { "-" };
            let stands = row.map(|row| format!("{} {} {}", row.id, row.state, row.version));
            *item = format!("{item} {known} {}", stands.unwrap_or_default());
        }
    }

    fn enroll(
        &mut self,
        meta: &Meta,
        request: &Enrollment,
        before: &Self,
        said: &mut Said,
    ) -> Result<Person, Person> {
        let info = &request.registrant;
        let person = self.who(meta, info, said)?;
        let is_new = !self.kinds.contains_key(&person);
        if *self.kinds.entry(person.clone()).or_insert(info.kind) != info.kind {
            said.faults.push("/registrant/kind RegistrantKindMismatch".to_owned());
            return Err(person);
        }
        self.tell(meta, info, &person);
        let mut moved = BTreeSet::new();
        let mut events = Vec::new();
        let (mut good, mut bad) = (0, 0);
        for (index, item) in request.program_memberships.iter().enumerate() {
            let at = format!("/program_memberships/{index}");
            let wants = item.state == RequestedState::Enrolled;
            let result = self.item(meta, &person, &item.program, wants, item.enrollment_date, &at);
            let line = match result {
                Ok(true) => {
                    moved.insert(item.program.clone());
                    let row = &self.members[&(person.clone(), item.program.clone())];
                    let change = if wants { "Enrolled" } else { "Drafted" };
                    let was = (row.version > 1).then_some(State::Draft);
                    let day = row.date.unwrap_or(meta.today);
                    events.push((
                        item.program.clone(),
                        format!("{change} {was:?} {day}"),
                        row.clone(),
                    ));
                    good += 1;
                    "Applied MembershipChanged".to_owned()
                }
                Ok(false) => {
                    good += 1;
                    "Unchanged MembershipUnchanged".to_owned()
                }
                Err(faults) => {
                    bad += 1;
                    let first = faults[0].split(' ').nth(1).unwrap().to_owned();
                    said.faults.extend(faults);
                    format!("Rejected {first}")
                }
            };
            said.items.push(format!("{at} {} {line}", item.program));
        }
        if bad > 0 && (request.atomic || good == 0) {
            for item in said.items.iter_mut().filter(|item| !item.contains("Rejected")) {
                let place: Vec<_> = item.split(' ').take(2).collect();
                *item = format!("{} Rejected RequestAtomic", place.join(" "));
            }
            return Err(person);
        }
        if bad > 0 {
            "Partial".clone_into(&mut said.status);
        }
        if !is_new
            && info.kind == RegistrantKind::Individual
            && self.paid(&person) != before.paid(&person)
        {
            for ((owner, program), row) in &mut self.members {
                if *owner == person
                    && !moved.contains(program)
                    && ["DRAFT", "ENROLLED", "PAUSED"].contains(&row.state)
                {
                    row.version += 1;
                    let was = Some(State::parse(row.state).unwrap());
                    events.push((
                        program.clone(),
                        format!("PayeeChanged {was:?} {}", meta.today),
                        row.clone(),
                    ));
                }
            }
        }
        let payee = match info.kind {
            RegistrantKind::Individual => format!("{:?}", self.paid(&person)),
            RegistrantKind::Group => "nobody".to_owned(),
        };
        let reference = self.reference(meta, &person);
        for (program, what, row) in events {
            said.events.push(event(&program, &what, &row, &reference, &payee));
        }
        Ok(person)
    }

    /// Whether the item changes something, or the rules that it breaks.
    #[expect(clippy::too_many_arguments, reason = "all of the item, in one line of the model")]
    fn item(
        &mut self,
        meta: &Meta,
        person: &str,
        code: &str,
        wants: bool,
        date: Option<Date>,
        at: &str,
    ) -> Result<bool, Vec<String>> {
        let Some((_, target, ended)) = PROGRAMS.iter().find(|program| program.0 == code) else {
            return Err(vec![format!("{at}/program ProgramNotFound")]);
        };
        if *target != self.kinds[person] {
            return Err(vec![format!("{at}/program ProgramTargetTypeMismatch")]);
        }
        let place = (person.to_owned(), code.to_owned());
        let row = self.members.get(&place).cloned();
        match row.as_ref().map(|row| row.state) {
            None => {}
            Some("DRAFT") if wants => {}
            Some(state) if state == if wants { "ENROLLED" } else { "DRAFT" } => {
                return match date {
                    Some(date) if row.unwrap().date != Some(date) => {
                        Err(vec![format!("{at}/enrollment_date MembershipAlreadyEnrolled")])
                    }
                    _ => Ok(false),
                };
            }
            Some(_) => return Err(vec![format!("{at} StateTransitionInvalid")]),
        }
        let mut faults = Vec::new();
        if *ended {
            faults.push(format!("{at}/program ProgramEnded"));
        }
        if self.facts.contains_key(&(person.to_owned(), "disabled".to_owned())) {
            faults.push(format!("{at} RegistrantDisabled"));
        }
        if date.is_some_and(|date| (date - meta.today).whole_days() > 366) {
            faults.push(format!("{at}/enrollment_date EnrollmentDateInvalid"));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut now = row.unwrap_or_else(|| Row {
            id: membership_id(meta.recorded_at, &meta.source, &meta.message_id, at).0.to_string(),
            state: "",
            spell: 1,
            version: 0,
            date: None,
        });
        now.version += 1;
        now.state = if wants { "ENROLLED" } else { "DRAFT" };
        now.date = date.or(now.date).or_else(|| wants.then_some(meta.today));
        self.members.insert(place, now);
        Ok(true)
    }

    /// "A published fact of a payee: `payment_address`, disabled, ids."
    fn paid(&self, person: &str) -> (Vec<(String, String)>, Option<String>, bool) {
        let ids =
            self.names.iter().filter(|(name, owner)| *owner == person && name.0 == "IDENTIFIER");
        let fact = |field: &str| self.facts.get(&(person.to_owned(), field.to_owned())).cloned();
        let ids = ids.map(|(name, _)| (name.1.clone(), name.2.clone())).collect();
        (ids, fact("payment_address"), fact("disabled").is_some())
    }

    fn reference(&self, meta: &Meta, person: &str) -> String {
        let mine =
            self.names.iter().filter(|(name, owner)| *owner == person && name.0 == "REFERENCE");
        let mine: Vec<_> = mine.map(|(name, _)| (name.1.clone(), name.2.clone())).collect();
        let own = mine.iter().find(|(source, _)| *source == meta.source);
        format!("{:?}", own.or(mine.first()))
    }
}

#[test]
fn the_model_knows_the_rules() {
    assert_eq!((super::meta("m").last_date - TODAY).whole_days(), 366);
    for (code, target, ended) in PROGRAMS {
        let set = super::world();
        let program = set.program(code).unwrap();
        assert_eq!(
            (program.target_type, program.state == super::ProgramState::Ended),
            (target, ended)
        );
    }
}
