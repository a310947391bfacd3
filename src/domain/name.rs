//! Names: what registrants are known by.

/// Whether a name is a registry's own reference or an identifier such as a national id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NameKind {
    /// A reference; its scope is the source that gave it.
    Reference,
    /// An identifier; its scope is the id type.
    Identifier,
}

impl NameKind {
    /// The symbol in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reference => "REFERENCE",
            Self::Identifier => "IDENTIFIER",
        }
    }

    /// The kind with this symbol.
    pub fn parse(symbol: &str) -> Option<Self> {
        match symbol {
            "REFERENCE" => Some(Self::Reference),
            "IDENTIFIER" => Some(Self::Identifier),
            _ => None,
        }
    }
}

/// A reference or an identifier, unique among all registrants.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameKey {
    /// Reference or identifier.
    pub kind: NameKind,
    /// The source of a reference, the type of an identifier.
    pub scope: String,
    /// The reference or identifier itself. Of a person: never in a log.
    pub value: String,
}

impl NameKey {
    /// The reference `value` given by `source`.
    pub fn reference(source: impl Into<String>, value: impl Into<String>) -> Self {
        Self { kind: NameKind::Reference, scope: source.into(), value: value.into() }
    }

    /// The identifier `value` of type `id_type`.
    pub fn identifier(id_type: impl Into<String>, value: impl Into<String>) -> Self {
        Self { kind: NameKind::Identifier, scope: id_type.into(), value: value.into() }
    }
}

impl std::fmt::Debug for NameKey {
    /// P9: the value stays inside.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({}, [redacted])", self.kind.as_str(), self.scope)
    }
}
