//! `rollcall programs`.

use super::exit::{Exit, Failure, Result};
use super::output::{List, Table, push};
use super::{Context, database};
use crate::app::programs::{self, LineError};
use crate::domain::Program;
use crate::lifecycle::clock::{Clock as _, SystemClock};
use crate::store;
use serde_json::{Value, json};
use sqlx::Connection as _;
use std::path::PathBuf;

/// Define the programs that registrants are enrolled in
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create or change programs from a file, all of them or none
    ///
    /// CSV with the columns `code,name,target_type,state`, or JSON: an array of objects with these fields, or one
    /// object a line. `target_type` is INDIVIDUAL or GROUP; `state` is ACTIVE (default) or ENDED. Programs are known
    /// by their code; those that the file does not name stay as they are.
    Import {
        /// The file, or - for stdin
        file: PathBuf,
        /// Its form; by default told from its name and content
        #[arg(long, value_enum)]
        format: Option<programs::Format>,
    },
    /// List all programs
    List,
    /// End a program: nobody can be enrolled, resumed or re-enrolled in it; its members stay
    End {
        /// The program's code
        code: String,
    },
}

pub(super) async fn main(command: &Command, context: &Context) -> Result<Exit> {
    match command {
        Command::Import { file, format } => import(file, *format, context).await,
        Command::List => list(context).await,
        Command::End { code } => end(code, context).await,
    }
}

async fn import(
    file: &std::path::Path,
    format: Option<programs::Format>,
    context: &Context,
) -> Result<Exit> {
    let bytes = super::read_file(file)?;
    let given = match programs::parse(&bytes, format) {
        Ok(given) => given,
        Err(errors) => return refuse(&errors, context),
    };
    let loaded = context.load()?;
    let mut connection = database::verified(&loaded.settings).await?;
    let mut tx = connection.begin().await.map_err(store::Error::from)?;
    let imported = store::programs::import(&mut tx, &given, SystemClock.now()).await?;
    tx.commit().await.map_err(store::Error::from)?;
    let (created, changed, unchanged) = (imported.created, imported.changed, imported.unchanged);
    let answer = json!({
        "counts": {"created": created, "changed": changed, "unchanged": unchanged},
        "errors": [],
    });
    context.output.answer(&answer, || {
        format!("{created} programs created, {changed} changed, {unchanged} as they were.")
    })?;
    Ok(Exit::Done)
}

fn refuse(errors: &[LineError], context: &Context) -> Result<Exit> {
    let answer = json!({
        "counts": {"created": 0, "changed": 0, "unchanged": 0},
        "errors": errors,
    });
    context.output.answer(&answer, || {
        let mut text = String::from("Nothing was imported:\n");
        for error in errors {
            let field =
                error.field.as_deref().map(|field| format!("{field}: ")).unwrap_or_default();
            push(&mut text, format_args!("  line {}: {field}{}\n", error.line, error.detail));
        }
        text
    })?;
    Ok(Exit::No)
}

fn object(program: &Program) -> Value {
    json!({
        "program_id": program.program_id.0,
        "code": program.code,
        "name": program.name,
        "target_type": program.target_type.as_str(),
        "state": program.state.as_str(),
    })
}

async fn list(context: &Context) -> Result<Exit> {
    let loaded = context.load()?;
    let mut connection = database::verified(&loaded.settings).await?;
    let programs = store::programs::list(&mut connection).await?;
    let answer = List::whole(programs.iter().map(object).collect());
    context.output.answer(&answer, || {
        let mut table = Table::new(&["code", "name", "target type", "state"]);
        for program in &programs {
            table.row(vec![
                program.code.clone(),
                program.name.clone(),
                program.target_type.as_str().to_owned(),
                program.state.as_str().to_owned(),
            ]);
        }
        table.text("No programs; bring some with `rollcall programs import FILE`.")
    })?;
    Ok(Exit::Done)
}

async fn end(code: &str, context: &Context) -> Result<Exit> {
    let loaded = context.load()?;
    let mut connection = database::verified(&loaded.settings).await?;
    let mut tx = connection.begin().await.map_err(store::Error::from)?;
    let Some(changed) = store::programs::end(&mut tx, code, SystemClock.now()).await? else {
        return Err(Failure::no(
            "not-found",
            "no program has this code; see `rollcall programs list`",
        ));
    };
    tx.commit().await.map_err(store::Error::from)?;
    let answer = json!({"code": code, "state": "ENDED", "changed": changed});
    context.output.answer(&answer, || {
        if changed { format!("{code} has ended.") } else { format!("{code} had ended before.") }
    })?;
    Ok(Exit::Done)
}
