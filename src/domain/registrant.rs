//! Registrants: individuals and groups.

use super::{Membership, NameKey, NameKind};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// A registrant's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistrantId(pub Uuid);

/// What a registrant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RegistrantKind {
    /// One person.
    Individual,
    /// A household or another group of persons.
    Group,
}

impl RegistrantKind {
    /// The symbol in Avro, JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Individual => "INDIVIDUAL",
            Self::Group => "GROUP",
        }
    }

    /// The kind with this symbol.
    pub fn parse(symbol: &str) -> Option<Self> {
        match symbol {
            "INDIVIDUAL" => Some(Self::Individual),
            "GROUP" => Some(Self::Group),
            _ => None,
        }
    }
}

/// What is kept of an identifier beside its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IdentifierFacts {
    /// Last day on which it is valid.
    pub expiry_date: Option<Date>,
}

/// A registrant with all that hangs on it, as it is stored. The aggregate: its row, locked, guards the rest.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "fields have the names of the contract")]
pub struct Registrant {
    /// Its id.
    pub registrant_id: RegistrantId,
    /// Individual or group; never changes.
    pub kind: RegistrantKind,
    /// Name as one text.
    pub name: Option<String>,
    /// Given name.
    pub given_name: Option<String>,
    /// Family name.
    pub family_name: Option<String>,
    /// Additional name.
    pub addl_name: Option<String>,
    /// Gender, as the registry says it.
    pub gender: Option<String>,
    /// Date of birth.
    pub birthdate: Option<Date>,
    /// Place of birth.
    pub birth_place: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Postal address.
    pub address: Option<String>,
    /// When the registry registered it.
    pub registration_date: Option<Date>,
    /// Where to pay, passed through.
    pub payment_address: Option<String>,
    /// A disabled registrant cannot be enrolled, resumed or re-enrolled.
    pub disabled: bool,
    /// What kind of group.
    pub group_kind: Option<String>,
    /// Whether not all members of the group are known.
    pub is_partial_group: Option<bool>,
    /// References by source.
    pub references: BTreeMap<String, String>,
    /// Identifiers by type.
    pub identifiers: BTreeMap<String, (String, IdentifierFacts)>,
    /// Phone numbers, each with the day it was collected.
    pub phone_numbers: BTreeMap<String, Option<Date>>,
    /// Memberships, in no order.
    pub memberships: Vec<Membership>,
    /// Of a group: who is and was a member of it.
    pub members: BTreeMap<RegistrantId, Place>,
}

/// A person's place in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What the person is there, such as `Head`: sorted, each once.
    pub kinds: Vec<String>,
    /// First day.
    pub start_date: Date,
    /// Last day; with one, whatever it is, the person is a member no longer.
    pub ended_date: Option<Date>,
}

impl Place {
    /// Whether the person is the head now.
    pub(super) fn is_head(&self, head_kind: &str) -> bool {
        self.ended_date.is_none() && self.kinds.iter().any(|kind| kind == head_kind)
    }
}

impl Registrant {
    /// A registrant of whom nothing is known yet.
    pub fn new(registrant_id: RegistrantId, kind: RegistrantKind) -> Self {
        Self {
            registrant_id,
            kind,
            name: None,
            given_name: None,
            family_name: None,
            addl_name: None,
            gender: None,
            birthdate: None,
            birth_place: None,
            email: None,
            address: None,
            registration_date: None,
            payment_address: None,
            disabled: false,
            group_kind: None,
            is_partial_group: None,
            references: BTreeMap::new(),
            identifiers: BTreeMap::new(),
            phone_numbers: BTreeMap::new(),
            memberships: Vec::new(),
            members: BTreeMap::new(),
        }
    }

    /// The member with this kind who has not ended: with `groups.head_kind`, who is paid for the group.
    pub fn head(&self, head_kind: &str) -> Option<RegistrantId> {
        self.members.iter().find(|(_, place)| place.is_head(head_kind)).map(|(id, _)| *id)
    }

    /// Adds a name as it is stored.
    pub fn add_name(&mut self, name: NameKey, facts: IdentifierFacts) {
        match name.kind {
            NameKind::Reference => {
                self.references.insert(name.scope, name.value);
            }
            NameKind::Identifier => {
                self.identifiers.insert(name.scope, (name.value, facts));
            }
        }
    }

    /// All its names.
    pub fn names(&self) -> impl Iterator<Item = (NameKey, IdentifierFacts)> + '_ {
        let references = self
            .references
            .iter()
            .map(|(source, value)| (NameKey::reference(source, value), IdentifierFacts::default()));
        let identifiers = self
            .identifiers
            .iter()
            .map(|(id_type, (value, facts))| (NameKey::identifier(id_type, value), *facts));
        references.chain(identifiers)
    }
}

impl std::fmt::Debug for Registrant {
    /// P9: only what is no value of a person.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registrant")
            .field("registrant_id", &self.registrant_id)
            .field("kind", &self.kind)
            .field("disabled", &self.disabled)
            .field("memberships", &self.memberships)
            .finish_non_exhaustive()
    }
}

/// The id of a registrant made by this part of this request.
pub fn registrant_id(
    at: OffsetDateTime,
    source: &str,
    message_id: &str,
    pointer: &str,
) -> RegistrantId {
    RegistrantId(derived_id(at, "registrant", source, message_id, pointer))
}

/// `UUIDv8`: 48 bits of the creating record's timestamp in ms, so that new rows stand together in the index; the
/// rest from SHA-256 of what was said, so that saying it again gives the same id.
pub(super) fn derived_id(
    at: OffsetDateTime,
    what: &str,
    source: &str,
    message_id: &str,
    pointer: &str,
) -> Uuid {
    let mut hash = Sha256::new();
    for part in [what, source, message_id, pointer] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let mut bytes = [0_u8; 16];
    let millis = (at.unix_timestamp_nanos() / 1_000_000).clamp(0, (1 << 48) - 1) as u64;
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&digest[..10]);
    Uuid::new_v8(bytes)
}
