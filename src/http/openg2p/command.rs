//! Bodies to requests: programs by name, everything as a draft.

use super::body::{Group, Individual, Membership};
use super::fault::{Fault, codes};
use crate::contract::Reason;
use crate::contract::wire::{
    Day, EnrollmentRequest, GroupMember, GroupMembershipRequest, GroupMode, Millis,
    ProgramMembershipIn, RequestedState,
};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Codes of programs by name, of those that take individuals and of those that take groups.
#[derive(Debug, Default)]
pub(super) struct Programs {
    pub(super) individual: BTreeMap<String, String>,
    pub(super) group: BTreeMap<String, String>,
}

/// A membership that was asked for and not made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = OpenG2pUnmade)]
pub(super) struct Unmade {
    /// Where it stands in the body.
    pub(super) pointer: String,
    /// The program's name, as it was given.
    pub(super) name: Option<String>,
    #[serde(rename = "errorCode")]
    pub(super) code: Cow<'static, str>,
    #[serde(rename = "errorMessage")]
    pub(super) message: Cow<'static, str>,
    #[serde(rename = "errorDescription")]
    pub(super) description: Cow<'static, str>,
}

/// What a body came to beside its request.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Memberships of programs that nobody knows.
    pub(super) unmade: Vec<Unmade>,
    /// By their pointers in the request: pointers into the body, and programs' names.
    items: BTreeMap<String, (String, String)>,
}

impl Notes {
    /// Where something of the request stands in the body.
    pub(super) fn of_body(&self, pointer: &str) -> String {
        let inside = |item: &&String| {
            pointer
                .strip_prefix(item.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let item = self.items.keys().find(inside);
        let place = item.and_then(|item| Some((item, &self.items.get(item)?.0)));
        place.map_or_else(
            || pointer.to_owned(),
            |(item, place)| format!("{place}{}", pointer.get(item.len()..).unwrap_or_default()),
        )
    }

    /// Notes a membership that was refused.
    pub(super) fn refused(&mut self, pointer: &str, reason: Reason) {
        let (pointer, name) = self.items.get(pointer).cloned().unzip();
        self.unmade.push(Unmade {
            pointer: pointer.unwrap_or_default(),
            name,
            code: reason.code().into(),
            message: reason.detail().into(),
            description: reason.detail().into(),
        });
    }
}

impl Unmade {
    fn unknown(pointer: String, name: Option<&String>) -> Self {
        let description = match name {
            Some(name) => format!("Program - {name} is not present in the database."),
            None => "Program - the name is missing.".to_owned(),
        };
        Self {
            pointer,
            name: name.cloned(),
            code: codes::PROGRAM.0.into(),
            message: codes::PROGRAM.1.into(),
            description: description.into(),
        }
    }

    /// As the error of the whole request.
    pub(super) fn into_fault(self) -> Fault {
        let Self { code, message, description, .. } = self;
        Fault { code, message, description, ..Fault::new(codes::PROGRAM, "") }
    }
}

/// Who sends it, when, and under which id.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    pub(super) message_id: String,
    pub(super) source: String,
    pub(super) actor: Option<String>,
    pub(super) sent_at: Millis,
    pub(super) today: Day,
    /// Whether one membership that cannot be made refuses all.
    pub(super) atomic: bool,
}

impl Sender {
    /// The reference of one that has no identifier: the same whenever the request is repeated.
    fn reference(&self) -> String {
        format!("openg2p:{}", self.message_id)
    }
}

/// The names of the programs that memberships ask for.
fn names<'a>(given: impl Iterator<Item = &'a Option<Vec<Membership>>>) -> Vec<String> {
    let names: BTreeSet<_> =
        given.flatten().flatten().filter_map(|membership| membership.name.clone()).collect();
    // No program has a NUL in its name, and Postgres takes none.
    names.into_iter().filter(|name| !name.contains('\0')).collect()
}

/// The memberships as our messages say them; the notes get those of unknown programs.
fn items(
    given: Option<&Vec<Membership>>,
    programs: &BTreeMap<String, String>,
    pointer: &str,
    notes: &mut Notes,
) -> Result<Vec<ProgramMembershipIn>, Fault> {
    let place = |n: usize| format!("{pointer}/program_memberships/{n}");
    let mut named = BTreeSet::new();
    let mut items = Vec::new();
    for (n, membership) in given.into_iter().flatten().enumerate() {
        let name = membership.name.as_ref();
        let Some((name, program)) = name.and_then(|name| programs.get_key_value(name)) else {
            notes.unmade.push(Unmade::unknown(place(n), name));
            continue;
        };
        if !named.insert(program) {
            let description = format!("Program - {name} is named twice for one registrant.");
            return Err(Fault::new(codes::TWICE, description));
        }
        notes.items.insert(place(items.len()), (place(n), name.clone()));
        items.push(ProgramMembershipIn {
            program: program.clone(),
            state: RequestedState::Draft,
            enrollment_date: membership.enrollment_date,
        });
    }
    Ok(items)
}

impl Individual {
    /// The names of the programs that it asks for.
    pub(super) fn programs(&self) -> Vec<String> {
        names(std::iter::once(&self.program_memberships))
    }

    /// The request.
    pub(super) fn request(
        &self,
        sender: Sender,
        programs: &Programs,
        notes: &mut Notes,
    ) -> Result<EnrollmentRequest, Fault> {
        self.check_names()?;
        let registrant = self.info(&sender.reference(), sender.today)?;
        let given = self.program_memberships.as_ref();
        Ok(EnrollmentRequest {
            program_memberships: items(given, &programs.individual, "", notes)?,
            registrant,
            message_id: sender.message_id,
            source: sender.source,
            sent_at: sender.sent_at,
            attempt: 1,
            batch: None,
            actor: sender.actor,
            atomic: sender.atomic,
        })
    }
}

impl Group {
    /// The names of the programs that its members ask for.
    pub(super) fn members_programs(&self) -> Vec<String> {
        names(self.members.iter().map(|member| &member.program_memberships))
    }

    /// The names of the programs that it asks for itself.
    pub(super) fn programs(&self) -> Vec<String> {
        names(std::iter::once(&self.program_memberships))
    }

    /// The request.
    pub(super) fn request(
        &self,
        sender: Sender,
        programs: &Programs,
        notes: &mut Notes,
    ) -> Result<GroupMembershipRequest, Fault> {
        let reference = sender.reference();
        let group = self.info(&reference, sender.today)?;
        let member = |(n, member): (usize, &Individual)| {
            let given = member.program_memberships.as_ref();
            Ok(GroupMember {
                individual: member.info(&format!("{reference}:{n}"), sender.today)?,
                kinds: member.kinds()?,
                start_date: None,
                ended_date: None,
                program_memberships: items(
                    given,
                    &programs.individual,
                    &format!("/members/{n}"),
                    notes,
                )?,
            })
        };
        let members = self.members.iter().enumerate().map(member).collect::<Result<_, Fault>>()?;
        let given = self.program_memberships.as_ref();
        Ok(GroupMembershipRequest {
            program_memberships: items(given, &programs.group, "", notes)?,
            group,
            mode: GroupMode::Merge,
            members,
            message_id: sender.message_id,
            source: sender.source,
            sent_at: sender.sent_at,
            attempt: 1,
            batch: None,
            actor: sender.actor,
            atomic: sender.atomic,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::wire::RegistrantKind;
    use crate::http::openg2p::parse::parsed;
    use serde_json::{Value, json};
    use time::macros::date;

    fn sender() -> Sender {
        Sender {
            message_id: "k1".to_owned(),
            source: "http".to_owned(),
            actor: None,
            sent_at: Millis(0),
            today: Day::from(date!(2026 - 03 - 01)),
            atomic: true,
        }
    }

    fn programs() -> Programs {
        let of = |name: &str, code: &str| BTreeMap::from([(name.to_owned(), code.to_owned())]);
        Programs { individual: of("4Ps", "P4"), group: of("Household Cash", "HC") }
    }

    fn individual(body: &Value) -> Result<(EnrollmentRequest, Vec<Unmade>), Fault> {
        let (individual, _) = parsed::<Individual>(body.to_string().as_bytes())?;
        let mut notes = Notes::default();
        Ok((individual.request(sender(), &programs(), &mut notes)?, notes.unmade))
    }

    fn maria() -> Value {
        json!({
            "name": "DELA CRUZ, MARIA", "given_name": "MARIA", "family_name": "DELA CRUZ", "is_group": false,
            "ids": [{"id_type": "National ID", "value": "112233", "expiry_date": "2030-12-31"}],
            "phone_numbers": [{"phone_no": "+639123456789", "date_collected": "2024-01-10"}],
            "program_memberships": [{"name": "4Ps", "enrollment_date": "2024-01-15"}, {"name": "No Such Program"}],
        })
    }

    #[test]
    fn an_individual_becomes_an_enrollment_of_drafts() {
        let (request, unmade) = individual(&maria()).unwrap();
        let [item] = request.program_memberships.as_slice() else { panic!("one item") };
        assert_eq!((item.program.as_str(), item.state), ("P4", RequestedState::Draft));
        assert_eq!(item.enrollment_date, Some(Day::from(date!(2024 - 01 - 15))));
        assert_eq!(request.registrant.kind, RegistrantKind::Individual);
        assert_eq!(request.registrant.reference, None, "its identifier names it");
        assert_eq!(request.registrant.phone_numbers[0].phone_no, "+639123456789");
        assert_eq!(
            serde_json::to_value(&unmade).unwrap(),
            json!([{
                "pointer": "/program_memberships/1",
                "name": "No Such Program",
                "errorCode": "ROLLCALL-PRG-001",
                "errorMessage": "Program not found.",
                "errorDescription": "Program - No Such Program is not present in the database.",
            }])
        );
        // By the exact name of a program that takes individuals.
        for name in [json!("4ps"), json!("4Ps "), json!("P4"), json!("Household Cash"), Value::Null]
        {
            let mut body = maria();
            body["program_memberships"] = json!([{"name": name}]);
            assert_eq!(individual(&body).unwrap().1.len(), 1, "{name}");
        }
        for none in [Value::Null, json!([])] {
            let mut body = maria();
            body["program_memberships"] = none;
            let (request, unmade) = individual(&body).unwrap();
            assert!(request.program_memberships.is_empty() && unmade.is_empty());
        }
    }

    #[test]
    fn what_that_module_refuses_is_refused() {
        let twice = json!([{"name": "4Ps"}, {"name": "4Ps"}]);
        for (field, value, code) in [
            ("name", json!(" "), "G2P-REQ-012"),
            ("name", Value::Null, "G2P-REQ-012"),
            ("given_name", json!(""), "G2P-REQ-002"),
            ("family_name", Value::Null, "G2P-REQ-002"),
            ("ids", json!([{"id_type": "", "value": "1"}]), "G2P-REQ-005"),
            ("ids", json!([{"id_type": "National ID"}]), "G2P-REQ-005"),
            ("phone_numbers", json!([{"phone_no": "none"}]), "G2P-REQ-006"),
            ("email", json!("maria"), "G2P-REQ-007"),
            ("registration_date", json!("2026-03-02"), "G2P-REQ-011"),
            ("program_memberships", twice, "ROLLCALL-PRG-002"),
            ("birthdate", json!("17.5.1990"), "ROLLCALL-REQ-001"),
        ] {
            let mut body = maria();
            body[field] = value;
            let fault = individual(&body).unwrap_err();
            assert_eq!((fault.status.as_u16(), &*fault.code), (400, code), "{field}");
            assert!(!fault.description.contains("maria"), "nothing of a person");
        }
        let mut body = maria();
        body["registration_date"] = json!("2026-03-01");
        body["email"] = json!("maria@example.org");
        assert!(individual(&body).is_ok());
    }

    #[test]
    fn what_is_said_of_the_request_is_said_of_the_body() {
        let mut body = maria();
        body["program_memberships"] = json!([{"name": "None"}, {"name": "4Ps"}]);
        let (individual, _) = parsed::<Individual>(body.to_string().as_bytes()).unwrap();
        let mut notes = Notes::default();
        individual.request(sender(), &programs(), &mut notes).unwrap();
        for (said, meant) in [
            ("/program_memberships/0", "/program_memberships/1"),
            ("/program_memberships/0/program", "/program_memberships/1/program"),
            ("/registrant/email", "/registrant/email"),
        ] {
            assert_eq!(notes.of_body(said), meant);
        }
        notes.refused("/program_memberships/0", Reason::ProgramEnded);
        let last = notes.unmade.last().unwrap();
        assert_eq!(
            (last.pointer.as_str(), last.name.as_deref()),
            ("/program_memberships/1", Some("4Ps"))
        );
        assert_eq!(last.code, "rjct.program.ended");
    }

    #[test]
    fn a_group_becomes_a_request_with_its_members() {
        let body = json!({
            "name": "Household 1", "is_group": true, "kind": "Household", "is_partial_group": false,
            "program_memberships": [{"name": "Household Cash", "enrollment_date": "2024-02-01"}],
            "members": [
                {"name": "Head One", "given_name": "Head", "family_name": "One", "kind": [{"name": "Head"}],
                 "program_memberships": [{"name": "4Ps"}, {"name": "Household Cash"}]},
                {"name": "Child One", "kind": []},
            ],
        });
        let request = |body: &Value| {
            let (group, _) = parsed::<Group>(body.to_string().as_bytes()).unwrap();
            let mut notes = Notes::default();
            let request = group.request(sender(), &programs(), &mut notes);
            request.map(|request| (request, notes.unmade))
        };
        let (made, unmade) = request(&body).unwrap();
        assert_eq!(made.group.reference.as_deref(), Some("openg2p:k1"));
        assert_eq!(made.group.group_kind.as_deref(), Some("Household"));
        assert_eq!(made.program_memberships[0].program, "HC");
        let references: Vec<_> =
            made.members.iter().map(|member| member.individual.reference.clone()).collect();
        assert_eq!(references, [Some("openg2p:k1:0".to_owned()), Some("openg2p:k1:1".to_owned())]);
        assert_eq!(made.members[0].kinds, Some(vec!["Head".to_owned()]));
        assert_eq!(made.members[0].program_memberships[0].program, "P4");
        assert_eq!(unmade[0].pointer, "/members/0/program_memberships/1");
        assert_eq!(unmade[0].clone().into_fault().code, "ROLLCALL-PRG-001");

        let mut blank = body.clone();
        blank["kind"] = json!("  ");
        assert_eq!(request(&blank).unwrap_err().code, "G2P-REQ-001");
        let mut blank = body;
        blank["members"][0]["kind"] = json!([{"name": " "}]);
        assert_eq!(request(&blank).unwrap_err().code, "G2P-REQ-001");
    }
}
