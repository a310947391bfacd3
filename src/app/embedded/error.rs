//! What can go wrong with a throwaway server.

use std::path::PathBuf;

/// Why a throwaway server could not be started or used. Every text is one line and says what to do, where that is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine has no Postgres programs, and none could be downloaded.
    #[error(
        "no Postgres 15 or later was found, and it could not be downloaded ({reason}): install it (apt-get install postgresql) or set DATABASE_URL"
    )]
    NoPostgres {
        /// Why the download failed.
        reason: String,
    },
    /// Postgres refuses to run as root, and the machine has no account to run it as.
    #[error(
        "Postgres cannot run as root, and there is no account `postgres` or `nobody` to run it as: create one (useradd --system postgres) or set DATABASE_URL"
    )]
    NoAccount,
    /// A file, directory, port or process could not be had.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was attempted, as in "cannot …".
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A program of Postgres failed.
    #[error("{program} failed: {output}")]
    Program {
        /// Its path.
        program: PathBuf,
        /// The last line that it printed.
        output: String,
    },
    /// The server ended, or did not answer in time.
    #[error("Postgres did not start: {reason}")]
    NotStarted {
        /// The end of its log.
        reason: String,
    },
    /// The server refused a connection or a statement.
    #[error("cannot {what}: {source}")]
    Database {
        /// What was attempted, as in "cannot …".
        what: &'static str,
        /// The server's or driver's answer.
        source: sqlx::Error,
    },
    /// The operation needs a server of our own, and this one was given by its URL.
    #[error("this Postgres was given by its URL and is not ours to stop")]
    NotOurs,
    /// A database's name holds other characters than `a-z`, `0-9` and `_`, or is empty or too long.
    #[error("not a name for a database: {0:?}")]
    Name(String),
    /// The URL of a database does not read `postgres://…`.
    #[error(
        "not the URL of a Postgres database; it should read postgres://user:password@host:5432/name"
    )]
    Url,
    /// The mock Kafka cluster refused, or its thread is gone.
    #[error("the mock Kafka cluster cannot {what}: {reason}")]
    Kafka {
        /// What was attempted.
        what: &'static str,
        /// Why not.
        reason: String,
    },
}

impl Error {
    /// For `map_err` on what the operating system answers.
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// For `map_err` on what Postgres answers.
    pub(super) fn database(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { what, source }
    }
}
