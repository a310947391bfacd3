//! Registrants, and members of groups.

use super::{Membership, symbols};
use crate::contract::wire::{Day, Millis};
use crate::store::reads::{groups, registrants};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

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
    #[schema(schema_with = symbols::kind)]
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
    #[schema(schema_with = symbols::kind)]
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

redacted_debug!(OwnIdentifier, PhoneNumber, Reference, Registrant, MemberName, Member);
