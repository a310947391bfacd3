//! A command's way to Postgres.

use super::exit::Result;
use crate::config::Settings;
use crate::store;
use secrecy::ExposeSecret as _;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};

/// A small pool of the settings' database, under a name of its own: a takeover ends sessions of workers only.
pub(super) fn open(settings: &Settings) -> Result<PgPool> {
    let url = settings.require_database()?.expose_secret();
    let database = &settings.database;
    Ok(store::connect(
        url,
        &store::Options {
            max_connections: 4,
            application_name: "rollcall-cli".to_owned(),
            statement_timeout: database.statement_timeout,
            lock_timeout: database.lock_timeout,
            idle_in_transaction_timeout: database.idle_in_transaction_timeout,
            tcp_user_timeout: database.tcp_user_timeout,
        },
    )?)
}

/// A connection of the pool.
pub(super) async fn session(pool: &PgPool) -> Result<PoolConnection<Postgres>> {
    Ok(pool.acquire().await.map_err(store::Error::from)?)
}
