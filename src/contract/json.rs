//! Plain JSON to message and back: the schema says what fits, and every fault is found at once.

mod shape;

use shape::mended;
pub use shape::{Misfit, misfits};

use super::decode::{Request, Unreadable};
use super::encode::{Message, Unfit, encode};
use super::schemas::{MessageType, Schemas};
use super::wire::{
    BatchReceipt, EnrollmentRequest, GroupMembershipRequest, MembershipChanged, MembershipState,
    MembershipUpdateRequest, RequestResult,
};
use crate::domain::{Fault, Reason};
use serde_json::{Map, Value};

fn message<T: Message>(value: Value) -> Result<T, Vec<Misfit>> {
    let misfits = misfits(T::TYPE, &value);
    if misfits.is_empty() { fitting(value) } else { Err(misfits) }
}

fn fitting<T: Message>(value: Value) -> Result<T, Vec<Misfit>> {
    // serde's words could hold values (P9), and the walk has seen all that it knows.
    serde_json::from_value(value).map_err(|_error| {
        let detail = "it does not fit the message".to_owned();
        vec![Misfit { pointer: String::new(), reason: Reason::FieldInvalid, detail }]
    })
}

/// A request from plain JSON (no union tags, dates `2026-01-31`, times RFC 3339).
///
/// # Errors
/// Everything that does not fit. For what is no request, that.
pub fn request_from_json(kind: MessageType, value: Value) -> Result<Request, Vec<Misfit>> {
    let misfits = misfits(kind, &value);
    if misfits.is_empty() { fitting_request(kind, value) } else { Err(misfits) }
}

/// A request from plain JSON that was seen to fit.
pub(super) fn fitting_request(kind: MessageType, value: Value) -> Result<Request, Vec<Misfit>> {
    Ok(match kind {
        MessageType::EnrollmentRequest => Request::Enrollment(Box::new(fitting(value)?)),
        MessageType::MembershipUpdateRequest => Request::Update(Box::new(fitting(value)?)),
        MessageType::GroupMembershipRequest => Request::Group(Box::new(fitting(value)?)),
        MessageType::RequestResult
        | MessageType::MembershipChanged
        | MessageType::MembershipState
        | MessageType::BatchReceipt => {
            let detail = format!("{} is no request", kind.name());
            return Err(vec![Misfit {
                pointer: String::new(),
                reason: Reason::FieldInvalid,
                detail,
            }]);
        }
    })
}

impl Request {
    /// Which message it is.
    pub const fn message_type(&self) -> MessageType {
        match self {
            Self::Enrollment(_) => MessageType::EnrollmentRequest,
            Self::Update(_) => MessageType::MembershipUpdateRequest,
            Self::Group(_) => MessageType::GroupMembershipRequest,
        }
    }

    /// Its Avro single object.
    ///
    /// # Errors
    /// When it does not fit its schema.
    pub fn encode(&self) -> Result<Vec<u8>, Unfit> {
        match self {
            Self::Enrollment(request) => encode(request.as_ref()),
            Self::Update(request) => encode(request.as_ref()),
            Self::Group(request) => encode(request.as_ref()),
        }
    }

    /// The key of its record: the reference of the registrant or the group.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Enrollment(request) => request.registrant.reference.as_deref(),
            Self::Update(request) => request.registrant.reference.as_deref(),
            Self::Group(request) => request.group.reference.as_deref(),
        }
    }
}

/// A request from plain JSON; `check` names the limits that one breaks.
///
/// # Errors
/// Everything that does not fit, with the limits that the rest of it breaks.
pub fn checked_request(
    kind: MessageType,
    value: Value,
    check: impl Fn(&Request) -> Vec<Fault>,
) -> Result<Request, Vec<Misfit>> {
    let misfits = misfits(kind, &value);
    if misfits.is_empty() {
        return fitting_request(kind, value);
    }
    let mended = fitting_request(kind, mended(kind, &value));
    let mut faults = mended.map(|request| check(&request)).unwrap_or_default();
    // What stands in for a misfit may have faults of its own.
    faults.retain(|fault| {
        !misfits.iter().any(|misfit| {
            let below = fault.pointer.strip_prefix(&misfit.pointer);
            below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        })
    });
    Err(misfits.into_iter().chain(faults.into_iter().map(Misfit::from)).collect())
}

/// The Avro single object of any message from its plain JSON.
///
/// # Errors
/// Everything that does not fit its schema.
pub fn encode_json(kind: MessageType, value: Value) -> Result<Vec<u8>, Vec<Misfit>> {
    fn of<T: Message>(value: Value) -> Result<Vec<u8>, Vec<Misfit>> {
        encode(&message::<T>(value)?).map_err(|unfit| {
            let detail = unfit.to_string();
            vec![Misfit { pointer: String::new(), reason: Reason::FieldInvalid, detail }]
        })
    }
    match kind {
        MessageType::EnrollmentRequest => of::<EnrollmentRequest>(value),
        MessageType::MembershipUpdateRequest => of::<MembershipUpdateRequest>(value),
        MessageType::GroupMembershipRequest => of::<GroupMembershipRequest>(value),
        MessageType::RequestResult => of::<RequestResult>(value),
        MessageType::MembershipChanged => of::<MembershipChanged>(value),
        MessageType::MembershipState => of::<MembershipState>(value),
        MessageType::BatchReceipt => of::<BatchReceipt>(value),
    }
}

/// Any message from its Avro single object, as plain JSON with its `type`.
///
/// # Errors
/// What a dead letter would say of the bytes.
pub fn decode_json(schemas: &Schemas, bytes: &[u8]) -> Result<Value, Unreadable> {
    fn own<T: Message>(schemas: &Schemas, bytes: &[u8]) -> Option<Value> {
        serde_json::to_value(schemas.decode_stored::<T>(bytes).ok()?).ok()
    }
    let version = super::decode::named_fingerprint(bytes)
        .and_then(|fingerprint| schemas.version(&fingerprint));
    let published = match version.map(|version| version.message) {
        Some(MessageType::RequestResult) => own::<RequestResult>(schemas, bytes),
        Some(MessageType::MembershipChanged) => own::<MembershipChanged>(schemas, bytes),
        Some(MessageType::MembershipState) => own::<MembershipState>(schemas, bytes),
        Some(MessageType::BatchReceipt) => own::<BatchReceipt>(schemas, bytes),
        _ => {
            let request = schemas.decode(Some(bytes), usize::MAX)?;
            let kind = request.message_type();
            return typed(kind, request_json(&request).ok_or(super::decode::INVALID)?);
        }
    };
    let kind = version.map_or(MessageType::RequestResult, |version| version.message);
    typed(kind, published.ok_or(super::decode::INVALID)?)
}

fn request_json(request: &Request) -> Option<Value> {
    match request {
        Request::Enrollment(request) => serde_json::to_value(request),
        Request::Update(request) => serde_json::to_value(request),
        Request::Group(request) => serde_json::to_value(request),
    }
    .ok()
}

fn typed(kind: MessageType, value: Value) -> Result<Value, Unreadable> {
    let Value::Object(fields) = value else {
        return Err(super::decode::INVALID);
    };
    let mut message = Map::new();
    message.insert("type".to_owned(), kind.name().into());
    message.extend(fields);
    Ok(Value::Object(message))
}

#[cfg(test)]
mod tests;
