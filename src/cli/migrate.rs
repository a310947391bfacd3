//! `rollcall migrate`.

use super::exit::{Exit, Result};
use super::{Context, database};
use crate::store;
use secrecy::ExposeSecret as _;
use serde_json::json;

/// Bring the database's schema to this program's version
///
/// May be run again and beside running workers. The role of `database.url` needs the right to create tables; give it
/// another URL than the worker's if the worker shall not have that right.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) async fn main(_: &Args, context: &Context) -> Result<Exit> {
    let loaded = context.load()?;
    store::migrate(loaded.settings.require_database()?.expose_secret()).await?;
    database::verified(&loaded.settings).await?;
    let version = store::SCHEMA_VERSION;
    context.output.answer(&json!({"schema_version": version}), || {
        format!("The schema has version {version}.")
    })?;
    Ok(Exit::Done)
}
