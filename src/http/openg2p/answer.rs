//! Registrants as that module answers them.

use super::command::Unmade;
use crate::contract::wire::Day;
use crate::store::Result;
use crate::store::reads::openg2p::{self, Key, Member, Membership};
use crate::store::reads::registrants::{self, Row};
use serde::Serialize;
use sqlx::PgConnection;
use std::borrow::Cow;
use std::collections::BTreeMap;
use time::{Date, OffsetDateTime, macros::format_description};
use utoipa::openapi::schema::{AnyOfBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

#[derive(Serialize, ToSchema)]
#[schema(as = OpenG2pIdentifier)]
struct IdentifierOut {
    id: i64,
    id_type_as_str: String,
    value: String,
    #[schema(value_type = Option<String>, format = Date)]
    expiry_date: Option<Day>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OpenG2pPhone)]
struct PhoneOut {
    id: i64,
    phone_no: String,
    phone_sanitized: String,
    #[schema(value_type = Option<String>, format = Date)]
    date_collected: Option<Day>,
    #[schema(value_type = Option<String>, format = Date)]
    disabled: Option<Day>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OpenG2pMembership)]
struct MembershipOut {
    program_id: i64,
    state: String,
    #[schema(value_type = Option<String>, format = Date)]
    enrollment_date: Option<Day>,
    #[schema(value_type = Option<String>, format = Date)]
    exit_date: Option<Day>,
}

/// What is said of every registrant; of a group in a list no more.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenG2pRegistrant)]
pub(super) struct Registrant {
    id: i64,
    name: String,
    is_group: bool,
    reg_ids: Vec<IdentifierOut>,
    phone_number_ids: Vec<PhoneOut>,
    #[schema(value_type = Option<String>, format = Date)]
    registration_date: Option<Day>,
    email: Option<String>,
    address: Option<String>,
    create_date: String,
    write_date: String,
    program_membership_ids: Vec<MembershipOut>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OpenG2pIndividual)]
pub(super) struct Individual {
    #[serde(flatten)]
    registrant: Registrant,
    given_name: Option<String>,
    addl_name: Option<String>,
    family_name: Option<String>,
    gender: Option<String>,
    #[schema(value_type = Option<String>, format = Date)]
    birthdate: Option<Day>,
    age: String,
    birth_place: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OpenG2pKind)]
struct KindOut {
    name: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OpenG2pMember)]
struct MemberOut {
    id: i64,
    individual: Individual,
    kind: Vec<KindOut>,
    create_date: String,
    write_date: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OpenG2pGroup)]
#[expect(clippy::struct_field_names, reason = "the names are those of the module")]
pub(super) struct Group {
    #[serde(flatten)]
    registrant: Registrant,
    group_membership_ids: Vec<MemberOut>,
    kind_as_str: Option<String>,
    is_partial_group: Option<bool>,
}

/// Any of them.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Answer {
    Individual(Box<Individual>),
    Group(Box<Group>),
    Short(Box<Registrant>),
}

impl PartialSchema for Answer {
    /// Not one alone: a group with its members is all that one without them is.
    fn schema() -> RefOr<Schema> {
        let names = [Individual::name(), Group::name(), Registrant::name()];
        let any = names.into_iter().map(Ref::from_schema_name);
        Schema::AnyOf(any.fold(AnyOfBuilder::new(), AnyOfBuilder::item).build()).into()
    }
}

impl ToSchema for Answer {
    fn name() -> Cow<'static, str> {
        "OpenG2pAnswer".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.extend([
            (Individual::name().into_owned(), Individual::schema()),
            (Group::name().into_owned(), Group::schema()),
            (Registrant::name().into_owned(), Registrant::schema()),
        ]);
        Individual::schemas(schemas);
        Group::schemas(schemas);
        Registrant::schemas(schemas);
    }
}

/// What a POST made, and what it did not.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenG2pMade)]
pub(super) struct Made {
    #[serde(flatten)]
    pub(super) answer: Answer,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) program_membership_errors: Vec<Unmade>,
    /// JSON Pointers to what the body says beyond what is known here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ignored_fields: Vec<String>,
}

/// Which form is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Individual,
    Group,
    /// A group without its members.
    Short,
}

impl Form {
    /// The kind of registrants that have it.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Individual => "INDIVIDUAL",
            Self::Group | Self::Short => "GROUP",
        }
    }
}

/// What is read for a page of answers.
struct Read {
    rows: BTreeMap<Uuid, Row>,
    memberships: BTreeMap<Uuid, Vec<Membership>>,
    numbers: BTreeMap<Key, i64>,
    today: Date,
}

/// These registrants in this form, in the order of their ids; a fixed number of statements, however many they are.
pub(super) async fn answers(
    connection: &mut PgConnection,
    registrant_ids: &[Uuid],
    form: Form,
    today: Date,
) -> Result<Vec<Answer>> {
    let members = match form {
        Form::Group => openg2p::members(connection, registrant_ids).await?,
        Form::Individual | Form::Short => Vec::new(),
    };
    let mut all: Vec<_> = registrant_ids.to_vec();
    all.extend(members.iter().map(|member| member.individual_id));
    all.sort_unstable();
    all.dedup();
    let read = read(connection, &all, &members, today).await?;
    let mut of: BTreeMap<Uuid, Vec<Member>> = BTreeMap::new();
    for member in members {
        of.entry(member.group_id).or_default().push(member);
    }
    let mut answers = Vec::new();
    for id in registrant_ids {
        let Some(row) = read.rows.get(id) else { continue };
        answers.push(match form {
            Form::Individual => Answer::Individual(Box::new(read.individual(row))),
            Form::Short => Answer::Short(Box::new(read.registrant(row))),
            Form::Group => {
                let members = of.remove(id).unwrap_or_default();
                Answer::Group(Box::new(read.group(row, members)))
            }
        });
    }
    Ok(answers)
}

async fn read(
    connection: &mut PgConnection,
    registrant_ids: &[Uuid],
    members: &[Member],
    today: Date,
) -> Result<Read> {
    let rows = registrants::by_ids(connection, registrant_ids).await?;
    let found = openg2p::memberships(connection, registrant_ids).await?;
    let mut keys: Vec<_> =
        members.iter().map(|at| Key::member(at.group_id, at.individual_id)).collect();
    keys.extend(found.iter().map(|membership| Key::program(membership.program_id)));
    for row in &rows {
        let id = row.registrant_id;
        keys.push(Key::registrant(id));
        keys.extend(row.ids.iter().map(|(id_type, ..)| Key::identifier(id, id_type)));
        keys.extend(row.phone_numbers.iter().map(|(number, _)| Key::phone_number(id, number)));
    }
    let numbers = openg2p::numbers(connection, keys).await?;
    let mut memberships: BTreeMap<Uuid, Vec<Membership>> = BTreeMap::new();
    for membership in found {
        memberships.entry(membership.registrant_id).or_default().push(membership);
    }
    // In the order in which they came; those that came at once, in that of their programs.
    let place = |membership: &Membership| {
        (membership.created_at, numbers.get(&Key::program(membership.program_id)))
    };
    for own in memberships.values_mut() {
        own.sort_by(|a, b| place(a).cmp(&place(b)));
    }
    let rows = rows.into_iter().map(|row| (row.registrant_id, row)).collect();
    Ok(Read { rows, memberships, numbers, today })
}

impl Read {
    /// Every key that is asked for here was given a number by [`read`].
    fn number(&self, key: Key) -> i64 {
        self.numbers.get(&key).copied().unwrap_or_default()
    }

    fn registrant(&self, row: &Row) -> Registrant {
        let id = row.registrant_id;
        let memberships = self.memberships.get(&id).into_iter().flatten();
        Registrant {
            id: self.number(Key::registrant(id)),
            name: name(row),
            is_group: row.kind == Form::Group.kind(),
            reg_ids: (row.ids.iter())
                .map(|(id_type, value, expiry_date)| IdentifierOut {
                    id: self.number(Key::identifier(id, id_type)),
                    id_type_as_str: id_type.clone(),
                    value: value.clone(),
                    expiry_date: expiry_date.map(Day::from),
                })
                .collect(),
            phone_number_ids: (row.phone_numbers.iter())
                .map(|(number, collected)| PhoneOut {
                    id: self.number(Key::phone_number(id, number)),
                    phone_no: number.clone(),
                    phone_sanitized: sanitized(number),
                    date_collected: collected.map(Day::from),
                    disabled: None,
                })
                .collect(),
            registration_date: row.registration_date.map(Day::from),
            email: row.email.clone(),
            address: row.address.clone(),
            create_date: stamp(row.created_at),
            write_date: stamp(row.updated_at),
            program_membership_ids: memberships
                .map(|membership| MembershipOut {
                    program_id: self.number(Key::program(membership.program_id)),
                    state: membership.state.to_lowercase(),
                    enrollment_date: membership.enrollment_date.map(Day::from),
                    exit_date: membership.exit_date.map(Day::from),
                })
                .collect(),
        }
    }

    fn individual(&self, row: &Row) -> Individual {
        Individual {
            registrant: self.registrant(row),
            given_name: row.given_name.clone(),
            addl_name: row.addl_name.clone(),
            family_name: row.family_name.clone(),
            gender: row.gender.clone(),
            birthdate: row.birthdate.map(Day::from),
            age: age(row.birthdate, self.today),
            birth_place: row.birth_place.clone(),
        }
    }

    fn group(&self, row: &Row, members: Vec<Member>) -> Group {
        let member = |member: Member| {
            let person = self.rows.get(&member.individual_id)?;
            Some(MemberOut {
                id: self.number(Key::member(member.group_id, member.individual_id)),
                individual: self.individual(person),
                kind: member.kinds.into_iter().map(|name| KindOut { name }).collect(),
                create_date: stamp(member.created_at),
                write_date: stamp(member.updated_at),
            })
        };
        Group {
            registrant: self.registrant(row),
            group_membership_ids: members.into_iter().filter_map(member).collect(),
            kind_as_str: row.group_kind.clone(),
            is_partial_group: row.is_partial_group,
        }
    }
}

/// The name; of one of whom only its parts are known, these. A search looks in the same.
fn name(row: &Row) -> String {
    let parts = [&row.given_name, &row.addl_name, &row.family_name];
    let parts = || parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
    row.name.clone().unwrap_or_else(parts)
}

/// Digits, and the plus before them.
fn sanitized(number: &str) -> String {
    let digits = number.chars().filter(char::is_ascii_digit);
    let plus = number.trim_start().starts_with('+').then_some('+');
    plus.into_iter().chain(digits).collect()
}

/// A time as that module says it: of UTC, without saying so.
fn stamp(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    time.format(format).unwrap_or_default()
}

/// Full years, as a text.
fn age(birthdate: Option<Date>, today: Date) -> String {
    let Some(born) = birthdate else { return "No Birthdate!".to_owned() };
    let had = (today.month() as u8, today.day()) >= (born.month() as u8, born.day());
    (today.year() - born.year() - i32::from(!had)).max(0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    #[test]
    fn an_age_is_of_full_years() {
        let today = date!(2026 - 03 - 01);
        for (born, years) in [
            (Some(date!(2000 - 03 - 01)), "26"),
            (Some(date!(2000 - 03 - 02)), "25"),
            (Some(date!(2026 - 05 - 01)), "0"),
            (None, "No Birthdate!"),
        ] {
            assert_eq!(age(born, today), years);
        }
    }

    #[test]
    fn a_number_is_sanitized() {
        assert_eq!(sanitized("+63 (912) 345-67"), "+6391234567");
        assert_eq!(sanitized("0912/345"), "0912345");
    }
}
