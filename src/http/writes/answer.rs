//! What a request came to, as status, headers and body.

use super::Made;
use crate::apply::Replied;
use crate::contract::wire::{RequestResult, ResultError, ResultStatus};
use crate::contract::{Reason, decode_own};
use crate::http::problem::{Code, Flaw, Problem};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// What a request came to.
#[derive(Debug)]
pub(in crate::http) struct Answer {
    pub(in crate::http) status: StatusCode,
    pub(in crate::http) result: RequestResult,
    made: Made,
    /// The worst of what refused it.
    worst: Option<Reason>,
}

impl Answer {
    /// The answer that a reply is; `of_path`: the path names what may not be there.
    pub(super) fn of(replied: &Replied, made: Made, of_path: bool) -> Result<Self, Problem> {
        let result: RequestResult =
            decode_own(&replied.result).map_err(|_unfit| Problem::of(Code::InternalError))?;
        let created = replied.created && !result.duplicate;
        Ok(Self::of_result(result, created, made, of_path))
    }

    /// The answer that a result is.
    pub(super) fn of_result(
        result: RequestResult,
        created: bool,
        made: Made,
        of_path: bool,
    ) -> Self {
        let (status, worst) = match result.status {
            ResultStatus::Held => (StatusCode::ACCEPTED, None),
            ResultStatus::Rejected => {
                let codes = result.errors.iter().map(|error| error.code.as_str());
                let reasons = codes.filter_map(|code| {
                    Reason::ALL.into_iter().find(|reason| reason.code() == code)
                });
                let worst = reasons.min_by_key(|reason| rank(*reason, of_path));
                let worst = worst.unwrap_or(Reason::FieldInvalid);
                (status(worst, of_path), Some(worst))
            }
            ResultStatus::Succeeded if created => (StatusCode::CREATED, None),
            ResultStatus::Succeeded | ResultStatus::Partial | ResultStatus::Unknown => {
                (StatusCode::OK, None)
            }
        };
        Self { status, result, made, worst }
    }

    /// With other pointers.
    #[must_use]
    pub(super) fn pointing(mut self, pointer: fn(&str) -> String) -> Self {
        for error in &mut self.result.errors {
            error.pointer = pointer(&error.pointer);
        }
        for item in &mut self.result.items {
            item.pointer = pointer(&item.pointer);
        }
        self
    }

    /// Where what was made can be read.
    fn location(&self) -> Option<String> {
        if self.status != StatusCode::CREATED {
            return None;
        }
        let of_item = || self.result.items.first()?.membership_id.clone();
        let of_registrant = || self.result.registrant_id.clone();
        match self.made {
            Made::Registrant => Some(format!("/v1/registrants/{}", of_registrant()?)),
            Made::Group => Some(format!("/v1/groups/{}", of_registrant()?)),
            Made::Membership => Some(format!("/v1/memberships/{}", of_item()?)),
        }
    }

    /// The version that the membership has now.
    fn version(&self) -> Option<i32> {
        match (self.made, self.result.items.as_slice()) {
            (Made::Membership, [item]) => item.version,
            _ => None,
        }
    }

    /// A refusal, as a problem that has the result's members too, but for its status, which always is REJECTED.
    fn refusal(self, worst: Reason) -> Problem {
        let errors = self.result.errors.iter();
        let flaw = |error: &ResultError| {
            Flaw::coded(error.pointer.clone(), error.code.clone(), error.detail.clone())
        };
        let flaws = errors.map(flaw).collect();
        let problem = if worst == Reason::VersionConflict {
            Problem::of(Code::PreconditionFailed)
        } else {
            Problem::refused(self.status, worst)
        };
        // Plain texts and numbers: there is nothing that could fail.
        let result = serde_json::to_value(&self.result).unwrap_or_default();
        let Value::Object(mut result) = result else { return problem.with_errors(flaws) };
        for own in ["status", "errors"] {
            result.remove(own);
        }
        problem.with_errors(flaws).with_result(result)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        if let Some(worst) = self.worst {
            return self.refusal(worst).into_response();
        }
        let tag = self.version().and_then(|v| HeaderValue::from_str(&format!("\"{v}\"")).ok());
        let location = self.location().and_then(|path| HeaderValue::from_str(&path).ok());
        let mut response = (self.status, Json(self.result)).into_response();
        let headers = [(header::ETAG, tag), (header::LOCATION, location)];
        for (name, value) in headers.into_iter().filter_map(|(name, v)| Some((name, v?))) {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// "The worst wins": 412, 404, 409, else 422.
fn rank(reason: Reason, of_path: bool) -> usize {
    let order = [
        StatusCode::PRECONDITION_FAILED,
        StatusCode::NOT_FOUND,
        StatusCode::CONFLICT,
        StatusCode::UNPROCESSABLE_ENTITY,
    ];
    order.iter().position(|known| *known == status(reason, of_path)).unwrap_or(order.len())
}

fn status(reason: Reason, of_path: bool) -> StatusCode {
    match reason {
        Reason::VersionConflict => StatusCode::PRECONDITION_FAILED,
        Reason::RegistrantNotFound | Reason::MembershipNotFound if of_path => StatusCode::NOT_FOUND,
        Reason::StateTransitionInvalid
        | Reason::MembershipAlreadyEnrolled
        | Reason::RegistrantIdentityConflict
        | Reason::RegistrantAmbiguous
        | Reason::ProgramEnded
        | Reason::RegistrantDisabled => StatusCode::CONFLICT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_reason_gives_the_status() {
        let worst = |reasons: &[Reason], of_path| {
            let worst = reasons.iter().min_by_key(|reason| rank(**reason, of_path)).unwrap();
            status(*worst, of_path).as_u16()
        };
        let field = Reason::FieldInvalid;
        assert_eq!(worst(&[field], false), 422);
        assert_eq!(worst(&[field, Reason::ProgramEnded], false), 409);
        assert_eq!(worst(&[Reason::ProgramEnded, Reason::MembershipNotFound], true), 404);
        assert_eq!(worst(&[Reason::ProgramEnded, Reason::MembershipNotFound], false), 409);
        assert_eq!(worst(&[Reason::MembershipNotFound, Reason::VersionConflict], true), 412);
        assert_eq!(worst(&[Reason::ProgramNotFound], true), 422);
    }
}
