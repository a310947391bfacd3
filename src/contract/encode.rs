//! Message to bytes, and back for what Rollcall itself has stored.
#![expect(
    clippy::map_err_ignore,
    reason = "apache-avro's errors print values (P9): none of them may travel on"
)]

use super::schemas::{MessageType, current};
use super::wire::{
    BatchReceipt, EnrollmentRequest, GroupMembershipRequest, MembershipChanged, MembershipState,
    MembershipUpdateRequest, RequestResult,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A message of the contract, and which one.
pub trait Message: Serialize + DeserializeOwned {
    /// Its type.
    const TYPE: MessageType;
}

macro_rules! messages {
    ($($message:ident),* $(,)?) => {
        $(impl Message for $message {
            const TYPE: MessageType = MessageType::$message;
        })*
    };
}

messages!(
    EnrollmentRequest,
    MembershipUpdateRequest,
    GroupMembershipRequest,
    RequestResult,
    MembershipChanged,
    MembershipState,
    BatchReceipt,
);

/// A value that does not fit its schema. Says nothing of the value (P9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{message} does not follow its schema", message = .0.name())]
pub struct Unfit(pub MessageType);

/// Encodes a message as Avro single object: `C3 01`, fingerprint, value.
///
/// # Errors
/// When the value does not fit the schema, which the types make impossible for what Rollcall itself builds.
pub fn encode<T: Message>(message: &T) -> Result<Vec<u8>, Unfit> {
    let current = current(T::TYPE);
    let mut bytes = Vec::with_capacity(384);
    bytes.extend_from_slice(&current.header);
    current.writer.write_ser(&mut bytes, message).map_err(|_| Unfit(T::TYPE))?;
    Ok(bytes)
}

/// Decodes a message that Rollcall encoded with the embedded version of its schema.
///
/// # Errors
/// When the bytes were not written so.
pub fn decode_own<T: Message>(bytes: &[u8]) -> Result<T, Unfit> {
    let current = current(T::TYPE);
    let mut body = bytes.strip_prefix(&current.header).ok_or(Unfit(T::TYPE))?;
    let message = current.reader.read_deser(&mut body).map_err(|_| Unfit(T::TYPE))?;
    if body.is_empty() { Ok(message) } else { Err(Unfit(T::TYPE)) }
}
