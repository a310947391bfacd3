//! `…/results`: what came of each message of a batch, as JSON, NDJSON or CSV.

use super::accept::{Form, accepted};
use super::find;
use super::listing::{Listing, seal};
use crate::apply::batches::{Outcome, Query as Asked, results};
use crate::contract::wire::ResultError;
use crate::http::Face;
use crate::http::auth::{Caller, ResultsRead};
use crate::http::extract::{Path, Query};
use crate::http::problem::{Code, Problem};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// The columns of the CSV.
const COLUMNS: [&str; 8] =
    ["message_id", "outcome", "status", "final", "registrant_id", "recorded_at", "pointer", "code"];

/// The results of a batch, in the order in which they were recorded
///
/// A message whose outcome changes while somebody pages comes once more, further on: what was told last counts. While the
/// batch is under way, what commits behind a page that was read may be missed.
#[utoipa::path(get, path = "/v1/batches/{source}/{batch_id}/results", operation_id = "listResults", tag = "Batches",
    params(
        Listing,
        ("source" = String, Path, description = "Who sent it", example = "registry"),
        ("batch_id" = String, Path, description = "Its id", example = "2026-03"),
    ),
    responses((status = 200, description = "A page of results, in the form that `Accept` names", content(
        (Object = "application/json"),
        (String = "application/x-ndjson"),
        (String = "text/csv"),
    ))))]
pub(super) async fn get(
    caller: Caller<ResultsRead>,
    Path((source, batch_id)): Path<(String, String)>,
    Query(listing): Query<Listing>,
    State(face): State<Face>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.may_see(&source)?;
    let name = listing.name(&source, &batch_id);
    let asked = Asked {
        outcomes: listing.outcomes.clone(),
        code: listing.code.clone(),
        after: listing.after(&name)?,
        limit: listing.limit as usize,
    };
    let mut connection = face.connection().await?;
    let batch = (source.as_str(), batch_id.as_str());
    let (found, next) = results(&mut connection, batch, &asked).await?;
    if found.is_empty() {
        find(&mut connection, batch).await?;
    }
    let next = next.map(|place| seal(&name, &place));
    let mut response = match accepted(&headers) {
        Form::Json => {
            let items: Vec<_> = found.iter().map(Outcome::object).collect();
            axum::Json(json!({"items": items, "next_cursor": next})).into_response()
        }
        Form::Ndjson => {
            let lines: String = found.iter().map(|said| format!("{}\n", said.object())).collect();
            ([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response()
        }
        Form::Csv => {
            ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], csv(&found)?).into_response()
        }
    };
    let link = next.and_then(|cursor| {
        let limit = listing.limit;
        let outcomes = listing.outcomes.iter().flat_map(|of| ["&outcome=", of.word()]);
        let outcome: String = outcomes.collect();
        let code: String = listing
            .code
            .iter()
            .flat_map(|code| {
                ["&code=".to_owned(), form_urlencoded::byte_serialize(code.as_bytes()).collect()]
            })
            .collect();
        let path = format!("/v1/batches/{source}/{batch_id}/results");
        HeaderValue::from_str(&format!(
            "<{path}?limit={limit}{outcome}{code}&cursor={cursor}>; rel=\"next\""
        ))
        .ok()
    });
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// A row an item or error, one at least for each message; what refused an item stands in its row.
fn csv(found: &[Outcome]) -> Result<Vec<u8>, Problem> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |_error| Problem::of(Code::InternalError);
    writer.write_record(COLUMNS).map_err(failed)?;
    for said in found {
        let object = said.object();
        let text = |name: &str| match &object[name] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let common: Vec<_> = COLUMNS.iter().take(6).map(|name| text(name)).collect();
        let mut errors: Vec<_> = said.result.errors.iter().collect();
        for item in &said.result.items {
            // An item's row tells what refused it: the first error with its code, of it or of a part of it.
            let told = |error: &&ResultError| {
                let part = error.pointer.strip_prefix(item.pointer.as_str());
                let part = part.is_some_and(|part| part.is_empty() || part.starts_with('/'));
                part && error.code == item.code
            };
            if let Some(at) = errors.iter().position(told) {
                errors.remove(at);
            }
        }
        let items = said.result.items.iter().map(|item| (&item.pointer, &item.code));
        let errors = errors.into_iter().map(|error| (&error.pointer, &error.code));
        let mut rows: Vec<_> = items.chain(errors).collect();
        let nothing = String::new();
        if rows.is_empty() {
            rows.push((&nothing, &nothing));
        }
        for (pointer, code) in rows {
            let row = common.iter().map(String::as_str).chain([pointer.as_str(), code.as_str()]);
            writer.write_record(row).map_err(failed)?;
        }
    }
    writer.into_inner().map_err(|_error| Problem::of(Code::InternalError))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::batches::BatchOutcome;
    use crate::contract::dead_lettered;
    use crate::contract::wire::{self, ResultItem};

    /// The pointers and codes of the rows of a message with these items and errors.
    fn rows(items: &[(&str, &str)], errors: &[(&str, &str)]) -> Vec<String> {
        let mut result =
            dead_lettered(("registry", "m"), None, None, time::OffsetDateTime::UNIX_EPOCH);
        let item = |&(pointer, code): &(&str, &str)| ResultItem {
            pointer: pointer.to_owned(),
            program: "CASH".to_owned(),
            registrant_id: None,
            membership_id: None,
            state: None,
            version: None,
            outcome: wire::Outcome::Rejected,
            code: code.to_owned(),
        };
        let error = |&(pointer, code): &(&str, &str)| ResultError {
            pointer: pointer.to_owned(),
            code: code.to_owned(),
            detail: String::new(),
        };
        result.items = items.iter().map(item).collect();
        result.errors = errors.iter().map(error).collect();
        let text = csv(&[Outcome { outcome: BatchOutcome::Rejected, result }]).unwrap();
        let text = String::from_utf8(text).unwrap();
        let last = |row: &str| row.rsplitn(3, ',').take(2).collect::<Vec<_>>().join(" ");
        text.lines().skip(1).map(last).collect()
    }

    #[test]
    fn every_error_has_a_row_and_none_has_two() {
        // An update's item is the whole message.
        assert_eq!(
            rows(&[("", "first")], &[("/program", "first"), ("/exit_date", "second")]),
            ["first ", "second /exit_date"]
        );
        let [one, ten] = ["/program_memberships/1", "/program_memberships/10"];
        let part = format!("{ten}/program");
        assert_eq!(
            rows(&[(one, "a"), (ten, "b")], &[(one, "a"), (&part, "b"), (ten, "a")]),
            [format!("a {one}"), format!("b {ten}"), format!("a {ten}")]
        );
        assert_eq!(rows(&[], &[("/registrant", "a")]), ["a /registrant"]);
        assert_eq!(rows(&[], &[]), [" "]);
    }
}
