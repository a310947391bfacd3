//! Letters put right: tried, replayed, given up.

use super::meant::{Meant, Said};
use super::runs::{goes_on, holder};
use super::wish;
use crate::contract::Reason;
use crate::dead_letter::{How, Refusal, Selection, discarded, words};
use crate::http::Face;
use crate::http::auth::{Caller, OpsRead, OpsReplay};
use crate::http::extract::{Json, NoQuery, idempotency_key};
use crate::http::problem::{Flaw, Problem};
use crate::store::letters_runs;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> OpenApiRouter<Face> {
    OpenApiRouter::new().routes(routes!(preflight)).routes(routes!(replay)).routes(routes!(discard))
}

/// An order is about open letters, which all orders name alike; the rest is its own.
macro_rules! orders {
    ($( $(#[$meta:meta])* $order:ident { $( $(#[$about:meta])* $field:ident: $type:ty, )* } )*) => {
        $(
            #[derive(Debug, Serialize, Deserialize, ToSchema)]
            #[serde(deny_unknown_fields)]
            $(#[$meta])*
            struct $order {
                $( $(#[$about])* $field: $type, )*
                /// This letter, and no other; then nothing else says which.
                letter_id: Option<Uuid>,
                /// Those of this class.
                #[schema(pattern = "^(undecodable|unknown_schema|empty_payload|too_large|failed|skipped)$")]
                class: Option<String>,
                /// Those that failed at this stage: `frame`, `schema`, `decode` or `apply`.
                #[schema(pattern = "^(frame|schema|decode|apply)$")]
                stage: Option<String>,
                /// Those with this code, as the list says it.
                code: Option<String>,
                /// Those of this source.
                #[schema(pattern = "^[A-Za-z0-9._~-]{1,64}$")]
                source: Option<String>,
                /// Those from this topic, with or without the prefix.
                topic: Option<String>,
                /// Those from this partition of the topic.
                partition: Option<i32>,
                /// The one with this offset of the partition.
                offset: Option<i64>,
                /// Those whose bytes name the schema with this fingerprint: 16 hexadecimal digits.
                #[schema(pattern = "^[0-9a-f]{16}$")]
                schema: Option<String>,
                /// Those that failed first at this time or later: RFC 3339, or a date.
                since: Option<String>,
                /// Those that failed first before this time.
                until: Option<String>,
            }

            impl $order {
                /// The letters that are meant.
                fn meant(&mut self, face: &Face) -> Result<Meant, Problem> {
                    let said = Said {
                        letter_id: self.letter_id,
                        class: self.class.take(),
                        stage: self.stage.take(),
                        code: self.code.take(),
                        source: self.source.take(),
                        topic: self.topic.take(),
                        partition: self.partition,
                        offset: self.offset,
                        schema: self.schema.take(),
                        since: self.since.take(),
                        until: self.until.take(),
                    };
                    said.of_body(|topic| face.full_topic(topic))
                }
            }
        )*
    };
}

orders! {
    /// Letters that are to be tried. Nothing of it: all that are open.
    #[schema(example = json!({"class": "unknown_schema"}))]
    Preflight {
        /// Also those whose registrant has changed since.
        #[serde(default)]
        force: bool,
    }
    /// Letters that are to be replayed.
    #[schema(example = json!({"class": "unknown_schema", "reason": "the schema is deployed now"}))]
    Replay {
        /// Why; the audit keeps it.
        #[schema(min_length = 1, max_length = 1_000, pattern = "\\S")]
        reason: String,
        /// Also those whose registrant has changed since.
        #[serde(default)]
        force: bool,
        /// So many letters a second at most.
        #[schema(minimum = 0.001, maximum = 1_000_000)]
        rate: Option<f64>,
        /// Only if the selection still is the one of the preflight with this digest.
        digest: Option<String>,
        /// All open letters, where nothing says which.
        #[serde(default)]
        yes: bool,
    }
    /// Letters that are to be given up.
    #[schema(example = json!({"letter_id": "0197f0a1-7c3e-7d4b-9c1e-3f5a6b7c8d9e", "reason": "sent by mistake"}))]
    Discard {
        /// Why; the audit keeps it.
        #[schema(min_length = 1, max_length = 1_000, pattern = "\\S")]
        reason: String,
        /// Only if the selection still is the one of the preflight with this digest.
        digest: Option<String>,
        /// All open letters, where nothing says which.
        #[serde(default)]
        yes: bool,
    }
}

/// Say what would become of open letters if they were replayed now
///
/// They are applied in transactions that are rolled back: nothing is left of it, and nothing is published. The answer
/// counts them by outcome and reason, and has a digest of the selection for a replay.
#[utoipa::path(post, path = "/v1/dead-letters/preflight", operation_id = "preflightDeadLetters", tag = "Operations",
    request_body = Preflight,
    responses((status = 200, description = "What would become of them", body = Object)))]
async fn preflight(
    _: Caller<OpsRead>,
    _: NoQuery,
    State(face): State<Face>,
    Json(mut order): Json<Preflight>,
) -> Result<axum::Json<Value>, Problem> {
    let meant = order.meant(&face)?;
    let desk = &face.office()?.desk;
    let selection = desk.select(meant.filter()).await?;
    let stop = CancellationToken::new();
    let preview = Box::pin(desk.preflight(&selection, order.force, &stop, |_letters| {})).await?;
    Ok(axum::Json(preview.object()))
}

/// What stands beside the body of a replay.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read by name; the fields are its description")]
struct Headers {
    /// With a key a repeat of the same order is answered with the run that the first one made, and another order is
    /// refused. Without one, each order makes a run.
    #[param(rename = "Idempotency-Key", example = "9d2c4b7e-1")]
    idempotency_key: Option<String>,
}

/// Apply open letters again, by key and in their order
///
/// The selection is frozen as a run, which goes on in the server after the answer. It can be cancelled; if the server ends
/// before it, it is interrupted, and can be resumed. A letter whose registrant has changed since it failed is refused
/// unless `force` says otherwise, and stays a letter, as does one that fails again; one that somebody else has put right
/// meanwhile counts as `not_open`.
#[utoipa::path(post, path = "/v1/dead-letters/replay", operation_id = "replayDeadLetters", tag = "Operations",
    params(Headers), request_body = Replay,
    responses((status = 202, description = "The run", body = Object,
        headers(("Location" = String, description = "Where it says how far it is")))))]
async fn replay(
    caller: Caller<OpsReplay>,
    _: NoQuery,
    State(face): State<Face>,
    headers: HeaderMap,
    Json(mut order): Json<Replay>,
) -> Result<Response, Problem> {
    let office = face.office()?;
    let wish = wish(&caller, &order.reason)?;
    let rate = order.rate.map(words::rate).transpose();
    let rate = rate.map_err(|allowed| invalid("/rate", allowed))?;
    let run_id = if headers.contains_key("idempotency-key") {
        let key = idempotency_key(&headers)?;
        let said = serde_json::to_vec(&order).unwrap_or_default();
        let (run_id, alike) = run_of(&wish.actor, &key, &said);
        let mut connection = face.connection().await?;
        match letters_runs::between(&mut connection, alike).await? {
            Some(known) if known == run_id => return goes_on(&office.desk, run_id).await,
            Some(_other) => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                return Err(Problem::refused(status, Reason::MessageIdReused));
            }
            None => Some(run_id),
        }
    } else {
        None
    };
    let meant = order.meant(&face)?;
    let selection = office.desk.select(meant.filter()).await?;
    are_sure(&meant, &selection, order.digest.as_deref(), order.yes)?;
    let room = office.room()?;
    let mut holder = holder(office).await?;
    let how = How { rate, force: order.force, run_id };
    let run = match office.desk.begin(&mut holder, &selection, how, &wish).await {
        // The same order, a moment ago.
        Err(Refusal::Running(run_id)) => return goes_on(&office.desk, run_id).await,
        begun => begun?,
    };
    let answer = goes_on(&office.desk, run.run_id).await?;
    office.take(run, holder, room)?;
    Ok(answer)
}

/// Give open letters up: their requests are refused, finally, and what waits behind them goes on
///
/// Of one letter, what became of its request; of a selection, how many came to what. If the answer does not come, the same
/// order goes on with what is left.
#[utoipa::path(post, path = "/v1/dead-letters/discard", operation_id = "discardDeadLetters", tag = "Operations",
    request_body = Discard,
    responses((status = 200, description = "They are discarded", body = Object)))]
async fn discard(
    caller: Caller<OpsReplay>,
    _: NoQuery,
    State(face): State<Face>,
    Json(mut order): Json<Discard>,
) -> Result<axum::Json<Value>, Problem> {
    let desk = &face.office()?.desk;
    let wish = wish(&caller, &order.reason)?;
    let stop = CancellationToken::new();
    let meant = order.meant(&face)?;
    if let Some(letter_id) = order.letter_id.filter(|_| order.digest.is_none()) {
        let outcome = Box::pin(desk.discard(letter_id, &wish, &stop)).await?;
        return Ok(axum::Json(discarded(letter_id, outcome)));
    }
    let selection = desk.select(meant.filter()).await?;
    are_sure(&meant, &selection, order.digest.as_deref(), order.yes)?;
    let counts = Box::pin(desk.discard_all(&selection, &wish, &stop, |_letters| {})).await?;
    Ok(axum::Json(json!({"selected": selection.len(), "counts": counts})))
}

fn invalid(pointer: &'static str, detail: String) -> Problem {
    Problem::misfit(vec![Flaw::of(pointer, Reason::FieldInvalid, detail)])
}

/// Refuses a selection that is another than was looked at, or that nobody has chosen.
fn are_sure(
    meant: &Meant,
    selection: &Selection,
    digest: Option<&str>,
    yes: bool,
) -> Result<(), Problem> {
    if let Some(digest) = digest {
        return Ok(selection.expect(digest)?);
    }
    if meant.is_all() && !yes {
        let detail = format!("{} dead letters are meant: true to mean them", selection.len());
        return Err(invalid("/yes", detail));
    }
    Ok(())
}

/// The run of an order under a key, and between which ids any run under that key is: the first half of the id is the key's.
fn run_of(actor: &str, key: &str, said: &[u8]) -> (Uuid, (Uuid, Uuid)) {
    let whose = Sha256::new().chain_update(actor).chain_update([0]).chain_update(key).finalize();
    let id = |second: &[u8]| {
        let mut bytes = [0; 16];
        for (byte, of_hash) in bytes.iter_mut().zip(whose.iter().take(8).chain(second)) {
            *byte = *of_hash;
        }
        Uuid::new_v8(bytes)
    };
    (id(&Sha256::digest(said)), (id(&[0; 8]), id(&[0xff; 8])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_run_for_what_was_said_under_it() {
        let (run, (low, high)) = run_of("clerk", "k", b"this");
        assert_eq!(run_of("clerk", "k", b"this").0, run);
        assert!(low < run && run < high);
        let (other, _) = run_of("clerk", "k", b"that");
        assert!(other != run && low < other && other < high);
        for (actor, key) in [("clerk", "k2"), ("other", "k")] {
            let (run, _) = run_of(actor, key, b"this");
            assert!(run < low || run > high);
        }
    }
}
