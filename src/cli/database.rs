//! A command's way to Postgres.

use super::exit::Result;
use crate::config::Settings;
use crate::store;
use secrecy::ExposeSecret as _;
use sqlx::PgConnection;

/// A session of the settings' database, under a name of its own: a takeover ends sessions of workers only.
pub(super) async fn open(settings: &Settings) -> Result<PgConnection> {
    let url = settings.require_database()?.expose_secret();
    let database = &settings.database;
    let options = store::Options {
        max_connections: 1,
        application_name: "rollcall-cli".to_owned(),
        statement_timeout: database.statement_timeout,
        lock_timeout: database.lock_timeout,
        idle_in_transaction_timeout: database.idle_in_transaction_timeout,
        tcp_user_timeout: database.tcp_user_timeout,
    };
    Ok(store::open(url, &options).await?)
}

/// The same, once it is sure that the schema fits.
pub(super) async fn verified(settings: &Settings) -> Result<PgConnection> {
    let mut connection = open(settings).await?;
    store::verify(&mut connection).await?;
    Ok(connection)
}
