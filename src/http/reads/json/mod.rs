//! What is read, as JSON says it.

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

mod history;
mod registrants;
pub(in crate::http) mod symbols;

pub use history::{HistoryItem, Named, Payee};
pub use registrants::{Member, MemberName, OwnIdentifier, PhoneNumber, Reference, Registrant};

use crate::contract::wire::{Day, Millis};
use crate::store::reads::memberships;
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

/// A registrant by its names.
#[derive(Serialize, ToSchema)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub struct RegistrantName {
    pub registrant_id: Uuid,
    #[schema(schema_with = symbols::kind)]
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
    #[schema(schema_with = symbols::state)]
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

redacted_debug!(Program, Identifier, RegistrantName, Membership);
