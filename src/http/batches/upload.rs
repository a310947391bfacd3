//! `POST /v1/batches`: lines as for `submit`, sent on to the request topics while they come.

use super::lines::{Lines, Piece};
use crate::contract::lines::{Fill, Format, LineError};
use crate::http::Face;
use crate::http::auth::{Caller, MembershipsWrite};
use crate::http::extract::{NoQuery, idempotency_key};
use crate::http::problem::{Code, Problem};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio::sync::mpsc;
use utoipa::ToSchema;

/// Pieces of a body that wait to be read.
const AHEAD: usize = 4;
/// Errors that are told.
const MAX_ERRORS: usize = 1_000;

/// A batch on its way.
#[derive(Debug)]
pub struct Upload {
    /// Its lines as they come.
    pub lines: Lines,
    /// Their form.
    pub format: Format,
    /// What they leave out.
    pub fill: Fill,
    /// The source that every line must have; none: any.
    pub only: Option<String>,
    /// So many errors are told at most.
    pub max_errors: usize,
}

/// What became of its lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uploaded {
    /// Lines that Kafka has.
    pub accepted: u64,
    /// Lines that are wrong.
    pub refused: u64,
    /// What is wrong, line by line; the first of it.
    pub errors: Vec<LineError>,
}

/// Why a batch could not be sent on as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadError {
    /// Lines that Kafka has for certain. It may have more: those under way when it went away.
    pub accepted: u64,
    /// What was in the way.
    pub cause: UploadCause,
}

/// What is in the way of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadCause {
    /// The body was cut.
    Cut,
    /// There is no temporary file for it, or no room in it.
    Disk,
    /// Kafka is away, or did not take everything.
    Kafka,
}

const AGAIN: &str = "Kafka is away; send the same batch again under the same key";
const NO_ROOM: &str = "this server has no room on its disk to count so many lines without message_id: give each of \
                       them one, or send smaller batches";

/// What became of an upload.
type Sent = Result<Uploaded, UploadError>;

/// Sends batches on to the request topics.
#[derive(Clone)]
pub struct Uploader(Arc<dyn Fn(Upload) -> Sent + Send + Sync>);

impl Uploader {
    /// By a function that blocks until the batch is there.
    pub fn new(send: impl Fn(Upload) -> Sent + Send + Sync + 'static) -> Self {
        Self(Arc::new(send))
    }
}

impl std::fmt::Debug for Uploader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Uploader")
    }
}

/// What is wrong with a line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LineError)]
struct Wrong {
    /// Counted from 1.
    line: u64,
    /// JSON Pointer into the message.
    pointer: String,
    /// A reason code, or `malformed-json`, `malformed-csv`, `too-large`, or `forbidden` for a line of another source or actor.
    code: String,
    /// In words.
    detail: String,
}

impl From<LineError> for Wrong {
    fn from(error: LineError) -> Self {
        let LineError { line, pointer, code, detail } = error;
        Self { line, pointer, code: code.to_owned(), detail }
    }
}

/// What became of a batch's lines.
#[derive(Debug, Serialize, ToSchema)]
struct Receipt {
    /// The batch.
    #[schema(example = "2026-03")]
    batch_id: String,
    /// Lines that are on their way.
    accepted: u64,
    /// Lines that are wrong; nothing of them was sent.
    refused: u64,
    /// What is wrong, the first 1,000.
    errors: Vec<Wrong>,
}

/// Send many requests, one a line
///
/// Lines are those of `rollcall submit`: JSON objects with their `type`, or a CSV of enrollments. They are sent on while
/// they come. A batch that was cut is sent again whole under the same key: what has arrived is a duplicate.
#[utoipa::path(post, path = "/v1/batches", operation_id = "postBatch", tag = "Batches",
    params(("Idempotency-Key" = String, Header, description = "The batch's id, quoted or bare", example = "2026-03")),
    request_body(content(
        ("application/x-ndjson", example = json!("{\"type\":\"EnrollmentRequest\",\"registrant\":{\"kind\":\"INDIVIDUAL\",\"reference\":\"R-1\"}}\n")),
        ("text/csv", example = json!("reference,name,program\nR-1,Ana,CASH\n")),
    )),
    responses((status = 202, description = "Its right lines are on their way", body = Receipt)))]
pub(super) async fn post(
    caller: Caller<MembershipsWrite>,
    _: NoQuery,
    State(face): State<Face>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let source = caller.source()?.to_owned();
    let batch_id = idempotency_key(&headers)?;
    let format = format(&headers)?;
    let lane = face.lane.get().ok_or_else(|| away("the worker starts"))?;
    let uploader =
        face.uploader.clone().ok_or_else(|| away("this worker does not send to Kafka"))?;
    let (sender, pieces) = mpsc::channel(AHEAD);
    let fill = Fill {
        source: Some(source.clone()),
        batch_id: batch_id.clone(),
        sent_at: face.clock.now(),
        actor: caller.actor.clone(),
    };
    let only = caller.is_known().then(|| source.clone());
    let lines = Lines::new(pieces);
    let upload = Upload { lines, format, fill, only, max_errors: MAX_ERRORS };
    let work = tokio::task::spawn_blocking(move || uploader.0(upload));
    let fed = tokio::select! {
        fed = feed(body, sender, face.limits.body_timeout) => fed,
        () = lane.ends() => Err(away("the worker shuts down")),
    };
    let sent = work.await.map_err(|_panic| Problem::of(Code::InternalError))?;
    let uploaded = sent.map_err(|UploadError { accepted, cause }| {
        let problem = match cause {
            UploadCause::Kafka => away(AGAIN),
            UploadCause::Cut => cut(),
            UploadCause::Disk => away(NO_ROOM),
        };
        // Of a body that ended early its reader knows why.
        let problem = fed.err().filter(|_| cause == UploadCause::Cut).unwrap_or(problem);
        problem.with_result(so_far(&batch_id, accepted))
    })?;
    // Whoever asks for it from now on finds it, though none of its messages was read yet.
    tokio::select! {
        opened = lane.open_batch(&source, &batch_id) => opened?,
        () = face.database.found_away() => {
            let problem = away("the database cannot be reached; send the same batch again under the same key");
            return Err(problem.with_result(so_far(&batch_id, uploaded.accepted)));
        }
    }
    let Uploaded { accepted, refused, errors } = uploaded;
    let errors = errors.into_iter().map(Wrong::from).collect();
    let location = [(header::LOCATION, format!("/v1/batches/{source}/{batch_id}"))];
    let receipt = axum::Json(Receipt { batch_id, accepted, refused, errors });
    Ok((StatusCode::ACCEPTED, location, receipt).into_response())
}

/// What is told of a batch that was not sent on as a whole.
fn so_far(batch_id: &str, accepted: u64) -> Map<String, Value> {
    let said = [("batch_id", Value::from(batch_id)), ("accepted", Value::from(accepted))];
    said.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn cut() -> Problem {
    Problem::of(Code::RequestTimeout).because("the body was cut")
}

fn away(why: &'static str) -> Problem {
    Problem::of(Code::Unavailable).because(why)
}

fn format(headers: &HeaderMap) -> Result<Format, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    match kind.trim().to_ascii_lowercase().as_str() {
        "application/x-ndjson" => Ok(Format::Ndjson),
        "text/csv" => Ok(Format::Csv),
        _ => Err(Problem::of(Code::UnsupportedMediaType)
            .because("a batch is application/x-ndjson or text/csv")),
    }
}

/// Hands the body on, no faster than it is read.
async fn feed(
    body: Body,
    pieces: mpsc::Sender<Piece>,
    timeout: std::time::Duration,
) -> Result<(), Problem> {
    let mut body = body.into_data_stream();
    loop {
        let piece = match tokio::time::timeout(timeout, body.next()).await {
            Err(_late) => return Err(Problem::of(Code::RequestTimeout)),
            Ok(None) => Piece::End,
            Ok(Some(Ok(bytes))) => Piece::Bytes(bytes),
            Ok(Some(Err(_cut))) => {
                return Err(cut());
            }
        };
        let whole = matches!(piece, Piece::End);
        // Who reads has ended early, and says why.
        if pieces.send(piece).await.is_err() || whole {
            return Ok(());
        }
    }
}
