//! The model's items: enrolling, and the actions of an update.

use super::super::{
    Action, Meta, Patience, ProgramMembershipIn, RequestedState, State, Update, membership_id,
};
use super::model::{Course, Happened, PROGRAMS, Person, Row, Said, Tables};
use time::{Date, Duration};

type Broken = Vec<String>;

/// What an item asks for, wherever it stands; each place is where a broken rule is told.
struct Asked<'a> {
    at: &'a str,
    wants: &'static str,
    date: Option<Date>,
    at_state: String,
    at_registrant: String,
}

impl Tables {
    pub(super) fn items(
        &mut self,
        meta: &Meta,
        person: &str,
        items: &[ProgramMembershipIn],
        under: &str,
        course: &mut Course,
    ) {
        for (index, item) in items.iter().enumerate() {
            let at = format!("{under}/program_memberships/{index}");
            let wants = match item.state {
                RequestedState::Enrolled => "ENROLLED",
                RequestedState::Draft => "DRAFT",
            };
            let asked = Asked {
                at: &at,
                wants,
                date: item.enrollment_date,
                at_state: at.clone(),
                at_registrant: at.clone(),
            };
            let none: (Option<String>, Option<String>) = (None, None);
            let came_to = self
                .join(meta, person, &item.program, &asked)
                .map(|what| what.map(|(what, day)| format!("{what} {day} {none:?}")));
            self.note(&at, person, &item.program, came_to, course);
        }
    }

    /// Adds what an item came to.
    fn note(
        &self,
        at: &str,
        person: &str,
        program: &str,
        came_to: Result<Option<String>, Broken>,
        course: &mut Course,
    ) {
        if let Ok(Some(what)) = &came_to {
            let row = self.rows[&(person.to_owned(), program.to_owned())].clone();
            let (person, program) = (person.to_owned(), program.to_owned());
            course.happened.push(Happened { person, program, what: what.clone(), row });
        }
        course.item(at, program, person, came_to.map(|what| what.is_some()));
    }

    fn barred(&self, meta: &Meta, person: &str, code: &str, asked: &Asked<'_>) -> Broken {
        let mut faults = Vec::new();
        if code == "old" {
            faults.push(format!("{}/program ProgramEnded", asked.at));
        }
        if self.facts.contains_key(&(person.to_owned(), "disabled".to_owned())) {
            faults.push(format!("{} RegistrantDisabled", asked.at_registrant));
        }
        if asked.date.is_some_and(|date| far(meta, date)) {
            faults.push(format!("{}/enrollment_date EnrollmentDateInvalid", asked.at));
        }
        faults
    }

    /// Enrolls or drafts: what happened and its day, nothing, or the rules that it breaks.
    fn join(
        &mut self,
        meta: &Meta,
        person: &str,
        code: &str,
        asked: &Asked<'_>,
    ) -> Result<Option<(String, Date)>, Broken> {
        let at = asked.at;
        let Some((_, target, _)) = PROGRAMS.iter().find(|program| program.0 == code) else {
            return Err(vec![format!("{at}/program ProgramNotFound")]);
        };
        if *target != self.kinds[person] {
            return Err(vec![format!("{at}/program ProgramTargetTypeMismatch")]);
        }
        let place = (person.to_owned(), code.to_owned());
        let row = self.rows.get(&place).cloned();
        match row.as_ref().map(|row| row.state) {
            None => {}
            Some("DRAFT") if asked.wants == "ENROLLED" => {}
            Some(state) if state == asked.wants => {
                return match asked.date {
                    Some(date) if row.unwrap().date != Some(date) => {
                        Err(vec![format!("{at}/enrollment_date MembershipAlreadyEnrolled")])
                    }
                    _ => Ok(None),
                };
            }
            Some(_) => return Err(vec![format!("{} StateTransitionInvalid", asked.at_state)]),
        }
        let faults = self.barred(meta, person, code, asked);
        if !faults.is_empty() {
            return Err(faults);
        }
        let was = row.as_ref().map(|_| State::Draft);
        let mut now = row.unwrap_or_else(|| Row {
            id: membership_id(meta.recorded_at, &meta.source, &meta.message_id, at).0.to_string(),
            state: "",
            spell: 1,
            version: 0,
            date: None,
            exit: None,
        });
        now.version += 1;
        now.state = asked.wants;
        now.date =
            asked.date.or(now.date).or_else(|| (asked.wants == "ENROLLED").then_some(meta.today));
        let day = now.date.unwrap_or(meta.today);
        self.rows.insert(place, now);
        let change = if asked.wants == "ENROLLED" { "Enrolled" } else { "Drafted" };
        Ok(Some((format!("{change} {was:?}"), day)))
    }

    /// One action on one membership.
    pub(super) fn update(&mut self, meta: &Meta, request: &Update, patience: Patience) -> Said {
        let before = self.clone();
        let code = &request.program;
        let whom = match self.whom(meta, request) {
            Err(fault) if fault.contains("Unnamed") => return Said::refused(vec![fault]),
            other => other,
        };
        let mut course = Course::default();
        let differs = |version| request.expected_version.is_some_and(|wanted| wanted != version);
        let conflict = || vec!["/expected_version VersionConflict".to_owned()];
        let Some((_, target, _)) = PROGRAMS.iter().find(|program| program.0 == code) else {
            let fault =
                if differs(0) { conflict() } else { vec!["/program ProgramNotFound".to_owned()] };
            let person = whom.ok().flatten().unwrap_or_default();
            course.item("", code, &person, Err(fault));
            return self.finish(before, meta, &person, course, false);
        };
        let person = match whom {
            Err(fault) => return Said::refused(vec![fault]),
            Ok(None) if patience == Patience::Waits => return Said::waits("a registrant"),
            Ok(None) => return Said::refused(vec!["/registrant RegistrantNotFound".to_owned()]),
            Ok(Some(person)) => person,
        };
        let row = self.rows.get(&(person.clone(), code.clone())).cloned();
        let fits = *target == self.kinds[&person];
        if fits && row.is_none() && request.action != Action::Enroll && patience == Patience::Waits
        {
            return Said::waits(&format!("a membership of {person}"));
        }
        let came_to = if differs(row.as_ref().map_or(0, |row| row.version)) {
            Err(conflict())
        } else if !fits {
            Err(vec!["/program ProgramTargetTypeMismatch".to_owned()])
        } else {
            self.act(meta, request, &person, row)
        };
        let (code_said, note) = request.reason.clone().unzip();
        let reason = (code_said, note.flatten());
        let came_to = came_to.map(|what| {
            what.map(|(what, day)| {
                format!("{what} {} {reason:?}", request.effective_date.unwrap_or(day))
            })
        });
        self.note("", &person, code, came_to, &mut course);
        if request.action == Action::Remove && !course.happened.is_empty() {
            self.rows.remove(&(person.clone(), code.clone()));
        }
        self.finish(before, meta, &person, course, false)
    }

    /// "The reference alone if there is one, else the identifiers, which must all mean the same one."
    fn whom(&self, meta: &Meta, request: &Update) -> Result<Option<Person>, String> {
        let named = &request.registrant;
        if let Some(reference) = &named.reference {
            let source = named.source.clone().unwrap_or_else(|| meta.source.clone());
            return Ok(self.names.get(&("REFERENCE", source, reference.clone())).cloned());
        }
        if named.ids.is_empty() {
            return Err("/registrant RegistrantUnnamed".to_owned());
        }
        let mut owners: Vec<_> = named
            .ids
            .iter()
            .filter_map(|(t, v)| self.names.get(&("IDENTIFIER", t.clone(), v.clone())))
            .collect();
        owners.dedup();
        match owners.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some((*one).clone())),
            _ => Err("/registrant/ids RegistrantAmbiguous".to_owned()),
        }
    }

    fn act(
        &mut self,
        meta: &Meta,
        request: &Update,
        person: &str,
        row: Option<Row>,
    ) -> Result<Option<(String, Date)>, Broken> {
        let asked = Asked {
            at: "",
            wants: "ENROLLED",
            date: request.enrollment_date,
            at_state: "/action".to_owned(),
            at_registrant: "/registrant".to_owned(),
        };
        if request.action == Action::Enroll {
            return self.join(meta, person, &request.program, &asked);
        }
        let Some(mut row) = row else { return Err(vec![" MembershipNotFound".to_owned()]) };
        let was = row.state;
        let not_allowed = || Err(vec!["/action StateTransitionInvalid".to_owned()]);
        let bad_exit = "/exit_date ExitDateInvalid".to_owned();
        let bad_entry = "/enrollment_date EnrollmentDateInvalid".to_owned();
        let (given, exit) = (request.enrollment_date, request.exit_date);
        let mut day = meta.today;
        let mut faults = Vec::new();
        let change = match (request.action, was) {
            (Action::Pause, "PAUSED")
            | (Action::Resume, "ENROLLED")
            | (Action::MarkNotEligible, "NOT_ELIGIBLE")
            | (Action::MarkDuplicated, "DUPLICATED")
            | (Action::ResetToDraft, "DRAFT") => return Ok(None),
            (Action::Exit, "EXITED") if exit.is_none() || exit == row.exit => return Ok(None),
            (Action::Reenroll, "ENROLLED") => {
                if given.is_none() || given == row.date {
                    return Ok(None);
                }
                return Err(vec!["/enrollment_date MembershipAlreadyEnrolled".to_owned()]);
            }
            (Action::Pause, "ENROLLED") => {
                row.state = "PAUSED";
                "Paused"
            }
            (Action::Resume, "PAUSED") => {
                faults = self.barred(meta, person, &request.program, &asked);
                row.state = "ENROLLED";
                "Resumed"
            }
            (Action::Exit, "DRAFT" | "ENROLLED" | "PAUSED") => {
                day = exit.unwrap_or(meta.today);
                if far(meta, day) || row.date.is_some_and(|date| date > day) {
                    faults.push(bad_exit);
                }
                (row.state, row.exit) = ("EXITED", Some(day));
                "Exited"
            }
            (Action::MarkNotEligible, "DRAFT" | "ENROLLED" | "PAUSED") => {
                row.state = "NOT_ELIGIBLE";
                "NotEligible"
            }
            (Action::MarkDuplicated, "DRAFT" | "ENROLLED" | "PAUSED") => {
                row.state = "DUPLICATED";
                "Duplicated"
            }
            (Action::ResetToDraft, "NOT_ELIGIBLE" | "DUPLICATED") => {
                row.state = "DRAFT";
                "Reset"
            }
            (Action::Reenroll, "EXITED") => {
                faults = self.barred(meta, person, &request.program, &asked);
                day = given.unwrap_or(meta.today);
                if row.exit.is_some_and(|exit| exit > day) {
                    faults.push(bad_entry);
                }
                row.spell += 1;
                (row.state, row.date, row.exit) = ("ENROLLED", Some(day), None);
                "Reenrolled"
            }
            (Action::Correct, _) => {
                let (entered, left) = (given.or(row.date), exit.or(row.exit));
                if (entered, left) == (row.date, row.exit) {
                    return Ok(None);
                }
                let crossed = entered.is_some() && left.is_some() && left < entered;
                if given.is_some_and(|given| far(meta, given)) || (exit.is_none() && crossed) {
                    faults.push(bad_entry);
                }
                if exit.is_some_and(|exit| was != "EXITED" || crossed || far(meta, exit)) {
                    faults.push(bad_exit);
                }
                day = given.or(exit).unwrap();
                (row.date, row.exit) = (entered, left);
                "Corrected"
            }
            (Action::Remove, _) => "Removed!",
            _ => return not_allowed(),
        };
        if !faults.is_empty() {
            return Err(faults);
        }
        row.version += 1;
        self.rows.insert((person.to_owned(), request.program.clone()), row);
        Ok(Some((format!("{change} {:?}", State::parse(was)), day)))
    }
}

/// "Dates up to `dates.max_future` (366 d)."
pub(super) fn far(meta: &Meta, date: Date) -> bool {
    date > meta.today + Duration::days(366)
}
