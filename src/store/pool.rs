//! Connections, and what must hold of a database before anything is written to it.

use super::{Error, Result};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool};
use std::str::FromStr as _;
use std::time::Duration;

/// The version of the schema that this program was built for.
pub const SCHEMA_VERSION: i32 = 14;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// How sessions are opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections at most.
    pub max_connections: u32,
    /// By this name sessions of Rollcall are known, also to each other (I3).
    pub application_name: String,
    /// No statement runs longer.
    pub statement_timeout: Duration,
    /// No lock is waited for longer.
    pub lock_timeout: Duration,
    /// No transaction idles longer.
    pub idle_in_transaction_timeout: Duration,
    /// No sent byte stays unacknowledged longer.
    pub tcp_user_timeout: Duration,
}

/// How the sessions of `options` are opened at `url`.
fn connect_options(url: &str, options: &Options) -> Result<PgConnectOptions> {
    let millis = |duration: Duration| duration.as_millis().to_string();
    Ok(PgConnectOptions::from_str(url)?.application_name(&options.application_name).options([
        ("statement_timeout", millis(options.statement_timeout)),
        ("lock_timeout", millis(options.lock_timeout)),
        ("idle_in_transaction_session_timeout", millis(options.idle_in_transaction_timeout)),
        ("tcp_user_timeout", millis(options.tcp_user_timeout)),
        // The plans of set-wise statements do not depend on the values: plan them once.
        ("plan_cache_mode", "force_generic_plan".to_owned()),
        // A plan kept from when a table was small would scan it, or hash it whole, when it is large: every batch
        // looks rows up by keys.
        ("enable_seqscan", "off".to_owned()),
        ("default_transaction_isolation", "read committed".to_owned()),
        ("jit", "off".to_owned()),
        ("TimeZone", "UTC".to_owned()),
    ]))
}

/// Opens a pool. Nothing is connected yet, so a database that is away is no error here.
///
/// # Errors
/// When the URL cannot be used.
pub fn connect(url: &str, options: &Options) -> Result<PgPool> {
    let connect = connect_options(url, options)?;
    Ok(PgPoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(Duration::from_secs(10))
        // An error of a dead connection is handled where it arises; a ping a transaction would be a round trip more.
        .test_before_acquire(false)
        .connect_lazy_with(connect))
}

/// Opens one session now, for a command: it hears at once, and in its own words, that there is no database.
///
/// # Errors
/// When the URL cannot be used or nobody answers there.
pub async fn open(url: &str, options: &Options) -> Result<PgConnection> {
    Ok(PgConnection::connect_with(&connect_options(url, options)?).await?)
}

/// Brings the schema to this program's version.
///
/// # Errors
/// When the database is away or not of UTF-8, or a migration fails; nothing of the failed one is left.
pub async fn migrate(url: &str) -> std::result::Result<(), Unfit> {
    let mut connection = PgConnection::connect(url).await.map_err(Error::from)?;
    holds_any_text(&mut connection).await?;
    MIGRATOR.run(&mut connection).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::Execute(error)
        | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => Error::from(error),
        _ => Error::Inconsistent { table: "_sqlx_migrations", column: "version" },
    })?;
    connection.close().await.map_err(Error::from)?;
    Ok(())
}

/// Why a database cannot be worked on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The schema is missing.
    #[error("the database has no Rollcall schema; run `rollcall migrate`")]
    NotMigrated,
    /// The schema is older than the program.
    #[error(
        "the schema has version {0}, this program needs {SCHEMA_VERSION}; run `rollcall migrate`"
    )]
    TooOld(i32),
    /// The schema asks for a newer program.
    #[error(
        "the schema asks for a worker of version {0} or later, this is {SCHEMA_VERSION}; upgrade the worker"
    )]
    TooNew(i32),
    /// Names and identifiers of people could not be stored, or not as they came.
    #[error(
        "the database's encoding is `{0}`: names could not be stored as they come; create a database with ENCODING 'UTF8'"
    )]
    NotUtf8(String),
    /// Commits would not be on disk when they are answered (P1).
    #[error(
        "synchronous_commit is `{0}`: a commit could be lost after it was answered; set it to on"
    )]
    Asynchronous(String),
    /// The database could not be asked.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Checks that the database holds any text, that the schema fits and that commits are durable.
///
/// # Errors
/// [`Unfit`], in words that say what to do.
pub async fn verify(connection: &mut PgConnection) -> std::result::Result<(), Unfit> {
    // First: who hears of a missing schema would make one, in a database that is of no use.
    holds_any_text(connection).await?;
    let exists =
        sqlx::query_scalar!(r#"SELECT to_regclass('schema_version') IS NOT NULL AS "exists!""#)
            .fetch_one(&mut *connection)
            .await
            .map_err(Error::from)?;
    if !exists {
        return Err(Unfit::NotMigrated);
    }
    let version = sqlx::query!("SELECT current, min_worker FROM schema_version")
        .fetch_one(&mut *connection)
        .await
        .map_err(Error::from)?;
    if version.current < SCHEMA_VERSION {
        return Err(Unfit::TooOld(version.current));
    }
    if version.min_worker > SCHEMA_VERSION {
        return Err(Unfit::TooNew(version.min_worker));
    }
    let durable =
        sqlx::query_scalar!(r#"SELECT current_setting('synchronous_commit') AS "setting!""#)
            .fetch_one(&mut *connection)
            .await
            .map_err(Error::from)?;
    if durable == "off" { Err(Unfit::Asynchronous(durable)) } else { Ok(()) }
}

async fn holds_any_text(connection: &mut PgConnection) -> std::result::Result<(), Unfit> {
    let encoding =
        sqlx::query_scalar!(r#"SELECT current_setting('server_encoding') AS "encoding!""#)
            .fetch_one(connection)
            .await
            .map_err(Error::from)?;
    if encoding == "UTF8" { Ok(()) } else { Err(Unfit::NotUtf8(encoding)) }
}
