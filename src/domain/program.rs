//! Programs: what registrants are enrolled in.

use super::RegistrantKind;
use uuid::Uuid;

/// A program's id: `UUIDv5` of its code, so that an import repeated after a restore gives the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProgramId(pub Uuid);

/// Namespace of program ids.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f3c_1d52_7a0e_5b8e_9d40_3f6a_11c8_27b4);

impl ProgramId {
    /// The id of the program with this code.
    pub fn of(code: &str) -> Self {
        Self(Uuid::new_v5(&NAMESPACE, code.as_bytes()))
    }
}

/// Whether a program still takes members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramState {
    /// Takes members.
    Active,
    /// Takes no new ones; its members stay.
    Ended,
}

impl ProgramState {
    /// The symbol in SQL, JSON and CSV.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Ended => "ENDED",
        }
    }

    /// The state with this symbol.
    pub fn parse(symbol: &str) -> Option<Self> {
        match symbol {
            "ACTIVE" => Some(Self::Active),
            "ENDED" => Some(Self::Ended),
            _ => None,
        }
    }
}

/// The longest code and name, in characters, as for any text of the contract.
const MAX_TEXT: usize = 1_000;

/// A program as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "fields have the names of the contract")]
pub struct Program {
    /// Its id.
    pub program_id: ProgramId,
    /// The code that requests name it by.
    pub code: String,
    /// Its name for people.
    pub name: String,
    /// The kind of registrants it is for.
    pub target_type: RegistrantKind,
    /// Active or ended.
    pub state: ProgramState,
}

impl Program {
    /// Whether a text can be a code or a name.
    pub fn is_text(text: &str) -> bool {
        (1..=MAX_TEXT).contains(&text.chars().count()) && !text.contains('\0')
    }
}
