//! A second interpreter of the rules, written from the contract's sentences over flat tables: slow, sequential, and
//! with nothing of the first one's structure. Rows are text; a request works on a copy of all tables.

use super::super::{Command, Enrollment, Meta, Patience, Registrant, RegistrantKind, State};
use super::TODAY;
use super::model_registrants::who;
use super::words::event;
use std::collections::BTreeMap;
use time::Date;

pub(super) type Person = String;

/// (`REFERENCE`, source, value) or (`IDENTIFIER`, type, value) to its owner.
pub(super) type Names = BTreeMap<(&'static str, String, String), Person>;

/// A row of the memberships.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) state: &'static str,
    pub(super) spell: i32,
    pub(super) version: i32,
    pub(super) date: Option<Date>,
    pub(super) exit: Option<Date>,
}

/// A row of the members: kinds, start, end.
pub(super) type Member = (Vec<String>, Date, Option<Date>);

/// All there is, as flat tables.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tables {
    pub(super) kinds: BTreeMap<Person, RegistrantKind>,
    pub(super) names: Names,
    /// (person, field) to what is stored; expiries and days of collection as `ids.<type>` and `phone_numbers.<number>`.
    pub(super) facts: BTreeMap<(Person, String), String>,
    /// (person, program) to the membership.
    pub(super) rows: BTreeMap<(Person, String), Row>,
    /// (group, person) to the place.
    pub(super) members: BTreeMap<(Person, Person), Member>,
}

/// What is compared of a decision: every line in words.
#[derive(Debug, PartialEq, Default)]
pub(super) struct Said {
    pub(super) status: String,
    pub(super) whom: String,
    pub(super) faults: Vec<String>,
    pub(super) items: Vec<String>,
    /// Sorted: the contract orders events of one membership only.
    pub(super) events: Vec<String>,
}

impl Said {
    pub(super) fn waits(what: &str) -> Self {
        Self { status: format!("Waits for {what}"), ..Self::default() }
    }

    pub(super) fn refused(faults: Vec<String>) -> Self {
        Self { status: "Rejected".to_owned(), whom: "-".to_owned(), faults, ..Self::default() }
    }
}

/// An event in the making: the row as the change left it, and what happened.
pub(super) struct Happened {
    pub(super) person: Person,
    pub(super) program: String,
    pub(super) what: String,
    pub(super) row: Row,
}

/// What the items of a request came to so far.
#[derive(Default)]
pub(super) struct Course {
    faults: Vec<String>,
    /// Pointer, program, whose, and what became of it.
    items: Vec<(String, String, Person, String)>,
    pub(super) happened: Vec<Happened>,
}

impl Course {
    /// Adds an item: whether it changed something, or what is broken.
    pub(super) fn item(
        &mut self,
        at: &str,
        program: &str,
        person: &str,
        came_to: Result<bool, Vec<String>>,
    ) {
        let line = match came_to {
            Ok(true) => "Applied MembershipChanged".to_owned(),
            Ok(false) => "Unchanged MembershipUnchanged".to_owned(),
            Err(faults) => {
                let first = format!("Rejected {}", faults[0].split(' ').nth(1).unwrap());
                self.faults.extend(faults);
                first
            }
        };
        self.items.push((at.to_owned(), program.to_owned(), person.to_owned(), line));
    }
}

pub(super) const PROGRAMS: [(&str, RegistrantKind, bool); 4] = [
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
                exit: membership.exit_date,
            };
            self.rows.insert((person.clone(), program.0.to_owned()), row);
        }
        for (member, place) in &registrant.members {
            let row = (place.kinds.clone(), place.start_date, place.ended_date);
            self.members.insert((person.clone(), member.0.to_string()), row);
        }
    }

    /// Carries out a request.
    pub(super) fn request(&mut self, meta: &Meta, command: &Command, patience: Patience) -> Said {
        match command {
            Command::Enroll(request) => self.enroll(meta, request),
            Command::Update(request) => self.update(meta, request, patience),
            Command::Group(request) => self.group(meta, request),
        }
    }

    fn enroll(&mut self, meta: &Meta, request: &Enrollment) -> Said {
        let before = self.clone();
        let info = &request.registrant;
        let person = match who(&self.names, meta, info, "/registrant") {
            Ok(person) => person,
            Err(fault) => return Said::refused(vec![fault]),
        };
        if *self.kinds.entry(person.clone()).or_insert(info.kind) != info.kind {
            *self = before;
            return Said::refused(vec!["/registrant/kind RegistrantKindMismatch".to_owned()]);
        }
        self.tell(meta, info, &person);
        let mut course = Course::default();
        self.items(meta, &person, &request.program_memberships, "", &mut course);
        self.finish(before, meta, &person, course, request.atomic)
    }

    /// "Outcome and status", and "every event carries the payee as of the end".
    pub(super) fn finish(
        &mut self,
        before: Self,
        meta: &Meta,
        person: &str,
        mut course: Course,
        atomic: bool,
    ) -> Said {
        let bad = course.items.iter().filter(|item| item.3.contains("Rejected")).count();
        if bad > 0 && (atomic || bad == course.items.len()) {
            *self = before;
            for item in course.items.iter_mut().filter(|item| !item.3.contains("Rejected")) {
                "Rejected RequestAtomic".clone_into(&mut item.3);
            }
            course.happened.clear();
            return self.say("Rejected", meta, person, &course);
        }
        let moved: Vec<_> =
            course.happened.iter().map(|h| (h.person.clone(), h.program.clone())).collect();
        for ((person, program), row) in &mut self.rows.clone() {
            let place = (person.clone(), program.clone());
            if !before.kinds.contains_key(person)
                || moved.contains(&place)
                || !["DRAFT", "ENROLLED", "PAUSED"].contains(&row.state)
                || self.paid(person) == before.paid(person)
            {
                continue;
            }
            row.version += 1;
            let was = Some(State::parse(row.state).unwrap());
            let nothing: (Option<String>, Option<String>) = (None, None);
            course.happened.push(Happened {
                person: person.clone(),
                program: program.clone(),
                what: format!("PayeeChanged {was:?} {} {nothing:?}", meta.today),
                row: row.clone(),
            });
            self.rows.insert(place, row.clone());
        }
        let status = match (bad, *self == before) {
            (1.., _) => "Partial",
            (0, true) => "Unchanged",
            (0, false) => "Applied",
        };
        self.say(status, meta, person, &course)
    }

    fn say(&self, status: &str, meta: &Meta, person: &str, course: &Course) -> Said {
        let known = |person: &str| {
            if self.kinds.contains_key(person) { person.to_owned() } else { "-".to_owned() }
        };
        let items = course.items.iter().map(|(at, program, person, line)| {
            let row = self.rows.get(&(person.to_owned(), program.to_owned()));
            let mut gone = course.happened.iter().filter(|happened| {
                (&happened.person, &happened.program) == (person, program)
                    && happened.what.starts_with("Removed")
            });
            let stands =
                row.map(|row| format!("{} {} {}", row.id, row.state, row.version)).or_else(|| {
                    gone.next().map(|gone| format!("{} - {}", gone.row.id, gone.row.version))
                });
            format!("{at} {program} {line} {} {}", known(person), stands.unwrap_or_default())
        });
        let events = course.happened.iter().map(|Happened { person, program, what, row }| {
            let payee = format!("{:?}", self.paid(person));
            event(program, what, row, &self.reference(meta, person), &payee)
        });
        let mut events: Vec<_> = events.collect();
        events.sort();
        Said {
            status: status.to_owned(),
            whom: known(person),
            faults: course.faults.clone(),
            items: items.collect(),
            events,
        }
    }

    /// Who is paid and with which published facts: "`payment_address`, disabled, ids". For a group its Head.
    #[expect(clippy::type_complexity, reason = "a row of the model")]
    fn paid(&self, person: &str) -> Option<(Person, Vec<(String, String)>, Option<String>, bool)> {
        if self.kinds.get(person) == Some(&RegistrantKind::Group) {
            let head = self.members.iter().find(|((group, _), (kinds, _, ended))| {
                group == person && ended.is_none() && kinds.contains(&"Head".to_owned())
            });
            return self.paid(&head?.0.1);
        }
        let ids =
            self.names.iter().filter(|(name, owner)| *owner == person && name.0 == "IDENTIFIER");
        let fact = |field: &str| self.facts.get(&(person.to_owned(), field.to_owned())).cloned();
        let ids = ids.map(|(name, _)| (name.1.clone(), name.2.clone())).collect();
        Some((person.to_owned(), ids, fact("payment_address"), fact("disabled").is_some()))
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
