//! What is read, as JSON says it.

use crate::contract::wire::{Day, Millis};
use crate::store::reads::{groups, history, memberships, registrants};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// What is listed.
    pub items: Vec<T>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// A program.
#[derive(Serialize, ToSchema)]
#[schema(as = ProgramName)]
#[expect(missing_docs, clippy::struct_field_names, reason = "the names are those of the contract")]
pub struct Program {
    pub program_id: Uuid,
    #[schema(example = "CASH")]
    pub code: String,
    pub name: String,
}

/// An identifier.
#[derive(Serialize, ToSchema)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub struct Identifier {
    pub id_type: String,
    pub value: String,
}

/// An identifier with the last day on which it is valid.
#[derive(Serialize, ToSchema)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub struct OwnIdentifier {
    pub id_type: String,
    pub value: String,
    #[schema(value_type = Option<String>, format = Date)]
    pub expiry_date: Option<Day>,
}

/// A phone number, and the day it was collected.
#[derive(Serialize, ToSchema)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub struct PhoneNumber {
    pub phone_no: String,
    #[schema(value_type = Option<String>, format = Date)]
    pub date_collected: Option<Day>,
}

/// A registrant by its names.
#[derive(Serialize, ToSchema)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub struct RegistrantName {
    pub registrant_id: Uuid,
    pub kind: String,
    pub source: Option<String>,
    pub reference: Option<String>,
}

/// A membership as it is now.
#[derive(Serialize, ToSchema)]
#[expect(missing_docs, clippy::struct_field_names, reason = "the names are those of the contract")]
pub struct Membership {
    pub membership_id: Uuid,
    pub version: i32,
    pub state: String,
    pub spell: i32,
    pub program: Program,
    pub registrant: RegistrantName,
    #[schema(value_type = Option<String>, format = Date)]
    pub enrollment_date: Option<Day>,
    #[schema(value_type = Option<String>, format = Date)]
    pub exit_date: Option<Day>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Millis,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Millis,
}

impl From<memberships::Row> for Membership {
    fn from(row: memberships::Row) -> Self {
        Self {
            membership_id: row.membership_id,
            version: row.version,
            state: row.state,
            spell: row.spell,
            program: program(row.program_id, row.program_code, row.program_name),
            registrant: RegistrantName {
                registrant_id: row.registrant_id,
                kind: row.kind,
                source: row.source,
                reference: row.reference,
            },
            enrollment_date: row.enrollment_date.map(Day::from),
            exit_date: row.exit_date.map(Day::from),
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        }
    }
}

fn program(program_id: Uuid, code: String, name: String) -> Program {
    Program { program_id, code, name }
}

/// A registrant as events name it, with the names of now.
#[derive(Serialize, ToSchema)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub struct Named {
    pub registrant_id: Uuid,
    pub kind: String,
    pub source: Option<String>,
    pub reference: Option<String>,
    pub ids: Vec<Identifier>,
}

impl From<history::Named> for Named {
    fn from(named: history::Named) -> Self {
        let ids = named.ids.into_iter();
        Self {
            registrant_id: named.registrant_id,
            kind: named.kind,
            source: named.source,
            reference: named.reference,
            ids: ids.map(|(id_type, value)| Identifier { id_type, value }).collect(),
        }
    }
}

/// A change of a membership: what its event said, who made it, through which channel, and from which record.
#[derive(Serialize, ToSchema)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub struct HistoryItem {
    pub event_id: Uuid,
    pub membership_id: Uuid,
    pub version: i32,
    pub change: String,
    pub previous_state: Option<String>,
    pub state: Option<String>,
    pub spell: i32,
    pub program: Program,
    pub registrant: Named,
    /// Who was paid after the change; null: nobody.
    pub payee: Option<Named>,
    #[schema(value_type = Option<String>, format = Date)]
    pub enrollment_date: Option<Day>,
    #[schema(value_type = Option<String>, format = Date)]
    pub exit_date: Option<Day>,
    #[schema(value_type = String, format = Date)]
    pub effective_date: Day,
    pub reason_code: Option<String>,
    pub reason_note: Option<String>,
    pub source: String,
    pub message_id: String,
    pub batch_id: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub occurred_at: Millis,
    #[schema(value_type = String, format = DateTime)]
    pub recorded_at: Millis,
    pub channel: String,
    pub actor: Option<String>,
    /// The record that brought it; null for what came over HTTP.
    pub topic: Option<String>,
    pub partition: Option<i32>,
    pub offset: Option<i64>,
}

impl From<history::Row> for HistoryItem {
    fn from(row: history::Row) -> Self {
        Self {
            event_id: row.event_id(),
            membership_id: row.membership_id,
            version: row.version,
            change: row.change,
            previous_state: row.previous_state,
            state: row.state,
            spell: row.spell,
            program: program(row.program_id, row.program_code, row.program_name),
            registrant: row.registrant.into(),
            payee: row.payee.map(Named::from),
            enrollment_date: row.enrollment_date.map(Day::from),
            exit_date: row.exit_date.map(Day::from),
            effective_date: row.effective_date.into(),
            reason_code: row.reason_code,
            reason_note: row.reason_note,
            source: row.source,
            message_id: row.message_id,
            batch_id: row.batch_id,
            occurred_at: row.occurred_at.into(),
            recorded_at: row.recorded_at.into(),
            channel: row.channel,
            actor: row.actor,
            topic: row.topic,
            partition: row.partition,
            offset: row.offset,
        }
    }
}

/// What stands for a value of a person that is not shown.
const MASK: &str = "***";

impl Named {
    fn mask(&mut self) {
        let values = self.reference.iter_mut().chain(self.ids.iter_mut().map(|id| &mut id.value));
        values.for_each(|value| MASK.clone_into(value));
    }
}

impl HistoryItem {
    /// Without values of persons (P9): for eyes that need not see them.
    #[must_use]
    pub fn masked(mut self) -> Self {
        self.registrant.mask();
        self.payee.iter_mut().for_each(Named::mask);
        // A note is free text.
        self.reason_note.iter_mut().for_each(|note| MASK.clone_into(note));
        self
    }
}

/// A reference of a registrant, and whose it is.
#[derive(Serialize, ToSchema)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub struct Reference {
    pub source: String,
    pub reference: String,
}

/// A registrant with all that is known of it but its memberships.
#[derive(Serialize, ToSchema)]
#[expect(missing_docs, clippy::struct_field_names, reason = "the names are those of the contract")]
pub struct Registrant {
    pub registrant_id: Uuid,
    pub kind: String,
    pub source: Option<String>,
    pub reference: Option<String>,
    pub references: Vec<Reference>,
    pub ids: Vec<OwnIdentifier>,
    pub name: Option<String>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub addl_name: Option<String>,
    pub gender: Option<String>,
    #[schema(value_type = Option<String>, format = Date)]
    pub birthdate: Option<Day>,
    pub birth_place: Option<String>,
    pub email: Option<String>,
    pub address: Option<String>,
    #[schema(value_type = Option<String>, format = Date)]
    pub registration_date: Option<Day>,
    pub payment_address: Option<String>,
    pub disabled: bool,
    pub phone_numbers: Vec<PhoneNumber>,
    pub group_kind: Option<String>,
    pub is_partial_group: Option<bool>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Millis,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Millis,
}

impl Registrant {
    /// As `source` is told of it: by its own reference if it gave one, else by the first.
    pub fn told(row: registrants::Row, source: &str) -> Self {
        let own = row.references.iter().find(|(of, _)| of == source);
        let (source, reference) = own.or_else(|| row.references.first()).cloned().unzip();
        let references = row.references.into_iter();
        let ids = row.ids.into_iter();
        let phone_numbers = row.phone_numbers.into_iter();
        Self {
            registrant_id: row.registrant_id,
            kind: row.kind,
            source,
            reference,
            references: references
                .map(|(source, reference)| Reference { source, reference })
                .collect(),
            ids: ids
                .map(|(id_type, value, expiry_date)| OwnIdentifier {
                    id_type,
                    value,
                    expiry_date: expiry_date.map(Day::from),
                })
                .collect(),
            name: row.name,
            given_name: row.given_name,
            family_name: row.family_name,
            addl_name: row.addl_name,
            gender: row.gender,
            birthdate: row.birthdate.map(Day::from),
            birth_place: row.birth_place,
            email: row.email,
            address: row.address,
            registration_date: row.registration_date.map(Day::from),
            payment_address: row.payment_address,
            disabled: row.disabled,
            phone_numbers: phone_numbers
                .map(|(phone_no, collected)| PhoneNumber {
                    phone_no,
                    date_collected: collected.map(Day::from),
                })
                .collect(),
            group_kind: row.group_kind,
            is_partial_group: row.is_partial_group,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        }
    }
}

/// A member of a group by its names.
#[derive(Serialize, ToSchema)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub struct MemberName {
    pub registrant_id: Uuid,
    pub kind: String,
    pub source: Option<String>,
    pub reference: Option<String>,
    pub name: Option<String>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub disabled: bool,
}

/// Who is or was a member of a group, as what, and its memberships.
#[derive(Serialize, ToSchema)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub struct Member {
    pub individual: MemberName,
    pub kinds: Vec<String>,
    /// Whether the group is paid to this person.
    pub is_head: bool,
    #[schema(value_type = String, format = Date)]
    pub start_date: Day,
    #[schema(value_type = Option<String>, format = Date)]
    pub ended_date: Option<Day>,
    pub memberships: Vec<Membership>,
}

impl From<groups::Member> for Member {
    fn from(member: groups::Member) -> Self {
        Self {
            individual: MemberName {
                registrant_id: member.individual_id,
                kind: "INDIVIDUAL".to_owned(),
                source: member.source,
                reference: member.reference,
                name: member.name,
                given_name: member.given_name,
                family_name: member.family_name,
                disabled: member.disabled,
            },
            kinds: member.kinds,
            is_head: member.is_head,
            start_date: member.start_date.into(),
            ended_date: member.ended_date.map(Day::from),
            memberships: member.memberships.into_iter().map(Membership::from).collect(),
        }
    }
}

/// P9: what is read is a person's, so `Debug` is its name and no more.
macro_rules! redacted_debug {
    ($($read:ident),* $(,)?) => {
        $(impl std::fmt::Debug for $read {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($read)).finish_non_exhaustive()
            }
        })*
    };
}

redacted_debug!(
    Program,
    Identifier,
    OwnIdentifier,
    PhoneNumber,
    RegistrantName,
    Membership,
    Named,
    HistoryItem,
    Reference,
    Registrant,
    MemberName,
    Member,
);
