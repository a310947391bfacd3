//! Errors of the database, reduced to what may be shown (P9).

use std::borrow::Cow;

/// An error of the store. Holds the SQLSTATE and the constraint, never a row, a key or a statement: what Postgres
/// says beyond that can contain values of persons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Postgres refused a statement.
    #[error("Postgres: SQLSTATE {sqlstate}{}", constraint_suffix(.constraint.as_deref()))]
    Database {
        /// Five characters.
        sqlstate: String,
        /// The constraint that was broken, if one was.
        constraint: Option<String>,
    },
    /// The connection failed, or none could be had in time.
    #[error("Postgres cannot be reached: {0}")]
    Connection(Cow<'static, str>),
    /// A statement touched another number of rows than it must.
    #[error("{what}: {expected} rows expected, {found} found")]
    Rows {
        /// Which statement.
        what: &'static str,
        /// How many it must touch.
        expected: u64,
        /// How many it did.
        found: u64,
    },
    /// Something that was read changed before it was locked: the transaction must run again.
    #[error("{0} changed meanwhile; the transaction runs again")]
    Changed(&'static str),
    /// A stored value that no version of the program writes.
    #[error("{table}.{column} holds a value that this version does not know")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
}

fn constraint_suffix(constraint: Option<&str>) -> String {
    constraint.map(|name| format!(", constraint {name}")).unwrap_or_default()
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => Self::Database {
                sqlstate: error.code().map(Cow::into_owned).unwrap_or_default(),
                constraint: error.constraint().map(str::to_owned),
            },
            sqlx::Error::Io(error) => Self::Connection(error.kind().to_string().into()),
            sqlx::Error::Tls(_) => Self::Connection("TLS handshake failed".into()),
            sqlx::Error::PoolTimedOut => {
                Self::Connection("no connection within the time-out".into())
            }
            sqlx::Error::PoolClosed => Self::Connection("the pool is closed".into()),
            sqlx::Error::RowNotFound => Self::Rows { what: "read", expected: 1, found: 0 },
            sqlx::Error::Protocol(_) => Self::Connection("the protocol was broken".into()),
            sqlx::Error::Configuration(_) => Self::Connection("database.url cannot be used".into()),
            // A value that no version of the program writes: not an outage, however often it is read.
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                Self::Inconsistent { table: "a row", column: "a column" }
            }
            // The rest is about types and columns, which the checked queries exclude.
            _ => Self::Connection("the driver failed".into()),
        }
    }
}

/// What a function of the store gives.
pub type Result<T> = std::result::Result<T, Error>;

/// Checks that a statement touched as many rows as it must.
pub(super) fn expect_rows(what: &'static str, expected: usize, found: u64) -> Result<()> {
    let expected = expected as u64;
    if expected == found { Ok(()) } else { Err(Error::Rows { what, expected, found }) }
}
